/* Paths as names of clouds' secrets, and back: no two paths meet, whatever they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/rand.h"
#include "secrets/secret_name.h"
#include "secrets/secret_store.h"

enum { STYLES = SECRET_NAME_KUBERNETES + 1, PATHS = 20000 };

static const char *const letters[STYLES] = {
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./",
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_",
    "abcdefghijklmnopqrstuvwxyz0123456789-",
    "abcdefghijklmnopqrstuvwxyz0123456789-.",
};

static void as_they_are_documented(void **state)
{
    static const char *const rows[][1 + STYLES] = {
        {"openai/pool-a", "openai/pool-a", "openai__pool-a", "openai--pool-ha", "openai.pool-a"},
        {"team.eu/Key_1", "team.eu/Key_1", "team_deu__Key_u1", "team-deu---ckey-u1",
         "teamzdeu.zckeyzu1"},
        {"-z/-", "-z/-", "-z__-", "-hz---h", "zhzz.zh"},
        {"a-/z-Z", "a-/z-Z", "a-__z-Z", "a-h--z-h-cz", "azh.zz-zcz"},
    };
    char name[SECRET_NAME_BYTES], path[SECRET_NAME_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int style = 0; style < STYLES; style++) {
            assert_int_equal(secret_name_write((enum secret_name_style)style, SPAN(""),
                                               span_from_text(rows[i][0]), name),
                             0);
            assert_string_equal(name, rows[i][1 + style]);
            assert_true(
                secret_name_read((enum secret_name_style)style, span_from_text(name), path));
            assert_string_equal(path, rows[i][0]);
        }
    }
    assert_int_equal(secret_name_write(SECRET_NAME_AZURE, SPAN("a-b"), SPAN("c"), name), 0);
    assert_string_equal(name, "a-hb--c");
    assert_int_equal(secret_name_write(SECRET_NAME_AZURE, SPAN("a"), SPAN(""), name), 0);
    assert_string_equal(name, "a");
    assert_int_equal(secret_name_write(SECRET_NAME_AZURE, SPAN(""), SPAN(""), name), 0);
    assert_string_equal(name, "");
}

static void names_of_others(void **state)
{
    static const struct {
        enum secret_name_style style;
        const char *name;
    } rows[] = {
        {SECRET_NAME_PLAIN, "a b"},       {SECRET_NAME_PLAIN, "/a"},
        {SECRET_NAME_PLAIN, "a@b"},       {SECRET_NAME_GOOGLE, "a_b"},
        {SECRET_NAME_GOOGLE, "a_"},       {SECRET_NAME_GOOGLE, "__a"},
        {SECRET_NAME_GOOGLE, "_da"},      {SECRET_NAME_GOOGLE, "a__"},
        {SECRET_NAME_GOOGLE, ""},         {SECRET_NAME_AZURE, "Key"},
        {SECRET_NAME_AZURE, "a-b"},       {SECRET_NAME_AZURE, "a-"},
        {SECRET_NAME_AZURE, "-c"},        {SECRET_NAME_AZURE, "-c1"},
        {SECRET_NAME_AZURE, "-c-h"},      {SECRET_NAME_KUBERNETES, "a-"},
        {SECRET_NAME_KUBERNETES, "az"},   {SECRET_NAME_KUBERNETES, "zq"},
        {SECRET_NAME_KUBERNETES, "azhb"}, {SECRET_NAME_KUBERNETES, "a..b"},
        {SECRET_NAME_KUBERNETES, "zc"},   {SECRET_NAME_KUBERNETES, "zc."},
        {SECRET_NAME_KUBERNETES, "Abc"},
    };
    char path[SECRET_NAME_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (secret_name_read(rows[i].style, span_from_text(rows[i].name), path))
            fail_msg("%s is read as %s", rows[i].name, path);
    }
}

/* Random paths, of what is hard alone. */
static void there_and_back(void **state)
{
    static const char hard[] = "az-_./ZAC-udhcs-_zz";
    char path[SECRET_PATH_MAX_BYTES + 1], name[SECRET_NAME_BYTES], back[SECRET_NAME_BYTES];
    struct rand rand;
    int good = 0;

    (void)state;
    rand_init(&rand, 7);
    for (int i = 0; i < PATHS; i++) {
        size_t len = 1 + rand_below(&rand, i % 10 ? 12 : SECRET_PATH_MAX_BYTES);

        for (size_t j = 0; j < len; j++)
            path[j] = hard[rand_below(&rand, sizeof(hard) - 1)];
        path[len] = '\0';
        if (!secret_path_is_good(span_of(path, len)))
            continue;
        good++;
        for (int style = 0; style < STYLES; style++) {
            int err = secret_name_write((enum secret_name_style)style, SPAN(""), span_of(path, len),
                                        name);

            if (err) {
                assert_int_equal(err, ERR_RANGE);
                continue;
            }
            assert_int_equal(strspn(name, letters[style]), strlen(name));
            assert_true(
                secret_name_read((enum secret_name_style)style, span_from_text(name), back));
            assert_string_equal(back, path);
        }
    }
    assert_true(good > PATHS / 10);
}

static void lengths(void **state)
{
    char path[SECRET_PATH_MAX_BYTES + 1], name[SECRET_NAME_BYTES];

    (void)state;
    memset(path, '_', sizeof(path));
    assert_int_equal(
        secret_name_write(SECRET_NAME_PLAIN, span_of(path, 256), span_of(path, 255), name), 0);
    assert_int_equal(strlen(name), 512);
    assert_int_equal(
        secret_name_write(SECRET_NAME_PLAIN, span_of(path, 256), span_of(path, 256), name),
        ERR_RANGE);
    assert_int_equal(secret_name_write(SECRET_NAME_GOOGLE, SPAN("x"), span_of(path, 126), name), 0);
    assert_int_equal(strlen(name), 255);
    assert_int_equal(secret_name_write(SECRET_NAME_GOOGLE, SPAN(""), span_of(path, 128), name),
                     ERR_RANGE);
    assert_int_equal(secret_name_write(SECRET_NAME_AZURE, SPAN(""), span_of(path, 64), name),
                     ERR_RANGE);
    assert_int_equal(secret_name_write(SECRET_NAME_KUBERNETES, SPAN(""), span_of(path, 127), name),
                     ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_they_are_documented),
        cmocka_unit_test(names_of_others),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

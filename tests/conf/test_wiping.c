/*
 * Secrets stand in the locked arena alone, and nowhere once their configuration is gone: the whole
 * memory of the process is searched. The secret itself is made only where a load reads it, and the
 * search compares it with a disguise of it, so that the test leaves no copy of its own.
 */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>

/* The end of a secret is searched, for the heap writes over the beginning of what was freed; but
 * more of it than the vector registers hold, which lazy binding saves on the stack. */
enum { DISGUISE = 0x2a, SEARCHED_BYTES = 80 };

/* A key, and another that stands in quotes, each byte turned by the disguise. */
static const char plain[] = "YA\007yokxibon\007\032\032k\032\033h\032\030"
                            "i\032\031n\032\036o\032\037l\032\034m\032\035b\032\022c\032"
                            "\023`\033\032a\033\033f\033\030g\033\031d\033\036e\033\037z"
                            "\033\034{\033\035x\033\022y\033\023~\030\032\177\030\033|\030\030"
                            "}\030\031r\030\036s\030\037p\030\034k\030\035h\030\022i\030"
                            "\023n\031\032o\031\033l\031\030m\031\031b\031\036c\031\037`"
                            "\031\034a\031\035f\031\022g\031\023d";
static const char quoted[] = "^KCF\007CD\007[_E^OY\007K\033\035H\033"
                             "\022I\033\023N\030\032O\030\033L\030\030M\030\031B\030\036C"
                             "\030\037@\030\034A\030\035F\030\022G\030\023D\031\032E\031\033"
                             "Z\031\030[\031\031X\031\036Y\031\037^\031\034_\031\035\134\031"
                             "\022]\031\023R\036\032S\036\033P\036\030K\036\031H\036\036I"
                             "\036\037N\036\034O\036\035L\036\022M\036\023B\037\032C\037\033"
                             "@\037\030A\037\031F\037\036G\037\037D\037\034";

static int append_secret(struct buf *out, const char *disguised)
{
    for (; *disguised; disguised++) {
        if (buf_append_byte(out, (char)(*disguised ^ DISGUISE)))
            return ERR_FULL;
    }
    return 0;
}

static size_t count_everywhere(const char *disguised);

/* The file "count" looks around before it is read. */
static size_t found_while_loading;

static int read_secret(void *ctx, const char *path, struct buf *out)
{
    int err = buf_reserve(out, out->max - out->len);

    (void)ctx;
    if (strstr(path, "count"))
        found_while_loading = count_everywhere(plain);
    if (!err)
        err = append_secret(out, plain);
    return err ? err : buf_append_byte(out, strstr(path, "bad") ? '\t' : '\n');
}

static size_t count_in(const char *from, const char *to, const char *disguised)
{
    size_t len = SEARCHED_BYTES, count = 0;

    disguised += strlen(disguised) - len;
    for (; from + len <= to; from++) {
        size_t same = 0;

        while (same < len && (char)(from[same] ^ DISGUISE) == disguised[same])
            same++;
        count += same == len;
    }
    return count;
}

/* The sanitizers' shadow is too large to search, and they keep what was freed. */
static void needs_plain_memory(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    skip();
#endif
#endif
}

/* How often the secret stands in memory that can be written. */
static size_t count_everywhere(const char *disguised)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    size_t count = 0;

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        char *end, *rest;
        uintptr_t from = strtoull(line, &end, 16), to = strtoull(end + 1, &rest, 16);

        if (!strncmp(rest, " rw", 3))
            count += count_in((const char *)from, (const char *)to, disguised);
    }
    fclose(maps);
    return count;
}

static void a_key_from_a_file_stands_in_the_arena_alone(void **state)
{
    struct fake *fake = *state;

    needs_plain_memory();
    fake_must_load(fake, "providers: {openai: {keys: [\"${file:key}\"]}}\n");
    assert_int_equal(count_everywhere(plain), 1);
    config_free(&fake->config);
    assert_int_equal(count_everywhere(plain), 0);
}

static void a_key_of_a_folder_or_a_client_leaves_nothing(void **state)
{
    struct fake *fake = *state;

    needs_plain_memory();
    fake_must_load(fake, "providers: {compatible: {base_url: \"http://h\", keys_from: "
                         "[\"${file:key}\"], headers: {X-A: \"${file:key}\"}}}\n"
                         "clients: {keys: [{name: a, secret: \"${file:key}\"}]}\n"
                         "admin: {token: \"${file:key}\"}\n");
    assert_int_equal(count_everywhere(plain), 3);
    config_free(&fake->config);
    assert_int_equal(count_everywhere(plain), 0);
}

/* Also where the secret is a part of what is sent. */
static void what_an_issuer_sends_leaves_nothing(void **state)
{
    struct fake *fake = *state;

    needs_plain_memory();
    fake_must_load(
        fake, "providers:\n"
              "  openai:\n"
              "    keys: [sk-a]\n"
              "    rotation:\n"
              "      issuer: {kind: http, create: {url: \"https://h\", key: /k, headers: {X-A: "
              "\"Bearer ${file:key}\"}, body: {a: 1, b: [\"${file:key}\"]}}}\n"
              "  other:\n"
              "    kind: openai\n"
              "    keys: [sk-b]\n"
              "    rotation: {issuer: {kind: command, argv: [/x], env: {A: \"${file:key}\"}}}\n");
    assert_int_equal(count_everywhere(plain), 3);
    config_free(&fake->config);
    assert_int_equal(count_everywhere(plain), 0);
    assert_int_equal(fake_load(fake, "providers: {openai: {keys: [sk-a], rotation: {issuer: {kind: "
                                     "http, create: {url: \"https://h\", key: /k, body: {a: "
                                     "\"${file:key}\", b: \"${env:NOPE}\"}}}}}}\n"),
                     ERR_SYNTAX);
    assert_int_equal(count_everywhere(plain), 0);
}

/* The first key stands in the arena by the time the second is read, and nowhere else. */
static void a_resolved_text_is_wiped_before_the_next(void **state)
{
    needs_plain_memory();
    fake_must_load(*state, "providers: {openai: {keys: [\"${file:key}\"], headers: {X-A: "
                           "\"${file:count}\"}}}\n");
    assert_int_equal(found_while_loading, 1);
}

static void a_refused_configuration_leaves_nothing(void **state)
{
    needs_plain_memory();
    assert_int_equal(fake_load(*state,
                               "providers: {openai: {keys: [\"${file:key}\", \"${file:bad}\"]}}"
                               "\nnope: 1\n"),
                     ERR_SYNTAX);
    assert_int_equal(count_everywhere(plain), 0);
}

/* A key in the file itself, plain and in quotes with escapes, which the parser has to copy. */
static void a_key_in_the_text_leaves_nothing(void **state)
{
    struct fake *fake = *state;
    struct buf text;

    needs_plain_memory();
    buf_init(&text, 4096);
    assert_int_equal(buf_reserve(&text, 4096), 0);
    buf_printf(&text, "providers:\n  openai:\n    keys:\n      - ");
    assert_int_equal(append_secret(&text, plain), 0);
    buf_printf(&text, "\n      - \"\\x41");
    assert_int_equal(append_secret(&text, quoted), 0);
    buf_printf(&text, "\"\n");
    fake_must_load(fake, buf_text(&text));
    secret_wipe(text.data, text.cap);
    assert_int_equal(fake->config->providers.items[0].keys.count, 2);
    assert_int_equal(count_everywhere(plain), 1);
    config_free(&fake->config);
    assert_int_equal(count_everywhere(plain), 0);
    assert_int_equal(count_everywhere(quoted), 0);
    buf_fini(&text);
}

static int setup(void **state)
{
    static struct fake fake;

    fake_init(&fake);
    fake.system.read_file = read_secret;
    *state = &fake;
    return 0;
}

static int teardown(void **state)
{
    fake_fini(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_from_a_file_stands_in_the_arena_alone),
        cmocka_unit_test(a_key_of_a_folder_or_a_client_leaves_nothing),
        cmocka_unit_test(what_an_issuer_sends_leaves_nothing),
        cmocka_unit_test(a_resolved_text_is_wiped_before_the_next),
        cmocka_unit_test(a_refused_configuration_leaves_nothing),
        cmocka_unit_test(a_key_in_the_text_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/err.h"

/* RFC 4648 10, and the two digits in which the alphabets differ. */
static const struct {
    const char *bytes, *text;
} known[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xFB\xEF\xBE\xFF\xFF\xFF", "++++////"},
};

static void test_writing(void **state)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct buf out;

        buf_init(&out, 64);
        assert_int_equal(base64_write(&out, span_from_text(known[i].bytes)), 0);
        assert_string_equal(buf_text(&out), known[i].text);
        assert_int_equal(base64_length(strlen(known[i].bytes)), strlen(known[i].text));
        buf_fini(&out);
    }
}

static void test_writing_without_room_appends_nothing(void **state)
{
    struct buf out;

    buf_init(&out, 9);
    assert_int_equal(base64_write(&out, SPAN("foo")), 0);
    assert_int_equal(base64_write(&out, SPAN("bars")), ERR_FULL);
    assert_true(span_is_equal(buf_span(&out), SPAN("Zm9v")));
    buf_fini(&out);
}

static void assert_read(const char *text, const char *bytes)
{
    char out[64];
    size_t len = 0;

    assert_true(base64_read(span_from_text(text), out, &len));
    assert_true(span_is_equal(span_of(out, len), span_from_text(bytes)));
}

static void test_reading(void **state)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_read(known[i].text, known[i].bytes);
    /* Without padding, and of the alphabet that is safe in URLs. */
    assert_read("Zg", "f");
    assert_read("Zm8", "fo");
    assert_read("----____", "\xFB\xEF\xBE\xFF\xFF\xFF");
}

static void test_what_is_no_base64(void **state)
{
    static const char *const none[] = {"A",      "AAAAA", "A===",    "Zg===", "Zm 9v",
                                       "Zm9v\n", "Z=g=",  "Zm9\xC3", "%%%%"};
    char out[64];
    size_t len;

    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        if (base64_read(span_from_text(none[i]), out, &len))
            fail_msg("%s is taken", none[i]);
    }
}

static void test_the_usual_alphabet(void **state)
{
    static const struct {
        const char *text, *usual;
    } cases[] = {{"", ""},         {"Zm9v", "Zm9v"}, {"Zg", "Zg=="},
                 {"-_-_", "+/+/"}, {"-_8", "+/8="},  {"not base64!", "not base64!="}};
    struct arena_pool pool;
    struct arena arena;

    arena_pool_init(&pool, 0);
    arena_init(&arena, &pool, 8192);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct span text = span_from_text(cases[i].text), usual = base64_to_usual(text, &arena);

        assert_true(span_is_equal(usual, span_from_text(cases[i].usual)));
        /* What is so already is not copied. */
        assert_int_equal(usual.ptr == text.ptr, strcmp(cases[i].text, cases[i].usual) == 0);
    }
    arena_fini(&arena);
    arena_init(&arena, &pool, 0);
    assert_null(base64_to_usual(SPAN("Zg"), &arena).ptr);
    arena_fini(&arena);
    arena_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_writing_without_room_appends_nothing),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_what_is_no_base64),
        cmocka_unit_test(test_the_usual_alphabet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

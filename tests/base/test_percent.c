#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/percent.h"

static void assert_written(const char *text, const char *plain, const char *expected)
{
    struct buf out;

    buf_init(&out, 1024);
    assert_int_equal(percent_write(&out, span_from_text(text), plain), 0);
    assert_string_equal(buf_text(&out), expected);
    buf_fini(&out);
}

static void test_writing(void **state)
{
    assert_written("", "", "");
    assert_written("AZaz09-._~", "", "AZaz09-._~");
    assert_written("a b/c%d&\xC3\xBC\x01", "", "a%20b%2Fc%25d%26%C3%BC%01");
    assert_written("m@1/2", "@", "m@1%2F2");
}

static void test_writing_takes_any_byte(void **state)
{
    struct buf out;

    buf_init(&out, 1024);
    assert_int_equal(percent_write(&out, span_of("\0/", 2), "/"), 0);
    assert_string_equal(buf_text(&out), "%00/");
    buf_fini(&out);
    buf_init(&out, 4);
    assert_int_equal(percent_write(&out, SPAN("a//"), ""), ERR_FULL);
    assert_int_equal(out.err, ERR_FULL);
    buf_fini(&out);
}

static void assert_read(const char *text, const char *expected)
{
    char out[64];
    size_t len = percent_read(span_from_text(text), out);

    assert_true(span_is_equal(span_of(out, len), span_from_text(expected)));
}

static void test_reading(void **state)
{
    assert_read("", "");
    assert_read("plain", "plain");
    assert_read("a%2Fb%2fc%20", "a/b/c ");
    assert_read("%41%4a%4A", "AJJ");
}

static void test_what_is_no_code_stands_for_itself(void **state)
{
    assert_read("%", "%");
    assert_read("100%", "100%");
    assert_read("%4", "%4");
    assert_read("%4g%g4%%41", "%4g%g4%A");
    assert_read("%2541", "%41");
    assert_read("%@1%1@%\x10\x31", "%@1%1@%\x10\x31");
}

static void test_every_byte_comes_back(void **state)
{
    char bytes[256], read[256 * 3];
    struct buf out;
    size_t len;

    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    buf_init(&out, 1024);
    assert_int_equal(percent_write(&out, span_of(bytes, sizeof(bytes)), ""), 0);
    len = percent_read(buf_span(&out), read);
    assert_int_equal(len, sizeof(bytes));
    assert_memory_equal(read, bytes, sizeof(bytes));
    /* In its own place, too. */
    len = percent_read(buf_span(&out), out.data);
    assert_int_equal(len, sizeof(bytes));
    assert_memory_equal(out.data, bytes, sizeof(bytes));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_writing_takes_any_byte),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_what_is_no_code_stands_for_itself),
        cmocka_unit_test(test_every_byte_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

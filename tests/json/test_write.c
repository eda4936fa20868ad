/* Writing JSON: escapes, commas, bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "json/tree.h"
#include "json/write.h"

static void assert_written(struct span text, const char *expected)
{
    struct buf buf;
    char out[128];
    size_t len = 0;

    buf_init(&buf, 1024);
    assert_int_equal(json_write_string(&buf, text), 0);
    assert_string_equal(buf_text(&buf), expected);
    assert_int_equal(json_write_string_to(out, sizeof(out), text, &len), 0);
    assert_true(span_is_equal(span_of(out, len), buf_span(&buf)));
    buf_fini(&buf);
}

static void test_strings_are_escaped(void **state)
{
    assert_written(SPAN(""), "\"\"");
    assert_written(SPAN("plain text, long enough for a block"),
                   "\"plain text, long enough for a block\"");
    assert_written(SPAN("a\"b\\c/d"), "\"a\\\"b\\\\c/d\"");
    assert_written(SPAN("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"");
    assert_written(SPAN("\0\x01\x1f\x7f"), "\"\\u0000\\u0001\\u001f\x7f\"");
    assert_written(SPAN("h\xC3\xA9 \xE4\xB8\xAD \xF0\x9F\x98\x80"),
                   "\"h\xC3\xA9 \xE4\xB8\xAD \xF0\x9F\x98\x80\"");
}

static void test_bad_utf8_is_replaced(void **state)
{
    assert_written(SPAN("a\xFFz"), "\"a\xEF\xBF\xBDz\"");
    assert_written(SPAN("\xC3"), "\"\xEF\xBF\xBD\"");
    assert_written(SPAN("\xED\xA0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

/* Blocks, what stands at their edges, and room that ends within them: what is written is what the
 * plain array gets, or nothing beyond the maximum. */
static void test_long_texts_are_written_like_short_ones(void **state)
{
    static const struct span odd[] = {SPAN_INIT("\n"),           SPAN_INIT("\x01"),
                                      SPAN_INIT("\""),           SPAN_INIT("\xC3\xA9"),
                                      SPAN_INIT("\xE4\xB8\xAD"), SPAN_INIT("\xF0\x9F\x98\x80"),
                                      SPAN_INIT("\xFF"),         SPAN_INIT("\xE4\xB8")};

    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]) * 48; i++) {
        struct span what = odd[i / 48];
        char text[64], expected[512];
        size_t len = 0, at = i % 48;

        memset(text, 'x', sizeof(text));
        memcpy(text + at, what.ptr, what.len);
        assert_int_equal(
            json_write_string_to(expected, sizeof(expected), span_of(text, sizeof(text)), &len), 0);
        for (size_t max = len - 40; max < len + 40; max++) {
            struct buf buf;
            int err;

            buf_init(&buf, max);
            err = json_write_string(&buf, span_of(text, sizeof(text)));
            assert_int_equal(err, max < len ? ERR_FULL : 0);
            assert_true(buf.len <= max);
            if (!err)
                assert_true(span_is_equal(buf_span(&buf), span_of(expected, len)));
            buf_fini(&buf);
        }
    }
}

/* What was written reads back as what was meant, whatever byte it is. */
static void test_every_byte_reads_back(void **state)
{
    for (unsigned c = 0; c < 0x80; c++) {
        char text[3] = {'a', (char)c, 'b'};
        struct json_tree tree;
        struct buf buf;

        buf_init(&buf, 64);
        assert_int_equal(json_write_string(&buf, span_of(text, 3)), 0);
        assert_int_equal(json_tree_read(&tree, buf_span(&buf), 0), 0);
        yyjson_val *root = yyjson_doc_get_root(tree.doc);
        assert_int_equal(yyjson_get_len(root), 3);
        assert_memory_equal(yyjson_get_str(root), text, 3);
        json_tree_fini(&tree);
        buf_fini(&buf);
    }
}

static void test_bounds_are_kept(void **state)
{
    struct buf buf;
    char out[8];
    size_t len = 0;

    buf_init(&buf, 4);
    assert_int_equal(json_write_string(&buf, SPAN("abc")), ERR_FULL);
    assert_int_equal(buf.err, ERR_FULL);
    buf_fini(&buf);
    assert_int_equal(json_write_string_to(out, 5, SPAN("abc"), &len), 0);
    assert_int_equal(len, 5);
    assert_int_equal(json_write_string_to(out, 4, SPAN("abc"), &len), ERR_FULL);
    assert_int_equal(json_write_string_to(out, 8, SPAN("\n\n\n\n"), &len), ERR_FULL);
    assert_int_equal(json_write_string_to(out, 1, SPAN(""), &len), ERR_FULL);
}

static void test_containers_get_their_commas(void **state)
{
    struct json_writer writer;
    struct buf buf;

    buf_init(&buf, 1024);
    json_writer_init(&writer, &buf);
    json_begin_object(&writer);
    json_member_text(&writer, "a", "x");
    json_member_text(&writer, "b", NULL);
    json_name(&writer, "c");
    json_begin_array(&writer);
    json_int(&writer, -5);
    json_begin_object(&writer);
    json_end_object(&writer);
    json_begin_array(&writer);
    json_end_array(&writer);
    json_raw(&writer, SPAN("{\"r\":1}"));
    json_end_array(&writer);
    json_member_bool(&writer, "d", true);
    json_member_uint(&writer, "e", UINT64_MAX);
    json_member_int(&writer, "f", INT64_MIN);
    json_member_double(&writer, "g", 0.25);
    json_member_double(&writer, "h", NAN);
    json_name_span(&writer, SPAN("i\""));
    json_string(&writer, SPAN("y"));
    json_member_null(&writer, "j");
    json_end_object(&writer);
    assert_int_equal(buf.err, 0);
    assert_string_equal(buf_text(&buf),
                        "{\"a\":\"x\",\"b\":null,\"c\":[-5,{},[],{\"r\":1}],\"d\":true,"
                        "\"e\":18446744073709551615,\"f\":-9223372036854775808,\"g\":0.25,"
                        "\"h\":null,\"i\\\"\":\"y\",\"j\":null}");
    buf_fini(&buf);
}

static void test_a_container_begins_without_a_comma(void **state)
{
    struct json_writer writer;
    struct buf buf;

    buf_init(&buf, 64);
    json_writer_init(&writer, &buf);
    json_begin_array(&writer);
    for (int i = 0; i < 2; i++) {
        json_begin_array(&writer);
        json_int(&writer, i);
        json_end_array(&writer);
    }
    json_end_array(&writer);
    assert_string_equal(buf_text(&buf), "[[0],[1]]");
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings_are_escaped),
        cmocka_unit_test(test_long_texts_are_written_like_short_ones),
        cmocka_unit_test(test_bad_utf8_is_replaced),
        cmocka_unit_test(test_every_byte_reads_back),
        cmocka_unit_test(test_bounds_are_kept),
        cmocka_unit_test(test_containers_get_their_commas),
        cmocka_unit_test(test_a_container_begins_without_a_comma),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

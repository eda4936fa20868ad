/* The grammar of RFC 8259, case by case: each value stands as a member of the root object. What is
 * a fault must be one in any pieces, and yyjson must agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "json/scan.h"
#include "json/tree.h"

struct sample {
    const char *text;
    size_t len;
};

#define SAMPLE(literal)                                                                            \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

static const struct sample good[] = {
    SAMPLE("0"),
    SAMPLE("-0"),
    SAMPLE("-0.0"),
    SAMPLE("1e5"),
    SAMPLE("1E+5"),
    SAMPLE("1.5e-5"),
    SAMPLE("0e0"),
    SAMPLE("123456789012345678901234567890"),
    SAMPLE("true"),
    SAMPLE("false"),
    SAMPLE("null"),
    SAMPLE("\"\""),
    SAMPLE("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\""),
    SAMPLE("\"\\uD834\\uDD1E\""),
    SAMPLE("\"\x7F\""),
    SAMPLE("\"\xC2\x80\xDF\xBF\""),
    SAMPLE("\"\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\""),
    SAMPLE("\"\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\""),
    SAMPLE("\"sixteen plain bytes and then \xE4\xB8\xAD\xE6\x96\x87 and so on and on\""),
    SAMPLE("[]"),
    SAMPLE("[ ]"),
    SAMPLE("[1, 2 ,3]"),
    SAMPLE("[[[]],{},[{}]]"),
    SAMPLE("{}"),
    SAMPLE("{ }"),
    SAMPLE("{\"a\":1,\"a\":2}"),
    SAMPLE("{\"\":{\"b\":[null,true,-1.5e+3,\"x\"]}}"),
    SAMPLE(" \t\r\n [ \t\r\n 1 \t\r\n ] \t\r\n "),
};

static const struct sample bad[] = {
    SAMPLE(""),
    SAMPLE("01"),
    SAMPLE("-01"),
    SAMPLE("+1"),
    SAMPLE("-"),
    SAMPLE("--1"),
    SAMPLE("-a"),
    SAMPLE("1."),
    SAMPLE(".5"),
    SAMPLE("1.e5"),
    SAMPLE("1e"),
    SAMPLE("1e+"),
    SAMPLE("1ea"),
    SAMPLE("1.5.5"),
    SAMPLE("1e5.5"),
    SAMPLE("1e5e5"),
    SAMPLE("0x10"),
    SAMPLE("1a"),
    SAMPLE("1 2"),
    SAMPLE("Infinity"),
    SAMPLE("NaN"),
    SAMPLE("-Infinity"),
    SAMPLE("True"),
    SAMPLE("tru"),
    SAMPLE("truee"),
    SAMPLE("nul"),
    SAMPLE("nil"),
    SAMPLE("fals"),
    SAMPLE("'a'"),
    SAMPLE("a"),
    SAMPLE("\"a"),
    SAMPLE("\"\\x41\""),
    SAMPLE("\"\\"
           "u12\""),
    SAMPLE("\"\\"
           "u12G4\""),
    SAMPLE("\"\\\""),
    SAMPLE("\"\\a\""),
    SAMPLE("\"\\\0\""),
    SAMPLE("\"a\nb\""),
    SAMPLE("\"a\tb\""),
    SAMPLE("\"a\0b\""),
    SAMPLE("\"\x1F\""),
    SAMPLE("\"\x80\""),
    SAMPLE("\"\xC0\x80\""),
    SAMPLE("\"\xC1\xBF\""),
    SAMPLE("\"\xC3\""),
    SAMPLE("\"\xC3(\""),
    SAMPLE("\"\xE0\x9F\xBF\""),
    SAMPLE("\"\xE2\x82\""),
    SAMPLE("\"\xE2(\xA1\""),
    SAMPLE("\"\xED\xA0\x80\""),
    SAMPLE("\"\xF0\x8F\xBF\xBF\""),
    SAMPLE("\"\xF4\x90\x80\x80\""),
    SAMPLE("\"\xF5\x80\x80\x80\""),
    SAMPLE("\"\xFE\""),
    SAMPLE("\"\xFF\""),
    SAMPLE("\xE4\xB8\xAD"),
    SAMPLE("["),
    SAMPLE("[1"),
    SAMPLE("[1,"),
    SAMPLE("[1,]"),
    SAMPLE("[,1]"),
    SAMPLE("[1,,2]"),
    SAMPLE("\"ab\\,\""),
    SAMPLE("[{,\"a\":1}]"),
    SAMPLE("[1 2]"),
    SAMPLE("[1}"),
    SAMPLE("[\"a\":1]"),
    SAMPLE("{"),
    SAMPLE("{]"),
    SAMPLE("{\"a\"}"),
    SAMPLE("{\"a\":}"),
    SAMPLE("{\"a\":1,}"),
    SAMPLE("{\"a\":1 \"b\":2}"),
    SAMPLE("{\"a\",1}"),
    SAMPLE("{a:1}"),
    SAMPLE("{1:1}"),
    SAMPLE("{\"a\"::1}"),
    SAMPLE("{,\"a\":1}"),
    SAMPLE("]"),
    SAMPLE("}"),
    SAMPLE("1]"),
    SAMPLE("1}"),
    SAMPLE("1,"),
    SAMPLE("// x\n1"),
    SAMPLE("/* x */1"),
    SAMPLE("\xC2\xA0"
           "1"),
    SAMPLE("\f1"),
    SAMPLE("1\0"),
};

static const struct json_watchlist nothing = {.count = 0};

/* Strings below "a" are text that counts. */
static const struct json_watch rows[] = {{SPAN_INIT("a"), -1, JSON_ANY, JSON_COUNTED, 0, 0}};
static const struct span text_names[] = {SPAN_INIT("t")};
static const struct json_watchlist texts = {
    .rows = rows,
    .count = 1,
    .text_names = text_names,
    .text_name_count = 1,
    .root_marks = JSON_MARK("a"),
    .text_marks = JSON_MARK("t"),
};

static enum json_fault scan(const struct json_watchlist *list, const char *text, size_t len,
                            size_t piece)
{
    struct json_kinds kinds = {.texts = 0};
    struct json_scan scan;

    json_scan_init(&scan, list, 64);
    json_scan_count_kinds(&scan, &kinds);
    for (size_t at = 0; at < len; at += piece)
        (void)json_scan_feed(&scan, span_of(text + at, len - at < piece ? len - at : piece));
    (void)json_scan_finish(&scan);
    return scan.fault;
}

static bool yyjson_takes(const char *text, size_t len)
{
    struct json_tree tree;
    bool is_good = json_tree_read(&tree, span_of(text, len), 1 << 20) == 0;

    json_tree_fini(&tree);
    return is_good;
}

static void put(char *text, size_t *len, const char *bytes, size_t count)
{
    memcpy(text + *len, bytes, count);
    *len += count;
}

static void check_between(const struct sample *sample, const char *before, const char *after,
                          bool is_good)
{
    char text[256];
    size_t len = 0;

    put(text, &len, before, strlen(before));
    put(text, &len, sample->text, sample->len);
    put(text, &len, after, strlen(after));
    assert_int_equal(yyjson_takes(text, len), is_good);
    for (size_t piece = 1; piece <= len; piece++) {
        if ((scan(&nothing, text, len, piece) == JSON_FAULT_NONE) != is_good ||
            (scan(&texts, text, len, piece) == JSON_FAULT_NONE) != is_good)
            fail_msg("in pieces of %zu: %.*s", piece, (int)len, text);
    }
}

/* As a member's value, as text and as items. */
static void check(const struct sample *sample, bool is_good)
{
    check_between(sample, "{\"a\":", "}", is_good);
    check_between(sample, "{\"a\":", ",\"b\":1}", is_good);
    check_between(sample, "{\"a\":[{\"t\":", "}]}", is_good);
    check_between(sample, "{\"a\":{\"t\":", ",\"t\":\"x\"}}", is_good);
    check_between(sample, "{\"a\":[", "]}", is_good || sample->len == 0);
    check_between(sample, "{\"a\":[0, ", " ,\"b\"]}", is_good);
}

static void test_what_is_json_passes(void **state)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        check(&good[i], true);
}

static void test_what_is_not_is_a_fault(void **state)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check(&bad[i], false);
}

/* The grammar allows them, and what a provider makes of them is its own affair. */
static void test_unpaired_surrogates_pass(void **state)
{
    static const char text[] = "{\"a\":\"\\ud800 \\udc00 \\ud800\\ud800\"}";

    for (size_t piece = 1; piece < sizeof(text); piece++)
        assert_int_equal(scan(&nothing, text, sizeof(text) - 1, piece), JSON_FAULT_NONE);
}

/* Every byte in a string, at every place of the blocks that are looked at together. */
static void test_every_byte_at_every_place(void **state)
{
    enum { BEFORE = 6, BYTES = 150, LEN = BEFORE + BYTES + 2 };
    char text[LEN];

    for (unsigned c = 0; c < 256; c++) {
        for (size_t at = 0; at < BYTES; at++) {
            bool is_good;

            memset(text, 'x', sizeof(text));
            memcpy(text, "{\"a\":\"", BEFORE);
            memcpy(text + LEN - 2, "\"}", 2);
            text[BEFORE + at] = (char)c;
            is_good = yyjson_takes(text, LEN);
            assert_int_equal(scan(&nothing, text, LEN, LEN) == JSON_FAULT_NONE, is_good);
            assert_int_equal(scan(&texts, text, LEN, LEN) == JSON_FAULT_NONE, is_good);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_json_passes),
        cmocka_unit_test(test_what_is_not_is_a_fault),
        cmocka_unit_test(test_unpaired_surrogates_pass),
        cmocka_unit_test(test_every_byte_at_every_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

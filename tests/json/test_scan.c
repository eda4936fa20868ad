/* What the scanner sees of watched members, in whatever pieces the body comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "json/scan.h"

enum { MODEL, STREAM, OPTIONS, COUNT, MESSAGES, DETAIL, CHOICES, INCLUDE, INDEX, FINISH, ROWS };

static const struct json_watch rows[ROWS] = {
    [MODEL] = {SPAN_INIT("model"), -1, JSON_STRING | JSON_NULL, JSON_UNIQUE, 0, 0},
    [STREAM] = {SPAN_INIT("stream"), -1, JSON_BOOL | JSON_NULL, JSON_UNIQUE, 0, 0},
    [OPTIONS] = {SPAN_INIT("stream_options"), -1, JSON_OBJECT | JSON_NULL, JSON_UNIQUE, INCLUDE,
                 JSON_MARK("include_usage")},
    [COUNT] = {SPAN_INIT("n"), -1, JSON_NUMBER | JSON_NULL, 0, 0, 0},
    [MESSAGES] = {SPAN_INIT("messages"), -1, JSON_ANY, JSON_COUNTED, 0, 0},
    [DETAIL] = {SPAN_INIT("detail"), -1, JSON_ANY, 0, 0, 0},
    [CHOICES] = {SPAN_INIT("choices"), -1, JSON_ANY, JSON_PER_ITEM, INDEX,
                 JSON_MARK("index") | JSON_MARK("finish_reason")},
    [INCLUDE] = {SPAN_INIT("include_usage"), OPTIONS, JSON_BOOL | JSON_NULL, JSON_UNIQUE, 0, 0},
    [INDEX] = {SPAN_INIT("index"), CHOICES, JSON_ANY, 0, 0, 0},
    [FINISH] = {SPAN_INIT("finish_reason"), CHOICES, JSON_ANY, 0, 0, 0},
};
static const struct span text_names[] = {SPAN_INIT("content"), SPAN_INIT("text")};
static const struct json_watchlist list = {
    .rows = rows,
    .count = ROWS,
    .text_names = text_names,
    .text_name_count = 2,
    .root_marks = JSON_MARK("model") | JSON_MARK("stream") | JSON_MARK("stream_options") |
                  JSON_MARK("n") | JSON_MARK("messages") | JSON_MARK("choices") |
                  JSON_MARK("detail"),
    .text_marks = JSON_MARK("content") | JSON_MARK("text"),
};

struct look {
    struct json_scan scan;
    char model[24];
    char detail[40];
    char items[128];
};

static void note_item(void *context, int row)
{
    struct look *look = context;
    const struct json_seen *seen = look->scan.seen;
    size_t len = strlen(look->items);

    snprintf(look->items + len, sizeof(look->items) - len, "[%d:%d:%d]", row,
             seen[INDEX].type ? (int)seen[INDEX].number : -1, seen[FINISH].type);
}

static void begin(struct look *look, unsigned max_depth)
{
    memset(look, 0xA5, sizeof(*look));
    json_scan_init(&look->scan, &list, max_depth);
    json_scan_capture(&look->scan, MODEL, look->model, sizeof(look->model));
    json_scan_capture(&look->scan, DETAIL, look->detail, sizeof(look->detail));
    look->scan.on_item = note_item;
    look->scan.context = look;
    look->items[0] = '\0';
}

/* Each piece in a block of its own, so that a sanitizer sees a byte read too far. */
static int feed(struct look *look, const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);
    int err;

    assert_non_null(copy);
    memcpy(copy, text, len);
    err = json_scan_feed(&look->scan, span_of(copy, len));
    free(copy);
    return err;
}

static void assert_same(const struct look *a, const struct look *b)
{
    const struct json_scan *x = &a->scan, *y = &b->scan;

    assert_int_equal(x->fault, y->fault);
    assert_int_equal(x->fault_row, y->fault_row);
    if (x->fault != JSON_FAULT_UTF8)
        assert_int_equal(x->fault_at, y->fault_at);
    if (x->fault)
        return;
    assert_int_equal(x->root_start, y->root_start);
    assert_int_equal(x->root_is_empty, y->root_is_empty);
    assert_int_equal(x->text_chars, y->text_chars);
    assert_int_equal(x->text_bytes, y->text_bytes);
    assert_int_equal(x->text_numbers, y->text_numbers);
    assert_string_equal(a->items, b->items);
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(x->seen[i].start, y->seen[i].start);
        assert_int_equal(x->seen[i].end, y->seen[i].end);
        assert_int_equal(x->seen[i].number, y->seen[i].number);
        assert_int_equal(x->seen[i].type, y->seen[i].type);
        assert_int_equal(x->seen[i].text_len, y->seen[i].text_len);
        assert_int_equal(x->seen[i].is_true, y->seen[i].is_true);
        assert_int_equal(x->seen[i].is_whole, y->seen[i].is_whole);
        assert_int_equal(x->seen[i].is_integer, y->seen[i].is_integer);
        assert_int_equal(x->seen[i].is_empty, y->seen[i].is_empty);
        assert_int_equal(x->seen[i].is_escaped, y->seen[i].is_escaped);
        assert_int_equal(x->seen[i].is_cut, y->seen[i].is_cut);
        assert_int_equal(x->seen[i].is_twice, y->seen[i].is_twice);
    }
    assert_true(span_is_equal(json_scan_text(x, MODEL), json_scan_text(y, MODEL)));
    assert_true(span_is_equal(json_scan_text(x, DETAIL), json_scan_text(y, DETAIL)));
}

/* Scans the text whole into *look, and again cut at each byte, and byte by byte: all must agree. */
static int scan_deep(struct look *look, const char *text, size_t len, unsigned max_depth)
{
    struct look other;
    int err;

    begin(look, max_depth);
    (void)feed(look, text, len);
    err = json_scan_finish(&look->scan);
    for (size_t cut = 0; cut <= len; cut++) {
        begin(&other, max_depth);
        (void)feed(&other, text, cut);
        (void)feed(&other, text + cut, len - cut);
        assert_int_equal(json_scan_finish(&other.scan), err);
        assert_same(look, &other);
    }
    begin(&other, max_depth);
    for (size_t i = 0; i < len; i++)
        (void)feed(&other, text + i, 1);
    assert_int_equal(json_scan_finish(&other.scan), err);
    assert_same(look, &other);
    return err;
}

static int scan(struct look *look, const char *text)
{
    return scan_deep(look, text, strlen(text), 64);
}

static void assert_fault(const char *text, enum json_fault fault, uint64_t at)
{
    struct look look;

    assert_int_equal(scan(&look, text), ERR_SYNTAX);
    assert_int_equal(look.scan.fault, fault);
    assert_int_equal(look.scan.fault_at, at);
}

static void test_finds_watched_members(void **state)
{
    static const char text[] = "{\"model\" : \"gpt-4.1\",\"stream\":true, \"n\":3,"
                               "\"stream_options\":{\"x\":1,\"include_usage\":false}}";
    struct look look;
    const struct json_seen *seen = look.scan.seen;

    assert_int_equal(scan(&look, text), 0);
    assert_memory_equal(json_scan_text(&look.scan, MODEL).ptr, "gpt-4.1", 7);
    assert_int_equal(json_scan_text(&look.scan, MODEL).len, 7);
    assert_memory_equal(text + seen[MODEL].start, "\"gpt-4.1\"", 9);
    assert_int_equal(seen[MODEL].end - seen[MODEL].start, 9);
    assert_true(seen[STREAM].is_true);
    assert_int_equal(seen[COUNT].number, 3);
    assert_true(seen[COUNT].is_integer);
    assert_int_equal(text[seen[OPTIONS].start], '{');
    assert_int_equal(text[seen[OPTIONS].end - 1], '}');
    assert_false(seen[OPTIONS].is_empty);
    assert_int_equal(seen[INCLUDE].type, JSON_BOOL);
    assert_false(seen[INCLUDE].is_true);
    assert_memory_equal(text + seen[INCLUDE].start, "false", 5);
    assert_int_equal(look.scan.root_start, 1);
    assert_false(look.scan.root_is_empty);
}

static void test_absent_members_are_not_seen(void **state)
{
    struct look look;

    assert_int_equal(scan(&look, "  {}\r\n"), 0);
    assert_true(look.scan.root_is_empty);
    assert_int_equal(look.scan.root_start, 3);
    for (int i = 0; i < ROWS; i++)
        assert_int_equal(look.scan.seen[i].type, 0);
    assert_int_equal(json_scan_text(&look.scan, MODEL).len, 0);
}

static void test_names_count_only_where_they_stand(void **state)
{
    struct look look;

    assert_int_equal(scan(&look, "{\"a\":{\"model\":1,\"stream\":\"x\"},\"include_usage\":7,"
                                 "\"b\":[{\"model\":2}],\"modelx\":1,\"mode\":2,\"\":3,"
                                 "\"stream_options\":{\"model\":3,\"y\":{\"include_usage\":4}}}"),
                     0);
    assert_int_equal(look.scan.seen[MODEL].type, 0);
    assert_int_equal(look.scan.seen[STREAM].type, 0);
    assert_int_equal(look.scan.seen[INCLUDE].type, 0);
    assert_int_equal(look.scan.seen[OPTIONS].type, JSON_OBJECT);
}

static void test_escaped_names_are_understood(void **state)
{
    struct look look;

    assert_int_equal(scan(&look, "{\"\\u006dodel\":\"m\",\"strea\\u006D\":true}"), 0);
    assert_int_equal(json_scan_text(&look.scan, MODEL).len, 1);
    assert_true(look.scan.seen[STREAM].is_true);
}

static void test_duplicates_are_refused(void **state)
{
    struct look look;

    assert_int_equal(scan(&look, "{\"model\":\"a\",\"model\":\"b\"}"), ERR_SYNTAX);
    assert_int_equal(look.scan.fault, JSON_FAULT_DUPLICATE);
    assert_int_equal(look.scan.fault_row, MODEL);
    assert_int_equal(scan(&look, "{\"model\":\"a\",\"mod\\u0065l\":\"b\"}"), ERR_SYNTAX);
    assert_int_equal(look.scan.fault, JSON_FAULT_DUPLICATE);
    assert_int_equal(scan(&look, "{\"stream\":null,\"stream\":true}"), ERR_SYNTAX);
    assert_int_equal(look.scan.fault_row, STREAM);
    assert_int_equal(
        scan(&look, "{\"stream_options\":{\"include_usage\":true,\"include_usage\":true}}"),
        ERR_SYNTAX);
    assert_int_equal(look.scan.fault_row, INCLUDE);
    /* Of others the last one counts. */
    assert_int_equal(scan(&look, "{\"n\":1,\"n\":2}"), 0);
    assert_int_equal(look.scan.seen[COUNT].number, 2);
    assert_true(look.scan.seen[COUNT].is_twice);
}

static void test_wrong_types_name_their_field(void **state)
{
    static const struct {
        const char *text;
        int row;
        enum json_type type;
    } cases[] = {
        {"{\"model\":7}", MODEL, JSON_NUMBER},
        {"{\"model\":[\"a\"]}", MODEL, JSON_ARRAY},
        {"{\"stream\":\"true\"}", STREAM, JSON_STRING},
        {"{\"stream\":1}", STREAM, JSON_NUMBER},
        {"{\"stream_options\":true}", OPTIONS, JSON_BOOL},
        {"{\"stream_options\":{\"include_usage\":{}}}", INCLUDE, JSON_OBJECT},
        {"{\"n\":\"1\"}", COUNT, JSON_STRING},
    };
    struct look look;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(scan(&look, cases[i].text), ERR_SYNTAX);
        assert_int_equal(look.scan.fault, JSON_FAULT_TYPE);
        assert_int_equal(look.scan.fault_row, cases[i].row);
        assert_int_equal(look.scan.fault_type, cases[i].type);
    }
}

static void test_values_are_decoded(void **state)
{
    struct look look;

    assert_int_equal(scan(&look, "{\"model\":\"a\\n\\u00e9\\ud83d\\ude00\\\"/\\/\"}"), 0);
    assert_int_equal(json_scan_text(&look.scan, MODEL).len, 11);
    assert_memory_equal(look.model, "a\n\xC3\xA9\xF0\x9F\x98\x80\"//", 11);
    assert_true(look.scan.seen[MODEL].is_escaped);
    /* Halves of surrogate pairs, in all company. */
    assert_int_equal(scan(&look, "{\"model\":\"\\ud83dx\\ud83d\\n\\ude00\\ud83d\\ud83d\"}"), 0);
    assert_memory_equal(look.model,
                        "\xEF\xBF\xBDx\xEF\xBF\xBD\n\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", 17);
    assert_int_equal(json_scan_text(&look.scan, MODEL).len, 17);
    assert_int_equal(scan(&look, "{\"model\":\"\"}"), 0);
    assert_true(look.scan.seen[MODEL].is_empty);
}

static void test_captures_are_cut_at_whole_characters(void **state)
{
    struct look look;

    assert_int_equal(scan(&look, "{\"model\":\"0123456789012345678901\xC3\xA9\"}"), 0);
    assert_int_equal(json_scan_text(&look.scan, MODEL).len, 24);
    assert_false(look.scan.seen[MODEL].is_cut);
    assert_int_equal(scan(&look, "{\"model\":\"01234567890123456789012\xC3\xA9zzz\"}"), 0);
    assert_int_equal(json_scan_text(&look.scan, MODEL).len, 23);
    assert_true(look.scan.seen[MODEL].is_cut);
    assert_int_equal(scan(&look, "{\"model\":\"012345678901234567890\\ud83d\\ude00\"}"), 0);
    assert_int_equal(json_scan_text(&look.scan, MODEL).len, 21);
}

static void assert_detail(const char *value, const char *captured)
{
    char text[128];
    struct look look;

    snprintf(text, sizeof(text), "{\"detail\": %s , \"z\":[1]}", value);
    assert_int_equal(scan(&look, text), 0);
    assert_int_equal(json_scan_text(&look.scan, DETAIL).len, strlen(captured));
    assert_memory_equal(look.detail, captured, strlen(captured));
}

static void test_other_values_are_captured_as_spelled(void **state)
{
    assert_detail("{\"a\": [1, {}], \"b\":\"\\u0041\"}", "{\"a\": [1, {}], \"b\":\"\\u0041\"}");
    assert_detail("[[], [[]]]", "[[], [[]]]");
    assert_detail("-12.5e3", "-12.5e3");
    assert_detail("null", "null");
    assert_detail("\"te\\u0078t\"", "text");
    assert_detail("{\"a\":\"0123456789012345678901234567890123456789\"}",
                  "{\"a\":\"0123456789012345678901234567890123");
}

static void assert_number(const char *value, int64_t number, bool is_integer)
{
    char text[96];
    struct look look;

    snprintf(text, sizeof(text), "{\"n\":%s}", value);
    assert_int_equal(scan(&look, text), 0);
    assert_int_equal(look.scan.seen[COUNT].number, number);
    assert_int_equal(look.scan.seen[COUNT].is_integer, is_integer);
}

static void test_numbers(void **state)
{
    assert_number("0", 0, true);
    assert_number("-0", 0, true);
    assert_number("-17", -17, true);
    assert_number("2.5", 2, false);
    assert_number("0.5", 0, false);
    assert_number("3e2", 3, false);
    assert_number("9223372036854775807", INT64_MAX, true);
    assert_number("9223372036854775808", INT64_MAX, true);
    assert_number("-99999999999999999999999", -INT64_MAX, true);
}

static void test_counts_the_text_of_messages(void **state)
{
    struct look look;

    assert_int_equal(
        scan(&look,
             "{\"messages\":[{\"role\":\"user\",\"content\":\"h\xC3\xA9llo\\n\"},"
             "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\\ud83d\\ude00\"},"
             "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:xxxxxxxx\"}}]}],"
             "\"content\":\"not this\",\"other\":[\"nor this\"]}"),
        0);
    assert_int_equal(look.scan.text_chars, 7);
    assert_int_equal(look.scan.text_bytes, 11);
    assert_int_equal(scan(&look, "{\"messages\":\"plain\"}"), 0);
    assert_int_equal(look.scan.text_chars, 5);
    assert_int_equal(scan(&look, "{\"messages\":[\"ab\",[\"c\"],[1,2],3]}"), 0);
    assert_int_equal(look.scan.text_chars, 3);
    assert_int_equal(look.scan.text_numbers, 3);
}

static void test_the_table_is_sound(void **state)
{
    struct json_watch odd[ROWS];
    struct json_watchlist of_odd = list;

    assert_true(json_watchlist_is_sound(&list));
    of_odd.text_marks = 1;
    assert_false(json_watchlist_is_sound(&of_odd));
    of_odd = list;
    of_odd.rows = odd;
    memcpy(odd, rows, sizeof(odd));
    odd[CHOICES].below = FINISH;
    assert_false(json_watchlist_is_sound(&of_odd));
    memcpy(odd, rows, sizeof(odd));
    odd[OPTIONS].below = 0;
    assert_false(json_watchlist_is_sound(&of_odd));
    memcpy(odd, rows, sizeof(odd));
    odd[CHOICES].marks = JSON_MARK("index");
    assert_false(json_watchlist_is_sound(&of_odd));
    memcpy(odd, rows, sizeof(odd));
    odd[FINISH].parent = -1;
    assert_false(json_watchlist_is_sound(&of_odd));
}

static void test_tells_the_items_of_an_array(void **state)
{
    struct look look;

    assert_int_equal(scan(&look,
                          "{\"choices\":[{\"index\":0,\"finish_reason\":null},"
                          "{\"finish_reason\":\"stop\",\"x\":{\"index\":9}},[{\"index\":2}]],"
                          "\"index\":5}"),
                     0);
    assert_string_equal(look.items, "[6:0:1][6:-1:8][6:2:0]");
    assert_true(look.scan.seen[CHOICES].is_whole);
    assert_int_equal(look.scan.seen[INDEX].type, 0);
    assert_int_equal(scan(&look, "{\"choices\":[]}"), 0);
    assert_true(look.scan.seen[CHOICES].is_empty);
}

enum { LIST, PART, LEAF };

struct parts {
    struct json_scan scan;
    unsigned items;
};

/* The first item alone has a part. */
static void note_part(void *context, int row)
{
    struct parts *parts = context;

    assert_int_equal(row, LIST);
    assert_int_equal(parts->scan.seen[PART].type, parts->items ? 0 : JSON_OBJECT);
    assert_int_equal(parts->scan.seen[LEAF].type, parts->items ? 0 : JSON_NUMBER);
    parts->items++;
}

/* What stood within a part of one item is not taken for the next one's. */
static void test_items_are_forgotten_to_any_depth(void **state)
{
    static const struct json_watch deep[] = {
        [LIST] = {SPAN_INIT("list"), -1, JSON_ANY, JSON_PER_ITEM, PART, JSON_MARK("part")},
        [PART] = {SPAN_INIT("part"), LIST, JSON_ANY, 0, LEAF, JSON_MARK("leaf")},
        [LEAF] = {SPAN_INIT("leaf"), PART, JSON_ANY, 0, 0, 0},
    };
    static const struct json_watchlist list_of_parts = {
        .rows = deep, .count = 3, .root_marks = JSON_MARK("list")};
    struct parts parts = {.items = 0};

    assert_true(json_watchlist_is_sound(&list_of_parts));
    json_scan_init(&parts.scan, &list_of_parts, 16);
    parts.scan.on_item = note_part;
    parts.scan.context = &parts;
    assert_int_equal(json_scan_feed(&parts.scan, SPAN("{\"list\":[{\"part\":{\"leaf\":1}},"
                                                      "{\"other\":2}]}")),
                     0);
    assert_int_equal(json_scan_finish(&parts.scan), 0);
    assert_int_equal(parts.items, 2);
}

static void test_depth_is_limited(void **state)
{
    struct look look;

    assert_int_equal(scan_deep(&look, "{\"a\":[{}]}", 10, 3), 0);
    assert_int_equal(scan_deep(&look, "{\"a\":[{}]}", 10, 2), ERR_SYNTAX);
    assert_int_equal(look.scan.fault, JSON_FAULT_DEPTH);
    assert_int_equal(look.scan.fault_at, 6);
}

static void test_the_greatest_depth(void **state)
{
    enum { BYTES = 2 * JSON_DEPTH_MAX + 8 };
    char text[BYTES];
    struct look look;
    size_t len = 0;

    memcpy(text, "{\"a\":", 5);
    len = 5;
    memset(text + len, '[', JSON_DEPTH_MAX - 1);
    memset(text + len + JSON_DEPTH_MAX - 1, ']', JSON_DEPTH_MAX - 1);
    len += 2 * (JSON_DEPTH_MAX - 1);
    text[len++] = '}';
    begin(&look, JSON_DEPTH_MAX);
    assert_int_equal(feed(&look, text, len), 0);
    assert_int_equal(json_scan_finish(&look.scan), 0);
}

static void test_faults_say_where(void **state)
{
    assert_fault("", JSON_FAULT_EMPTY, 0);
    assert_fault(" \n\t ", JSON_FAULT_EMPTY, 4);
    assert_fault("x", JSON_FAULT_SYNTAX, 0);
    assert_fault("[1]", JSON_FAULT_NOT_OBJECT, 0);
    assert_fault(" \"model\"", JSON_FAULT_NOT_OBJECT, 1);
    assert_fault("{\"a\":1} x", JSON_FAULT_TRAILING, 8);
    assert_fault("{}{}", JSON_FAULT_TRAILING, 2);
    assert_fault("{\"a\":1", JSON_FAULT_CUT, 6);
    assert_fault("{\"a", JSON_FAULT_CUT, 3);
    assert_fault("{\"a\":tru", JSON_FAULT_CUT, 8);
    assert_fault("{\"a\":trux}", JSON_FAULT_SYNTAX, 8);
    assert_fault("{\"a\" 1}", JSON_FAULT_SYNTAX, 5);
    assert_fault("{\"a\":\"\xFF\"}", JSON_FAULT_UTF8, 6);
    assert_fault("\xEF\xBB\xBF{}", JSON_FAULT_SYNTAX, 0);
}

static void test_nothing_is_read_after_a_fault(void **state)
{
    struct look look;

    begin(&look, 8);
    assert_int_equal(feed(&look, "{]", 2), ERR_SYNTAX);
    assert_int_equal(feed(&look, "{}", 2), ERR_SYNTAX);
    assert_int_equal(look.scan.fault_at, 1);
    assert_int_equal(json_scan_finish(&look.scan), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_watched_members),
        cmocka_unit_test(test_absent_members_are_not_seen),
        cmocka_unit_test(test_names_count_only_where_they_stand),
        cmocka_unit_test(test_escaped_names_are_understood),
        cmocka_unit_test(test_duplicates_are_refused),
        cmocka_unit_test(test_wrong_types_name_their_field),
        cmocka_unit_test(test_values_are_decoded),
        cmocka_unit_test(test_captures_are_cut_at_whole_characters),
        cmocka_unit_test(test_other_values_are_captured_as_spelled),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_counts_the_text_of_messages),
        cmocka_unit_test(test_the_table_is_sound),
        cmocka_unit_test(test_tells_the_items_of_an_array),
        cmocka_unit_test(test_items_are_forgotten_to_any_depth),
        cmocka_unit_test(test_depth_is_limited),
        cmocka_unit_test(test_the_greatest_depth),
        cmocka_unit_test(test_faults_say_where),
        cmocka_unit_test(test_nothing_is_read_after_a_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

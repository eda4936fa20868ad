/* obs/line and obs/log_line: numbers, escapes, time, whole program lines. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rand.h"
#include "obs/line.h"
#include "obs/log_line.h"

static void expect_json(struct span text, const char *wanted)
{
    char out[1024];
    char *end = line_put_json(out, text);

    assert_in_range(end - out, 0, text.len * LINE_BYTES_PER_BYTE);
    *end = '\0';
    assert_string_equal(out, wanted);
}

static void expect_plain(struct span text, const char *wanted)
{
    char out[1024];

    *line_put_value(out, text) = '\0';
    assert_string_equal(out, wanted);
}

static void writes_numbers(void **state)
{
    const uint64_t numbers[] = {0, 1, 9, 10, 99, 100, 12345, UINT32_MAX, UINT64_MAX};
    char out[LINE_NUMBER_BYTES + 1], wanted[LINE_NUMBER_BYTES + 1];

    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        *line_put_uint(out, numbers[i]) = '\0';
        snprintf(wanted, sizeof(wanted), "%" PRIu64, numbers[i]);
        assert_string_equal(out, wanted);
        *line_put_int(out, (int64_t)numbers[i]) = '\0';
        snprintf(wanted, sizeof(wanted), "%" PRId64, (int64_t)numbers[i]);
        assert_string_equal(out, wanted);
    }
    *line_put_int(out, INT64_MIN) = '\0';
    assert_string_equal(out, "-9223372036854775808");
}

static void escapes_what_json_forbids(void **state)
{
    expect_json(SPAN(""), "");
    expect_json(SPAN("plain text, longer than one word"), "plain text, longer than one word");
    expect_json(SPAN("a\"b\\c"), "a\\\"b\\\\c");
    expect_json(SPAN("\n\r\t"), "\\n\\r\\t");
    expect_json(span_of("\0\x1f", 2), "\\u0000\\u001f");
    expect_json(SPAN("a/b\x7f"), "a/b\x7f");
}

/* Wherever the special byte stands, and however long the text is. */
static void finds_a_special_byte_at_every_place(void **state)
{
    const char specials[] = {'"', '\\', '\n', '\r', '\t'};
    const char escapes[] = {'"', '\\', 'n', 'r', 't'};

    for (size_t len = 1; len < 40; len++) {
        for (size_t at = 0; at < len * sizeof(specials); at++) {
            size_t place = at % len, which = at / len;
            char text[40], out[300];
            char *end;

            memset(text, 'x', len);
            text[place] = specials[which];
            end = line_put_json(out, span_of(text, len));
            assert_int_equal(end - out, len + 1);
            assert_int_equal(out[place], '\\');
            assert_int_equal(out[place + 1], escapes[which]);
        }
    }
}

static void keeps_utf8_and_replaces_what_is_none(void **state)
{
    expect_json(SPAN("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x94"),
                "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x94");
    expect_json(SPAN("a\xff"
                     "b"),
                "a\xef\xbf\xbd"
                "b");
    expect_json(SPAN("\xc3"), "\xef\xbf\xbd");
    expect_json(SPAN("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd");                 /* overlong */
    expect_json(SPAN("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* a surrogate */
    expect_json(SPAN("\xf4\x90\x80\x80"),
                "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* past U+10FFFF */
    expect_json(SPAN("\xe2\x82x"), "\xef\xbf\xbd\xef\xbf\xbdx");
}

static void quotes_values_that_need_it(void **state)
{
    expect_plain(SPAN("gpt-4.1"), "gpt-4.1");
    expect_plain(SPAN("two words"), "\"two words\"");
    expect_plain(SPAN("a=b"), "\"a=b\"");
    expect_plain(SPAN("line\nbreak"), "\"line\\nbreak\"");
    expect_plain(SPAN(""), "\"\"");
}

static void keeps_the_second_and_writes_the_milliseconds(void **state)
{
    struct line_clock clock = {0};
    struct rand rand;
    char wanted[RFC3339_BYTES];
    uint64_t wall_us = 1795169700 * US_PER_SEC;

    rand_init(&rand, 1);
    for (int i = 0; i < 10000; i++) {
        wall_us += rand_below(&rand, 400000);
        datetime_write_rfc3339(wall_us, wanted);
        assert_memory_equal(line_clock_text(&clock, wall_us), wanted, RFC3339_BYTES);
    }
    datetime_write_rfc3339(0, wanted);
    assert_memory_equal(line_clock_text(&clock, 0), wanted, RFC3339_BYTES);
    assert_memory_equal(line_clock_text(&(struct line_clock){0}, 0), wanted, RFC3339_BYTES);
}

static void expect_line(enum log_format format, const struct log_line *line, const char *wanted)
{
    char out[LOG_LINE_BYTES + 1];
    char *end = log_line_put(out, format, line);

    assert_in_range(end - out, 1, LOG_LINE_BYTES);
    *end = '\0';
    assert_string_equal(out, wanted);
}

static void writes_program_lines(void **state)
{
    const struct log_field *fields[] = {
        LOG_SPAN("key", SPAN("deepseek 1")), LOG_UINT("failures", 5), LOG_INT("delta", -3),
        LOG_BOOL("is_last", false),          LOG_TEXT("note", NULL),
    };
    struct log_line line = {.time = "2026-11-20T10:15:00.123Z",
                            .level = LOG_LEVEL_WARNING,
                            .message = "key \"set\" aside",
                            .fields = fields,
                            .field_count = 5};

    expect_line(LOG_FORMAT_JSON, &line,
                "{\"time\":\"2026-11-20T10:15:00.123Z\",\"level\":\"warning\","
                "\"message\":\"key \\\"set\\\" aside\",\"key\":\"deepseek 1\",\"failures\":5,"
                "\"delta\":-3,\"is_last\":false,\"note\":\"\"}\n");
    expect_line(LOG_FORMAT_TEXT, &line,
                "2026-11-20T10:15:00.123Z warning key \\\"set\\\" aside key=\"deepseek 1\" "
                "failures=5 delta=-3 is_last=false note=\"\"\n");
    line.field_count = 0;
    line.level = LOG_LEVEL_ERROR;
    line.message = "bye";
    expect_line(
        LOG_FORMAT_JSON, &line,
        "{\"time\":\"2026-11-20T10:15:00.123Z\",\"level\":\"error\",\"message\":\"bye\"}\n");
}

/* However long its texts are and whatever they hold, a line fits and ends well. */
static void cuts_texts_so_that_the_line_stays_whole(void **state)
{
    static char junk[2 * LOG_LINE_BYTES];
    struct log_field values[LOG_MAX_FIELDS];
    const struct log_field *fields[LOG_MAX_FIELDS];
    char out[LOG_LINE_BYTES];
    char *end;

    for (int fill = 0; fill < 256; fill++) {
        struct log_line line = {.time = "2026-11-20T10:15:00.123Z",
                                .message = "long",
                                .fields = fields,
                                .field_count = LOG_MAX_FIELDS};

        memset(junk, fill, sizeof(junk));
        for (size_t i = 0; i < LOG_MAX_FIELDS; i++) {
            values[i] = *LOG_SPAN("text", span_of(junk, sizeof(junk) >> (i % 10)));
            fields[i] = &values[i];
        }
        end = log_line_put(out, LOG_FORMAT_JSON, &line);
        assert_in_range(end - out, 100, LOG_LINE_BYTES);
        assert_memory_equal(end - 3, "\"}\n", 3);
        end = log_line_put(out, LOG_FORMAT_TEXT, &line);
        assert_in_range(end - out, 100, LOG_LINE_BYTES);
        assert_int_equal(end[-1], '\n');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_numbers),
        cmocka_unit_test(escapes_what_json_forbids),
        cmocka_unit_test(finds_a_special_byte_at_every_place),
        cmocka_unit_test(keeps_utf8_and_replaces_what_is_none),
        cmocka_unit_test(quotes_values_that_need_it),
        cmocka_unit_test(keeps_the_second_and_writes_the_milliseconds),
        cmocka_unit_test(writes_program_lines),
        cmocka_unit_test(cuts_texts_so_that_the_line_stays_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Zones of the tz database (tests/conf/zones) against what Python makes of the same files;
 * files that are none; names that lead elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"
#include "conf/calendar.h"
#include "conf/zone.h"
#include "conf/zone_rule.h"

enum { PATH_BYTES = 1024 };

static const char *zones_path(char path[PATH_BYTES], const char *name)
{
    const char *root = getenv("BW_SOURCE_ROOT");

    snprintf(path, PATH_BYTES, "%s/tests/conf/zones%s", root ? root : ".", name);
    return path;
}

static struct zone *load(const char *name)
{
    struct zone *zone = NULL;

    assert_int_equal(zone_load(span_from_text(name), &zone), 0);
    return zone;
}

/* ---- against the table ---- */

/* The numbers of a line; how many there are. */
static int numbers_of(const char *line, int64_t numbers[3])
{
    char *end;
    int count = 0;

    for (line++; *line && count < 3; line = end) {
        numbers[count++] = strtoll(line, &end, 10);
        assert_true(end != line);
    }
    assert_true(*line == '\0');
    return count;
}

static void check_offset(const struct zone *zone, const char *line)
{
    int64_t numbers[3] = {0};

    assert_int_equal(numbers_of(line, numbers), 2);
    if (zone_offset_s(zone, numbers[0]) != numbers[1])
        fail_msg("%s: the offset is %d", line, (int)zone_offset_s(zone, numbers[0]));
}

static void check_times(const struct zone *zone, const char *line)
{
    int64_t numbers[3] = {0}, times[2] = {0, 0}, local_s, first_s;
    int count = numbers_of(line, numbers) - 1;

    assert_true(count >= 0);
    local_s = numbers[0];
    assert_int_equal(zone_times(zone, local_s, times), count);
    for (int i = 0; i < count; i++) {
        if (times[i] != numbers[i + 1])
            fail_msg("%s: it is %lld", line, (long long)times[i]);
    }
    first_s = zone_first_s(zone, local_s);
    if (count)
        assert_int_equal(first_s, times[0]);
    else /* the end of the gap: just before it the clocks showed less, now more */
        assert_true(first_s - 1 + zone_offset_s(zone, first_s - 1) < local_s &&
                    first_s + zone_offset_s(zone, first_s) > local_s);
}

static void test_zones_are_as_in_the_table(void **state)
{
    char path[PATH_BYTES], line[256];
    FILE *file = fopen(zones_path(path, "/table.txt"), "r");
    struct zone *zone = NULL;
    int zones = 0, lines = 0;

    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == 'z') {
            zone_free(&zone);
            zone = load(line + strlen("zone "));
            zones++;
        } else if (line[0] == 'u') {
            check_offset(zone, line);
        } else {
            check_times(zone, line);
        }
        lines++;
    }
    assert_int_equal(zones, 8);
    assert_true(lines > 7000);
    zone_free(&zone);
    fclose(file);
}

static void test_utc_needs_no_file(void **state)
{
    struct zone *zone = (struct zone *)&zone;
    int64_t times[2];

    assert_int_equal(zone_load(SPAN("UTC"), &zone), 0);
    assert_null(zone);
    assert_int_equal(zone_offset_s(NULL, 1795169700), 0);
    assert_int_equal(zone_times(NULL, 1795169700, times), 1);
    assert_int_equal(times[0], 1795169700);
    assert_int_equal(zone_first_s(NULL, -5), -5);
}

static void test_far_times_are_bounded(void **state)
{
    struct zone *zone = load("Europe/Berlin");
    int64_t times[2];

    (void)zone_offset_s(zone, INT64_MAX);
    (void)zone_offset_s(zone, INT64_MIN);
    assert_true(zone_times(zone, INT64_MAX, times) <= 2);
    assert_true(zone_times(zone, INT64_MIN, times) <= 2);
    assert_true(zone_first_s(zone, INT64_MAX) > 0 && zone_first_s(zone, INT64_MIN) < 0);
    zone_free(&zone);
    zone_free(&zone);
}

/* ---- names ---- */

static void test_names_stay_in_the_folder(void **state)
{
    static const char *const bad[] = {
        "",
        "/etc/localtime",
        "../Europe/Berlin",
        "Europe/../Berlin",
        "Europe//Berlin",
        "Europe/",
        ".",
        "Europe/Ber lin",
        "Europe/Berlin\n",
        "zone.tab",
        ":Europe/Berlin",
        "A/very/long/name/of/a/zone/that/no/file/of/the/tz/database/ever/had"};
    struct zone *zone = NULL;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(zone_load(span_from_text(bad[i]), &zone), ERR_RANGE);
    assert_int_equal(zone_load(span_of("UTC\0x", 5), &zone), ERR_RANGE);
    assert_true(zone_name_is_good(SPAN("Etc/GMT+5")));
    assert_true(zone_name_is_good(SPAN("America/Port-au-Prince")));
}

static void test_files_that_are_none(void **state)
{
    struct zone *zone = NULL;

    assert_int_equal(zone_load(SPAN("Europe/Atlantis"), &zone), ERR_NOTFOUND);
    assert_int_equal(zone_load(SPAN("Europe/Berlin/Mitte"), &zone), ERR_NOTFOUND);
    assert_int_equal(zone_load(SPAN("Europe"), &zone), ERR_NOTFOUND);
    assert_int_equal(zone_load(SPAN("make-table"), &zone), ERR_SYNTAX);
    assert_int_equal(zone_load(SPAN("big"), &zone), ERR_NOTFOUND);
    assert_null(zone);
}

/* ---- the format ---- */

struct file {
    char bytes[8192];
    size_t len;
};

static struct file read_file(const char *name)
{
    char path[PATH_BYTES];
    struct file file = {{0}, 0};
    FILE *in = fopen(zones_path(path, name), "rb");

    assert_non_null(in);
    file.len = fread(file.bytes, 1, sizeof(file.bytes), in);
    fclose(in);
    assert_true(file.len > 100);
    return file;
}

/* It has to stand on its own: the sanitizer sees every byte read beyond it. */
static int read_copy(const char *bytes, size_t len)
{
    char *copy = malloc(len ? len : 1);
    struct zone *zone = NULL;
    int err;

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    err = zone_read(span_of(copy, len), &zone);
    free(copy);
    assert_true((err == 0) == (zone != NULL));
    zone_free(&zone);
    return err;
}

static void test_cut_files_are_refused(void **state)
{
    struct file file = read_file("/Europe/Berlin");

    assert_int_equal(read_copy(file.bytes, file.len), 0);
    for (size_t len = 0; len < file.len; len++)
        assert_int_equal(read_copy(file.bytes, len), ERR_SYNTAX);
    assert_int_equal(read_copy(file.bytes, file.len + 1), ERR_SYNTAX);
}

static size_t put_u32(char *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (char)(value >> (24 - 8 * i));
    return 4;
}

/* A zone with one change, at 0, and what may be wrong with it. */
struct plan {
    char version;
    uint32_t utc_flags, standard_flags, leaps, times, types, chars;
    int32_t offset_s, times_s[2];
    char summer, name_at, index, last_char, utc_flag, standard_flag;
    const char *footer;
};

static const struct plan good = {.version = '2',
                                 .utc_flags = 1,
                                 .standard_flags = 1,
                                 .times = 2,
                                 .types = 1,
                                 .chars = 4,
                                 .offset_s = 3600,
                                 .times_s = {0, 7},
                                 .utc_flag = 1,
                                 .standard_flag = 1,
                                 .footer = "\nABC-1\n"};

static struct file write_file(const struct plan *plan)
{
    struct file file = {"TZif", 44};
    uint32_t counts[] = {plan->utc_flags, plan->standard_flags, plan->leaps,
                         plan->times,     plan->types,          plan->chars};

    /* The first block is empty, and skipped: only its counts are looked at. */
    file.bytes[4] = plan->version;
    if (plan->version != '\0') {
        memcpy(file.bytes + file.len, "TZif", 4);
        file.bytes[file.len + 4] = plan->version;
        file.len += 44;
    }
    for (size_t i = 0; i < 6; i++)
        put_u32(file.bytes + file.len - 24 + 4 * i, counts[i]);
    for (size_t i = 0; i < plan->times && i < 2; i++) {
        if (plan->version != '\0')
            file.len += put_u32(file.bytes + file.len, plan->times_s[i] < 0 ? UINT32_MAX : 0);
        file.len += put_u32(file.bytes + file.len, (uint32_t)plan->times_s[i]);
    }
    for (size_t i = 0; i < plan->times && i < 2; i++)
        file.bytes[file.len++] = plan->index;
    file.len += put_u32(file.bytes + file.len, (uint32_t)plan->offset_s);
    file.bytes[file.len++] = plan->summer;
    file.bytes[file.len++] = plan->name_at;
    memcpy(file.bytes + file.len, "ABC", 3);
    file.bytes[file.len + 3] = plan->last_char;
    file.len += 4;
    file.bytes[file.len++] = plan->standard_flag;
    file.bytes[file.len++] = plan->utc_flag;
    memcpy(file.bytes + file.len, plan->footer, strlen(plan->footer));
    file.len += strlen(plan->footer);
    return file;
}

static int read_plan(struct plan plan)
{
    struct file file = write_file(&plan);

    return read_copy(file.bytes, file.len);
}

/* One thing wrong at a time. */
#define BROKEN(member, value)                                                                      \
    {                                                                                              \
        struct plan plan = good;                                                                   \
        plan.member = (value);                                                                     \
        assert_int_equal(read_plan(plan), ERR_SYNTAX);                                             \
    }

static void test_rules_of_the_format(void **state)
{
    assert_int_equal(read_plan(good), 0);
    BROKEN(types, 0);
    BROKEN(types, 257);
    BROKEN(chars, 0);
    BROKEN(chars, UINT32_MAX);
    BROKEN(times, 3);
    BROKEN(utc_flags, 2);
    BROKEN(standard_flags, 2);
    BROKEN(offset_s, 26 * 3600 + 1);
    BROKEN(offset_s, INT32_MIN);
    BROKEN(times_s[1], 0);
    BROKEN(times_s[1], -1);
    BROKEN(summer, 2);
    BROKEN(name_at, 4);
    BROKEN(name_at, -1);
    BROKEN(index, 1);
    BROKEN(last_char, 'D');
    BROKEN(utc_flag, 2);
    BROKEN(standard_flag, 2);
    BROKEN(standard_flag, 0); /* what is given in UTC is given in standard time */
    BROKEN(footer, "");
    BROKEN(footer, "\n");
    BROKEN(footer, "\nABC-1");
    BROKEN(footer, "ABC-1\n");
    BROKEN(footer, "\nABC-2\n"); /* of the last change it says something else */
    BROKEN(footer, "\nABC-1\n\n");
}

static void test_versions(void **state)
{
    struct plan plan = good;

    for (plan.version = '2'; plan.version <= '4'; plan.version++)
        assert_int_equal(read_plan(plan), 0);
    for (const char *bad = "15a"; *bad; bad++) {
        plan.version = *bad;
        assert_int_equal(read_plan(plan), ERR_UNSUPPORTED);
    }
    plan.version = '\0';
    assert_int_equal(read_plan(plan), ERR_SYNTAX);
    plan.footer = "";
    assert_int_equal(read_plan(plan), 0);
    /* A footer that knows nothing. */
    plan = good;
    plan.footer = "\n\n";
    assert_int_equal(read_plan(plan), 0);
    /* Leap seconds, and more than any zone has. */
    plan = good;
    plan.leaps = 1;
    plan.chars = 2;
    plan.footer = "1234567890\nABC-1\n";
    assert_int_equal(read_plan(plan), ERR_UNSUPPORTED);
}

static void test_bounds(void **state)
{
    static char bytes[ZONE_FILE_MAX_BYTES + 1];
    struct zone *zone = NULL;

    assert_int_equal(zone_read(span_of(bytes, sizeof(bytes)), &zone), ERR_FULL);
    memcpy(bytes, "TZif", 4);
    put_u32(bytes + 32, ZONE_CHANGES_MAX + 1);
    put_u32(bytes + 36, 1);
    put_u32(bytes + 40, 1);
    assert_int_equal(zone_read(span_of(bytes, 44 + (ZONE_CHANGES_MAX + 1) * 5 + 6 + 1), &zone),
                     ERR_FULL);
}

/* ---- rules ---- */

static int64_t at(int64_t year, int month, int day, int hour)
{
    return calendar_day((struct calendar_date){year, month, day}) * DAY_S + hour * 3600;
}

static struct zone_rule rule_of(const char *text)
{
    struct zone_rule rule;

    assert_int_equal(zone_rule_read(span_from_text(text), true, &rule), 0);
    return rule;
}

static void expect_at(const struct zone_rule *rule, int64_t utc_s, int32_t offset_s,
                      int64_t until_s)
{
    struct zone_stretch stretch = zone_rule_at(rule, utc_s);

    assert_int_equal(stretch.offset_s, offset_s);
    assert_int_equal(stretch.until_s, until_s);
}

static void test_rules(void **state)
{
    struct zone_rule rule = rule_of("CET-1CEST,M3.5.0,M10.5.0/3");

    expect_at(&rule, at(2026, 3, 29, 1) - 1, 3600, at(2026, 3, 29, 1));
    expect_at(&rule, at(2026, 3, 29, 1), 7200, at(2026, 10, 25, 1));
    expect_at(&rule, at(2026, 10, 25, 1), 3600, at(2027, 3, 28, 1));
    /* The south: summer is over the turn of the year. */
    rule = rule_of("NZST-12NZDT,M9.5.0,M4.1.0/3");
    expect_at(&rule, at(2026, 1, 1, 0), 46800, at(2026, 4, 4, 14));
    /* Days of the year: with and without 29 February. */
    rule = rule_of("AAA0BBB,J60/0,59/24");
    expect_at(&rule, at(2027, 3, 1, 0), 3600, at(2027, 3, 1, 23));
    expect_at(&rule, at(2028, 2, 29, 22), 0, at(2028, 2, 29, 23));
    expect_at(&rule, at(2028, 2, 29, 23), 0, at(2028, 3, 1, 0));
    expect_at(&rule, at(2028, 3, 1, 0), 3600, at(2029, 3, 1, 0)); /* begins once more */
    /* Summer all the year (RFC 8536 3.3.1). */
    rule = rule_of("XXX3EDT4,0/0,J365/23");
    for (int month = 1; month <= 12; month++)
        assert_int_equal(zone_rule_at(&rule, at(2026, month, 1, 3)).offset_s, -4 * 3600);
    assert_int_equal(zone_rule_at(&rule, at(2026, 1, 1, 4)).offset_s, -4 * 3600);
    /* Minutes and seconds, quotes, winter time that is the odd one, hours beyond a day. */
    rule = rule_of("<+1245>-12:45:30<+1345>,M9.5.0/2:45,M4.1.0/3:45");
    assert_int_equal(rule.standard_s, 45930);
    rule = rule_of("IST-1GMT0,M10.5.0,M3.5.0/1");
    expect_at(&rule, at(2026, 1, 1, 0), 0, at(2026, 3, 29, 1));
    rule = rule_of("EET-2EEST,M3.4.4/50,M10.4.4/50");
    expect_at(&rule, at(2026, 1, 1, 0), 7200, at(2026, 3, 28, 0));
    rule = rule_of("<-02>2<-01>,M3.5.0/-1,M10.5.0/0");
    expect_at(&rule, at(2026, 1, 1, 0), -7200, at(2026, 3, 29, 1));
}

static void test_bad_rules(void **state)
{
    static const char *const texts[] = {"",
                                        "CET",
                                        "CE-1",
                                        "<CE>-1",
                                        "<CET-1",
                                        "CET-25",
                                        "CET-1:60",
                                        "CET-1:00:60",
                                        "CET-1:",
                                        "CET-0001",
                                        "CET-1CEST",
                                        "CET-1CE,M3.5.0,M10.5.0",
                                        "CET-1CEST,M3.5.0",
                                        "CET-1CEST,M3.5.0,M10.5.0,",
                                        "CET-1CEST,M13.5.0,M10.5.0",
                                        "CET-1CEST,M0.5.0,M10.5.0",
                                        "CET-1CEST,M3.6.0,M10.5.0",
                                        "CET-1CEST,M3.0.0,M10.5.0",
                                        "CET-1CEST,M3.5.7,M10.5.0",
                                        "CET-1CEST,M3.5,M10.5.0",
                                        "CET-1CEST,J0,M10.5.0",
                                        "CET-1CEST,J366,M10.5.0",
                                        "CET-1CEST,366,M10.5.0",
                                        "CET-1CEST,M3.5.0/168,M10.5.0",
                                        "CET-1CEST,M3.5.0/,M10.5.0",
                                        "CET-1 "};
    struct zone_rule rule;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (zone_rule_read(span_from_text(texts[i]), true, &rule) != ERR_SYNTAX)
            fail_msg("taken: %s", texts[i]);
    }
    /* Long hours came with version 3. */
    assert_int_equal(zone_rule_read(SPAN("EET-2EEST,M3.4.4/50,M10.4.4/50"), false, &rule),
                     ERR_SYNTAX);
    assert_int_equal(zone_rule_read(SPAN("EET-2EEST,M3.4.4/-1,M10.4.4"), false, &rule), ERR_SYNTAX);
    assert_int_equal(zone_rule_read(SPAN("EET-2EEST,M3.4.4/24,M10.4.4"), false, &rule), 0);
}

static void test_the_calendar(void **state)
{
    int64_t day = calendar_day((struct calendar_date){1600, 1, 1});
    int weekday = 6; /* a Saturday */

    for (int64_t year = 1600; year < 2400; year++) {
        for (int month = 1; month <= 12; month++) {
            static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
            int length = lengths[month - 1] + (month == 2 && calendar_is_leap(year));

            for (int i = 1; i <= length; i++, day++, weekday = (weekday + 1) % 7) {
                struct calendar_date date = calendar_date(day);

                assert_true(date.year == year && date.month == month && date.day == i);
                assert_int_equal(calendar_day(date), day);
                assert_int_equal(calendar_weekday(day), weekday);
            }
        }
    }
    assert_int_equal(calendar_day_of(-1), -1);
    assert_int_equal(calendar_day_of(-86400), -1);
    assert_int_equal(calendar_day_of(86399), 0);
}

static void test_without_memory(void **state)
{
    struct zone *zone = NULL;

    for (long after = 0;; after++) {
        int err;

        mem_fail_after(after);
        err = zone_load(SPAN("Europe/Berlin"), &zone);
        if (err == 0)
            break;
        assert_int_equal(err, ERR_NOMEM);
        assert_null(zone);
    }
    mem_fail_after(-1);
    zone_free(&zone);
}

static int set_folder(void **state)
{
    char path[PATH_BYTES];

    return setenv("TZDIR", zones_path(path, ""), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zones_are_as_in_the_table),
        cmocka_unit_test(test_utc_needs_no_file),
        cmocka_unit_test(test_far_times_are_bounded),
        cmocka_unit_test(test_names_stay_in_the_folder),
        cmocka_unit_test(test_files_that_are_none),
        cmocka_unit_test(test_cut_files_are_refused),
        cmocka_unit_test(test_rules_of_the_format),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_bad_rules),
        cmocka_unit_test(test_the_calendar),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, set_folder, NULL);
}

/* When a schedule comes round: on the clocks of real zones, over their gaps and overlaps, against
 * one that goes minute by minute; what is refused, with which words; jitter; clocks that jump. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/datetime.h"
#include "base/err.h"
#include "base/rand.h"
#include "conf/calendar.h"
#include "conf/schedule.h"

#define DAY_US (DAY_S * US_PER_SEC)

static struct schedule read_good(const char *text)
{
    char why[SCHEDULE_WHY_BYTES] = "";
    struct schedule schedule;

    if (schedule_read(span_from_text(text), &schedule, why) || schedule_find_zone(&schedule, why))
        fail_msg("%s: %s", text, why);
    assert_string_equal(why, "");
    return schedule;
}

static uint64_t wall(const char *text)
{
    uint64_t us = 0;

    assert_int_equal(datetime_read_rfc3339(span_from_text(text), &us), 0);
    return us;
}

/* ---- the next time ---- */

/* What follows upon a time, in order. */
struct play {
    const char *schedule;
    const char *after;
    const char *times[4];
};

static const struct play plays[] = {
    /* UTC, and each field. */
    {"0 2 * * *", "2026-11-21T19:00:00Z", {"2026-11-22T02:00:00Z", "2026-11-23T02:00:00Z"}},
    {"0 2 * * *", "2026-11-22T02:00:00Z", {"2026-11-23T02:00:00Z"}},
    {"0 2 * * *", "2026-11-22T01:59:59.999Z", {"2026-11-22T02:00:00Z"}},
    {"*/20 * * * *",
     "2026-12-31T23:30:00Z",
     {"2026-12-31T23:40:00Z", "2027-01-01T00:00:00Z", "2027-01-01T00:20:00Z"}},
    {"10-30/10,5 4 * * *",
     "2026-01-01T00:00:00Z",
     {"2026-01-01T04:05:00Z", "2026-01-01T04:10:00Z", "2026-01-01T04:20:00Z",
      "2026-01-01T04:30:00Z"}},
    {"0 0 31 * *",
     "2026-01-31T00:00:00Z",
     {"2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z", "2026-07-31T00:00:00Z"}},
    {"0 0 29 2 *", "2026-01-01T00:00:00Z", {"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
    {"0 0 29 2 *", "2096-02-29T00:00:00Z", {"2104-02-29T00:00:00Z"}},
    {"0 0 * JAN,jul Mon",
     "2026-01-20T00:00:00Z",
     {"2026-01-26T00:00:00Z", "2026-07-06T00:00:00Z", "2026-07-13T00:00:00Z"}},
    {"0 0 * * 0", "2026-11-21T00:00:00Z", {"2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z"}},
    {"0 0 * * 7", "2026-11-21T00:00:00Z", {"2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z"}},
    {"0 0 * * fri-sun",
     "2026-11-19T00:00:00Z",
     {"2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z",
      "2026-11-27T00:00:00Z"}},
    /* Both fields of days: one is enough, unless one of them begins with a star. */
    {"0 0 13 * fri",
     "2026-11-10T00:00:00Z",
     {"2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z",
      "2026-12-04T00:00:00Z"}},
    {"0 0 1 * wed", "2026-11-26T00:00:00Z", {"2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z"}},
    {"0 0 */2 * fri", "2026-11-10T00:00:00Z", {"2026-11-13T00:00:00Z", "2026-11-27T00:00:00Z"}},
    {"0 0 29 2 */7", "2026-01-01T00:00:00Z", {"2032-02-29T00:00:00Z", "2060-02-29T00:00:00Z"}},
    {"0 0 29 2 */7", "2088-02-29T00:00:00Z", {"2128-02-29T00:00:00Z"}},
    /* Names. */
    {"@hourly", "2026-11-21T19:00:00Z", {"2026-11-21T20:00:00Z"}},
    {"@daily", "2026-11-21T19:00:00Z", {"2026-11-22T00:00:00Z"}},
    {"@midnight", "2026-11-21T19:00:00Z", {"2026-11-22T00:00:00Z"}},
    {"@weekly", "2026-11-21T19:00:00Z", {"2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z"}},
    {"@monthly", "2026-11-21T19:00:00Z", {"2026-12-01T00:00:00Z"}},
    {"@yearly", "2026-11-21T19:00:00Z", {"2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"}},
    {"@daily Asia/Kolkata", "2026-11-21T19:00:00Z", {"2026-11-22T18:30:00Z"}},
    {" CRON_TZ=Asia/Kolkata \t 0  2 * * * ", "2026-11-21T19:00:00Z", {"2026-11-21T20:30:00Z"}},
    {"0 2 * * * UTC", "2026-11-21T19:00:00Z", {"2026-11-22T02:00:00Z"}},
    /* Intervals begin when they are counted from. */
    {"every 30d", "2026-11-21T19:00:01Z", {"2026-12-21T19:00:01Z", "2027-01-20T19:00:01Z"}},
    {"every 90m", "2026-11-21T19:00:00Z", {"2026-11-21T20:30:00Z"}},
    /* A gap: at its end, once. */
    {"30 2 * * * Europe/Berlin",
     "2026-03-28T00:00:00Z",
     {"2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
    {"*/15 2 * * * Europe/Berlin",
     "2026-03-28T01:45:00Z",
     {"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z", "2026-03-30T00:15:00Z"}},
    {"0 2,3 * * * Europe/Berlin",
     "2026-03-28T12:00:00Z",
     {"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z", "2026-03-30T01:00:00Z"}},
    {"30 2 8 3 * America/New_York",
     "2026-01-01T00:00:00Z",
     {"2026-03-08T07:00:00Z", "2027-03-08T07:30:00Z"}},
    {"0 3 * * * Pacific/Chatham",
     "2026-09-25T20:00:00Z",
     {"2026-09-26T14:00:00Z", "2026-09-27T13:15:00Z"}},
    /* A day that never was. */
    {"0 12 30 12 * Pacific/Apia", "2011-12-01T00:00:00Z", {"2011-12-30T10:00:00Z"}},
    /* An overlap: the first time. */
    {"30 2 * * * Europe/Berlin",
     "2026-10-24T00:30:00Z",
     {"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
    {"30 2 * * * Europe/Berlin", "2026-10-25T01:00:00Z", {"2026-10-26T01:30:00Z"}},
    {"@hourly Europe/Berlin",
     "2026-10-24T23:00:00Z",
     {"2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z", "2026-10-25T03:00:00Z"}},
    {"30 1 * * * America/New_York",
     "2026-11-01T00:00:00Z",
     {"2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"}},
    /* Ramadan, when the clocks go back. */
    {"0 2 * * * Africa/Casablanca",
     "2026-02-14T12:00:00Z",
     {"2026-02-15T01:00:00Z", "2026-02-16T02:00:00Z"}},
};

static void test_the_next_times(void **state)
{
    for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++) {
        struct schedule schedule = read_good(plays[i].schedule);
        uint64_t us = wall(plays[i].after);

        for (size_t j = 0; j < 4 && plays[i].times[j]; j++) {
            char text[RFC3339_BYTES + 1] = "";

            us = schedule_next(&schedule, us);
            datetime_write_rfc3339(us, text);
            if (us != wall(plays[i].times[j]))
                fail_msg("%s after %s: %s, not %s", plays[i].schedule, plays[i].after, text,
                         plays[i].times[j]);
        }
        schedule_fini(&schedule);
    }
}

static void test_the_end_of_time(void **state)
{
    struct schedule schedule = read_good("0 2 * * * Europe/Berlin");

    assert_int_equal(schedule_next(&schedule, UINT64_MAX), UINT64_MAX);
    assert_int_equal(schedule_due_us(&schedule, 1, UINT64_MAX), UINT64_MAX);
    schedule_fini(&schedule);
    schedule = read_good("every 10000d");
    assert_int_equal(schedule_next(&schedule, UINT64_MAX - 1), UINT64_MAX);
    schedule_fini(&schedule);
}

/* ---- minute by minute ---- */

static bool is_on(const struct schedule *schedule, int64_t local_s)
{
    int64_t day = calendar_day_of(local_s), minute = (local_s - day * DAY_S) / 60;
    struct calendar_date date = calendar_date(day);
    bool is_day = schedule->days >> date.day & 1;
    bool is_weekday = schedule->weekdays >> calendar_weekday(day) & 1;

    return (schedule->minutes >> minute % 60 & 1) && (schedule->hours >> minute / 60 & 1) &&
           (schedule->months >> date.month & 1) &&
           (schedule->has_star_day || schedule->has_star_weekday ? is_day && is_weekday
                                                                 : is_day || is_weekday);
}

/* Follows the clocks over some days: a time counts when they show it, or have leapt over it, for
 * the first time. All zones here have whole minutes in these years. */
static void follow(const struct schedule *schedule, const char *text, int64_t from_s, int days)
{
    uint64_t expected = schedule_next(schedule, (uint64_t)from_s * US_PER_SEC);
    int64_t shown = from_s + zone_offset_s(schedule->zone, from_s);

    /* The hours before may have been those of an overlap. */
    for (int64_t s = from_s - DAY_S; s < from_s; s += 60) {
        int64_t local_s = s + zone_offset_s(schedule->zone, s);

        shown = shown > local_s ? shown : local_s;
    }
    for (int64_t s = from_s + 60; s < from_s + (int64_t)days * DAY_S; s += 60) {
        int64_t local_s = s + zone_offset_s(schedule->zone, s);
        bool is_now = false;

        for (; shown < local_s; shown += 60)
            is_now = is_now || is_on(schedule, shown + 60);
        if (is_now != (expected == (uint64_t)s * US_PER_SEC))
            fail_msg("%s: at %lld it %s", text, (long long)s, is_now ? "is on" : "is not on");
        if (is_now)
            expected = schedule_next(schedule, (uint64_t)s * US_PER_SEC);
    }
}

static const char *const zones[] = {
    "Europe/Berlin",     "America/New_York",    "Asia/Kolkata",         "Pacific/Chatham",
    "Africa/Casablanca", "Australia/Lord_Howe", "America/Scoresbysund", "Pacific/Apia"};

static void write_field(struct rand *rand, int min, int max, char *out, size_t size)
{
    int a = min + (int)rand_below(rand, (uint64_t)(max - min + 1));
    int b = a + (int)rand_below(rand, (uint64_t)(max - a + 1));
    int step = 1 + (int)rand_below(rand, (uint64_t)(max / 2));

    switch (rand_below(rand, 5)) {
    case 0:
        snprintf(out, size, "%d", a);
        break;
    case 1:
        snprintf(out, size, "%d-%d/%d", a, b, step);
        break;
    case 2:
        snprintf(out, size, "%d,%d", b, a);
        break;
    case 3:
        snprintf(out, size, "*/%d", step);
        break;
    case 4:
        snprintf(out, size, "*");
        break;
    }
}

static void test_minute_by_minute(void **state)
{
    struct rand rand;

    rand_init(&rand, 11);
    for (int i = 0; i < 240; i++) {
        const char *zone = zones[rand_below(&rand, sizeof(zones) / sizeof(zones[0]))];
        int64_t from_s = 1293840000 + (int64_t)rand_below(&rand, 1000000) * 1800; /* from 2011 */
        char minute[16], hour[16], day[16], weekday[16], text[128];
        struct schedule schedule;

        write_field(&rand, 0, 59, minute, sizeof(minute));
        write_field(&rand, 0, 23, hour, sizeof(hour));
        write_field(&rand, 1, 31, day, sizeof(day));
        write_field(&rand, 0, 7, weekday, sizeof(weekday));
        snprintf(text, sizeof(text), "%s %s %s * %s %s", minute, hour, day, weekday, zone);
        schedule = read_good(text);
        /* Two of three begin within days of a change of the clocks. */
        for (int j = 0; i % 3 && j < 400; j++) {
            if (zone_offset_s(schedule.zone, from_s) !=
                zone_offset_s(schedule.zone, from_s + 2 * DAY_S))
                break;
            from_s += DAY_S;
        }
        follow(&schedule, text, from_s, 8);
        schedule_fini(&schedule);
    }
}

/* ---- what is refused ---- */

static void test_complaints(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"",
         "there are 0 fields; allowed are five (minute, hour, day of month, month, day of week)"},
        {"0 2 * *", "there are 4 fields"},
        {"0 0 2 * * *", "there are 6 fields"},
        {"0 2 * * * Europe/Berlin x", "there are 7 fields"},
        {"60 2 * * *", "minute: \"60\" is not known; allowed are 0 to 59"},
        {"0 24 * * *", "hour: \"24\" is not known; allowed are 0 to 23"},
        {"0 0 0 * *", "day of month: \"0\" is not known; allowed are 1 to 31"},
        {"0 0 32 * *", "day of month: \"32\""},
        {"0 0 L * *", "day of month: \"L\" is not known"},
        {"0 0 ? * *", "day of month: \"?\""},
        {"0 0 * 13 *", "month: \"13\" is not known; allowed are 1 to 12, or jan to dec"},
        {"0 0 * january *", "month: \"january\" is not known"},
        {"0 0 * mon *", "month: \"mon\" is not known"},
        {"0 0 * * 8", "day of week: \"8\" is not known; allowed are 0 to 7, of which both"},
        {"0 0 * * jan", "day of week: \"jan\""},
        {"0 0 * * 1#2", "day of week: \"1#2\""},
        {"5-2 0 * * *", "minute: \"5-2\" runs backwards"},
        {"0 0 * dec-jan *", "month: \"dec-jan\" runs backwards"},
        {"1-2-3 0 * * *", "minute: \"1-2-3\" is not known"},
        {"-1 0 * * *", "minute: \"-1\" is not known"},
        {"1, 0 * * *", "minute: \"\" is not known"},
        {",1 0 * * *", "minute: \"\" is not known"},
        {"** 0 * * *", "minute: \"**\" is not known"},
        {"*/0 0 * * *", "minute: the step of \"*/0\" is not from 1 to 59"},
        {"*/60 0 * * *", "minute: the step of \"*/60\" is not from 1 to 59"},
        {"0 */24 * * *", "hour: the step of \"*/24\" is not from 1 to 23"},
        {"*/ 0 * * *", "minute: the step of \"*/\""},
        {"*/2/2 0 * * *", "minute: the step of \"*/2/2\""},
        {"5/10 0 * * *", "minute: \"5/10\" has a step and no range"},
        {"99999999999999999999 0 * * *", "minute: \"99999999999999999999\""},
        {"0 0 30 feb *", "day of month: \"30\" does not come in the months of \"feb\""},
        {"0 0 31 4,6,9,11 *", "day of month: \"31\" does not come in the months of \"4,6,9,11\""},
        {"@reboot", "\"@reboot\" is not known; allowed are @hourly, @daily"},
        {"@daily 5", "\"@daily\" may have a zone behind it, and no more"},
        {"@daily Europe/Berlin x", "\"@daily\" may have a zone"},
        {"0 2 * * * ../../etc/passwd", "zone: \"../../etc/passwd\" is no name of a zone"},
        {"0 2 * * * /etc/localtime", "zone: \"/etc/localtime\" is no name of a zone"},
        {"CRON_TZ= 0 2 * * *", "zone: \"\" is no name of a zone"},
        {"CRON_TZ=UTC 0 2 * * * UTC", "zone: \"UTC\" is the second one"},
        {"CRON_TZ=UTC", "there are 0 fields"},
        {"every", "every: \"\" is no interval; allowed are durations from 1s to 10000d"},
        {"every 30", "every: \"30\" is no interval"},
        {"every 999ms", "every: \"999ms\" is no interval"},
        {"every 0", "every: \"0\" is no interval"},
        {"every 10001d", "every: \"10001d\" is no interval"},
        {"every 30 days", "every: an interval stands alone"},
        {"every 30d Europe/Berlin", "every: an interval stands alone"},
        {"CRON_TZ=UTC every 30d", "every: an interval stands alone"},
        {"\033[2J 0 1 * *", "minute: \"?[2J\" is not known"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char why[SCHEDULE_WHY_BYTES] = "";
        struct schedule schedule;

        assert_int_equal(schedule_read(span_from_text(bad[i].text), &schedule, why), ERR_SYNTAX);
        if (strncmp(why, bad[i].says, strlen(bad[i].says)) != 0)
            fail_msg("%s: %s", bad[i].text, why);
        assert_true(strlen(why) < SCHEDULE_WHY_BYTES - 1);
    }
}

static void test_a_long_complaint_is_cut(void **state)
{
    char text[4096], why[SCHEDULE_WHY_BYTES];
    struct schedule schedule;

    memset(text, '1', sizeof(text));
    memcpy(text + sizeof(text) - 8, " * * * *", 8);
    assert_int_equal(schedule_read(span_of(text, sizeof(text)), &schedule, why), ERR_SYNTAX);
    assert_true(strlen(why) < SCHEDULE_WHY_BYTES - 1);
    assert_non_null(strstr(why, "lists of these with commas"));
}

static void test_zones_that_are_not_there(void **state)
{
    char why[SCHEDULE_WHY_BYTES];
    struct schedule schedule;

    assert_int_equal(schedule_read(SPAN("0 2 * * * Europe/Atlantis"), &schedule, why), 0);
    assert_int_equal(schedule_find_zone(&schedule, why), ERR_NOTFOUND);
    assert_non_null(strstr(why, "zone: \"Europe/Atlantis\" is not among the system's zones"));
    schedule_fini(&schedule);
    assert_int_equal(schedule_read(SPAN("0 2 * * * make-table"), &schedule, why), 0);
    assert_int_equal(schedule_find_zone(&schedule, why), ERR_SYNTAX);
    assert_non_null(strstr(why, "the file of \"make-table\" cannot be used"));
    schedule_fini(&schedule);
}

/* ---- jitter ---- */

static void test_the_shortest_time_between_two(void **state)
{
    static const struct {
        const char *text;
        uint64_t minutes;
    } rows[] = {
        {"0 2 * * *", 1440},       {"*/5 * * * *", 5},         {"*/25 * * * *", 10},
        {"0,59 3 * * *", 59},      {"0,59 * * * *", 1},        {"0 9-17 * * *", 60},
        {"0 0,23 * * *", 60},      {"0 0,23 * * mon", 1380},   {"0 0,23 1,31 * *", 60},
        {"0 0,23 1,15 * *", 1380}, {"0 0,23 * * sat,sun", 60}, {"59 23 * * *", 1440},
        {"every 90m", 90},         {"@yearly", 1440},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct schedule schedule = read_good(rows[i].text);

        if (schedule.shortest_us != rows[i].minutes * 60 * US_PER_SEC)
            fail_msg("%s: %llu", rows[i].text,
                     (unsigned long long)(schedule.shortest_us / US_PER_SEC / 60));
        schedule_fini(&schedule);
    }
}

static void test_jitter_spreads_a_fleet(void **state)
{
    static const struct {
        const char *text;
        uint64_t most_s;
    } rows[] = {{"every 30d", 3600}, {"0 2 * * *", 3600}, {"every 10h", 1800}, {"*/5 * * * *", 15}};
    enum { INSTANCES = 2000, TENTHS = 10 };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct schedule schedule = read_good(rows[i].text);
        int tenths[TENTHS] = {0};

        for (uint64_t seed = 0; seed < INSTANCES; seed++) {
            uint64_t us = schedule_jitter_us(&schedule, seed);

            assert_true(us <= rows[i].most_s * US_PER_SEC);
            assert_int_equal(us, schedule_jitter_us(&schedule, seed));
            tenths[us * TENTHS / (rows[i].most_s * US_PER_SEC + 1)]++;
        }
        for (int j = 0; j < TENTHS; j++)
            assert_in_range(tenths[j], INSTANCES / TENTHS * 3 / 4, INSTANCES / TENTHS * 5 / 4);
        schedule_fini(&schedule);
    }
}

/* ---- clocks that jump ---- */

static void test_each_time_is_followed_once(void **state)
{
    struct schedule schedule = read_good("0 2 * * * Europe/Berlin");
    uint64_t now = wall("2026-11-21T19:00:00Z"), last = now;
    uint64_t jitter = schedule_jitter_us(&schedule, 7);

    assert_int_equal(schedule_due_us(&schedule, 7, last), wall("2026-11-22T01:00:00Z") + jitter);
    /* Forward over a hundred of them: one. */
    now += 100 * DAY_US;
    assert_true(schedule_due_us(&schedule, 7, last) <= now);
    last = now;
    assert_true(schedule_due_us(&schedule, 7, last) > now);
    /* Back over one that was followed: it is not followed again. */
    now = wall("2026-11-22T01:00:00Z") + jitter;
    last = now;
    now -= 6 * 3600 * US_PER_SEC;
    assert_true(schedule_due_us(&schedule, 7, last) > now + 24 * 3600 * US_PER_SEC);
    assert_int_equal(schedule_due_us(&schedule, 7, last), wall("2026-11-23T01:00:00Z") + jitter);
    schedule_fini(&schedule);
}

static int set_folder(void **state)
{
    const char *root = getenv("BW_SOURCE_ROOT");
    char path[1024];

    snprintf(path, sizeof(path), "%s/tests/conf/zones", root ? root : ".");
    return setenv("TZDIR", path, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_next_times),
        cmocka_unit_test(test_the_end_of_time),
        cmocka_unit_test(test_minute_by_minute),
        cmocka_unit_test(test_complaints),
        cmocka_unit_test(test_a_long_complaint_is_cut),
        cmocka_unit_test(test_zones_that_are_not_there),
        cmocka_unit_test(test_the_shortest_time_between_two),
        cmocka_unit_test(test_jitter_spreads_a_fleet),
        cmocka_unit_test(test_each_time_is_followed_once),
    };

    return cmocka_run_group_tests(tests, set_folder, NULL);
}

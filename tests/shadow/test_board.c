/* What is known of shadows: the budget and its periods, rests, what a report says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/datetime.h"
#include "base/rand.h"
#include "shadow/board.h"

#define S UINT64_C(1000000)

static uint64_t at(const char *text)
{
    uint64_t wall_us = 0;

    assert_int_equal(datetime_read_rfc3339(span_from_text(text), &wall_us), 0);
    return wall_us;
}

struct play {
    struct shadow_board *board;
    struct shadow_entry *entry;
    struct shadow_cap cap;
    uint64_t now_us, wall_us;
};

static void begin(struct play *play, struct shadow_cap cap)
{
    play->board = shadow_board_new();
    play->entry = shadow_board_entry(play->board, SPAN("m"), SPAN("up/n"));
    play->cap = cap;
    play->now_us = 77 * S;
    play->wall_us = at("2026-11-21T22:30:00Z");
}

static void end(struct play *play)
{
    shadow_board_free(&play->board);
}

static const struct shadow_spend one = {.requests = 1, .tokens = 100, .pico_usd = 50};

/* SHADOW_SKIPS: it may begin. */
static enum shadow_skip ask(struct play *play, bool *ret_is_news)
{
    enum shadow_skip skip = SHADOW_SKIPS;

    shadow_entry_draw(play->entry);
    shadow_entry_begin(play->entry, &play->cap, &one, play->now_us, play->wall_us, &skip,
                       ret_is_news);
    return skip;
}

static void expect(struct play *play, enum shadow_skip skip)
{
    bool is_news;

    assert_int_equal(ask(play, &is_news), skip);
}

static void finish(struct play *play, enum shadow_skip skip, uint64_t tokens)
{
    const struct shadow_end last = {.estimate = one,
                                    .used = {.requests = 1, .tokens = tokens, .pico_usd = 50},
                                    .skip = skip,
                                    .comparison = {.similarity_milli = SIMILARITY_UNKNOWN},
                                    .now_us = play->now_us,
                                    .wall_us = play->wall_us};

    shadow_entry_end(play->entry, &last);
}

static void test_budget_of_tokens(void **state)
{
    struct play play;
    bool is_news;

    begin(&play, (struct shadow_cap){.most = {.tokens = 250}, .per = PERIOD_DAY});
    expect(&play, SHADOW_SKIPS);
    expect(&play, SHADOW_SKIPS);
    /* What is under way counts as much as it will probably use. */
    assert_int_equal(ask(&play, &is_news), SHADOW_SKIP_BUDGET);
    assert_true(is_news);
    assert_int_equal(ask(&play, &is_news), SHADOW_SKIP_BUDGET);
    assert_false(is_news);
    /* It used less. */
    finish(&play, SHADOW_SKIPS, 20);
    expect(&play, SHADOW_SKIPS);
    finish(&play, SHADOW_SKIPS, 100);
    finish(&play, SHADOW_SKIPS, 100);
    expect(&play, SHADOW_SKIP_BUDGET);
    /* The next day. */
    play.wall_us = at("2026-11-22T00:00:00Z");
    expect(&play, SHADOW_SKIPS);
    finish(&play, SHADOW_SKIPS, 500);
    assert_int_equal(ask(&play, &is_news), SHADOW_SKIP_BUDGET);
    assert_true(is_news);
    end(&play);
}

static void test_budget_of_money_and_of_requests(void **state)
{
    struct play play;

    begin(&play, (struct shadow_cap){.most = {.pico_usd = 100}, .per = PERIOD_HOUR});
    expect(&play, SHADOW_SKIPS);
    expect(&play, SHADOW_SKIPS);
    expect(&play, SHADOW_SKIP_BUDGET);
    play.wall_us = at("2026-11-21T23:00:00Z");
    /* Of the hour before, but not ended yet. */
    expect(&play, SHADOW_SKIP_BUDGET);
    end(&play);
    begin(&play, (struct shadow_cap){.most = {.requests = 1}, .per = PERIOD_MONTH});
    expect(&play, SHADOW_SKIPS);
    finish(&play, SHADOW_SKIPS, 0);
    play.wall_us = at("2026-11-30T23:59:59Z");
    expect(&play, SHADOW_SKIP_BUDGET);
    play.wall_us = at("2026-12-01T00:00:00Z");
    expect(&play, SHADOW_SKIPS);
    end(&play);
}

/* What was spent stands; and nobody waits for a year because the clock was a year ahead. */
static void test_a_clock_that_is_set_back(void **state)
{
    struct play play;

    begin(&play, (struct shadow_cap){.most = {.requests = 1}, .per = PERIOD_DAY});
    play.wall_us = at("2027-11-21T22:30:00Z");
    expect(&play, SHADOW_SKIPS);
    finish(&play, SHADOW_SKIPS, 0);
    play.wall_us = at("2026-11-21T22:30:00Z");
    expect(&play, SHADOW_SKIP_BUDGET);
    play.wall_us = at("2026-11-22T00:00:01Z");
    expect(&play, SHADOW_SKIPS);
    end(&play);
}

static void test_periods(void **state)
{
    static const struct {
        const char *wall, *hour, *day, *month;
    } rows[] = {
        {"1970-01-01T00:00:00Z", "1970-01-01T01:00:00Z", "1970-01-02T00:00:00Z",
         "1970-02-01T00:00:00Z"},
        {"2024-02-29T23:59:59Z", "2024-03-01T00:00:00Z", "2024-03-01T00:00:00Z",
         "2024-03-01T00:00:00Z"},
        {"2026-02-28T10:00:00Z", "2026-02-28T11:00:00Z", "2026-03-01T00:00:00Z",
         "2026-03-01T00:00:00Z"},
        {"2026-12-31T23:00:00Z", "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z",
         "2027-01-01T00:00:00Z"},
        {"2100-02-28T12:30:00Z", "2100-02-28T13:00:00Z", "2100-03-01T00:00:00Z",
         "2100-03-01T00:00:00Z"},
        {"2026-03-01T00:00:00Z", "2026-03-01T01:00:00Z", "2026-03-02T00:00:00Z",
         "2026-04-01T00:00:00Z"},
    };
    struct rand rand;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(period_end_us(PERIOD_HOUR, at(rows[i].wall)), at(rows[i].hour));
        assert_int_equal(period_end_us(PERIOD_DAY, at(rows[i].wall)), at(rows[i].day));
        assert_int_equal(period_end_us(PERIOD_MONTH, at(rows[i].wall)), at(rows[i].month));
    }
    /* Any month ends at the first of one, 28 to 31 days after it began. */
    rand_init(&rand, 4);
    for (int i = 0; i < 10000; i++) {
        uint64_t wall_us = rand_below(&rand, UINT64_C(5000000000) * S);
        uint64_t end_us = period_end_us(PERIOD_MONTH, wall_us);
        uint64_t next_us = period_end_us(PERIOD_MONTH, end_us);
        char text[RFC3339_BYTES];

        datetime_write_rfc3339(end_us, text);
        assert_memory_equal(text + 7, "-01T00:00:00.000Z", 17);
        assert_true(end_us > wall_us && end_us - wall_us <= 31 * 86400 * S);
        assert_in_range((next_us - end_us) / (86400 * S), 28, 31);
    }
}

static void test_a_target_that_fails_is_left_alone(void **state)
{
    static const unsigned rests_s[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    struct play play;

    begin(&play, (struct shadow_cap){.per = PERIOD_DAY});
    for (size_t i = 0; i < sizeof(rests_s) / sizeof(rests_s[0]); i++) {
        expect(&play, SHADOW_SKIPS);
        finish(&play, SHADOW_SKIP_FAILED, 0);
        play.now_us += rests_s[i] * S - 1;
        expect(&play, SHADOW_SKIP_RESTING);
        play.now_us += 1;
    }
    expect(&play, SHADOW_SKIPS);
    finish(&play, SHADOW_SKIPS, 0);
    /* One good answer, and it begins anew. */
    expect(&play, SHADOW_SKIPS);
    finish(&play, SHADOW_SKIP_FAILED, 0);
    play.now_us += S;
    expect(&play, SHADOW_SKIPS);
    finish(&play, SHADOW_SKIP_YIELDED, 0);
    expect(&play, SHADOW_SKIPS);
    end(&play);
}

/* ---- the report ---- */

static void compare(struct play *play, uint32_t kinds, uint32_t similarity_milli, uint64_t real_us,
                    uint64_t shadow_us, const char *id)
{
    const struct shadow_end last = {
        .estimate = one,
        .used = one,
        .skip = SHADOW_SKIPS,
        .comparison = {.kinds = kinds, .similarity_milli = similarity_milli},
        .has_sides = true,
        .real = {.first_us = real_us / 2, .total_us = real_us, .tokens = 10, .bytes = 40},
        .shadow = {.first_us = shadow_us / 2, .total_us = shadow_us, .tokens = 20, .bytes = 80},
        .request_id = span_from_text(id),
        .now_us = play->now_us,
        .wall_us = play->wall_us};

    expect(play, SHADOW_SKIPS);
    shadow_entry_end(play->entry, &last);
}

/* Buckets are 3% to 6% wide. */
static void expect_near(double value, double expected)
{
    assert_true(value > expected * 0.94 && value < expected * 1.06);
}

static void test_report(void **state)
{
    struct shadow_report *report = mem_zalloc(1, sizeof(*report));
    struct play play;

    begin(&play, (struct shadow_cap){.per = PERIOD_DAY});
    for (int i = 0; i < 9; i++)
        compare(&play, 0, 900, 100000, 150000, "good");
    compare(&play, 1u << DIVERGENCE_FINISH | 1u << DIVERGENCE_SIMILARITY, 50, 100000, 20000,
            "req-7");
    expect(&play, SHADOW_SKIPS);
    shadow_entry_report(play.entry, play.wall_us, report);
    assert_int_equal(report->drawn, 11);
    assert_int_equal(report->under_way, 1);
    assert_int_equal(report->counts.compared, 10);
    assert_int_equal(report->counts.diverged, 1);
    assert_int_equal(report->diverged[DIVERGENCE_FINISH], 1);
    assert_int_equal(report->diverged[DIVERGENCE_SIMILARITY], 1);
    assert_int_equal(report->diverged[DIVERGENCE_STATUS], 0);
    assert_int_equal(report->spent.tokens, 1000);
    assert_int_equal(report->period.tokens, 1000);
    assert_int_equal(report->real.tokens, 100);
    assert_int_equal(report->shadow.tokens, 200);
    assert_int_equal(shadow_report_similarity(report, 100), 5);
    assert_int_equal(shadow_report_similarity(report, 101), 90);
    assert_int_equal(shadow_report_similarity(report, 500), 90);
    expect_near((double)shadow_sketch_us(&report->real.total, 500), 100000);
    expect_near((double)shadow_sketch_us(&report->shadow.total, 500), 150000);
    expect_near((double)shadow_sketch_us(&report->shadow.total, 100), 20000);
    expect_near((double)shadow_sketch_bytes(&report->shadow.length, 500), 80);
    expect_near(-(double)shadow_report_added_us(report, 100), 80000);
    expect_near((double)shadow_report_added_us(report, 500), 50000);
    assert_int_equal(report->recent_count, 1);
    assert_memory_equal(report->recent[0].request_id, "req-7", 5);
    assert_int_equal(report->recent[0].request_id_len, 5);
    /* The sums of a period that is over are nobody's; those since the start stand. */
    shadow_entry_report(play.entry, play.wall_us + 86400 * S, report);
    assert_int_equal(report->period.tokens, 0);
    assert_int_equal(report->spent.tokens, 1000);
    end(&play);
    mem_free(report);
}

static void test_recent_ones(void **state)
{
    struct shadow_report *report = mem_zalloc(1, sizeof(*report));
    struct play play;
    char id[100];

    begin(&play, (struct shadow_cap){.per = PERIOD_DAY});
    for (int i = 0; i < 12; i++) {
        snprintf(id, sizeof(id), "%090d", i);
        compare(&play, 1, 0, 1, 1, id);
    }
    shadow_entry_report(play.entry, play.wall_us, report);
    assert_int_equal(report->recent_count, SHADOW_RECENT);
    assert_int_equal(report->recent[0].request_id_len, SHADOW_ID_BYTES);
    end(&play);
    mem_free(report);
}

static void test_entries(void **state)
{
    struct shadow_board *board = shadow_board_new();
    struct shadow_entry *entry = shadow_board_entry(board, SPAN("m"), SPAN("a/n"));
    struct shadow_counts counts;
    char name[32];

    assert_non_null(entry);
    assert_ptr_equal(shadow_board_entry(board, SPAN("m"), SPAN("a/n")), entry);
    assert_ptr_equal(shadow_board_find(board, SPAN("m"), SPAN("a/n")), entry);
    assert_null(shadow_board_find(board, SPAN("m"), SPAN("b/n")));
    counts = shadow_board_counts(board, SPAN("m"), SPAN("b/n"));
    assert_int_equal(counts.compared + counts.diverged, 0);
    for (int i = 1; i < SHADOW_ENTRIES_MAX; i++) {
        int len = snprintf(name, sizeof(name), "m%d", i);

        assert_non_null(shadow_board_entry(board, span_of(name, (size_t)len), SPAN("a/n")));
    }
    assert_null(shadow_board_entry(board, SPAN("one more"), SPAN("a/n")));
    assert_ptr_equal(shadow_board_entry(board, SPAN("m"), SPAN("a/n")), entry);
    shadow_board_free(&board);
    assert_null(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budget_of_tokens),
        cmocka_unit_test(test_budget_of_money_and_of_requests),
        cmocka_unit_test(test_a_clock_that_is_set_back),
        cmocka_unit_test(test_periods),
        cmocka_unit_test(test_a_target_that_fails_is_left_alone),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_recent_ones),
        cmocka_unit_test(test_entries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* When tokens are asked for: hours and failures on a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "secrets/token_schedule.h"

#define START (1000 * US_PER_SEC)
#define HOUR  (3600 * US_PER_SEC)

struct play {
    struct token_schedule schedule;
    struct rand rand;
    uint64_t now_us;
};

static struct play begin(uint64_t seed)
{
    struct play play = {.now_us = START};

    token_schedule_init(&play.schedule, play.now_us);
    rand_init(&play.rand, seed);
    return play;
}

static void good(struct play *play, uint64_t life_us)
{
    assert_true(token_schedule_begin(&play->schedule, play->now_us));
    token_schedule_good(&play->schedule, life_us, play->now_us, &play->rand);
}

static void failed(struct play *play, uint64_t retry_after_us)
{
    assert_true(token_schedule_begin(&play->schedule, play->now_us));
    token_schedule_failed(&play->schedule, retry_after_us, play->now_us, &play->rand);
}

static void one_at_a_time(void **state)
{
    struct play play = begin(1);

    (void)state;
    assert_true(token_schedule_begin(&play.schedule, play.now_us));
    assert_false(token_schedule_begin(&play.schedule, play.now_us + HOUR));
    token_schedule_want(&play.schedule, play.now_us);
    assert_false(token_schedule_begin(&play.schedule, play.now_us + HOUR));
    token_schedule_good(&play.schedule, HOUR, play.now_us, &play.rand);
    assert_false(token_schedule_begin(&play.schedule, play.now_us));
}

/* An hour: between 45 and 48 minutes after it was asked for. Five minutes: before half of them and
 * two minutes ahead of the end agree. */
static void renewed_well_before_the_end(void **state)
{
    static const struct {
        uint64_t life, least, most;
    } rows[] = {{3600, 2700, 2880}, {86400, 64800, 69120}, {300, 165, 180},
                {200, 90, 100},     {60, 27, 30},          {2, 1, 1}};

    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct play play = begin(seed);
            uint64_t after_us;

            good(&play, rows[i].life * US_PER_SEC);
            after_us = play.schedule.next_us - START;
            assert_in_range(after_us, rows[i].least * US_PER_SEC, rows[i].most * US_PER_SEC);
            assert_true(play.schedule.until_us > play.schedule.next_us);
            assert_true(play.schedule.until_us < START + rows[i].life * US_PER_SEC);
        }
    }
}

/* The life counts from the question: a slow answer does not make a token last. */
static void a_slow_answer_costs_life(void **state)
{
    struct play play = begin(3);

    (void)state;
    assert_true(token_schedule_begin(&play.schedule, play.now_us));
    token_schedule_good(&play.schedule, 60 * US_PER_SEC, play.now_us + 10 * US_PER_SEC, &play.rand);
    assert_true(play.schedule.until_us == START + 54 * US_PER_SEC);
}

static void pauses_grow_to_a_minute(void **state)
{
    uint64_t pause = 1;

    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct play play = begin(seed);

        pause = 1;
        for (int i = 0; i < 12; i++) {
            uint64_t most = (pause < 60 ? pause : 60) * US_PER_SEC;

            failed(&play, 0);
            assert_in_range(play.schedule.next_us - play.now_us, most / 2, most);
            play.now_us = play.schedule.next_us;
            pause *= 2;
        }
        /* A success ends it. */
        good(&play, HOUR);
        play.now_us = play.schedule.next_us;
        failed(&play, 0);
        assert_in_range(play.schedule.next_us - play.now_us, 0, US_PER_SEC);
    }
}

static void failures_keep_the_last_good_token(void **state)
{
    struct play play = begin(5);
    uint64_t until_us;

    (void)state;
    good(&play, HOUR);
    until_us = play.schedule.until_us;
    play.now_us = play.schedule.next_us;
    failed(&play, 0);
    assert_true(play.schedule.until_us == until_us);
}

static void a_servers_own_pause_is_kept_within_bounds(void **state)
{
    struct play play = begin(7);

    (void)state;
    failed(&play, 30 * US_PER_SEC);
    assert_true(play.schedule.next_us == START + 30 * US_PER_SEC);
    play.now_us = play.schedule.next_us;
    failed(&play, 24 * HOUR);
    assert_true(play.schedule.next_us == play.now_us + 600 * US_PER_SEC);
}

static void a_refused_token_is_renewed_at_once(void **state)
{
    struct play play = begin(9);

    (void)state;
    good(&play, HOUR);
    play.now_us += 60 * US_PER_SEC;
    token_schedule_want(&play.schedule, play.now_us);
    assert_true(play.schedule.next_us == play.now_us);
    good(&play, HOUR);
    /* Yet never in a storm. */
    token_schedule_want(&play.schedule, play.now_us);
    assert_true(play.schedule.next_us == play.now_us + US_PER_SEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(renewed_well_before_the_end),
        cmocka_unit_test(a_slow_answer_costs_life),
        cmocka_unit_test(pauses_grow_to_a_minute),
        cmocka_unit_test(failures_keep_the_last_good_token),
        cmocka_unit_test(a_servers_own_pause_is_kept_within_bounds),
        cmocka_unit_test(a_refused_token_is_renewed_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

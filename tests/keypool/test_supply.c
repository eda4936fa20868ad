/* What one is told who stands in line: when its turn comes, if that is certain, and else nothing.
 */
#include "pool_play.h"

#include "base/rand.h"

static const struct keypool_ask question = {.model = {"a", 1}};

static uint64_t supply_us(struct play *play, uint64_t ahead)
{
    return keypool_supply_us(play->views[0], &question, ahead, play->now);
}

static void serve_all(struct play *play)
{
    const struct keypool_end end = {.outcome = outcome_row(OUTCOME_SUCCESS)};
    struct keypool_grant grant;

    while (play_ask(play, &question, &grant).verdict == KEYPOOL_CHOSEN) {
        keypool_sent(play->views[0], &grant, play->now);
        keypool_end(play->views[0], &grant, &end, play->now);
    }
}

/* Serves whoever can be, second by second, until so many more have been: when that was. */
static uint64_t serve_line(struct play *play, uint64_t count)
{
    const struct keypool_end end = {.outcome = outcome_row(OUTCOME_SUCCESS)};

    for (;;) {
        struct keypool_grant grant;
        struct keypool_choice choice = play_ask(play, &question, &grant);

        if (choice.verdict != KEYPOOL_CHOSEN) {
            assert_int_equal(choice.verdict, KEYPOOL_LATER);
            play->now = choice.free_at_us;
            continue;
        }
        keypool_sent(play->views[0], &grant, play->now);
        keypool_end(play->views[0], &grant, &end, play->now);
        if (count-- == 0)
            return play->now;
    }
}

/* From seeds: keys of an account share its limit, others have their own; used up in all sorts of
 * ways. What is told is when it comes to pass, to the second. */
static void test_it_comes_to_pass(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct play play;
        struct rand rand;
        uint64_t ahead, told_us;

        rand_init(&rand, seed);
        play_init(&play, 3);
        for (size_t i = 0; i < 3; i++) {
            play_key(&play, i)->limits = (struct conf_limits){.rpm = i ? 20 : 7};
            play_key(&play, i)->account = i ? SPAN("org-1") : SPAN("org-2");
        }
        play_apply(&play);
        for (int i = 0; i < 27; i++) {
            play_request(&play, "a", OUTCOME_SUCCESS, 0);
            play.now += rand_below(&rand, 2 * SECONDS);
        }
        serve_all(&play);
        ahead = rand_below(&rand, 26);
        told_us = supply_us(&play, ahead);
        assert_true(told_us > play.now);
        assert_int_equal(serve_line(&play, ahead), told_us);
        play_end(&play);
    }
}

/* More than a window holds: no sooner than so many windows later. */
static void test_a_long_line(void **state)
{
    struct play play;

    (void)state;
    play_init(&play, 1);
    play_key(&play, 0)->limits = (struct conf_limits){.rpm = 10};
    play_apply(&play);
    serve_all(&play);
    assert_int_equal(supply_us(&play, 0), play.now + 62 * SECONDS);
    assert_int_equal(supply_us(&play, 9), play.now + 62 * SECONDS);
    assert_int_equal(supply_us(&play, 10), play.now + 124 * SECONDS);
    assert_int_equal(supply_us(&play, 95), play.now + 620 * SECONDS);
    play_end(&play);
}

/* A key that has been refused for its rate gives nothing before its time. */
static void test_a_refused_key(void **state)
{
    struct play play;

    (void)state;
    play_init(&play, 2);
    for (size_t i = 0; i < 2; i++)
        play_key(&play, i)->limits = (struct conf_limits){.rpm = 10};
    play_apply(&play);
    play_request(&play, "a", OUTCOME_RATE_LIMITED, 40 * SECONDS);
    serve_all(&play);
    assert_in_range(supply_us(&play, 5), play.now + 40 * SECONDS, play.now + 41 * SECONDS);
    play_end(&play);
}

static uint64_t told_with(struct conf_limits limits, size_t keys)
{
    struct play play;
    uint64_t told_us;

    play_init(&play, keys);
    for (size_t i = 0; i < keys; i++)
        play_key(&play, i)->limits = limits;
    play_key(&play, keys - 1)->limits = (struct conf_limits){.rpm = 2};
    play_apply(&play);
    told_us = supply_us(&play, 1000);
    play_end(&play);
    return told_us;
}

static void test_nobody_knows(void **state)
{
    (void)state;
    assert_true(told_with((struct conf_limits){.rpm = 10, .tpm = 1000}, 2) > 0);
    assert_int_equal(told_with((struct conf_limits){.rpm = 0}, 2), 0);
    assert_int_equal(told_with((struct conf_limits){.tpm = 1000}, 2), 0);
    assert_int_equal(told_with((struct conf_limits){.concurrent = 10}, 2), 0);
    assert_true(told_with((struct conf_limits){.rpm = 10}, 16) > 0);
    assert_int_equal(told_with((struct conf_limits){.rpm = 10}, 17), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_comes_to_pass),
        cmocka_unit_test(test_a_long_line),
        cmocka_unit_test(test_a_refused_key),
        cmocka_unit_test(test_nobody_knows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What is reserved and not used comes back to the limits it was taken of, and wakes who waits. */
#include "pool_play.h"

static struct conf_adaptive slow = {
    .initial_rpm = 10, .min_rpm = 10, .max_rpm = 500, .backoff_milli = 500, .growth_milli = 1100};

/* One request of so many tokens, under way; there must be a key. */
static struct keypool_grant begin(struct play *play, uint64_t tokens)
{
    const struct keypool_ask ask = {.model = SPAN("a"), .tokens = tokens};
    struct keypool_grant grant;

    assert_int_equal(play_ask(play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
    return grant;
}

static struct keypool_grant send(struct play *play, uint64_t tokens)
{
    struct keypool_grant grant = begin(play, tokens);

    keypool_sent(play->views[0], &grant, play->now);
    return grant;
}

static struct keypool_choice refused(struct play *play, uint64_t tokens)
{
    const struct keypool_ask ask = {
        .model = SPAN("a"), .tokens = tokens, .wait_until_us = play->now + 5 * SECONDS};
    struct keypool_grant grant;
    struct keypool_choice choice = play_ask(play, &ask, &grant);

    assert_int_equal(choice.verdict, KEYPOOL_LATER);
    return choice;
}

/* It ends as such; `tokens` were used. How many are woken. */
static uint32_t end(struct play *play, struct keypool_grant *grant, const struct outcome_row *row,
                    uint64_t tokens)
{
    const struct keypool_end end = {.outcome = row, .tokens = tokens};

    return keypool_end(play->views[0], grant, &end, play->now).wakes;
}

static uint32_t end_well(struct play *play, struct keypool_grant *grant, uint64_t tokens)
{
    return end(play, grant, outcome_row(OUTCOME_SUCCESS), tokens);
}

static void start(struct play *play, struct conf_limits limits)
{
    play_init(play, 1);
    play_key(play, 0)->limits = limits;
    play_apply(play);
}

/* ---- what was never sent ---- */

/* Neither a connection that was refused nor a client that left while one was being made. */
static void test_what_was_never_sent_uses_no_declared_limit(void **state)
{
    const struct outcome_row *const rows[] = {outcome_row(OUTCOME_CONNECT_FAILED),
                                              outcome_row(OUTCOME_CONNECT_TIMEOUT), NULL};
    struct keypool_grant grant;
    struct play play;

    start(&play, (struct conf_limits){.rpm = 60, .tpm = 6000});
    for (int i = 0; i < 300; i++) {
        grant = begin(&play, 5000);
        play.now += 100 * US_PER_MS;
        end(&play, &grant, rows[i % 3], 0);
    }
    assert_int_equal(play_row(&play, 0).limits[0].remaining, 60);
    assert_int_equal(play_row(&play, 0).limits[1].remaining, 6000);
    for (int i = 0; i < 60; i++) {
        grant = send(&play, 100);
        end_well(&play, &grant, 100);
    }
    assert_int_equal(refused(&play, 1).reason, KEYPOOL_AT_LIMIT);
    play_end(&play);
}

/* What left before the connection broke may have been counted. */
static void test_what_was_sent_counts_however_it_ends(void **state)
{
    struct keypool_grant grant;
    struct play play;

    start(&play, (struct conf_limits){.rpm = 1, .tpm = 6000});
    grant = send(&play, 5000);
    end(&play, &grant, NULL, 0);
    assert_int_equal(play_row(&play, 0).limits[0].remaining, 0);
    assert_int_equal(play_row(&play, 0).limits[1].remaining, 1000);
    play_end(&play);
}

static void test_what_was_never_sent_uses_no_found_limit(void **state)
{
    struct keypool_grant grant;
    struct play play;

    play_init(&play, 1);
    play.conf.adaptive = &slow;
    play_apply(&play);
    for (int i = 0; i < 30; i++) {
        grant = begin(&play, 0);
        end(&play, &grant, outcome_row(OUTCOME_CONNECT_FAILED), 0);
    }
    /* One who was refused meanwhile is woken. */
    grant = begin(&play, 0);
    assert_true(refused(&play, 0).free_at_us > play.now + 5 * SECONDS);
    assert_int_equal(end(&play, &grant, NULL, 0), 1);
    grant = begin(&play, 0);
    end(&play, &grant, NULL, 0);
    play_end(&play);
}

/* The answer says: so many of a hundred requests a minute are left, in a bucket. */
static void tell(struct play *play, struct keypool_grant *grant, uint64_t remaining)
{
    struct limits_told told = {.account = {NULL, 0}};

    told.items[LIMITS_REQUESTS].limit = 100;
    told.items[LIMITS_REQUESTS].remaining = remaining;
    told.items[LIMITS_REQUESTS].reset_us = (100 - remaining) * 600 * US_PER_MS;
    keypool_hear(play->views[0], grant, &told, play->now);
}

static void test_what_was_never_sent_uses_no_learned_limit(void **state)
{
    struct keypool_grant first, second;
    struct play play;

    play_start(&play, 1);
    first = send(&play, 0);
    tell(&play, &first, 1);
    end_well(&play, &first, 0);
    for (int i = 0; i < 20; i++) {
        first = begin(&play, 0);
        assert_int_equal(refused(&play, 0).reason, KEYPOOL_AT_LIMIT);
        assert_int_equal(end(&play, &first, outcome_row(OUTCOME_CONNECT_FAILED), 0), 1);
    }
    /* What its provider has said since another one was sent knew nothing of the first: it is not
     * given back twice. */
    play.now += 10 * SECONDS;
    first = begin(&play, 0);
    second = send(&play, 0);
    play.now += 100 * US_PER_MS;
    tell(&play, &second, 1);
    end(&play, &first, NULL, 0);
    end_well(&play, &second, 0);
    first = send(&play, 0);
    assert_int_equal(refused(&play, 0).reason, KEYPOOL_AT_LIMIT);
    end_well(&play, &first, 0);
    play_end(&play);
}

/* ---- tokens that were reserved ---- */

/* Who asks while they are reserved is not sent away for a minute, and is woken when they are back.
 */
static void test_tokens_that_come_back_wake(void **state)
{
    struct keypool_choice choice;
    struct keypool_grant grant;
    struct play play;

    start(&play, (struct conf_limits){.tpm = 6000});
    grant = send(&play, 5000);
    play.now += 100 * US_PER_MS;
    choice = refused(&play, 5000);
    assert_int_equal(choice.reason, KEYPOOL_FULL);
    assert_in_range(choice.free_at_us, play.now + 1, play.now + 100 * US_PER_MS);
    play.now += SECONDS;
    assert_int_equal(end_well(&play, &grant, 200), 1);
    grant = send(&play, 5000);
    end_well(&play, &grant, 200);
    play_end(&play);
}

/* The window is full to the last token: even the smallest waits for what is under way. */
static void test_a_full_window_frees_the_smallest(void **state)
{
    struct keypool_grant grant;
    struct play play;

    start(&play, (struct conf_limits){.tpm = 6000});
    grant = send(&play, 9000);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_FULL);
    play.now += SECONDS;
    assert_int_equal(end_well(&play, &grant, 200), 1);
    grant = send(&play, 10);
    /* Nobody was refused since: nobody is woken. */
    play.now += 100 * SECONDS;
    assert_int_equal(end_well(&play, &grant, 5), 0);
    play_end(&play);
}

/* As many are woken as what came back may serve. */
static void test_as_many_are_woken_as_there_is_room_for(void **state)
{
    struct keypool_grant grant;
    struct play play;

    start(&play, (struct conf_limits){.tpm = 6000});
    grant = send(&play, 5500);
    (void)refused(&play, 1000);
    assert_int_equal(end_well(&play, &grant, 2500), 3);
    play_end(&play);
}

/* Where requests use what they reserve, there is nothing to wait for: the window's end is told. */
static void test_what_is_used_up_is_no_hope(void **state)
{
    struct keypool_choice choice;
    struct keypool_grant grant;
    struct play play;

    start(&play, (struct conf_limits){.tpm = 6000});
    for (int i = 0; i < 5; i++) {
        grant = send(&play, 1000);
        end_well(&play, &grant, 1000);
    }
    grant = send(&play, 1000);
    choice = refused(&play, 1000);
    assert_int_equal(choice.reason, KEYPOOL_AT_LIMIT);
    assert_in_range(choice.free_at_us, play.now + 60 * SECONDS, play.now + 62 * SECONDS);
    assert_int_equal(end_well(&play, &grant, 1000), 0);
    play_end(&play);
}

/* Whose wait is over is told how long requests mostly take, not when the window turns. */
static void test_who_can_wait_no_longer_is_told_the_usual_time(void **state)
{
    struct keypool_ask ask = {.model = SPAN("a"), .tokens = 5000, .is_urgent = true};
    struct keypool_choice choice;
    struct keypool_grant grant, none;
    struct play play;

    start(&play, (struct conf_limits){.tpm = 6000});
    for (int i = 0; i < 3; i++) {
        grant = send(&play, 5000);
        play.now += 8 * SECONDS;
        end_well(&play, &grant, 100);
    }
    grant = send(&play, 5000);
    choice = play_ask(&play, &ask, &none);
    assert_int_equal(choice.reason, KEYPOOL_FULL);
    assert_in_range(choice.free_at_us, play.now + 7 * SECONDS, play.now + 9 * SECONDS);
    end_well(&play, &grant, 100);
    play_end(&play);
}

/* The limits that a provider tells of: an answer that has used less wakes who was refused. */
/* A window that is used up, of which requests under way will give back a little: soon there is room
 * for a small one, and for a large one when the window has turned. */
static void test_a_little_that_comes_back_is_no_room_for_much(void **state)
{
    struct keypool_grant first, second;
    struct play play;

    start(&play, (struct conf_limits){.tpm = 10000});
    first = send(&play, 9000);
    end_well(&play, &first, 8100);
    second = send(&play, 1900);
    play.now += 5 * SECONDS;
    assert_int_equal(refused(&play, 100).reason, KEYPOOL_FULL);
    assert_true(refused(&play, 100).free_at_us <= play.now + 100 * US_PER_MS);
    assert_int_equal(refused(&play, 5000).reason, KEYPOOL_AT_LIMIT);
    assert_true(refused(&play, 5000).free_at_us > play.now + 50 * SECONDS);
    end_well(&play, &second, 1900);
    play_end(&play);
}

static void test_learned_tokens_that_come_back_wake(void **state)
{
    struct limits_told told = {.account = {NULL, 0}};
    struct keypool_grant grant;
    struct play play;

    play_start(&play, 1);
    told.items[LIMITS_TOKENS].limit = told.items[LIMITS_TOKENS].remaining = 6000;
    grant = send(&play, 10);
    keypool_hear(play.views[0], &grant, &told, play.now);
    end_well(&play, &grant, 10);
    play.now += SECONDS;
    grant = send(&play, 5000);
    assert_int_equal(refused(&play, 5000).reason, KEYPOOL_AT_LIMIT);
    play.now += SECONDS;
    assert_int_equal(end_well(&play, &grant, 200), 1);
    grant = send(&play, 5000);
    /* And so does one whose head says that they were not counted. */
    play.now += SECONDS;
    assert_int_equal(refused(&play, 5000).reason, KEYPOOL_AT_LIMIT);
    told.items[LIMITS_TOKENS].remaining = 5900;
    told.items[LIMITS_TOKENS].reset_us = SECONDS;
    assert_int_equal(keypool_hear(play.views[0], &grant, &told, play.now).wakes, 1);
    end_well(&play, &grant, 100);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_never_sent_uses_no_declared_limit),
        cmocka_unit_test(test_what_was_sent_counts_however_it_ends),
        cmocka_unit_test(test_what_was_never_sent_uses_no_found_limit),
        cmocka_unit_test(test_what_was_never_sent_uses_no_learned_limit),
        cmocka_unit_test(test_tokens_that_come_back_wake),
        cmocka_unit_test(test_a_full_window_frees_the_smallest),
        cmocka_unit_test(test_as_many_are_woken_as_there_is_room_for),
        cmocka_unit_test(test_what_is_used_up_is_no_hope),
        cmocka_unit_test(test_who_can_wait_no_longer_is_told_the_usual_time),
        cmocka_unit_test(test_a_little_that_comes_back_is_no_room_for_much),
        cmocka_unit_test(test_learned_tokens_that_come_back_wake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

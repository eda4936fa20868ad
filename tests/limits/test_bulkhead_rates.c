/* Bulkheads with requests and tokens a minute, on virtual time: who waits for a rate, who is told
 * at once and of what, and what comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include <cmocka.h>

#include "base/bug.h"
#include "bulkhead_play.h"

/* Beside the play: its clock, and when it was asked to grant again; 0: it was not. */
struct rated {
    struct play play;
    struct bulkhead *bulkhead;
    uint64_t at_us;
    struct rates_taken taken; /* by the last that did not wait */
};

static void note_later(void *owner, uint64_t at_us)
{
    struct rated *rated = container_of((struct play *)owner, struct rated, play);

    if (rated->at_us == 0 || at_us < rated->at_us)
        rated->at_us = at_us;
}

static void set(struct rated *rated, struct bulkhead_rules rules)
{
    bulkhead_set(rated->bulkhead, &rules);
}

static void begin_rated(struct rated *rated, struct bulkhead_rules rules)
{
    begin(&rated->play, rules.concurrent, rules.queue);
    rated->bulkhead = rated->play.bulkhead;
    rated->at_us = 0;
    rated->play.caller.later = note_later;
    rated->play.caller.now_us = start;
    set(rated, rules);
}

static void pass(struct rated *rated, uint64_t us)
{
    rated->play.caller.now_us += us;
}

static uint64_t now(const struct rated *rated)
{
    return rated->play.caller.now_us;
}

/* As it was asked to; there must have been a reason. */
static void pass_until_asked(struct rated *rated)
{
    assert_true(rated->at_us > now(rated));
    rated->play.caller.now_us = rated->at_us;
    rated->at_us = 0;
}

static enum bulkhead_verdict try(struct rated *rated, uint64_t tokens)
{
    return bulkhead_try(rated->bulkhead, tokens, now(rated), &rated->taken);
}

static enum bulkhead_verdict enter_for(struct rated *rated, struct bulkhead_waiter *waiter,
                                       const char *client, uint64_t tokens, uint64_t wait_us)
{
    struct bulkhead_ask ask = {.client = span_from_text(client),
                               .now_us = now(rated),
                               .until_us = now(rated) + wait_us,
                               .tokens = tokens};

    *waiter = (struct bulkhead_waiter){.owner = waiter};
    return bulkhead_enter(rated->bulkhead, waiter, &ask, &rated->play.caller, &rated->play.refusal);
}

static void expect_waits(struct rated *rated, struct bulkhead_waiter *waiter, const char *client,
                         uint64_t tokens)
{
    assert_int_equal(enter_for(rated, waiter, client, tokens, 600 * US_PER_SEC), BULKHEAD_WAITS);
}

static void expect_turn(struct rated *rated, struct bulkhead_waiter *waiter)
{
    bool has_place = false;

    assert_ptr_equal(bulkhead_take(rated->bulkhead, 0, &has_place), waiter);
    assert_true(waiter == NULL || has_place);
}

static void expect_no_turn(struct rated *rated)
{
    assert_int_equal(bulkhead_grant(rated->bulkhead, &rated->play.caller), 0);
    expect_turn(rated, NULL);
}

static void leave(struct rated *rated, struct bulkhead_waiter *waiter)
{
    bulkhead_leave(rated->bulkhead, waiter, now(rated), now(rated), &rated->play.caller);
}

static void expect_refused(struct rated *rated, enum bulkhead_verdict verdict,
                           enum bulkhead_verdict expected, enum rates_what what, uint64_t retry_us)
{
    assert_int_equal(verdict, expected);
    assert_true(rated->play.refusal.is_limited);
    assert_int_equal(rated->play.refusal.what, what);
    assert_in_range(rated->play.refusal.retry_us, retry_us, retry_us + 2);
}

static void test_the_next_turn_comes_with_the_rate(void **state)
{
    struct rated rated;
    struct bulkhead_waiter waiters[3];

    (void)state;
    begin_rated(&rated, (struct bulkhead_rules){.queue = 9, .rates = {.rpm = 6}});
    assert_int_equal(try(&rated, 1), BULKHEAD_TAKEN);
    assert_int_equal(try(&rated, 1), BULKHEAD_WAITS);
    expect_waits(&rated, &waiters[0], "a", 1);
    expect_waits(&rated, &waiters[1], "a", 1);
    expect_waits(&rated, &waiters[2], "b", 1);
    assert_int_equal(rated.at_us, start + 10 * US_PER_SEC);
    /* Places there are: who leaves brings nobody's turn. */
    leave(&rated, NULL);
    pass(&rated, 10 * US_PER_SEC - 1);
    expect_no_turn(&rated);
    pass(&rated, 1);
    assert_int_equal(bulkhead_grant(rated.bulkhead, &rated.play.caller), 1);
    expect_turn(&rated, &waiters[0]);
    /* Clients in turn. */
    rated.at_us = 0;
    expect_no_turn(&rated);
    pass_until_asked(&rated);
    assert_int_equal(bulkhead_grant(rated.bulkhead, &rated.play.caller), 1);
    expect_turn(&rated, &waiters[2]);
    pass_until_asked(&rated);
    assert_int_equal(now(&rated), start + 30 * US_PER_SEC);
    assert_int_equal(bulkhead_grant(rated.bulkhead, &rated.play.caller), 1);
    expect_turn(&rated, &waiters[1]);
    for (int i = 0; i < 3; i++)
        leave(&rated, &waiters[i]);
    assert_int_equal(try(&rated, 1), BULKHEAD_WAITS);
    end(&rated.play);
}

static void test_small_ones_do_not_pass_a_large_one(void **state)
{
    struct rated rated;
    struct bulkhead_waiter large, small;

    (void)state;
    begin_rated(&rated, (struct bulkhead_rules){.queue = 9, .rates = {.tpm = 6000}});
    assert_int_equal(try(&rated, 5000), BULKHEAD_TAKEN);
    expect_waits(&rated, &large, "a", 4000);
    assert_int_equal(rated.at_us, start + 30 * US_PER_SEC);
    assert_int_equal(try(&rated, 10), BULKHEAD_WAITS);
    expect_waits(&rated, &small, "b", 10);
    expect_turn(&rated, NULL);
    pass(&rated, 29 * US_PER_SEC);
    expect_no_turn(&rated);
    pass(&rated, US_PER_SEC);
    assert_int_equal(bulkhead_grant(rated.bulkhead, &rated.play.caller), 1);
    expect_turn(&rated, &large);
    pass(&rated, 100 * US_PER_MS);
    assert_int_equal(bulkhead_grant(rated.bulkhead, &rated.play.caller), 1);
    expect_turn(&rated, &small);
    leave(&rated, &large);
    leave(&rated, &small);
    leave(&rated, NULL);
    end(&rated.play);
}

/* What was not used moves the line at once, and so does a head that leaves; one that is held does
 * so when those behind it have been asked as well. */
static void test_what_comes_back_moves_the_line(void **state)
{
    struct rated rated;
    struct bulkhead_waiter waiters[4];

    (void)state;
    begin_rated(&rated, (struct bulkhead_rules){.queue = 9, .rates = {.tpm = 6000}});
    assert_int_equal(try(&rated, 6000), BULKHEAD_TAKEN);
    expect_waits(&rated, &waiters[0], "a", 3000);
    expect_waits(&rated, &waiters[1], "a", 6000);
    expect_waits(&rated, &waiters[2], "a", 6000);
    expect_waits(&rated, &waiters[3], "a", 2000);
    bulkhead_settle(rated.bulkhead, &rated.taken, 1000, now(&rated));
    leave(&rated, NULL);
    expect_turn(&rated, &waiters[0]);
    expect_turn(&rated, NULL);
    bulkhead_quit(rated.bulkhead, &waiters[1], &rated.play.caller);
    expect_turn(&rated, NULL);
    rated.at_us = 0;
    bulkhead_hold(rated.bulkhead, &waiters[2], &rated.play.caller);
    expect_turn(&rated, NULL);
    pass_until_asked(&rated);
    assert_in_range(now(&rated), start + 1, start + US_PER_SEC);
    assert_int_equal(bulkhead_grant(rated.bulkhead, &rated.play.caller), 1);
    expect_turn(&rated, &waiters[3]);
    assert_int_equal(bulkhead_read(rated.bulkhead, RATES_TOKENS, now(&rated)).remaining, 10);
    bulkhead_quit(rated.bulkhead, &waiters[2], &rated.play.caller);
    leave(&rated, &waiters[0]);
    leave(&rated, &waiters[3]);
    end(&rated.play);
}

static void test_a_turn_that_is_not_wanted_is_given_back(void **state)
{
    struct rated rated;
    struct bulkhead_waiter waiters[2];

    (void)state;
    begin_rated(&rated,
                (struct bulkhead_rules){.queue = 9, .rates = {.rpm = 1, .burst = 1, .tpm = 6000}});
    assert_int_equal(try(&rated, 6000), BULKHEAD_TAKEN);
    expect_waits(&rated, &waiters[0], "a", 5000);
    expect_waits(&rated, &waiters[1], "a", 6000);
    pass_until_asked(&rated);
    assert_int_equal(bulkhead_grant(rated.bulkhead, &rated.play.caller), 1);
    /* Its client has gone before its worker heard of it. */
    bulkhead_quit(rated.bulkhead, &waiters[0], &rated.play.caller);
    expect_turn(&rated, &waiters[1]);
    leave(&rated, &waiters[1]);
    leave(&rated, NULL);
    end(&rated.play);
}

/* Whatever it announced, it shuts nobody out for longer than a minute, nor tells him so. */
static void test_one_that_announces_too_much(void **state)
{
    struct rated rated;
    struct bulkhead_waiter large, small;

    (void)state;
    begin_rated(&rated, (struct bulkhead_rules){.queue = 9, .rates = {.tpm = 6000}});
    assert_int_equal(try(&rated, UINT64_MAX / 2), BULKHEAD_TAKEN);
    expect_waits(&rated, &large, "a", UINT64_MAX / 2);
    assert_int_equal(rated.at_us, start + 60 * US_PER_SEC);
    expect_refused(&rated, enter_for(&rated, &small, "b", 600, 30 * US_PER_SEC), BULKHEAD_LATE,
                   RATES_TOKENS, 36 * US_PER_SEC);
    pass_until_asked(&rated);
    assert_int_equal(bulkhead_grant(rated.bulkhead, &rated.play.caller), 1);
    expect_turn(&rated, &large);
    leave(&rated, &large);
    leave(&rated, NULL);
    end(&rated.play);
}

/* It takes what it asks for as well, under limits that are set while it stands there; and of one
 * that had its turn before them nothing comes back. */
static void test_limits_that_come_while_one_waits(void **state)
{
    struct rated rated;
    struct bulkhead_waiter early, waiters[2];

    (void)state;
    begin_rated(&rated, (struct bulkhead_rules){.concurrent = 1, .queue = 9});
    assert_int_equal(try(&rated, 4000), BULKHEAD_TAKEN);
    expect_waits(&rated, &early, "a", 4000);
    for (int i = 0; i < 2; i++)
        expect_waits(&rated, &waiters[i], "a", 4000);
    leave(&rated, NULL);
    set(&rated, (struct bulkhead_rules){.concurrent = 9, .queue = 9, .rates = {.tpm = 6000}});
    assert_int_equal(bulkhead_grant(rated.bulkhead, &rated.play.caller), 1);
    assert_int_equal(rated.at_us, start + 20 * US_PER_SEC);
    bulkhead_quit(rated.bulkhead, &early, &rated.play.caller);
    expect_turn(&rated, &waiters[0]);
    assert_int_equal(waiters[0].taken.tokens, 4000);
    expect_no_turn(&rated);
    assert_int_equal(bulkhead_read(rated.bulkhead, RATES_TOKENS, now(&rated)).remaining, 2000);
    bulkhead_settle(rated.bulkhead, &waiters[0].taken, 10, now(&rated));
    leave(&rated, &waiters[0]);
    expect_turn(&rated, &waiters[1]);
    leave(&rated, &waiters[1]);
    end(&rated.play);
}

static void test_who_cannot_make_it_is_told_at_once(void **state)
{
    struct rated rated;
    struct bulkhead_waiter waiters[4];

    (void)state;
    begin_rated(&rated, (struct bulkhead_rules){.queue = 9, .rates = {.rpm = 6}});
    assert_int_equal(try(&rated, 1), BULKHEAD_TAKEN);
    for (int i = 0; i < 3; i++)
        assert_int_equal(enter_for(&rated, &waiters[i], "a", 1, 30 * US_PER_SEC), BULKHEAD_WAITS);
    /* Its turn would be the fourth, in forty seconds: ten too late, and so long it has to stay
     * away. */
    expect_refused(&rated, enter_for(&rated, &waiters[3], "a", 1, 30 * US_PER_SEC), BULKHEAD_LATE,
                   RATES_REQUESTS, 10 * US_PER_SEC);
    assert_int_equal(rated.play.refusal.reading.limit, 6);
    assert_int_equal(rated.play.refusal.reading.remaining, 0);
    /* Another client would have the second turn, and cannot quite wait for that. */
    expect_refused(&rated, enter_for(&rated, &waiters[3], "b", 1, 19 * US_PER_SEC), BULKHEAD_LATE,
                   RATES_REQUESTS, 1 * US_PER_SEC);
    pass_until_asked(&rated);
    assert_int_equal(bulkhead_grant(rated.bulkhead, &rated.play.caller), 1);
    assert_int_equal(enter_for(&rated, &waiters[3], "a", 1, 30 * US_PER_SEC), BULKHEAD_WAITS);
    expect_turn(&rated, &waiters[0]);
    for (int i = 1; i < 4; i++)
        bulkhead_quit(rated.bulkhead, &waiters[i], &rated.play.caller);
    leave(&rated, &waiters[0]);
    leave(&rated, NULL);
    end(&rated.play);
}

static void test_late_for_tokens(void **state)
{
    struct rated rated;
    struct bulkhead_waiter waiters[3];

    (void)state;
    begin_rated(&rated, (struct bulkhead_rules){.queue = 9, .rates = {.tpm = 6000}});
    assert_int_equal(try(&rated, 6000), BULKHEAD_TAKEN);
    assert_int_equal(enter_for(&rated, &waiters[0], "a", 2000, 30 * US_PER_SEC), BULKHEAD_WAITS);
    expect_refused(&rated, enter_for(&rated, &waiters[1], "a", 2000, 30 * US_PER_SEC),
                   BULKHEAD_LATE, RATES_TOKENS, 10 * US_PER_SEC);
    assert_int_equal(enter_for(&rated, &waiters[1], "a", 1000, 30 * US_PER_SEC), BULKHEAD_WAITS);
    bulkhead_quit(rated.bulkhead, &waiters[0], &rated.play.caller);
    bulkhead_quit(rated.bulkhead, &waiters[1], &rated.play.caller);
    leave(&rated, NULL);
    end(&rated.play);
}

/* A class without a queue is a limit as any other. */
static void test_without_a_queue(void **state)
{
    struct rated rated;
    struct bulkhead_waiter waiter;

    (void)state;
    begin_rated(&rated, (struct bulkhead_rules){.queue = 0, .rates = {.rpm = 60, .tpm = 6000}});
    assert_int_equal(try(&rated, 5000), BULKHEAD_TAKEN);
    expect_refused(&rated, enter_for(&rated, &waiter, "a", 2000, 30 * US_PER_SEC), BULKHEAD_FULL,
                   RATES_TOKENS, 10 * US_PER_SEC);
    assert_int_equal(rated.play.refusal.reading.remaining, 1000);
    pass(&rated, 10 * US_PER_SEC - 1);
    expect_refused(&rated, enter_for(&rated, &waiter, "a", 2000, 30 * US_PER_SEC), BULKHEAD_FULL,
                   RATES_TOKENS, 1);
    pass(&rated, 1);
    assert_int_equal(enter_for(&rated, &waiter, "a", 2000, 30 * US_PER_SEC), BULKHEAD_TAKEN);
    assert_int_equal(rated.at_us, 0);
    leave(&rated, NULL);
    leave(&rated, NULL);
    end(&rated.play);
}

/* Who is refused for want of a place is not told of a limit, and the other way round. */
static void test_whichever_is_further_off_is_named(void **state)
{
    struct rated rated;
    struct bulkhead_waiter waiter;

    (void)state;
    begin_rated(&rated, (struct bulkhead_rules){.concurrent = 1, .queue = 0, .rates = {.rpm = 60}});
    /* Places are held for thirty seconds. */
    assert_int_equal(try(&rated, 1), BULKHEAD_TAKEN);
    pass(&rated, 30 * US_PER_SEC);
    bulkhead_leave(rated.bulkhead, NULL, start, now(&rated), &rated.play.caller);
    assert_int_equal(try(&rated, 1), BULKHEAD_TAKEN);
    assert_int_equal(enter_for(&rated, &waiter, "a", 1, US_PER_SEC), BULKHEAD_FULL);
    assert_false(rated.play.refusal.is_limited);
    assert_in_range(rated.play.refusal.retry_us, 30 * US_PER_SEC, 30 * US_PER_SEC + 2);
    leave(&rated, NULL);
    set(&rated, (struct bulkhead_rules){.concurrent = 1, .queue = 0, .rates = {.rpm = 1}});
    pass(&rated, 120 * US_PER_SEC);
    assert_int_equal(try(&rated, 1), BULKHEAD_TAKEN);
    expect_refused(&rated, enter_for(&rated, &waiter, "a", 1, US_PER_SEC), BULKHEAD_FULL,
                   RATES_REQUESTS, 60 * US_PER_SEC);
    leave(&rated, NULL);
    end(&rated.play);
}

/* Either may be within what one can wait: of places the next turn would be later than what is too
 * much of the rate, and yet it is the rate that it cannot wait for. */
static void test_late_for_a_rate_while_places_are_full(void **state)
{
    struct rated rated;
    struct bulkhead_waiter waiters[3];

    (void)state;
    begin_rated(&rated, (struct bulkhead_rules){.concurrent = 1, .queue = 9, .rates = {.rpm = 6}});
    assert_int_equal(try(&rated, 1), BULKHEAD_TAKEN);
    pass(&rated, 5 * US_PER_SEC);
    bulkhead_leave(rated.bulkhead, NULL, start, now(&rated), &rated.play.caller);
    pass(&rated, 5 * US_PER_SEC);
    assert_int_equal(try(&rated, 1), BULKHEAD_TAKEN);
    for (int i = 0; i < 2; i++)
        expect_waits(&rated, &waiters[i], "a", 1);
    expect_refused(&rated, enter_for(&rated, &waiters[2], "a", 1, 28 * US_PER_SEC), BULKHEAD_LATE,
                   RATES_REQUESTS, 2 * US_PER_SEC);
    for (int i = 0; i < 2; i++)
        bulkhead_quit(rated.bulkhead, &waiters[i], &rated.play.caller);
    leave(&rated, NULL);
    end(&rated.play);
}

/* The timer is a moment late: it is the rate all the same for which they wait, and the line goes
 * on. */
static void test_full_before_the_line_went_on(void **state)
{
    struct rated rated;
    struct bulkhead_waiter first, second;

    (void)state;
    begin_rated(&rated, (struct bulkhead_rules){.queue = 1, .rates = {.rpm = 6}});
    assert_int_equal(try(&rated, 1), BULKHEAD_TAKEN);
    expect_waits(&rated, &first, "a", 1);
    pass(&rated, 10 * US_PER_SEC + US_PER_MS);
    expect_refused(&rated, enter_for(&rated, &second, "a", 1, 30 * US_PER_SEC), BULKHEAD_FULL,
                   RATES_REQUESTS, 0);
    expect_turn(&rated, &first);
    leave(&rated, &first);
    leave(&rated, NULL);
    end(&rated.play);
}

/* Held for most of its time: what it is told is what it would be with a whole wait. */
static void test_released_too_late_for_a_rate(void **state)
{
    struct rated rated;
    struct bulkhead_waiter waiters[2];
    struct bulkhead_ask ask = {.client = SPAN("a"), .tokens = 1};

    (void)state;
    begin_rated(&rated, (struct bulkhead_rules){.queue = 9, .rates = {.rpm = 6}});
    assert_int_equal(try(&rated, 1), BULKHEAD_TAKEN);
    expect_waits(&rated, &waiters[0], "a", 1);
    ask.now_us = now(&rated);
    ask.until_us = ask.now_us + 15 * US_PER_SEC;
    ask.held_until_us = ask.now_us + US_PER_SEC;
    waiters[1] = (struct bulkhead_waiter){0};
    assert_int_equal(
        bulkhead_enter(rated.bulkhead, &waiters[1], &ask, &rated.play.caller, &rated.play.refusal),
        BULKHEAD_WAITS);
    pass(&rated, US_PER_SEC);
    assert_int_equal(release_by(&rated.play, &waiters[1], &ask, now(&rated)), BULKHEAD_LATE);
    ask.now_us = now(&rated);
    ask.until_us = ask.now_us + 60 * US_PER_SEC;
    rated.play.refusal =
        bulkhead_refuse(rated.bulkhead, &waiters[1], &ask, true, &rated.play.caller);
    assert_true(rated.play.refusal.is_limited);
    assert_int_equal(rated.play.refusal.reading.limit, 6);
    assert_int_equal(rated.play.refusal.retry_us, 0);
    bulkhead_quit(rated.bulkhead, &waiters[0], &rated.play.caller);
    leave(&rated, NULL);
    end(&rated.play);
}

/* It is not told to wait for itself, nor does anybody after it. */
static void test_refused_in_vain(void **state)
{
    struct rated rated;
    struct bulkhead_waiter waiters[3];
    const struct bulkhead_ask ask = {
        .client = SPAN("a"), .tokens = 1, .now_us = start, .until_us = start + 5 * US_PER_SEC};

    (void)state;
    begin_rated(&rated, (struct bulkhead_rules){.queue = 9, .rates = {.rpm = 6}});
    assert_int_equal(try(&rated, 1), BULKHEAD_TAKEN);
    for (int i = 0; i < 3; i++)
        expect_waits(&rated, &waiters[i], "a", 1);
    rated.play.refusal =
        bulkhead_refuse(rated.bulkhead, &waiters[2], &ask, false, &rated.play.caller);
    expect_refused(&rated, BULKHEAD_LATE, BULKHEAD_LATE, RATES_REQUESTS, 25 * US_PER_SEC);
    assert_int_equal(bulkhead_waiting(rated.bulkhead), 2);
    /* The first one's time is over as its turn comes: it is the next one's. */
    pass(&rated, 10 * US_PER_SEC);
    (void)bulkhead_refuse(rated.bulkhead, &waiters[0], &ask, false, &rated.play.caller);
    expect_turn(&rated, &waiters[1]);
    for (int i = 0; i < 3; i += 2)
        bulkhead_quit(rated.bulkhead, &waiters[i], &rated.play.caller);
    leave(&rated, &waiters[1]);
    leave(&rated, NULL);
    end(&rated.play);
}

/* While the line stands for a rate, it says nothing of how long places are held. */
static void test_a_rate_says_nothing_of_the_pace(void **state)
{
    struct rated rated;
    struct bulkhead_waiter large, small;

    (void)state;
    begin_rated(&rated,
                (struct bulkhead_rules){.concurrent = 1, .queue = 9, .rates = {.tpm = 6000}});
    assert_int_equal(try(&rated, 6000), BULKHEAD_TAKEN);
    pass(&rated, US_PER_SEC);
    bulkhead_leave(rated.bulkhead, NULL, start, now(&rated), &rated.play.caller);
    expect_waits(&rated, &large, "a", 6000);
    pass(&rated, 50 * US_PER_SEC);
    /* Nobody left for fifty seconds, for nobody ran: a second is still what a place is held for. */
    assert_int_equal(enter_for(&rated, &small, "b", 10, 15 * US_PER_SEC), BULKHEAD_WAITS);
    pass_until_asked(&rated);
    assert_int_equal(bulkhead_grant(rated.bulkhead, &rated.play.caller), 1);
    expect_turn(&rated, &large);
    pass(&rated, US_PER_SEC);
    leave(&rated, &large);
    expect_turn(&rated, &small);
    leave(&rated, &small);
    end(&rated.play);
}

static void test_other_rules(void **state)
{
    struct rated rated;
    struct bulkhead_waiter waiters[3];

    (void)state;
    begin_rated(&rated, (struct bulkhead_rules){.queue = 9, .rates = {.tpm = 6000}});
    assert_int_equal(try(&rated, 6000), BULKHEAD_TAKEN);
    for (int i = 0; i < 3; i++)
        expect_waits(&rated, &waiters[i], "a", 3000);
    /* What was used stays used: twice the rate is there in half the time. */
    set(&rated, (struct bulkhead_rules){.queue = 9, .rates = {.tpm = 3000}});
    pass(&rated, 59 * US_PER_SEC);
    expect_no_turn(&rated);
    pass(&rated, 1 * US_PER_SEC);
    assert_int_equal(bulkhead_grant(rated.bulkhead, &rated.play.caller), 1);
    expect_turn(&rated, &waiters[0]);
    /* No limit any more: all go on; then no class. */
    set(&rated, (struct bulkhead_rules){.concurrent = 3, .queue = 9});
    assert_int_equal(bulkhead_grant(rated.bulkhead, &rated.play.caller), 1);
    expect_turn(&rated, &waiters[1]);
    bulkhead_set(rated.bulkhead, NULL);
    assert_int_equal(bulkhead_grant(rated.bulkhead, &rated.play.caller), 1);
    expect_turn(&rated, &waiters[2]);
    for (int i = 0; i < 3; i++)
        leave(&rated, &waiters[i]);
    leave(&rated, NULL);
    end(&rated.play);
}

/* ---- workers at once ---- */

enum { TURNS = 20000, RPM = 60000, BURST = 100, ASKS = 7 };

struct crowd {
    struct bulkhead *bulkhead;
    _Atomic uint64_t now_us;
    _Atomic uint64_t turns;
};

struct hand {
    struct crowd *crowd;
    uint32_t worker;
};

static void call_nobody(void *owner, uint32_t worker)
{
    (void)owner, (void)worker;
}

/* Time passes while somebody waits: whoever is asked to look later does so at once, then. */
static void let_pass(void *owner, uint64_t at_us)
{
    struct crowd *crowd = owner;
    uint64_t now_us = atomic_load(&crowd->now_us);

    while (now_us < at_us && !atomic_compare_exchange_weak(&crowd->now_us, &now_us, at_us))
        ;
}

static struct bulkhead_caller caller_now(struct crowd *crowd)
{
    return (struct bulkhead_caller){call_nobody, crowd, let_pass, atomic_load(&crowd->now_us)};
}

/* Its turn, or NULL where it had one without waiting. */
static struct bulkhead_waiter *await(struct hand *hand)
{
    struct bulkhead_waiter *taken = NULL;
    bool has_place = true;

    while (!taken) {
        struct bulkhead_caller caller = caller_now(hand->crowd);

        taken = bulkhead_take(hand->crowd->bulkhead, hand->worker, &has_place);
        if (!taken)
            bulkhead_grant(hand->crowd->bulkhead, &caller);
        sched_yield();
    }
    bug_fatal_unless(has_place);
    return taken;
}

/* Every seventh one that waits leaves; of what is reserved each gives half back. */
static void *work(void *arg)
{
    struct hand *hand = arg;
    struct crowd *crowd = hand->crowd;

    for (uint64_t turn = 0; turn < TURNS; turn++) {
        struct bulkhead_caller caller = caller_now(crowd);
        struct bulkhead_waiter waiter = {.owner = hand}, *taken = NULL;
        struct bulkhead_ask ask = {.client = hand->worker ? SPAN("b") : SPAN("a"),
                                   .worker = hand->worker,
                                   .now_us = caller.now_us,
                                   .until_us = UINT64_MAX / 2,
                                   .tokens = 10};
        struct rates_taken own = {0};
        enum bulkhead_verdict verdict = bulkhead_try(crowd->bulkhead, 10, caller.now_us, &own);
        struct bulkhead_refusal refusal;

        if (verdict == BULKHEAD_WAITS)
            verdict = bulkhead_enter(crowd->bulkhead, &waiter, &ask, &caller, &refusal);
        if (verdict == BULKHEAD_WAITS && turn % ASKS == 0) {
            bulkhead_quit(crowd->bulkhead, &waiter, &caller);
            continue;
        }
        if (verdict == BULKHEAD_WAITS)
            taken = await(hand);
        atomic_fetch_add(&crowd->turns, 1);
        if (verdict == BULKHEAD_WAITS || own.tpm == 0)
            own = waiter.taken;
        bulkhead_settle(crowd->bulkhead, &own, 5, caller.now_us);
        bulkhead_leave(crowd->bulkhead, taken, caller.now_us, caller.now_us, &caller);
    }
    return NULL;
}

/* Nobody is lost, and no more had a turn than the rate allows in the time that went by. */
static void test_workers_at_once(void **state)
{
    const struct bulkhead_rules rules = {
        .concurrent = 2, .queue = 10, .rates = {.rpm = RPM, .burst = BURST, .tpm = 10 * RPM}};
    struct crowd crowd = {.now_us = start};
    struct hand hands[WORKERS];
    pthread_t threads[WORKERS];
    struct play play;
    uint64_t allowed;

    (void)state;
    begin(&play, 1, 10);
    bulkhead_set(play.bulkhead, &rules);
    crowd.bulkhead = play.bulkhead;
    for (uint32_t i = 0; i < WORKERS; i++) {
        hands[i] = (struct hand){&crowd, i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &hands[i]), 0);
    }
    for (uint32_t i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    allowed = BURST + (atomic_load(&crowd.now_us) - start) * RPM / (60 * US_PER_SEC);
    assert_in_range(atomic_load(&crowd.turns), allowed / 2, allowed);
    end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_next_turn_comes_with_the_rate),
        cmocka_unit_test(test_small_ones_do_not_pass_a_large_one),
        cmocka_unit_test(test_what_comes_back_moves_the_line),
        cmocka_unit_test(test_a_turn_that_is_not_wanted_is_given_back),
        cmocka_unit_test(test_one_that_announces_too_much),
        cmocka_unit_test(test_limits_that_come_while_one_waits),
        cmocka_unit_test(test_who_cannot_make_it_is_told_at_once),
        cmocka_unit_test(test_late_for_tokens),
        cmocka_unit_test(test_without_a_queue),
        cmocka_unit_test(test_whichever_is_further_off_is_named),
        cmocka_unit_test(test_late_for_a_rate_while_places_are_full),
        cmocka_unit_test(test_full_before_the_line_went_on),
        cmocka_unit_test(test_released_too_late_for_a_rate),
        cmocka_unit_test(test_refused_in_vain),
        cmocka_unit_test(test_a_rate_says_nothing_of_the_pace),
        cmocka_unit_test(test_other_rules),
        cmocka_unit_test(test_workers_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

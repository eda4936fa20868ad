/* Bulkheads on virtual time: who runs, who waits, who is told at once; fairness among clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "bulkhead_play.h"

/* The next that was granted a place. */
static struct bulkhead_waiter *take(struct play *play, uint32_t worker)
{
    bool has_place = false;
    struct bulkhead_waiter *waiter = bulkhead_take(play->bulkhead, worker, &has_place);

    assert_true(has_place == (waiter != NULL));
    return waiter;
}

/* As worker 0, for at most so long. */
static enum bulkhead_verdict enter(struct play *play, struct bulkhead_waiter *waiter,
                                   const char *client, uint64_t now_us, uint64_t wait_us)
{
    struct bulkhead_ask ask = {
        .client = span_from_text(client), .now_us = now_us, .until_us = now_us + wait_us};

    *waiter = (struct bulkhead_waiter){.owner = waiter};
    return bulkhead_enter(play->bulkhead, waiter, &ask, &play->caller, &play->refusal);
}

static void expect_waits(struct play *play, struct bulkhead_waiter *waiter, const char *client)
{
    assert_int_equal(enter(play, waiter, client, start, 60 * US_PER_SEC), BULKHEAD_WAITS);
}

static void run_one(struct play *play)
{
    assert_int_equal(bulkhead_try(play->bulkhead, 0, 0, NULL), BULKHEAD_TAKEN);
}

/* One that finds the place free, though others are held. */
static void run_beside_held(struct play *play, uint64_t now_us)
{
    struct bulkhead_waiter waiter;

    assert_int_equal(enter(play, &waiter, "z", now_us, 1), BULKHEAD_TAKEN);
}

static void leave(struct play *play, struct bulkhead_waiter *waiter, uint64_t now_us)
{
    bulkhead_leave(play->bulkhead, waiter, now_us - US_PER_SEC, now_us, &play->caller);
}

static void test_no_limit(void **state)
{
    struct bulkhead_waiter waiter;
    struct play play;

    (void)state;
    begin(&play, 1, 1);
    bulkhead_set(play.bulkhead, NULL);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(bulkhead_try(play.bulkhead, 0, 0, NULL), BULKHEAD_FREE);
    assert_int_equal(enter(&play, &waiter, "a", start, 1), BULKHEAD_FREE);
    end(&play);
}

static void test_places_pass_on(void **state)
{
    struct bulkhead_waiter first, second;
    struct play play;

    (void)state;
    begin(&play, 2, 2);
    run_one(&play);
    run_one(&play);
    assert_int_equal(bulkhead_try(play.bulkhead, 0, 0, NULL), BULKHEAD_WAITS);
    expect_waits(&play, &first, "a");
    expect_waits(&play, &second, "a");
    assert_int_equal(bulkhead_waiting(play.bulkhead), 2);
    assert_null(take(&play, 0));
    leave(&play, NULL, start + 1);
    assert_int_equal(play.calls[0], 1);
    assert_int_equal(bulkhead_running(play.bulkhead), 2);
    /* Who comes meanwhile takes nobody's place. */
    assert_int_equal(bulkhead_try(play.bulkhead, 0, 0, NULL), BULKHEAD_WAITS);
    assert_null(take(&play, 1));
    assert_ptr_equal(take(&play, 0), &first);
    assert_null(take(&play, 0));
    leave(&play, NULL, start + 2);
    assert_ptr_equal(take(&play, 0), &second);
    leave(&play, &first, start + 3);
    leave(&play, &second, start + 3);
    assert_int_equal(play.calls[0], 2);
    end(&play);
}

/* A grant that comes late is the next one's, in whatever state the one who leaves was. */
static void test_leaving_the_queue(void **state)
{
    struct bulkhead_waiter gone, granted, next;
    struct play play;

    (void)state;
    begin(&play, 1, 10);
    run_one(&play);
    expect_waits(&play, &gone, "c");
    expect_waits(&play, &granted, "b");
    expect_waits(&play, &next, "a");
    bulkhead_quit(play.bulkhead, &gone, &play.caller);
    bulkhead_quit(play.bulkhead, &gone, &play.caller);
    assert_int_equal(bulkhead_waiting(play.bulkhead), 2);
    leave(&play, NULL, start + 1);
    assert_int_equal(granted.state.state, BULKHEAD_GRANTED);
    bulkhead_quit(play.bulkhead, &granted, &play.caller);
    assert_ptr_equal(take(&play, 0), &next);
    assert_int_equal(bulkhead_running(play.bulkhead), 1);
    leave(&play, &next, start + 2);
    end(&play);
}

static void test_full(void **state)
{
    struct bulkhead_waiter waiter, one_more;
    struct play play;

    (void)state;
    begin(&play, 1, 1);
    run_one(&play);
    expect_waits(&play, &waiter, "a");
    assert_int_equal(enter(&play, &one_more, "b", start, 60 * US_PER_SEC), BULKHEAD_FULL);
    assert_int_equal(play.refusal.retry_us, 0); /* nobody has left so far: nothing is known */
    bulkhead_quit(play.bulkhead, &one_more, &play.caller);
    leave(&play, NULL, start + 1);
    assert_ptr_equal(take(&play, 0), &waiter);
    expect_waits(&play, &one_more, "b");
    assert_int_equal(enter(&play, &waiter, "a", start + 1, 60 * US_PER_SEC), BULKHEAD_FULL);
    /* A second for each place, one place. */
    assert_in_range(play.refusal.retry_us, US_PER_SEC, US_PER_SEC + 10);
    bulkhead_quit(play.bulkhead, &one_more, &play.caller);
    bulkhead_leave(play.bulkhead, NULL, start, start + 1, &play.caller);
    end(&play);
}

/* A full queue takes one of another client in place of the last of who has most. */
static void test_displaced(void **state)
{
    struct bulkhead_waiter greedy[3], modest[2], leaver;
    struct play play;
    bool has_place = true;

    (void)state;
    begin(&play, 1, 3);
    run_one(&play);
    for (int i = 0; i < 3; i++)
        expect_waits(&play, &greedy[i], "a");
    assert_int_equal(enter(&play, &leaver, "a", start, US_PER_SEC), BULKHEAD_FULL);
    expect_waits(&play, &modest[0], "b");
    assert_int_equal(bulkhead_waiting(play.bulkhead), 3);
    assert_int_equal(play.calls[0], 1);
    assert_ptr_equal(bulkhead_take(play.bulkhead, 0, &has_place), &greedy[2]);
    assert_false(has_place);
    /* Two and one: one more of the second would be no fewer than what the first has. */
    assert_int_equal(enter(&play, &modest[1], "b", start, US_PER_SEC), BULKHEAD_FULL);
    expect_waits(&play, &modest[1], "c");
    /* One that leaves before it was told. */
    assert_int_equal(greedy[1].state.state, BULKHEAD_DISPLACED);
    bulkhead_quit(play.bulkhead, &greedy[1], &play.caller);
    assert_null(bulkhead_take(play.bulkhead, 0, &has_place));
    bulkhead_quit(play.bulkhead, &greedy[0], &play.caller);
    bulkhead_quit(play.bulkhead, &modest[0], &play.caller);
    bulkhead_quit(play.bulkhead, &modest[1], &play.caller);
    leave(&play, NULL, start + 1);
    end(&play);
}

/* Who has most gives way, also where it has long been silent. */
static void test_displaces_the_longest(void **state)
{
    struct bulkhead_waiter silent[4], loud[4], modest[4];
    struct play play;
    bool has_place = true;

    (void)state;
    begin(&play, 1, 8);
    run_one(&play);
    for (int i = 0; i < 4; i++)
        expect_waits(&play, &silent[i], "silent");
    for (int i = 0; i < 4; i++)
        expect_waits(&play, &loud[i], "loud");
    for (int i = 0; i < 4; i++) {
        char name[] = {(char)('a' + i), '\0'};

        expect_waits(&play, &modest[i], name);
        assert_non_null(bulkhead_take(play.bulkhead, 0, &has_place));
        assert_false(has_place);
    }
    assert_int_equal(silent[2].state.state, BULKHEAD_OUTSIDE);
    assert_int_equal(loud[2].state.state, BULKHEAD_OUTSIDE);
    for (int i = 0; i < 4; i++) {
        bulkhead_quit(play.bulkhead, &silent[i], &play.caller);
        bulkhead_quit(play.bulkhead, &loud[i], &play.caller);
        bulkhead_quit(play.bulkhead, &modest[i], &play.caller);
    }
    leave(&play, NULL, start + 1);
    end(&play);
}

/* Ten places of a second each: a turn comes every 100 ms. */
static void test_told_at_once(void **state)
{
    struct bulkhead_waiter waiters[30], late;
    struct play play;

    (void)state;
    begin(&play, 10, 100);
    for (int i = 0; i < 10; i++)
        run_one(&play);
    leave(&play, NULL, start);
    run_one(&play);
    for (int i = 0; i < 30; i++)
        expect_waits(&play, &waiters[i], "a");
    /* The 31st turn is 3 s and a bit away: not for one that has 3 s; after the next it would do. */
    assert_int_equal(enter(&play, &late, "a", start, 3 * US_PER_SEC), BULKHEAD_LATE);
    assert_in_range(play.refusal.retry_us, 100 * US_PER_MS, 101 * US_PER_MS);
    assert_int_equal(enter(&play, &late, "a", start, 1 * US_PER_SEC), BULKHEAD_LATE);
    assert_in_range(play.refusal.retry_us, 2050 * US_PER_MS, 2051 * US_PER_MS);
    /* Another client has the second turn. */
    assert_int_equal(enter(&play, &late, "b", start, 300 * US_PER_MS), BULKHEAD_WAITS);
    bulkhead_quit(play.bulkhead, &late, &play.caller);
    /* Nobody leaves for ten seconds: the pace has fallen, to one a second. */
    assert_int_equal(enter(&play, &late, "a", start + 10 * US_PER_SEC, 30 * US_PER_SEC),
                     BULKHEAD_LATE);
    assert_in_range(play.refusal.retry_us, 1 * US_PER_SEC, 1001 * US_PER_MS);
    for (int i = 0; i < 30; i++)
        bulkhead_quit(play.bulkhead, &waiters[i], &play.caller);
    for (int i = 0; i < 10; i++)
        leave(&play, NULL, start + US_PER_SEC);
    end(&play);
}

/* An incident long ago must not have everybody refused for ever: who finds room teaches it anew. */
static void test_pace_recovers(void **state)
{
    struct bulkhead_waiter waiter;
    struct play play;

    (void)state;
    begin(&play, 1, 10);
    run_one(&play);
    bulkhead_leave(play.bulkhead, NULL, start, start + 600 * US_PER_SEC, &play.caller);
    run_one(&play);
    assert_int_equal(enter(&play, &waiter, "a", start, 10 * US_PER_SEC), BULKHEAD_LATE);
    for (int i = 0; i < 100; i++) {
        bulkhead_leave(play.bulkhead, NULL, start, start + US_PER_SEC, &play.caller);
        run_one(&play);
    }
    assert_int_equal(enter(&play, &waiter, "a", start, 10 * US_PER_SEC), BULKHEAD_WAITS);
    bulkhead_quit(play.bulkhead, &waiter, &play.caller);
    leave(&play, NULL, start);
    end(&play);
}

/* That nobody left while some were held says nothing of the pace. */
static void test_held_for_long(void **state)
{
    struct bulkhead_waiter held, first, second;
    struct play play;
    uint64_t later = start + 36000 * US_PER_SEC;
    struct bulkhead_ask ask = {.client = SPAN("a"),
                               .now_us = start,
                               .until_us = later + US_PER_SEC,
                               .held_until_us = later};

    (void)state;
    begin(&play, 1, 3);
    run_one(&play);
    leave(&play, NULL, start);
    held = (struct bulkhead_waiter){.owner = &play};
    assert_int_equal(bulkhead_enter(play.bulkhead, &held, &ask, &play.caller, &play.refusal),
                     BULKHEAD_WAITS);
    assert_int_equal(enter(&play, &first, "b", later, 100), BULKHEAD_TAKEN);
    assert_int_equal(release_by(&play, &held, &ask, later), BULKHEAD_WAITS);
    assert_int_equal(enter(&play, &second, "b", later, 2 * US_PER_SEC), BULKHEAD_WAITS);
    bulkhead_quit(play.bulkhead, &second, &play.caller);
    bulkhead_quit(play.bulkhead, &held, &play.caller);
    leave(&play, NULL, later + 1);
    end(&play);
}

static void test_held(void **state)
{
    struct bulkhead_waiter held, queued;
    struct play play;
    struct bulkhead_ask ask = {.client = SPAN("a"),
                               .now_us = start,
                               .until_us = start + 600 * US_PER_SEC,
                               .held_until_us = start + 100 * US_PER_SEC};

    (void)state;
    begin(&play, 1, 2);
    held = (struct bulkhead_waiter){.owner = &play};
    assert_int_equal(bulkhead_enter(play.bulkhead, &held, &ask, &play.caller, &play.refusal),
                     BULKHEAD_WAITS);
    assert_int_equal(bulkhead_running(play.bulkhead), 0);
    assert_int_equal(bulkhead_waiting(play.bulkhead), 1);
    /* One that is not held has the place that is free. */
    assert_int_equal(enter(&play, &queued, "b", start, US_PER_SEC), BULKHEAD_TAKEN);
    assert_int_equal(release_by(&play, &held, &ask, start + 1), BULKHEAD_WAITS);
    assert_int_equal(release_by(&play, &held, &ask, start + 1), BULKHEAD_WAITS);
    assert_null(take(&play, 0));
    leave(&play, NULL, start + US_PER_SEC);
    assert_ptr_equal(take(&play, 0), &held);
    leave(&play, &held, start + 2 * US_PER_SEC);
    /* Held ones fill the queue, and leave it. */
    run_one(&play);
    assert_int_equal(bulkhead_enter(play.bulkhead, &held, &ask, &play.caller, &play.refusal),
                     BULKHEAD_WAITS);
    expect_waits(&play, &queued, "b");
    assert_int_equal(bulkhead_enter(play.bulkhead, &(struct bulkhead_waiter){.owner = NULL}, &ask,
                                    &play.caller, &play.refusal),
                     BULKHEAD_FULL);
    bulkhead_quit(play.bulkhead, &held, &play.caller);
    bulkhead_quit(play.bulkhead, &queued, &play.caller);
    leave(&play, NULL, start);
    end(&play);
}

/* A window closes: who stands in line has no turn any more, and has it when the next one opens. */
static void test_held_anew(void **state)
{
    struct bulkhead_waiter waiters[2], other;
    struct play play;
    struct bulkhead_ask ask = {
        .client = SPAN("a"), .now_us = start, .until_us = start + 60 * US_PER_SEC};

    (void)state;
    begin(&play, 1, 10);
    run_one(&play);
    for (int i = 0; i < 2; i++)
        expect_waits(&play, &waiters[i], "a");
    for (int i = 0; i < 2; i++)
        bulkhead_hold(play.bulkhead, &waiters[i], &play.caller);
    bulkhead_hold(play.bulkhead, &waiters[1], &play.caller);
    assert_int_equal(bulkhead_waiting(play.bulkhead), 2);
    leave(&play, NULL, start + 1);
    assert_null(take(&play, 0));
    assert_int_equal(bulkhead_running(play.bulkhead), 0);
    /* They are in nobody's way, and have their turn in their order. */
    assert_int_equal(enter(&play, &other, "b", start + 1, 1), BULKHEAD_TAKEN);
    for (int i = 0; i < 2; i++)
        assert_int_equal(release_by(&play, &waiters[i], &ask, start + 2), BULKHEAD_WAITS);
    leave(&play, NULL, start + 3);
    assert_ptr_equal(take(&play, 0), &waiters[0]);
    /* One that was granted a place already keeps it. */
    bulkhead_leave(play.bulkhead, &waiters[0], start + 3, start + 4, &play.caller);
    bulkhead_hold(play.bulkhead, &waiters[1], &play.caller);
    assert_ptr_equal(take(&play, 0), &waiters[1]);
    leave(&play, &waiters[1], start + 5);
    end(&play);
}

/* A place is held for a minute, and five minutes are left to ten as they are let go: five of them
 * can have their turn, and the others are told at once. Of another client one has the second. */
static void test_released_too_late(void **state)
{
    enum { HELD = 10, IN_TIME = 5 };
    struct bulkhead_waiter held[HELD], other;
    struct play play;
    uint64_t minute = 60 * US_PER_SEC, opens = start + 600 * US_PER_SEC;
    struct bulkhead_ask ask = {.client = SPAN("a"),
                               .now_us = start,
                               .until_us = opens + 5 * minute,
                               .held_until_us = opens};

    (void)state;
    begin(&play, 1, 100);
    run_one(&play);
    bulkhead_leave(play.bulkhead, NULL, start - minute, start, &play.caller);
    for (int i = 0; i < HELD; i++) {
        held[i] = (struct bulkhead_waiter){.owner = &held[i]};
        assert_int_equal(bulkhead_enter(play.bulkhead, &held[i], &ask, &play.caller, &play.refusal),
                         BULKHEAD_WAITS);
    }
    run_beside_held(&play, opens);
    for (int i = 0; i < HELD; i++)
        assert_int_equal(release_by(&play, &held[i], &ask, opens),
                         i < IN_TIME ? BULKHEAD_WAITS : BULKHEAD_LATE);
    assert_int_equal(bulkhead_waiting(play.bulkhead), IN_TIME);
    assert_int_equal(held[IN_TIME].state.state, BULKHEAD_OUTSIDE);
    bulkhead_quit(play.bulkhead, &held[IN_TIME], &play.caller);
    assert_int_equal(enter(&play, &other, "b", opens, 2 * minute), BULKHEAD_WAITS);
    bulkhead_quit(play.bulkhead, &other, &play.caller);
    for (int i = 0; i < IN_TIME; i++)
        bulkhead_quit(play.bulkhead, &held[i], &play.caller);
    leave(&play, NULL, opens);
    end(&play);
}

/* A class without `concurrent` counts who runs, for the day on which it is given one. */
static void test_counts_without_a_limit(void **state)
{
    const struct bulkhead_rules none = {.queue = 10}, one = {.concurrent = 1, .queue = 10};
    struct bulkhead_waiter waiter;
    struct play play;

    (void)state;
    begin(&play, 1, 10);
    bulkhead_set(play.bulkhead, &none);
    run_one(&play);
    run_one(&play);
    bulkhead_set(play.bulkhead, &one);
    assert_int_equal(bulkhead_running(play.bulkhead), 2);
    expect_waits(&play, &waiter, "a");
    leave(&play, NULL, start);
    assert_null(take(&play, 0));
    leave(&play, NULL, start);
    assert_ptr_equal(take(&play, 0), &waiter);
    leave(&play, &waiter, start);
    end(&play);
}

/* Other rules: more room is granted; a class that is gone lets all go on, the held ones too. */
static void test_other_rules(void **state)
{
    const struct bulkhead_rules more = {.concurrent = 3, .queue = 10};
    struct bulkhead_waiter waiters[5];
    struct play play;
    struct bulkhead_ask ask = {
        .client = SPAN("h"), .now_us = start, .until_us = start + 2, .held_until_us = start + 1};

    (void)state;
    begin(&play, 1, 10);
    run_one(&play);
    for (int i = 0; i < 4; i++)
        expect_waits(&play, &waiters[i], "a");
    waiters[4] = (struct bulkhead_waiter){.owner = NULL};
    assert_int_equal(bulkhead_enter(play.bulkhead, &waiters[4], &ask, &play.caller, &play.refusal),
                     BULKHEAD_WAITS);
    bulkhead_set(play.bulkhead, &more);
    /* The room is theirs who wait, told or not. */
    assert_int_equal(bulkhead_try(play.bulkhead, 0, 0, NULL), BULKHEAD_WAITS);
    assert_int_equal(bulkhead_grant(play.bulkhead, &play.caller), 2);
    assert_int_equal(bulkhead_running(play.bulkhead), 3);
    bulkhead_set(play.bulkhead, NULL);
    assert_int_equal(bulkhead_grant(play.bulkhead, &play.caller), 3);
    /* Those that run are counted to their end, whatever comes. */
    bulkhead_set(play.bulkhead, &more);
    assert_int_equal(bulkhead_running(play.bulkhead), 6);
    for (int i = 0; i < 5; i++)
        leave(&play, take(&play, 0), start + 1);
    leave(&play, NULL, start + 1);
    end(&play);
}

static void test_want_of_memory(void **state)
{
    struct bulkhead_waiter waiter;
    struct play play;
    bool has_failed = false, can_fail;

    (void)state;
    begin(&play, 1, 10);
    run_one(&play);
    mem_fail_after(0);
    can_fail = mem_fail_is_pending();
    for (int after = 0;; after++) {
        enum bulkhead_verdict verdict;

        mem_fail_after(after);
        verdict = enter(&play, &waiter, "a", start, US_PER_SEC);
        if (verdict == BULKHEAD_WAITS)
            break;
        assert_int_equal(verdict, BULKHEAD_NOMEM);
        assert_int_equal(bulkhead_waiting(play.bulkhead), 0);
        has_failed = true;
    }
    mem_fail_after(-1);
    assert_true(has_failed == can_fail);
    bulkhead_quit(play.bulkhead, &waiter, &play.caller);
    leave(&play, NULL, start + 1);
    end(&play);
}

/* A hundred thousand of a thousand clients: one more is told why, and each has its turn once. */
static void test_a_crowd(void **state)
{
    enum { CROWD = 100000, OF_EACH = 100 };
    struct bulkhead_waiter *crowd = mem_zalloc(CROWD, sizeof(*crowd)), late;
    struct play play;
    char name[16];

    (void)state;
    assert_non_null(crowd);
    begin(&play, 1, CROWD);
    run_one(&play);
    for (int i = 0; i < CROWD; i++) {
        snprintf(name, sizeof(name), "client-%d", i / OF_EACH);
        expect_waits(&play, &crowd[i], name);
    }
    assert_int_equal(enter(&play, &late, "client-7", start, US_PER_SEC), BULKHEAD_FULL);
    leave(&play, NULL, start);
    for (int i = 0; i < CROWD; i++) {
        struct bulkhead_waiter *waiter = take(&play, 0);

        /* The first of each client, then the second of each. */
        assert_int_equal(waiter - crowd, i % (CROWD / OF_EACH) * OF_EACH + i / (CROWD / OF_EACH));
        leave(&play, waiter, start);
    }
    assert_int_equal(play.calls[0], CROWD);
    end(&play);
    mem_free(crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_places_pass_on),
        cmocka_unit_test(test_leaving_the_queue),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_displaced),
        cmocka_unit_test(test_displaces_the_longest),
        cmocka_unit_test(test_told_at_once),
        cmocka_unit_test(test_pace_recovers),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_held_for_long),
        cmocka_unit_test(test_held_anew),
        cmocka_unit_test(test_released_too_late),
        cmocka_unit_test(test_counts_without_a_limit),
        cmocka_unit_test(test_other_rules),
        cmocka_unit_test(test_want_of_memory),
        cmocka_unit_test(test_a_crowd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

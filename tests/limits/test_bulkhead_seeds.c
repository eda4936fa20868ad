/* Bulkheads on virtual time: what seeds find (nobody lost, never one too many), and several workers
 * at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include <cmocka.h>

#include "base/bug.h"
#include "base/rand.h"
#include "bulkhead_play.h"

enum { NOBODY = -1 };

struct guest {
    struct bulkhead_waiter waiter;
    int client; /* NOBODY: free */
    bool is_running;
    struct bulkhead_ask ask;
    uint64_t since_us, ends_us;
};

/* ---- what seeds find ---- */

enum { GUESTS = 60, STEPS = 4000, SEEDS = 50 };

/* A model of it: who stands where, by what it was told. */
struct history {
    struct play play;
    struct rand rand;
    struct guest guests[GUESTS];
    uint64_t order[GUESTS], entered; /* of those that wait */
    uint32_t limit, workers_seen, late;
    uint64_t now;
};

static unsigned count_of(const struct history *history, bool is_running)
{
    unsigned count = 0;

    for (int i = 0; i < GUESTS; i++)
        count += history->guests[i].client != NOBODY && history->guests[i].is_running == is_running;
    return count;
}

static void step_enter(struct history *history, int i)
{
    struct guest *guest = &history->guests[i];
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    int client = (int)rand_below(&history->rand, 5);
    struct bulkhead_ask ask = {.worker = (uint32_t)rand_below(&history->rand, WORKERS),
                               .now_us = history->now,
                               .until_us =
                                   history->now + US_PER_SEC * rand_below(&history->rand, 60)};
    enum bulkhead_verdict verdict;

    if (rand_below(&history->rand, 4) == 0)
        ask.held_until_us = history->now + 1;
    ask.client = span_from_text(names[client]);
    memset(guest, 0, sizeof(*guest));
    guest->waiter.owner = guest;
    guest->client = NOBODY;
    verdict = bulkhead_enter(history->play.bulkhead, &guest->waiter, &ask, &history->play.caller,
                             &history->play.refusal);
    if (verdict == BULKHEAD_TAKEN || verdict == BULKHEAD_WAITS) {
        guest->client = client;
        guest->is_running = verdict == BULKHEAD_TAKEN;
        guest->since_us = history->now;
        guest->ask = ask;
        history->order[i] = history->entered++;
    }
}

/* A window closes for it, or opens; too late perhaps. */
static void step_window(struct history *history, int i)
{
    struct guest *guest = &history->guests[i];

    if (guest->is_running || history->now >= guest->ask.until_us)
        return;
    if (rand_below(&history->rand, 3) == 0) {
        bulkhead_hold(history->play.bulkhead, &guest->waiter, &history->play.caller);
        return;
    }
    if (release_by(&history->play, &guest->waiter, &guest->ask, history->now) == BULKHEAD_LATE) {
        history->late++;
        guest->client = NOBODY;
    }
}

static void step_leave(struct history *history, int i)
{
    struct guest *guest = &history->guests[i];

    if (guest->is_running)
        bulkhead_leave(history->play.bulkhead, &guest->waiter, guest->since_us, history->now,
                       &history->play.caller);
    else
        bulkhead_quit(history->play.bulkhead, &guest->waiter, &history->play.caller);
    guest->client = NOBODY;
}

static void step_take(struct history *history)
{
    uint32_t worker = (uint32_t)rand_below(&history->rand, WORKERS);
    bool has_place = false;
    struct bulkhead_waiter *waiter = bulkhead_take(history->play.bulkhead, worker, &has_place);

    if (!waiter)
        return;
    if (!has_place) {
        ((struct guest *)waiter->owner)->client = NOBODY;
        return;
    }
    assert_int_equal(waiter->worker, worker);
    assert_false(((struct guest *)waiter->owner)->is_running);
    ((struct guest *)waiter->owner)->is_running = true;
    ((struct guest *)waiter->owner)->since_us = history->now;
}

static void check(struct history *history)
{
    const struct bulkhead *bulkhead = history->play.bulkhead;
    unsigned held = 0, granted = 0, queued = 0;

    for (int i = 0; i < GUESTS; i++) {
        const struct bulkhead_waiter *waiter = &history->guests[i].waiter;
        int where = history->guests[i].client == NOBODY ? BULKHEAD_OUTSIDE : waiter->state.state;

        held += where == BULKHEAD_WAITING && waiter->entry.is_held;
        granted += where == BULKHEAD_GRANTED;
        queued += where == BULKHEAD_WAITING && !waiter->entry.is_held;
    }
    assert_int_equal(bulkhead_waiting(bulkhead), held + queued);
    assert_int_equal(bulkhead_running(bulkhead), count_of(history, true) + granted);
    assert_true(bulkhead_running(bulkhead) <= history->limit);
    /* Nobody waits while there is room. */
    assert_true(queued == 0 || bulkhead_running(bulkhead) == history->limit);
}

/* How many were told as they were let go. */
static uint32_t play_history(uint64_t seed)
{
    static struct history history;

    memset(&history, 0, sizeof(history));
    rand_init(&history.rand, seed);
    history.limit = 1 + (uint32_t)rand_below(&history.rand, 8);
    history.now = start;
    begin(&history.play, history.limit, 5 + (uint32_t)rand_below(&history.rand, GUESTS));
    for (int i = 0; i < GUESTS; i++)
        history.guests[i].client = NOBODY;
    for (int step = 0; step < STEPS; step++) {
        int i = (int)rand_below(&history.rand, GUESTS);

        history.now += rand_below(&history.rand, US_PER_SEC);
        switch (rand_below(&history.rand, 4)) {
        case 0:
        case 1:
            if (history.guests[i].client == NOBODY)
                step_enter(&history, i);
            else
                step_leave(&history, i);
            break;
        case 2:
            step_take(&history);
            break;
        default:
            if (history.guests[i].client != NOBODY)
                step_window(&history, i);
        }
        check(&history);
    }
    for (int i = 0; i < GUESTS; i++) {
        if (history.guests[i].client != NOBODY)
            step_leave(&history, i);
    }
    end(&history.play);
    return history.late;
}

static void test_seeds(void **state)
{
    uint32_t late = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        late += play_history(seed);
    assert_int_not_equal(late, 0);
}

/* ---- workers at once ---- */

enum { TURNS = 20000 };

struct crowd {
    struct bulkhead *bulkhead;
    _Atomic uint32_t under_way;
};

struct hand {
    struct crowd *crowd;
    uint32_t worker;
};

static void call_nobody(void *owner, uint32_t worker)
{
    (void)owner, (void)worker;
}

/* One exchange after the other, and each second one that has to wait leaves. */
static void *work(void *arg)
{
    struct hand *hand = arg;
    struct bulkhead *bulkhead = hand->crowd->bulkhead;
    const struct bulkhead_caller caller = {call_nobody, NULL};

    for (uint64_t turn = 0; turn < TURNS; turn++) {
        struct bulkhead_waiter waiter = {.owner = hand}, *taken = NULL;
        struct bulkhead_ask ask = {.client = hand->worker ? SPAN("b") : SPAN("a"),
                                   .worker = hand->worker,
                                   .now_us = turn + 1,
                                   .until_us = UINT64_MAX / 2};
        enum bulkhead_verdict verdict = bulkhead_try(bulkhead, 0, 0, NULL);
        struct bulkhead_refusal refusal;
        bool has_place = true;

        if (verdict == BULKHEAD_WAITS)
            verdict = bulkhead_enter(bulkhead, &waiter, &ask, &caller, &refusal);
        if (verdict == BULKHEAD_WAITS && turn % 2) {
            bulkhead_quit(bulkhead, &waiter, &caller);
            continue;
        }
        while (verdict == BULKHEAD_WAITS && !taken) {
            taken = bulkhead_take(bulkhead, hand->worker, &has_place);
            sched_yield();
        }
        bug_fatal_unless(has_place && (!taken || taken == &waiter));
        bug_fatal_unless(atomic_fetch_add(&hand->crowd->under_way, 1) < 1);
        atomic_fetch_sub(&hand->crowd->under_way, 1);
        bulkhead_leave(bulkhead, taken, turn, turn + 1, &caller);
    }
    return NULL;
}

static void test_workers_at_once(void **state)
{
    struct crowd crowd = {.under_way = 0};
    struct hand hands[WORKERS];
    pthread_t threads[WORKERS];
    struct play play;

    (void)state;
    begin(&play, 1, 10);
    crowd.bulkhead = play.bulkhead;
    for (uint32_t i = 0; i < WORKERS; i++) {
        hands[i] = (struct hand){&crowd, i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &hands[i]), 0);
    }
    for (uint32_t i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_workers_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

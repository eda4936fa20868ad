/*
 * Trials and drains while several workers pick, for the thread sanitizer as much as for the
 * asserts: nothing that a worker counted is lost or counted twice, and no key is picked once it has
 * been said to be drained. The clock stands still, so that nobody is taken to be idle.
 */
#include <pthread.h>
#include <sched.h>

#include "trial_play.h"

enum { PICKS = 4000, KEYS = 5 };

struct sums {
    _Atomic uint64_t good, failed, refused;
};

struct crowd {
    struct trial_play stage;
    struct sums canary, control; /* by the workers' own count */
    _Atomic bool is_drained[KEYS];
    _Atomic bool is_over; /* the control thread has done its part */
    uint64_t drains, trials;
};

struct worker {
    struct crowd *crowd;
    uint32_t number;
};

static enum outcome draw_outcome(struct rand *rand)
{
    /* None of them sets a key aside for longer than the clock stands still. */
    static const enum outcome rare[] = {OUTCOME_BAD_REQUEST, OUTCOME_CLIENT_GONE,
                                        OUTCOME_FIRST_BYTE_TIMEOUT, OUTCOME_RESET};

    return rand_below(rand, 8) ? OUTCOME_SUCCESS : rare[rand_below(rand, 4)];
}

static void note(struct crowd *crowd, size_t id, enum outcome_trial meaning)
{
    struct sums *sums = id == crowd->stage.canary ? &crowd->canary : &crowd->control;

    switch (meaning) {
    case TRIAL_SILENT:
        break;
    case TRIAL_GOOD:
        atomic_fetch_add(&sums->good, 1);
        break;
    case TRIAL_FAILED:
        atomic_fetch_add(&sums->failed, 1);
        break;
    case TRIAL_REFUSED:
        atomic_fetch_add(&sums->refused, 1);
        break;
    }
}

static void work_once(struct worker *worker, struct rand *rand)
{
    struct crowd *crowd = worker->crowd;
    struct keypool_view *view = crowd->stage.play.views[worker->number];
    const struct keypool_ask ask = {.model = SPAN("m")};
    struct keypool_end end = {.outcome = outcome_row(draw_outcome(rand))};
    uint64_t now = crowd->stage.play.now;
    struct keypool_grant grant;
    bool is_counted;
    size_t id;

    if (rand_below(rand, 256) == 0)
        keypool_view_catch_up(view, now); /* as an idle worker would when it is called */
    if (keypool_select(view, &ask, now, &grant).verdict != KEYPOOL_CHOSEN)
        return;
    id = play_id(&grant);
    bug_fatal_unless(!atomic_load(&crowd->is_drained[id]));
    is_counted = grant.trial != 0;
    keypool_sent(view, &grant, now);
    if (end.outcome->outcome == OUTCOME_SUCCESS && rand_below(rand, 2))
        keypool_good(view, &grant, now);
    if (rand_below(rand, 64) == 0)
        sched_yield();
    bug_fatal_unless(!atomic_load(&crowd->is_drained[id])); /* it still runs here */
    keypool_end(view, &grant, &end, now);
    if (is_counted)
        note(crowd, id, end.outcome->trial);
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct rand rand;

    rand_init(&rand, worker->number);
    for (int i = 0; i < PICKS || !atomic_load(&worker->crowd->is_over); i++)
        work_once(worker, &rand);
    return NULL;
}

static void begin(struct crowd *crowd)
{
    trial_start(&crowd->stage, 300000);
    crowd->trials++;
}

static void drain(struct crowd *crowd, size_t id)
{
    struct keypool *pool = crowd->stage.play.pool;
    uint64_t now = crowd->stage.play.now;
    struct key *key = trial_find(&crowd->stage, id);

    keypool_wish(pool, key, KEY_DRAINED, now);
    while (!keypool_is_drained(pool, key, now))
        sched_yield();
    atomic_store(&crowd->is_drained[id], true);
    for (int i = 0; i < 20; i++)
        sched_yield();
    atomic_store(&crowd->is_drained[id], false);
    keypool_wish(pool, key, KEY_ENABLED, now);
    key_unref(&key);
    crowd->drains++;
}

static void reload(struct crowd *crowd)
{
    struct play *play = &crowd->stage.play;

    play->conf.selection = play->conf.selection == CONF_SELECTION_LEAST_USED
                               ? CONF_SELECTION_WEIGHTED
                               : CONF_SELECTION_LEAST_USED;
    assert_int_equal(keypool_apply(play->pool, &play->conf, NULL, play->now, play_wall), 0);
}

static void add(struct evidence_arm *sum, const struct evidence_arm *more)
{
    assert_true(more->failures <= more->requests && more->refused <= more->failures);
    sum->requests += more->requests;
    sum->failures += more->failures;
    sum->refused += more->refused;
}

static void expect_arm(const struct evidence_arm *taken, struct sums *wanted)
{
    assert_int_equal(taken->refused, wanted->refused);
    assert_int_equal(taken->failures, wanted->failed + wanted->refused);
    assert_int_equal(taken->requests, wanted->good + wanted->failed + wanted->refused);
}

/* The control thread's part. `is_restless`: trials end and begin anew. */
static void control(struct crowd *crowd, bool is_restless, struct evidence_tick *ret_sum)
{
    for (int i = 0; i < 100; i++) {
        trial_take(&crowd->stage);
        add(&ret_sum->canary, &crowd->stage.tick.canary);
        add(&ret_sum->control, &crowd->stage.tick.control);
        keypool_trial_set_share(crowd->stage.trial, i % 2 ? 100000 : 600000);
        drain(crowd, (size_t)i % KEYS);
        if (i % 7 == 0)
            reload(crowd);
        if (is_restless && i % 3 == 0) {
            keypool_trial_end(&crowd->stage.trial, &crowd->stage.tick);
            sched_yield();
            begin(crowd);
        }
    }
}

static void play(bool is_restless)
{
    struct crowd *crowd = calloc(1, sizeof(*crowd));
    struct evidence_tick sum = {.compared = 0}, rest;
    struct worker workers[PLAY_WORKERS];
    pthread_t threads[PLAY_WORKERS];

    assert_non_null(crowd);
    play_init(&crowd->stage.play, KEYS);
    crowd->stage.canary = KEYS - 1;
    /* Failures do not add up to a rest: the clock would not end it. */
    crowd->stage.play.conf.health.max_failures = UINT32_MAX;
    crowd->stage.play.conf.breaker = (struct conf_breaker){.failures = UINT32_MAX};
    play_apply(&crowd->stage.play);
    begin(crowd);
    for (uint32_t i = 0; i < PLAY_WORKERS; i++) {
        workers[i] = (struct worker){crowd, i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    control(crowd, is_restless, &sum);
    atomic_store(&crowd->is_over, true);
    for (int i = 0; i < PLAY_WORKERS; i++)
        pthread_join(threads[i], NULL);
    keypool_trial_end(&crowd->stage.trial, &rest);
    add(&sum.canary, &rest.canary);
    add(&sum.control, &rest.control);
    assert_int_equal(crowd->drains, 100);
    if (!is_restless) {
        expect_arm(&sum.canary, &crowd->canary);
        expect_arm(&sum.control, &crowd->control);
        assert_true(sum.canary.requests > 0 && sum.control.requests > 0);
    }
    play_end(&crowd->stage.play);
    free(crowd);
}

static void test_nothing_is_lost(void **state)
{
    play(false);
}

static void test_trials_come_and_go(void **state)
{
    play(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_lost),
        cmocka_unit_test(test_trials_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

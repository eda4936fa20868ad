/*
 * Thousands of histories on virtual time, each from its seed: keys that come as canaries, are
 * tried, promoted or rolled back, drained and taken out, under the traffic of four workers, with
 * reloads between. Beside the pool a second book is kept of what must have been counted; at every
 * end of a trial the two must be the same. No key is ever picked that is drained, disabled or gone.
 */
#include "trial_play.h"

enum { FILE_KEYS = 3, KEYS = 12, UNDER_WAY = 24, STEPS = 500, HISTORIES = 1000, MODELS = 3 };

static const char *const models[MODELS] = {"alpha", "beta", "gamma"};

struct running {
    struct keypool_grant grant;
    struct keypool_view *view;
    struct keypool_tried tried; /* by its exchange, before */
    size_t id;
    uint32_t trial; /* the one in which it is to be counted; 0: none */
    uint64_t sent_us;
    bool is_used, is_good, stands_in;
};

struct known {
    enum key_wish wish;
    bool is_there;
    bool is_gone; /* drained, and taken out for ever */
    uint32_t under_way;
};

struct history {
    struct trial_play stage;
    struct rand rand;
    struct keypool_extra extras[KEYS];
    struct known keys[KEYS];
    size_t born; /* how many keys there ever were */
    struct running running[UNDER_WAY];
    uint32_t trial; /* the number of the one that is on; 0: none */
    uint32_t trials;
    struct evidence_tick wanted, taken; /* of this trial, in all */
};

static bool one_in(struct history *history, uint64_t n)
{
    return rand_below(&history->rand, n) == 0;
}

/* ---- the second book ---- */

static struct evidence_arm *wanted_arm(struct history *history, const struct running *running)
{
    return running->id == history->stage.canary ? &history->wanted.canary
                                                : &history->wanted.control;
}

static void want_good(struct history *history, const struct running *running, bool is_timed)
{
    struct evidence_arm *arm = wanted_arm(history, running);

    if (!running->trial || running->trial != history->trial)
        return;
    arm->requests++;
    if (is_timed && running->sent_us)
        arm->latencies[latency_bucket(history->stage.play.now - running->sent_us)]++;
    if (running->stands_in) {
        history->wanted.canary.requests++;
        history->wanted.canary.failures++;
    }
}

static bool want_end(struct history *history, const struct running *running,
                     const struct outcome_row *row)
{
    struct evidence_arm *arm = wanted_arm(history, running);
    bool is_failure = row->trial == TRIAL_FAILED || row->trial == TRIAL_REFUSED;

    if (!running->trial || running->trial != history->trial || running->is_good)
        return false;
    if (row->trial == TRIAL_GOOD) {
        want_good(history, running, false);
        return running->stands_in;
    }
    arm->requests += is_failure;
    arm->failures += is_failure;
    arm->refused += row->trial == TRIAL_REFUSED;
    return is_failure && arm == &history->wanted.canary;
}

static void add_arm(struct evidence_arm *sum, const struct evidence_arm *more)
{
    assert_true(more->failures <= more->requests);
    assert_true(more->refused <= more->failures);
    sum->requests += more->requests;
    sum->failures += more->failures;
    sum->refused += more->refused;
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
        sum->latencies[i] += more->latencies[i];
}

static void add_tick(struct history *history, const struct evidence_tick *tick)
{
    add_arm(&history->taken.canary, &tick->canary);
    add_arm(&history->taken.control, &tick->control);
    assert_memory_equal(&history->taken, &history->wanted, sizeof(history->taken));
}

/* ---- requests ---- */

static void take_note(struct history *history, struct running *running)
{
    const struct known *known = &history->keys[running->id];

    assert_true(known->is_there && !known->is_gone);
    assert_int_equal(known->wish, KEY_ENABLED);
    history->keys[running->id].under_way++;
    running->is_used = true;
    running->is_good = false;
    running->sent_us = 0;
    running->trial = running->tried.count == 0 ? history->trial : 0;
    running->stands_in = running->grant.stands_in;
    if (running->stands_in)
        assert_true(running->trial && running->id != history->stage.canary);
    if (one_in(history, 4))
        return; /* known at once, before anything is told of sending */
    running->sent_us = history->stage.play.now;
    keypool_sent(running->view, &running->grant, running->sent_us);
}

static void ask(struct history *history, struct running *running)
{
    const struct keypool_ask ask = {.model = span_from_text(models[rand_below(&history->rand, 3)]),
                                    .tried = &running->tried};

    running->view = history->stage.play.views[rand_below(&history->rand, PLAY_WORKERS)];
    if (keypool_select(running->view, &ask, history->stage.play.now, &running->grant).verdict !=
        KEYPOOL_CHOSEN)
        return;
    running->id = play_id(&running->grant);
    take_note(history, running);
}

static void begin_request(struct history *history)
{
    for (int i = 0; i < UNDER_WAY; i++) {
        if (history->running[i].is_used)
            continue;
        history->running[i].tried.count = 0;
        ask(history, &history->running[i]);
        return;
    }
}

static enum outcome draw_outcome(struct history *history)
{
    return one_in(history, 4) ? (enum outcome)rand_below(&history->rand, OUTCOME_COUNT)
                              : OUTCOME_SUCCESS;
}

static void end_request(struct history *history, struct running *running)
{
    enum outcome outcome = running->is_good ? OUTCOME_SUCCESS : draw_outcome(history);
    struct keypool_end end = {.outcome = outcome_row(outcome), .hint_us = 100 * US_PER_MS};
    uint64_t now = history->stage.play.now;
    bool is_told;

    if (!running->is_good && one_in(history, 20)) {
        keypool_cancel(running->view, &running->grant, now);
        running->is_used = false;
        history->keys[running->id].under_way--;
        return;
    }
    keypool_tried_add(&running->tried, running->grant.key, false);
    is_told = want_end(history, running, end.outcome);
    /* What nobody is there to be told of: the trial is over, and its worker has not heard it. */
    if (keypool_end(running->view, &running->grant, &end, now).canary_failed)
        assert_true(is_told || running->trial != history->trial);
    else
        assert_false(is_told);
    running->is_used = false;
    history->keys[running->id].under_way--;
    if (outcome != OUTCOME_SUCCESS && one_in(history, 2))
        ask(history, running); /* its exchange tries again */
}

static void go_on(struct history *history)
{
    struct running *running = &history->running[rand_below(&history->rand, UNDER_WAY)];

    if (!running->is_used)
        return;
    if (running->is_good || one_in(history, 3)) {
        end_request(history, running);
        return;
    }
    want_good(history, running, true);
    keypool_good(running->view, &running->grant, history->stage.play.now);
    running->is_good = true;
}

/* ---- keys that come and go ---- */

static void apply(struct history *history)
{
    struct play *play = &history->stage.play;
    const struct keypool_extras extras = {history->extras, history->born};

    assert_int_equal(keypool_apply(play->pool, &play->conf, &extras, play->now, play_wall), 0);
}

static void issue(struct history *history)
{
    size_t id = history->born;

    if (id == KEYS)
        return;
    history->extras[id] = (struct keypool_extra){
        .key = *play_key(&history->stage.play, id),
        .weight_milli = 1000,
        .wish = one_in(history, 3) ? KEY_DRAINED : KEY_ENABLED,
    };
    history->keys[id] = (struct known){.is_there = true, .wish = history->extras[id].wish};
    history->born++;
    apply(history);
}

static void wish(struct history *history)
{
    size_t id = rand_below(&history->rand, history->born);

    if (!history->keys[id].is_there)
        return;
    history->keys[id].wish = (enum key_wish)rand_below(&history->rand, 3);
    trial_wish(&history->stage, id, history->keys[id].wish);
}

/* One that is drained goes; it may have been on trial. */
static void retire(struct history *history)
{
    size_t id = rand_below(&history->rand, history->born);
    struct known *known = &history->keys[id];
    struct key *key;
    bool is_drained;

    if (!known->is_there)
        return;
    key = trial_find(&history->stage, id);
    is_drained = keypool_is_drained(history->stage.play.pool, key, history->stage.play.now);
    assert_int_equal(key_in_flight(key), known->under_way);
    key_unref(&key);
    if (is_drained)
        assert_true(known->under_way == 0 && known->wish != KEY_ENABLED);
    if (!is_drained || history->born - id < 2)
        return;
    known->is_there = false;
    known->is_gone = true;
    history->extras[id].is_gone = true;
    apply(history);
}

static void reload(struct history *history)
{
    struct play *play = &history->stage.play;

    play->conf.selection = (enum conf_selection)rand_below(&history->rand, 4);
    play->keys[rand_below(&history->rand, FILE_KEYS)].priority =
        (int32_t)rand_below(&history->rand, 2);
    apply(history);
}

/* ---- trials ---- */

static void begin_trial(struct history *history)
{
    size_t id = rand_below(&history->rand, history->born);
    struct key *key;

    if (history->trial || !history->keys[id].is_there)
        return;
    key = trial_find(&history->stage, id);
    assert_int_equal(keypool_trial_begin(history->stage.play.pool, key,
                                         (uint32_t)rand_below(&history->rand, 1000001),
                                         &history->stage.trial),
                     0);
    key_unref(&key);
    history->stage.canary = id;
    history->trial = ++history->trials;
    memset(&history->wanted, 0, sizeof(history->wanted));
    memset(&history->taken, 0, sizeof(history->taken));
}

static void end_trial(struct history *history)
{
    struct evidence_tick tick;

    if (!history->trial)
        return;
    keypool_trial_end(&history->stage.trial, &tick);
    add_tick(history, &tick);
    history->trial = 0;
}

static void look_at_trial(struct history *history)
{
    if (!history->trial)
        return;
    trial_take(&history->stage);
    add_tick(history, &history->stage.tick);
    if (one_in(history, 3))
        keypool_trial_set_share(history->stage.trial,
                                (uint32_t)rand_below(&history->rand, 1000001));
}

/* ---- one history ---- */

static void step(struct history *history)
{
    static const uint64_t paces[] = {US_PER_MS, 50 * US_PER_MS, SECONDS, 20 * SECONDS};
    static void (*const rare[])(struct history *) = {issue,  wish,        retire,    reload,
                                                     retire, begin_trial, end_trial, wish};

    history->stage.play.now += rand_below(&history->rand, paces[rand_below(&history->rand, 4)]);
    switch (rand_below(&history->rand, 10)) {
    case 0:
        rare[rand_below(&history->rand, sizeof(rare) / sizeof(rare[0]))](history);
        break;
    case 1:
        look_at_trial(history);
        break;
    case 2:
    case 3:
    case 4:
    case 5:
        go_on(history);
        break;
    default:
        begin_request(history);
        break;
    }
}

static void run(uint64_t seed)
{
    struct history *history = calloc(1, sizeof(*history));
    struct play *play = &history->stage.play;

    assert_non_null(history);
    rand_init(&history->rand, seed);
    play_init(play, FILE_KEYS);
    play->conf.selection = (enum conf_selection)rand_below(&history->rand, 4);
    play->conf.health.cooldown_us = play->conf.health.depleted_us = SECONDS;
    for (size_t id = FILE_KEYS; id < KEYS; id++)
        play_declare(play, id, id);
    play_apply(play);
    history->born = FILE_KEYS;
    for (size_t id = 0; id < FILE_KEYS; id++) {
        history->keys[id] = (struct known){.is_there = true};
        history->extras[id] =
            (struct keypool_extra){.key = *play_key(play, id), .weight_milli = 1000};
    }
    for (int i = 0; i < STEPS; i++)
        step(history);
    for (int i = 0; i < UNDER_WAY; i++) {
        while (history->running[i].is_used)
            end_request(history, &history->running[i]);
    }
    end_trial(history);
    play_end(play);
    free(history);
}

static void test_histories(void **state)
{
    const char *only = getenv("HISTORY_SEED");

    if (only) {
        run(strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t seed = 0; seed < HISTORIES; seed++) {
        if (getenv("HISTORY_SAY"))
            fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
        run(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

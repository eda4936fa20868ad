/*
 * Thousands of histories on virtual time, each from its seed: an upstream with a truth of its own
 * (keys revoked and restored, depleted, limited, failing), four workers with exchanges under way,
 * probes, an operator, reloads. After every step what must always hold is checked; at the end the
 * upstream heals, and every key must come back.
 */
#include "pool_play.h"

enum { KEYS = 6, MODELS = 3, UNDER_WAY = 24, STEPS = 400, HISTORIES = 1500 };

static const char *const models[MODELS] = {"alpha", "beta", "gamma"};

/* What is true of a key at the provider, whatever we believe. */
struct truth {
    bool is_revoked;
    bool fails;
    uint64_t depleted_until;
    uint64_t limited_until[MODELS];
};

struct running {
    struct keypool_grant grant;
    struct keypool_view *view;
    uint32_t model;
    size_t id;
    size_t sent; /* where it stands among those sent */
    bool is_used;
};

struct sent {
    size_t id;
    uint64_t at;
};

struct history {
    struct play play;
    struct rand rand;
    struct truth truth[KEYS];
    struct running running[UNDER_WAY];
    enum key_wish wish[KEYS];
    bool is_known_invalid[KEYS];
    enum key_health last_health[KEYS];
    uint64_t last_until[KEYS];
    uint32_t under_way[KEYS];
    uint32_t rpm[KEYS], concurrent[KEYS];
    struct sent sent[STEPS * 4];
    size_t sent_count;
    uint64_t seed;
};

static bool one_in(struct history *history, uint64_t n)
{
    return rand_below(&history->rand, n) == 0;
}

/* ---- what must always hold ---- */

static void check_key(struct history *history, size_t id)
{
    struct keypool_row row = play_row(&history->play, id);
    uint64_t until = 0;
    enum key_health health;
    struct key *key = keypool_find_key(history->play.pool, row.name);

    health = key_health(key, &until);
    /* Two moves may lie between two looks, but none of them shortens a deadline that still runs. */
    if (health == history->last_health[id] && history->last_until[id] > history->play.now &&
        health != KEY_TESTING)
        assert_true(until >= history->last_until[id]);
    history->last_health[id] = health;
    history->last_until[id] = until;
    assert_int_equal(row.in_flight, history->under_way[id]);
    assert_int_equal(row.wish, history->wish[id]);
    if (history->is_known_invalid[id])
        assert_int_equal(health, KEY_INVALID);
    if (row.is_healthy)
        assert_true(health == KEY_HEALTHY || health == KEY_TRIAL);
    for (size_t i = 0; i < row.limit_count; i++)
        assert_true(row.limits[i].remaining <= row.limits[i].limit);
    key_unref(&key);
}

static void check_all(struct history *history)
{
    for (size_t id = 0; id < KEYS; id++)
        check_key(history, id);
}

/* No 60 seconds hold more than declared. */
static void check_rates(const struct history *history)
{
    for (size_t i = 0; i < history->sent_count; i++) {
        const struct sent *first = &history->sent[i];
        uint32_t count = 0;

        for (size_t k = i; k < history->sent_count; k++) {
            const struct sent *sent = &history->sent[k];

            count += sent->id == first->id && sent->at - first->at <= 60 * SECONDS;
        }
        if (first->id < KEYS && history->rpm[first->id])
            assert_true(count <= history->rpm[first->id]);
    }
}

/* ---- requests ---- */

static void begin_request(struct history *history)
{
    struct running *running = NULL;
    struct keypool_ask ask;
    struct keypool_choice choice;
    uint64_t now = history->play.now;

    for (int i = 0; i < UNDER_WAY && !running; i++)
        running = history->running[i].is_used ? NULL : &history->running[i];
    if (!running)
        return;
    running->view = history->play.views[rand_below(&history->rand, PLAY_WORKERS)];
    running->model = (uint32_t)rand_below(&history->rand, MODELS);
    ask = (struct keypool_ask){.model = span_from_text(models[running->model]),
                               .tokens = rand_below(&history->rand, 50),
                               .wait_until_us = one_in(history, 2) ? now + 5 * SECONDS : 0};
    choice = keypool_select(running->view, &ask, now, &running->grant);
    if (choice.verdict != KEYPOOL_CHOSEN) {
        assert_true(choice.reason > KEYPOOL_NO_REASON && choice.reason < KEYPOOL_REASONS);
        assert_int_equal(choice.verdict == KEYPOOL_LATER, choice.reason < KEYPOOL_INVALID);
        if (choice.verdict == KEYPOOL_LATER)
            assert_true(choice.free_at_us > now);
        return;
    }
    running->id = play_id(&running->grant);
    running->is_used = true;
    if (!one_in(history, 10))
        keypool_sent(running->view, &running->grant, now);
    history->under_way[running->id]++;
    running->sent = history->sent_count;
    history->sent[history->sent_count++] = (struct sent){running->id, now};
    assert_int_equal(history->wish[running->id], KEY_ENABLED);
    assert_false(history->is_known_invalid[running->id]);
    if (history->concurrent[running->id])
        assert_true(history->under_way[running->id] <= history->concurrent[running->id]);
}

static enum outcome answer_of(struct history *history, const struct running *running,
                              uint64_t *ret_hint)
{
    const struct truth *truth = &history->truth[running->id];
    uint64_t now = history->play.now;

    if (one_in(history, 25))
        return one_in(history, 2) ? OUTCOME_CLIENT_GONE : OUTCOME_FIRST_BYTE_TIMEOUT;
    if (truth->is_revoked)
        return OUTCOME_INVALID_KEY;
    if (truth->depleted_until > now)
        return OUTCOME_DEPLETED;
    if (truth->limited_until[running->model] > now) {
        *ret_hint = one_in(history, 4) ? 0 : truth->limited_until[running->model] - now;
        return one_in(history, 3) ? OUTCOME_ACCOUNT_LIMITED : OUTCOME_RATE_LIMITED;
    }
    if (truth->fails && !one_in(history, 3))
        return OUTCOME_SERVER_ERROR;
    if (one_in(history, 60))
        return OUTCOME_NO_CAPACITY;
    return one_in(history, 80) ? OUTCOME_KEY_FORBIDDEN : OUTCOME_SUCCESS;
}

static void end_request(struct history *history, struct running *running)
{
    uint64_t hint = 0, now = history->play.now;
    bool is_sent = running->grant.sent_us != 0;
    enum outcome outcome = is_sent ? answer_of(history, running, &hint) : OUTCOME_CONNECT_FAILED;
    struct keypool_end end = {.outcome = outcome_row(outcome), .hint_us = hint, .tokens = 20};

    if (outcome == OUTCOME_SUCCESS && one_in(history, 2))
        keypool_good(running->view, &running->grant, now);
    if (!is_sent)
        history->sent[running->sent].id = KEYS; /* it never went out */
    if (!is_sent && one_in(history, 2)) {
        keypool_cancel(running->view, &running->grant, now);
    } else {
        keypool_end(running->view, &running->grant, &end, now);
        if (outcome == OUTCOME_INVALID_KEY)
            history->is_known_invalid[running->id] = true;
    }
    assert_null(running->grant.key);
    running->is_used = false;
    history->under_way[running->id]--;
}

static void end_some_request(struct history *history)
{
    struct running *running = &history->running[rand_below(&history->rand, UNDER_WAY)];

    if (running->is_used)
        end_request(history, running);
}

/* ---- probes, operator, reload, fate ---- */

static void probe(struct history *history)
{
    struct keypool *pool = history->play.pool;
    uint64_t next;
    struct key *key = keypool_probe_take(pool, history->play.now, &next);

    if (!key) {
        assert_true(next > history->play.now);
        return;
    }
    size_t id = play_number(key_name(key));
    enum probe_result result = history->truth[id].is_revoked ? PROBE_REFUSED : PROBE_KNOWN;

    assert_int_not_equal(history->wish[id], KEY_DISABLED);
    if (one_in(history, 3))
        result = PROBE_SILENT;
    if (result == PROBE_KNOWN)
        history->is_known_invalid[id] = false;
    if (result == PROBE_REFUSED)
        history->is_known_invalid[id] = true;
    keypool_probe_end(pool, &key, result, history->play.now);
}

static void operate(struct history *history)
{
    size_t id = rand_below(&history->rand, KEYS);
    char name[16];
    struct key *key;

    snprintf(name, sizeof(name), "k%zu", id);
    key = keypool_find_key(history->play.pool, span_from_text(name));
    assert_non_null(key);
    if (one_in(history, 2)) {
        history->wish[id] = (enum key_wish)rand_below(&history->rand, 3);
        keypool_wish(history->play.pool, key, history->wish[id], history->play.now);
    } else {
        keypool_weigh(history->play.pool, key, (uint32_t)rand_below(&history->rand, 5) * 500);
    }
    key_unref(&key);
}

/* The same keys in another order and under other rules: what is known of them stays. */
static void reload(struct history *history)
{
    struct play *play = &history->play;
    size_t a = rand_below(&history->rand, KEYS), b = rand_below(&history->rand, KEYS);
    struct conf_key key = play->keys[a];

    play->keys[a] = play->keys[b];
    play->keys[b] = key;
    play->keys[a].priority = (int32_t)rand_below(&history->rand, 2);
    play->conf.selection = (enum conf_selection)rand_below(&history->rand, 5);
    assert_int_equal(keypool_apply(play->pool, &play->conf, NULL, play->now, play_wall), 0);
}

static void change_fate(struct history *history)
{
    struct truth *truth = &history->truth[rand_below(&history->rand, KEYS)];
    uint64_t now = history->play.now;

    switch (rand_below(&history->rand, 6)) {
    case 0:
        truth->is_revoked = !truth->is_revoked;
        break;
    case 1:
        truth->depleted_until = now + rand_below(&history->rand, 1200 * SECONDS);
        break;
    case 2:
        truth->fails = !truth->fails;
        break;
    default:
        truth->limited_until[rand_below(&history->rand, MODELS)] =
            now + rand_below(&history->rand, 90 * SECONDS);
        break;
    }
}

static void step(struct history *history)
{
    static const uint64_t paces[] = {US_PER_MS, 50 * US_PER_MS, SECONDS, 20 * SECONDS};

    history->play.now += rand_below(&history->rand, paces[rand_below(&history->rand, 4)]);
    switch (rand_below(&history->rand, 20)) {
    case 0:
        change_fate(history);
        break;
    case 1:
    case 2:
        probe(history);
        break;
    case 3:
        if (one_in(history, 4))
            operate(history);
        break;
    case 4:
        if (one_in(history, 8))
            reload(history);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
        end_some_request(history);
        end_some_request(history);
        break;
    default:
        begin_request(history);
        break;
    }
}

/* ---- one history ---- */

static void declare(struct history *history)
{
    struct play *play = &history->play;

    play_init(play, KEYS);
    play->conf.selection = (enum conf_selection)rand_below(&history->rand, 5);
    play->conf.health.validate_new = one_in(history, 3);
    for (size_t id = 0; id < KEYS; id++) {
        struct conf_key *key = play_key(play, id);

        key->weight = (uint32_t)rand_below(&history->rand, 4);
        key->priority = (int32_t)rand_below(&history->rand, 2);
        if (one_in(history, 3))
            key->account = SPAN("shared");
        if (one_in(history, 3) && !key->account.len) {
            history->rpm[id] = 1 + (uint32_t)rand_below(&history->rand, 20);
            history->concurrent[id] = 1 + (uint32_t)rand_below(&history->rand, 4);
            key->limits = (struct conf_limits){
                .rpm = history->rpm[id], .tpm = 2000, .concurrent = history->concurrent[id]};
        }
    }
    play_apply(play);
}

static bool all_are_back(struct history *history)
{
    bool is_back = true;

    for (size_t id = 0; id < KEYS; id++)
        is_back = is_back && play_row(&history->play, id).is_healthy;
    return is_back;
}

/* The upstream is well again: with a request for each model twice a second and the probes answered,
 * every key must be used again in the end. Nobody starves. */
static void heal(struct history *history)
{
    struct play *play = &history->play;
    uint64_t end = play->now + 3 * 3600 * SECONDS, next;

    memset(history->truth, 0, sizeof(history->truth));
    for (size_t id = 0; id < KEYS; id++) {
        char name[16];
        struct key *key;

        snprintf(name, sizeof(name), "k%zu", id);
        key = keypool_find_key(play->pool, span_from_text(name));
        keypool_wish(play->pool, key, KEY_ENABLED, play->now);
        keypool_weigh(play->pool, key, 1000);
        key_unref(&key);
        play->keys[id].priority = 0;
    }
    play->conf.selection = CONF_SELECTION_ROUND_ROBIN;
    assert_int_equal(keypool_apply(play->pool, &play->conf, NULL, play->now, play_wall), 0);
    while (!all_are_back(history)) {
        struct key *key;

        assert_true(play->now < end);
        play->now += 2 * SECONDS;
        while ((key = keypool_probe_take(play->pool, play->now, &next)) != NULL)
            keypool_probe_end(play->pool, &key, PROBE_KNOWN, play->now);
        for (int m = 0; m < MODELS * KEYS; m++) {
            const struct keypool_ask ask = {.model = span_from_text(models[m % MODELS])};
            const struct keypool_end good = {.outcome = outcome_row(OUTCOME_SUCCESS)};
            struct keypool_view *view = play->views[m % PLAY_WORKERS];
            struct keypool_grant grant;

            if (keypool_select(view, &ask, play->now, &grant).verdict != KEYPOOL_CHOSEN)
                continue;
            keypool_sent(view, &grant, play->now);
            keypool_end(view, &grant, &good, play->now);
        }
    }
}

static void run(uint64_t seed)
{
    struct history *history = calloc(1, sizeof(*history));

    assert_non_null(history);
    history->seed = seed;
    rand_init(&history->rand, seed);
    declare(history);
    for (int i = 0; i < STEPS; i++) {
        step(history);
        check_all(history);
    }
    check_rates(history);
    for (int i = 0; i < UNDER_WAY; i++) {
        if (history->running[i].is_used)
            end_request(history, &history->running[i]);
    }
    heal(history);
    play_end(&history->play);
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

/* selection: sticky: a session keeps its key while that one can serve, and comes back to it. */
#include "base/fnv.h"
#include "pool_play.h"

enum { KEYS = 5, SESSIONS = 300 };

static void begin(struct play *play)
{
    play_init(play, KEYS);
    play->conf.selection = CONF_SELECTION_STICKY;
    play_apply(play);
}

/* That request, on a worker, of which this comes: the key that it had. */
static size_t send(struct play *play, uint32_t worker, const struct keypool_ask *ask,
                   enum outcome outcome)
{
    const struct keypool_end end = {.outcome = outcome_row(outcome)};
    struct keypool_grant grant;
    size_t id;

    assert_int_equal(keypool_select(play->views[worker], ask, play->now, &grant).verdict,
                     KEYPOOL_CHOSEN);
    id = play_id(&grant);
    keypool_sent(play->views[worker], &grant, play->now);
    keypool_end(play->views[worker], &grant, &end, play->now);
    return id;
}

static size_t ask_on(struct play *play, uint32_t worker, uint64_t session, enum outcome outcome,
                     const struct keypool_tried *tried)
{
    const struct keypool_ask ask = {
        .model = SPAN("m"), .session = hash_mix(session + 1), .tried = tried};

    return send(play, worker, &ask, outcome);
}

static size_t ask_model(struct play *play, const char *model, uint64_t session)
{
    const struct keypool_ask ask = {.model = span_from_text(model),
                                    .session = hash_mix(session + 1)};

    return send(play, 0, &ask, OUTCOME_SUCCESS);
}

static size_t ask(struct play *play, uint64_t session)
{
    return ask_on(play, 0, session, OUTCOME_SUCCESS, NULL);
}

static void ask_all(struct play *play, size_t ret_keys[SESSIONS])
{
    for (uint64_t i = 0; i < SESSIONS; i++)
        ret_keys[i] = ask(play, i);
}

static void test_the_same_key_on_every_worker(void **state)
{
    struct play play;
    size_t counts[KEYS] = {0};

    begin(&play);
    for (uint64_t i = 0; i < SESSIONS; i++) {
        size_t id = ask(&play, i);

        counts[id]++;
        for (uint32_t worker = 0; worker < PLAY_WORKERS; worker++)
            assert_int_equal(ask_on(&play, worker, i, OUTCOME_SUCCESS, NULL), id);
    }
    for (size_t i = 0; i < KEYS; i++)
        assert_in_range(counts[i], SESSIONS / KEYS / 2, SESSIONS / KEYS * 2);
    play_end(&play);
}

static void test_a_resting_key_lends_its_sessions_out(void **state)
{
    struct play play;
    size_t before[SESSIONS], meanwhile[SESSIONS], after[SESSIONS];
    size_t resting;

    begin(&play);
    ask_all(&play, before);
    resting = ask_on(&play, 0, 0, OUTCOME_INVALID_KEY, NULL);
    assert_int_equal(resting, before[0]);
    ask_all(&play, meanwhile);
    for (uint64_t i = 0; i < SESSIONS; i++) {
        if (before[i] == resting)
            assert_int_not_equal(meanwhile[i], resting);
        else
            assert_int_equal(meanwhile[i], before[i]);
    }
    {
        uint64_t next_us;
        struct key *key = keypool_probe_take(play.pool, play.now, &next_us);

        while (!key) {
            play.now = next_us;
            key = keypool_probe_take(play.pool, play.now, &next_us);
        }
        keypool_probe_end(play.pool, &key, PROBE_KNOWN, play.now);
    }
    ask_all(&play, after);
    assert_memory_equal(before, after, sizeof(before));
    play_end(&play);
}

/* Of one model it has no more: sessions of another stay, those of the one come back. */
static void test_a_key_at_a_model_s_limit_lends_its_sessions_out(void **state)
{
    struct conf_limits_of of_m = {.model = SPAN("m"), .limits = {.rpm = 2}};
    struct play play;
    size_t first, second;

    (void)state;
    begin(&play);
    first = ask(&play, 0);
    play_key(&play, first)->model_limits = (struct conf_limits_by_model){&of_m, 1};
    play_apply(&play);
    assert_int_equal(ask(&play, 0), first);
    assert_int_equal(ask(&play, 0), first);
    second = ask(&play, 0);
    assert_int_not_equal(second, first);
    assert_int_equal(ask(&play, 0), second);
    assert_int_equal(ask_model(&play, "other", 0), first);
    play.now += 62 * SECONDS;
    assert_int_equal(ask(&play, 0), first);
    play_end(&play);
}

static void test_another_try_goes_to_the_second_choice(void **state)
{
    struct play play;

    begin(&play);
    for (uint64_t i = 0; i < SESSIONS; i++) {
        struct keypool_tried tried = {.count = 0};
        struct key *first = keypool_find_key(play.pool, play_row(&play, ask(&play, i)).name);
        size_t second;

        keypool_tried_add(&tried, first, true);
        second = ask_on(&play, 0, i, OUTCOME_SUCCESS, &tried);
        assert_int_not_equal(second, play_number(key_name(first)));
        assert_int_equal(ask_on(&play, 1, i, OUTCOME_SUCCESS, &tried), second);
        key_unref(&first);
    }
    play_end(&play);
}

static void test_a_weight_set_by_hand_moves_sessions(void **state)
{
    struct play play;
    size_t before[SESSIONS], after[SESSIONS], moved = 0;
    struct key *key;

    begin(&play);
    ask_all(&play, before);
    key = keypool_find_key(play.pool, SPAN("k2"));
    keypool_weigh(play.pool, key, 5000);
    key_unref(&key);
    ask_all(&play, after);
    for (uint64_t i = 0; i < SESSIONS; i++) {
        if (before[i] == after[i])
            continue;
        assert_int_equal(after[i], 2);
        moved++;
    }
    /* From 1 of 5 to 5 of 9. */
    assert_in_range(moved, SESSIONS / 4, SESSIONS / 2);
    play_end(&play);
}

static void test_a_reload_keeps_who_stays(void **state)
{
    struct play play;
    size_t before[SESSIONS], after[SESSIONS];

    begin(&play);
    ask_all(&play, before);
    play.conf.keys.count = KEYS - 1; /* k4 is gone */
    play_apply(&play);
    ask_all(&play, after);
    for (uint64_t i = 0; i < SESSIONS; i++) {
        if (before[i] != KEYS - 1)
            assert_int_equal(after[i], before[i]);
    }
    play_end(&play);
}

/* A standby is behind all others, those of a later priority too. */
static void test_a_standby_stands_by(void **state)
{
    struct play play;

    play_init(&play, 3);
    play.conf.selection = CONF_SELECTION_STICKY;
    play_key(&play, 1)->weight = 0;
    play_key(&play, 2)->priority = 1;
    play_apply(&play);
    assert_int_equal(ask_on(&play, 0, 0, OUTCOME_INVALID_KEY, NULL), 0);
    for (uint64_t i = 0; i < SESSIONS; i++)
        assert_int_equal(ask(&play, i), 2);
    play_end(&play);
}

static void test_without_a_session_the_least_used(void **state)
{
    struct keypool_grant grants[KEYS];
    struct play play;
    size_t counts[KEYS] = {0};

    begin(&play);
    for (int i = 0; i < KEYS; i++) {
        grants[i] = play_pick(&play, "m");
        counts[play_id(&grants[i])]++;
    }
    for (int i = 0; i < KEYS; i++) {
        assert_int_equal(counts[i], 1);
        play_finish(&play, &grants[i], OUTCOME_SUCCESS, 0);
    }
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_key_on_every_worker),
        cmocka_unit_test(test_a_resting_key_lends_its_sessions_out),
        cmocka_unit_test(test_a_key_at_a_model_s_limit_lends_its_sessions_out),
        cmocka_unit_test(test_another_try_goes_to_the_second_choice),
        cmocka_unit_test(test_a_weight_set_by_hand_moves_sessions),
        cmocka_unit_test(test_a_reload_keeps_who_stays),
        cmocka_unit_test(test_a_standby_stands_by),
        cmocka_unit_test(test_without_a_session_the_least_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

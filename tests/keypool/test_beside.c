/* Keys for a second attempt beside one that is under way. */
#include <pthread.h>
#include <stdatomic.h>

#include "trial_play.h"

static bool take(struct play *play, const struct keypool_tried *tried, struct keypool_grant *grant)
{
    const struct keypool_ask ask = {.model = SPAN("a"), .tokens = 100, .tried = tried};

    return keypool_select_beside(play->views[0], &ask, play->now, grant);
}

static void give(struct play *play, struct keypool_grant *grant, enum outcome outcome)
{
    const struct keypool_end end = {.outcome = outcome_row(outcome), .tokens = 100};

    keypool_end(play->views[0], grant, &end, play->now);
}

/* The first attempt is on k0. */
static void try_first(struct play *play, struct keypool_tried *tried, struct keypool_grant *grant)
{
    const struct keypool_ask ask = {.model = SPAN("a")};

    memset(tried, 0, sizeof(*tried));
    assert_int_equal(play_ask(play, &ask, grant).verdict, KEYPOOL_CHOSEN);
    assert_int_equal(play_number(key_name(grant->key)), 0);
    keypool_tried_add(tried, grant->key, true);
}

static void expect(struct play *play, const struct keypool_tried *tried, size_t number)
{
    struct keypool_grant grant;

    assert_true(take(play, tried, &grant));
    assert_int_equal(play_number(key_name(grant.key)), number);
    give(play, &grant, OUTCOME_SUCCESS);
}

/* One account may be slow or throttled as a whole: another comes first, even where the order of the
 * keys says otherwise; where there is none, any other key will do. */
static void test_another_account_first(void **state)
{
    struct keypool_tried tried;
    struct keypool_grant first;
    struct play play;

    play_init(&play, 3);
    play.conf.selection = CONF_SELECTION_PRIORITY;
    for (size_t i = 0; i < 2; i++)
        play_key(&play, i)->account = SPAN("one");
    play_apply(&play);
    try_first(&play, &tried, &first);
    expect(&play, &tried, 2);
    play_key(&play, 2)->account = SPAN("one");
    play_apply(&play);
    expect(&play, &tried, 1);
    give(&play, &first, OUTCOME_SUCCESS);
    play_end(&play);
}

static void test_not_the_same_key(void **state)
{
    struct keypool_tried tried;
    struct keypool_grant first, grant;
    struct play play;

    play_start(&play, 1);
    try_first(&play, &tried, &first);
    assert_false(take(&play, &tried, &grant));
    give(&play, &first, OUTCOME_SUCCESS);
    play_end(&play);
}

/* It takes nothing from anybody: half of each limit is left, and a resting key is not tested. */
static void test_only_what_is_to_spare(void **state)
{
    struct keypool_tried tried;
    struct keypool_grant first, grant;
    struct play play;

    play_init(&play, 2);
    play.conf.selection = CONF_SELECTION_PRIORITY;
    play_key(&play, 1)->limits = (struct conf_limits){.concurrent = 1};
    play_apply(&play);
    try_first(&play, &tried, &first);
    assert_false(take(&play, &tried, &grant));
    play_key(&play, 1)->limits = (struct conf_limits){.concurrent = 2};
    play_apply(&play);
    assert_true(take(&play, &tried, &grant));
    give(&play, &grant, OUTCOME_RATE_LIMITED);
    assert_false(take(&play, &tried, &grant));
    play.now += 3600 * SECONDS;
    assert_false(take(&play, &tried, &grant));
    give(&play, &first, OUTCOME_SUCCESS);
    play_end(&play);
}

/* Unlike a shadow's, its end counts: a key that is refused goes out. */
static void test_what_came_of_it_is_told(void **state)
{
    struct keypool_tried tried;
    struct keypool_grant first, grant;
    struct keypool_row row;
    struct play play;
    size_t at = 0;

    play_init(&play, 2);
    play.conf.selection = CONF_SELECTION_PRIORITY;
    play_apply(&play);
    try_first(&play, &tried, &first);
    assert_true(take(&play, &tried, &grant));
    give(&play, &grant, OUTCOME_INVALID_KEY);
    for (int i = 0; i < 2; i++) {
        assert_true(keypool_describe(play.pool, &at, play.now, &row));
        key_unref(&row.key);
    }
    assert_int_equal(row.health, KEY_INVALID);
    assert_int_equal(row.requests, 1);
    assert_int_equal(row.in_flight, 0);
    give(&play, &first, OUTCOME_SUCCESS);
    play_end(&play);
}

/* Of an endpoint that refuses connections one in 100 ms may try: a real request. */
static void test_not_the_one_that_tries(void **state)
{
    struct keypool_ask ask = {.model = SPAN("a")};
    struct endpoint_health endpoint;
    struct keypool_tried tried;
    struct keypool_grant first, grant;
    struct play play;

    play_start(&play, 2);
    try_first(&play, &tried, &first);
    endpoint_health_init(&endpoint);
    ask.endpoint = &endpoint;
    ask.tried = &tried;
    endpoint_health_refused(&endpoint, play.now);
    play.now += 1 * SECONDS;
    assert_false(keypool_select_beside(play.views[0], &ask, play.now, &grant));
    assert_int_equal(play_ask(&play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
    give(&play, &grant, OUTCOME_SUCCESS);
    endpoint_health_connected(&endpoint);
    assert_true(keypool_select_beside(play.views[0], &ask, play.now, &grant));
    give(&play, &grant, OUTCOME_SUCCESS);
    give(&play, &first, OUTCOME_SUCCESS);
    play_end(&play);
}

struct shutter {
    struct endpoint_health endpoint;
    uint64_t now;
    atomic_bool is_over;
};

static void *open_and_shut(void *arg)
{
    struct shutter *shutter = arg;

    while (!atomic_load(&shutter->is_over)) {
        endpoint_health_refused(&shutter->endpoint, shutter->now);
        endpoint_health_connected(&shutter->endpoint);
    }
    return NULL;
}

/* Another worker may shut the endpoint between looking and going: the key is given back. */
static void test_endpoint_shuts_meanwhile(void **state)
{
    enum { TIMES = 50000 };
    struct keypool_ask ask = {.model = SPAN("a")};
    struct keypool_tried tried;
    struct keypool_grant first, grant;
    struct shutter shutter = {.is_over = false};
    struct keypool_row row;
    struct play play;
    pthread_t thread;
    uint64_t taken = 0;
    size_t at = 0;

    play_start(&play, 2);
    try_first(&play, &tried, &first);
    endpoint_health_init(&shutter.endpoint);
    shutter.now = play.now;
    ask.endpoint = &shutter.endpoint;
    ask.tried = &tried;
    assert_int_equal(pthread_create(&thread, NULL, open_and_shut, &shutter), 0);
    for (int i = 0; i < TIMES; i++) {
        if (!keypool_select_beside(play.views[0], &ask, play.now, &grant))
            continue;
        give(&play, &grant, OUTCOME_SUCCESS);
        taken++;
    }
    atomic_store(&shutter.is_over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_true(keypool_describe(play.pool, &at, play.now, &row));
        key_unref(&row.key);
    }
    assert_int_equal(row.requests, taken);
    assert_int_equal(row.in_flight, 0);
    give(&play, &first, OUTCOME_SUCCESS);
    play_end(&play);
}

static void test_never_the_canary(void **state)
{
    struct keypool_tried tried = {.count = 0};
    struct keypool_trial *trial;
    struct keypool_grant grant;
    struct evidence_tick tick;
    struct key *key;
    struct play play;

    play_start(&play, 2);
    key = keypool_find_key(play.pool, SPAN("k1"));
    assert_int_equal(keypool_trial_begin(play.pool, key, 500000, &trial), 0);
    for (int i = 0; i < 20; i++) {
        assert_true(take(&play, &tried, &grant));
        assert_int_equal(play_number(key_name(grant.key)), 0);
        give(&play, &grant, OUTCOME_SUCCESS);
    }
    keypool_trial_end(&trial, &tick);
    assert_int_equal(tick.canary.requests + tick.control.requests, 0);
    key_unref(&key);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_another_account_first),
        cmocka_unit_test(test_not_the_same_key),
        cmocka_unit_test(test_only_what_is_to_spare),
        cmocka_unit_test(test_what_came_of_it_is_told),
        cmocka_unit_test(test_not_the_one_that_tries),
        cmocka_unit_test(test_endpoint_shuts_meanwhile),
        cmocka_unit_test(test_never_the_canary),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

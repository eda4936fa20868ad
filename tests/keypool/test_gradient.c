/* `adaptive.concurrency`: how many a key, or an account, may have under way, found by latency. */
#include "pool_play.h"

static struct conf_adaptive_concurrency at_once = {.initial = 4, .min = 1, .max = 100};

static struct conf_adaptive usual = {
    .backoff_milli = 500, .growth_milli = 1100, .concurrency = &at_once};

static void begin(struct play *play, size_t keys)
{
    play_init(play, keys);
    play->conf.adaptive = &usual;
    play_apply(play);
}

static uint32_t found(struct play *play, size_t id)
{
    return play_row(play, id).adaptive_concurrency;
}

static struct keypool_grant send(struct play *play)
{
    struct keypool_grant grant = play_pick(play, "a");

    keypool_sent(play->views[0], &grant, play->now);
    return grant;
}

static void answer(struct play *play, struct keypool_grant *grant)
{
    play->effect = keypool_good(play->views[0], grant, play->now);
}

/* So many pass, and one more as soon as one of them ends; requests a minute are not limited. */
static void test_begins_as_it_is_told(void **state)
{
    struct keypool_grant grants[4];
    struct play play;

    begin(&play, 1);
    for (int i = 0; i < 4; i++)
        grants[i] = send(&play);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_FULL);
    assert_int_equal(play_row(&play, 0).adaptive_rpm, 0);
    play_finish(&play, &grants[0], OUTCOME_SUCCESS, 0);
    assert_int_equal(play.effect.wakes, 1);
    grants[0] = send(&play);
    for (int i = 0; i < 4; i++)
        play_finish(&play, &grants[i], OUTCOME_SUCCESS, 0);
    play_end(&play);
}

/* It is shown as a declared one is: the less of both. */
static void test_the_less_of_declared_and_found_holds(void **state)
{
    static const uint32_t declared[] = {2, 9};

    for (size_t i = 0; i < 2; i++) {
        struct keypool_row row;
        struct play play;

        play_init(&play, 1);
        play_key(&play, 0)->limits = (struct conf_limits){.concurrent = declared[i]};
        play.conf.adaptive = &usual;
        play_apply(&play);
        row = play_row(&play, 0);
        assert_int_equal(row.limit_count, 1);
        assert_string_equal(row.limits[0].scope, "concurrent");
        assert_int_equal(row.limits[0].limit, i == 0 ? 2 : 4);
        assert_int_equal(row.adaptive_concurrency, 4);
        play_end(&play);
    }
}

/* Refusals and silence cut it, once for all that were sent before; other failures say nothing. */
static void test_what_cuts(void **state)
{
    static const struct {
        enum outcome outcome;
        uint32_t left;
    } cases[] = {
        {OUTCOME_RATE_LIMITED, 2}, {OUTCOME_OVERLOADED, 2}, {OUTCOME_FIRST_BYTE_TIMEOUT, 2},
        {OUTCOME_SERVER_ERROR, 4}, {OUTCOME_RESET, 4},      {OUTCOME_BAD_REQUEST, 4},
        {OUTCOME_CLIENT_GONE, 4},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct keypool_grant grants[2];
        struct play play;

        begin(&play, 1);
        for (int j = 0; j < 2; j++)
            grants[j] = send(&play);
        play.now += 200 * US_PER_MS;
        for (int j = 0; j < 2; j++)
            play_finish(&play, &grants[j], cases[i].outcome, 0);
        if (found(&play, 0) != cases[i].left)
            fail_msg("outcome %d leaves %u", (int)cases[i].outcome, found(&play, 0));
        play_end(&play);
    }
}

static void test_keys_of_an_account_share_it(void **state)
{
    struct keypool_grant grants[4];
    struct play play;

    play_init(&play, 2);
    for (size_t i = 0; i < 2; i++)
        play_key(&play, i)->account = SPAN("org-1");
    play.conf.adaptive = &usual;
    play_apply(&play);
    for (int i = 0; i < 4; i++)
        grants[i] = send(&play);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_FULL);
    play_finish(&play, &grants[0], OUTCOME_RATE_LIMITED, 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(found(&play, i), 2);
    for (int i = 1; i < 4; i++)
        play_finish(&play, &grants[i], OUTCOME_SUCCESS, 0);
    play_end(&play);
}

static void test_a_reload_keeps_what_was_found(void **state)
{
    struct keypool_grant grants[20];
    struct play play;

    begin(&play, 1);
    grants[0] = send(&play);
    play_finish(&play, &grants[0], OUTCOME_OVERLOADED, 0);
    play_apply(&play);
    assert_int_equal(found(&play, 0), 2);
    play.conf.adaptive = NULL;
    play_apply(&play);
    play.now += 100 * SECONDS;
    assert_int_equal(found(&play, 0), 0);
    for (int i = 0; i < 20; i++)
        grants[i] = send(&play);
    /* It comes back with twenty under way, whom it never let in. */
    play.conf.adaptive = &usual;
    play_apply(&play);
    assert_int_equal(found(&play, 0), 4);
    for (int i = 0; i < 20; i++) {
        answer(&play, &grants[i]);
        play_finish(&play, &grants[i], OUTCOME_SUCCESS, 0);
    }
    play_end(&play);
}

/* What is off costs nothing: not a word that workers share is written. */
static void test_off_it_writes_nothing(void **state)
{
    struct keypool_grant grant;
    struct play play;
    uint64_t before;

    play_start(&play, 1);
    play_request(&play, "a", OUTCOME_SUCCESS, 0);
    before = keypool_view_shared_writes(play.views[0]);
    grant = send(&play);
    play.now += SECONDS;
    answer(&play, &grant);
    play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    assert_int_equal(keypool_view_shared_writes(play.views[0]), before);
    play_end(&play);
}

/* ---- two keys, before servers that tell nothing ---- */

enum { SERVERS = 2, UNDER_WAY = 256 };

struct flight {
    struct keypool_grant grant;
    uint64_t due_us;
};

/* Serves so many at once, a second each; the others wait in order. */
struct server {
    uint32_t capacity;
    uint64_t free_us[64]; /* when each place is */
};

static uint64_t serve(struct server *server, uint64_t now_us)
{
    uint64_t *first = &server->free_us[0];

    for (uint32_t i = 1; i < server->capacity; i++) {
        if (server->free_us[i] < *first)
            first = &server->free_us[i];
    }
    *first = (*first > now_us ? *first : now_us) + SECONDS;
    return *first;
}

/* What has waited would be woken as often as there is room: nothing that the limit grew by is
 * forgotten. */
static void test_finds_what_each_server_can_do(void **state)
{
    struct server servers[SERVERS] = {{.capacity = 6}, {.capacity = 24}};
    static struct flight flights[UNDER_WAY];
    uint32_t under_way = 0, served[SERVERS] = {0}, grown = 0;
    struct play play;
    uint64_t begun_us, until_us;

    begin(&play, SERVERS);
    begun_us = play.now;
    until_us = begun_us + 1500 * SECONDS;
    while (play.now < until_us) {
        struct keypool_ask ask = {.model = SPAN("a")};
        struct keypool_grant grant;
        uint64_t next_us = UINT64_MAX;

        while (play_ask(&play, &ask, &grant).verdict == KEYPOOL_CHOSEN) {
            assert_true(under_way < UNDER_WAY);
            keypool_sent(play.views[0], &grant, play.now);
            flights[under_way++] =
                (struct flight){grant, serve(&servers[play_id(&grant)], play.now)};
            /* Not all in one moment. */
            play.now += 3 * US_PER_MS;
        }
        for (uint32_t i = 0; i < under_way; i++)
            next_us = flights[i].due_us < next_us ? flights[i].due_us : next_us;
        play.now = next_us > play.now ? next_us : play.now;
        for (uint32_t i = 0; i < under_way; i++) {
            if (flights[i].due_us > play.now)
                continue;
            served[play_id(&flights[i].grant)] += play.now > begun_us + 500 * SECONDS;
            answer(&play, &flights[i].grant);
            grown += play.effect.wakes;
            play_finish(&play, &flights[i].grant, OUTCOME_SUCCESS, 0);
            flights[i--] = flights[--under_way];
        }
    }
    assert_true(grown > 0);
    for (size_t i = 0; i < SERVERS; i++) {
        assert_in_range(served[i], servers[i].capacity * 950, servers[i].capacity * 1001);
        assert_in_range(found(&play, i), servers[i].capacity / 2, servers[i].capacity * 2);
    }
    while (under_way)
        play_finish(&play, &flights[--under_way].grant, OUTCOME_CLIENT_GONE, 0);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begins_as_it_is_told),
        cmocka_unit_test(test_the_less_of_declared_and_found_holds),
        cmocka_unit_test(test_what_cuts),
        cmocka_unit_test(test_keys_of_an_account_share_it),
        cmocka_unit_test(test_a_reload_keeps_what_was_found),
        cmocka_unit_test(test_off_it_writes_nothing),
        cmocka_unit_test(test_finds_what_each_server_can_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A model that goes over from one target to another: who is asked, what a client sees of the new
 * side's failures (nothing), and what counts on which side. */
#include "road.h"

#include "base/alloc.h"
#include "base/err.h"
#include "exchange/away.h"
#include "exchange/media_errand.h"
#include "migration/crossing.h"

/* The old side is up, "a"; the new one is other, "b", with two keys. */
#define SIDES                                                                                      \
    "providers:\n"                                                                                 \
    "  up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"                    \
    "    keys: [{name: one, secret: key-one}]}\n"                                                  \
    "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"                 \
    "    selection: priority,\n"                                                                   \
    "    keys: [{name: two, secret: key-two}, {name: three, secret: key-three}]}\n"                \
    "models: {m: {targets: [{to: up/m}], migration: {to: other/n}}, plain: up/m}\n"                \
    "prices: {other/n: {input: 2, output: 10}}\n"                                                  \
    "clients: {open: true}\n"

static const char sides[] = SIDES;
static const char one_attempt[] = SIDES "retry: {attempts: 1, budget: 0%}\n";

struct crossed {
    struct road road;
    struct crossing *crossing;
    int client;
};

static void begin(struct crossed *crossed, const char *yaml, struct crossing_stand stand)
{
    road_begin(&crossed->road, yaml);
    crossed->crossing = routes_crossing(crossed->road.snapshot->routes, SPAN("m"));
    assert_non_null(crossed->crossing);
    crossing_set(crossed->crossing, stand);
    crossed->client = road_connect(&crossed->road);
}

static void end(struct crossed *crossed)
{
    close(crossed->client);
    road_end(&crossed->road);
}

static const struct crossing_stand all_new = {1000000, true, true};
static const struct crossing_stand all_old = {1, true, true}; /* but one in a million */

static void ask(struct crossed *crossed)
{
    road_post(&crossed->road, crossed->client, "/v1/chat/completions", "",
              "{\"model\":\"m\",\"messages\":[]}");
}

/* What has been counted since the last time: requests, failures, refused of each side. */
static void expect_counts(struct crossed *crossed, const char *text)
{
    struct side counted[CROSSING_SIDES] = {{.requests = 0}};
    struct evidence_tick tick;
    char heard[128];

    crossing_take(crossed->crossing, &tick, counted);
    crossing_take_rest(crossed->crossing, counted);
    snprintf(heard, sizeof(heard), "old %u/%u/%u whole %u, new %u/%u/%u whole %u",
             tick.control.requests, tick.control.failures, tick.control.refused,
             (unsigned)counted[CROSSING_OLD].whole, tick.canary.requests, tick.canary.failures,
             tick.canary.refused, (unsigned)counted[CROSSING_NEW].whole);
    assert_string_equal(heard, text);
}

static void answer(struct crossed *crossed, char name, const char *key)
{
    int upstream = road_attempt_with(&crossed->road, name, -1, key);

    road_reply_ok(&crossed->road, upstream);
    road_expect(&crossed->road, crossed->client, 200, road_ok);
    close(upstream);
}

static void refuse(struct crossed *crossed, char name, const char *key, int status,
                   const char *body)
{
    int upstream = road_attempt_with(&crossed->road, name, -1, key);

    road_reply(&crossed->road, upstream, status, "", body);
    close(upstream);
}

static void test_each_side(void **state)
{
    struct crossed crossed;

    (void)state;
    begin(&crossed, sides, all_new);
    ask(&crossed);
    answer(&crossed, 'b', "key-two");
    expect_counts(&crossed, "old 0/0/0 whole 0, new 1/0/0 whole 1");
    crossing_set(crossed.crossing, all_old);
    ask(&crossed);
    answer(&crossed, 'a', "key-one");
    expect_counts(&crossed, "old 1/0/0 whole 1, new 0/0/0 whole 0");
    /* Where one side is alone nothing is compared. */
    crossing_set(crossed.crossing, (struct crossing_stand){0, true, false});
    ask(&crossed);
    answer(&crossed, 'a', "key-one");
    crossing_set(crossed.crossing, (struct crossing_stand){1000000, false, true});
    ask(&crossed);
    answer(&crossed, 'b', "key-two");
    expect_counts(&crossed, "old 0/0/0 whole 0, new 0/0/0 whole 0");
    end(&crossed);
}

/* Ways in which the new side fails, each answered by the old one at once. */
static const struct failing {
    int status;
    const char *body;
    const char *counts;
} failings[] = {
    {500, "{\"error\":{\"message\":\"oops\"}}", "old 0/0/0 whole 0, new 1/1/0 whole 0"},
    {503, "{\"error\":{\"message\":\"busy\"}}", "old 0/0/0 whole 0, new 1/1/0 whole 0"},
    {200, "<html>", "old 0/0/0 whole 0, new 1/1/0 whole 0"},
    {400, "{\"error\":{\"message\":\"Unknown parameter\"}}",
     "old 0/0/0 whole 0, new 1/1/0 whole 0"},
    {413, "{\"error\":{\"message\":\"too big\"}}", "old 0/0/0 whole 0, new 1/1/0 whole 0"},
};

static void test_failures_that_no_client_sees(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * sizeof(failings) / sizeof(failings[0]); i++) {
        const struct failing *row = &failings[i / 2];
        struct crossed crossed;

        /* It takes nothing of the tries and the budget that there are. */
        begin(&crossed, i % 2 ? one_attempt : sides, all_new);
        ask(&crossed);
        refuse(&crossed, 'b', "key-two", row->status, row->body);
        answer(&crossed, 'a', "key-one");
        assert_int_equal(road_now_ms(&crossed.road), 0);
        expect_counts(&crossed, row->counts);
        end(&crossed);
    }
}

/* ---- what is not to be told the new side for want of room ---- */

/* The new side reads no URLs, and is told all bodies anew. */
static const char fetching_side[] =
    "server: {media: {private: true}}\n"
    "providers:\n"
    "  up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
    "    keys: [{name: one, secret: key-one}]}\n"
    "  other: {kind: gemini, base_url: '@b', health: {validate_new: false},\n"
    "    keys: [{name: two, secret: key-two, limits: {concurrent: 1}}]}\n"
    "models: {m: {targets: [{to: up/m}], migration: {to: other/n}}}\n"
    "clients: {open: true}\n";

static struct media_errand *fetching; /* style: what the host's call is told; one test at a time */

static void on_fetch_media(void *owner, struct media_errand *errand)
{
    (void)owner;
    fetching = errand;
}

static void ask_with_image(struct crossed *crossed)
{
    static struct exchange_host_ops ops; /* style: the host keeps it */

    ops = *crossed->road.host.ops;
    ops.fetch_media = on_fetch_media;
    crossed->road.host.ops = &ops;
    fetching = NULL;
    road_post(&crossed->road, crossed->client, "/v1/chat/completions", "",
              "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
              "\"image_url\",\"image_url\":{\"url\":\"http://192.0.2.1/x.png\"}}]}]}");
    wire_settle(crossed->road.loop);
}

static void test_media_that_cannot_be_had(void **state)
{
    static const int errs[] = {ERR_NOTFOUND, ERR_NOMEM};
    struct crossed crossed;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(errs) / sizeof(errs[0]); i++) {
        bool has_old = i % 2;

        begin(&crossed, fetching_side, (struct crossing_stand){1000000, has_old, true});
        ask_with_image(&crossed);
        assert_non_null(fetching);
        fetching->parcels[0].err = errs[i / 2];
        snprintf(fetching->parcels[0].why, sizeof(fetching->parcels[0].why), "it is gone");
        media_errand_return(fetching);
        wire_settle(crossed.road.loop);
        if (has_old) {
            answer(&crossed, 'a', "key-one");
            expect_counts(&crossed, "old 0/0/0 whole 0, new 1/1/0 whole 0");
        } else {
            road_expect(&crossed.road, crossed.client, errs[i / 2] == ERR_NOMEM ? 503 : 400, NULL);
        }
        end(&crossed);
    }
}

static void test_no_room_for_a_body(void **state)
{
    struct crossed crossed;
    struct buf body;
    char *heard;

    (void)state;
    begin(&crossed, fetching_side, all_new);
    buf_init(&body, 4 * AWAY_LARGE_BYTES);
    buf_append_span(&body,
                    SPAN("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\""));
    while (body.len < AWAY_LARGE_BYTES)
        buf_append_span(&body, SPAN("lorem ipsum "));
    buf_append(&body, "\"}]}", sizeof("\"}]}"));
    road_post(&crossed.road, crossed.client, "/v1/chat/completions", "", body.data);
    assert_int_equal(road_jobs(&crossed.road), 1);
    atomic_store(&crossed.road.registry.bodies.shared.max, AWAY_LARGE_BYTES);
    road_help(&crossed.road);
    atomic_store(&crossed.road.registry.bodies.shared.max, 1 << 30);
    answer(&crossed, 'a', "key-one");
    expect_counts(&crossed, "old 0/0/0 whole 0, new 1/1/0 whole 0");
    /* The new side's only place is free again. */
    road_post(&crossed.road, crossed.client, "/v1/chat/completions", "",
              "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}");
    close(road_attempt(&crossed.road, 'b', -1, &heard));
    assert_non_null(strstr(heard, "POST /v1beta/models/n:"));
    mem_free(heard);
    buf_fini(&body);
    end(&crossed);
}

/* One key that is refused is not the side: its others are asked first. */
static void test_a_key_of_the_new_side(void **state)
{
    static const char refused[] = "{\"error\":{\"message\":\"no\",\"code\":\"invalid_api_key\"}}";
    struct crossed crossed;

    (void)state;
    begin(&crossed, sides, all_new);
    ask(&crossed);
    refuse(&crossed, 'b', "key-two", 401, refused);
    answer(&crossed, 'b', "key-three");
    expect_counts(&crossed, "old 0/0/0 whole 0, new 1/0/0 whole 1");
    ask(&crossed);
    refuse(&crossed, 'b', "key-three", 401, refused);
    answer(&crossed, 'a', "key-one");
    expect_counts(&crossed, "old 0/0/0 whole 0, new 1/1/1 whole 0");
    /* None of its keys can be used any more. */
    ask(&crossed);
    answer(&crossed, 'a', "key-one");
    expect_counts(&crossed, "old 0/0/0 whole 0, new 1/1/0 whole 0");
    end(&crossed);
}

/* Both sides are models of one provider, which has one key. */
static const char same_provider[] =
    "providers:\n"
    "  up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
    "    keys: [{name: one, secret: key-one}]}\n"
    "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
    "    keys: [{name: two, secret: key-two}]}\n"
    "models: {m: {targets: [{to: up/old}], fallback: [other/x], migration: {to: up/new}}}\n"
    "clients: {open: true}\n";

static int expect_asked_for(struct crossed *crossed, int upstream, const char *model)
{
    char *heard;

    upstream = road_attempt(&crossed->road, 'a', upstream, &heard);
    assert_non_null(strstr(heard, model));
    mem_free(heard);
    return upstream;
}

/* What the new side answers says nothing of its key at the old one, which is asked at once. */
static void test_one_provider_for_both(void **state)
{
    static const struct failing rows[] = {
        {404, "{\"error\":{\"message\":\"no\",\"code\":\"model_not_found\"}}", NULL},
        {403, "{\"error\":{\"message\":\"no\",\"code\":\"model_not_found\"}}", NULL},
        {500, "{\"error\":{\"message\":\"oops\"}}", NULL},
        {409, "{\"error\":{\"message\":\"not now\"}}", NULL},
        {400, "{\"error\":{\"message\":\"no\"}}", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct crossed crossed;
        int upstream;

        begin(&crossed, same_provider, all_new);
        ask(&crossed);
        upstream = expect_asked_for(&crossed, -1, "\"model\":\"new\"");
        road_reply(&crossed.road, upstream, rows[i].status, "", rows[i].body);
        upstream = expect_asked_for(&crossed, upstream, "\"model\":\"old\"");
        road_reply_ok(&crossed.road, upstream);
        road_expect(&crossed.road, crossed.client, 200, road_ok);
        assert_int_equal(road_now_ms(&crossed.road), 0);
        expect_counts(&crossed, "old 0/0/0 whole 0, new 1/1/0 whole 0");
        close(upstream);
        end(&crossed);
    }
}

/* A side that has no connection left when the wait is over has no answer, and the other one may. */
static void test_no_connection(void **state)
{
    static const char yaml[] =
        "providers:\n"
        "  up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "    keys: [{name: one, secret: key-one}]}\n"
        "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
        "    connections: {max: 1}, keys: [{name: two, secret: key-two}]}\n"
        "models: {m: {targets: [{to: up/m}], migration: {to: other/n}}}\n"
        "retry: {wait: 1s}\n"
        "clients: {open: true}\n";
    struct crossed crossed;
    int first, upstream;

    (void)state;
    begin(&crossed, yaml, all_new);
    first = crossed.client;
    ask(&crossed);
    upstream = road_attempt_with(&crossed.road, 'b', -1, "key-two");
    crossed.client = road_connect(&crossed.road);
    ask(&crossed);
    wire_settle(crossed.road.loop);
    assert_int_equal(road_try_accept(&crossed.road, 'a'), -1);
    road_pass_ms(&crossed.road, 1100);
    answer(&crossed, 'a', "key-one");
    expect_counts(&crossed, "old 0/0/0 whole 0, new 1/1/0 whole 0");
    close(upstream);
    close(first);
    end(&crossed);
}

/* A side that hangs until nobody can be asked any more has failed; one that was never asked has
 * not. */
static void test_a_side_that_hangs(void **state)
{
    static const char yaml[] =
        "providers:\n"
        "  up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "    keys: [{name: one, secret: key-one}]}\n"
        "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
        "    timeouts: {total: 5s}, connections: {max: 1},\n"
        "    keys: [{name: two, secret: key-two}]}\n"
        "models: {m: {targets: [{to: up/m}], migration: {to: other/n}}}\n"
        "retry: {wait: 20s}\n"
        "clients: {open: true}\n";
    struct crossed crossed;
    int first, upstream;

    (void)state;
    begin(&crossed, yaml, all_new);
    first = crossed.client;
    ask(&crossed);
    upstream = road_attempt_with(&crossed.road, 'b', -1, "key-two");
    crossed.client = road_connect(&crossed.road);
    ask(&crossed);
    road_pass_ms(&crossed.road, 5100);
    road_expect_error(&crossed.road, first, 504, "timeout");
    expect_counts(&crossed, "old 0/0/0 whole 0, new 1/1/0 whole 0");
    close(upstream);
    close(first);
    end(&crossed);
}

/* A replay guard of the new side is not waited for. */
static void test_a_conflict(void **state)
{
    struct crossed crossed;

    (void)state;
    begin(&crossed, sides, all_new);
    ask(&crossed);
    refuse(&crossed, 'b', "key-two", 409, "{\"error\":{\"message\":\"not now\"}}");
    answer(&crossed, 'a', "key-one");
    assert_int_equal(road_now_ms(&crossed.road), 0);
    end(&crossed);
}

static void test_nobody_listens(void **state)
{
    struct crossed crossed;

    (void)state;
    begin(&crossed, sides, all_new);
    road_unlisten(&crossed.road, 'b');
    ask(&crossed);
    wire_settle(crossed.road.loop);
    answer(&crossed, 'a', "key-one");
    expect_counts(&crossed, "old 0/0/0 whole 0, new 1/1/0 whole 0");
    end(&crossed);
}

/* What both sides refuse is the request's own fault, and the old side's word counts. */
static void test_a_bad_request(void **state)
{
    static const char old_word[] = "{\"error\":{\"message\":\"the old one says no\"}}";
    struct crossed crossed;

    (void)state;
    begin(&crossed, sides, all_new);
    ask(&crossed);
    refuse(&crossed, 'b', "key-two", 400, "{\"error\":{\"message\":\"no\"}}");
    refuse(&crossed, 'a', "key-one", 400, old_word);
    road_expect(&crossed.road, crossed.client, 400, old_word);
    expect_counts(&crossed, "old 0/0/0 whole 0, new 0/0/0 whole 0");
    crossing_set(crossed.crossing, all_old);
    ask(&crossed);
    refuse(&crossed, 'a', "key-one", 400, old_word);
    road_expect(&crossed.road, crossed.client, 400, old_word);
    expect_counts(&crossed, "old 0/0/0 whole 0, new 0/0/0 whole 0");
    end(&crossed);
}

/* Each is the other's fallback: the old side's failures go to the new one as to any. */
static void test_the_old_side_fails(void **state)
{
    struct crossed crossed;

    (void)state;
    begin(&crossed, sides, all_old);
    ask(&crossed);
    refuse(&crossed, 'a', "key-one", 500, "{\"error\":{\"message\":\"oops\"}}");
    answer(&crossed, 'b', "key-two");
    expect_counts(&crossed, "old 1/1/0 whole 0, new 0/0/0 whole 0");
    end(&crossed);
}

/* Both fail: the client hears of it, and the side whose turn it was is to blame. */
static void test_both_fail(void **state)
{
    static const char oops[] = "{\"error\":{\"message\":\"oops\"}}";
    struct crossed crossed;

    (void)state;
    begin(&crossed, one_attempt, all_new);
    ask(&crossed);
    refuse(&crossed, 'b', "key-two", 500, oops);
    refuse(&crossed, 'a', "key-one", 500, oops);
    road_expect(&crossed.road, crossed.client, 500, oops);
    expect_counts(&crossed, "old 0/0/0 whole 0, new 1/1/0 whole 0");
    end(&crossed);
}

/* The first key of the new side has cost something: what was produced is billed. */
static void expect_spent(struct crossed *crossed)
{
    struct provider *provider = crossed->road.snapshot->providers[1].provider;
    struct keypool_row key;
    size_t at = 0;

    assert_true(
        keypool_describe(provider_keys(provider), &at, loop_now_us(crossed->road.loop), &key));
    assert_true(span_is_equal(key_name(key.key), SPAN("two")));
    assert_true(key.spent_nanousd > 0);
    key_unref(&key.key);
}

/* An answer that breaks off counts as good when it began, and then as a failure. */
static void test_broken_off(void **state)
{
    struct crossed crossed;
    int upstream;

    (void)state;
    begin(&crossed, sides, all_new);
    road_post(&crossed.road, crossed.client, "/v1/chat/completions", "",
              "{\"model\":\"m\",\"messages\":[],\"stream\":true}");
    upstream = road_attempt_with(&crossed.road, 'b', -1, "key-two");
    road_stream_head(&crossed.road, upstream);
    road_stream(&crossed.road, upstream, road_chunk);
    expect_counts(&crossed, "old 0/0/0 whole 0, new 1/0/0 whole 0");
    close(upstream);
    wire_settle(crossed.road.loop);
    expect_counts(&crossed, "old 0/0/0 whole 0, new 1/1/0 whole 0");
    expect_spent(&crossed);
    end(&crossed);
}

/* Who leaves says nothing of either side. */
static void test_the_client_leaves(void **state)
{
    struct crossed crossed;
    int upstream;

    (void)state;
    begin(&crossed, sides, all_new);
    ask(&crossed);
    upstream = road_attempt_with(&crossed.road, 'b', -1, "key-two");
    close(crossed.client);
    wire_settle(crossed.road.loop);
    road_pass_ms(&crossed.road, 1000);
    expect_counts(&crossed, "old 0/0/0 whole 0, new 0/0/0 whole 0");
    close(upstream);
    crossed.client = road_connect(&crossed.road);
    end(&crossed);
}

/* The time to the first byte is the attempt's own. */
static void test_latency(void **state)
{
    struct side counted[CROSSING_SIDES] = {{.requests = 0}};
    struct evidence_tick tick;
    struct crossed crossed;
    int upstream;

    (void)state;
    begin(&crossed, sides, all_new);
    ask(&crossed);
    upstream = road_attempt_with(&crossed.road, 'b', -1, "key-two");
    road_pass_ms(&crossed.road, 250);
    road_reply_ok(&crossed.road, upstream);
    road_expect(&crossed.road, crossed.client, 200, road_ok);
    crossing_take(crossed.crossing, &tick, counted);
    crossing_take_rest(crossed.crossing, counted);
    assert_int_equal(tick.canary.latencies[latency_bucket(250000)], 1);
    assert_int_equal(counted[CROSSING_NEW].counts[SIDE_TOTAL][latency_bucket(250000)], 1);
    assert_int_equal(side_measured(&counted[CROSSING_NEW], SIDE_LENGTH), 1);
    close(upstream);
    end(&crossed);
}

/* The share is exact to one, whatever comes; another model takes no turn. */
static void test_the_share(void **state)
{
    int taken = 0;
    struct crossed crossed;

    (void)state;
    begin(&crossed, sides, (struct crossing_stand){300000, true, true});
    for (int i = 0; i < 50; i++) {
        int next;

        ask(&crossed);
        wire_settle(crossed.road.loop);
        next = road_try_accept(&crossed.road, 'b');
        taken += next >= 0;
        if (next < 0)
            next = road_attempt_with(&crossed.road, 'a', -1, "key-one");
        else
            road_take(&crossed.road, next);
        road_reply(&crossed.road, next, 200, "Connection: close\r\n", road_ok);
        road_expect(&crossed.road, crossed.client, 200, road_ok);
        close(next);
        wire_settle(crossed.road.loop);
    }
    assert_in_range(taken, 14, 16);
    end(&crossed);
}

/* A reload changes neither share nor counts. */
static void test_reload(void **state)
{
    struct crossed crossed;

    (void)state;
    begin(&crossed, sides, all_new);
    ask(&crossed);
    answer(&crossed, 'b', "key-two");
    road_reload(&crossed.road, one_attempt);
    assert_ptr_equal(routes_crossing(crossed.road.snapshot->routes, SPAN("m")), crossed.crossing);
    ask(&crossed);
    answer(&crossed, 'b', "key-two");
    expect_counts(&crossed, "old 0/0/0 whole 0, new 2/0/0 whole 2");
    end(&crossed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_side),
        cmocka_unit_test(test_failures_that_no_client_sees),
        cmocka_unit_test(test_media_that_cannot_be_had),
        cmocka_unit_test(test_no_room_for_a_body),
        cmocka_unit_test(test_a_key_of_the_new_side),
        cmocka_unit_test(test_one_provider_for_both),
        cmocka_unit_test(test_a_conflict),
        cmocka_unit_test(test_a_side_that_hangs),
        cmocka_unit_test(test_no_connection),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_a_bad_request),
        cmocka_unit_test(test_the_old_side_fails),
        cmocka_unit_test(test_both_fail),
        cmocka_unit_test(test_broken_off),
        cmocka_unit_test(test_the_client_leaves),
        cmocka_unit_test(test_latency),
        cmocka_unit_test(test_the_share),
        cmocka_unit_test(test_reload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

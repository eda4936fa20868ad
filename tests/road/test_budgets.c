/* Budgets of clients and pools on the road: who is refused, with what, until when; and by how much
 * a budget can be passed. An answer costs COST here, in thousand-millionths of a dollar. */
#include "scene.h"

#include "base/alloc.h"

#include <stdlib.h>

enum { COST = 8000 };

#define HOUR_US (3600 * US_PER_SEC)

#define UP                                                                                         \
    "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"          \
    "  timeouts: {first_byte: 1h, total: 1h}, keys: [{name: one, secret: key-one}]}}\n"            \
    "prices: {up/m: {input: 1, output: 1}}\n"                                                      \
    "pools: {search: {budget: {usd: 1, per: month}}}\n"                                            \
    "clients: {keys: [{name: web, secret: web-key, pool: search, budget: {usd: 1}},\n"             \
    "  {name: app, secret: app-key, pool: search}, {name: free, secret: free-key},\n"              \
    "  {name: tight, secret: tight-key, budget: {usd: 1}, limits: {tpm: 1000}}]}\n"                \
    "names: {direct: true}\n"

static const char budgets[] = UP;
static const char one_place[] = UP "classes: {standard: {concurrent: 1, queue: 9, wait: 10m}}\n";

/* The purse of that name, as whoever keeps the periods has it. */
static struct purse *purse_of(struct road *road, enum purse_kind kind, const char *name)
{
    struct purse *purse = NULL;

    assert_int_equal(purse_book_get(road->registry.purses, kind, span_from_text(name), &purse), 0);
    return purse;
}

static int ask_for(struct road *road, const char *lines, const char *body)
{
    int client = road_connect(road);

    road_post(road, client, "/v1/chat/completions", lines, body);
    return client;
}

static int ask(struct road *road, const char *lines)
{
    return ask_for(road, lines, "{\"model\":\"up/m\",\"messages\":[]}");
}

#define WEB   "Authorization: Bearer web-key\r\n"
#define APP   "Authorization: Bearer app-key\r\n"
#define FREE  "Authorization: Bearer free-key\r\n"
#define TIGHT "Authorization: Bearer tight-key\r\n"

static void serve(struct road *road, int client, int upstream)
{
    road_reply_ok(road, upstream);
    road_expect(road, client, 200, road_ok);
    close(client);
    close(upstream);
}

static void expect_served(struct road *road, const char *lines)
{
    int client = ask(road, lines);

    serve(road, client, road_attempt_with(road, 'a', -1, "key-one"));
}

/* Refused, before anything went upstream. */
static void hear_refused(struct road *road, int client, const char *who, const char *retry_after)
{
    struct road_answer answer;

    road_expect_no_attempt(road, 'a', -1);
    road_hear(road, client, &answer);
    assert_int_equal(answer.status, 429);
    assert_non_null(strstr(road_body(&answer), "\"code\":\"rate_limit_exceeded\""));
    assert_non_null(strstr(road_body(&answer), who));
    assert_string_equal(road_field(&answer, "retry-after"), retry_after);
    assert_string_equal(road_field(&answer, "x-should-retry"), "false");
    road_answer_free(&answer);
    close(client);
}

static void test_refused_until_the_period_ends(void **state)
{
    struct purse *purse;
    struct road road;

    (void)state;
    road_begin(&road, budgets);
    purse = purse_of(&road, PURSE_CLIENT, "web");
    purse_set(purse, 2 * COST, ROAD_START_US + HOUR_US);
    expect_served(&road, WEB);
    expect_served(&road, WEB);
    assert_int_equal(purse_spent(purse), 2 * COST);
    /* The road begins at 22:13:20. */
    hear_refused(&road, ask(&road, WEB),
                 "The budget of this API key for the day is spent; the next one begins at "
                 "2023-11-14T23:13:20.000Z",
                 "3600");
    road_pass_ms(&road, 3000000);
    hear_refused(&road, ask(&road, WEB), "this API key", "600");
    /* Others are none the worse for it. */
    expect_served(&road, APP);
    expect_served(&road, FREE);
    /* The period is over, whether or not the next one was told. */
    road_pass_ms(&road, 600000);
    expect_served(&road, WEB);
    purse_unref(&purse);
    road_end(&road);
}

static void test_a_pool_is_of_all_its_clients(void **state)
{
    struct purse *purse, *own;
    struct road road;

    (void)state;
    road_begin(&road, budgets);
    purse = purse_of(&road, PURSE_POOL, "search");
    purse_set(purse, 2 * COST, ROAD_START_US + HOUR_US);
    expect_served(&road, WEB);
    expect_served(&road, FREE);
    expect_served(&road, APP);
    hear_refused(&road, ask(&road, WEB), "The budget of the pool search for the month is spent",
                 "3600");
    hear_refused(&road, ask(&road, APP), "the pool search", "3600");
    expect_served(&road, FREE);
    assert_int_equal(purse_spent(purse), 2 * COST);
    /* Both are spent: the longer wait is told. */
    own = purse_of(&road, PURSE_CLIENT, "web");
    purse_set(own, 0, ROAD_START_US + HOUR_US / 2);
    hear_refused(&road, ask(&road, WEB), "the pool search", "3600");
    purse_set(own, 0, ROAD_START_US + 2 * HOUR_US);
    hear_refused(&road, ask(&road, WEB), "this API key", "7200");
    purse_unref(&own);
    /* More was given. */
    purse_set(purse, 3 * COST, ROAD_START_US + HOUR_US);
    expect_served(&road, APP);
    purse_unref(&purse);
    road_end(&road);
}

/* In the words of the client's own dialect. */
static void test_in_another_dialect(void **state)
{
    struct road_answer answer;
    struct purse *purse;
    struct road road;
    int client;

    (void)state;
    road_begin(&road, budgets);
    purse = purse_of(&road, PURSE_CLIENT, "web");
    purse_set(purse, 0, ROAD_START_US + HOUR_US);
    client = road_connect(&road);
    road_post(&road, client, "/v1/messages",
              "x-api-key: web-key\r\nanthropic-version: 2023-06-01\r\n",
              "{\"model\":\"up/m\",\"max_tokens\":5,\"messages\":[]}");
    road_hear(&road, client, &answer);
    assert_int_equal(answer.status, 429);
    assert_non_null(strstr(road_body(&answer), "\"type\":\"rate_limit_error\""));
    assert_non_null(strstr(road_body(&answer), "The budget of this API key"));
    assert_string_equal(road_field(&answer, "retry-after"), "3600");
    road_answer_free(&answer);
    close(client);
    purse_unref(&purse);
    road_end(&road);
}

/* What is under way when it is spent ends, and is all by which it is passed. */
static void test_passed_by_what_is_under_way(void **state)
{
    int clients[3], upstreams[3];
    struct purse *purse;
    struct road road;

    (void)state;
    road_begin(&road, budgets);
    purse = purse_of(&road, PURSE_CLIENT, "web");
    purse_set(purse, COST, ROAD_START_US + HOUR_US);
    for (int i = 0; i < 3; i++) {
        clients[i] = ask(&road, WEB);
        upstreams[i] = road_attempt_with(&road, 'a', -1, "key-one");
    }
    serve(&road, clients[0], upstreams[0]);
    hear_refused(&road, ask(&road, WEB), "this API key", "3600");
    serve(&road, clients[1], upstreams[1]);
    serve(&road, clients[2], upstreams[2]);
    assert_int_equal(purse_spent(purse), 3 * COST);
    purse_unref(&purse);
    road_end(&road);
}

/* Who waits for a turn is not under way: he is told when his turn comes, and has used no limit. */
static void test_spent_while_one_waits(void **state)
{
    struct purse *purse;
    struct road road;
    int clients[3], upstream;

    (void)state;
    road_begin(&road, one_place);
    purse = purse_of(&road, PURSE_CLIENT, "tight");
    purse_set(purse, COST, ROAD_START_US + HOUR_US);
    clients[0] = ask(&road, TIGHT);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    /* It reserves 900 tokens of a thousand a minute. */
    clients[1] = ask_for(&road, TIGHT, "{\"model\":\"up/m\",\"messages\":[],\"max_tokens\":900}");
    clients[2] = ask(&road, FREE);
    serve(&road, clients[0], upstream);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    {
        struct road_answer answer;

        road_hear(&road, clients[1], &answer);
        assert_int_equal(answer.status, 429);
        assert_non_null(strstr(road_body(&answer), "The budget of this API key"));
        road_answer_free(&answer);
        close(clients[1]);
    }
    serve(&road, clients[2], upstream);
    purse_set(purse, 9 * COST, ROAD_START_US + HOUR_US);
    clients[1] = ask_for(&road, TIGHT, "{\"model\":\"up/m\",\"messages\":[],\"max_tokens\":900}");
    serve(&road, clients[1], road_attempt_with(&road, 'a', -1, "key-one"));
    purse_unref(&purse);
    road_end(&road);
}

/* A stream that its client cuts is spent as far as it was produced; one that failed first and was
 * then answered by another try is spent once. */
static void test_each_is_spent_once(void **state)
{
    struct purse *purse;
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road, budgets);
    purse = purse_of(&road, PURSE_CLIENT, "web");
    client = ask_for(&road, WEB, "{\"model\":\"up/m\",\"messages\":[],\"stream\":true}");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_stream_head(&road, upstream);
    road_stream(&road, upstream, road_chunk);
    close(client);
    road_pass_ms(&road, 1);
    close(upstream);
    assert_in_range(purse_spent(purse), 1, COST);
    purse_unref(&purse);
    road_end(&road);

    road_begin(&road, budgets);
    purse = purse_of(&road, PURSE_CLIENT, "web");
    client = ask(&road, WEB);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply(&road, upstream, 500, "", "{\"error\":{\"message\":\"x\"}}");
    road_pass_ms(&road, 2000);
    serve(&road, client, road_attempt_with(&road, 'a', upstream, "key-one"));
    assert_int_equal(purse_spent(purse), COST);
    purse_unref(&purse);
    road_end(&road);
}

#define PROMPT "{\"model\":\"up/m\",\"messages\":[{\"role\":\"user\",\"content\":\"hello there\"}]}"

/* Of an answer nobody waits for any more the provider bills the prompt at least: it is spent, where
 * the request was sent. */
static void test_who_leaves_early_has_spent(void **state)
{
    struct road_answer answer;
    struct purse *purse;
    struct road road;
    int client, upstream;
    uint64_t spent;
    char *log;

    (void)state;
    road_begin(&road, budgets);
    purse = purse_of(&road, PURSE_CLIENT, "web");
    client = ask_for(&road, WEB, PROMPT);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    close(client);
    road_pass_ms(&road, 1);
    close(upstream);
    spent = purse_spent(purse);
    assert_in_range(spent, 1000, 20000);
    log = road_log(&road);
    assert_non_null(strstr(log, "\"is_estimated\":true,\"cost_usd\":0.0000"));
    mem_free(log);
    /* The same of one that the deadline ends. */
    client = ask_for(&road, WEB, PROMPT);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_pass_ms(&road, 3600000);
    road_hear(&road, client, &answer);
    assert_int_equal(answer.status, 504);
    road_answer_free(&answer);
    close(client);
    close(upstream);
    assert_int_equal(purse_spent(purse), 2 * spent);
    purse_unref(&purse);
    road_end(&road);
}

/* A reload keeps what was spent; without the budget nobody is refused. */
static void test_reload(void **state)
{
    struct purse *purse;
    struct road road;

    (void)state;
    road_begin(&road, budgets);
    purse = purse_of(&road, PURSE_CLIENT, "web");
    purse_set(purse, COST, ROAD_START_US + HOUR_US);
    expect_served(&road, WEB);
    road_reload(&road, one_place);
    hear_refused(&road, ask(&road, WEB), "this API key", "3600");
    road_reload(&road, "providers: {up: {kind: compatible, base_url: '@a',\n"
                       "  health: {validate_new: false}, keys: [{name: one, secret: key-one}]}}\n"
                       "clients: {keys: [{name: web, secret: web-key}]}\n"
                       "names: {direct: true}\n");
    expect_served(&road, WEB);
    purse_unref(&purse);
    road_end(&road);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_until_the_period_ends),
        cmocka_unit_test(test_a_pool_is_of_all_its_clients),
        cmocka_unit_test(test_in_another_dialect),
        cmocka_unit_test(test_passed_by_what_is_under_way),
        cmocka_unit_test(test_spent_while_one_waits),
        cmocka_unit_test(test_each_is_spent_once),
        cmocka_unit_test(test_who_leaves_early_has_spent),
        cmocka_unit_test(test_reload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Standing in line for a key or a connection: who is next, and how long. */
#include "scene.h"

#include "base/alloc.h"

#include <stdlib.h>

/* One at a time, in the order of coming, each the moment that the one before it is done. */
static void test_in_line(void **state)
{
    struct road road;
    int clients[4], upstream = -1;

    (void)state;
    road_begin(&road, road_one_at_once);
    scene_chat_all(&road, clients, 4, 1);
    for (int i = 0; i < 4; i++) {
        upstream = road_attempt_with(&road, 'a', upstream, "key-one");
        assert_int_equal(road_try_accept(&road, 'a'), -1);
        road_pass_ms(&road, 1000);
        road_reply_ok(&road, upstream);
        road_expect(&road, clients[i], 200, road_ok);
    }
    assert_int_equal(road_now_ms(&road), 4 + 4000);
    scene_close_all(clients, 4);
    close(upstream);
    road_end(&road);
}

/* Whoever leaves the line does not hold up those behind. */
static void test_leaving_the_line(void **state)
{
    struct road road;
    int clients[4], upstream;

    (void)state;
    road_begin(&road, road_one_at_once);
    scene_chat_all(&road, clients, 4, 0);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    close(clients[1]);
    wire_settle(road.loop);
    /* The next leaves in the very turn in which its turn comes. */
    (void)!write(upstream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 41);
    close(clients[2]);
    wire_settle(road.loop);
    upstream = road_attempt_with(&road, 'a', upstream, "key-one");
    assert_int_equal(road_now_ms(&road), 0);
    road_reply_ok(&road, upstream);
    road_expect(&road, clients[3], 200, road_ok);
    close(clients[0]);
    close(clients[3]);
    close(upstream);
    road_end(&road);
}

static void test_line_is_too_long(void **state)
{
    struct road road;
    int clients[2], upstream;

    (void)state;
    road_begin(&road, road_one_at_once);
    scene_chat_all(&road, clients, 2, 0);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_pass_ms(&road, 4999);
    road_expect_silence(&road, clients[1]);
    road_pass_ms(&road, 2);
    road_expect_error(&road, clients[1], 429, "rate_limit_exceeded");
    road_reply_ok(&road, upstream);
    road_expect(&road, clients[0], 200, road_ok);
    scene_close_all(clients, 2);
    close(upstream);
    road_end(&road);
}

/* The same for connections. */
static void test_connections(void **state)
{
    struct road road;
    int clients[3], upstream;
    char *log;

    (void)state;
    road_begin(&road, road_one_connection);
    scene_chat_all(&road, clients, 3, 1);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    assert_int_equal(road_try_accept(&road, 'a'), -1);
    assert_int_equal(road_metric(&road, "bellwether_waiting_requests"), 2);
    road_pass_ms(&road, 1000);
    road_reply_ok(&road, upstream);
    road_expect(&road, clients[0], 200, road_ok);
    upstream = road_attempt_with(&road, 'a', upstream, "key-one");
    assert_int_equal(road_metric(&road, "bellwether_waiting_requests"), 1);
    road_pass_ms(&road, 3990);
    road_expect_silence(&road, clients[2]);
    road_pass_ms(&road, 20);
    road_expect_error(&road, clients[2], 503, "overloaded");
    /* A connection that ends instead of being given back makes room as well. */
    road_chat(&road, clients[0]);
    wire_say(road.loop, upstream,
             "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}");
    close(upstream);
    road_expect(&road, clients[1], 200, "{}");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply_ok(&road, upstream);
    road_expect(&road, clients[0], 200, road_ok);
    scene_close_all(clients, 3);
    close(upstream);
    wire_settle(road.loop);
    log = road_log(&road);
    assert_non_null(strstr(log, "\"waited_us\":1002000"));
    mem_free(log);
    road_end(&road);
}

/* Everybody may ask again, and the first few find that there is nothing: nobody else asks, all
 * stand where they stood, and no turn of the loop is held up. */
static void test_crowd(void **state)
{
    enum { CROWD = 100 };
    struct road road;
    struct waiting_room *room;
    int clients[CROWD];

    (void)state;
    road_begin(&road, "providers: {up: {kind: compatible, base_url: '@a',\n"
                      "  keys: [{name: one, secret: key-one}]}}\nclients: {open: true}\n");
    room = provider_waiting(road.snapshot->providers[0].provider);
    scene_chat_all(&road, clients, CROWD, 0);
    assert_int_equal(waiting_count(room), CROWD);
    exchange_host_follow(&road.host, road.snapshot->providers[0].provider,
                         (struct keypool_effect){.wakes = UINT32_MAX});
    assert_int_equal(waiting_count(room), CROWD - WAITING_FIRST);
    for (int i = 0; i < 5; i++)
        loop_turn(road.loop, 0);
    assert_int_equal(waiting_count(room), CROWD);
    assert_int_equal(road_now_ms(&road), 0);
    /* Who leaves between the grant and its turn takes nobody's place. */
    exchange_host_follow(&road.host, road.snapshot->providers[0].provider,
                         (struct keypool_effect){.wakes = UINT32_MAX});
    scene_close_all(clients, CROWD);
    wire_settle(road.loop);
    assert_int_equal(waiting_count(room), 0);
    road_end(&road);
}

static void ask_for(struct road *road, int client, const char *model)
{
    char body[96];

    snprintf(body, sizeof(body), "{\"model\":\"%s\",\"messages\":[]}", model);
    road_post(road, client, "/v1/chat/completions", "", body);
}

/* A key that comes free is of no use to the first in line, whose model it does not serve: the one
 * behind it has it in the same moment. */
static void test_who_has_a_use_for_it(void **state)
{
    static const char *const models[] = {"m1", "m2", "m1", "m1", "m2"};
    struct road road;
    int clients[5], one, two;

    (void)state;
    road_begin(&road,
               "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
               "  keys: [{name: one, secret: key-one, models: [m1], limits: {concurrent: 1}},\n"
               "         {name: two, secret: key-two, models: [m2], limits: {concurrent: 1}}]}}\n"
               "clients: {open: true}\n");
    for (int i = 0; i < 5; i++) {
        clients[i] = road_connect(&road);
        ask_for(&road, clients[i], models[i]);
    }
    one = road_attempt_with(&road, 'a', -1, "key-one");
    two = road_attempt_with(&road, 'a', -1, "key-two");
    road_pass_ms(&road, 250);
    road_reply_ok(&road, two);
    road_expect(&road, clients[1], 200, road_ok);
    two = road_attempt_with(&road, 'a', two, "key-two");
    assert_int_equal(road_now_ms(&road), 250);
    assert_int_equal(road_metric(&road, "bellwether_waiting_requests"), 2);
    road_reply_ok(&road, two);
    road_expect(&road, clients[4], 200, road_ok);
    for (int i = 0; i < 4; i += i ? 1 : 2) {
        road_reply_ok(&road, one);
        road_expect(&road, clients[i], 200, road_ok);
        if (i < 3)
            one = road_attempt_with(&road, 'a', one, "key-one");
    }
    assert_int_equal(road_now_ms(&road), 250);
    scene_close_all(clients, 5);
    close(one);
    close(two);
    road_end(&road);
}

static const char three_a_minute[] =
    "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
    "  keys: [{name: one, secret: key-one, limits: {rpm: 3}}]}}\n"
    "clients: {keys: [{name: vip, secret: v, class: critical}, {name: night, secret: n,\n"
    "  class: batch}]}\n";

static const char sixty_a_minute[] =
    "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
    "  keys: [{name: one, secret: key-one, limits: {rpm: 60}}]}}\n"
    "clients: {open: true}\n";

static int come(struct road *road, const char *secret)
{
    int client = road_connect(road);
    char line[64];

    snprintf(line, sizeof(line), "Authorization: Bearer %s\r\n", secret);
    road_post(road, client, "/v1/chat/completions", line, "{\"model\":\"up/m\",\"messages\":[]}");
    return client;
}

/* Refused for its rate: returns when it is told to come back. */
static uint64_t retry_ms(struct road *road, int client)
{
    struct road_answer answer;
    uint64_t ms;

    road_hear(road, client, &answer);
    assert_int_equal(answer.status, 429);
    ms = strtoull(road_field(&answer, "retry-after-ms"), NULL, 10);
    road_answer_free(&answer);
    close(client);
    return ms;
}

static int serve_next(struct road *road, int upstream)
{
    upstream = road_attempt_with(road, 'a', upstream, "key-one");
    road_reply_ok(road, upstream);
    return upstream;
}

/* A limit comes back at once, and more wait for it than it lets through: critical first, then the
 * oldest of batch, though all wait for the same moment. Who cannot be among them is told at once,
 * and so is when it could. */
static void test_a_limit_comes_back(void **state)
{
    struct road road;
    int vip, nights[4], upstream = -1;
    uint64_t back_ms;

    (void)state;
    road_begin(&road, three_a_minute);
    for (int i = 0; i < 3; i++) {
        int client = come(&road, "n");

        upstream = serve_next(&road, upstream);
        road_expect(&road, client, 200, road_ok);
        close(client);
    }
    back_ms = retry_ms(&road, come(&road, "n"));
    assert_in_range(back_ms, 60000, 62000);
    road_pass_ms(&road, back_ms - 4000);
    for (int i = 0; i < 3; i++)
        nights[i] = come(&road, "n");
    vip = come(&road, "v");
    nights[3] = come(&road, "n");
    assert_in_range(retry_ms(&road, nights[3]), 65000, 66001);
    road_pass_ms(&road, 3990);
    road_expect_silence(&road, vip);
    road_pass_ms(&road, 20);
    upstream = serve_next(&road, upstream);
    road_expect(&road, vip, 200, road_ok);
    for (int i = 0; i < 2; i++) {
        upstream = serve_next(&road, upstream);
        road_expect(&road, nights[i], 200, road_ok);
    }
    road_expect_no_attempt(&road, 'a', upstream);
    assert_in_range(retry_ms(&road, nights[2]), 60000, 62000);
    close(vip);
    scene_close_all(nights, 2);
    close(upstream);
    road_end(&road);
}

/* One a second comes back, and thirty come at once: five can have theirs within retry.wait, and
 * have it; the others are not kept waiting for what they will not get. */
static void test_told_at_once(void **state)
{
    enum { CROWD = 30 };
    struct road road;
    int clients[CROWD], upstream = -1;

    (void)state;
    road_begin(&road, sixty_a_minute);
    for (int i = 0; i < 60; i++) {
        scene_chat_all(&road, clients, 1, 0);
        upstream = serve_next(&road, upstream);
        road_expect(&road, clients[0], 200, road_ok);
        close(clients[0]);
        road_pass_ms(&road, 1000);
    }
    /* The first of them has come back, and the next does in half a second. */
    road_pass_ms(&road, 2500);
    scene_chat_all(&road, clients, CROWD, 0);
    upstream = serve_next(&road, upstream);
    road_expect(&road, clients[0], 200, road_ok);
    assert_int_equal(road_metric(&road, "bellwether_waiting_requests"), 5);
    for (int i = 6; i < CROWD; i++)
        assert_in_range(retry_ms(&road, clients[i]), 5490, 5501);
    for (int i = 1; i < 6; i++) {
        road_pass_ms(&road, i == 1 ? 510 : 1000);
        upstream = serve_next(&road, upstream);
        road_expect(&road, clients[i], 200, road_ok);
    }
    scene_close_all(clients, 6);
    close(upstream);
    road_end(&road);
}

/* As many wait as may: one more is told so, and the line goes on. */
static void test_a_full_room(void **state)
{
    const struct waiting_ticket ticket = {.id = UINT64_MAX, .need = 1};
    static waiting_place places[PROVIDER_MAX_WAITING];
    struct waiting_room *room;
    struct waiting_ticket left;
    struct road road;
    struct road_answer answer;
    int clients[2], upstream;

    (void)state;
    road_begin(&road, road_one_at_once);
    room = provider_waiting(road.snapshot->providers[0].provider);
    scene_chat_all(&road, clients, 1, 0);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    for (int i = 0; i < PROVIDER_MAX_WAITING; i++)
        assert_int_equal(waiting_enter(room, ticket, &places[i]), 0);
    scene_chat_all(&road, clients + 1, 1, 0);
    road_hear(&road, clients[1], &answer);
    assert_int_equal(answer.status, 503);
    assert_non_null(strstr(road_body(&answer), "100000 requests wait for a key of the provider"));
    assert_non_null(road_field(&answer, "retry-after"));
    road_answer_free(&answer);
    for (int i = 0; i < PROVIDER_MAX_WAITING; i++)
        assert_true(waiting_leave(room, &places[i], &left));
    road_reply_ok(&road, upstream);
    road_expect(&road, clients[0], 200, road_ok);
    scene_close_all(clients, 2);
    close(upstream);
    road_end(&road);
}

/* The total time-out covers the waits, to the moment: whoever waits for a place looks again only
 * every 100 ms. */
static void test_total_while_waiting(void **state)
{
    struct road road;
    struct road_answer answer;
    int clients[2], upstream;
    char *log;

    (void)state;
    road_begin(&road,
               "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
               "  timeouts: {total: 1950ms},\n"
               "  keys: [{name: one, secret: key-one, limits: {concurrent: 1}}]}}\n"
               "clients: {open: true}\nretry: {wait: 60s}\n");
    for (int i = 0; i < 2; i++) {
        clients[i] = road_connect(&road);
        road_chat_stream(&road, clients[i]);
    }
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    /* A running stream has no end of time. */
    road_stream_head(&road, upstream);
    road_stream(&road, upstream, road_chunk);
    road_pass_ms(&road, 1949);
    road_expect_silence(&road, clients[1]);
    road_pass_ms(&road, 2);
    road_expect_error(&road, clients[1], 504, "timeout");
    road_stream(&road, upstream, road_done);
    road_stream_end(&road, upstream);
    road_hear(&road, clients[0], &answer);
    assert_true(answer.is_whole);
    assert_non_null(strstr(road_body(&answer), road_done));
    road_answer_free(&answer);
    scene_close_all(clients, 2);
    close(upstream);
    wire_settle(road.loop);
    assert_int_equal(road_metric(&road, "bellwether_requests_cancelled_total{by=\"deadline\"}"), 1);
    log = road_log(&road);
    assert_non_null(strstr(log, "\"cancelled_by\":\"deadline\""));
    mem_free(log);
    road_end(&road);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_line),
        cmocka_unit_test(test_leaving_the_line),
        cmocka_unit_test(test_line_is_too_long),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_who_has_a_use_for_it),
        cmocka_unit_test(test_a_limit_comes_back),
        cmocka_unit_test(test_told_at_once),
        cmocka_unit_test(test_a_full_room),
        cmocka_unit_test(test_total_while_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Waiting: for a key, for a connection, for an endpoint that refuses; how long, and who is next. */
#include "road.h"

#include <stdlib.h>

#include "base/alloc.h"

static const char one_at_once[] =
    "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
    "  keys: [{name: one, secret: key-one, limits: {concurrent: 1}}]}}\n"
    "clients: {open: true}\n";

static const char one_connection[] =
    "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
    "  connections: {max: 1}, keys: [{name: one, secret: key-one}]}}\n"
    "clients: {open: true}\n";

/* Refused with so many milliseconds to wait, and the same in whole seconds; what the pool adds to
 * be on the safe side is no further second. */
static void expect_refusal(struct road *road, int client, int status, const char *code, uint64_t ms)
{
    struct road_answer answer;
    char member[64];

    road_hear(road, client, &answer);
    snprintf(member, sizeof(member), "\"code\":\"%s\"", code);
    if (answer.status != status || !strstr(road_body(&answer), member))
        print_message("%s%s\n", answer.head, road_body(&answer));
    assert_int_equal(answer.status, status);
    assert_non_null(strstr(road_body(&answer), member));
    assert_int_equal(strtoull(road_field(&answer, "retry-after"), NULL, 10), (ms + 999) / 1000);
    assert_in_range(strtoull(road_field(&answer, "retry-after-ms"), NULL, 10), ms, ms + 2);
    road_answer_free(&answer);
}

/* The only key is limited for less than retry.wait: the exchange waits, and not a moment longer. */
static void test_limited_for_a_while(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply(&road, upstream, 429, "Retry-After: 3\r\n", "{}");
    road_pass_ms(&road, 2999);
    road_expect_no_attempt(&road, 'a', upstream);
    assert_int_equal(road_metric(&road, "bellwether_waiting_requests"), 1);
    road_pass_ms(&road, 2);
    upstream = road_attempt_with(&road, 'a', upstream, "key-one");
    assert_int_equal(road_metric(&road, "bellwether_waiting_requests"), 0);
    road_reply_ok(&road, upstream);
    road_expect(&road, client, 200, road_ok);
    close(upstream);
    close(client);
    road_end(&road);
}

/* A second 429 does not start the wait anew. */
static void test_limited_again(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply(&road, upstream, 429, "retry-after-ms: 3000\r\n", "{}");
    road_pass_ms(&road, 3001);
    upstream = road_attempt_with(&road, 'a', upstream, "key-one");
    road_reply(&road, upstream, 429, "retry-after-ms: 3000\r\n", "{}");
    expect_refusal(&road, client, 429, "rate_limit_exceeded", 3000);
    close(upstream);
    close(client);
    road_end(&road);
}

/* Too far off: refused at once, with the time as it is; and so is the next, without an attempt. */
static void test_limited_for_long(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply(&road, upstream, 429, "Retry-After: 20\r\n", "{}");
    expect_refusal(&road, client, 429, "rate_limit_exceeded", 20000);
    road_pass_ms(&road, 7500);
    road_chat(&road, client);
    expect_refusal(&road, client, 429, "rate_limit_exceeded", 12500);
    road_expect_no_attempt(&road, 'a', upstream);
    /* What the key may not do for one model it may for another. */
    road_post(&road, client, "/v1/chat/completions", "", "{\"model\":\"up/n\",\"messages\":[]}");
    upstream = road_attempt_with(&road, 'a', upstream, "key-one");
    road_reply_ok(&road, upstream);
    road_expect(&road, client, 200, road_ok);
    close(upstream);
    close(client);
    road_end(&road);
}

static void test_depleted(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply(&road, upstream, 402, "", "{}");
    expect_refusal(&road, client, 503, "upstream_depleted", 600000);
    close(client);
    road_pass_ms(&road, 100000);
    client = road_connect(&road);
    road_chat(&road, client);
    expect_refusal(&road, client, 503, "upstream_depleted", 500000);
    close(client);
    road_pass_ms(&road, 500001);
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', upstream, "key-one");
    road_reply_ok(&road, upstream);
    road_expect(&road, client, 200, road_ok);
    close(upstream);
    close(client);
    road_end(&road);
}

/* A Retry-After of the last answer is kept to the millisecond where the same key is all there is.
 */
static void test_retry_after_of_a_5xx(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply(&road, upstream, 503, "Retry-After: 30\r\n", "{}");
    road_pass_ms(&road, 29999);
    road_expect_no_attempt(&road, 'a', upstream);
    road_pass_ms(&road, 2);
    upstream = road_attempt_with(&road, 'a', upstream, "key-one");
    /* One beyond retry.max_delay is not waited for, and told. */
    road_reply(&road, upstream, 503, "Retry-After: 90\r\n", "{\"error\":{\"code\":\"busy\"}}");
    expect_refusal(&road, client, 503, "busy", 90000);
    close(upstream);
    close(client);
    road_end(&road);
}

/* Full jitter below 100 ms, then below 200 ms. */
static void test_backoff(void **state)
{
    struct road road;
    int client, upstream = -1;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    for (int i = 0; i < 5; i++) {
        uint64_t begun_ms = road_now_ms(&road);

        road_chat(&road, client);
        upstream = road_attempt_with(&road, 'a', upstream, "key-one");
        road_reply(&road, upstream, 409, "", "{}");
        road_pass_ms(&road, 100);
        upstream = road_attempt_with(&road, 'a', upstream, "key-one");
        road_reply(&road, upstream, 409, "", "{}");
        road_pass_ms(&road, 200);
        upstream = road_attempt_with(&road, 'a', upstream, "key-one");
        road_reply(&road, upstream, 409, "", "{}");
        road_expect(&road, client, 409, "{}");
        assert_int_equal(road_now_ms(&road) - begun_ms, 300);
        road_pass_ms(&road, 20000);
    }
    close(upstream);
    close(client);
    road_end(&road);
}

/* A lock or a replay guard is there for the other key as well: nothing is tried before its time,
 * and no key is passed over for it. */
static void test_conflict(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road, "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
                      "  health: {validate_new: false},\n"
                      "  keys: [{name: one, secret: key-one}, {name: two, secret: key-two}]}}\n"
                      "clients: {open: true}\n");
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply(&road, upstream, 409, "retry-after-ms: 700\r\n", "{}");
    road_pass_ms(&road, 699);
    road_expect_no_attempt(&road, 'a', upstream);
    road_pass_ms(&road, 2);
    upstream = road_attempt_with(&road, 'a', upstream, "key-one");
    road_reply(&road, upstream, 409, "", "{}");
    road_pass_ms(&road, 200);
    upstream = road_attempt_with(&road, 'a', upstream, "key-one");
    road_reply_ok(&road, upstream);
    road_expect(&road, client, 200, road_ok);
    close(upstream);
    close(client);
    road_end(&road);
}

/* --- places --- */

/* One at a time, in the order of coming, each the moment that the one before it is done. */
static void test_in_line(void **state)
{
    struct road road;
    int clients[4], upstream = -1;

    (void)state;
    road_begin(&road, one_at_once);
    for (int i = 0; i < 4; i++) {
        clients[i] = road_connect(&road);
        road_chat(&road, clients[i]);
        road_pass_ms(&road, 1);
    }
    for (int i = 0; i < 4; i++) {
        upstream = road_attempt_with(&road, 'a', upstream, "key-one");
        assert_int_equal(road_try_accept(&road, 'a'), -1);
        road_pass_ms(&road, 1000);
        road_reply_ok(&road, upstream);
        road_expect(&road, clients[i], 200, road_ok);
    }
    assert_int_equal(road_now_ms(&road), 4 + 4000);
    for (int i = 0; i < 4; i++)
        close(clients[i]);
    close(upstream);
    road_end(&road);
}

/* Whoever leaves the line does not hold up those behind. */
static void test_leaving_the_line(void **state)
{
    struct road road;
    int clients[4], upstream;

    (void)state;
    road_begin(&road, one_at_once);
    for (int i = 0; i < 4; i++) {
        clients[i] = road_connect(&road);
        road_chat(&road, clients[i]);
    }
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
    road_begin(&road, one_at_once);
    for (int i = 0; i < 2; i++) {
        clients[i] = road_connect(&road);
        road_chat(&road, clients[i]);
    }
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_pass_ms(&road, 4999);
    road_expect_silence(&road, clients[1]);
    road_pass_ms(&road, 2);
    road_expect_error(&road, clients[1], 429, "rate_limit_exceeded");
    road_reply_ok(&road, upstream);
    road_expect(&road, clients[0], 200, road_ok);
    for (int i = 0; i < 2; i++)
        close(clients[i]);
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
    road_begin(&road, one_connection);
    for (int i = 0; i < 3; i++) {
        clients[i] = road_connect(&road);
        road_chat(&road, clients[i]);
        road_pass_ms(&road, 1);
    }
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
    for (int i = 0; i < 3; i++)
        close(clients[i]);
    close(upstream);
    wire_settle(road.loop);
    log = road_log(&road);
    assert_non_null(strstr(log, "\"waited_us\":1002000"));
    mem_free(log);
    road_end(&road);
}

/* --- an endpoint that refuses --- */

/* One connect is tried every 100 ms; the attempts are not used up by it. */
static void test_refused_then_back(void **state)
{
    struct road road;
    int clients[3], upstreams[3];

    (void)state;
    road_begin(&road, road_one_key);
    road_unlisten(&road, 'a');
    for (int i = 0; i < 3; i++) {
        clients[i] = road_connect(&road);
        road_chat(&road, clients[i]);
    }
    road_pass_ms(&road, 3050);
    for (int i = 0; i < 3; i++)
        road_expect_silence(&road, clients[i]);
    assert_in_range(
        road_metric(&road, "bellwether_attempts_total{provider=\"up\",outcome=\"connect_failed\"}"),
        29, 35);
    road_listen(&road, 'a');
    road_pass_ms(&road, 150);
    for (int i = 0; i < 3; i++)
        upstreams[i] = road_attempt_with(&road, 'a', -1, "key-one");
    /* All of retry.attempts is left. */
    road_reply(&road, upstreams[0], 500, "", "{}");
    road_pass_ms(&road, 100);
    upstreams[0] = road_attempt_with(&road, 'a', upstreams[0], "key-one");
    road_reply(&road, upstreams[0], 500, "", "{}");
    road_pass_ms(&road, 200);
    upstreams[0] = road_attempt_with(&road, 'a', upstreams[0], "key-one");
    for (int i = 0; i < 3; i++)
        road_reply_ok(&road, upstreams[i]);
    for (int i = 0; i < 3; i++) {
        road_expect(&road, clients[i], 200, road_ok);
        close(clients[i]);
        close(upstreams[i]);
    }
    road_end(&road);
}

static void test_refused_for_good(void **state)
{
    struct road road;
    int client;

    (void)state;
    road_begin(&road, road_one_key);
    road_unlisten(&road, 'a');
    client = road_connect(&road);
    road_chat(&road, client);
    road_pass_ms(&road, 4900);
    road_expect_silence(&road, client);
    road_pass_ms(&road, 200);
    road_expect_error(&road, client, 503, "upstream_open");
    close(client);
    road_end(&road);
}

/* --- validation at start --- */

static void test_new_key(void **state)
{
    struct road road;
    struct provider *provider;
    struct keypool_effect effect;
    struct key *key;
    uint64_t next_us;
    int client, upstream;

    (void)state;
    road_begin(&road, "providers: {up: {kind: compatible, base_url: '@a',\n"
                      "  keys: [{name: one, secret: key-one}]}}\nclients: {open: true}\n");
    provider = road.snapshot->providers[0].provider;
    client = road_connect(&road);
    road_chat(&road, client);
    road_pass_ms(&road, 700);
    road_expect_no_attempt(&road, 'a', -1);
    key = keypool_probe_take(provider_keys(provider), loop_now_us(road.loop), &next_us);
    assert_non_null(key);
    effect = keypool_probe_end(provider_keys(provider), &key, PROBE_KNOWN, loop_now_us(road.loop));
    exchange_host_follow(&road.host, provider, effect);
    /* Told at once. */
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    assert_int_equal(road_now_ms(&road), 700);
    road_reply_ok(&road, upstream);
    road_expect(&road, client, 200, road_ok);
    close(upstream);
    close(client);
    road_end(&road);
}

/* The total time-out covers the waits. */
static void test_total_while_waiting(void **state)
{
    struct road road;
    int clients[2], upstream;
    char *log;

    (void)state;
    road_begin(&road,
               "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
               "  timeouts: {total: 2s},\n"
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
    road_pass_ms(&road, 1999);
    road_expect_silence(&road, clients[1]);
    road_pass_ms(&road, 2);
    road_expect_error(&road, clients[1], 504, "timeout");
    road_stream(&road, upstream, road_done);
    road_stream_end(&road, upstream);
    road_expect(&road, clients[0], 200, NULL);
    for (int i = 0; i < 2; i++)
        close(clients[i]);
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
        cmocka_unit_test(test_limited_for_a_while),
        cmocka_unit_test(test_limited_again),
        cmocka_unit_test(test_limited_for_long),
        cmocka_unit_test(test_depleted),
        cmocka_unit_test(test_retry_after_of_a_5xx),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_conflict),
        cmocka_unit_test(test_in_line),
        cmocka_unit_test(test_leaving_the_line),
        cmocka_unit_test(test_line_is_too_long),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_refused_then_back),
        cmocka_unit_test(test_refused_for_good),
        cmocka_unit_test(test_new_key),
        cmocka_unit_test(test_total_while_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What the limits of keys hold of attempts that were not sent, or used less than was reserved. */
#include "scene.h"

#define UP(limits)                                                                                 \
    "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"          \
    "  keys: [{name: one, secret: key-one, limits: {" limits "}}]}}\n"                             \
    "clients: {open: true}\n"

/* A connect every 100 ms for eight seconds, and nobody heard anything: none of it counts. */
static void test_an_endpoint_that_refuses_uses_no_limit(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road, UP("rpm: 60, tpm: 10000"));
    road_unlisten(&road, 'a');
    client = road_connect(&road);
    road_chat(&road, client);
    road_pass_ms(&road, 5100);
    road_expect_error(&road, client, 503, "upstream_open");
    close(client);
    client = road_connect(&road);
    road_chat(&road, client);
    road_pass_ms(&road, 3000);
    assert_true(road_metric(&road, "bellwether_attempts_total{provider=\"up\","
                                   "outcome=\"connect_failed\"}") > 70);
    road_listen(&road, 'a');
    road_pass_ms(&road, 150);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply_ok(&road, upstream);
    road_expect(&road, client, 200, road_ok);
    close(upstream);
    close(client);
    road_end(&road);
}

/* Of the two requests a minute one went to a client that left before it had a connection. */
static void test_a_client_that_leaves_in_line_uses_no_limit(void **state)
{
    struct road road;
    int first, second, upstream;

    (void)state;
    road_begin(&road,
               "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
               "  connections: {max: 1}, keys: [{name: one, secret: key-one, limits: {rpm: 2}}]}}\n"
               "clients: {open: true}\n");
    first = road_connect(&road);
    road_chat(&road, first);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    second = road_connect(&road);
    road_chat(&road, second);
    road_pass_ms(&road, 500);
    close(second);
    road_pass_ms(&road, 500);
    road_reply_ok(&road, upstream);
    road_expect(&road, first, 200, road_ok);
    road_chat(&road, first);
    upstream = road_attempt_with(&road, 'a', upstream, "key-one");
    road_reply_ok(&road, upstream);
    road_expect(&road, first, 200, road_ok);
    close(upstream);
    close(first);
    road_end(&road);
}

static void ask_for(struct road *road, int client, const char *tokens)
{
    char body[200];

    snprintf(body, sizeof(body),
             "{\"model\":\"m\",\"max_tokens\":%s,"
             "\"messages\":[{\"role\":\"user\",\"content\":\"Tell me of it.\"}]}",
             tokens);
    road_post(road, client, "/v1/chat/completions", "", body);
}

static void ask(struct road *road, int client)
{
    ask_for(road, client, "5000");
}

static const char counted[] =
    "{\"id\":\"c1\",\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":[{\"index\":0,"
    "\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"finish_reason\":\"stop\"}],"
    "\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":100,\"total_tokens\":200}}";

/* The second of two large ones waits for what the first has reserved, and goes when it is back, not
 * at the next look. */
static void wait_for_tokens(const char *yaml)
{
    struct road road;
    int clients[2], upstream;

    road_begin(&road, yaml);
    for (int i = 0; i < 2; i++)
        clients[i] = road_connect(&road);
    ask(&road, clients[0]);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_pass_ms(&road, 90);
    ask(&road, clients[1]);
    road_pass_ms(&road, 1040);
    road_expect_no_attempt(&road, 'a', -1);
    assert_int_equal(road_metric(&road, "bellwether_waiting_requests"), 1);
    road_reply(&road, upstream, 200, "", counted);
    road_expect(&road, clients[0], 200, counted);
    assert_int_equal(road_now_ms(&road), 1130);
    road_attempt_with(&road, 'a', upstream, "key-one");
    assert_int_equal(road_now_ms(&road), 1130);
    road_reply(&road, upstream, 200, "", counted);
    road_expect(&road, clients[1], 200, counted);
    close(upstream);
    for (int i = 0; i < 2; i++)
        close(clients[i]);
    road_end(&road);
}

static void test_reserved_tokens_are_waited_for(void **state)
{
    (void)state;
    wait_for_tokens(UP("tpm: 6000"));
    wait_for_tokens(UP("tpm: 6000") "retry: {wait: 2m}\n");
}

/* What is too little for those in front is enough for one behind them. */
static void test_a_small_one_is_not_behind_large_ones(void **state)
{
    enum { LARGE = 24 };
    static const char used_most[] =
        "{\"id\":\"c1\",\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":[{\"index\":0,"
        "\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":9000,\"total_tokens\":9100}}";
    struct road road;
    int first, large[LARGE], small, upstream;
    uint64_t before_ms;

    (void)state;
    road_begin(&road, UP("tpm: 10000") "retry: {wait: 2m}\n");
    first = road_connect(&road);
    ask_for(&road, first, "9950");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    for (int i = 0; i < LARGE; i++) {
        large[i] = road_connect(&road);
        ask(&road, large[i]);
        road_pass_ms(&road, 10);
    }
    small = road_connect(&road);
    ask_for(&road, small, "200");
    road_pass_ms(&road, 1000);
    before_ms = road_now_ms(&road);
    road_reply(&road, upstream, 200, "", used_most);
    road_expect(&road, first, 200, used_most);
    upstream = road_attempt_with(&road, 'a', upstream, "key-one");
    assert_true(road_now_ms(&road) < before_ms + 200);
    road_reply(&road, upstream, 200, "", counted);
    road_expect(&road, small, 200, counted);
    close(upstream);
    close(first);
    close(small);
    scene_close_all(large, LARGE);
    road_end(&road);
}

/* No key is free for it: its client, its model and its class have the tokens back. */
static void expect_given_back(const char *limits)
{
    char yaml[700];
    struct road road;
    int client, other, upstream;

    snprintf(yaml, sizeof(yaml),
             "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
             "  keys: [{name: one, secret: key-one, limits: {concurrent: 1}}]}}\n"
             "retry: {wait: 1s}\n%s",
             limits);
    road_begin(&road, yaml);
    other = road_connect(&road);
    road_post(&road, other, "/v1/chat/completions",
              "Authorization: Bearer other\r\nX-Priority: batch\r\n",
              "{\"model\":\"n\",\"messages\":[]}");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    for (int i = 0; i < 3; i++) {
        client = road_connect(&road);
        ask_for(&road, client, "5900");
        road_pass_ms(&road, 1000);
        road_expect_error(&road, client, 429, "rate_limit_exceeded");
        close(client);
    }
    road_reply_ok(&road, upstream);
    road_expect(&road, other, 200, road_ok);
    client = road_connect(&road);
    ask_for(&road, client, "5900");
    upstream = road_attempt_with(&road, 'a', upstream, "key-one");
    road_reply_ok(&road, upstream);
    road_expect(&road, client, 200, road_ok);
    close(upstream);
    close(client);
    close(other);
    road_end(&road);
}

static void test_what_never_left_uses_no_tokens(void **state)
{
    (void)state;
    expect_given_back("clients: {open: true, keys: [{name: other, secret: other}]}\n"
                      "classes: {standard: {queue: 0, limits: {tpm: 6000}}}\n");
    expect_given_back("clients: {open: true, keys: [{name: other, secret: other}]}\n"
                      "models: {m: {targets: [up/m], limits: {tpm: 6000}}, n: up/n}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_endpoint_that_refuses_uses_no_limit),
        cmocka_unit_test(test_a_client_that_leaves_in_line_uses_no_limit),
        cmocka_unit_test(test_reserved_tokens_are_waited_for),
        cmocka_unit_test(test_a_small_one_is_not_behind_large_ones),
        cmocka_unit_test(test_what_never_left_uses_no_tokens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

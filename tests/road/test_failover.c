/* What follows when an attempt fails before the commit: another key, the same later, another
 * target, or the client's answer. */
#include "road.h"

#include "base/alloc.h"

static const char two_keys[] =
    "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
    "  health: {validate_new: false},\n"
    "  keys: [{name: one, secret: key-one}, {name: two, secret: key-two}]}}\n"
    "clients: {open: true}\n";

/* A way to fail, and what follows. */
struct failing {
    const char *name;
    int status; /* 0: `body` is sent as it is, and the connection closed behind it */
    const char *lines, *body;
    const char *outcome;  /* as /metrics calls it */
    unsigned tries_alone; /* on one key, with the default settings, if it fails each time */
    int answer;           /* then the client gets this status */
    const char *code;     /* and code; NULL: the provider's own answer */
    const char *next_key; /* with two keys: who is asked next, the same one after a while;
                             NULL: nobody */
};

static const struct failing failings[] = {
    {"invalid key", 401, "", "{\"error\":{\"message\":\"no\",\"code\":\"invalid_api_key\"}}",
     "invalid_key", 1, 502, "upstream_auth", "key-two"},
    {"forbidden key", 403, "", "{\"error\":{\"message\":\"Your account is not active.\"}}",
     "key_forbidden", 1, 502, "upstream_auth", "key-two"},
    {"no credit", 402, "", "{\"error\":{\"message\":\"Insufficient Balance\"}}", "depleted", 1, 503,
     "upstream_depleted", "key-two"},
    {"no quota", 429, "", "{\"error\":{\"message\":\"quota\",\"code\":\"insufficient_quota\"}}",
     "depleted", 1, 503, "upstream_depleted", "key-two"},
    {"rate limit", 429, "Retry-After: 20\r\n",
     "{\"error\":{\"message\":\"slow down\",\"code\":\"rate_limit_exceeded\"}}", "rate_limited", 1,
     429, "rate_limit_exceeded", "key-two"},
    {"no such model", 404, "", "{\"error\":{\"message\":\"no\",\"code\":\"model_not_found\"}}",
     "model_missing", 1, 404, NULL, "key-two"},
    {"server error", 500, "", "{\"error\":{\"message\":\"oops\"}}", "server_error", 3, 500, NULL,
     "key-two"},
    {"bad gateway", 502, "", "{\"error\":{\"message\":\"oops\"}}", "server_error", 3, 502, NULL,
     "key-two"},
    {"overloaded", 503, "", "{\"error\":{\"message\":\"busy\"}}", "overloaded", 3, 503, NULL,
     "key-two"},
    {"error in a 200", 200, "", "{\"error\":{\"message\":\"broken\"}}", "error_in_success", 3, 502,
     "upstream_failed", "key-two"},
    {"overload in a 200", 200, "", "{\"error\":{\"message\":\"x\",\"type\":\"overloaded_error\"}}",
     "overloaded_in_success", 3, 503, "overloaded", "key-two"},
    {"bad key in a 200", 200, "", "{\"error\":{\"message\":\"x\",\"code\":\"invalid_api_key\"}}",
     "invalid_key", 1, 502, "upstream_auth", "key-two"},
    {"no JSON in a 200", 200, "", "<html>hello</html>", "garbage", 3, 502, "upstream_failed",
     "key-two"},
    {"half a JSON in a 200", 200, "", "{\"id\":", "garbage", 3, 502, "upstream_failed", "key-two"},
    {"redirect", 302, "Location: https://elsewhere.example/\r\n", "", "redirected", 3, 502,
     "upstream_failed", "key-two"},
    {"answered time-out", 408, "", "{\"error\":{\"message\":\"late\"}}", "answered_timeout", 2, 504,
     "timeout", "key-two"},
    {"conflict", 409, "", "{\"error\":{\"message\":\"locked\"}}", "conflict", 3, 409, NULL,
     "key-one"},
    {"bad request", 400, "", "{\"error\":{\"message\":\"Unknown parameter: x\"}}", "bad_request", 1,
     400, NULL, NULL},
    {"too large", 413, "", "{\"error\":{\"message\":\"big\"}}", "bad_request", 1, 413, NULL, NULL},
    {"unprocessable", 422, "", "{\"error\":{\"message\":\"no\"}}", "bad_request", 1, 422, NULL,
     NULL},
    {"no such thing", 404, "", "{\"detail\":\"Not Found\"}", "bad_request", 1, 404, NULL, NULL},
    {"no HTTP", 0, "", "SSH-2.0-OpenSSH_9.2\r\n", "garbage", 3, 502, "upstream_failed", "key-two"},
    {"closed", 0, "", "", "reset", 3, 502, "upstream_failed", "key-two"},
    {"cut in the head", 0, "", "HTTP/1.1 200 OK\r\nConte", "cut", 3, 502, "upstream_failed",
     "key-two"},
    {"cut in the body", 0, "", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":", "cut", 3,
     502, "upstream_failed", "key-two"},
    {"bad chunk", 0, "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "garbage",
     3, 502, "upstream_failed", "key-two"},
};

enum { FAILINGS = sizeof(failings) / sizeof(failings[0]) };

/* Lets the attempt fail; the connection that is left, or -1. */
static int fail_attempt(struct road *road, int upstream, const struct failing *row)
{
    if (row->status) {
        road_reply(road, upstream, row->status, row->lines, row->body);
        return upstream;
    }
    wire_say(road->loop, upstream, row->body);
    close(upstream);
    wire_settle(road->loop);
    return -1;
}

static void play_alone(const struct failing *row)
{
    struct road road;
    int client, upstream = -1;

    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat(&road, client);
    for (unsigned i = 0; i < row->tries_alone; i++) {
        upstream = road_attempt_with(&road, 'a', upstream, "key-one");
        upstream = fail_attempt(&road, upstream, row);
        road_pass_ms(&road, 1000);
    }
    road_expect_no_attempt(&road, 'a', upstream);
    if (row->code)
        road_expect_error(&road, client, row->answer, row->code);
    else
        road_expect(&road, client, row->answer, row->body);
    assert_int_equal(road_attempts(&road, row->outcome), row->tries_alone);
    if (upstream >= 0)
        close(upstream);
    close(client);
    road_end(&road);
}

static void test_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < FAILINGS; i++) {
        print_message("           %s\n", failings[i].name);
        play_alone(&failings[i]);
    }
}

static void play_with_another(const struct failing *row)
{
    bool is_same_key = row->next_key && strcmp(row->next_key, "key-one") == 0;
    struct road road;
    struct road_answer answer;
    int client, upstream;

    road_begin(&road, two_keys);
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    upstream = fail_attempt(&road, upstream, row);
    if (is_same_key) {
        road_expect_no_attempt(&road, 'a', upstream);
        road_pass_ms(&road, 150);
    }
    if (row->next_key) {
        upstream = road_attempt_with(&road, 'a', upstream, row->next_key);
        road_reply_ok(&road, upstream);
        road_hear(&road, client, &answer);
        assert_int_equal(answer.status, 200);
        assert_string_equal(road_field(&answer, "x-bellwether-attempts"), "2");
        assert_string_equal(road_field(&answer, "x-bellwether-key"), is_same_key ? "one" : "two");
        road_answer_free(&answer);
        /* At once: nothing is waited for where another key is free. */
        assert_int_equal(road_now_ms(&road), is_same_key ? 150 : 0);
    } else {
        road_expect(&road, client, row->answer, row->body);
        road_expect_no_attempt(&road, 'a', upstream);
    }
    if (upstream >= 0)
        close(upstream);
    close(client);
    road_end(&road);
}

static void test_with_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < FAILINGS; i++) {
        print_message("           %s\n", failings[i].name);
        play_with_another(&failings[i]);
    }
}

/* Five keys, four of them bad, the default settings: the healthy one is found whatever is wrong
 * with the others, and none of it counts against the attempts. */
static void test_four_bad_keys(void **state)
{
    struct road road;
    int client, upstream = -1;

    (void)state;
    road_begin(&road, "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
                      "  health: {validate_new: false}, keys: [{name: k1, secret: s1},\n"
                      "  {name: k2, secret: s2}, {name: k3, secret: s3}, {name: k4, secret: s4},\n"
                      "  {name: k5, secret: s5}]}}\nclients: {open: true}\n");
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', upstream, "s1");
    road_reply(&road, upstream, 401, "", "{}");
    upstream = road_attempt_with(&road, 'a', upstream, "s2");
    road_reply(&road, upstream, 402, "", "{}");
    upstream = road_attempt_with(&road, 'a', upstream, "s3");
    road_reply(&road, upstream, 429, "Retry-After: 60\r\n", "{}");
    upstream = road_attempt_with(&road, 'a', upstream, "s4");
    road_reply(&road, upstream, 403, "", "{\"error\":{\"message\":\"Your api key is off\"}}");
    upstream = road_attempt_with(&road, 'a', upstream, "s5");
    road_reply(&road, upstream, 500, "", "{}");
    /* The only one left: the same again, three times in all. */
    road_pass_ms(&road, 150);
    upstream = road_attempt_with(&road, 'a', upstream, "s5");
    road_reply(&road, upstream, 500, "", "{}");
    road_pass_ms(&road, 250);
    upstream = road_attempt_with(&road, 'a', upstream, "s5");
    road_reply_ok(&road, upstream);
    road_expect(&road, client, 200, road_ok);
    assert_int_equal(
        road_metric(&road, "bellwether_retries_total{provider=\"up\",kind=\"rotation\"}"), 4);
    assert_int_equal(
        road_metric(&road, "bellwether_retries_total{provider=\"up\",kind=\"attempt\"}"), 2);
    close(upstream);
    close(client);
    road_end(&road);
}

/* rotations: 1 stops behind the second key. */
static void test_rotations(void **state)
{
    struct road road;
    int client, upstream = -1;

    (void)state;
    road_begin(&road, "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
                      "  health: {validate_new: false}, keys: [{name: k1, secret: s1},\n"
                      "  {name: k2, secret: s2}, {name: k3, secret: s3}]}}\n"
                      "clients: {open: true}\nretry: {rotations: 1}\n");
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', upstream, "s1");
    road_reply(&road, upstream, 401, "", "{}");
    upstream = road_attempt_with(&road, 'a', upstream, "s2");
    road_reply(&road, upstream, 401, "", "{}");
    road_expect_error(&road, client, 502, "upstream_auth");
    close(upstream);
    close(client);
    road_end(&road);
}

/* More keys than one exchange can remember, all refused: it still ends behind retry.rotations. */
static void test_more_keys_than_remembered(void **state)
{
    enum { KEYS = 90, ROTATIONS = 70 };
    struct road road;
    struct buf yaml;
    unsigned attempts = 0;
    int client, upstream = -1;

    (void)state;
    buf_init(&yaml, 65536);
    buf_printf(&yaml, "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
                      "  health: {validate_new: false}, keys: [");
    for (int i = 0; i < KEYS; i++)
        buf_printf(&yaml, "%ss%d", i ? ", " : "", i);
    buf_printf(&yaml, "]}}\nclients: {open: true}\nretry: {rotations: %d}\n", ROTATIONS);
    road_begin(&road, buf_text(&yaml));
    buf_fini(&yaml);
    client = road_connect(&road);
    road_chat(&road, client);
    for (;;) {
        char *heard;

        if (upstream < 0)
            upstream = road_accept(&road, 'a');
        heard = road_request(&road, upstream);
        if (!*heard) {
            mem_free(heard);
            break;
        }
        mem_free(heard);
        attempts++;
        road_reply(&road, upstream, 401, "", "{}");
    }
    assert_int_equal(attempts, 1 + ROTATIONS);
    road_expect_error(&road, client, 502, "upstream_auth");
    close(upstream);
    close(client);
    road_end(&road);
}

/* Keys of one account count once, and when the account is refused none of them is asked. */
static void test_account(void **state)
{
    struct road road;
    int client, upstream = -1;

    (void)state;
    road_begin(&road,
               "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
               "  health: {validate_new: false}, keys: [{name: k1, secret: s1, account: org},\n"
               "  {name: k2, secret: s2, account: org}, {name: k3, secret: s3}]}}\n"
               "clients: {open: true}\n");
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', upstream, "s1");
    road_reply(&road, upstream, 402, "", "{\"error\":{\"message\":\"Insufficient Balance\"}}");
    upstream = road_attempt_with(&road, 'a', upstream, "s3");
    road_reply_ok(&road, upstream);
    road_expect(&road, client, 200, road_ok);
    close(upstream);
    close(client);
    road_end(&road);
}

/* One key says that it lacks the model, the other cools: not all have said so. */
static void test_model_missing_and_cooling(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road, two_keys);
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply(&road, upstream, 429, "Retry-After: 50\r\n", "{}");
    upstream = road_attempt_with(&road, 'a', upstream, "key-two");
    road_reply(&road, upstream, 404, "",
               "{\"error\":{\"message\":\"no\",\"code\":\"model_not_found\"}}");
    road_expect_error(&road, client, 429, "rate_limit_exceeded");
    close(upstream);
    close(client);
    road_end(&road);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_with_another),
        cmocka_unit_test(test_four_bad_keys),
        cmocka_unit_test(test_rotations),
        cmocka_unit_test(test_more_keys_than_remembered),
        cmocka_unit_test(test_account),
        cmocka_unit_test(test_model_missing_and_cooling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

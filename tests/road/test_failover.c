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
    const char *next_key; /* with two keys: who is asked next; NULL: nobody */
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
     "key-two"},
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

static uint64_t attempts_ended(struct road *road, const char *outcome)
{
    char line[128];

    snprintf(line, sizeof(line), "bellwether_attempts_total{provider=\"up\",outcome=\"%s\"}",
             outcome);
    return road_metric(road, line);
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
    assert_int_equal(attempts_ended(&road, row->outcome), row->tries_alone);
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
    struct road road;
    struct road_answer answer;
    int client, upstream;

    road_begin(&road, two_keys);
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    upstream = fail_attempt(&road, upstream, row);
    if (row->next_key) {
        /* At once: nothing is waited for where another key is free. */
        upstream = road_attempt_with(&road, 'a', upstream, row->next_key);
        road_reply_ok(&road, upstream);
        road_hear(&road, client, &answer);
        assert_int_equal(answer.status, 200);
        assert_string_equal(road_field(&answer, "x-bellwether-attempts"), "2");
        assert_string_equal(road_field(&answer, "x-bellwether-key"), "two");
        road_answer_free(&answer);
        assert_int_equal(road_now_ms(&road), 0);
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

static const char two_targets[] =
    "providers:\n"
    "  up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
    "    keys: [{name: one, secret: key-one}]}\n"
    "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
    "    keys: [{name: two, secret: key-two}]}\n"
    "models: {m: {targets: [{to: up/m}], fallback: [other/n]}}\n"
    "clients: {open: true}\n";

static void chat_m(struct road *road, int client)
{
    road_post(road, client, "/v1/chat/completions", "", "{\"model\":\"m\",\"messages\":[]}");
}

/* The fallback hears its own name of the model. */
static void test_fallback(void **state)
{
    struct road road;
    struct road_answer answer;
    int client, upstream;
    char *heard;

    (void)state;
    road_begin(&road, two_targets);
    client = road_connect(&road);
    chat_m(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply(&road, upstream, 401, "", "{}");
    close(upstream);
    upstream = road_attempt(&road, 'b', -1, &heard);
    assert_non_null(strstr(heard, "Authorization: Bearer key-two\r\n"));
    assert_non_null(strstr(heard, "{\"model\":\"n\",\"messages\":[]}"));
    mem_free(heard);
    road_reply_ok(&road, upstream);
    road_hear(&road, client, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(road_field(&answer, "x-bellwether-provider"), "other");
    assert_string_equal(road_field(&answer, "x-bellwether-model"), "n");
    road_answer_free(&answer);
    close(upstream);
    close(client);
    road_end(&road);
}

/* Nobody listens at the first: the second is asked at once, and that counts as a try. */
static void test_refused_with_fallback(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road, two_targets);
    road_unlisten(&road, 'a');
    client = road_connect(&road);
    chat_m(&road, client);
    wire_settle(road.loop);
    upstream = road_attempt_with(&road, 'b', -1, "key-two");
    road_reply_ok(&road, upstream);
    road_expect(&road, client, 200, road_ok);
    assert_int_equal(road_now_ms(&road), 0);
    close(upstream);
    close(client);
    road_end(&road);
}

/* A model that the one says it lacks is asked for elsewhere; where all say so, that is passed on.
 */
static void test_model_missing_everywhere(void **state)
{
    static const char body[] = "{\"error\":{\"message\":\"no\",\"code\":\"model_not_found\"}}";
    struct road road;
    int client, first, second;

    (void)state;
    road_begin(&road, two_targets);
    client = road_connect(&road);
    chat_m(&road, client);
    first = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply(&road, first, 404, "", body);
    second = road_attempt_with(&road, 'b', -1, "key-two");
    road_reply(&road, second, 404, "", body);
    road_expect(&road, client, 404, body);
    close(first);
    close(second);
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

/* What the last answer was decides what the client gets; the rest is told in fields. */
static void test_fields_of_a_refusal(void **state)
{
    struct road road;
    struct road_answer answer;
    int client, upstream = -1;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat(&road, client);
    for (int i = 0; i < 3; i++) {
        upstream = road_attempt_with(&road, 'a', upstream, "key-one");
        road_reply(&road, upstream, 503,
                   "Retry-After: 0\r\nx-request-id: up-7\r\nServer: secret\r\n"
                   "x-ratelimit-limit-requests: 5\r\nSet-Cookie: a=b\r\n",
                   "{\"error\":{\"message\":\"busy\"}}");
        road_pass_ms(&road, 1000);
    }
    road_hear(&road, client, &answer);
    assert_int_equal(answer.status, 503);
    assert_string_equal(road_field(&answer, "x-bellwether-attempts"), "3");
    assert_string_equal(road_field(&answer, "x-bellwether-upstream-request-id"), "up-7");
    assert_string_equal(road_field(&answer, "x-should-retry"), "false");
    assert_string_not_equal(road_field(&answer, "retry-after"), "");
    assert_string_equal(road_field(&answer, "server"), "");
    assert_string_equal(road_field(&answer, "set-cookie"), "");
    assert_string_equal(road_field(&answer, "x-ratelimit-limit-requests"), "");
    road_answer_free(&answer);
    close(upstream);
    close(client);
    road_end(&road);
}

/* The provider's own x-should-retry passes where no try of ours was made. */
static void test_should_retry_passes(void **state)
{
    struct road road;
    struct road_answer answer;
    int client, upstream;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply(&road, upstream, 400, "x-should-retry: false\r\nopenai-processing-ms: 12\r\n", "{}");
    road_hear(&road, client, &answer);
    assert_int_equal(answer.status, 400);
    assert_string_equal(road_field(&answer, "x-should-retry"), "false");
    assert_string_equal(road_field(&answer, "openai-processing-ms"), "12");
    road_answer_free(&answer);
    close(upstream);
    close(client);
    road_end(&road);
}

/* A field of absurd length is dropped, and does not spoil the head that goes to the client. */
static void test_absurd_fields(void **state)
{
    struct road road;
    struct road_answer answer;
    struct buf lines;
    int client, upstream;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    buf_init(&lines, 1 << 17);
    buf_printf(&lines, "x-request-id: ");
    while (lines.len < 60000)
        buf_append_byte(&lines, 'x');
    buf_printf(&lines, "\r\nopenai-processing-ms: 7\r\n");
    road_reply(&road, upstream, 200, buf_text(&lines), road_ok);
    buf_fini(&lines);
    road_hear(&road, client, &answer);
    assert_int_equal(answer.status, 200);
    assert_true(answer.is_whole);
    assert_string_equal(road_field(&answer, "openai-processing-ms"), "7");
    assert_string_equal(road_field(&answer, "x-bellwether-upstream-request-id"), "");
    road_answer_free(&answer);
    close(upstream);
    close(client);
    road_end(&road);
}

/* Asked once with stream_options, refused by name, asked again without, and remembered. */
static void test_usage_refused(void **state)
{
    struct road road;
    int client, upstream;
    char *heard;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat_stream(&road, client);
    upstream = road_attempt(&road, 'a', -1, &heard);
    assert_non_null(strstr(heard, "stream_options"));
    mem_free(heard);
    road_reply(&road, upstream, 400, "",
               "{\"error\":{\"message\":\"Unknown field: stream_options\"}}");
    upstream = road_attempt(&road, 'a', upstream, &heard);
    assert_null(strstr(heard, "stream_options"));
    mem_free(heard);
    assert_int_equal(road_now_ms(&road), 0);
    road_stream_head(&road, upstream);
    road_stream(&road, upstream, road_finish);
    road_stream(&road, upstream, road_done);
    road_stream_end(&road, upstream);
    road_expect(&road, client, 200, NULL);
    road_chat_stream(&road, client);
    upstream = road_attempt(&road, 'a', upstream, &heard);
    assert_null(strstr(heard, "stream_options"));
    mem_free(heard);
    close(upstream);
    close(client);
    road_end(&road);
}

/* retry.on without a class: the first such failure is the last. */
static void test_retry_on(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road, "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
                      "  health: {validate_new: false},\n"
                      "  keys: [{name: one, secret: key-one}, {name: two, secret: key-two}]}}\n"
                      "clients: {open: true}\nretry: {on: [connect]}\n");
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply(&road, upstream, 500, "", "{\"error\":{\"message\":\"oops\"}}");
    road_expect(&road, client, 500, "{\"error\":{\"message\":\"oops\"}}");
    close(upstream);
    close(client);
    road_end(&road);
}

/* A kept connection that died while idle is replaced by a fresh one: neither attempt nor failure.
 */
static void test_kept_connection_died(void **state)
{
    struct road road;
    struct road_answer answer;
    int client, upstream;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply_ok(&road, upstream);
    road_expect(&road, client, 200, road_ok);
    road_chat(&road, client);
    road_take(&road, upstream); /* it has taken the request, and dies before any byte */
    close(upstream);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    /* Once: a fresh one that dies is a failure. */
    road_reply_ok(&road, upstream);
    road_hear(&road, client, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(road_field(&answer, "x-bellwether-attempts"), "1");
    road_answer_free(&answer);
    assert_int_equal(attempts_ended(&road, "reset"), 0);
    assert_int_equal(attempts_ended(&road, "success"), 2);
    close(upstream);
    close(client);
    road_end(&road);
}

/* The answer came before the request was sent whole: it counts, and the connection is not kept. */
static void test_early_answer(void **state)
{
    struct road road;
    struct buf body;
    int client, upstream;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    buf_init(&body, 8 << 20);
    buf_printf(&body, "{\"model\":\"up/m\",\"messages\":[],\"x\":\"");
    while (body.len < (4 << 20))
        buf_append_span(&body, SPAN("0123456789012345678901234567890123456789"));
    buf_printf(&body, "\"}");
    road_post(&road, client, "/v1/chat/completions", "", buf_text(&body));
    buf_fini(&body);
    upstream = road_accept(&road, 'a');
    road_reply(&road, upstream, 413, "", "{\"error\":{\"message\":\"too large\"}}");
    road_expect(&road, client, 413, "{\"error\":{\"message\":\"too large\"}}");
    road_expect_closed(&road, upstream);
    close(upstream);
    close(client);
    road_end(&road);
}

/* The retry budget: of many that fail at once only a share is tried again. */
static void test_budget(void **state)
{
    enum { CLIENTS = 40 };
    struct road road;
    int clients[CLIENTS], upstreams[CLIENTS];
    unsigned again = 0;

    (void)state;
    road_begin(&road,
               "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
               "  health: {validate_new: false, max_failures: 1000}, breaker: {failures: 1000},\n"
               "  keys: [{name: one, secret: key-one}, {name: two, secret: key-two}]}}\n"
               "clients: {open: true}\nretry: {budget: 10%}\n");
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = road_connect(&road);
        road_chat(&road, clients[i]);
        upstreams[i] = road_attempt_with(&road, 'a', -1, "key-one");
    }
    for (int i = 0; i < CLIENTS; i++) {
        char *heard;

        close(upstreams[i]);
        wire_settle(road.loop);
        upstreams[i] = road_try_accept(&road, 'a');
        if (upstreams[i] < 0) {
            road_expect_error(&road, clients[i], 502, "upstream_failed");
            continue;
        }
        again++;
        heard = road_request(&road, upstreams[i]);
        assert_non_null(strstr(heard, "key-two"));
        mem_free(heard);
        road_reply_ok(&road, upstreams[i]);
        road_expect(&road, clients[i], 200, road_ok);
        close(upstreams[i]);
    }
    /* A tenth of the 40, or three a second over ten seconds, whichever is more. */
    assert_in_range(again, 4, 30);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
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
        cmocka_unit_test(test_fallback),
        cmocka_unit_test(test_refused_with_fallback),
        cmocka_unit_test(test_model_missing_everywhere),
        cmocka_unit_test(test_model_missing_and_cooling),
        cmocka_unit_test(test_fields_of_a_refusal),
        cmocka_unit_test(test_should_retry_passes),
        cmocka_unit_test(test_absurd_fields),
        cmocka_unit_test(test_usage_refused),
        cmocka_unit_test(test_retry_on),
        cmocka_unit_test(test_kept_connection_died),
        cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_budget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

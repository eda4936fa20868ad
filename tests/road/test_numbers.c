/* What is counted and written down: usage, metrics, the access log, and the fields of an answer. */
#include "scene.h"

#include "base/alloc.h"

static const char named[] =
    "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
    "  keys: [{name: one, secret: key-one}]}}\n"
    "models: {m: up/m-1}\n"
    "clients: {keys: [{name: web, secret: web-key, limits: {rpm: 2, burst: 2}}]}\n";

static const char model_m[] =
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"12345678\"}]}";
static const char streamed_m[] =
    "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"12345678\"}]}";

static void ask(struct road *road, int client, const char *body)
{
    road_post(road, client, "/v1/chat/completions",
              "Authorization: Bearer web-key\r\nX-Request-ID: my-id-1\r\n", body);
}

static uint64_t tokens(struct road *road, const char *kind)
{
    char line[128];

    snprintf(line, sizeof(line), "bellwether_tokens_total{provider=\"up\",model=\"m\",kind=\"%s\"}",
             kind);
    return road_metric(road, line);
}

static uint64_t estimated(struct road *road)
{
    return road_metric(road, "bellwether_usage_estimated_total{provider=\"up\",model=\"m\"}");
}

/* Checks that the line holds the text, and shows it where not. */
static void expect_in(const char *line, const char *text)
{
    if (!strstr(line, text))
        print_message("%s lacks %s\n", line, text);
    assert_non_null(strstr(line, text));
}

static void expect_out(const char *line, const char *text)
{
    if (strstr(line, text))
        print_message("%s holds %s\n", line, text);
    assert_null(strstr(line, text));
}

static void test_everything_of_one_exchange(void **state)
{
    struct scene scene;
    struct road_answer answer;
    char *log;

    (void)state;
    scene_begin(&scene, named);
    ask(&scene.road, scene.client, model_m);
    scene_attempt(&scene, "key-one");
    road_pass_ms(&scene.road, 1500);
    scene_reply(&scene, 200, "x-request-id: up-1\r\n", road_ok);
    road_hear(&scene.road, scene.client, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(road_field(&answer, "x-request-id"), "my-id-1");
    assert_string_equal(road_field(&answer, "x-ratelimit-limit"), "2");
    assert_string_equal(road_field(&answer, "x-ratelimit-remaining"), "1");
    assert_string_not_equal(road_field(&answer, "x-ratelimit-reset"), "");
    assert_string_equal(road_field(&answer, "x-bellwether-upstream-request-id"), "up-1");
    assert_string_not_equal(road_field(&answer, "x-bellwether-overhead-us"), "");
    assert_string_equal(road_field(&answer, "date"), "Tue, 14 Nov 2023 22:13:21 GMT");
    road_answer_free(&answer);
    assert_int_equal(tokens(&scene.road, "prompt"), 3);
    assert_int_equal(tokens(&scene.road, "completion"), 5);
    assert_int_equal(estimated(&scene.road), 0);
    assert_int_equal(
        road_metric(&scene.road,
                    "bellwether_requests_total{provider=\"up\",model=\"m\",status=\"2xx\"}"),
        1);
    assert_int_equal(
        road_metric(&scene.road, "bellwether_client_requests_total{client=\"web\",status=\"2xx\"}"),
        1);
    assert_int_equal(
        road_metric(&scene.road,
                    "bellwether_client_tokens_total{client=\"web\",kind=\"completion\"}"),
        5);
    assert_int_equal(
        road_metric(
            &scene.road,
            "bellwether_request_latency_ms_bucket{provider=\"up\",model=\"m\",le=\"1000\"}"),
        0);
    assert_int_equal(
        road_metric(
            &scene.road,
            "bellwether_request_latency_ms_bucket{provider=\"up\",model=\"m\",le=\"2500\"}"),
        1);
    assert_int_equal(
        road_metric(&scene.road, "bellwether_attempts_total{provider=\"up\",outcome=\"success\"}"),
        1);
    assert_int_equal(road_metric(&scene.road, "bellwether_bytes_total{flow=\"from_client\"}"),
                     strlen(model_m));
    assert_int_equal(road_metric(&scene.road, "bellwether_bytes_total{flow=\"to_client\"}"),
                     strlen(road_ok));
    log = road_log(&scene.road);
    expect_in(log, "{\"time\":\"2023-11-14T22:13:20.000Z\",\"kind\":\"access\"");
    expect_in(log, "\"request_id\":\"my-id-1\"");
    expect_in(log, "\"client\":\"web\"");
    expect_in(log, "\"remote\":\"192.0.2.7\"");
    expect_in(log, "\"path\":\"/v1/chat/completions\",\"model\":\"m\"");
    expect_in(log, "\"provider\":\"up\",\"target_model\":\"m-1\",\"key\":\"one\"");
    expect_in(log, "\"status\":200,");
    expect_in(log, "\"attempts\":1,");
    expect_in(log, "\"upstream_request_id\":\"up-1\"");
    expect_in(log, "\"prompt_tokens\":3,\"completion_tokens\":5,\"duration_us\":1500000");
    expect_out(log, "\"class\"");
    expect_out(log, "\"method\"");
    expect_out(log, "\"upstream_status\"");
    expect_out(log, "\"cached_tokens\"");
    expect_out(log, "\"ttfb_us\"");
    expect_out(log, "\"failure\"");
    expect_out(log, "\"is_estimated\"");
    expect_out(log, "key-one");
    expect_out(log, "web-key");
    assert_null(strstr(strstr(log, "\"kind\":\"access\"") + 1, "\"kind\":\"access\""));
    mem_free(log);
    scene_end(&scene);
}

/* A failed exchange after two attempts: the line tells of the last, and why. */
static void test_line_of_a_failure(void **state)
{
    struct scene scene;
    char *log;

    (void)state;
    scene_begin(&scene, road_one_key);
    scene_chat(&scene);
    for (int i = 0; i < 3; i++) {
        scene_attempt(&scene, "key-one");
        scene_reply(&scene, 500, "x-request-id: up-9\r\n", "{}");
        road_pass_ms(&scene.road, 300);
    }
    road_expect(&scene.road, scene.client, 500, "{}");
    assert_int_equal(road_metric(&scene.road,
                                 "bellwether_request_errors_total{provider=\"up\",model="
                                 "\"other\",failure=\"passed_on\"}"),
                     1);
    log = road_log(&scene.road);
    expect_in(log, "\"status\":500,\"failure\":\"passed_on\",\"attempts\":3,\"retries\":2,"
                   "\"upstream_request_id\":\"up-9\"");
    expect_in(log, "\"waited_us\":");
    mem_free(log);
    scene_end(&scene);
}

/* Refused before any attempt: the line has no way, and says why. */
static void test_line_of_a_refusal(void **state)
{
    struct road road;
    int client;
    char *log;

    (void)state;
    road_begin(&road, named);
    client = road_connect(&road);
    road_post(&road, client, "/v1/chat/completions", "Authorization: Bearer wrong\r\n", model_m);
    road_expect_error(&road, client, 401, "invalid_api_key");
    log = road_log(&road);
    expect_in(log, "\"status\":401,\"failure\":\"key_unknown\",\"attempts\":0,");
    assert_null(strstr(log, "provider"));
    assert_null(strstr(log, "wrong"));
    mem_free(log);
    close(client);
    road_end(&road);
}

static void test_rate_limit_of_a_client(void **state)
{
    struct scene scene;
    struct road_answer answer;

    (void)state;
    scene_begin(&scene, named);
    for (int i = 0; i < 2; i++) {
        ask(&scene.road, scene.client, model_m);
        scene_attempt(&scene, "key-one");
        scene_serve(&scene);
    }
    ask(&scene.road, scene.client, model_m);
    road_hear(&scene.road, scene.client, &answer);
    assert_int_equal(answer.status, 429);
    assert_string_equal(road_field(&answer, "x-ratelimit-remaining"), "0");
    assert_string_equal(road_field(&answer, "retry-after"), "30");
    road_answer_free(&answer);
    scene_expect_no_attempt(&scene);
    scene_end(&scene);
}

/* The stream's own usage is asked for, counted and hidden. */
static void test_usage_of_a_stream(void **state)
{
    struct scene scene;
    char body[2048];

    (void)state;
    scene_begin(&scene, named);
    ask(&scene.road, scene.client, streamed_m);
    scene_attempt(&scene, "key-one");
    scene_stream_head(&scene);
    scene_stream(&scene, road_chunk);
    scene_stream(&scene, road_finish);
    scene_stream(&scene, road_usage);
    scene_stream(&scene, road_done);
    scene_stream_end(&scene);
    snprintf(body, sizeof(body), "%s%s%s", road_chunk, road_finish, road_done);
    road_expect(&scene.road, scene.client, 200, body);
    assert_int_equal(tokens(&scene.road, "prompt"), 3);
    assert_int_equal(tokens(&scene.road, "completion"), 5);
    scene_end(&scene);
}

/* A client that asks for it gets it. */
static void test_usage_that_was_asked_for(void **state)
{
    struct scene scene;
    char body[2048];

    (void)state;
    scene_begin(&scene, named);
    ask(&scene.road, scene.client,
        "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
        "\"messages\":[]}");
    scene_attempt(&scene, "key-one");
    scene_stream_head(&scene);
    scene_stream(&scene, road_finish);
    scene_stream(&scene, road_usage);
    scene_stream(&scene, road_done);
    scene_stream_end(&scene);
    snprintf(body, sizeof(body), "%s%s%s", road_finish, road_usage, road_done);
    road_expect(&scene.road, scene.client, 200, body);
    assert_int_equal(tokens(&scene.road, "completion"), 5);
    scene_end(&scene);
}

/* Nobody tells: estimated from the text of both sides, and marked so. */
static void test_estimates(void **state)
{
    struct scene scene;
    char *log;

    (void)state;
    scene_begin(&scene, named);
    ask(&scene.road, scene.client, streamed_m);
    scene_attempt(&scene, "key-one");
    scene_stream_head(&scene);
    for (int i = 0; i < 8; i++)
        scene_stream(&scene, road_chunk);
    scene_stream(&scene, road_finish);
    scene_stream(&scene, road_done);
    scene_stream_end(&scene);
    road_expect(&scene.road, scene.client, 200, NULL);
    assert_int_equal(estimated(&scene.road), 1);
    assert_in_range(tokens(&scene.road, "prompt"), 1, 16);
    assert_int_equal(tokens(&scene.road, "completion"), 4);
    ask(&scene.road, scene.client, model_m);
    scene_attempt(&scene, "key-one");
    scene_reply(&scene, 200, "",
                "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
                "\"content\":\"12345678\"}}]}");
    road_expect(&scene.road, scene.client, 200, NULL);
    assert_int_equal(estimated(&scene.road), 2);
    assert_int_equal(tokens(&scene.road, "completion"), 6);
    log = road_log(&scene.road);
    expect_in(log, "\"is_estimated\":true");
    mem_free(log);
    scene_end(&scene);
}

/* What an attempt used that failed is not taken for what the next one used. */
static void test_usage_of_the_last_attempt(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, named);
    ask(&scene.road, scene.client, streamed_m);
    scene_attempt(&scene, "key-one");
    scene_stream_head(&scene);
    scene_stream(&scene, ": nothing\n\n");
    scene_stream_end(&scene);
    road_pass_ms(&scene.road, 100);
    scene_attempt(&scene, "key-one");
    scene_reply(&scene, 400, "", "{}");
    road_expect(&scene.road, scene.client, 400, "{}");
    assert_int_equal(tokens(&scene.road, "prompt"), 0);
    assert_int_equal(estimated(&scene.road), 0);
    scene_end(&scene);
}

/* Those who only ask how it is leave no line. */
static void test_state_is_no_traffic(void **state)
{
    struct road road;
    int client;
    char *log;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    wire_say(road.loop, client, "GET /health HTTP/1.1\r\nHost: gw\r\n\r\n");
    road_expect(&road, client, 200, "{\"status\":\"ok\"}\n");
    wire_say(road.loop, client, "GET /ready HTTP/1.1\r\nHost: gw\r\n\r\n");
    road_expect(&road, client, 503, "{\"status\":\"not ready\"}\n");
    road.host.is_ready = true;
    wire_say(road.loop, client, "GET /ready HTTP/1.1\r\nHost: gw\r\n\r\n");
    road_expect(&road, client, 200, "{\"status\":\"ok\"}\n");
    log = road_log(&road);
    assert_string_equal(log, "");
    mem_free(log);
    close(client);
    road_end(&road);
}

static void test_connections_are_counted(void **state)
{
    struct road road;
    int clients[2];

    (void)state;
    road_begin(&road, road_one_key);
    for (int i = 0; i < 2; i++)
        clients[i] = road_connect(&road);
    assert_int_equal(road_metric(&road, "bellwether_client_connections"), 2);
    close(clients[0]);
    wire_settle(road.loop);
    assert_int_equal(road_metric(&road, "bellwether_client_connections"), 1);
    assert_int_equal(road_metric(&road, "bellwether_client_connections_total"), 2);
    assert_int_equal(road.conns_closed, 1);
    close(clients[1]);
    road_end(&road);
}

/* --- writes to words that all workers share --- */

static uint64_t shared_writes(struct road *road)
{
    static const char *const lines[] = {
        "bellwether_other_shared_writes_total{about=\"limits\"}",
        "bellwether_other_shared_writes_total{about=\"retries\"}",
        "bellwether_other_shared_writes_total{about=\"bodies\"}",
        "bellwether_other_shared_writes_total{about=\"waiting\"}",
    };
    struct keypool *keys = provider_keys(road->snapshot->providers[0].provider);
    uint64_t sum = keypool_totals(keys, loop_now_us(road->loop)).shared_writes;

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        sum += road_metric(road, lines[i]);
    return sum;
}

/* Of each of so many exchanges, one after another, once the key is known and all is warm. */
static void expect_shared_writes(const char *yaml, uint64_t each)
{
    enum { EXCHANGES = 20 };
    struct road road;
    int client, upstream = -1;
    uint64_t before = 0;

    road_begin(&road, yaml);
    client = road_connect(&road);
    for (int i = -3; i < EXCHANGES; i++) {
        if (i == 0)
            before = shared_writes(&road);
        ask(&road, client, model_m);
        upstream = road_attempt_with(&road, 'a', upstream, "key-one");
        road_reply_ok(&road, upstream);
        road_expect(&road, client, 200, road_ok);
    }
    assert_int_equal(shared_writes(&road) - before, each * EXCHANGES);
    close(client);
    close(upstream);
    road_end(&road);
}

static void test_healthy_key_costs_no_shared_write(void **state)
{
    (void)state;
    expect_shared_writes(
        "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "  keys: [{name: one, secret: key-one}]}}\n"
        "models: {m: up/m-1}\nclients: {keys: [{name: web, secret: web-key}]}\n",
        0);
}

/* The most that a configuration can ask for: to take and to give back, of the client, the model and
 * the key. The design allows six. */
static void test_all_limits_together(void **state)
{
    (void)state;
    expect_shared_writes(
        "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "  keys: [{name: one, secret: key-one, account: acme,\n"
        "    limits: {rpm: 100000, tpm: 1000000, concurrent: 9}}]}}\n"
        "models: {m: {targets: [{to: up/m-1}],\n"
        "  limits: {rpm: 100000, tpm: 1000000, concurrent: 9}}}\n"
        "clients: {keys: [{name: web, secret: web-key,\n"
        "  limits: {rpm: 100000, tpm: 1000000, concurrent: 9}}]}\n",
        6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_of_one_exchange),
        cmocka_unit_test(test_line_of_a_failure),
        cmocka_unit_test(test_line_of_a_refusal),
        cmocka_unit_test(test_rate_limit_of_a_client),
        cmocka_unit_test(test_usage_of_a_stream),
        cmocka_unit_test(test_usage_that_was_asked_for),
        cmocka_unit_test(test_estimates),
        cmocka_unit_test(test_usage_of_the_last_attempt),
        cmocka_unit_test(test_state_is_no_traffic),
        cmocka_unit_test(test_connections_are_counted),
        cmocka_unit_test(test_healthy_key_costs_no_shared_write),
        cmocka_unit_test(test_all_limits_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What follows when an attempt fails before the commit: another key, the same later, another
 * target, or the client's answer. */
#include "scene.h"

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

/* Lets the attempt fail. */
static void fail_attempt(struct scene *scene, const struct failing *row)
{
    if (row->status) {
        scene_reply(scene, row->status, row->lines, row->body);
        return;
    }
    wire_say(scene->road.loop, scene->upstream, row->body);
    scene_break(scene);
}

static void play_alone(const struct failing *row)
{
    struct scene scene;

    scene_begin(&scene, road_one_key);
    scene_chat(&scene);
    for (unsigned i = 0; i < row->tries_alone; i++) {
        scene_attempt(&scene, "key-one");
        fail_attempt(&scene, row);
        road_pass_ms(&scene.road, 1000);
    }
    scene_expect_no_attempt(&scene);
    if (row->code)
        road_expect_error(&scene.road, scene.client, row->answer, row->code);
    else
        road_expect(&scene.road, scene.client, row->answer, row->body);
    assert_int_equal(road_attempts(&scene.road, row->outcome), row->tries_alone);
    scene_end(&scene);
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
    struct scene scene;
    struct road_answer answer;

    scene_open(&scene, two_keys);
    fail_attempt(&scene, row);
    if (is_same_key) {
        scene_expect_no_attempt(&scene);
        road_pass_ms(&scene.road, 150);
    }
    if (row->next_key) {
        scene_attempt(&scene, row->next_key);
        road_reply_ok(&scene.road, scene.upstream);
        road_hear(&scene.road, scene.client, &answer);
        assert_int_equal(answer.status, 200);
        assert_string_equal(road_field(&answer, "x-bellwether-attempts"), "2");
        assert_string_equal(road_field(&answer, "x-bellwether-key"), is_same_key ? "one" : "two");
        road_answer_free(&answer);
        /* At once: nothing is waited for where another key is free. */
        assert_int_equal(road_now_ms(&scene.road), is_same_key ? 150 : 0);
    } else {
        road_expect(&scene.road, scene.client, row->answer, row->body);
        scene_expect_no_attempt(&scene);
    }
    scene_end(&scene);
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
    struct scene scene;

    (void)state;
    scene_begin(&scene,
                "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
                "  health: {validate_new: false}, keys: [{name: k1, secret: s1},\n"
                "  {name: k2, secret: s2}, {name: k3, secret: s3}, {name: k4, secret: s4},\n"
                "  {name: k5, secret: s5}]}}\nclients: {open: true}\n");
    scene_chat(&scene);
    scene_attempt(&scene, "s1");
    scene_reply(&scene, 401, "", "{}");
    scene_attempt(&scene, "s2");
    scene_reply(&scene, 402, "", "{}");
    scene_attempt(&scene, "s3");
    scene_reply(&scene, 429, "Retry-After: 60\r\n", "{}");
    scene_attempt(&scene, "s4");
    scene_reply(&scene, 403, "", "{\"error\":{\"message\":\"Your api key is off\"}}");
    scene_attempt(&scene, "s5");
    scene_reply(&scene, 500, "", "{}");
    /* The only one left: the same again, three times in all. */
    road_pass_ms(&scene.road, 150);
    scene_attempt(&scene, "s5");
    scene_reply(&scene, 500, "", "{}");
    road_pass_ms(&scene.road, 250);
    scene_attempt(&scene, "s5");
    scene_serve(&scene);
    assert_int_equal(
        road_metric(&scene.road, "bellwether_retries_total{provider=\"up\",kind=\"rotation\"}"), 4);
    assert_int_equal(
        road_metric(&scene.road, "bellwether_retries_total{provider=\"up\",kind=\"attempt\"}"), 2);
    scene_end(&scene);
}

/* rotations: 1 stops behind the second key. */
static void test_rotations(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
                        "  health: {validate_new: false}, keys: [{name: k1, secret: s1},\n"
                        "  {name: k2, secret: s2}, {name: k3, secret: s3}]}}\n"
                        "clients: {open: true}\nretry: {rotations: 1}\n");
    scene_chat(&scene);
    scene_attempt(&scene, "s1");
    scene_reply(&scene, 401, "", "{}");
    scene_attempt(&scene, "s2");
    scene_reply(&scene, 401, "", "{}");
    road_expect_error(&scene.road, scene.client, 502, "upstream_auth");
    scene_end(&scene);
}

/* More keys than one exchange can remember, all refused: it still ends behind retry.rotations. */
static void test_more_keys_than_remembered(void **state)
{
    enum { KEYS = 90, ROTATIONS = 70 };
    struct scene scene;
    struct buf yaml;
    unsigned attempts = 0;

    (void)state;
    buf_init(&yaml, 65536);
    buf_printf(&yaml, "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
                      "  health: {validate_new: false}, keys: [");
    for (int i = 0; i < KEYS; i++)
        buf_printf(&yaml, "%ss%d", i ? ", " : "", i);
    buf_printf(&yaml, "]}}\nclients: {open: true}\nretry: {rotations: %d}\n", ROTATIONS);
    scene_begin(&scene, buf_text(&yaml));
    buf_fini(&yaml);
    scene_chat(&scene);
    for (;;) {
        char *heard;

        if (scene.upstream < 0)
            scene.upstream = road_accept(&scene.road, 'a');
        heard = road_request(&scene.road, scene.upstream);
        if (!*heard) {
            mem_free(heard);
            break;
        }
        mem_free(heard);
        attempts++;
        scene_reply(&scene, 401, "", "{}");
    }
    assert_int_equal(attempts, 1 + ROTATIONS);
    road_expect_error(&scene.road, scene.client, 502, "upstream_auth");
    scene_end(&scene);
}

/* Keys of one account count once, and when the account is refused none of them is asked. */
static void test_account(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene,
                "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
                "  health: {validate_new: false}, keys: [{name: k1, secret: s1, account: org},\n"
                "  {name: k2, secret: s2, account: org}, {name: k3, secret: s3}]}}\n"
                "clients: {open: true}\n");
    scene_chat(&scene);
    scene_attempt(&scene, "s1");
    scene_reply(&scene, 402, "", "{\"error\":{\"message\":\"Insufficient Balance\"}}");
    scene_attempt(&scene, "s3");
    scene_serve(&scene);
    scene_end(&scene);
}

/* One key says that it lacks the model, the other cools: not all have said so. */
static void test_model_missing_and_cooling(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, two_keys);
    scene_reply(&scene, 429, "Retry-After: 50\r\n", "{}");
    scene_attempt(&scene, "key-two");
    scene_reply(&scene, 404, "", "{\"error\":{\"message\":\"no\",\"code\":\"model_not_found\"}}");
    road_expect_error(&scene.road, scene.client, 429, "rate_limit_exceeded");
    scene_end(&scene);
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

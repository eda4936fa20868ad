/* What operators read in the log of keys and endpoints: once for each change. */
#include "scene.h"

#include "base/alloc.h"

static const char two_keys[] =
    "providers: {up: {kind: compatible, base_url: '@a', selection: round_robin,\n"
    "  health: {validate_new: false, depleted: 10m},\n"
    "  keys: [{name: one, secret: key-one}, {name: two, secret: key-two}]}}\n"
    "clients: {open: true}\n";

/* Each line once; no secret anywhere. */
static void expect_lines(struct road *road, const char *const *lines)
{
    char *log = road_log(road);

    for (size_t i = 0; lines[i]; i++) {
        if (road_count(log, lines[i]) != 1)
            print_error("not once: %s\nin:\n%s", lines[i], log);
        assert_int_equal(road_count(log, lines[i]), 1);
    }
    assert_null(strstr(log, "key-one"));
    assert_null(strstr(log, "key-two"));
    mem_free(log);
}

/* One key is refused as unknown, the other has no money left. */
static void test_keys(void **state)
{
    static const char *const lines[] = {
        "\"level\":\"warning\",\"message\":\"key changed its state\",\"provider\":\"up\","
        "\"key\":\"one\",\"state\":\"invalid\",\"cause\":\"invalid_key\"}",
        "\"level\":\"warning\",\"message\":\"key changed its state\",\"provider\":\"up\","
        "\"key\":\"two\",\"state\":\"depleted\",\"cause\":\"depleted\","
        "\"until\":\"2023-11-14T22:23:20.001Z\"}",
        NULL};
    struct scene scene;

    (void)state;
    scene_open(&scene, two_keys);
    scene_reply(&scene, 401, "", "{\"error\":{\"code\":\"invalid_api_key\"}}");
    scene_attempt(&scene, "key-two");
    scene_reply(&scene, 402, "", "{\"error\":{}}");
    road_expect_error(&scene.road, scene.client, 503, "upstream_depleted");
    scene_chat(&scene);
    road_expect_error(&scene.road, scene.client, 503, "upstream_depleted");
    expect_lines(&scene.road, lines);
    scene_end(&scene);
}

/* A rate limit of one model sets that model aside, until the provider's own time. */
static void test_model(void **state)
{
    static const char *const lines[] = {
        "\"message\":\"model set aside for a key\",\"provider\":\"up\",\"key\":\"one\","
        "\"model\":\"m\",\"cause\":\"rate_limited\",\"until\":\"2023-11-14T22:13:50.000Z\"}",
        NULL};
    struct scene scene;

    (void)state;
    scene_open(&scene, two_keys);
    scene_reply(&scene, 429, "Retry-After: 30\r\n", "{\"error\":{\"message\":\"slow\"}}");
    scene_attempt(&scene, "key-two");
    scene_serve(&scene);
    expect_lines(&scene.road, lines);
    scene_end(&scene);
}

/* An endpoint that refuses connections, and one that is back: a line each, however often it was
 * tried. */
static void test_endpoint(void **state)
{
    static const char *const lines[] = {
        "\"level\":\"warning\",\"message\":\"circuit breaker of an endpoint changed\"",
        "\"state\":\"open\",\"cause\":\"connect_failed\"",
        "\"level\":\"info\",\"message\":\"circuit breaker of an endpoint changed\"",
        "\"state\":\"closed\",\"cause\":\"success\"", NULL};
    struct scene scene;

    (void)state;
    scene_begin(&scene, two_keys);
    road_unlisten(&scene.road, 'a');
    scene_chat(&scene);
    road_pass_ms(&scene.road, 950);
    road_listen(&scene.road, 'a');
    road_pass_ms(&scene.road, 200);
    scene.upstream = road_accept(&scene.road, 'a');
    road_take(&scene.road, scene.upstream);
    scene_serve(&scene);
    expect_lines(&scene.road, lines);
    scene_end(&scene);
}

/* A request that some key serves; the connection at hand afterwards. */
static int serve(struct road *road, int client, int upstream)
{
    char *heard;

    road_chat(road, client);
    upstream = road_attempt(road, 'a', upstream, &heard);
    mem_free(heard);
    road_reply_ok(road, upstream);
    road_expect(road, client, 200, road_ok);
    return upstream;
}

/* Our address is limited: no key is to blame. However many meet it, a line when it begins and one
 * when it is over. */
static void test_address(void **state)
{
    static const char *const lines[] = {
        "\"level\":\"warning\",\"message\":\"endpoint limits our address: it rests\"",
        "\"cause\":\"endpoint_limited\",\"until\":\"2023-11-14T22:13:50.000Z\"}",
        "\"level\":\"info\",\"message\":\"endpoint rests no longer\"", NULL};
    struct road road;
    int clients[2], upstreams[2];

    (void)state;
    road_begin(&road, two_keys);
    for (int i = 0; i < 2; i++) {
        clients[i] = road_connect(&road);
        road_chat(&road, clients[i]);
        upstreams[i] = road_accept(&road, 'a');
        road_take(&road, upstreams[i]);
    }
    for (int i = 0; i < 2; i++) {
        road_reply(&road, upstreams[i], 429, "Retry-After: 30\r\n",
                   "{\"error\":{\"type\":\"ip_rate_limit\"}}");
        road_expect_error(&road, clients[i], 429, "rate_limit_exceeded");
    }
    road_pass_ms(&road, 30001);
    for (int i = 0; i < 2; i++)
        upstreams[1] = serve(&road, clients[0], upstreams[1]);
    expect_lines(&road, lines);
    for (int i = 0; i < 2; i++) {
        close(clients[i]);
        close(upstreams[i]);
    }
    road_end(&road);
}

/* Keys of one account rest together, and are back together. */
static void test_account(void **state)
{
    static const char *const lines[] = {
        "\"message\":\"account set aside\",\"provider\":\"up\",\"account\":\"org\","
        "\"key\":\"one\",\"cause\":\"depleted\",\"until\":\"2023-11-14T22:23:20.000Z\"}",
        "\"level\":\"info\",\"message\":\"account is in use again\",\"provider\":\"up\","
        "\"account\":\"org\"",
        NULL};
    struct scene scene;

    (void)state;
    scene_open(&scene, "providers: {up: {kind: compatible, base_url: '@a',\n"
                       "  health: {validate_new: false, depleted: 10m},\n"
                       "  keys: [{name: one, secret: key-one, account: org},\n"
                       "    {name: two, secret: key-two, account: org}]}}\n"
                       "clients: {open: true}\nserver: {timeouts: {idle: 1h}}\n");
    scene_reply(&scene, 402, "", "{\"error\":{}}");
    road_expect_error(&scene.road, scene.client, 503, "upstream_depleted");
    road_pass_ms(&scene.road, 600001);
    for (int i = 0; i < 2; i++)
        scene.upstream = serve(&scene.road, scene.client, scene.upstream);
    expect_lines(&scene.road, lines);
    scene_end(&scene);
}

/* No key is free for a model: told when the first is refused, and when one is served again. What
 * becomes of other models meanwhile is no matter of it. */
static void test_no_key(void **state)
{
    static const char *const lines[] = {
        "\"level\":\"warning\",\"message\":\"no key is free: a request was refused\","
        "\"provider\":\"up\",\"model\":\"m\",\"cause\":\"no_capacity\","
        "\"until\":\"2023-11-14T22:13:50.000Z\"}",
        "\"level\":\"info\",\"message\":\"a key is free again\",\"provider\":\"up\","
        "\"model\":\"m\"}",
        "no key is free", "a key is free", NULL};
    struct scene scene;

    (void)state;
    scene_begin(&scene, two_keys);
    for (int i = 0; i < 5; i++) {
        scene_chat(&scene);
        if (i == 0) {
            scene_attempt(&scene, "key-one");
            scene_reply(&scene, 429, "Retry-After: 30\r\n",
                        "{\"error\":{\"type\":\"engine_overloaded\"}}");
        }
        road_expect_error(&scene.road, scene.client, 503, "overloaded");
    }
    road_post(&scene.road, scene.client, "/v1/chat/completions", "",
              "{\"model\":\"up/n\",\"messages\":[]}");
    scene_attempt(&scene, "key-two");
    scene_serve(&scene);
    road_pass_ms(&scene.road, 30001);
    for (int i = 0; i < 3; i++)
        scene.upstream = serve(&scene.road, scene.client, scene.upstream);
    expect_lines(&scene.road, lines);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),     cmocka_unit_test(test_model),
        cmocka_unit_test(test_endpoint), cmocka_unit_test(test_address),
        cmocka_unit_test(test_account),  cmocka_unit_test(test_no_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A configuration loaded anew under way: an exchange keeps to the one that it began with. */
#include "scene.h"

#include "base/alloc.h"

static const char first[] =
    "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
    "  keys: [{name: one, secret: key-one, limits: {concurrent: 1}}]}}\n"
    "models: {m: up/m}\n"
    "clients: {open: true}\n";

static const char moved[] =
    "providers: {up: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
    "  keys: [{name: one, secret: key-one, limits: {concurrent: 1}}]}}\n"
    "models: {m: up/m}\n"
    "clients: {open: true}\n";

static const char other_provider[] =
    "providers: {other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
    "  keys: [{name: two, secret: key-two}]}}\n"
    "models: {m: other/n}\n"
    "clients: {open: true}\n";

static void ask(struct road *road, int client, bool is_streaming)
{
    road_post(road, client, "/v1/chat/completions", "",
              is_streaming ? "{\"model\":\"m\",\"stream\":true,\"messages\":[]}"
                           : "{\"model\":\"m\",\"messages\":[]}");
}

/* The provider is gone from the file: its stream goes on to its end, the next goes elsewhere. */
static void test_stream_goes_on(void **state)
{
    struct road road;
    int clients[2], upstreams[2];

    (void)state;
    road_begin(&road, first);
    clients[0] = road_connect(&road);
    ask(&road, clients[0], true);
    upstreams[0] = road_attempt_with(&road, 'a', -1, "key-one");
    road_stream_head(&road, upstreams[0]);
    road_stream(&road, upstreams[0], road_chunk);
    road_reload(&road, other_provider);
    clients[1] = road_connect(&road);
    ask(&road, clients[1], false);
    upstreams[1] = road_attempt_with(&road, 'b', -1, "key-two");
    road_reply_ok(&road, upstreams[1]);
    road_expect(&road, clients[1], 200, road_ok);
    road_stream(&road, upstreams[0], road_finish);
    road_stream(&road, upstreams[0], road_done);
    road_stream_end(&road, upstreams[0]);
    road_expect(&road, clients[0], 200, NULL);
    /* Nobody is bound to the old endpoint any more: its kept connection goes too. */
    road_expect_closed(&road, upstreams[0]);
    for (int i = 0; i < 2; i++) {
        close(clients[i]);
        close(upstreams[i]);
    }
    road_end(&road);
}

/* One that waits for a key goes on waiting for it; its next try finds the endpoint it began with.
 */
static void test_waiting_goes_on(void **state)
{
    struct road road;
    int clients[3], upstream, upstream_b;

    (void)state;
    road_begin(&road, first);
    for (int i = 0; i < 2; i++) {
        clients[i] = road_connect(&road);
        ask(&road, clients[i], false);
    }
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reload(&road, moved);
    /* The key is the same and busy, for the new configuration as well. */
    clients[2] = road_connect(&road);
    ask(&road, clients[2], false);
    road_expect_no_attempt(&road, 'b', -1);
    road_reply_ok(&road, upstream);
    road_expect(&road, clients[0], 200, road_ok);
    upstream = road_attempt_with(&road, 'a', upstream, "key-one");
    road_reply_ok(&road, upstream);
    road_expect(&road, clients[1], 200, road_ok);
    upstream_b = road_attempt_with(&road, 'b', -1, "key-one");
    road_reply_ok(&road, upstream_b);
    road_expect(&road, clients[2], 200, road_ok);
    assert_int_equal(road_now_ms(&road), 0);
    scene_close_all(clients, 3);
    close(upstream);
    close(upstream_b);
    road_end(&road);
}

/* A key that was set aside stays so; a new one is used at once by who waits. */
static void test_state_is_kept(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, first);
    ask(&scene.road, scene.client, false);
    scene_attempt(&scene, "key-one");
    scene_reply(&scene, 429, "Retry-After: 40\r\n", "{}");
    road_expect_error(&scene.road, scene.client, 429, "rate_limit_exceeded");
    road_reload(&scene.road, first);
    ask(&scene.road, scene.client, false);
    road_expect_error(&scene.road, scene.client, 429, "rate_limit_exceeded");
    scene_expect_no_attempt(&scene);
    road_reload(
        &scene.road,
        "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "  keys: [{name: one, secret: key-one}, {name: two, secret: key-two}]}}\n"
        "models: {m: up/m}\n"
        "clients: {open: true}\n");
    ask(&scene.road, scene.client, false);
    scene_attempt(&scene, "key-two");
    scene_serve(&scene);
    scene_end(&scene);
}

/* The key of an attempt under way is gone: what it ends with is booked all the same. */
static void test_key_goes(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, first);
    ask(&scene.road, scene.client, false);
    scene_attempt(&scene, "key-one");
    road_reload(
        &scene.road,
        "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "  keys: [{name: two, secret: key-two}]}}\n"
        "models: {m: up/m}\n"
        "clients: {open: true}\n");
    scene_reply(&scene, 500, "", "{}");
    /* The try that follows may use the key that is there now. */
    scene_attempt(&scene, "key-two");
    scene_serve(&scene);
    scene_end(&scene);
}

/* Fewer connections are allowed than stand, and a kept one turns out to be dead: its request stands
 * in line for another. */
static void test_fewer_connections(void **state)
{
    static const char one_connection[] =
        "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "  connections: {max: 1}, keys: [{name: one, secret: key-one}]}}\n"
        "models: {m: up/m}\n"
        "clients: {open: true}\n";
    struct road road;
    int clients[2], upstreams[2];

    (void)state;
    road_begin(&road,
               "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
               "  keys: [{name: one, secret: key-one}]}}\n"
               "models: {m: up/m}\n"
               "clients: {open: true}\n");
    for (int i = 0; i < 2; i++) {
        clients[i] = road_connect(&road);
        ask(&road, clients[i], false);
        upstreams[i] = road_attempt_with(&road, 'a', -1, "key-one");
    }
    for (int i = 0; i < 2; i++) {
        road_reply_ok(&road, upstreams[i]);
        road_expect(&road, clients[i], 200, road_ok);
    }
    road_reload(&road, one_connection);
    ask(&road, clients[1], false); /* on the one used last */
    ask(&road, clients[0], false);
    road_take(&road, upstreams[1]);
    road_take(&road, upstreams[0]);
    close(upstreams[0]);
    road_expect_no_attempt(&road, 'a', -1);
    road_reply_ok(&road, upstreams[1]);
    road_expect(&road, clients[1], 200, road_ok);
    upstreams[1] = road_attempt_with(&road, 'a', upstreams[1], "key-one");
    road_reply_ok(&road, upstreams[1]);
    road_expect(&road, clients[0], 200, road_ok);
    scene_close_all(clients, 2);
    close(upstreams[1]);
    road_end(&road);
}

/* Another kind at the same URL has paths of its own. */
static void test_kind_changes(void **state)
{
    struct road road;
    int client, upstream;
    char *heard;

    (void)state;
    road_begin(&road, first);
    road_reload(&road,
                "providers: {up: {kind: anthropic, base_url: '@a', health: {validate_new: false},\n"
                "  keys: [{name: one, secret: key-one}]}}\n"
                "models: {m: up/m}\n"
                "clients: {open: true}\n");
    client = road_connect(&road);
    road_post(&road, client, "/v1/messages", "",
              "{\"model\":\"m\",\"max_tokens\":1,\"messages\":[]}");
    upstream = road_attempt(&road, 'a', -1, &heard);
    assert_int_equal(strncmp(heard, "POST /v1/messages HTTP/1.1\r\n", 28), 0);
    mem_free(heard);
    close(upstream);
    close(client);
    road_end(&road);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kind_changes),    cmocka_unit_test(test_stream_goes_on),
        cmocka_unit_test(test_waiting_goes_on), cmocka_unit_test(test_state_is_kept),
        cmocka_unit_test(test_key_goes),        cmocka_unit_test(test_fewer_connections),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

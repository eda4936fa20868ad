/* Shadows: that real exchanges come first, and how shadows end. */
#include "mirror.h"

#include <poll.h>
#include <sys/socket.h>

#include "base/alloc.h"

/* ---- who comes first ---- */

/* One provider for both: its key may be used twice at once, and a shadow takes no more than half.
 */
static void test_a_real_exchange_takes_the_shadows_place(void **state)
{
    static const char yaml[] =
        "providers:\n"
        "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
        "    keys: [{name: two, secret: key-two, limits: {concurrent: 2}}]}\n"
        "models: {up/m: {targets: [other/m], shadow: {to: other/n, share: 100%}}}\n"
        "clients: {open: true}\n";
    struct road road;
    int clients[3], shadow, first, second;

    road_begin(&road, yaml);
    for (int i = 0; i < 3; i++)
        clients[i] = road_connect(&road);
    road_chat(&road, clients[0]);
    first = road_attempt_with(&road, 'b', -1, "key-two");
    road_reply_ok(&road, first);
    road_expect(&road, clients[0], 200, road_ok);
    shadow = road_attempt_with(&road, 'b', first, "key-two");
    /* One place is left, and one real exchange has it. */
    road_chat(&road, clients[1]);
    first = road_attempt_with(&road, 'b', -1, "key-two");
    assert_int_equal(road.host.shadows.count, 2);
    /* The next one would have to wait: the shadow gives way. */
    road_chat(&road, clients[2]);
    second = road_attempt_with(&road, 'b', -1, "key-two");
    road_expect_closed(&road, shadow);
    assert_int_equal(road_now_ms(&road), 0);
    road_reply_ok(&road, first);
    road_expect(&road, clients[1], 200, road_ok);
    /* Nor does one begin where no place is to spare. */
    road_expect_no_attempt(&road, 'b', first);
    road_reply_ok(&road, second);
    road_expect(&road, clients[2], 200, road_ok);
    exchange_host_cut(&road.host);
    close(first);
    close(second);
    scene_close_all(clients, 3);
    road_end(&road);
}

/* Nor does it go to another target for a shadow's sake. */
static void test_a_real_exchange_keeps_its_target(void **state)
{
    static const char yaml[] =
        "providers:\n"
        "  up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "    keys: [{name: one, secret: key-one}]}\n"
        "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
        "    keys: [{name: two, secret: key-two, limits: {concurrent: 2}}]}\n"
        "models: {up/m: {targets: [other/m], fallback: [up/m],\n"
        "  shadow: {to: other/n, share: 100%}}}\n"
        "clients: {open: true}\n";
    struct road road;
    int clients[3], shadow, first, second;

    road_begin(&road, yaml);
    for (int i = 0; i < 3; i++)
        clients[i] = road_connect(&road);
    road_chat(&road, clients[0]);
    first = road_attempt_with(&road, 'b', -1, "key-two");
    road_reply_ok(&road, first);
    road_expect(&road, clients[0], 200, road_ok);
    shadow = road_attempt_with(&road, 'b', first, "key-two");
    road_chat(&road, clients[1]);
    first = road_attempt_with(&road, 'b', -1, "key-two");
    road_chat(&road, clients[2]);
    second = road_attempt_with(&road, 'b', -1, "key-two");
    road_expect_closed(&road, shadow);
    assert_int_equal(road_try_accept(&road, 'a'), -1);
    road_reply_ok(&road, first);
    road_expect(&road, clients[1], 200, road_ok);
    road_reply_ok(&road, second);
    road_expect(&road, clients[2], 200, road_ok);
    exchange_host_cut(&road.host);
    close(first);
    close(second);
    scene_close_all(clients, 3);
    road_end(&road);
}

static void test_a_real_exchange_takes_the_shadows_connection(void **state)
{
    static const char yaml[] =
        "providers:\n"
        "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
        "    connections: {max: 2}, keys: [{name: two, secret: key-two}]}\n"
        "models: {up/m: {targets: [other/m], shadow: {to: other/n, share: 100%}}}\n"
        "clients: {open: true}\n";
    struct road road;
    int clients[3], shadow, first, second;

    road_begin(&road, yaml);
    for (int i = 0; i < 3; i++)
        clients[i] = road_connect(&road);
    road_chat(&road, clients[0]);
    first = road_attempt_with(&road, 'b', -1, "key-two");
    road_reply_ok(&road, first);
    road_expect(&road, clients[0], 200, road_ok);
    shadow = road_attempt_with(&road, 'b', first, "key-two");
    road_chat(&road, clients[1]);
    first = road_attempt_with(&road, 'b', -1, "key-two");
    road_chat(&road, clients[2]);
    second = road_attempt_with(&road, 'b', -1, "key-two");
    road_expect_closed(&road, shadow);
    assert_int_equal(road_now_ms(&road), 0);
    road_reply_ok(&road, first);
    road_expect(&road, clients[1], 200, road_ok);
    road_reply_ok(&road, second);
    road_expect(&road, clients[2], 200, road_ok);
    exchange_host_cut(&road.host);
    close(first);
    close(second);
    scene_close_all(clients, 3);
    road_end(&road);
}

static bool has_news(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};

    return poll(&look, 1, 0) > 0;
}

/* The end of an answer is on its way to the client before the first byte of a shadow, be it large.
 */
static void test_the_client_is_served_first(void **state)
{
    struct scene scene;
    struct buf body;
    int shadow;

    scene_begin(&scene, mirror_yaml);
    mirror_serve(&scene);
    shadow = mirror_shadow(&scene, NULL);
    road_reply_ok(&scene.road, shadow);
    wire_settle(scene.road.loop);
    road_help(&scene.road);
    buf_init(&body, 1 << 20);
    buf_append_span(&body, SPAN("{\"model\":\"up/m\",\"messages\":["));
    while (body.len < 30000)
        buf_append_span(&body, SPAN("{\"role\":\"user\",\"content\":\"Hello\"},"));
    buf_append(&body, "{}]}", sizeof("{}]}"));
    road_post(&scene.road, scene.client, "/v1/chat/completions", "", body.data);
    scene_attempt(&scene, "key-one");
    (void)send(scene.upstream, mirror_ok_answer, strlen(mirror_ok_answer), MSG_NOSIGNAL);
    for (int turns = 0; !has_news(shadow); turns++) {
        assert_in_range(turns, 0, 20);
        loop_turn(scene.road.loop, 0);
    }
    assert_true(has_news(scene.client));
    buf_fini(&body);
    close(shadow);
    scene_end(&scene);
}

static void test_a_key_of_its_own(void **state)
{
    static const char yaml[] =
        "providers:\n"
        "  up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "    keys: [{name: one, secret: key-one}, {name: new, secret: key-new, weight: 0}]}\n"
        "models: {up/m: {targets: [up/m], shadow: {to: up/m, key: new, share: 100%}}}\n"
        "clients: {open: true}\n";
    struct road road;
    int client, upstream;

    road_begin(&road, yaml);
    client = road_connect(&road);
    for (int i = 0; i < 3; i++) {
        road_chat(&road, client);
        upstream = road_attempt_with(&road, 'a', i ? upstream : -1, "key-one");
        road_reply_ok(&road, upstream);
        road_expect(&road, client, 200, road_ok);
        upstream = road_attempt_with(&road, 'a', upstream, "key-new");
        road_reply_ok(&road, upstream);
        wire_settle(road.loop);
        road_help(&road);
    }
    close(upstream);
    close(client);
    road_end(&road);
}

/* ---- the end ---- */

/* At the end, at a reload, with a helper at work or without one: nothing is left of it. */
static void test_dropped_at_any_time(void **state)
{
    struct scene scene;
    int shadow;

    for (int place = 0; place < 4; place++) {
        scene_begin(&scene, MIRROR_YAML("kind: anthropic", ""));
        mirror_serve(&scene);
        assert_int_equal(road_jobs(&scene.road), 1); /* the body is to be told anew */
        if (place == 1)
            road_refuse_help(&scene.road);
        if (place >= 2)
            road_help(&scene.road);
        shadow = place >= 2 ? mirror_shadow(&scene, NULL) : -1;
        if (place == 3) {
            road_reply(&scene.road, shadow, 200, "", "{}");
            wire_settle(scene.road.loop);
            assert_int_equal(road_jobs(&scene.road), 1); /* they are to be compared */
        }
        road_reload(&scene.road, mirror_plain_yaml);
        exchange_host_cut(&scene.road.host);
        road_help(&scene.road);
        assert_int_equal(scene.road.host.shadows.count, 0);
        mirror_expect_skipped(&scene.road, place == 1 ? SHADOW_SKIP_BUSY : SHADOW_SKIP_YIELDED, 1);
        if (shadow >= 0)
            close(shadow);
        scene_end(&scene);
    }
}

static void test_bounded_number(void **state)
{
    enum { CLIENTS = SHADOWS_AT_ONCE + 3 };
    struct shadow_report *report;
    int clients[CLIENTS], upstreams[CLIENTS], shadows[SHADOWS_AT_ONCE];
    struct road road;

    road_begin(&road, mirror_yaml);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = road_connect(&road);
        road_chat(&road, clients[i]);
        upstreams[i] = road_attempt_with(&road, 'a', -1, "key-one");
    }
    for (int i = 0; i < CLIENTS; i++) {
        road_reply_ok(&road, upstreams[i]);
        road_expect(&road, clients[i], 200, road_ok);
    }
    for (int i = 0; i < SHADOWS_AT_ONCE; i++)
        shadows[i] = road_attempt_with(&road, 'b', -1, "key-two");
    assert_int_equal(road_try_accept(&road, 'b'), -1);
    report = mirror_report(&road);
    assert_int_equal(report->skipped[SHADOW_SKIP_BUSY], 3);
    mem_free(report);
    exchange_host_cut(&road.host);
    scene_close_all(shadows, SHADOWS_AT_ONCE);
    scene_close_all(upstreams, CLIENTS);
    scene_close_all(clients, CLIENTS);
    road_end(&road);
}

/* ---- without memory ---- */

/* Says it to whoever has connected there. */
static void say_to_all(struct road *road, char name, const char *text, int *fds, int *count)
{
    int fd;

    wire_settle(road->loop);
    while ((fd = road_try_accept(road, name)) >= 0) {
        fds[(*count)++] = fd;
        wire_settle(road->loop);
        (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
        wire_settle(road->loop);
    }
}

/* An exchange and its shadow, in which the n-th allocation fails: false once n lies beyond them. */
static bool play_short_of_memory(long n)
{
    static const char request[] = "POST /v1/chat/completions HTTP/1.1\r\nHost: gw\r\n"
                                  "Content-Length: 64\r\n\r\n{\"model\":\"up/m\",\"messages\":["
                                  "{\"role\":\"user\",\"content\":\"Hello\"}]} ",
                      other[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                "Content-Length: 132\r\n\r\n"
                                "{\"type\":\"message\",\"role\":\"assistant\",\"model\":\"n\","
                                "\"content\":[{\"type\":\"text\",\"text\":\"Hello\"}],"
                                "\"stop_reason\":\"end_turn\"}               ";
    int fds[64], count = 0, client;
    bool has_failed;
    struct road road;

    road_begin(&road, MIRROR_YAML("kind: anthropic", ""));
    client = road_connect(&road);
    mem_fail_after(n);
    (void)send(client, request, sizeof(request) - 1, MSG_NOSIGNAL);
    for (int i = 0; i < 4; i++) {
        say_to_all(&road, 'a', mirror_ok_answer, fds, &count);
        road_help(&road);
        say_to_all(&road, 'b', other, fds, &count);
        road_help(&road);
    }
    has_failed = !mem_fail_is_pending();
    mem_fail_after(-1);
    road_pass_ms(&road, 700000);
    road_help(&road);
    assert_int_equal(road.host.shadows.count, 0);
    if (!has_failed)
        mirror_expect_counts(&road, 1, 1, 0);
    scene_close_all(fds, count);
    close(client);
    road_end(&road);
    return has_failed;
}

static void test_without_memory(void **state)
{
    long n = 0;

    if (!wire_can_fail())
        skip();
    while (play_short_of_memory(n))
        n++;
    print_message("           %ld allocations\n", n);
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_real_exchange_takes_the_shadows_place),
        cmocka_unit_test(test_a_real_exchange_keeps_its_target),
        cmocka_unit_test(test_a_real_exchange_takes_the_shadows_connection),
        cmocka_unit_test(test_the_client_is_served_first),
        cmocka_unit_test(test_a_key_of_its_own),
        cmocka_unit_test(test_dropped_at_any_time),
        cmocka_unit_test(test_bounded_number),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

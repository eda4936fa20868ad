/* Clients that leave, or end their side, in ways of their own. */
#include "scene.h"

#include <sys/socket.h>

/* The connection is still being made: TLS towards somebody who says nothing. */
static void test_client_leaves_while_connecting(void **state)
{
    struct scene scene;
    int listener;

    (void)state;
    listener = scene_begin_deaf(&scene, "");
    road_pass_ms(&scene.road, 4000);
    road_expect_silence(&scene.road, scene.client);
    scene_leave(&scene);
    assert_int_equal(scene.road.host.exchange_count, 0);
    scene_end(&scene);
    close(listener);
}

/* half_close: answer. */
static void test_half_closed_and_answered(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(
        &scene,
        "server: {half_close: answer}\n"
        "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "  keys: [{name: one, secret: key-one}]}}\n"
        "clients: {open: true}\n");
    scene_chat(&scene);
    shutdown(scene.client, SHUT_WR);
    scene_attempt(&scene, "key-one");
    road_pass_ms(&scene.road, 1000);
    scene_serve(&scene);
    road_expect_closed(&scene.road, scene.client);
    scene_end(&scene);
}

/* A client that sends its next request behind the one under way, and leaves. */
static void test_pipelined_then_gone(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, road_one_key);
    scene_chat(&scene);
    scene_chat(&scene);
    scene_attempt(&scene, "key-one");
    scene_expect_no_attempt(&scene);
    road_reply_ok(&scene.road, scene.upstream);
    scene_attempt(&scene, "key-one");
    scene_leave(&scene);
    road_expect_closed(&scene.road, scene.upstream);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_leaves_while_connecting),
        cmocka_unit_test(test_half_closed_and_answered),
        cmocka_unit_test(test_pipelined_then_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

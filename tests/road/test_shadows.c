/* Shadows: what is mirrored and what is not, and what is known of it. */
#include "mirror.h"

#include "base/alloc.h"

/* ---- compared ---- */

static void test_an_exchange_is_mirrored(void **state)
{
    struct scene scene;
    char *heard;
    int shadow;

    scene_begin(&scene, mirror_yaml);
    road_post(&scene.road, scene.client, "/v1/chat/completions",
              "Authorization: Bearer client-key\r\nIdempotency-Key: abc\r\nTraceparent: 00-1\r\n"
              "Cookie: a=b\r\n",
              "{\"model\":\"up/m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}");
    scene_attempt(&scene, "key-one");
    /* Not before the real one has its answer. */
    wire_settle(scene.road.loop);
    assert_int_equal(road_try_accept(&scene.road, 'b'), -1);
    scene_serve(&scene);
    shadow = mirror_shadow(&scene, &heard);
    assert_non_null(strstr(heard, "POST /v1/chat/completions HTTP/1.1\r\n"));
    assert_non_null(strstr(heard, "\r\n\r\n{\"model\":\"n\",\"messages\":[{\"role\":\"user\","
                                  "\"content\":\"Hi\"}]}"));
    assert_null(strstr(heard, "client-key"));
    assert_null(strstr(heard, "abc"));
    assert_null(strstr(heard, "00-1"));
    assert_null(strstr(heard, "a=b"));
    mem_free(heard);
    road_pass_ms(&scene.road, 40);
    road_reply_ok(&scene.road, shadow);
    wire_settle(scene.road.loop);
    road_help(&scene.road);
    mirror_expect_counts(&scene.road, 1, 1, 0);
    road_expect_silence(&scene.road, scene.client);
    /* The connection is kept, and the next one goes the same way. */
    mirror_serve(&scene);
    shadow = road_attempt_with(&scene.road, 'b', shadow, "key-two");
    road_reply(&scene.road, shadow, 200, "", mirror_other_words);
    wire_settle(scene.road.loop);
    road_help(&scene.road);
    mirror_expect_counts(&scene.road, 2, 2, 1);
    close(shadow);
    scene_end(&scene);
}

static void test_report_has_both_sides(void **state)
{
    struct scene scene;
    struct shadow_report *report;
    int shadow;

    scene_begin(&scene, mirror_yaml);
    scene_chat(&scene);
    scene_attempt(&scene, "key-one");
    road_pass_ms(&scene.road, 200);
    scene_serve(&scene);
    shadow = mirror_shadow(&scene, NULL);
    road_pass_ms(&scene.road, 300);
    road_reply(&scene.road, shadow, 200, "", mirror_other_words);
    wire_settle(scene.road.loop);
    road_help(&scene.road);
    report = mirror_report(&scene.road);
    assert_int_equal(report->diverged[DIVERGENCE_FINISH], 1);
    assert_int_equal(report->diverged[DIVERGENCE_SIMILARITY], 1);
    assert_in_range(shadow_sketch_us(&report->real.total, 500), 190000, 210000);
    assert_in_range(shadow_sketch_us(&report->shadow.total, 500), 285000, 315000);
    assert_in_range(shadow_report_added_us(report, 500), 94000, 106000);
    assert_int_equal(report->shadow.tokens, 7);
    assert_int_equal(report->spent.requests, 1);
    assert_int_equal(report->spent.tokens, 12);
    assert_int_equal(report->spent.pico_usd, 5 * 15000000ull + 7 * 75000000ull);
    assert_int_equal(report->recent_count, 1);
    mem_free(report);
    close(shadow);
    scene_end(&scene);
}

/* By the prices: of the shadow, and of its key. */
static void test_what_it_costs(void **state)
{
    static const char yaml[] =
        "providers:\n"
        "  up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "    keys: [{name: one, secret: key-one}]}\n"
        "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
        "    keys: [{name: two, secret: key-two}]}\n"
        "models: {up/m: {targets: [up/m], shadow: {to: other/n, share: 100%}}}\n"
        "prices: {other/n: {input: 2, output: 10}}\n"
        "clients: {open: true}\n";
    struct shadow_report *report;
    struct scene scene;
    int shadow;

    scene_begin(&scene, yaml);
    mirror_serve(&scene);
    shadow = mirror_shadow(&scene, NULL);
    road_reply(&scene.road, shadow, 200, "", mirror_other_words);
    wire_settle(scene.road.loop);
    road_help(&scene.road);
    report = mirror_report(&scene.road);
    assert_int_equal(report->spent.pico_usd, 5 * 2000000 + 7 * 10000000);
    mem_free(report);
    assert_int_equal(mirror_spent_on(&scene.road, SPAN("two")), 80000);
    assert_int_equal(mirror_spent_on(&scene.road, SPAN("one")), 0);
    close(shadow);
    scene_end(&scene);
}

/* The price of the hour in which it went, though its answer comes in the next: the road begins at
 * 22:13:20 UTC. */
static void test_what_it_costs_as_the_hour_ends(void **state)
{
    static const char yaml[] =
        "providers:\n"
        "  up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "    keys: [{name: one, secret: key-one}]}\n"
        "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
        "    keys: [{name: two, secret: key-two}]}\n"
        "models: {up/m: {targets: [up/m], shadow: {to: other/n, share: 100%}}}\n"
        "prices: {other/n: {input: 2, output: 10, peak: {hours: ['22:14-23:00'], input: 4,\n"
        "  output: 20}}}\n"
        "clients: {open: true}\n";
    struct shadow_report *report;
    struct scene scene;
    int shadow;

    (void)state;
    scene_begin(&scene, yaml);
    loop_set_wall_on(scene.road.loop, INT64_C(35) * US_PER_SEC);
    mirror_serve(&scene);
    shadow = mirror_shadow(&scene, NULL);
    road_pass_ms(&scene.road, 6000);
    road_reply(&scene.road, shadow, 200, "", mirror_other_words);
    wire_settle(scene.road.loop);
    road_help(&scene.road);
    report = mirror_report(&scene.road);
    assert_int_equal(report->spent.pico_usd, 5 * 2000000 + 7 * 10000000);
    mem_free(report);
    close(shadow);
    scene_end(&scene);
}

/* Its key is taken from it, or all ends, while the answers are compared: it has cost all the same,
 * about what the real one would have there, and once. */
static void test_what_it_costs_unread(void **state)
{
    static const char yaml[] =
        "providers:\n"
        "  up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "    keys: [{name: one, secret: key-one}]}\n"
        "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
        "    keys: [{name: two, secret: key-two, limits: {concurrent: 2}}]}\n"
        "models: {up/m: {targets: [up/m], shadow: {to: other/n, share: 100%}}, plain: other/p}\n"
        "prices: {other/n: {input: 2, output: 10}}\n"
        "clients: {open: true}\n";
    struct scene scene;
    int shadow, clients[2], upstreams[2];

    for (int is_end = 0; is_end < 2; is_end++) {
        scene_begin(&scene, yaml);
        scene_chat(&scene);
        scene_attempt(&scene, "key-one");
        road_reply(&scene.road, scene.upstream, 200, "", mirror_other_words);
        shadow = mirror_shadow(&scene, NULL);
        road_reply(&scene.road, shadow, 200, "", mirror_other_words);
        wire_settle(scene.road.loop);
        assert_int_equal(road_jobs(&scene.road), 1);
        assert_int_equal(mirror_spent_on(&scene.road, SPAN("two")), 0);
        for (int i = 0; i < 2 && !is_end; i++) {
            clients[i] = road_connect(&scene.road);
            road_post(&scene.road, clients[i], "/v1/chat/completions", "",
                      "{\"model\":\"plain\",\"messages\":[]}");
            upstreams[i] = road_attempt_with(&scene.road, 'b', i ? -1 : shadow, "key-two");
        }
        if (is_end)
            exchange_host_cut(&scene.road.host);
        assert_int_equal(mirror_spent_on(&scene.road, SPAN("two")), 80000);
        road_help(&scene.road);
        assert_int_equal(mirror_spent_on(&scene.road, SPAN("two")), 80000);
        exchange_host_cut(&scene.road.host);
        if (!is_end) {
            scene_close_all(clients, 2);
            scene_close_all(upstreams, 2);
        } else {
            close(shadow);
        }
        scene_end(&scene);
    }
}

static void test_streams(void **state)
{
    struct scene scene;
    int shadow;

    scene_begin(&scene, mirror_yaml);
    scene_chat_stream(&scene);
    scene_attempt(&scene, "key-one");
    scene_stream_head(&scene);
    scene_stream(&scene, road_chunk);
    /* The request's body is held no longer at the cost of requests. */
    wire_settle(scene.road.loop);
    assert_int_equal(scene.road.host.lease.used, 0);
    scene_stream(&scene, road_finish);
    scene_stream(&scene, road_done);
    scene_stream_end(&scene);
    road_expect(&scene.road, scene.client, 200, NULL);
    shadow = mirror_shadow(&scene, NULL);
    road_stream_head(&scene.road, shadow);
    road_stream(&scene.road, shadow, road_chunk);
    road_stream(&scene.road, shadow, road_finish);
    road_stream(&scene.road, shadow, road_done);
    road_stream_end(&scene.road, shadow);
    wire_settle(scene.road.loop);
    road_help(&scene.road);
    mirror_expect_counts(&scene.road, 1, 1, 0);
    close(shadow);
    scene_end(&scene);
}

/* The target speaks another dialect: a helper tells the body anew, and reads both answers. */
static void test_another_dialect(void **state)
{
    struct scene scene;
    char *heard;
    int shadow;

    scene_begin(&scene, MIRROR_YAML("kind: anthropic", ""));
    mirror_serve(&scene);
    assert_int_equal(road_jobs(&scene.road), 1);
    road_help(&scene.road);
    shadow = mirror_shadow(&scene, &heard);
    assert_non_null(strstr(heard, "POST /v1/messages HTTP/1.1\r\n"));
    assert_non_null(strstr(heard, "\"model\":\"n\""));
    mem_free(heard);
    road_reply(&scene.road, shadow, 200, "",
               "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"n\","
               "\"content\":[{\"type\":\"text\",\"text\":\"Quite another thing\"}],"
               "\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}");
    wire_settle(scene.road.loop);
    road_help(&scene.road);
    mirror_expect_counts(&scene.road, 1, 1, 1);
    close(shadow);
    scene_end(&scene);
}

/* The one refuses the request and the other does not: whichever it is. */
static void test_a_side_that_refuses(void **state)
{
    static const char refusal[] = "{\"error\":{\"message\":\"No.\",\"code\":null}}";
    struct scene scene;
    int shadow;

    for (int real = 0; real < 2; real++) {
        for (int own = 0; own < 2; own++) {
            scene_begin(&scene, mirror_yaml);
            scene_chat(&scene);
            scene_attempt(&scene, "key-one");
            road_reply(&scene.road, scene.upstream, real ? 400 : 200, "", real ? refusal : road_ok);
            road_expect(&scene.road, scene.client, real ? 400 : 200, NULL);
            shadow = mirror_shadow(&scene, NULL);
            road_reply(&scene.road, shadow, own ? 422 : 200, "", own ? refusal : road_ok);
            wire_settle(scene.road.loop);
            road_help(&scene.road);
            mirror_expect_counts(&scene.road, 1, 1, real != own);
            close(shadow);
            scene_end(&scene);
        }
    }
}

/* ---- not mirrored ---- */

static void test_what_is_not_mirrored(void **state)
{
    struct scene scene;

    /* The client left. */
    scene_begin(&scene, mirror_yaml);
    scene_chat(&scene);
    scene_attempt(&scene, "key-one");
    scene_leave(&scene);
    mirror_expect_none(&scene);
    mirror_expect_skipped(&scene.road, SHADOW_SKIP_REAL, 1);
    scene_end(&scene);
    /* The provider failed. */
    scene_begin(&scene, mirror_yaml);
    scene_chat(&scene);
    for (int i = 0; i < 3; i++) {
        scene_attempt(&scene, "key-one");
        scene_reply(&scene, 500, "", "{}");
        road_pass_ms(&scene.road, 1000);
    }
    mirror_expect_none(&scene);
    mirror_expect_skipped(&scene.road, SHADOW_SKIP_REAL, 1);
    scene_end(&scene);
    /* An embedding. */
    scene_begin(&scene, mirror_yaml);
    road_post(&scene.road, scene.client, "/v1/embeddings", "",
              "{\"model\":\"up/m\",\"input\":\"Hi\"}");
    scene_attempt(&scene, "key-one");
    scene_reply(&scene, 200, "", "{\"data\":[]}");
    mirror_expect_none(&scene);
    mirror_expect_skipped(&scene.road, SHADOW_SKIP_REQUEST, 1);
    scene_end(&scene);
}

static void test_a_share_is_drawn(void **state)
{
    static const char yaml[] =
        "providers:\n"
        "  up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "    keys: [{name: one, secret: key-one}]}\n"
        "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
        "    keys: [{name: two, secret: key-two, limits: {concurrent: 1}}]}\n"
        "models: {up/m: {targets: [up/m], shadow: {to: other/n, share: 20%}}}\n"
        "clients: {open: true}\n";
    struct shadow_report *report;
    struct scene scene;

    /* No key of the target ever has room to spare. */
    scene_begin(&scene, yaml);
    for (int i = 0; i < 200; i++)
        mirror_serve(&scene);
    report = mirror_report(&scene.road);
    assert_in_range(report->drawn, 25, 55);
    assert_int_equal(report->skipped[SHADOW_SKIP_KEY], report->drawn);
    mem_free(report);
    scene_end(&scene);
}

static void test_budget(void **state)
{
    struct scene scene;
    char *log;
    int shadow;

    scene_begin(&scene, MIRROR_YAML("kind: compatible", ", budget: {requests: 1, per: hour}"));
    mirror_serve(&scene);
    shadow = mirror_shadow(&scene, NULL);
    road_reply_ok(&scene.road, shadow);
    wire_settle(scene.road.loop);
    road_help(&scene.road);
    for (int i = 0; i < 3; i++) {
        mirror_serve(&scene);
        road_expect_no_attempt(&scene.road, 'b', shadow);
    }
    mirror_expect_counts(&scene.road, 4, 1, 0);
    /* The clock of these tests began at 22:13:20. */
    road_pass_ms(&scene.road, 47 * 60 * 1000);
    close(scene.client);
    scene.client = road_connect(&scene.road);
    mirror_serve(&scene);
    shadow = road_attempt_with(&scene.road, 'b', shadow, "key-two");
    road_reply_ok(&scene.road, shadow);
    wire_settle(scene.road.loop);
    road_help(&scene.road);
    mirror_expect_counts(&scene.road, 5, 2, 0);
    log = road_log(&scene.road);
    assert_int_equal(road_count(log, "the budget of a shadow is used up"), 1);
    mem_free(log);
    close(shadow);
    scene_end(&scene);
}

/* ---- too long ---- */

static void test_an_answer_that_is_too_long(void **state)
{
    char *body = mem_alloc(SHADOW_KEPT_BYTES + 1000);
    struct scene scene;
    int shadow;

    memset(body, ' ', SHADOW_KEPT_BYTES + 999);
    body[SHADOW_KEPT_BYTES + 999] = '\0';
    scene_begin(&scene, mirror_yaml);
    mirror_serve(&scene);
    shadow = mirror_shadow(&scene, NULL);
    road_stream_head(&scene.road, shadow);
    for (int i = 0; i < 20; i++) {
        char piece[40];

        snprintf(piece, sizeof(piece), "%x\r\n", 16384);
        (void)send(shadow, piece, strlen(piece), MSG_NOSIGNAL);
        (void)send(shadow, body, 16384, MSG_NOSIGNAL);
        (void)send(shadow, "\r\n", 2, MSG_NOSIGNAL);
        wire_settle(scene.road.loop);
    }
    mirror_expect_skipped(&scene.road, SHADOW_SKIP_LONG, 1);
    assert_int_equal(scene.road.host.shadows.count, 0);
    close(shadow);
    mem_free(body);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_exchange_is_mirrored),
        cmocka_unit_test(test_report_has_both_sides),
        cmocka_unit_test(test_what_it_costs),
        cmocka_unit_test(test_what_it_costs_as_the_hour_ends),
        cmocka_unit_test(test_what_it_costs_unread),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_another_dialect),
        cmocka_unit_test(test_a_side_that_refuses),
        cmocka_unit_test(test_what_is_not_mirrored),
        cmocka_unit_test(test_a_share_is_drawn),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_an_answer_that_is_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

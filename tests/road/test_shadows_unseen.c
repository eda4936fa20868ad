/* Shadows: that nobody but the report notices them, whatever becomes of them. */
#include "mirror.h"

#include "base/alloc.h"

/* ---- nobody notices ---- */

/* Nothing stands against any key, or any endpoint. */
static void expect_healthy(struct road *road)
{
    uint64_t now_us = loop_now_us(road->loop);

    for (size_t i = 0; i < road->snapshot->provider_count; i++) {
        const struct snapshot_provider *row = &road->snapshot->providers[i];
        struct keypool_row key;
        size_t at = 0;

        while (keypool_describe(provider_keys(row->provider), &at, now_us, &key)) {
            assert_true(key.is_healthy);
            assert_int_equal(key.failures + key.errors, 0);
            key_unref(&key.key);
        }
        assert_int_equal(endpoint_health_state(endpoint_health_of(row->endpoint), now_us),
                         BREAKER_CLOSED);
    }
}

/* What the client heard, and when. */
struct heard {
    struct buf bytes;
    uint64_t at_ms[4];
};

enum trouble {
    TROUBLE_NONE,
    TROUBLE_HANGS,
    TROUBLE_FAILS,
    TROUBLE_FLOODS,
    TROUBLE_DRIPS,
    TROUBLE_GONE
};

/* What the shadow's target does with whatever comes to it. */
static void make_trouble(struct scene *scene, enum trouble trouble, int *shadow)
{
    static const char lines[] = ": a line that says nothing, to fill what is kept\n\n";
    struct buf flood;
    char *heard;

    if (trouble == TROUBLE_NONE || trouble == TROUBLE_GONE)
        return;
    wire_settle(scene->road.loop);
    *shadow = road_try_accept(&scene->road, 'b');
    if (*shadow < 0)
        return;
    heard = road_request(&scene->road, *shadow);
    mem_free(heard);
    switch (trouble) {
    case TROUBLE_FAILS:
        road_reply(&scene->road, *shadow, 500, "", "{}");
        break;
    case TROUBLE_DRIPS:
        road_stream_head(&scene->road, *shadow);
        road_stream(&scene->road, *shadow, ": ping\n\n");
        break;
    case TROUBLE_FLOODS:
        buf_init(&flood, 1 << 20);
        while (flood.len < 400000)
            buf_append(&flood, lines, sizeof(lines) - 1);
        road_stream_head(&scene->road, *shadow);
        wire_settle(scene->road.loop);
        for (size_t at = 0; at + 40000 <= flood.len; at += 40000) {
            char piece[16];
            int len = snprintf(piece, sizeof(piece), "9c40\r\n");

            (void)send(*shadow, piece, (size_t)len, MSG_NOSIGNAL);
            (void)send(*shadow, flood.data + at, 40000, MSG_NOSIGNAL);
            (void)send(*shadow, "\r\n", 2, MSG_NOSIGNAL);
            wire_settle(scene->road.loop);
        }
        buf_fini(&flood);
        close(*shadow);
        *shadow = -1;
        break;
    case TROUBLE_HANGS:
    case TROUBLE_NONE:
    case TROUBLE_GONE:
        break;
    }
}

/* Four exchanges, whole and streamed by turns, two seconds apart. */
static void play(const char *yaml, enum trouble trouble, struct heard *heard)
{
    struct scene scene;
    int shadows[4] = {-1, -1, -1, -1};

    buf_init(&heard->bytes, 1 << 20);
    scene_begin(&scene, yaml);
    if (trouble == TROUBLE_GONE)
        road_unlisten(&scene.road, 'b');
    for (int i = 0; i < 4; i++) {
        if (i % 2)
            scene_chat_stream(&scene);
        else
            scene_chat(&scene);
        scene_attempt(&scene, "key-one");
        road_pass_ms(&scene.road, 100);
        if (i % 2) {
            scene_stream_head(&scene);
            scene_stream(&scene, road_chunk);
            scene_stream(&scene, road_finish);
            scene_stream(&scene, road_done);
            scene_stream_end(&scene);
        } else {
            road_reply_ok(&scene.road, scene.upstream);
        }
        scene_hear_all(&scene, &heard->bytes);
        heard->at_ms[i] = road_now_ms(&scene.road);
        make_trouble(&scene, trouble, &shadows[i]);
        road_pass_ms(&scene.road, 2000);
        road_help(&scene.road);
    }
    assert_int_equal(scene.road.host.lease.used, 0);
    expect_healthy(&scene.road);
    exchange_host_cut(&scene.road.host);
    road_help(&scene.road);
    for (int i = 0; i < 4; i++) {
        if (shadows[i] >= 0)
            close(shadows[i]);
    }
    scene_end(&scene);
}

static void drop_lines(struct buf *heard, const char *name)
{
    char *at;

    buf_append_byte(heard, '\0');
    while ((at = strcasestr(heard->data, name))) {
        char *end = strchr(at, '\n') + 1;

        memmove(at, end, strlen(end) + 1);
    }
    heard->len = strlen(heard->data);
}

/* Whatever its target does, the real exchanges' bytes and times are the same. */
static void test_nobody_notices(void **state)
{
    struct heard without, with;

    play(mirror_plain_yaml, TROUBLE_NONE, &without);
    drop_lines(&without.bytes, "x-request-id");
    drop_lines(&without.bytes, "x-bellwether-overhead-us");
    for (int trouble = TROUBLE_HANGS; trouble <= TROUBLE_GONE; trouble++) {
        play(mirror_yaml, (enum trouble)trouble, &with);
        drop_lines(&with.bytes, "x-request-id");
        drop_lines(&with.bytes, "x-bellwether-overhead-us");
        if (!span_is_equal(buf_span(&with.bytes), buf_span(&without.bytes)))
            fail_msg("trouble %d:\n%s\n---\n%s", trouble, with.bytes.data, without.bytes.data);
        assert_memory_equal(with.at_ms, without.at_ms, sizeof(with.at_ms));
        assert_int_equal(road_count(with.bytes.data, "HTTP/1.1 200 OK"), 4);
        buf_fini(&with.bytes);
    }
    buf_fini(&without.bytes);
}

/* A target that fails is left alone for a while, and nothing is told of its key. */
static void test_failures_are_the_shadows_alone(void **state)
{
    static const int statuses[] = {401, 403, 429, 500};
    struct scene scene;
    int shadow;

    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        scene_begin(&scene, mirror_yaml);
        mirror_serve(&scene);
        shadow = mirror_shadow(&scene, NULL);
        road_reply(&scene.road, shadow, statuses[i], "", "{\"error\":{\"message\":\"No.\"}}");
        wire_settle(scene.road.loop);
        mirror_expect_skipped(&scene.road, SHADOW_SKIP_FAILED, 1);
        expect_healthy(&scene.road);
        mirror_serve(&scene);
        road_expect_no_attempt(&scene.road, 'b', shadow);
        road_pass_ms(&scene.road, 1000);
        mirror_serve(&scene);
        shadow = road_attempt_with(&scene.road, 'b', shadow, "key-two");
        road_reply_ok(&scene.road, shadow);
        wire_settle(scene.road.loop);
        road_help(&scene.road);
        mirror_expect_counts(&scene.road, 3, 1, 0);
        close(shadow);
        scene_end(&scene);
    }
}

static void test_a_target_that_hangs(void **state)
{
    struct scene scene;
    int shadow;

    scene_begin(&scene, MIRROR_YAML("kind: compatible, timeouts: {first_byte: 3s}", ""));
    mirror_serve(&scene);
    shadow = mirror_shadow(&scene, NULL);
    road_pass_ms(&scene.road, 2900);
    assert_int_equal(scene.road.host.shadows.count, 1);
    road_pass_ms(&scene.road, 200);
    road_expect_closed(&scene.road, shadow);
    mirror_expect_skipped(&scene.road, SHADOW_SKIP_FAILED, 1);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_notices),
        cmocka_unit_test(test_failures_are_the_shadows_alone),
        cmocka_unit_test(test_a_target_that_hangs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Shadows: what is mirrored and what is not, that nobody but the report notices, and who comes
 * first. */
#include "scene.h"

#include <poll.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "shadow/board.h"

/* Model "m" is served by 'a', and all of its exchanges are mirrored to 'b'. */
#define YAML(other, settings)                                                                      \
    "providers:\n"                                                                                 \
    "  up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"                    \
    "    keys: [{name: one, secret: key-one}]}\n"                                                  \
    "  other: {" other ", base_url: '@b', health: {validate_new: false},\n"                        \
    "    keys: [{name: two, secret: key-two}]}\n"                                                  \
    "models: {up/m: {targets: [up/m], shadow: {to: other/n, share: 100%" settings "}}}\n"          \
    "clients: {open: true}\n"

static const char mirrored[] = YAML("kind: compatible", "");
static const char plain[] = "providers:\n"
                            "  up: {kind: compatible, base_url: '@a',\n"
                            "    health: {validate_new: false},\n"
                            "    keys: [{name: one, secret: key-one}]}\n"
                            "models: {up/m: {targets: [up/m]}}\n"
                            "clients: {open: true}\n";

static const char other_words[] =
    "{\"id\":\"c\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
    "\"assistant\",\"content\":\"Nothing of the kind\"},\"finish_reason\":\"length\"}],\"usage\":{"
    "\"prompt_tokens\":5,\"completion_tokens\":7,\"total_tokens\":12}}";

static const char ok_answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 110\r\n\r\n"
    "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello there\"},"
    "\"finish_reason\":\"stop\"}]}       ";

/* ---- what is known ---- */

static struct shadow_report *report_of(struct road *road)
{
    struct shadow_entry *entry =
        shadow_board_find(road->registry.shadows, SPAN("up/m"), SPAN("other/n"));
    struct shadow_report *report = mem_zalloc(1, sizeof(*report));

    if (entry)
        shadow_entry_report(entry, loop_wall_us(road->loop), report);
    return report;
}

static void expect_counts(struct road *road, uint64_t drawn, uint64_t compared, uint64_t diverged)
{
    struct shadow_report *report = report_of(road);

    assert_int_equal(report->drawn, drawn);
    assert_int_equal(report->counts.compared, compared);
    assert_int_equal(report->counts.diverged, diverged);
    assert_int_equal(report->under_way, 0);
    mem_free(report);
}

static void expect_skipped(struct road *road, enum shadow_skip skip, uint64_t times)
{
    struct shadow_report *report = report_of(road);

    for (int i = 0; i < SHADOW_SKIPS; i++) {
        if (report->skipped[i] != (i == (int)skip ? times : 0))
            fail_msg("%s: %u", shadow_skip_name((enum shadow_skip)i), (unsigned)report->skipped[i]);
    }
    assert_int_equal(report->counts.compared, 0);
    assert_int_equal(report->under_way, 0);
    mem_free(report);
}

/* What stands on the key of that name. */
static uint64_t spent_on(struct road *road, struct span name)
{
    struct keypool_row row = {.key = NULL};
    uint64_t spent = 0;

    for (size_t i = 0; i < road->snapshot->provider_count; i++) {
        size_t at = 0;

        while (keypool_describe(provider_keys(road->snapshot->providers[i].provider), &at,
                                loop_now_us(road->loop), &row)) {
            if (span_is_equal(key_name(row.key), name))
                spent += row.spent_nanousd;
            key_unref(&row.key);
        }
    }
    return spent;
}

/* ---- the play ---- */

/* The client is answered well by 'a'. */
static void serve(struct scene *scene)
{
    scene_chat(scene);
    scene_attempt(scene, "key-one");
    scene_serve(scene);
}

/* The shadow comes to 'b'. */
static int shadow_at_b(struct scene *scene, char **ret_heard)
{
    char *heard;
    int shadow = road_attempt(&scene->road, 'b', -1, &heard);

    assert_non_null(strstr(heard, "key-two"));
    if (ret_heard)
        *ret_heard = heard;
    else
        mem_free(heard);
    return shadow;
}

static void expect_no_shadow(struct scene *scene)
{
    wire_settle(scene->road.loop);
    assert_int_equal(road_try_accept(&scene->road, 'b'), -1);
    assert_int_equal(scene->road.host.shadows.count, 0);
}

/* ---- compared ---- */

static void test_an_exchange_is_mirrored(void **state)
{
    struct scene scene;
    char *heard;
    int shadow;

    scene_begin(&scene, mirrored);
    road_post(&scene.road, scene.client, "/v1/chat/completions",
              "Authorization: Bearer client-key\r\nIdempotency-Key: abc\r\nTraceparent: 00-1\r\n"
              "Cookie: a=b\r\n",
              "{\"model\":\"up/m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}");
    scene_attempt(&scene, "key-one");
    /* Not before the real one has its answer. */
    wire_settle(scene.road.loop);
    assert_int_equal(road_try_accept(&scene.road, 'b'), -1);
    scene_serve(&scene);
    shadow = shadow_at_b(&scene, &heard);
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
    expect_counts(&scene.road, 1, 1, 0);
    road_expect_silence(&scene.road, scene.client);
    /* The connection is kept, and the next one goes the same way. */
    serve(&scene);
    shadow = road_attempt_with(&scene.road, 'b', shadow, "key-two");
    road_reply(&scene.road, shadow, 200, "", other_words);
    wire_settle(scene.road.loop);
    road_help(&scene.road);
    expect_counts(&scene.road, 2, 2, 1);
    close(shadow);
    scene_end(&scene);
}

static void test_report_has_both_sides(void **state)
{
    struct scene scene;
    struct shadow_report *report;
    int shadow;

    scene_begin(&scene, mirrored);
    scene_chat(&scene);
    scene_attempt(&scene, "key-one");
    road_pass_ms(&scene.road, 200);
    scene_serve(&scene);
    shadow = shadow_at_b(&scene, NULL);
    road_pass_ms(&scene.road, 300);
    road_reply(&scene.road, shadow, 200, "", other_words);
    wire_settle(scene.road.loop);
    road_help(&scene.road);
    report = report_of(&scene.road);
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
    serve(&scene);
    shadow = shadow_at_b(&scene, NULL);
    road_reply(&scene.road, shadow, 200, "", other_words);
    wire_settle(scene.road.loop);
    road_help(&scene.road);
    report = report_of(&scene.road);
    assert_int_equal(report->spent.pico_usd, 5 * 2000000 + 7 * 10000000);
    mem_free(report);
    assert_int_equal(spent_on(&scene.road, SPAN("two")), 80000);
    assert_int_equal(spent_on(&scene.road, SPAN("one")), 0);
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
        road_reply(&scene.road, scene.upstream, 200, "", other_words);
        shadow = shadow_at_b(&scene, NULL);
        road_reply(&scene.road, shadow, 200, "", other_words);
        wire_settle(scene.road.loop);
        assert_int_equal(road_jobs(&scene.road), 1);
        assert_int_equal(spent_on(&scene.road, SPAN("two")), 0);
        for (int i = 0; i < 2 && !is_end; i++) {
            clients[i] = road_connect(&scene.road);
            road_post(&scene.road, clients[i], "/v1/chat/completions", "",
                      "{\"model\":\"plain\",\"messages\":[]}");
            upstreams[i] = road_attempt_with(&scene.road, 'b', i ? -1 : shadow, "key-two");
        }
        if (is_end)
            exchange_host_cut(&scene.road.host);
        assert_int_equal(spent_on(&scene.road, SPAN("two")), 80000);
        road_help(&scene.road);
        assert_int_equal(spent_on(&scene.road, SPAN("two")), 80000);
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

    scene_begin(&scene, mirrored);
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
    shadow = shadow_at_b(&scene, NULL);
    road_stream_head(&scene.road, shadow);
    road_stream(&scene.road, shadow, road_chunk);
    road_stream(&scene.road, shadow, road_finish);
    road_stream(&scene.road, shadow, road_done);
    road_stream_end(&scene.road, shadow);
    wire_settle(scene.road.loop);
    road_help(&scene.road);
    expect_counts(&scene.road, 1, 1, 0);
    close(shadow);
    scene_end(&scene);
}

/* The target speaks another dialect: a helper tells the body anew, and reads both answers. */
static void test_another_dialect(void **state)
{
    struct scene scene;
    char *heard;
    int shadow;

    scene_begin(&scene, YAML("kind: anthropic", ""));
    serve(&scene);
    assert_int_equal(road_jobs(&scene.road), 1);
    road_help(&scene.road);
    shadow = shadow_at_b(&scene, &heard);
    assert_non_null(strstr(heard, "POST /v1/messages HTTP/1.1\r\n"));
    assert_non_null(strstr(heard, "\"model\":\"n\""));
    mem_free(heard);
    road_reply(&scene.road, shadow, 200, "",
               "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"n\","
               "\"content\":[{\"type\":\"text\",\"text\":\"Quite another thing\"}],"
               "\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}");
    wire_settle(scene.road.loop);
    road_help(&scene.road);
    expect_counts(&scene.road, 1, 1, 1);
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
            scene_begin(&scene, mirrored);
            scene_chat(&scene);
            scene_attempt(&scene, "key-one");
            road_reply(&scene.road, scene.upstream, real ? 400 : 200, "", real ? refusal : road_ok);
            road_expect(&scene.road, scene.client, real ? 400 : 200, NULL);
            shadow = shadow_at_b(&scene, NULL);
            road_reply(&scene.road, shadow, own ? 422 : 200, "", own ? refusal : road_ok);
            wire_settle(scene.road.loop);
            road_help(&scene.road);
            expect_counts(&scene.road, 1, 1, real != own);
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
    scene_begin(&scene, mirrored);
    scene_chat(&scene);
    scene_attempt(&scene, "key-one");
    scene_leave(&scene);
    expect_no_shadow(&scene);
    expect_skipped(&scene.road, SHADOW_SKIP_REAL, 1);
    scene_end(&scene);
    /* The provider failed. */
    scene_begin(&scene, mirrored);
    scene_chat(&scene);
    for (int i = 0; i < 3; i++) {
        scene_attempt(&scene, "key-one");
        scene_reply(&scene, 500, "", "{}");
        road_pass_ms(&scene.road, 1000);
    }
    expect_no_shadow(&scene);
    expect_skipped(&scene.road, SHADOW_SKIP_REAL, 1);
    scene_end(&scene);
    /* An embedding. */
    scene_begin(&scene, mirrored);
    road_post(&scene.road, scene.client, "/v1/embeddings", "",
              "{\"model\":\"up/m\",\"input\":\"Hi\"}");
    scene_attempt(&scene, "key-one");
    scene_reply(&scene, 200, "", "{\"data\":[]}");
    expect_no_shadow(&scene);
    expect_skipped(&scene.road, SHADOW_SKIP_REQUEST, 1);
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
        serve(&scene);
    report = report_of(&scene.road);
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

    scene_begin(&scene, YAML("kind: compatible", ", budget: {requests: 1, per: hour}"));
    serve(&scene);
    shadow = shadow_at_b(&scene, NULL);
    road_reply_ok(&scene.road, shadow);
    wire_settle(scene.road.loop);
    road_help(&scene.road);
    for (int i = 0; i < 3; i++) {
        serve(&scene);
        road_expect_no_attempt(&scene.road, 'b', shadow);
    }
    expect_counts(&scene.road, 4, 1, 0);
    /* The clock of these tests began at 22:13:20. */
    road_pass_ms(&scene.road, 47 * 60 * 1000);
    close(scene.client);
    scene.client = road_connect(&scene.road);
    serve(&scene);
    shadow = road_attempt_with(&scene.road, 'b', shadow, "key-two");
    road_reply_ok(&scene.road, shadow);
    wire_settle(scene.road.loop);
    road_help(&scene.road);
    expect_counts(&scene.road, 5, 2, 0);
    log = road_log(&scene.road);
    assert_int_equal(road_count(log, "the budget of a shadow is used up"), 1);
    mem_free(log);
    close(shadow);
    scene_end(&scene);
}

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

    play(plain, TROUBLE_NONE, &without);
    drop_lines(&without.bytes, "x-request-id");
    drop_lines(&without.bytes, "x-bellwether-overhead-us");
    for (int trouble = TROUBLE_HANGS; trouble <= TROUBLE_GONE; trouble++) {
        play(mirrored, (enum trouble)trouble, &with);
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
        scene_begin(&scene, mirrored);
        serve(&scene);
        shadow = shadow_at_b(&scene, NULL);
        road_reply(&scene.road, shadow, statuses[i], "", "{\"error\":{\"message\":\"No.\"}}");
        wire_settle(scene.road.loop);
        expect_skipped(&scene.road, SHADOW_SKIP_FAILED, 1);
        expect_healthy(&scene.road);
        serve(&scene);
        road_expect_no_attempt(&scene.road, 'b', shadow);
        road_pass_ms(&scene.road, 1000);
        serve(&scene);
        shadow = road_attempt_with(&scene.road, 'b', shadow, "key-two");
        road_reply_ok(&scene.road, shadow);
        wire_settle(scene.road.loop);
        road_help(&scene.road);
        expect_counts(&scene.road, 3, 1, 0);
        close(shadow);
        scene_end(&scene);
    }
}

static void test_a_target_that_hangs(void **state)
{
    struct scene scene;
    int shadow;

    scene_begin(&scene, YAML("kind: compatible, timeouts: {first_byte: 3s}", ""));
    serve(&scene);
    shadow = shadow_at_b(&scene, NULL);
    road_pass_ms(&scene.road, 2900);
    assert_int_equal(scene.road.host.shadows.count, 1);
    road_pass_ms(&scene.road, 200);
    road_expect_closed(&scene.road, shadow);
    expect_skipped(&scene.road, SHADOW_SKIP_FAILED, 1);
    scene_end(&scene);
}

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

    scene_begin(&scene, mirrored);
    serve(&scene);
    shadow = shadow_at_b(&scene, NULL);
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
    (void)send(scene.upstream, ok_answer, strlen(ok_answer), MSG_NOSIGNAL);
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
        scene_begin(&scene, YAML("kind: anthropic", ""));
        serve(&scene);
        assert_int_equal(road_jobs(&scene.road), 1); /* the body is to be told anew */
        if (place == 1)
            road_refuse_help(&scene.road);
        if (place >= 2)
            road_help(&scene.road);
        shadow = place >= 2 ? shadow_at_b(&scene, NULL) : -1;
        if (place == 3) {
            road_reply(&scene.road, shadow, 200, "", "{}");
            wire_settle(scene.road.loop);
            assert_int_equal(road_jobs(&scene.road), 1); /* they are to be compared */
        }
        road_reload(&scene.road, plain);
        exchange_host_cut(&scene.road.host);
        road_help(&scene.road);
        assert_int_equal(scene.road.host.shadows.count, 0);
        expect_skipped(&scene.road, place == 1 ? SHADOW_SKIP_BUSY : SHADOW_SKIP_YIELDED, 1);
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

    road_begin(&road, mirrored);
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
    report = report_of(&road);
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

    road_begin(&road, YAML("kind: anthropic", ""));
    client = road_connect(&road);
    mem_fail_after(n);
    (void)send(client, request, sizeof(request) - 1, MSG_NOSIGNAL);
    for (int i = 0; i < 4; i++) {
        say_to_all(&road, 'a', ok_answer, fds, &count);
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
        expect_counts(&road, 1, 1, 0);
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

/* ---- too long ---- */

static void test_an_answer_that_is_too_long(void **state)
{
    char *body = mem_alloc(SHADOW_KEPT_BYTES + 1000);
    struct scene scene;
    int shadow;

    memset(body, ' ', SHADOW_KEPT_BYTES + 999);
    body[SHADOW_KEPT_BYTES + 999] = '\0';
    scene_begin(&scene, mirrored);
    serve(&scene);
    shadow = shadow_at_b(&scene, NULL);
    road_stream_head(&scene.road, shadow);
    for (int i = 0; i < 20; i++) {
        char piece[40];

        snprintf(piece, sizeof(piece), "%x\r\n", 16384);
        (void)send(shadow, piece, strlen(piece), MSG_NOSIGNAL);
        (void)send(shadow, body, 16384, MSG_NOSIGNAL);
        (void)send(shadow, "\r\n", 2, MSG_NOSIGNAL);
        wire_settle(scene.road.loop);
    }
    expect_skipped(&scene.road, SHADOW_SKIP_LONG, 1);
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
        cmocka_unit_test(test_what_it_costs_unread),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_another_dialect),
        cmocka_unit_test(test_a_side_that_refuses),
        cmocka_unit_test(test_what_is_not_mirrored),
        cmocka_unit_test(test_a_share_is_drawn),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_nobody_notices),
        cmocka_unit_test(test_failures_are_the_shadows_alone),
        cmocka_unit_test(test_a_target_that_hangs),
        cmocka_unit_test(test_a_real_exchange_takes_the_shadows_place),
        cmocka_unit_test(test_a_real_exchange_keeps_its_target),
        cmocka_unit_test(test_a_real_exchange_takes_the_shadows_connection),
        cmocka_unit_test(test_the_client_is_served_first),
        cmocka_unit_test(test_a_key_of_its_own),
        cmocka_unit_test(test_dropped_at_any_time),
        cmocka_unit_test(test_bounded_number),
        cmocka_unit_test(test_an_answer_that_is_too_long),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Large bodies that are told anew: by a helper thread, never by the worker, which meanwhile serves
 * the others; and whatever becomes of the exchange while its body is away. */
#include "scene.h"

#include "base/alloc.h"
#include "base/err.h"

enum { LARGE_BYTES = 400000, REQUEST_MAX = 4 << 20 };

static const char two[] =
    "server: {media: {private: true}}\n"
    "providers:\n"
    "  up: {kind: compatible, base_url: '@a', timeouts: {total: 20s}, health: {validate_new: "
    "false},\n"
    "    keys: [{name: one, secret: key-one, limits: {concurrent: 1}}]}\n"
    "  own: {kind: anthropic, base_url: '@b', health: {validate_new: false},\n"
    "    keys: [{name: two, secret: key-two}, {name: three, secret: key-three}]}\n"
    "  goog: {kind: gemini, base_url: '@b', health: {validate_new: false},\n"
    "    keys: [{name: four, secret: key-four}]}\n"
    "models:\n"
    "  o: {targets: [{to: up/gpt}]}\n"
    "  c: {targets: [{to: own/claude}]}\n"
    "  g: {targets: [{to: goog/gem}]}\n"
    "  oc: {targets: [{to: up/gpt}], fallback: [own/claude]}\n"
    "clients: {open: true}\n";

/* The one target of the first, under another address. */
static const char moved[] =
    "providers:\n"
    "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
    "    keys: [{name: five, secret: key-five}]}\n"
    "clients: {open: true}\n";

/* A conversation of Anthropic's form with a text of so many bytes; freed with buf_fini. `more`:
 * further members of the body, each with a comma behind it; `part`: a further part of the message,
 * with a comma before it. */
static void write_messages(struct buf *body, const char *model, const char *more, const char *part,
                           size_t bytes)
{
    buf_init(body, REQUEST_MAX);
    buf_printf(body,
               "{\"model\":\"%s\",\"max_tokens\":9,%s\"messages\":[{\"role\":\"user\",\"content\":"
               "[{\"type\":\"text\",\"text\":\"",
               model, more);
    for (size_t i = 0; i < bytes; i++)
        buf_append_byte(body, "lorem ipsum "[i % 12]);
    buf_printf(body, "\"}%s]}]}", part);
}

static void ask_on(struct scene *scene, int client, const char *model, size_t bytes)
{
    struct buf body;

    write_messages(&body, model, "", "", bytes);
    road_post(&scene->road, client, "/v1/messages", "", buf_text(&body));
    buf_fini(&body);
}

static void ask_for(struct scene *scene, const char *model, size_t bytes)
{
    ask_on(scene, scene->client, model, bytes);
}

/* The whole request of the attempt that comes now; freed with buf_fini. */
static void hear_attempt(struct scene *scene, char name, struct buf *heard)
{
    size_t len = SIZE_MAX;

    if (scene->upstream >= 0)
        close(scene->upstream);
    scene->upstream = road_accept(&scene->road, name);
    buf_init(heard, REQUEST_MAX);
    while (heard->len != len) {
        len = heard->len;
        wire_settle(scene->road.loop);
        wire_read(scene->upstream, heard);
    }
    assert_true(heard->len > 0);
}

static void expect_attempt(struct scene *scene, char name, const char *part, size_t bytes)
{
    struct buf heard;

    hear_attempt(scene, name, &heard);
    assert_non_null(strstr(buf_text(&heard), part));
    assert_in_range(heard.len, bytes, bytes + bytes / 8 + 2000);
    buf_fini(&heard);
}

static void serve(struct scene *scene)
{
    road_reply_ok(&scene->road, scene->upstream);
    road_expect(&scene->road, scene->client, 200, NULL);
}

/* Whether the only key of `up` is free: somebody else is served with it. */
static void expect_free_key(struct scene *scene)
{
    int client = road_connect(&scene->road);

    road_post(&scene->road, client, "/v1/chat/completions", "",
              "{\"model\":\"o\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}");
    expect_attempt(scene, 'a', "key-one", 100);
    road_reply_ok(&scene->road, scene->upstream);
    road_expect(&scene->road, client, 200, road_ok);
    close(client);
}

/* --- where it is told --- */

static void test_told_by_a_helper(void **state)
{
    struct scene scene;
    int client;

    (void)state;
    scene_begin(&scene, two);
    ask_for(&scene, "o", LARGE_BYTES);
    assert_int_equal(road_jobs(&scene.road), 1);
    assert_int_equal(road_metric(&scene.road, "bellwether_large_bodies"), 1);
    road_expect_no_attempt(&scene.road, 'a', -1);
    /* It holds up nobody. */
    client = road_connect(&scene.road);
    ask_on(&scene, client, "c", 100);
    expect_attempt(&scene, 'b', "key-t", 100);
    road_help(&scene.road);
    assert_int_equal(road_metric(&scene.road, "bellwether_large_bodies"), 0);
    expect_attempt(&scene, 'a', "POST /v1/chat/completions ", LARGE_BYTES);
    serve(&scene);
    assert_int_equal(road_metric(&scene.road, "bellwether_large_bodies_total"), 1);
    close(client);
    scene_end(&scene);
}

static void test_told_at_once(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, two);
    ask_for(&scene, "o", AWAY_LARGE_BYTES - 1000);
    assert_int_equal(road_jobs(&scene.road), 0);
    expect_attempt(&scene, 'a', "POST /v1/chat/completions ", AWAY_LARGE_BYTES - 1000);
    serve(&scene);
    scene_end(&scene);
}

/* What passes as it is needs no help, however large. */
static void test_passes(void **state)
{
    struct scene scene;
    struct buf body;

    (void)state;
    scene_begin(&scene, two);
    write_messages(&body, "o", "", "", LARGE_BYTES);
    road_post(&scene.road, scene.client, "/v1/chat/completions", "", buf_text(&body));
    buf_fini(&body);
    assert_int_equal(road_jobs(&scene.road), 0);
    expect_attempt(&scene, 'a', "\"max_tokens\":9", LARGE_BYTES);
    serve(&scene);
    scene_end(&scene);
}

/* Thoughts that another provider has signed are looked for by the helper too, and once. */
static void test_thoughts(void **state)
{
    struct scene scene;
    struct buf body, heard;

    (void)state;
    scene_begin(&scene, two);
    write_messages(&body, "c", "", "", LARGE_BYTES);
    road_post(&scene.road, scene.client, "/v1/messages", "", buf_text(&body));
    for (int i = 0; i < 2; i++) {
        struct span text;

        assert_int_equal(road_jobs(&scene.road), i == 0);
        if (i == 0)
            road_help(&scene.road);
        hear_attempt(&scene, 'b', &heard);
        text = buf_span(&heard);
        text = span_skip(text, span_find(text, SPAN("\r\n\r\n")) + 4);
        /* Its own bytes but for the name of the model. */
        assert_int_equal(text.len, body.len + strlen("claude") - strlen("c"));
        assert_memory_equal(text.ptr + 20, body.data + 15, body.len - 15);
        buf_fini(&heard);
        if (i == 0)
            scene_reply(&scene, 401, "", "{\"error\":{\"message\":\"No.\"}}");
    }
    buf_fini(&body);
    scene_end(&scene);
}

/* A fallback target is told its own body, also by a helper; what was read of it is there. */
static void test_two_targets(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, two);
    ask_for(&scene, "oc", LARGE_BYTES);
    road_help(&scene.road);
    expect_attempt(&scene, 'a', "POST /v1/chat/completions ", LARGE_BYTES);
    scene_reply(&scene, 500, "", "{\"error\":{\"message\":\"No.\"}}");
    while (road_jobs(&scene.road) == 0)
        road_pass_ms(&scene.road, 1000);
    road_help(&scene.road);
    expect_attempt(&scene, 'b', "POST /v1/messages ", LARGE_BYTES);
    scene_end(&scene);
}

/* What the target cannot be told: the client hears why, and the key is free. */
static void test_refused(void **state)
{
    struct scene scene;
    struct buf body;

    (void)state;
    scene_begin(&scene, two);
    write_messages(&body, "o", "",
                   ",{\"type\":\"image\",\"source\":{\"type\":\"file\",\"file_id\":\"f\"}}",
                   LARGE_BYTES);
    road_post(&scene.road, scene.client, "/v1/messages", "", buf_text(&body));
    buf_fini(&body);
    road_help(&scene.road);
    road_expect(&scene.road, scene.client, 400, NULL);
    expect_free_key(&scene);
    scene_end(&scene);
}

/* --- what happens meanwhile --- */

static void test_client_leaves_in_line(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, two);
    ask_for(&scene, "o", LARGE_BYTES);
    scene_leave(&scene);
    assert_int_equal(scene.road.host.exchange_count, 0);
    assert_int_equal(road_attempts(&scene.road, "client_gone"), 0);
    expect_free_key(&scene);
    assert_int_equal(road_jobs(&scene.road), 1);
    road_help(&scene.road);
    scene_end(&scene);
}

/* The helper is at it, and has nobody to tell. */
static void test_client_leaves_under_work(void **state)
{
    struct scene scene;
    struct helper_job *job;

    (void)state;
    scene_begin(&scene, two);
    ask_for(&scene, "o", LARGE_BYTES);
    job = scene.road.jobs;
    scene.road.jobs = NULL;
    job->work(job);
    assert_true(scene.road.registry.bodies.shared.leased > 2 * LARGE_BYTES);
    scene_leave(&scene);
    assert_int_equal(scene.road.host.lease.used, 0);
    helper_job_return(job, 0);
    wire_settle(scene.road.loop);
    assert_in_range(scene.road.registry.bodies.shared.leased, 0, 3 * BODY_LEASE_BYTES);
    expect_free_key(&scene);
    scene_end(&scene);
}

static void test_deadline(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, two);
    ask_for(&scene, "o", LARGE_BYTES);
    road_pass_ms(&scene.road, 19900);
    road_expect_silence(&scene.road, scene.client);
    road_pass_ms(&scene.road, 200);
    road_expect(&scene.road, scene.client, 504, NULL);
    expect_free_key(&scene);
    road_help(&scene.road);
    scene_end(&scene);
}

static void test_shutdown(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, two);
    ask_for(&scene, "o", LARGE_BYTES);
    exchange_host_cut(&scene.road.host);
    road_expect(&scene.road, scene.client, 529, NULL);
    assert_int_equal(scene.road.host.lease.used, 0);
    road_refuse_help(&scene.road);
    scene_end(&scene);
}

/* It goes where the configuration led that it began with. */
static void test_reload(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, two);
    ask_for(&scene, "o", LARGE_BYTES);
    road_reload(&scene.road, moved);
    road_help(&scene.road);
    expect_attempt(&scene, 'a', "key-one", LARGE_BYTES);
    serve(&scene);
    scene_end(&scene);
}

static void test_no_help(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, two);
    ask_for(&scene, "o", LARGE_BYTES);
    road_refuse_help(&scene.road);
    road_expect(&scene.road, scene.client, 529, NULL);
    expect_free_key(&scene);
    scene_end(&scene);
}

/* What is written does not fit into server.body_memory beside what was sent. */
static void test_no_room(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, two);
    ask_for(&scene, "o", LARGE_BYTES);
    atomic_store(&scene.road.registry.bodies.shared.max, LARGE_BYTES);
    road_help(&scene.road);
    road_expect(&scene.road, scene.client, 413, NULL);
    atomic_store(&scene.road.registry.bodies.shared.max, 1 << 30);
    expect_free_key(&scene);
    scene_end(&scene);
}

/* --- media --- */

static struct media_errand *fetching; /* style: what the host's call is told; one test at a time */

static void on_fetch_media(void *owner, struct media_errand *errand)
{
    (void)owner;
    fetching = errand;
}

/* The image at the URL is there: so many bytes in Base64. */
static void bring(struct scene *scene, size_t bytes)
{
    struct media_parcel *parcel = &fetching->parcels[0];

    buf_init(&parcel->base64, REQUEST_MAX);
    buf_append_span(&parcel->base64, SPAN("iVBORw0KGgoA"));
    while (parcel->base64.len < bytes)
        buf_append_span(&parcel->base64, SPAN("AAAA"));
    snprintf(parcel->type, sizeof(parcel->type), "image/png");
    media_errand_return(fetching);
    wire_settle(scene->road.loop);
}

static void play_media(size_t text_bytes, size_t media_bytes, int jobs_before, int jobs_behind)
{
    struct exchange_host_ops ops;
    struct scene scene;
    struct buf body;

    scene_begin(&scene, two);
    ops = *scene.road.host.ops;
    ops.fetch_media = on_fetch_media;
    scene.road.host.ops = &ops;
    write_messages(&body, "g", "",
                   ",{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":"
                   "\"http://192.0.2.1/x.png\"}}",
                   text_bytes);
    road_post(&scene.road, scene.client, "/v1/messages", "", buf_text(&body));
    buf_fini(&body);
    assert_int_equal(road_jobs(&scene.road), jobs_before);
    road_help(&scene.road);
    bring(&scene, media_bytes);
    assert_int_equal(road_jobs(&scene.road), jobs_behind);
    road_help(&scene.road);
    expect_attempt(&scene, 'b', "iVBORw0KGgoAAAAA", text_bytes + media_bytes);
    scene_end(&scene);
}

static void test_media(void **state)
{
    (void)state;
    play_media(LARGE_BYTES, 1000, 1, 1);
    /* It is large with what was fetched for it. */
    play_media(1000, LARGE_BYTES, 0, 1);
    play_media(1000, 1000, 0, 0);
}

/* --- without memory --- */

/* Whatever fails behind the last byte of the body, there and back: the client hears a refusal, or
 * the target its request. */
static void test_without_memory(void **state)
{
    bool has_failed = true;
    long n = 0;

    (void)state;
    if (!wire_can_fail())
        skip();
    for (; has_failed; n++) {
        struct scene scene;
        struct road_answer answer;
        struct buf body;
        char head[128];

        scene_begin(&scene, two);
        write_messages(&body, "o", "", "", LARGE_BYTES);
        snprintf(head, sizeof(head),
                 "POST /v1/messages HTTP/1.1\r\nHost: gw\r\nContent-Length: %zu\r\n\r\n", body.len);
        wire_say(scene.road.loop, scene.client, head);
        wire_write(scene.road.loop, scene.client, body.data, body.len - 1);
        wire_settle(scene.road.loop);
        mem_fail_after(n);
        assert_int_equal(write(scene.client, "}", 1), 1);
        for (int i = 0; i < 20; i++)
            loop_turn(scene.road.loop, 0);
        road_help(&scene.road);
        has_failed = !mem_fail_is_pending();
        mem_fail_after(-1);
        buf_fini(&body);
        /* One that gets no connection waits for as long as it may. */
        road_pass_ms(&scene.road, 25000);
        road_hear(&scene.road, scene.client, &answer);
        scene.upstream = road_try_accept(&scene.road, 'a');
        if (answer.is_whole)
            assert_in_range(answer.status, 413, 529);
        else
            assert_true(scene.upstream >= 0);
        road_answer_free(&answer);
        scene_end(&scene);
    }
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_told_by_a_helper),
        cmocka_unit_test(test_told_at_once),
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_thoughts),
        cmocka_unit_test(test_two_targets),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_client_leaves_in_line),
        cmocka_unit_test(test_client_leaves_under_work),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_no_help),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_media),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

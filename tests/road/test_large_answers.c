/* Large answers that are one object: read and told by a helper thread, never by the worker; and
 * whatever becomes of the exchange meanwhile. */
#include "scene.h"

#include "base/alloc.h"
#include "exchange/away.h"

enum { TEXT_BYTES = AWAY_LARGE_BYTES + 50000, HEARD_MAX = 4 << 20 };

static const char two[] = "providers:\n"
                          "  up: {kind: compatible, base_url: '@a', timeouts: {total: 20s}, "
                          "health: {validate_new: false},\n"
                          "    keys: [{name: one, secret: key-one, limits: {concurrent: 1}}]}\n"
                          "  goog: {kind: gemini, base_url: '@b', health: {validate_new: false},\n"
                          "    keys: [{name: four, secret: key-four}]}\n"
                          "retry: {attempts: 1}\n"
                          "models:\n"
                          "  o: {targets: [{to: up/gpt}]}\n"
                          "clients: {open: true}\n";

static void ask_on(struct scene *scene, int client)
{
    road_post(&scene->road, client, "/v1/messages", "",
              "{\"model\":\"o\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":"
              "\"Hi\"}]}");
}

/* The client has asked, and its upstream answers with a text of TEXT_BYTES; end: what stands behind
 * it. */
static void begin(struct scene *scene, const char *end)
{
    struct buf body;

    scene_begin(scene, two);
    ask_on(scene, scene->client);
    scene_attempt(scene, "key-one");
    buf_init(&body, HEARD_MAX);
    buf_printf(&body,
               "\n{\"id\":\"c1\",\"object\":\"chat.completion\",\"model\":\"gpt\",\"choices\":"
               "[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"");
    for (size_t i = 0; i < TEXT_BYTES; i++)
        buf_append_byte(&body, "lorem ipsum "[i % 12]);
    buf_printf(&body, "\"},\"finish_reason\":\"stop\"}]%s", end);
    scene_reply(scene, 200, "", buf_text(&body));
    buf_fini(&body);
    assert_int_equal(road_jobs(&scene->road), 1);
    road_expect_silence(&scene->road, scene->client);
}

static const char usage[] = ",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}";

/* The only key is free: somebody else is served with it. */
static void expect_free_key(struct scene *scene)
{
    int client = road_connect(&scene->road);

    ask_on(scene, client);
    scene_attempt(scene, "key-one");
    road_reply_ok(&scene->road, scene->upstream);
    road_expect(&scene->road, client, 200, NULL);
    close(client);
}

static void test_told_by_a_helper(void **state)
{
    struct road_answer answer;
    struct scene scene;
    struct buf heard;
    size_t len = SIZE_MAX;

    (void)state;
    begin(&scene, usage);
    assert_int_equal(road_metric(&scene.road, "bellwether_large_bodies"), 1);
    road_help(&scene.road);
    buf_init(&heard, HEARD_MAX);
    while (heard.len != len) {
        len = heard.len;
        wire_settle(scene.road.loop);
        wire_read(scene.client, &heard);
    }
    road_read_answer(buf_span(&heard), &answer);
    assert_int_equal(answer.status, 200);
    assert_true(answer.is_whole);
    assert_non_null(strstr(road_body(&answer), "\"type\":\"message\""));
    assert_non_null(strstr(road_body(&answer), "\"input_tokens\":3"));
    assert_in_range(answer.body.len, TEXT_BYTES, TEXT_BYTES + 1000);
    road_answer_free(&answer);
    buf_fini(&heard);
    assert_int_equal(road_attempts(&scene.road, "success"), 1);
    expect_free_key(&scene);
    scene_end(&scene);
}

/* What is no answer is found out by the helper too. */
static void test_garbage(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene, "");
    road_help(&scene.road);
    road_expect(&scene.road, scene.client, 500, NULL);
    assert_int_equal(road_attempts(&scene.road, "garbage"), 1);
    scene_end(&scene);
}

static void test_error_in_success(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene, ",\"error\":{\"message\":\"Broken.\",\"code\":500}}");
    road_help(&scene.road);
    road_expect(&scene.road, scene.client, 500, NULL);
    assert_int_equal(road_attempts(&scene.road, "success"), 0);
    scene_end(&scene);
}

/* Its connection is free meanwhile, and may go. */
static void test_upstream_closes(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene, usage);
    scene_break(&scene);
    road_help(&scene.road);
    assert_int_equal(road_attempts(&scene.road, "success"), 1);
    scene_end(&scene);
}

static void test_client_leaves(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene, usage);
    scene_leave(&scene);
    assert_int_equal(scene.road.host.exchange_count, 0);
    expect_free_key(&scene);
    road_help(&scene.road);
    scene_end(&scene);
}

/* The helper has done it, and nobody is there to hear. */
static void test_client_leaves_behind_the_work(void **state)
{
    struct scene scene;
    struct helper_job *job;

    (void)state;
    begin(&scene, usage);
    job = scene.road.jobs;
    scene.road.jobs = NULL;
    job->work(job);
    scene_leave(&scene);
    helper_job_return(job, 0);
    expect_free_key(&scene);
    scene_end(&scene);
}

static void test_deadline(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene, usage);
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
    begin(&scene, usage);
    exchange_host_cut(&scene.road.host);
    road_expect(&scene.road, scene.client, 529, NULL);
    road_refuse_help(&scene.road);
    scene_end(&scene);
}

static void test_no_help(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene, usage);
    road_refuse_help(&scene.road);
    road_expect(&scene.road, scene.client, 500, NULL);
    scene_end(&scene);
}

/* Whatever fails behind the last byte of the answer: the client hears an answer or a refusal. */
static void test_without_memory(void **state)
{
    bool has_failed = true;
    long n = 0;

    (void)state;
    if (!wire_can_fail())
        skip();
    for (; has_failed; n++) {
        struct scene scene;
        struct buf heard;

        begin(&scene, usage);
        mem_fail_after(n);
        road_help(&scene.road);
        has_failed = !mem_fail_is_pending();
        mem_fail_after(-1);
        buf_init(&heard, HEARD_MAX);
        wire_read(scene.client, &heard);
        assert_true(span_has_prefix(buf_span(&heard), SPAN("HTTP/1.1 ")) || heard.len == 0);
        buf_fini(&heard);
        scene_end(&scene);
    }
    assert_true(n > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_told_by_a_helper),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_error_in_success),
        cmocka_unit_test(test_upstream_closes),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_client_leaves_behind_the_work),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_no_help),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Streams of Google's dialect that pass to its own clients, as events or as one array; and the
 * errors in them that are no events. */
#include "scene.h"

#include "base/alloc.h"

static const char two[] =
    "providers:\n"
    "  up: {kind: gemini, base_url: '@a', health: {validate_new: false},\n"
    "    keys: [{name: one, secret: key-one}]}\n"
    "  ant: {kind: anthropic, base_url: '@b', health: {validate_new: false},\n"
    "    keys: [{name: two, secret: key-two}]}\n"
    "models:\n"
    "  g: {targets: [{to: up/gem}]}\n"
    "  c: {targets: [{to: ant/claude}]}\n"
    "clients: {open: true}\n";

#define FIRST "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"He\"}]}}]}"
#define LAST                                                                                       \
    "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"llo\"}]},"           \
    "\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":7,"                       \
    "\"candidatesTokenCount\":4,\"totalTokenCount\":11}}"
#define FAILED                                                                                     \
    "{\"error\":{\"code\":503,\"message\":\"The model is "                                         \
    "overloaded.\",\"status\":\"UNAVAILABLE\"}}"

static void begin(struct scene *scene, const char *query)
{
    char path[128], *heard;

    scene_begin(scene, two);
    snprintf(path, sizeof(path), "/v1beta/models/g:streamGenerateContent%s", query);
    road_post(&scene->road, scene->client, path, "",
              "{\"contents\":[{\"parts\":[{\"text\":\"Hi\"}]}]}");
    scene->upstream = road_attempt(&scene->road, 'a', -1, &heard);
    assert_non_null(
        strstr(heard, "POST /v1beta/models/gem:streamGenerateContent?alt=sse HTTP/1.1\r\n"));
    mem_free(heard);
    road_stream_head(&scene->road, scene->upstream);
}

static void expect(struct scene *scene, const char *type, const char *body)
{
    struct road_answer answer;

    road_hear(&scene->road, scene->client, &answer);
    assert_int_equal(answer.status, 200);
    assert_true(answer.is_whole);
    assert_string_equal(road_field(&answer, "content-type"), type);
    assert_string_equal(road_body(&answer), body);
    road_answer_free(&answer);
    assert_int_equal(scene->road.host.exchange_count, 0);
}

static void test_array(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene, "");
    scene_stream(&scene, "data: " FIRST "\r\n\r\n");
    scene_stream(&scene, "data: " LAST "\r\n\r\n");
    scene_stream_end(&scene);
    expect(&scene, "application/json", "[" FIRST ",\r\n" LAST "]");
    assert_int_equal(
        road_metric(&scene.road,
                    "bellwether_tokens_total{provider=\"up\",model=\"g\",kind=\"prompt\"}"),
        7);
    scene_end(&scene);
}

/* What another provider signed is taken out of the request, and the answer told anew: one array. */
static void test_array_told_anew(void **state)
{
    struct scene scene;
    struct road_answer answer;
    char *heard;

    (void)state;
    scene_begin(&scene, two);
    road_post(&scene.road, scene.client, "/v1beta/models/g:streamGenerateContent", "",
              "{\"contents\":[{\"parts\":[{\"text\":\"Hi\"}]},{\"role\":\"model\",\"parts\":[{"
              "\"text\":\"So\",\"thought\":true,\"thoughtSignature\":\"YmVsbHdldGhlcjphdDpz\"},"
              "{\"text\":\"He\"}]},{\"parts\":[{\"text\":\"And?\"}]}]}");
    scene_attempt_at(&scene, 'a', &heard);
    assert_null(strstr(heard, "YmVsbHdldGhl"));
    mem_free(heard);
    scene_stream_head(&scene);
    scene_stream(&scene, "data: " FIRST "\r\n\r\n");
    scene_stream(&scene, "data: " LAST "\r\n\r\n");
    scene_stream_end(&scene);
    road_hear(&scene.road, scene.client, &answer);
    assert_true(answer.is_whole);
    assert_int_equal(road_body(&answer)[0], '[');
    assert_non_null(strstr(road_body(&answer), "llo"));
    assert_null(strstr(road_body(&answer), "[]"));
    assert_string_equal(road_body(&answer) + answer.body.len - 2, "}]");
    road_answer_free(&answer);
    scene_end(&scene);
}

/* An array that was begun ends as one, with the error as its last item. */
static void test_array_cut(void **state)
{
    struct scene scene;
    struct road_answer answer;

    (void)state;
    begin(&scene, "");
    scene_stream(&scene, "data: " FIRST "\r\n\r\n");
    scene_break(&scene);
    road_hear(&scene.road, scene.client, &answer);
    assert_true(answer.is_whole);
    if (!span_has_prefix(buf_span(&answer.body), SPAN("[" FIRST ",\r\n{\"error\":{\"code\":5")))
        print_message("%s\n", road_body(&answer));
    assert_true(
        span_has_prefix(buf_span(&answer.body), SPAN("[" FIRST ",\r\n{\"error\":{\"code\":5")));
    assert_true(span_has_suffix(buf_span(&answer.body), SPAN("}}]")));
    road_answer_free(&answer);
    scene_end(&scene);
}

/* Google breaks streams off by an error without any "data:". */
static void play_bare_error(const char *query, const char *error)
{
    struct scene scene;
    struct road_answer answer;

    begin(&scene, query);
    scene_stream(&scene, "data: " FIRST "\r\n\r\n");
    scene_stream(&scene, FAILED "\r\n\r\n");
    scene_stream_end(&scene);
    road_hear(&scene.road, scene.client, &answer);
    assert_true(answer.is_whole);
    if (!strstr(road_body(&answer), error))
        print_message("%s\n", road_body(&answer));
    assert_non_null(strstr(road_body(&answer), error));
    assert_non_null(strstr(road_body(&answer), "The model is overloaded."));
    road_answer_free(&answer);
    scene_end(&scene);
}

static void test_bare_errors(void **state)
{
    (void)state;
    play_bare_error("", "[" FIRST ",\r\n{\"error\":{");
    play_bare_error("?alt=sse", "data: " FIRST "\r\n\r\ndata: {\"error\":{");
}

/* The same where Anthropic's dialect passes: its clients see an error event. */
static void test_bare_error_of_anthropic(void **state)
{
    struct scene scene;
    struct road_answer answer;

    (void)state;
    scene_begin(&scene, two);
    road_post(&scene.road, scene.client, "/v1/messages", "",
              "{\"model\":\"c\",\"max_tokens\":9,\"stream\":true,\"messages\":[{\"role\":\"user\","
              "\"content\":\"Hi\"}]}");
    scene_attempt_at(&scene, 'b', NULL);
    scene_stream_head(&scene);
    scene_stream(&scene,
                 "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":"
                 "\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude\","
                 "\"content\":[],\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n");
    scene_stream(&scene,
                 "{\"error\":{\"type\":\"api_error\",\"message\":\"A proxy says no.\"}}\n\n");
    road_hear(&scene.road, scene.client, &answer);
    assert_true(answer.is_whole);
    assert_non_null(strstr(road_body(&answer), "\n\nevent: error\ndata: {\"type\":\"error\","));
    assert_non_null(strstr(road_body(&answer), "A proxy says no."));
    road_answer_free(&answer);
    scene_end(&scene);
}

/* Nothing but comments for 15 s: the head goes out, and the array begins when there is an item. */
static void test_array_that_waits(void **state)
{
    struct scene scene;
    struct road_answer answer;

    (void)state;
    begin(&scene, "");
    scene_stream(&scene, ": wait\n\n");
    road_pass_ms(&scene.road, 15001);
    road_hear(&scene.road, scene.client, &answer);
    assert_int_equal(answer.status, 200);
    assert_false(answer.is_whole);
    assert_int_equal(answer.body.len, 0);
    road_answer_free(&answer);
    scene_stream(&scene, "data: " LAST "\r\n\r\n");
    scene_stream_end(&scene);
    {
        char *rest = wire_hear(scene.road.loop, scene.client, NULL);

        assert_non_null(strstr(rest, "\r\n[" LAST));
        assert_non_null(strstr(rest, "]\r\n0\r\n\r\n"));
        mem_free(rest);
    }
    scene_end(&scene);
}

/* Google's refusal of an array passes as it is. */
static void test_array_refused(void **state)
{
    struct scene scene;
    struct road_answer answer;

    (void)state;
    scene_begin(&scene, two);
    road_post(&scene.road, scene.client, "/v1beta/models/g:streamGenerateContent", "",
              "{\"contents\":[]}");
    scene_attempt_at(&scene, 'a', NULL);
    scene_reply(&scene, 400, "",
                "{\"error\":{\"code\":400,\"message\":\"No.\",\"status\":\"INVALID_ARGUMENT\"}}");
    road_hear(&scene.road, scene.client, &answer);
    assert_int_equal(answer.status, 400);
    assert_string_equal(road_field(&answer, "content-type"), "application/json");
    road_answer_free(&answer);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_array),
        cmocka_unit_test(test_array_told_anew),
        cmocka_unit_test(test_array_cut),
        cmocka_unit_test(test_bare_errors),
        cmocka_unit_test(test_bare_error_of_anthropic),
        cmocka_unit_test(test_array_that_waits),
        cmocka_unit_test(test_array_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

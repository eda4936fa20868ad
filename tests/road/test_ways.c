/* The way of a request to a target of its own dialect or another: what is asked there, and how a
 * refusal comes back. */
#include "scene.h"

#include "base/alloc.h"

static const char four[] =
    "providers:\n"
    "  up: {kind: anthropic, base_url: '@a', health: {validate_new: false},\n"
    "    keys: [{name: one, secret: key-one}]}\n"
    "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
    "    keys: [{name: two, secret: key-two}]}\n"
    "  goog: {kind: gemini, base_url: '@a', health: {validate_new: false},\n"
    "    keys: [{name: three, secret: key-three}]}\n"
    "  own: {kind: vllm, base_url: '@a', health: {validate_new: false},\n"
    "    keys: [{name: four, secret: key-four}]}\n"
    "models:\n"
    "  c: {targets: [{to: up/claude}]}\n"
    "  o: {targets: [{to: other/gpt}]}\n"
    "  e: {targets: [{to: goog/embedder}]}\n"
    "  v: {targets: [{to: own/qwen}]}\n"
    "  oc: {targets: [{to: other/gpt}], fallback: [up/claude]}\n"
    "clients: {open: true}\n";

static const char direct[] = "providers:\n"
                             "  own: {kind: vllm, base_url: '@a', health: {validate_new: false},\n"
                             "    keys: [{name: four, secret: key-four}]}\n"
                             "clients: {open: true}\n";

/* Classic Azure, whose models are segments of the path, and the later one, which reads the body. */
static const char azure[] =
    "providers:\n"
    "  az: {kind: azure, base_url: '@a', api_version: 2024-10-21, health: {validate_new: false},\n"
    "    keys: [{name: one, secret: key-one}]}\n"
    "  new: {kind: azure, base_url: '@b/openai/v1', health: {validate_new: false},\n"
    "    keys: [{name: two, secret: key-two}]}\n"
    "models: {up: {targets: [{to: az/..}]}}\n"
    "clients: {open: true}\n";

static const char refusal[] =
    "{\"error\":{\"message\":\"No.\",\"type\":\"invalid_request_error\",\"param\":null,"
    "\"code\":null}}";

/* --- requests --- */

/* A stream's usage is asked for wherever the target must be asked, whatever the client speaks. */
static void test_usage_is_asked_in_the_targets_form(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, four);
    road_post(&scene.road, scene.client, "/v1/responses", "",
              "{\"model\":\"o\",\"stream\":true,\"input\":\"Hi\"}");
    scene_expect_attempt(&scene, 'b', "POST /v1/chat/completions ",
                         "\"stream_options\":{\"include_usage\":true}");
    scene_reply(&scene, 400, "", "{\"error\":{\"message\":\"Unknown field: stream_options\"}}");
    /* Where it is not known, it is left out from then on. */
    {
        char *heard;

        scene_attempt_at(&scene, 'b', &heard);
        assert_null(strstr(heard, "stream_options"));
        mem_free(heard);
    }
    scene_end(&scene);
}

/* Every key of a target is told the same; another target what is right there. */
static void test_each_key_is_told_the_same(void **state)
{
    static const char yaml[] =
        "providers:\n"
        "  up: {kind: anthropic, base_url: '@a', health: {validate_new: false},\n"
        "    keys: [{name: one, secret: key-one, priority: 0},"
        "           {name: two, secret: key-two, priority: 1},"
        "           {name: three, secret: key-three, priority: 2}]}\n"
        "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
        "    keys: [{name: four, secret: key-four}]}\n"
        "models:\n"
        "  m: {targets: [{to: up/claude}], fallback: [other/m]}\n"
        "clients: {open: true}\n";
    static const char asked[] = "{\"model\":\"m\",\"seed\":7,\"messages\":[{\"role\":\"user\","
                                "\"content\":\"Hi\"}]}";
    static const char refused[] = "{\"type\":\"error\",\"error\":{\"type\":"
                                  "\"authentication_error\",\"message\":\"No.\"}}";
    struct scene scene;
    struct road_answer answer;
    char *first, *heard;

    (void)state;
    for (int last = 2; last <= 3; last++) {
        scene_begin(&scene, yaml);
        road_post(&scene.road, scene.client, "/v1/chat/completions", "", asked);
        scene_attempt_at(&scene, 'a', &first);
        assert_non_null(strstr(first, "\r\n\r\n"));
        for (int key = 1; key < last; key++) {
            scene_reply(&scene, 401, "", refused);
            scene_attempt_at(&scene, 'a', &heard);
            assert_string_equal(strstr(heard, "\r\n\r\n"), strstr(first, "\r\n\r\n"));
            mem_free(heard);
        }
        mem_free(first);
        if (last == 2) {
            scene_reply(&scene, 200, "",
                        "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
                        "\"claude\",\"content\":[{\"type\":\"text\",\"text\":\"Ho\"}],"
                        "\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":1,"
                        "\"output_tokens\":1}}");
        } else {
            scene_reply(&scene, 401, "", refused);
            scene_expect_attempt(&scene, 'b', "POST /v1/chat/completions ", asked);
            scene_reply(&scene, 200, "",
                        "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"Ho\"},"
                        "\"finish_reason\":\"stop\"}]}");
        }
        road_hear(&scene.road, scene.client, &answer);
        assert_int_equal(answer.status, 200);
        assert_string_equal(road_field(&answer, "x-bellwether-dropped-params"),
                            last == 2 ? "seed" : "");
        road_answer_free(&answer);
        scene_end(&scene);
    }
}

/* What we cannot read is for the provider to judge, where it speaks the client's dialect. */
static void test_unknown_parts_pass(void **state)
{
    static const char body[] = "{\"model\":\"qwen\",\"messages\":[{\"role\":\"critic\",\"content\":"
                               "[{\"type\":\"video_url\","
                               "\"video_url\":{\"url\":\"https://a/b.mp4\"}}]}]}";
    struct scene scene;

    (void)state;
    scene_begin(&scene, four);
    road_post(&scene.road, scene.client, "/v1/chat/completions", "",
              "{\"model\":\"v\",\"messages\":[{\"role\":\"critic\",\"content\":[{\"type\":"
              "\"video_url\",\"video_url\":{\"url\":\"https://a/b.mp4\"}}]}]}");
    scene_expect_attempt(&scene, 'a', "POST /v1/chat/completions ", body);
    scene_serve(&scene);
    scene_end(&scene);
}

/* Google wants the path's model in each request of a batch, so that another name is put there too.
 */
static void test_embeddings_by_another_name(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, four);
    road_post(
        &scene.road, scene.client, "/v1beta/models/e:batchEmbedContents", "",
        "{\"requests\":[{\"model\":\"models/e\",\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}");
    scene_expect_attempt(&scene, 'a', "POST /v1beta/models/embedder:batchEmbedContents ",
                         "\"model\":\"models/embedder\"");
    scene_reply(&scene, 200, "", "{\"embeddings\":[{\"values\":[1,2]}]}");
    road_expect(&scene.road, scene.client, 200, NULL);
    scene_end(&scene);
}

/* --- refusals --- */

/* A stream that was refused is no stream. */
static void test_refused_stream(void **state)
{
    struct scene scene;
    struct road_answer answer;

    (void)state;
    scene_begin(&scene, four);
    road_post(&scene.road, scene.client, "/v1/responses", "",
              "{\"model\":\"o\",\"stream\":true,\"input\":\"Hi\"}");
    scene_expect_attempt(&scene, 'b', "POST /v1/chat/completions ", "\"stream\":true");
    scene_reply(&scene, 400, "", refusal);
    road_hear(&scene.road, scene.client, &answer);
    assert_int_equal(answer.status, 400);
    assert_string_equal(road_field(&answer, "content-type"), "application/json");
    assert_string_equal(road_body(&answer), refusal);
    road_answer_free(&answer);
    scene_end(&scene);
}

/* One hint, not two. */
static void test_overloaded(void **state)
{
    struct scene scene;
    struct road_answer answer;

    (void)state;
    scene_begin(&scene, four);
    road_post(&scene.road, scene.client, "/v1/messages", "",
              "{\"model\":\"c\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":"
              "\"Hi\"}]}");
    scene_expect_attempt(&scene, 'a', "POST /v1/messages ", "claude");
    scene_reply(&scene, 529, "Retry-After: 90\r\nx-should-retry: true\r\n",
                "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":"
                "\"Overloaded\"}}");
    road_hear(&scene.road, scene.client, &answer);
    assert_int_equal(answer.status, 529);
    assert_int_equal(road_count(answer.head, "Retry-After: "), 1);
    assert_string_equal(road_field(&answer, "retry-after"), "90");
    assert_int_equal(road_count(answer.head, "x-should-retry: "), 1);
    road_answer_free(&answer);
    scene_end(&scene);
}

/* The first target's trouble passes; that the second cannot be told the request does not. */
static void test_failure_before_a_refusal(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, four);
    road_post(&scene.road, scene.client, "/v1/chat/completions", "",
              "{\"model\":\"oc\",\"n\":2,\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}");
    scene_expect_attempt(&scene, 'b', "POST /v1/chat/completions ", "\"n\":2");
    scene_reply(&scene, 302, "Location: /\r\n", "");
    road_expect_error(&scene.road, scene.client, 502, "upstream_failed");
    scene_end(&scene);
}

/* Where none was asked, the client hears what is wrong. */
static void test_refusal(void **state)
{
    struct scene scene;
    struct road_answer answer;

    (void)state;
    scene_begin(&scene, four);
    road_post(&scene.road, scene.client, "/v1/chat/completions", "",
              "{\"model\":\"c\",\"n\":2,\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}");
    road_expect_no_attempt(&scene.road, 'a', -1);
    road_hear(&scene.road, scene.client, &answer);
    assert_int_equal(answer.status, 400);
    assert_non_null(strstr(road_body(&answer), "\"param\":\"n\""));
    assert_string_equal(road_field(&answer, "x-bellwether-attempts"), "");
    road_answer_free(&answer);
    /* Nothing was tried, and the key is as free as before. */
    assert_int_equal(road_attempts(&scene.road, "client_gone"), 0);
    scene_end(&scene);
}

/* --- the log --- */

/* The provider's own id of the request, by whatever field it tells it; never the client's key. */
static void test_line(void **state)
{
    struct scene scene;
    char *line;

    (void)state;
    scene_begin(&scene, four);
    road_post(&scene.road, scene.client, "/v1beta/models/c:generateContent?key=sk-bw-secret", "",
              "{\"contents\":[{\"parts\":[{\"text\":\"Hi\"}]}]}");
    {
        char *heard;

        scene_attempt_at(&scene, 'a', &heard);
        assert_non_null(strstr(heard, "POST /v1/messages HTTP/1.1\r\n"));
        assert_null(strstr(heard, "sk-bw-secret"));
        mem_free(heard);
    }
    scene_reply(
        &scene, 200, "request-id: req_up\r\n",
        "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude\","
        "\"content\":[{\"type\":\"text\",\"text\":\"Hello\"}],\"stop_reason\":\"end_turn\","
        "\"stop_sequence\":null,\"usage\":{\"input_tokens\":7,\"output_tokens\":4}}");
    road_expect(&scene.road, scene.client, 200, NULL);
    line = road_log(&scene.road);
    assert_non_null(strstr(line, "\"path\":\"/v1beta/models/c:generateContent\""));
    assert_non_null(strstr(line, "\"req_up\""));
    assert_null(strstr(line, "sk-bw-secret"));
    mem_free(line);
    scene_end(&scene);
}

/* The name of a model is told in a header: nothing of it may become a line of its own. */
static void test_names_that_break_lines(void **state)
{
    static const char *const paths[] = {
        "/v1beta/models/own%2Fm%0D%0AX-Evil:%201:generateContent",
        "/v1beta/models/own%2Fm%0AX-Evil:%201:generateContent",
        "/v1beta/models/own%2Fm%00:generateContent",
        "/v1beta/models/own%2Fm%FF:generateContent",
    };
    struct scene scene;
    struct road_answer answer;

    (void)state;
    scene_begin(&scene, direct);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        road_post(&scene.road, scene.client, paths[i], "",
                  "{\"contents\":[{\"parts\":[{\"text\":\"Hi\"}]}]}");
        road_hear(&scene.road, scene.client, &answer);
        assert_int_equal(answer.status, 404);
        assert_null(strstr(answer.head, "X-Evil"));
        road_answer_free(&answer);
    }
    road_post(&scene.road, scene.client, "/v1/chat/completions", "",
              "{\"model\":\"own/m\\r\\nX-Evil: 1\",\"messages\":[]}");
    scene_expect_attempt(&scene, 'a', "POST /v1/chat/completions ", "m\\r\\nX-Evil: 1");
    road_reply_ok(&scene.road, scene.upstream);
    road_hear(&scene.road, scene.client, &answer);
    assert_int_equal(answer.status, 200);
    assert_null(strstr(answer.head, "\nX-Evil"));
    road_answer_free(&answer);
    scene_end(&scene);
}

/* A deployment that is a dot segment would lead to another path of the provider, with our key. */
static void test_deployments_that_lead_elsewhere(void **state)
{
    static const char *const models[] = {"az/.", "az/..", "up"};
    struct scene scene;
    char body[64];

    (void)state;
    scene_begin(&scene, azure);
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        snprintf(body, sizeof(body), "{\"model\":\"%s\",\"messages\":[]}", models[i]);
        road_post(&scene.road, scene.client, "/v1/chat/completions", "", body);
        road_expect_no_attempt(&scene.road, 'a', -1);
        road_expect_error(&scene.road, scene.client, 404, "model_not_found");
    }
    scene_end(&scene);
}

/* Dots alone are no harm, nor is any name that stands in the body. */
static void test_deployments_with_dots(void **state)
{
    static const struct {
        const char *body, *line, *part;
        char upstream;
    } rows[] = {
        {"{\"model\":\"az/...\",\"messages\":[]}", "/deployments/.../chat/completions?", "", 'a'},
        {"{\"model\":\"az/gpt-4.1\",\"messages\":[]}", "/deployments/gpt-4.1/chat/completions?", "",
         'a'},
        {"{\"model\":\"az/../..\",\"messages\":[]}", "/deployments/..%2F../chat/completions?", "",
         'a'},
        {"{\"model\":\"az/%2e%2e\",\"messages\":[]}", "/deployments/%252e%252e/chat/completions?",
         "", 'a'},
        {"{\"model\":\"new/..\",\"messages\":[]}", "/openai/v1/chat/completions ",
         "\"model\":\"..\"", 'b'},
    };
    struct scene scene;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        scene_begin(&scene, azure);
        road_post(&scene.road, scene.client, "/v1/chat/completions", "", rows[i].body);
        scene_expect_attempt(&scene, rows[i].upstream, rows[i].line, rows[i].part);
        scene_serve(&scene);
        scene_end(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage_is_asked_in_the_targets_form),
        cmocka_unit_test(test_each_key_is_told_the_same),
        cmocka_unit_test(test_unknown_parts_pass),
        cmocka_unit_test(test_embeddings_by_another_name),
        cmocka_unit_test(test_refused_stream),
        cmocka_unit_test(test_overloaded),
        cmocka_unit_test(test_failure_before_a_refusal),
        cmocka_unit_test(test_refusal),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_names_that_break_lines),
        cmocka_unit_test(test_deployments_that_lead_elsewhere),
        cmocka_unit_test(test_deployments_with_dots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

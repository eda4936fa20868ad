/*
 * Answers that are told anew in the client's form, or read event by event on their way: the commit,
 * what is held before it, how they end, and what they are booked as.
 */
#include "scene.h"

#include <sys/socket.h>

#include "base/alloc.h"

/* Longer than the pause before the same key is asked again. */
enum { BACKOFF_MS = 2000 };

/* "up" speaks Anthropic's dialect, "other" OpenAI's, "goog" Google's. */
static const char three[] =
    "providers:\n"
    "  up: {kind: anthropic, base_url: '@a', health: {validate_new: false},\n"
    "    keys: [{name: one, secret: key-one}]}\n"
    "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
    "    keys: [{name: two, secret: key-two}]}\n"
    "  goog: {kind: gemini, base_url: '@c', health: {validate_new: false},\n"
    "    keys: [{name: three, secret: key-three}]}\n"
    "models:\n"
    "  c: {targets: [{to: up/claude}]}\n"
    "  o: {targets: [{to: other/gpt}]}\n"
    "  g: {targets: [{to: goog/gem}]}\n"
    "  co: {targets: [{to: up/claude}], fallback: [other/gpt]}\n"
    "  oc: {targets: [{to: other/gpt}], fallback: [up/claude]}\n"
    "clients: {open: true}\n";

#define EVENT(name, data) "event: " name "\ndata: " data "\n\n"

static const char start[] =
    EVENT("message_start",
          "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":"
          "\"assistant\",\"model\":\"claude\",\"content\":[],\"stop_reason\":null,"
          "\"stop_sequence\":null,\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}");
static const char text[] =
    EVENT("content_block_start", "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":"
                                 "{\"type\":\"text\",\"text\":\"\"}}")
        EVENT("content_block_delta", "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{"
                                     "\"type\":\"text_delta\",\"text\":\"Hello\"}}");
static const char finish[] = EVENT("content_block_stop",
                                   "{\"type\":\"content_block_stop\",\"index\":0}")
    EVENT("message_delta", "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\","
                           "\"stop_sequence\":null},\"usage\":{\"output_tokens\":4}}");
static const char stop[] = EVENT("message_stop", "{\"type\":\"message_stop\"}");
static const char overloaded[] =
    EVENT("error", "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":"
                   "\"Overloaded\"}}");
static const char message[] =
    "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude\","
    "\"content\":"
    "[{\"type\":\"text\",\"text\":\"Hello\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,"
    "\"usage\":{\"input_tokens\":7,\"output_tokens\":4}}";

/* --- asking --- */

static void chat(struct scene *scene, const char *model, bool is_stream)
{
    char body[256];

    snprintf(body, sizeof(body),
             "{\"model\":\"%s\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":"
             "\"Hi\"}]%s}",
             model, is_stream ? ",\"stream\":true" : "");
    road_post(&scene->road, scene->client, "/v1/chat/completions", "", body);
}

static void messages(struct scene *scene, const char *model, bool is_stream)
{
    char body[256];

    snprintf(body, sizeof(body),
             "{\"model\":\"%s\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":"
             "\"Hi\"}]%s}",
             model, is_stream ? ",\"stream\":true" : "");
    road_post(&scene->road, scene->client, "/v1/messages", "anthropic-version: 2023-06-01\r\n",
              body);
}

/* A stream on its way from Anthropic's dialect; the answer's head was given. */
static void begin(struct scene *scene, void (*ask)(struct scene *, const char *, bool))
{
    scene_begin(scene, three);
    ask(scene, "c", true);
    scene_attempt_at(scene, 'a', NULL);
    scene_stream_head(scene);
}

/* --- hearing --- */

static void hear_stream(struct scene *scene, struct road_answer *answer)
{
    road_hear(&scene->road, scene->client, answer);
    assert_int_equal(answer->status, 200);
    assert_int_equal(answer->end, WIRE_OPEN);
}

/* What has come since: properly ended, with these among it (NULL: nothing), and without that. */
static void expect_rest(struct scene *scene, const char *first, const char *second,
                        const char *never)
{
    struct buf heard;

    buf_init(&heard, 1 << 20);
    wire_settle(scene->road.loop);
    assert_int_equal(wire_read(scene->client, &heard), WIRE_OPEN);
    if (first && !strstr(buf_text(&heard), first))
        print_message("%s\n", buf_text(&heard));
    assert_true(!first || strstr(buf_text(&heard), first));
    assert_true(!second || strstr(buf_text(&heard), second));
    assert_true(!never || !strstr(buf_text(&heard), never));
    assert_true(heard.len >= 5);
    assert_memory_equal(heard.data + heard.len - 5, "0\r\n\r\n", 5);
    assert_int_equal(scene->road.host.exchange_count, 0);
    buf_fini(&heard);
}

static void forget(struct scene *scene)
{
    struct road_answer answer;

    hear_stream(scene, &answer);
    assert_false(answer.is_whole);
    road_answer_free(&answer);
}

/* The same as begin, and the client has heard of it. */
static void begin_committed(struct scene *scene, void (*ask)(struct scene *, const char *, bool))
{
    begin(scene, ask);
    scene_stream(scene, start);
    scene_stream(scene, text);
    forget(scene);
}

/* All of a stream of Anthropic's dialect. */
static void stream_whole(struct scene *scene)
{
    scene_stream(scene, start);
    scene_stream(scene, text);
    scene_stream(scene, finish);
    scene_stream(scene, stop);
    scene_stream_end(scene);
}

static uint64_t tokens(struct road *road, const char *provider, const char *model, const char *kind)
{
    char line[192];

    snprintf(line, sizeof(line),
             "bellwether_tokens_total{provider=\"%s\",model=\"%s\",kind=\"%s\"}", provider, model,
             kind);
    return road_metric(road, line);
}

/* --- whole streams --- */

static void test_stream_told_anew(void **state)
{
    struct scene scene;
    struct road_answer answer;

    (void)state;
    begin(&scene, chat);
    stream_whole(&scene);
    hear_stream(&scene, &answer);
    assert_true(answer.is_whole);
    assert_string_equal(road_field(&answer, "content-type"), "text/event-stream; charset=utf-8");
    assert_string_equal(road_field(&answer, "x-bellwether-provider"), "up");
    assert_non_null(strstr(road_body(&answer), "\"content\":\"Hello\""));
    assert_non_null(strstr(road_body(&answer), "data: [DONE]\n\n"));
    road_answer_free(&answer);
    assert_int_equal(road_attempts(&scene.road, "success"), 1);
    assert_int_equal(tokens(&scene.road, "up", "c", "prompt"), 7);
    assert_int_equal(tokens(&scene.road, "up", "c", "completion"), 4);
    scene_end(&scene);
}

/* The provider's connection may stay open behind the terminal event: a second, and it is over. */
static void test_no_end_behind_the_terminal_event(void **state)
{
    struct scene scene;

    (void)state;
    begin_committed(&scene, chat);
    scene_stream(&scene, finish);
    scene_stream(&scene, stop);
    road_pass_ms(&scene.road, 1001);
    expect_rest(&scene, "\"finish_reason\":\"stop\"", "[DONE]", "error");
    assert_int_equal(road_attempts(&scene.road, "success"), 1);
    scene_end(&scene);
}

/* --- failures before the commit --- */

/* The first target refuses; what the second says is told in the client's form. */
static void test_fallback_to_another_dialect(void **state)
{
    struct scene scene;
    char *heard;

    (void)state;
    scene_begin(&scene, three);
    messages(&scene, "co", false);
    scene_attempt_at(&scene, 'a', &heard);
    assert_non_null(strstr(heard, "POST /v1/messages HTTP/1.1\r\n"));
    assert_non_null(strstr(heard, "\r\nanthropic-version: 2023-06-01\r\n"));
    mem_free(heard);
    scene_reply(&scene, 401, "",
                "{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\","
                "\"message\":\"invalid x-api-key\"}}");
    scene_attempt_at(&scene, 'b', &heard);
    assert_non_null(strstr(heard, "POST /v1/chat/completions HTTP/1.1\r\n"));
    assert_null(strstr(heard, "anthropic-version"));
    assert_non_null(strstr(heard, "\"model\":\"gpt\""));
    mem_free(heard);
    road_reply_ok(&scene.road, scene.upstream);
    {
        struct road_answer answer;

        hear_stream(&scene, &answer);
        assert_non_null(strstr(road_body(&answer), "\"type\":\"message\""));
        assert_non_null(strstr(road_body(&answer), "\"input_tokens\":3"));
        assert_string_equal(road_field(&answer, "x-bellwether-attempts"), "2");
        road_answer_free(&answer);
    }
    assert_int_equal(road_attempts(&scene.road, "invalid_key"), 1);
    assert_int_equal(tokens(&scene.road, "other", "co", "prompt"), 3);
    scene_end(&scene);
}

/* And back: the body that was written for the first is of no use to the second. */
static void test_fallback_to_the_own_dialect(void **state)
{
    struct scene scene;
    char *heard;

    (void)state;
    scene_begin(&scene, three);
    messages(&scene, "oc", false);
    scene_attempt_at(&scene, 'b', &heard);
    assert_non_null(strstr(heard, "POST /v1/chat/completions HTTP/1.1\r\n"));
    mem_free(heard);
    scene_reply(&scene, 500, "", "{}");
    scene_attempt_at(&scene, 'a', &heard);
    assert_non_null(strstr(heard, "{\"model\":\"claude\",\"max_tokens\":9,\"messages\":[{\"role\":"
                                  "\"user\",\"content\":\"Hi\"}]}"));
    mem_free(heard);
    scene_reply(&scene, 200, "", message);
    road_expect(&scene.road, scene.client, 200, message);
    scene_end(&scene);
}

/* An error as the first event is no answer: another try. */
static void test_error_before_commit(void **state)
{
    struct scene scene;
    struct road_answer answer;

    (void)state;
    scene_begin(&scene, three);
    chat(&scene, "co", true);
    scene_attempt_at(&scene, 'a', NULL);
    scene_stream_head(&scene);
    scene_stream(&scene, EVENT("ping", "{\"type\":\"ping\"}"));
    scene_stream(&scene, overloaded);
    road_expect_silence(&scene.road, scene.client);
    close(scene.upstream);
    scene.upstream = -1;
    scene_attempt_at(&scene, 'b', NULL);
    scene_stream_head(&scene);
    scene_stream(&scene, road_chunk);
    scene_stream(&scene, road_finish);
    scene_stream(&scene, road_done);
    scene_stream_end(&scene);
    hear_stream(&scene, &answer);
    assert_true(answer.is_whole);
    assert_null(strstr(road_body(&answer), "verloaded"));
    assert_int_equal(road_count(road_body(&answer), "[DONE]"), 1);
    road_answer_free(&answer);
    assert_int_equal(road_attempts(&scene.road, "overloaded_in_success"), 1);
    scene_end(&scene);
}

/* A whole stream that ends without any finish reason was cut, and told nobody. */
static void test_cut_before_commit(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, three);
    messages(&scene, "c", false);
    scene_attempt_at(&scene, 'a', NULL);
    wire_say(scene.road.loop, scene.upstream,
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n"
             "{\"id\":\"msg_1\",");
    road_expect_silence(&scene.road, scene.client);
    scene_break(&scene);
    road_pass_ms(&scene.road, BACKOFF_MS);
    scene_attempt_at(&scene, 'a', NULL);
    scene_reply(&scene, 200, "", message);
    road_expect(&scene.road, scene.client, 200, message);
    assert_int_equal(road_attempts(&scene.road, "cut"), 1);
    scene_end(&scene);
}

/* No coding is a coding too. */
static void test_identity(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, three);
    messages(&scene, "c", false);
    scene_attempt_at(&scene, 'a', NULL);
    scene_reply(&scene, 200, "Content-Encoding: identity\r\n", message);
    road_expect(&scene.road, scene.client, 200, message);
    chat(&scene, "c", false);
    scene_attempt_at(&scene, 'a', NULL);
    scene_reply(&scene, 200, "Content-Encoding: identity\r\n", message);
    road_expect(&scene.road, scene.client, 200, NULL);
    scene_end(&scene);
}

/* Events where one object was asked for cannot be told to who waits for that object. */
static void test_events_where_an_object_was_asked(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, three);
    chat(&scene, "c", false);
    scene_attempt_at(&scene, 'a', NULL);
    scene_stream_head(&scene);
    stream_whole(&scene);
    road_expect_silence(&scene.road, scene.client);
    road_pass_ms(&scene.road, BACKOFF_MS);
    scene_attempt_at(&scene, 'a', NULL);
    scene_reply(&scene, 200, "", message);
    road_expect(&scene.road, scene.client, 200, NULL);
    scene_end(&scene);
}

/* An object where a stream was asked for is told as a stream. */
static void test_object_where_events_were_asked(void **state)
{
    struct scene scene;
    struct road_answer answer;

    (void)state;
    scene_begin(&scene, three);
    chat(&scene, "c", true);
    scene_attempt_at(&scene, 'a', NULL);
    scene_reply(&scene, 200, "", message);
    hear_stream(&scene, &answer);
    assert_true(answer.is_whole);
    assert_non_null(strstr(road_body(&answer), "data: [DONE]\n\n"));
    road_answer_free(&answer);
    scene_end(&scene);
}

/* --- failures after it --- */

static void test_cut_after_commit(void **state)
{
    struct scene scene;

    (void)state;
    begin_committed(&scene, chat);
    scene_break(&scene);
    expect_rest(&scene, "data: {\"error\":{", "\"code\":\"upstream_failed\"", "[DONE]");
    assert_int_equal(road_attempts(&scene.road, "cut"), 1);
    assert_int_equal(tokens(&scene.road, "up", "c", "prompt"), 7);
    scene_end(&scene);
}

/* Half an event is none: what follows it must be read as what it is. */
static void test_cut_in_mid_event(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene, messages);
    scene_stream(&scene, start);
    forget(&scene);
    scene_stream(&scene, "event: content_block_delta\ndata: {\"type\":\"content_bl");
    scene_stream_end(&scene);
    expect_rest(&scene, "event: error\ndata: {\"type\":\"error\"", NULL, "content_bl");
    assert_int_equal(road_attempts(&scene.road, "cut"), 1);
    scene_end(&scene);
}

static void test_error_after_commit(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene, chat);
    scene_stream(&scene, start);
    forget(&scene);
    scene_stream(&scene, overloaded);
    expect_rest(&scene, "data: {\"error\":{", "Overloaded", "[DONE]");
    road_expect_closed(&scene.road, scene.upstream);
    scene_end(&scene);
}

/* A stream of OpenAI's dialect, told as Anthropic's, up to its finish reason. */
static void begin_finished(struct scene *scene)
{
    scene_begin(scene, three);
    messages(scene, "o", true);
    scene_attempt_at(scene, 'b', NULL);
    scene_stream_head(scene);
    scene_stream(scene, road_chunk);
    scene_stream(scene, road_finish);
    forget(scene);
}

/* Even behind a finish reason an error is the end, and the client is not left waiting. */
static void test_error_behind_a_finish(void **state)
{
    struct scene scene;

    (void)state;
    begin_finished(&scene);
    scene_stream(&scene, "data: {\"error\":{\"message\":\"Boom\",\"type\":\"server_error\"}}\n\n");
    expect_rest(&scene, "event: error\n", "Boom", "message_stop");
    scene_end(&scene);
}

/* Without an error it is whole, however the connection ends. */
static void test_cut_behind_a_finish(void **state)
{
    struct scene scene;

    (void)state;
    begin_finished(&scene);
    scene_break(&scene);
    expect_rest(&scene, "event: message_stop\n", NULL, "error");
    scene_end(&scene);
}

/* --- pings --- */

/* A queue's pings are held for 15 s; then head and ping go out, and that commits. */
static void test_pings_held(void **state)
{
    struct scene scene;
    struct road_answer answer;

    (void)state;
    begin(&scene, chat);
    scene_stream(&scene, EVENT("ping", "{\"type\":\"ping\"}"));
    road_pass_ms(&scene.road, 14000);
    scene_stream(&scene, EVENT("ping", "{\"type\":\"ping\"}"));
    road_expect_silence(&scene.road, scene.client);
    road_pass_ms(&scene.road, 1001);
    hear_stream(&scene, &answer);
    assert_string_equal(road_body(&answer), ": ping\n\n");
    road_answer_free(&answer);
    scene_stream(&scene, overloaded);
    expect_rest(&scene, "Overloaded", NULL, "[DONE]");
    road_expect_no_attempt(&scene.road, 'a', -1);
    scene_end(&scene);
}

/* --- clients --- */

/* What a client that leaves has been told is booked, and the provider's stream is ended. */
static void test_client_leaves(void **state)
{
    struct scene scene;

    (void)state;
    begin_committed(&scene, chat);
    scene_leave(&scene);
    road_expect_closed(&scene.road, scene.upstream);
    assert_int_equal(road_metric(&scene.road, "bellwether_requests_cancelled_total{by=\"client\"}"),
                     1);
    assert_int_equal(tokens(&scene.road, "up", "c", "prompt"), 7);
    assert_int_equal(road_attempts(&scene.road, "client_gone"), 1);
    scene_end(&scene);
}

/* What a stream tells at its start of its usage is no account of what it then told. */
static void test_usage_of_a_cut_stream(void **state)
{
    static const char more[] =
        EVENT("content_block_delta", "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{"
                                     "\"type\":\"text_delta\",\"text\":\"twelve bytes\"}}");
    struct scene scene;

    (void)state;
    begin(&scene, messages);
    scene_stream(&scene, start);
    scene_stream(&scene, text);
    for (int i = 0; i < 100; i++)
        scene_stream(&scene, more);
    forget(&scene);
    scene_leave(&scene);
    assert_int_equal(tokens(&scene.road, "up", "c", "prompt"), 7);
    assert_in_range(tokens(&scene.road, "up", "c", "completion"), 300, 310);
    assert_int_equal(
        road_metric(&scene.road, "bellwether_usage_estimated_total{provider=\"up\",model=\"c\"}"),
        1);
    scene_end(&scene);
}

static void play_shutdown(void (*ask)(struct scene *, const char *, bool), const char *error)
{
    struct scene scene;

    begin_committed(&scene, ask);
    exchange_host_cut(&scene.road.host);
    expect_rest(&scene, error, NULL, "stop");
    road_expect_closed(&scene.road, scene.upstream);
    assert_int_equal(
        road_metric(&scene.road, "bellwether_requests_cancelled_total{by=\"shutdown\"}"), 1);
    assert_int_equal(tokens(&scene.road, "up", "c", "prompt"), 7);
    scene_end(&scene);
}

static void test_shutdown(void **state)
{
    (void)state;
    play_shutdown(chat, "data: {\"error\":{");
    play_shutdown(messages, "event: error\n");
}

/* The answer is good but for its last event: shutting down takes nothing away from it. */
static void test_shutdown_behind_a_finish(void **state)
{
    struct scene scene;

    (void)state;
    begin_finished(&scene);
    exchange_host_cut(&scene.road.host);
    expect_rest(&scene, "event: message_stop\n", NULL, "error");
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_told_anew),
        cmocka_unit_test(test_no_end_behind_the_terminal_event),
        cmocka_unit_test(test_fallback_to_another_dialect),
        cmocka_unit_test(test_fallback_to_the_own_dialect),
        cmocka_unit_test(test_error_before_commit),
        cmocka_unit_test(test_cut_before_commit),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_events_where_an_object_was_asked),
        cmocka_unit_test(test_object_where_events_were_asked),
        cmocka_unit_test(test_cut_after_commit),
        cmocka_unit_test(test_cut_in_mid_event),
        cmocka_unit_test(test_error_after_commit),
        cmocka_unit_test(test_error_behind_a_finish),
        cmocka_unit_test(test_cut_behind_a_finish),
        cmocka_unit_test(test_pings_held),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_usage_of_a_cut_stream),
        cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_shutdown_behind_a_finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Every fault and oddity, as a client on the wire sees it, on virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "play.h"

static const char STREAM[] = "{\"model\": \"gpt-4.1\", \"stream\": true, \"messages\": [{\"role\": "
                             "\"user\", \"content\": \"one two three four five\"}]}";

/* One request to a key with these faults. */
static void meet(const char *faults, const char *body, struct reply *reply)
{
    struct play play;

    play_begin_faulty(&play, "", faults);
    play_post(&play, play_chat, "sk-1", body, reply);
    play_end(&play);
}

static size_t count_of(const struct reply *reply, const char *text)
{
    struct span rest = buf_span(&reply->body);
    size_t count = 0, at;

    while ((at = span_find(rest, span_from_text(text))) != SIZE_MAX) {
        rest = span_skip(rest, at + strlen(text));
        count++;
    }
    return count;
}

static void statuses_come_with_their_bodies(void **state)
{
    static const struct {
        const char *fault;
        int status;
        const char *type, *code;
    } rows[] = {
        {"500", 500, "\"server_error\"", "null"},
        {"502", 502, "\"server_error\"", "null"},
        {"overloaded", 503, "\"service_unavailable_error\"", "\"server_is_overloaded\""},
        {"invalid_api_key", 401, "\"invalid_request_error\"", "\"invalid_api_key\""},
        {"forbidden", 403, "\"invalid_request_error\"", "\"permission_denied\""},
        {"insufficient_quota", 429, "\"insufficient_quota\"", "\"insufficient_quota\""},
        {"payment_required", 402, "\"insufficient_quota\"", "\"credit_balance_exhausted\""},
        {"rate_limit", 429, "\"requests\"", "\"rate_limit_exceeded\""},
        {"token_limit", 429, "\"tokens\"", "\"rate_limit_exceeded\""},
        {"slow_down", 429, "\"rate_limit_error\"", "\"slow_down\""},
        {"model_not_found", 404, "\"invalid_request_error\"", "\"model_not_found\""},
        {"context_length", 400, "\"invalid_request_error\"", "\"context_length_exceeded\""},
        {"422", 422, "\"invalid_request_error\"", "null"},
    };
    struct reply reply;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char type[64], code[64];

        meet(rows[i].fault, i % 2 ? play_plain : STREAM, &reply);
        assert_true(reply.is_whole);
        assert_int_equal(reply.status, rows[i].status);
        assert_string_equal(reply_header(&reply, "content-type"), "application/json");
        snprintf(type, sizeof(type), "\"type\":%s", rows[i].type);
        snprintf(code, sizeof(code), "\"code\":%s", rows[i].code);
        assert_true(reply_has(&reply, type));
        assert_true(reply_has(&reply, code));
        reply_free(&reply);
    }
}

static void a_retry_hint_stands_in_header_and_message(void **state)
{
    struct reply reply;

    (void)state;
    meet("{fault: rate_limit, retry_after: 80.5s}", play_plain, &reply);
    assert_string_equal(reply_header(&reply, "retry-after"), "81");
    assert_true(reply_has(&reply, "Please try again in 1m20.5s."));
    reply_free(&reply);
}

static void connections_break_instead_of_an_answer(void **state)
{
    struct reply reply;

    (void)state;
    meet("reset", play_plain, &reply);
    assert_int_equal(reply.end, CALLER_RESET);
    assert_int_equal(reply.reads, 0);
    reply_free(&reply);

    meet("close", play_plain, &reply);
    assert_int_equal(reply.end, CALLER_EOF);
    assert_int_equal(reply.reads, 0);
    reply_free(&reply);

    meet("garbage", play_plain, &reply);
    assert_int_equal(reply.end, CALLER_EOF);
    assert_int_equal(reply.status, 0);
    assert_int_equal(reply.reads, 1);
    reply_free(&reply);
}

static void a_timeout_is_never_answered(void **state)
{
    struct reply reply;

    (void)state;
    meet("timeout", play_plain, &reply);
    assert_int_equal(reply.end, CALLER_OPEN);
    assert_int_equal(reply.reads, 0);
    reply_free(&reply);
}

static void plain_bodies_are_cut_in_half(void **state)
{
    static const struct {
        const char *fault;
        enum caller_end end;
        bool is_whole;
    } rows[] = {
        {"{fault: cut, by: close}", CALLER_EOF, false},
        {"{fault: cut, by: reset}", CALLER_RESET, false},
        {"{fault: cut, by: end}", CALLER_OPEN, true},
    };
    struct reply reply;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        meet(rows[i].fault, play_plain, &reply);
        assert_int_equal(reply.status, 200);
        assert_int_equal(reply.end, rows[i].end);
        assert_int_equal(reply.is_whole, rows[i].is_whole);
        assert_true(reply_has(&reply, "chat.completion"));
        assert_false(reply_has(&reply, "total_tokens"));
        reply_free(&reply);
    }
}

static void streams_are_cut_after_some_events(void **state)
{
    static const struct {
        const char *fault;
        enum caller_end end;
        size_t events;
        bool is_whole;
    } rows[] = {
        {"cut", CALLER_EOF, 3, false},
        {"{fault: cut, after: 5, by: reset}", CALLER_RESET, 5, false},
        {"{fault: cut, after: 4, by: end}", CALLER_OPEN, 4, true},
        {"{fault: cut, after: 0}", CALLER_EOF, 0, false},
    };
    struct reply reply;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        meet(rows[i].fault, STREAM, &reply);
        assert_int_equal(reply.status, 200);
        assert_int_equal(reply.end, rows[i].end);
        assert_int_equal(reply.is_whole, rows[i].is_whole);
        assert_int_equal(count_of(&reply, "data: "), rows[i].events);
        assert_false(reply_has(&reply, "[DONE]"));
        reply_free(&reply);
    }
}

static void errors_hide_inside_a_200(void **state)
{
    struct reply reply;

    (void)state;
    meet("{fault: error_body, error: overloaded}", STREAM, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "content-type"), "application/json");
    assert_true(reply_has(&reply, "\"code\":\"server_is_overloaded\""));
    reply_free(&reply);

    meet("{fault: error_event, error: rate_limit}", STREAM, &reply);
    assert_int_equal(reply.status, 200);
    assert_true(reply.is_whole);
    assert_int_equal(count_of(&reply, "data: "), 1);
    assert_memory_equal(reply.body.data, "data: {\"error\":{", 16);
    reply_free(&reply);

    meet("{fault: error_event, after: 2}", STREAM, &reply);
    assert_int_equal(count_of(&reply, "data: "), 3);
    assert_true(reply_has(&reply, "\"type\":\"server_error\""));
    assert_false(reply_has(&reply, "[DONE]"));
    reply_free(&reply);

    meet("error_event", play_plain, &reply);
    assert_int_equal(reply.status, 200);
    assert_memory_equal(reply.body.data, "{\"error\":{", 10);
    reply_free(&reply);
}

static void stalls_take_their_time(void **state)
{
    struct reply reply;

    (void)state;
    meet("{fault: stall, for: 7s}", play_plain, &reply);
    assert_int_equal(reply.first_byte_us, 7 * SECOND);
    assert_true(reply.is_whole);
    reply_free(&reply);

    meet("{fault: head_stall, for: 7s}", STREAM, &reply);
    assert_int_equal(reply.first_byte_us, 0);
    assert_int_equal(reply.took_us, 7 * SECOND);
    assert_true(reply_has(&reply, "[DONE]"));
    reply_free(&reply);
}

static void a_drip_comes_byte_by_byte(void **state)
{
    struct reply reply;

    (void)state;
    meet("{fault: drip, bytes: 100, gap: 1s}", play_plain, &reply);
    assert_true(reply.is_whole);
    assert_int_equal(reply.took_us / SECOND, (reply.body.len - 1) / 100);
    reply_free(&reply);

    meet("{fault: drip, bytes: 50, gap: 10ms}", STREAM, &reply);
    assert_true(reply.is_whole);
    assert_true(reply_has(&reply, "data: [DONE]\n\n"));
    assert_true(reply.reads > 30);
    reply_free(&reply);
}

static void a_queue_is_comments_before_the_answer(void **state)
{
    struct reply reply;

    (void)state;
    meet("{fault: queue, for: 5s, gap: 1s}", STREAM, &reply);
    assert_int_equal(reply.first_byte_us, 0);
    assert_int_equal(reply.took_us, 5 * SECOND);
    assert_int_equal(count_of(&reply, ": keep-alive\n\n"), 5);
    assert_memory_equal(reply.body.data, ": keep-alive\n\n: keep-alive\n\n", 28);
    assert_true(reply_has(&reply, "[DONE]"));
    reply_free(&reply);

    meet("{fault: queue, for: 2s, gap: 1s}", play_plain, &reply);
    assert_memory_equal(reply.body.data, "\n\n{\"id\":", 8);
    assert_true(reply.is_whole);
    reply_free(&reply);
}

static void oddities_of_form(void **state)
{
    static const char WITH_USAGE[] =
        "{\"model\": \"m\", \"stream\": true, \"stream_options\": {\"include_usage\": true}, "
        "\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}";
    struct reply reply;

    (void)state;
    meet("no_done", STREAM, &reply);
    assert_true(reply.is_whole);
    assert_true(reply_has(&reply, "\"finish_reason\":\"stop\""));
    assert_false(reply_has(&reply, "[DONE]"));
    reply_free(&reply);

    meet("no_usage", WITH_USAGE, &reply);
    assert_false(reply_has(&reply, "\"usage\""));
    assert_true(reply_has(&reply, "[DONE]"));
    reply_free(&reply);

    meet("no_usage", play_plain, &reply);
    assert_false(reply_has(&reply, "\"usage\""));
    reply_free(&reply);

    meet("chunked", play_plain, &reply);
    assert_string_equal(reply_header(&reply, "transfer-encoding"), "chunked");
    assert_true(reply.is_whole && reply_has(&reply, "total_tokens"));
    reply_free(&reply);

    meet("crlf", STREAM, &reply);
    assert_true(reply_has(&reply, "data: [DONE]\r\n\r\n"));
    assert_false(reply_has(&reply, "}\n\n"));
    reply_free(&reply);

    meet("padding", STREAM, &reply);
    assert_int_equal(count_of(&reply, "\"obfuscation\":\""), 9);
    reply_free(&reply);
}

static void a_filter_or_another_end_shows_in_the_reason(void **state)
{
    struct reply reply;

    (void)state;
    meet("blocked", play_plain, &reply);
    assert_int_equal(reply.status, 200);
    assert_true(reply_has(&reply, "\"content\":\"\""));
    assert_true(reply_has(&reply, "\"finish_reason\":\"content_filter\""));
    assert_true(reply_has(&reply, "\"completion_tokens\":0,"));
    reply_free(&reply);

    meet("blocked", STREAM, &reply);
    assert_int_equal(count_of(&reply, "data: "), 3); /* role, reason, [DONE] */
    assert_true(reply_has(&reply, "\"finish_reason\":\"content_filter\""));
    reply_free(&reply);

    meet("{fault: finish, reason: eos}", STREAM, &reply);
    assert_true(reply_has(&reply, "\"finish_reason\":\"eos\""));
    assert_true(reply_has(&reply, "echo:"));
    reply_free(&reply);
}

static void early_answers_do_not_wait_for_the_body(void **state)
{
    struct play play;
    struct caller caller;
    struct reply reply;

    (void)state;
    play_begin_faulty(&play, "", "{fault: early, error: 413}");
    caller_open(&caller, &play);
    caller_send(&caller, "POST /v1/chat/completions HTTP/1.1\r\nHost: sim\r\n"
                         "Authorization: Bearer sk-1\r\nContent-Length: 1000000\r\n\r\n{\"model\"");
    caller_finish(&caller, SECOND, &reply);
    assert_int_equal(reply.status, 413);
    assert_true(reply.is_whole);
    reply_free(&reply);
    assert_int_equal(play_count(&play, "sk-1", "failed"), 1);
    play_end(&play);
}

static void continue_is_sent_or_withheld(void **state)
{
    struct play play;
    struct caller caller;
    struct reply reply;

    (void)state;
    for (int is_ignored = 0; is_ignored < 2; is_ignored++) {
        play_begin(&play, is_ignored ? "defaults: {faults: [ignore_expect]}" : "");
        caller_open(&caller, &play);
        caller_send(&caller, "POST /v1/chat/completions HTTP/1.1\r\nHost: sim\r\nExpect: "
                             "100-continue\r\nAuthorization: Bearer sk-1\r\nContent-Length: 83\r\n"
                             "\r\n");
        play_wait(&play, SECOND);
        assert_string_equal(buf_text(&caller.got),
                            is_ignored ? "" : "HTTP/1.1 100 Continue\r\n\r\n");
        caller_send(&caller, "{\"model\": \"gpt-4.1\", \"messages\": [{\"role\": \"user\", "
                             "\"content\": \"hello, there\"}]}      ");
        caller_finish(&caller, SECOND, &reply);
        assert_int_equal(reply.status, 200);
        reply_free(&reply);
        play_end(&play);
    }
}

static void failures_take_the_latency_too(void **state)
{
    struct play play;
    struct reply reply;

    (void)state;
    play_begin_faulty(&play, "latency: 3s, ", "500");
    play_post(&play, play_chat, "sk-1", play_plain, &reply);
    assert_int_equal(reply.status, 500);
    assert_int_equal(reply.first_byte_us, 3 * SECOND);
    assert_string_equal(reply_header(&reply, "openai-processing-ms"), "3000");
    reply_free(&reply);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_come_with_their_bodies),
        cmocka_unit_test(a_retry_hint_stands_in_header_and_message),
        cmocka_unit_test(connections_break_instead_of_an_answer),
        cmocka_unit_test(a_timeout_is_never_answered),
        cmocka_unit_test(plain_bodies_are_cut_in_half),
        cmocka_unit_test(streams_are_cut_after_some_events),
        cmocka_unit_test(errors_hide_inside_a_200),
        cmocka_unit_test(stalls_take_their_time),
        cmocka_unit_test(a_drip_comes_byte_by_byte),
        cmocka_unit_test(a_queue_is_comments_before_the_answer),
        cmocka_unit_test(oddities_of_form),
        cmocka_unit_test(a_filter_or_another_end_shows_in_the_reason),
        cmocka_unit_test(early_answers_do_not_wait_for_the_body),
        cmocka_unit_test(continue_is_sent_or_withheld),
        cmocka_unit_test(failures_take_the_latency_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

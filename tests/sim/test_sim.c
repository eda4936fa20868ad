/* Keys, limits, counts and control calls of a running simulator, on virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"
#include "play.h"

static const uint64_t SECOND = 1000000;

static const char CHAT[] = "/v1/chat/completions";
static const char PLAIN[] =
    "{\"model\": \"gpt-4.1\", \"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}";
static const char STREAM[] = "{\"model\": \"gpt-4.1\", \"stream\": true, \"messages\": [{\"role\": "
                             "\"user\", \"content\": \"one two three\"}]}";

static int ask(struct play *play, const char *key)
{
    struct reply reply;
    int status;

    play_post(play, CHAT, key, PLAIN, &reply);
    status = reply.status;
    reply_free(&reply);
    return status;
}

/* --- keys --- */

static void keys_are_told_apart(void **state)
{
    struct play play;
    struct reply reply;

    (void)state;
    play_begin(&play, "unknown_keys: refuse\nkeys: {sk-good: , 'sk-team-*': , sk-bad: {state: "
                      "revoked}, sk-empty: {state: depleted}, sk-poor: {state: unpaid}, sk-far: "
                      "{state: forbidden}}");
    assert_int_equal(ask(&play, "sk-good"), 200);
    assert_int_equal(ask(&play, "sk-team-7"), 200);
    assert_int_equal(ask(&play, "sk-bad"), 401);
    assert_int_equal(ask(&play, "sk-unheard-of"), 401);
    assert_int_equal(ask(&play, ""), 401);
    assert_int_equal(ask(&play, "sk-empty"), 429);
    assert_int_equal(ask(&play, "sk-poor"), 402);
    assert_int_equal(ask(&play, "sk-far"), 403);
    /* A lookup tells whether a key is known, not whether it is paid for. */
    play_get(&play, "/v1/models", "sk-empty", &reply);
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    play_get(&play, "/v1/models", "sk-bad", &reply);
    assert_int_equal(reply.status, 401);
    reply_free(&reply);
    assert_int_equal(play_count(&play, "sk-bad", "requests"), 2);
    assert_int_equal(play_count(&play, "sk-bad", "lookups"), 1);
    assert_int_equal(play_count(&play, "sk-bad", "refused"), 2);
    assert_int_equal(play_count(&play, "sk-good", "answered"), 1);
    play_end(&play);
}

static void a_refused_key_is_not_told_back(void **state)
{
    struct play play;
    struct reply reply;

    (void)state;
    play_begin(&play, "unknown_keys: refuse");
    play_post(&play, CHAT, "sk-abcdefgh-0123456789-tail", PLAIN, &reply);
    assert_true(reply_has(&reply, "Incorrect API key provided: sk-abcde****tail."));
    reply_free(&reply);
    play_end(&play);
}

static void a_state_changes_while_it_runs(void **state)
{
    struct play play;

    (void)state;
    play_begin(&play, "");
    assert_int_equal(ask(&play, "sk-1"), 200);
    play_set(&play, "sk-1", "state: revoked");
    assert_int_equal(ask(&play, "sk-1"), 401);
    play_set(&play, "sk-1", "state: valid");
    assert_int_equal(ask(&play, "sk-1"), 200);
    assert_int_equal(play_count(&play, "sk-1", "requests"), 3);
    play_end(&play);
}

/* --- limits --- */

static void limits_refuse_with_headers_that_are_true(void **state)
{
    struct play play;
    struct reply reply;

    (void)state;
    play_begin(&play, "defaults: {limits: {rpm: 2, tpm: 1000}}");
    play_post(&play, CHAT, "sk-1", PLAIN, &reply);
    assert_string_equal(reply_header(&reply, "x-ratelimit-limit-requests"), "2");
    assert_string_equal(reply_header(&reply, "x-ratelimit-remaining-requests"), "1");
    assert_string_equal(reply_header(&reply, "x-ratelimit-reset-requests"), "30s");
    assert_string_equal(reply_header(&reply, "x-ratelimit-limit-tokens"), "1000");
    /* 8 for the prompt, 3 for the answer */
    assert_string_equal(reply_header(&reply, "x-ratelimit-remaining-tokens"), "989");
    assert_string_equal(reply_header(&reply, "x-ratelimit-reset-tokens"), "660ms");
    reply_free(&reply);
    assert_int_equal(ask(&play, "sk-1"), 200);

    play_post(&play, CHAT, "sk-1", PLAIN, &reply);
    assert_int_equal(reply.status, 429);
    assert_string_equal(reply_header(&reply, "retry-after"), "30");
    assert_string_equal(reply_header(&reply, "x-ratelimit-reset-requests"), "1m0s");
    assert_true(reply_has(&reply, "Rate limit reached for gpt-4.1 in organization org-"));
    assert_true(reply_has(&reply,
                          " on requests per min (RPM): Limit 2, Used 2, Requested 1. Please "
                          "try again in 30s."));
    reply_free(&reply);

    play_wait(&play, 30 * SECOND - 1);
    assert_int_equal(ask(&play, "sk-1"), 429);
    play_wait(&play, 1);
    assert_int_equal(ask(&play, "sk-1"), 200);
    assert_int_equal(ask(&play, "sk-2"), 200);
    assert_int_equal(play_count(&play, "sk-1", "limited"), 2);
    play_end(&play);
}

static void tokens_are_limited_too(void **state)
{
    struct play play;
    struct reply reply;

    (void)state;
    play_begin(&play, "defaults: {limits: {tpm: 20, window: sliding}}");
    assert_int_equal(ask(&play, "sk-1"), 200);
    play_post(&play, CHAT, "sk-1", PLAIN, &reply);
    assert_int_equal(reply.status, 429);
    assert_true(reply_has(&reply, "\"type\":\"tokens\""));
    assert_true(reply_has(&reply, "Limit 20, Used 11, Requested 11."));
    assert_string_equal(reply_header(&reply, "retry-after"), "60");
    reply_free(&reply);
    play_wait(&play, 60 * SECOND);
    assert_int_equal(ask(&play, "sk-1"), 200);
    play_set(&play, "sk-1", "limits: {tpm: 10}");
    play_post(&play, CHAT, "sk-1", PLAIN, &reply);
    assert_true(reply_has(&reply, "Request too large for gpt-4.1"));
    assert_string_equal(reply_header(&reply, "retry-after"), "");
    reply_free(&reply);
    play_end(&play);
}

static void an_account_is_shared(void **state)
{
    struct play play;

    (void)state;
    play_begin(&play, "shared-account");
    for (int i = 0; i < 30; i++) {
        assert_int_equal(ask(&play, "sk-sim-1"), 200);
        assert_int_equal(ask(&play, "sk-sim-2"), 200);
    }
    assert_int_equal(ask(&play, "sk-sim-1"), 429);
    assert_int_equal(ask(&play, "sk-sim-2"), 429);
    assert_int_equal(ask(&play, "sk-sim-3"), 200);
    play_wait(&play, 60 * SECOND);
    assert_int_equal(ask(&play, "sk-sim-2"), 200);
    play_end(&play);
}

static void hints_come_in_every_form(void **state)
{
    static const struct {
        const char *form, *reset, *retry_form, *retry_after, *retry_ms;
    } rows[] = {
        /* The virtual clock began at 2023-11-14T22:13:20Z. */
        {"go", "1m0s", "seconds", "60", ""},
        {"seconds", "60.000", "ms", "", "60000"},
        {"epoch", "1700000060", "both", "60", "60000"},
        {"rfc3339", "2023-11-14T22:14:20.000Z", "date", "Tue, 14 Nov 2023 22:14:20 GMT", ""},
        {"http_date", "Tue, 14 Nov 2023 22:14:20 GMT", "none", "", ""},
        {"none", "", "seconds", "60", ""},
    };
    struct play play;
    struct reply reply;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char scenario[128];

        snprintf(scenario, sizeof(scenario),
                 "defaults: {limits: {rpm: 1, reset: %s, retry_after: %s}}", rows[i].form,
                 rows[i].retry_form);
        play_begin(&play, scenario);
        assert_int_equal(ask(&play, "sk-1"), 200);
        play_post(&play, CHAT, "sk-1", PLAIN, &reply);
        assert_int_equal(reply.status, 429);
        assert_string_equal(reply_header(&reply, "x-ratelimit-reset-requests"), rows[i].reset);
        assert_string_equal(reply_header(&reply, "retry-after"), rows[i].retry_after);
        assert_string_equal(reply_header(&reply, "retry-after-ms"), rows[i].retry_ms);
        reply_free(&reply);
        play_end(&play);
    }
}

static void too_many_at_once_are_refused(void **state)
{
    struct caller callers[3];
    struct reply replies[3];
    struct play play;

    (void)state;
    play_begin(&play, "defaults: {latency: 1s, limits: {concurrent: 2}}");
    for (int i = 0; i < 3; i++) {
        caller_open(&callers[i], &play);
        caller_post(&callers[i], CHAT, "sk-1", "", PLAIN);
    }
    for (int i = 0; i < 3; i++) {
        caller_await(&callers[i], 2 * SECOND, &replies[i]);
        assert_int_equal(replies[i].status, i < 2 ? 200 : 429);
        reply_free(&replies[i]);
        caller_close(&callers[i]);
    }
    assert_int_equal(play_count(&play, "sk-1", "max_in_flight"), 3);
    assert_int_equal(play_count(&play, "sk-1", "in_flight"), 0);
    play_end(&play);
}

/* --- time --- */

static void latency_and_gaps_take_their_time(void **state)
{
    struct play play;
    struct reply reply;

    (void)state;
    play_begin(&play, "defaults: {latency: 2s, event_gap: 100ms}");
    play_post(&play, CHAT, "sk-1", STREAM, &reply);
    assert_true(reply.is_whole);
    assert_int_equal(reply.first_byte_us, 2 * SECOND);
    /* role, 5 pieces, finish, [DONE]: seven gaps */
    assert_int_equal(reply.took_us, 2 * SECOND + 7 * SECOND / 10);
    reply_free(&reply);
    play_end(&play);
}

static void the_same_seed_repeats_a_run(void **state)
{
    char runs[3][201];

    (void)state;
    for (int run = 0; run < 3; run++) {
        struct play play;

        play_begin(&play, run < 2 ? "seed: 5\ndefaults: {faults: [{fault: 500, share: 30%}]}"
                                  : "seed: 6\ndefaults: {faults: [{fault: 500, share: 30%}]}");
        for (int i = 0; i < 200; i++)
            runs[run][i] = ask(&play, "sk-1") == 200 ? '.' : 'x';
        runs[run][200] = '\0';
        play_end(&play);
    }
    assert_string_equal(runs[0], runs[1]);
    assert_string_not_equal(runs[0], runs[2]);
}

static void lookups_do_not_shift_the_fate_of_others(void **state)
{
    char runs[2][101];

    (void)state;
    for (int run = 0; run < 2; run++) {
        struct play play;
        struct reply reply;

        play_begin(&play, "defaults: {faults: [{fault: 500, share: 30%}]}");
        for (int i = 0; i < 100; i++) {
            if (run) {
                play_get(&play, "/v1/models", "sk-1", &reply);
                reply_free(&reply);
            }
            runs[run][i] = ask(&play, "sk-1") == 200 ? '.' : 'x';
        }
        runs[run][100] = '\0';
        play_end(&play);
    }
    assert_string_equal(runs[0], runs[1]);
}

static void an_hour_of_peak_hours_is_as_bad_as_promised(void **state)
{
    enum { REQUESTS = 5000 };
    struct play play;
    unsigned failed;

    (void)state;
    play_begin(&play, "peak-hours");
    for (int i = 0; i < REQUESTS; i++) {
        struct caller caller;
        struct reply reply;

        caller_open(&caller, &play);
        caller_post(&caller, CHAT, "sk-1", "", PLAIN);
        caller_await(&caller, 60 * SECOND, &reply);
        reply_free(&reply);
        caller_close(&caller);
    }
    play_wait(&play, SECOND);
    failed = (unsigned)play_count(&play, "sk-1", "failed");
    assert_in_range(failed, REQUESTS * 12 / 100, REQUESTS * 15 / 100);
    assert_int_equal(play_count(&play, "sk-1", "in_flight"), 0);
    assert_int_equal(play_count(&play, "sk-1", "answered") + failed, REQUESTS);
    play_end(&play);
}

/* --- clients that leave, and slow ones --- */

static void a_client_that_leaves_is_counted(void **state)
{
    struct play play;
    struct caller caller;
    struct reply reply;

    (void)state;
    play_begin(&play, "defaults: {latency: 10s, event_gap: 1s}");
    caller_open(&caller, &play);
    caller_post(&caller, CHAT, "sk-1", "", PLAIN);
    caller_await(&caller, 5 * SECOND, &reply);
    reply_free(&reply);
    assert_int_equal(play_count(&play, "sk-1", "in_flight"), 1);
    caller_close(&caller);
    play_wait(&play, SECOND);
    assert_int_equal(play_count(&play, "sk-1", "cancelled"), 1);

    caller_open(&caller, &play);
    caller_post(&caller, CHAT, "sk-1", "", STREAM);
    caller_await(&caller, 12 * SECOND, &reply);
    assert_true(reply_has(&reply, "echo:"));
    reply_free(&reply);
    caller_close(&caller);
    play_wait(&play, SECOND);
    assert_int_equal(play_count(&play, "sk-1", "cancelled"), 2);
    assert_int_equal(play_count(&play, "sk-1", "in_flight"), 0);
    play_end(&play);
}

static void a_long_stream_waits_for_a_slow_client(void **state)
{
    struct play play;
    struct caller caller;
    struct reply reply;

    (void)state;
    play_begin(&play, "defaults: {min_tokens: 100000}");
    caller_open(&caller, &play);
    loop_remove(play.loop, &caller.fd); /* it does not read */
    caller_post(&caller, CHAT, "sk-1", "", STREAM);
    play_wait(&play, 10 * SECOND);
    assert_int_equal(play_count(&play, "sk-1", "in_flight"), 1);
    assert_int_equal(loop_add(play.loop, &caller.fd, false), 0);
    caller_await(&caller, 10 * SECOND, &reply);
    assert_true(reply.is_whole);
    assert_true(reply_has(&reply, "\" w99999\""));
    assert_true(reply_has(&reply, "[DONE]"));
    reply_free(&reply);
    caller_close(&caller);
    assert_int_equal(play_count(&play, "sk-1", "answered"), 1);
    play_end(&play);
}

static void requests_follow_each_other_on_one_connection(void **state)
{
    struct play play;
    struct caller caller;
    struct reply reply;
    size_t first_len;

    (void)state;
    play_begin(&play, "");
    caller_open(&caller, &play);
    caller_post(&caller, CHAT, "sk-1", "", PLAIN);
    caller_await(&caller, SECOND, &reply);
    assert_true(reply.is_whole);
    reply_free(&reply);
    first_len = caller.got.len;
    caller_post(&caller, CHAT, "sk-1", "", PLAIN);
    play_wait(&play, SECOND);
    assert_int_equal(caller.end, CALLER_OPEN);
    assert_int_equal(caller.got.len, 2 * first_len);
    caller_close(&caller);
    play_end(&play);
}

static void nonsense_gets_an_error_and_leaves_the_rest_alone(void **state)
{
    static const char *const nonsense[] = {
        "GET / HTTP/9.9\r\n\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: "
        "chunked\r\n\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-1\r\nTransfer-"
        "Encoding: chunked\r\n\r\nzz\r\n",
        "\x16\x03\x01\x02",
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-1\r\nContent-"
        "Length: 99999999999\r\n\r\n",
    };
    struct play play;
    struct reply reply;

    (void)state;
    play_begin(&play, "");
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        struct caller caller;

        caller_open(&caller, &play);
        caller_send(&caller, nonsense[i]);
        caller_await(&caller, 200 * SECOND, &reply);
        assert_in_range(reply.status, 400, 599);
        reply_free(&reply);
        caller_close(&caller);
    }
    assert_int_equal(ask(&play, "sk-1"), 200);
    assert_int_equal(play_count(&play, "sk-1", "in_flight"), 0);
    play_end(&play);
}

/* --- control calls --- */

static void control(struct play *play, const char *path, const char *body, int status,
                    const char *wanted)
{
    struct reply reply;

    play_post(play, path, "", body, &reply);
    if (reply.status != status || !reply_has(&reply, wanted))
        fail_msg("%s: %d %s", path, reply.status, buf_text(&reply.body));
    reply_free(&reply);
}

static void control_calls_look_and_change(void **state)
{
    struct play play;

    (void)state;
    play_begin(&play, "");
    assert_int_equal(ask(&play, "sk-1"), 200);
    control(&play, "/sim/stats", NULL, 200, "\"sk-1\":{\"state\":\"valid\"");
    control(&play, "/sim/keys/sk%2d1", NULL, 200, "\"statuses\":{\"200\":1}");
    control(&play, "/sim/keys/sk-2", NULL, 404, "error");
    control(&play, "/sim/keys/sk-1", "{\"state\": \"revoked\"}", 200, "\"ok\":true");
    assert_int_equal(ask(&play, "sk-1"), 401);
    control(&play, "/sim/keys/sk-1", "state: sleepy", 400, "key:1:8: 'sleepy' is none of");
    control(&play, "/sim/keys/sk-new", "latency: 1s", 200, "\"ok\":true");
    control(&play, "/sim/scenarios", NULL, 200, "\"peak-hours\"");
    control(&play, "/sim/scenario", "keys: {sk-1: {state: unpaid}}", 200, "\"ok\":true");
    assert_int_equal(ask(&play, "sk-1"), 402);
    control(&play, "/sim/scenario?name=flaky", "", 200, "\"ok\":true");
    assert_int_equal(ask(&play, "sk-1"), 401);
    control(&play, "/sim/scenario", "keys: 5", 400, "scenario:1:7: a map is wanted");
    control(&play, "/sim/reset", "", 200, "\"ok\":true");
    assert_int_equal(play_count(&play, "sk-sim-1", "requests"), 0);
    control(&play, "/sim/nowhere", NULL, 404, "there are GET stats");
    control(&play, "/sim/stats", "", 405, "there are GET stats");
    play_end(&play);
}

static void another_scenario_leaves_requests_under_way_alone(void **state)
{
    struct play play;
    struct caller caller;
    struct reply reply;

    (void)state;
    play_begin(&play, "defaults: {latency: 5s}");
    caller_open(&caller, &play);
    caller_post(&caller, CHAT, "sk-1", "", PLAIN);
    play_wait(&play, SECOND);
    control(&play, "/sim/scenario", "unknown_keys: refuse", 200, "\"ok\":true");
    caller_await(&caller, 10 * SECOND, &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.took_us, 5 * SECOND);
    reply_free(&reply);
    caller_close(&caller);
    assert_int_equal(ask(&play, "sk-1"), 401);
    play_end(&play);
}

static void repeated_answers_are_counted(void **state)
{
    struct play play;

    (void)state;
    play_begin(&play, "count_repeats: true");
    assert_int_equal(ask(&play, "sk-1"), 200);
    control(&play, "/sim/stats", NULL, 200, "\"repeats\":0");
    assert_int_equal(ask(&play, "sk-2"), 200);
    control(&play, "/sim/stats", NULL, 200, "\"repeats\":1");
    play_end(&play);
}

static void stopping_cuts_everything(void **state)
{
    struct play play;
    struct caller caller;
    struct reply reply;

    (void)state;
    play_begin(&play, "defaults: {latency: 5s}");
    caller_open(&caller, &play);
    caller_post(&caller, CHAT, "sk-1", "", PLAIN);
    play_wait(&play, SECOND);
    sim_stop(play.sim);
    sim_stop(play.sim);
    caller_await(&caller, SECOND, &reply);
    assert_int_not_equal(reply.end, CALLER_OPEN);
    assert_int_equal(reply.status, 0);
    reply_free(&reply);
    caller_close(&caller);
    play_end(&play);
}

static void a_port_in_use_is_told(void **state)
{
    struct sim_options options = {0};
    struct sim *second = NULL;
    char text[ADDR_TEXT_BYTES];
    struct buf complaints;
    struct play play;

    (void)state;
    play_begin(&play, "");
    addr_write(sim_addr(play.sim), text);
    options.listen = span_from_text(text);
    buf_init(&complaints, 4096);
    assert_int_equal(sim_new(play.loop, &options, &complaints, &second), ERR_EXISTS);
    assert_null(second);
    assert_true(complaints.len > 0);
    buf_fini(&complaints);
    play_end(&play);
}

/* Effective where the build can make allocations fail (option `faults`); elsewhere nothing fails.
 */
static void memory_may_run_out_anywhere(void **state)
{
    static const char scenario[] = "accounts: {a: {limits: {rpm: 9, window: sliding}}}\n"
                                   "keys: {sk-1: {account: a, faults: [drip]}, sk-2: }";
    static const char request[] =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: sim\r\nAuthorization: Bearer sk-1\r\n"
        "Content-Length: 72\r\n\r\n{\"model\":\"m\",\"stream\":true,"
        "\"messages\":[{\"role\":\"user\",\"content\":\"a b\"}]}";
    unsigned whole = 0;

    (void)state;
    for (long after = 0; after < 60; after++) {
        struct sim_options options = {.listen = SPAN("127.0.0.1:0"), .scenario = SPAN(scenario)};
        struct play play = {.loop = loop_new_virtual(SECOND)};
        struct buf complaints;
        struct caller caller;
        struct reply reply;

        assert_non_null(play.loop);
        buf_init(&complaints, 65536);
        mem_fail_after(after);
        if (sim_new(play.loop, &options, &complaints, &play.sim) == 0) {
            mem_fail_after(-1);
            caller_open(&caller, &play);
            assert_int_equal(buf_reserve(&caller.got, 65536), 0);
            mem_fail_after(after);
            caller_send(&caller, request);
            play_wait(&play, 100 * SECOND);
            mem_fail_after(-1);
            caller_await(&caller, SECOND, &reply);
            whole += reply.is_whole && reply.status == 200;
            reply_free(&reply);
            caller_close(&caller);
            play_wait(&play, SECOND);
        }
        mem_fail_after(-1);
        buf_fini(&complaints);
        play_end(&play);
    }
    assert_true(whole > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_told_apart),
        cmocka_unit_test(a_refused_key_is_not_told_back),
        cmocka_unit_test(a_state_changes_while_it_runs),
        cmocka_unit_test(limits_refuse_with_headers_that_are_true),
        cmocka_unit_test(tokens_are_limited_too),
        cmocka_unit_test(an_account_is_shared),
        cmocka_unit_test(hints_come_in_every_form),
        cmocka_unit_test(too_many_at_once_are_refused),
        cmocka_unit_test(latency_and_gaps_take_their_time),
        cmocka_unit_test(the_same_seed_repeats_a_run),
        cmocka_unit_test(lookups_do_not_shift_the_fate_of_others),
        cmocka_unit_test(an_hour_of_peak_hours_is_as_bad_as_promised),
        cmocka_unit_test(a_client_that_leaves_is_counted),
        cmocka_unit_test(a_long_stream_waits_for_a_slow_client),
        cmocka_unit_test(requests_follow_each_other_on_one_connection),
        cmocka_unit_test(nonsense_gets_an_error_and_leaves_the_rest_alone),
        cmocka_unit_test(control_calls_look_and_change),
        cmocka_unit_test(another_scenario_leaves_requests_under_way_alone),
        cmocka_unit_test(repeated_answers_are_counted),
        cmocka_unit_test(stopping_cuts_everything),
        cmocka_unit_test(a_port_in_use_is_told),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

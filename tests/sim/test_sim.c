/* A running simulator, on virtual time: when it answers, whom it serves at once, how it ends. */
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

static const char STREAM[] = "{\"model\": \"gpt-4.1\", \"stream\": true, \"messages\": [{\"role\": "
                             "\"user\", \"content\": \"one two three\"}]}";

/* --- time --- */

static void latency_and_gaps_take_their_time(void **state)
{
    struct play play;
    struct reply reply;

    (void)state;
    play_begin(&play, "defaults: {latency: 2s, event_gap: 100ms}");
    play_post(&play, play_chat, "sk-1", STREAM, &reply);
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
            runs[run][i] = play_ask(&play, "sk-1") == 200 ? '.' : 'x';
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

        play_begin_faulty(&play, "", "{fault: 500, share: 30%}");
        for (int i = 0; i < 100; i++) {
            if (run) {
                play_get(&play, "/v1/models", "sk-1", &reply);
                reply_free(&reply);
            }
            runs[run][i] = play_ask(&play, "sk-1") == 200 ? '.' : 'x';
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

        caller_chat(&caller, &play, play_plain);
        caller_finish(&caller, 60 * SECOND, &reply);
        reply_free(&reply);
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
    caller_chat(&caller, &play, play_plain);
    caller_await(&caller, 5 * SECOND, &reply);
    reply_free(&reply);
    assert_int_equal(play_count(&play, "sk-1", "in_flight"), 1);
    caller_close(&caller);
    play_wait(&play, SECOND);
    assert_int_equal(play_count(&play, "sk-1", "cancelled"), 1);

    caller_chat(&caller, &play, STREAM);
    caller_finish(&caller, 12 * SECOND, &reply);
    assert_true(reply_has(&reply, "echo:"));
    reply_free(&reply);
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
    caller_post(&caller, play_chat, "sk-1", "", STREAM);
    play_wait(&play, 10 * SECOND);
    assert_int_equal(play_count(&play, "sk-1", "in_flight"), 1);
    assert_int_equal(loop_add(play.loop, &caller.fd, false), 0);
    caller_finish(&caller, 10 * SECOND, &reply);
    assert_true(reply.is_whole);
    assert_true(reply_has(&reply, "\" w99999\""));
    assert_true(reply_has(&reply, "[DONE]"));
    reply_free(&reply);
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
    caller_chat(&caller, &play, play_plain);
    caller_await(&caller, SECOND, &reply);
    assert_true(reply.is_whole);
    reply_free(&reply);
    first_len = caller.got.len;
    caller_post(&caller, play_chat, "sk-1", "", play_plain);
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
        caller_finish(&caller, 200 * SECOND, &reply);
        assert_in_range(reply.status, 400, 599);
        reply_free(&reply);
    }
    assert_int_equal(play_ask(&play, "sk-1"), 200);
    assert_int_equal(play_count(&play, "sk-1", "in_flight"), 0);
    play_end(&play);
}

static void stopping_cuts_everything(void **state)
{
    struct play play;
    struct caller caller;
    struct reply reply;

    (void)state;
    play_begin(&play, "defaults: {latency: 5s}");
    caller_chat(&caller, &play, play_plain);
    play_wait(&play, SECOND);
    sim_stop(play.sim);
    sim_stop(play.sim);
    caller_finish(&caller, SECOND, &reply);
    assert_int_not_equal(reply.end, CALLER_OPEN);
    assert_int_equal(reply.status, 0);
    reply_free(&reply);
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
            caller_finish(&caller, SECOND, &reply);
            whole += reply.is_whole && reply.status == 200;
            reply_free(&reply);
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
        cmocka_unit_test(latency_and_gaps_take_their_time),
        cmocka_unit_test(the_same_seed_repeats_a_run),
        cmocka_unit_test(lookups_do_not_shift_the_fate_of_others),
        cmocka_unit_test(an_hour_of_peak_hours_is_as_bad_as_promised),
        cmocka_unit_test(a_client_that_leaves_is_counted),
        cmocka_unit_test(a_long_stream_waits_for_a_slow_client),
        cmocka_unit_test(requests_follow_each_other_on_one_connection),
        cmocka_unit_test(nonsense_gets_an_error_and_leaves_the_rest_alone),
        cmocka_unit_test(stopping_cuts_everything),
        cmocka_unit_test(a_port_in_use_is_told),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

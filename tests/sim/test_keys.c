/* The keys of a running simulator and their limits, on virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "play.h"

static void keys_are_told_apart(void **state)
{
    struct play play;
    struct reply reply;

    (void)state;
    play_begin(&play, "unknown_keys: refuse\nkeys: {sk-good: , 'sk-team-*': , sk-bad: {state: "
                      "revoked}, sk-empty: {state: depleted}, sk-poor: {state: unpaid}, sk-far: "
                      "{state: forbidden}}");
    assert_int_equal(play_ask(&play, "sk-good"), 200);
    assert_int_equal(play_ask(&play, "sk-team-7"), 200);
    assert_int_equal(play_ask(&play, "sk-bad"), 401);
    assert_int_equal(play_ask(&play, "sk-unheard-of"), 401);
    assert_int_equal(play_ask(&play, ""), 401);
    assert_int_equal(play_ask(&play, "sk-empty"), 429);
    assert_int_equal(play_ask(&play, "sk-poor"), 402);
    assert_int_equal(play_ask(&play, "sk-far"), 403);
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
    play_post(&play, play_chat, "sk-abcdefgh-0123456789-tail", play_plain, &reply);
    assert_true(reply_has(&reply, "Incorrect API key provided: sk-abcde****tail."));
    reply_free(&reply);
    play_end(&play);
}

static void a_state_changes_while_it_runs(void **state)
{
    struct play play;

    (void)state;
    play_begin(&play, "");
    assert_int_equal(play_ask(&play, "sk-1"), 200);
    play_set(&play, "sk-1", "state: revoked");
    assert_int_equal(play_ask(&play, "sk-1"), 401);
    play_set(&play, "sk-1", "state: valid");
    assert_int_equal(play_ask(&play, "sk-1"), 200);
    assert_int_equal(play_count(&play, "sk-1", "requests"), 3);
    play_end(&play);
}

static void limits_refuse_with_headers_that_are_true(void **state)
{
    struct play play;
    struct reply reply;

    (void)state;
    play_begin(&play, "defaults: {limits: {rpm: 2, tpm: 1000}}");
    play_post(&play, play_chat, "sk-1", play_plain, &reply);
    assert_string_equal(reply_header(&reply, "x-ratelimit-limit-requests"), "2");
    assert_string_equal(reply_header(&reply, "x-ratelimit-remaining-requests"), "1");
    assert_string_equal(reply_header(&reply, "x-ratelimit-reset-requests"), "30s");
    assert_string_equal(reply_header(&reply, "x-ratelimit-limit-tokens"), "1000");
    /* 8 for the prompt, 3 for the answer */
    assert_string_equal(reply_header(&reply, "x-ratelimit-remaining-tokens"), "989");
    assert_string_equal(reply_header(&reply, "x-ratelimit-reset-tokens"), "660ms");
    reply_free(&reply);
    assert_int_equal(play_ask(&play, "sk-1"), 200);

    play_post(&play, play_chat, "sk-1", play_plain, &reply);
    assert_int_equal(reply.status, 429);
    assert_string_equal(reply_header(&reply, "retry-after"), "30");
    assert_string_equal(reply_header(&reply, "x-ratelimit-reset-requests"), "1m0s");
    assert_true(reply_has(&reply, "Rate limit reached for gpt-4.1 in organization org-"));
    assert_true(reply_has(&reply,
                          " on requests per min (RPM): Limit 2, Used 2, Requested 1. Please "
                          "try again in 30s."));
    reply_free(&reply);

    play_wait(&play, 30 * SECOND - 1);
    assert_int_equal(play_ask(&play, "sk-1"), 429);
    play_wait(&play, 1);
    assert_int_equal(play_ask(&play, "sk-1"), 200);
    assert_int_equal(play_ask(&play, "sk-2"), 200);
    assert_int_equal(play_count(&play, "sk-1", "limited"), 2);
    play_end(&play);
}

static void tokens_are_limited_too(void **state)
{
    struct play play;
    struct reply reply;

    (void)state;
    play_begin(&play, "defaults: {limits: {tpm: 20, window: sliding}}");
    assert_int_equal(play_ask(&play, "sk-1"), 200);
    play_post(&play, play_chat, "sk-1", play_plain, &reply);
    assert_int_equal(reply.status, 429);
    assert_true(reply_has(&reply, "\"type\":\"tokens\""));
    assert_true(reply_has(&reply, "Limit 20, Used 11, Requested 11."));
    assert_string_equal(reply_header(&reply, "retry-after"), "60");
    reply_free(&reply);
    play_wait(&play, 60 * SECOND);
    assert_int_equal(play_ask(&play, "sk-1"), 200);
    play_set(&play, "sk-1", "limits: {tpm: 10}");
    play_post(&play, play_chat, "sk-1", play_plain, &reply);
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
        assert_int_equal(play_ask(&play, "sk-sim-1"), 200);
        assert_int_equal(play_ask(&play, "sk-sim-2"), 200);
    }
    assert_int_equal(play_ask(&play, "sk-sim-1"), 429);
    assert_int_equal(play_ask(&play, "sk-sim-2"), 429);
    assert_int_equal(play_ask(&play, "sk-sim-3"), 200);
    play_wait(&play, 60 * SECOND);
    assert_int_equal(play_ask(&play, "sk-sim-2"), 200);
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
        assert_int_equal(play_ask(&play, "sk-1"), 200);
        play_post(&play, play_chat, "sk-1", play_plain, &reply);
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
        caller_chat(&callers[i], &play, play_plain);
    }
    for (int i = 0; i < 3; i++) {
        caller_finish(&callers[i], 2 * SECOND, &replies[i]);
        assert_int_equal(replies[i].status, i < 2 ? 200 : 429);
        reply_free(&replies[i]);
    }
    assert_int_equal(play_count(&play, "sk-1", "max_in_flight"), 3);
    assert_int_equal(play_count(&play, "sk-1", "in_flight"), 0);
    play_end(&play);
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

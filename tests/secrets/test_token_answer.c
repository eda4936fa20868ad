/* What token servers answer, and what they might. */
#include "vault.h"

#include <stdlib.h>

#include "base/err.h"
#include "secrets/token_answer.h"

static void expect_token(const char *body, const char *token, uint64_t seconds)
{
    struct token_answer answer;

    assert_int_equal(token_answer_read(200, span_from_text(body), vault, &answer), 0);
    assert_true(secret_is_equal(answer.token, span_from_text(token)));
    assert_true(answer.life_us == seconds * 1000000);
    assert_string_equal(answer.words, "");
    secret_unref(&answer.token);
}

static void expect_refusal(int status, const char *body, const char *words)
{
    struct token_answer answer;

    assert_int_equal(token_answer_read(status, span_from_text(body), vault, &answer), ERR_SYNTAX);
    assert_null(answer.token);
    assert_string_equal(answer.words, words);
}

static void tokens(void **state)
{
    (void)state;
    /* Microsoft, Google, Anthropic. */
    expect_token("{\"token_type\":\"Bearer\",\"expires_in\":3599,\"ext_expires_in\":3599,"
                 "\"access_token\":\"eyJ0.a.b\"}",
                 "eyJ0.a.b", 3599);
    expect_token("{\"access_token\":\"ya29.c.x\",\"expires_in\":3600,\"token_type\":\"Bearer\"}",
                 "ya29.c.x", 3600);
    expect_token("{\"access_token\":\"sk-ant-oat01-x\",\"expires_in\":600,"
                 "\"token_type\":\"bearer\"}",
                 "sk-ant-oat01-x", 600);
    /* Numbers as strings, fractions, nothing at all, and too much. */
    expect_token("{\"access_token\":\"t\",\"expires_in\":\"3599\"}", "t", 3599);
    expect_token("{\"access_token\":\"t\",\"expires_in\":1.5e3}", "t", 1500);
    expect_token("{\"access_token\":\"t\"}", "t", 300);
    expect_token("{\"access_token\":\"t\",\"expires_in\":null}", "t", 300);
    expect_token("{\"access_token\":\"t\",\"expires_in\":18446744073709551615}", "t", 86400);
    expect_token("{\"access_token\":\"t\",\"expires_in\":1e300}", "t", 86400);
}

static void refusals(void **state)
{
    (void)state;
    expect_refusal(401,
                   "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: Invalid "
                   "client secret.\\r\\nTrace ID: 11111111-2222-3333-4444-555555555555\"}",
                   "HTTP 401: invalid_client: AADSTS7000215: Invalid client secret. Trace ID: "
                   "11111111-2222-3333-4444-555555555555");
    expect_refusal(400, "{\"error\":\"invalid_grant\"}", "HTTP 400: invalid_grant");
    expect_refusal(403,
                   "{\"type\":\"error\",\"error\":{\"type\":\"permission_error\",\"message\":\"No "
                   "such rule\"}}",
                   "HTTP 403: permission_error: No such rule");
    expect_refusal(429, "{\"error\":{\"code\":429,\"message\":\"Slow\",\"status\":\"EXHAUSTED\"}}",
                   "HTTP 429: EXHAUSTED: Slow");
    expect_refusal(502, "<html>", "HTTP 502");
    expect_refusal(302, "", "HTTP 302");
}

static void what_is_no_token(void **state)
{
    (void)state;
    expect_refusal(200, "", "the answer is no JSON object");
    expect_refusal(200, "[\"access_token\"]", "the answer is no JSON object");
    expect_refusal(200, "{\"access_token\":", "the answer is no JSON object");
    expect_refusal(200, "{}", "the answer holds no access_token");
    expect_refusal(200, "{\"access_token\":5}", "the answer holds no access_token");
    expect_refusal(200, "{\"access_token\":\"\"}",
                   "the access_token is none that a header could carry");
    /* A line break would be another header. */
    expect_refusal(200, "{\"access_token\":\"a\\r\\nX-Evil: 1\"}",
                   "the access_token is none that a header could carry");
    expect_refusal(200, "{\"access_token\":\"a\\u0000b\"}",
                   "the access_token is none that a header could carry");
    expect_refusal(200, "{\"access_token\":\"\xc3\xa9\"}",
                   "the access_token is none that a header could carry");
    expect_refusal(200, "{\"access_token\":\"t\",\"token_type\":\"pop\"}",
                   "the token is no bearer token");
    expect_refusal(200, "{\"access_token\":\"t\",\"expires_in\":0}",
                   "expires_in is no number of seconds");
    expect_refusal(200, "{\"access_token\":\"t\",\"expires_in\":-5}",
                   "expires_in is no number of seconds");
    expect_refusal(200, "{\"access_token\":\"t\",\"expires_in\":\"soon\"}",
                   "expires_in is no number of seconds");
    expect_refusal(200, "{\"access_token\":\"t\",\"expires_in\":{}}",
                   "expires_in is no number of seconds");
}

static void a_token_that_is_too_long(void **state)
{
    static char body[TOKEN_MAX_BYTES + 64];
    struct token_answer answer;
    size_t at;

    (void)state;
    memcpy(body, "{\"access_token\":\"", 17);
    memset(body + 17, 'x', TOKEN_MAX_BYTES);
    at = 17 + TOKEN_MAX_BYTES;
    memcpy(body + at, "\"}", 3);
    assert_int_equal(token_answer_read(200, span_from_text(body), vault, &answer), 0);
    secret_unref(&answer.token);
    memcpy(body + at, "x\"}", 4);
    assert_int_equal(token_answer_read(200, span_from_text(body), vault, &answer), ERR_SYNTAX);
}

/* A server that echoes what it was sent does not get it into the log. */
static void words_hold_nothing_that_could_be_a_token(void **state)
{
    char words[TOKEN_WORDS_BYTES];

    (void)state;
    token_words(SPAN("bad assertion eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJtZSJ9.c2lnbmF0dXJl!"), words);
    assert_string_equal(words, "bad assertion (not shown)!");
    token_words(SPAN(" \t\x1b[31mred\x7f\xff\n "), words);
    assert_string_equal(words, "[31mred");
}

static void words_hold_no_part_of_our_secret(void **state)
{
    static const char *const odd[] = {"you sent pass=word+1", "sent pass%3Dword%2b1 twice",
                                      "ass=word", "x pass=word", "=word+1"};
    static const bool is_hidden[] = {true, true, true, true, false};

    (void)state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        char words[TOKEN_WORDS_BYTES];

        token_words(span_from_text(odd[i]), words);
        token_words_guard(words, SPAN("pass=word+1"));
        assert_string_equal(words,
                            is_hidden[i] ? "refused, in words that hold our own secret" : odd[i]);
    }
}

static void words_are_cut(void **state)
{
    char words[TOKEN_WORDS_BYTES], text[1000];

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 2 ? ',' : 'a';
    token_words(span_of(text, sizeof(text)), words);
    assert_int_equal(strlen(words), TOKEN_WORDS_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens),
        cmocka_unit_test(refusals),
        cmocka_unit_test(what_is_no_token),
        cmocka_unit_test(a_token_that_is_too_long),
        cmocka_unit_test(words_hold_nothing_that_could_be_a_token),
        cmocka_unit_test(words_hold_no_part_of_our_secret),
        cmocka_unit_test(words_are_cut),
    };

    return cmocka_run_group_tests(tests, vault_set_up, vault_tear_down);
}

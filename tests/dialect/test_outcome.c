/* What answers mean: each row of outcomes.def is found by its own example. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dialect/error_read.h"
#include "dialect/failure.h"
#include "dialect/outcome.h"

/* Rows for all dialects are tried with each. */
enum speaker {
    SPEAKER_OPENAI = DIALECT_OPENAI,
    SPEAKER_ANTHROPIC = DIALECT_ANTHROPIC,
    SPEAKER_GEMINI = DIALECT_GEMINI,
    SPEAKER_ANY,
};

struct example {
    enum speaker speaker;
    int status;
    enum outcome outcome;
    const char *header, *body;
};

static const struct example examples[] = {
#define ANSWER(dialect, lowest, highest, body, words, message, header, outcome, example_header,    \
               example_body)                                                                       \
    {SPEAKER_##dialect, lowest, OUTCOME_##outcome, example_header, example_body},
#include "tables/outcomes.def"
#undef ANSWER
};

enum { EXAMPLES = sizeof(examples) / sizeof(examples[0]) };

struct sample {
    struct dialect_error error;
    struct dialect_header header;
    struct outcome_answer answer;
    char body[1024];
};

/* The examples are written with ' for ". */
static void arrange(struct sample *sample, enum dialect_id dialect, int status, const char *header,
                    const char *body)
{
    struct span rest = span_from_text(header);
    size_t len = strlen(body);

    bool is_json = body[0] == '{' || body[0] == '[';

    assert_true(len < sizeof(sample->body));
    for (size_t i = 0; i <= len; i++)
        sample->body[i] = body[i] == '\'' && is_json ? '"' : body[i];
    error_read(span_of(sample->body, len), &sample->error);
    assert_int_equal(sample->error.is_json, is_json);
    if (rest.len)
        assert_true(span_next_token(&rest, ':', &sample->header.name));
    sample->header.value = rest.ptr ? span_trim(rest) : rest;
    sample->answer = (struct outcome_answer){
        .dialect = dialect,
        .status = status,
        .error = &sample->error,
        .headers = &sample->header,
        .header_count = header[0] ? 1 : 0,
    };
}

static const struct outcome_row *classify_as(enum dialect_id dialect, int status, const char *body)
{
    struct sample sample;

    arrange(&sample, dialect, status, "", body);
    return outcome_classify(&sample.answer);
}

static const struct outcome_row *classify(int status, const char *header, const char *body)
{
    struct sample sample;

    arrange(&sample, DIALECT_OPENAI, status, header, body);
    return outcome_classify(&sample.answer);
}

static void assert_found(int row, enum dialect_id dialect)
{
    const struct example *example = &examples[row];
    int status = example->status == 400 && !example->body[0] ? 410 : example->status;
    struct sample sample;
    int found;

    arrange(&sample, dialect, status, example->header, example->body);
    found = outcome_match(&sample.answer);
    if (found != row)
        fail_msg("dialect %d: row %d (%d %s) is shadowed by row %d", (int)dialect, row, status,
                 example->body, found);
    assert_int_equal(outcome_classify(&sample.answer)->outcome, example->outcome);
}

static void test_each_row_is_found_by_its_example(void **state)
{
    for (int i = 0; i < EXAMPLES; i++) {
        for (int dialect = 0; dialect < DIALECT_COUNT; dialect++) {
            if (examples[i].speaker == SPEAKER_ANY || (int)examples[i].speaker == dialect)
                assert_found(i, (enum dialect_id)dialect);
        }
    }
}

static void test_success(void **state)
{
    struct outcome_answer answer = {.dialect = DIALECT_OPENAI, .status = 200};

    assert_int_equal(outcome_match(&answer), -1);
    assert_int_equal(outcome_classify(&answer)->outcome, OUTCOME_SUCCESS);
    answer.status = 204;
    assert_int_equal(outcome_classify(&answer)->outcome, OUTCOME_SUCCESS);
}

static void test_every_status_means_something(void **state)
{
    for (int i = -1; i < 1000 * DIALECT_COUNT; i++) {
        int status = i < 0 ? i : i / DIALECT_COUNT;
        struct outcome_answer answer = {.dialect = (enum dialect_id)((i + 3) % DIALECT_COUNT),
                                        .status = status};
        const struct outcome_row *row = outcome_classify(&answer);

        assert_non_null(row);
        assert_int_equal(row->outcome == OUTCOME_SUCCESS, status >= 200 && status <= 299);
        if (status >= 500 && status <= 599)
            assert_true(row->blames_key && row->blames_endpoint);
        if (status < 200 || status > 599)
            assert_int_equal(row->outcome, OUTCOME_GARBAGE);
    }
}

/* The rules of architecture.md, "Decisions without I/O", over the whole table. */
static void test_the_rules_hold_for_every_outcome(void **state)
{
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        const struct outcome_row *row = outcome_row((enum outcome)i);

        assert_int_equal(row->outcome, i);
        assert_true(strlen(row->label) > 0 && strlen(row->meaning) > 0);
        assert_true(row->failure >= PASSED_ON && row->failure < FAILURE_COUNT);
        /* What concerns the request alone hurts nobody. */
        if (row->scope == SCOPE_REQUEST) {
            assert_false(row->blames_key || row->blames_endpoint);
            assert_true(row->health == HEALTH_UNCHANGED || row->health == HEALTH_GOOD);
        }
        /* Connect, TLS and time-outs count for the endpoint alone. */
        if (row->class == CLASS_CONNECT || row->class == CLASS_TIMEOUT) {
            assert_false(row->blames_key);
            assert_int_equal(row->health, HEALTH_UNCHANGED);
        }
        /* A bad key and a limit count for neither breaker. */
        if (row->class == CLASS_BAD_KEY || row->class == CLASS_RATE_LIMIT ||
            row->class == CLASS_DEPLETED)
            assert_false(row->blames_key || row->blames_endpoint);
        /* Nothing that cools the endpoint alone touches a key's health but 5xx answers. */
        if (row->scope == SCOPE_ENDPOINT && row->class == CLASS_RATE_LIMIT)
            assert_int_equal(row->health, HEALTH_UNCHANGED);
        assert_int_equal(row->is_per_model, row->outcome == OUTCOME_ACCOUNT_LIMITED);
        if (row->class == CLASS_BAD_KEY)
            assert_int_equal(row->failure, FAILURE_UPSTREAM_AUTH);
        if (row->class == CLASS_DEPLETED)
            assert_int_equal(row->failure, FAILURE_UPSTREAM_DEPLETED);
    }
}

static void test_a_client_error_blames_nobody(void **state)
{
    for (int status = 400; status <= 499; status++) {
        const struct outcome_row *row = classify(status, "", "{'error':{'message':'x'}}");

        assert_false(row->blames_key || row->blames_endpoint);
    }
    assert_int_equal(classify(400, "", "")->outcome, OUTCOME_BAD_REQUEST);
    assert_int_equal(classify(404, "", "<html>")->outcome, OUTCOME_BAD_REQUEST);
    assert_int_equal(classify(413, "", "")->outcome, OUTCOME_BAD_REQUEST);
    assert_int_equal(classify(422, "", "{'detail':[]}")->outcome, OUTCOME_BAD_REQUEST);
    assert_int_equal(classify(400, "", "")->failure, PASSED_ON);
}

/* A client's own words, given back in a 400, must not take a key out. */
static void test_echoed_words_hurt_no_key(void **state)
{
    assert_int_equal(
        classify(400, "", "{'error':{'message':'Unknown parameter: API key not valid'}}")->outcome,
        OUTCOME_BAD_REQUEST);
    assert_int_equal(
        classify(404, "", "{'error':{'message':'no such thing: the model x does not exist'}}")
            ->outcome,
        OUTCOME_BAD_REQUEST);
}

static void test_an_error_inside_a_200_may_tell_its_status(void **state)
{
    assert_int_equal(classify(200, "", "{'error':{'code':502,'message':'down'}}")->outcome,
                     OUTCOME_SERVER_ERROR);
    assert_int_equal(classify(200, "", "{'error':{'code':429,'message':'slow'}}")->outcome,
                     OUTCOME_RATE_LIMITED);
    assert_int_equal(classify(200, "", "{'error':{'code':'401','message':'who'}}")->outcome,
                     OUTCOME_INVALID_KEY);
    assert_int_equal(classify(200, "", "{'error':{'code':503,'message':'who'}}")->outcome,
                     OUTCOME_OVERLOADED);
    assert_int_equal(classify(200, "", "{'error':'broken'}")->outcome, OUTCOME_ERROR_IN_SUCCESS);
}

static void test_whose_limit_a_429_is(void **state)
{
    assert_int_equal(classify(429, "",
                              "{'error':{'message':'Rate limit reached for m on tokens per "
                              "min','type':'tokens','code':'rate_limit_exceeded'}}")
                         ->scope,
                     SCOPE_KEY_MODEL);
    assert_int_equal(classify(429, "", "{}")->scope, SCOPE_KEY_MODEL);
    assert_int_equal(classify(429, "", "")->scope, SCOPE_KEY_MODEL);
    assert_int_equal(classify(429, "", "error code: 1015")->scope, SCOPE_ENDPOINT);
    assert_int_equal(
        classify(429, "",
                 "{'error':{'message':'Rate limit reached for m in organization org-x on "
                 "tokens per min (TPM)','type':'tokens'}}")
            ->scope,
        SCOPE_ACCOUNT);
}

#define ANTHROPIC(type, message)                                                                   \
    "{'type':'error','error':{'type':'" type "','message':'" message "'},'request_id':'req_1'}"
#define GEMINI(code, status, message)                                                              \
    "{'error':{'code':" #code ",'message':'" message "','status':'" status "'}}"

struct case_row {
    int status;
    const char *body;
    enum outcome outcome;
};

static void assert_outcomes(enum dialect_id dialect, const struct case_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct outcome_row *row = classify_as(dialect, rows[i].status, rows[i].body);

        if (row->outcome != rows[i].outcome)
            fail_msg("%d %s is %s", rows[i].status, rows[i].body, row->label);
    }
}

static void test_what_anthropic_says(void **state)
{
    static const struct case_row rows[] = {
        {400, ANTHROPIC("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"),
         OUTCOME_BAD_REQUEST},
        {400,
         ANTHROPIC("invalid_request_error", "messages.0: your credit balance is too low, you said"),
         OUTCOME_BAD_REQUEST},
        {400,
         ANTHROPIC("invalid_request_error",
                   "You have reached your specified API usage limits. You will regain access on "
                   "2026-12-01 at 00:00 UTC."),
         OUTCOME_DEPLETED},
        {401, ANTHROPIC("authentication_error", "invalid x-api-key"), OUTCOME_INVALID_KEY},
        {402, ANTHROPIC("billing_error", "Your card was declined."), OUTCOME_DEPLETED},
        {403,
         ANTHROPIC("permission_error",
                   "Your API key does not have permission to use the specified resource"),
         OUTCOME_KEY_FORBIDDEN},
        {404, ANTHROPIC("not_found_error", "model: claude-3-sonnet"), OUTCOME_MODEL_MISSING},
        {404, ANTHROPIC("not_found_error", "File not found: file_1"), OUTCOME_BAD_REQUEST},
        {409, ANTHROPIC("conflict_error", "x"), OUTCOME_CONFLICT},
        {413, ANTHROPIC("request_too_large", "Request exceeds the maximum size"),
         OUTCOME_BAD_REQUEST},
        {413, "<html>413 Request Entity Too Large</html>", OUTCOME_BAD_REQUEST},
        {429,
         ANTHROPIC("rate_limit_error",
                   "This request would exceed your organization`s rate limit of 30,000 input "
                   "tokens per minute"),
         OUTCOME_ACCOUNT_LIMITED},
        {429, ANTHROPIC("rate_limit_error", "Rate limited"), OUTCOME_RATE_LIMITED},
        {429,
         "{'type':'error','error':{'type':'rate_limit_error','message':'x','details':{'error_code'"
         ":'contract_spend_limit_reached'}}}",
         OUTCOME_DEPLETED},
        {429,
         "{'type':'error','error':{'type':'rate_limit_error','message':'x','details':{'error_code'"
         ":'ramp_limit_exceeded'}}}",
         OUTCOME_ACCOUNT_LIMITED},
        {500, ANTHROPIC("api_error", "Internal server error"), OUTCOME_SERVER_ERROR},
        {500, ANTHROPIC("api_error", "Overloaded"), OUTCOME_OVERLOADED},
        {504, ANTHROPIC("timeout_error", "x"), OUTCOME_SERVER_ERROR},
        {529, ANTHROPIC("overloaded_error", "Overloaded"), OUTCOME_OVERLOADED},
        /* as an event of a stream */
        {200, ANTHROPIC("overloaded_error", "Overloaded"), OUTCOME_OVERLOADED_IN_SUCCESS},
        {200, ANTHROPIC("rate_limit_error", "x"), OUTCOME_RATE_LIMITED},
        {200, ANTHROPIC("invalid_request_error", "x"), OUTCOME_BAD_REQUEST},
        {200, ANTHROPIC("authentication_error", "x"), OUTCOME_INVALID_KEY},
        {200, ANTHROPIC("api_error", "Internal server error"), OUTCOME_ERROR_IN_SUCCESS},
        {200, ANTHROPIC("a_new_word", "x"), OUTCOME_ERROR_IN_SUCCESS},
    };

    assert_outcomes(DIALECT_ANTHROPIC, rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_what_google_says(void **state)
{
    static const struct case_row rows[] = {
        {400, GEMINI(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."),
         OUTCOME_INVALID_KEY},
        {400, GEMINI(400, "INVALID_ARGUMENT", "Invalid JSON payload: API key not valid"),
         OUTCOME_BAD_REQUEST},
        {400, GEMINI(400, "FAILED_PRECONDITION", "The File x is not in an ACTIVE state"),
         OUTCOME_BAD_REQUEST},
        {401, GEMINI(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
         OUTCOME_INVALID_KEY},
        {403,
         GEMINI(403, "PERMISSION_DENIED",
                "Generative Language API has not been used in project 1 before or it is disabled."),
         OUTCOME_KEY_FORBIDDEN},
        {403,
         GEMINI(403, "PERMISSION_DENIED",
                "You do not have permission to access the File x or it may not exist."),
         OUTCOME_BAD_REQUEST},
        {404,
         GEMINI(404, "NOT_FOUND",
                "models/gemini-1.0 is not found for API version v1beta, or is not supported for "
                "generateContent."),
         OUTCOME_MODEL_MISSING},
        {404, GEMINI(404, "NOT_FOUND", "Requested entity was not found."), OUTCOME_BAD_REQUEST},
        {429, GEMINI(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
         OUTCOME_RATE_LIMITED},
        {429,
         GEMINI(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted. Please go on."),
         OUTCOME_DEPLETED},
        {499, GEMINI(499, "CANCELLED", "The operation was cancelled."), OUTCOME_ANSWERED_TIMEOUT},
        {500, GEMINI(500, "INTERNAL", "An internal error has occurred."), OUTCOME_SERVER_ERROR},
        {503, GEMINI(503, "UNAVAILABLE", "The service is currently unavailable."),
         OUTCOME_OVERLOADED},
        {503,
         GEMINI(503, "UNAVAILABLE",
                "This model is currently experiencing high demand. Please try again later."),
         OUTCOME_MODEL_OVERLOADED},
        {504, GEMINI(504, "DEADLINE_EXCEEDED", "Deadline expired."), OUTCOME_SERVER_ERROR},
        /* as a chunk of a stream */
        {200, GEMINI(503, "UNAVAILABLE", "x"), OUTCOME_OVERLOADED},
        {200, GEMINI(500, "INTERNAL", "x"), OUTCOME_SERVER_ERROR},
        {200, GEMINI(429, "RESOURCE_EXHAUSTED", "x"), OUTCOME_RATE_LIMITED},
        {200, "{'error':{'message':'x','status':'UNAVAILABLE'}}", OUTCOME_OVERLOADED_IN_SUCCESS},
        {200, "{'error':{'message':'x','status':'INVALID_ARGUMENT'}}", OUTCOME_BAD_REQUEST},
    };

    assert_outcomes(DIALECT_GEMINI, rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_what_else_compatible_ones_say(void **state)
{
    static const struct case_row rows[] = {
        {401, "{'statusCode':401,'message':'Unauthorized. Access token is missing.'}",
         OUTCOME_INVALID_KEY},
        {401, "{'error':{'code':'401','message':'Access denied due to invalid subscription key'}}",
         OUTCOME_INVALID_KEY},
        {404, "{'error':{'code':'DeploymentNotFound','message':'x'}}", OUTCOME_MODEL_MISSING},
        {429, "{'error':{'code':'429','message':'x. Please retry after 45 seconds.'}}",
         OUTCOME_RATE_LIMITED},
        {429, "{'__type':'ThrottlingException','message':'Too many requests, please wait'}",
         OUTCOME_RATE_LIMITED},
        {403, "{'__type':'x#AccessDeniedException','Message':'x'}", OUTCOME_KEY_FORBIDDEN},
        {413, "{'error':{'message':'Request too large','code':'rate_limit_exceeded'}}",
         OUTCOME_BAD_REQUEST},
        {498, "{'error':{'message':'x','code':'capacity_exceeded'}}", OUTCOME_NO_CAPACITY},
        /* Google behind its compatible door */
        {429, "[{'error':{'code':429,'message':'x','status':'RESOURCE_EXHAUSTED'}}]",
         OUTCOME_RATE_LIMITED},
        /* A router's own provider ran out of quota: that is not our key's. */
        {502,
         "{'error':{'message':'Provider returned error','code':502,'metadata':{'raw':'"
         "insufficient balance'}}}",
         OUTCOME_SERVER_ERROR},
    };

    assert_outcomes(DIALECT_OPENAI, rows, sizeof(rows) / sizeof(rows[0]));
}

/* What concerns one model leaves the key to the others. */
static void test_a_model_s_limit_is_no_key_s(void **state)
{
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        const struct outcome_row *row = outcome_row((enum outcome)i);

        if (row->class == CLASS_RATE_LIMIT && row->health == HEALTH_COOLING)
            assert_true(row->scope == SCOPE_KEY_MODEL || row->is_per_model);
        if (row->scope == SCOPE_MODEL)
            assert_int_equal(row->health, HEALTH_UNCHANGED);
    }
}

static void test_only_what_may_have_worked_is_an_attempt(void **state)
{
    assert_true(outcome_is_attempt(CLASS_CONNECT));
    assert_true(outcome_is_attempt(CLASS_TIMEOUT));
    assert_true(outcome_is_attempt(CLASS_OVERLOADED));
    assert_true(outcome_is_attempt(CLASS_SERVER_ERROR));
    assert_false(outcome_is_attempt(CLASS_RATE_LIMIT));
    assert_false(outcome_is_attempt(CLASS_BAD_KEY));
    assert_false(outcome_is_attempt(CLASS_DEPLETED));
    assert_false(outcome_is_attempt(CLASS_MODEL_MISSING));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_row_is_found_by_its_example),
        cmocka_unit_test(test_success),
        cmocka_unit_test(test_every_status_means_something),
        cmocka_unit_test(test_the_rules_hold_for_every_outcome),
        cmocka_unit_test(test_a_client_error_blames_nobody),
        cmocka_unit_test(test_echoed_words_hurt_no_key),
        cmocka_unit_test(test_an_error_inside_a_200_may_tell_its_status),
        cmocka_unit_test(test_whose_limit_a_429_is),
        cmocka_unit_test(test_what_anthropic_says),
        cmocka_unit_test(test_what_google_says),
        cmocka_unit_test(test_what_else_compatible_ones_say),
        cmocka_unit_test(test_a_model_s_limit_is_no_key_s),
        cmocka_unit_test(test_only_what_may_have_worked_is_an_attempt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What answers mean: each row of outcomes.def is found by its own example. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dialect/failure.h"
#include "dialect/openai_error.h"
#include "dialect/outcome.h"

struct example {
    enum dialect_id dialect;
    int status;
    enum outcome outcome;
    const char *header, *body;
};

static const struct example examples[] = {
#define ANSWER(dialect, lowest, highest, body, words, message, header, outcome, example_header,    \
               example_body)                                                                       \
    {DIALECT_##dialect, lowest, OUTCOME_##outcome, example_header, example_body},
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
static void arrange(struct sample *sample, int status, const char *header, const char *body)
{
    struct span rest = span_from_text(header);
    size_t len = strlen(body);

    assert_true(len < sizeof(sample->body));
    for (size_t i = 0; i <= len; i++)
        sample->body[i] = body[i] == '\'' && body[0] == '{' ? '"' : body[i];
    openai_error_read(span_of(sample->body, len), &sample->error);
    if (body[0] == '{')
        assert_true(sample->error.is_json);
    if (rest.len)
        assert_true(span_next_token(&rest, ':', &sample->header.name));
    sample->header.value = rest.ptr ? span_trim(rest) : rest;
    sample->answer = (struct outcome_answer){
        .dialect = DIALECT_OPENAI,
        .status = status,
        .error = &sample->error,
        .headers = &sample->header,
        .header_count = header[0] ? 1 : 0,
    };
}

static const struct outcome_row *classify(int status, const char *header, const char *body)
{
    struct sample sample;

    arrange(&sample, status, header, body);
    return outcome_classify(&sample.answer);
}

static void test_each_row_is_found_by_its_example(void **state)
{
    for (int i = 0; i < EXAMPLES; i++) {
        struct sample sample;
        int status = examples[i].status == 400 && !examples[i].body[0] ? 410 : examples[i].status;
        int found;

        arrange(&sample, status, examples[i].header, examples[i].body);
        found = outcome_match(&sample.answer);
        if (found != i)
            fail_msg("row %d (%d %s) is shadowed by row %d", i, status, examples[i].body, found);
        assert_int_equal(outcome_classify(&sample.answer)->outcome, examples[i].outcome);
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
    for (int status = -1; status < 1000; status++) {
        struct outcome_answer answer = {.dialect = DIALECT_OPENAI, .status = status};
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
        assert_non_null(outcome_class_text(row->class));
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
        cmocka_unit_test(test_only_what_may_have_worked_is_an_attempt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

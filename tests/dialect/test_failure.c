/* The table of what a client can see holds together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dialect/failure.h"

static void test_rows_are_complete(void **state)
{
    for (int i = 0; i < FAILURE_COUNT; i++) {
        const struct failure_row *row = failure_row((enum failure)i);

        assert_true(row->status >= 400 && row->status <= 599);
        assert_true(strlen(row->label) > 0 && strlen(row->code) > 0 && strlen(row->type) > 0);
        /* A message is a sentence. */
        assert_true(strlen(row->message) > 10);
        assert_int_equal(row->message[strlen(row->message) - 1], '.');
        /* Nobody is told to come back with the same bad request. */
        if (row->status < 500 && row->status != 429 && row->status != 408)
            assert_false(row->may_retry);
        /* A budget's period may have days to go: its Retry-After is for people, not for SDKs. */
        if (i == FAILURE_CLIENT_BUDGET || i == FAILURE_POOL_BUDGET)
            assert_false(row->may_retry);
        else if (row->status == 429 || row->status == 503)
            assert_true(row->may_retry);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(row->label, failure_row((enum failure)j)->label);
    }
}

/* The table of configuration.md, "What a client gets back". */
static void test_the_contract(void **state)
{
    static const struct {
        enum failure failure;
        int status;
        const char *code;
    } rows[] = {
        {FAILURE_KEY_MISSING, 401, "invalid_api_key"},
        {FAILURE_KEY_UNKNOWN, 401, "invalid_api_key"},
        {FAILURE_KEY_EXPIRED, 401, "invalid_api_key"},
        {FAILURE_MODEL_NOT_ALLOWED, 403, "model_not_allowed"},
        {FAILURE_MODEL_NOT_FOUND, 404, "model_not_found"},
        {FAILURE_CLIENT_LIMIT, 429, "rate_limit_exceeded"},
        {FAILURE_MODEL_LIMIT, 429, "rate_limit_exceeded"},
        {FAILURE_CLIENT_BUDGET, 429, "rate_limit_exceeded"},
        {FAILURE_POOL_BUDGET, 429, "rate_limit_exceeded"},
        {FAILURE_KEYS_COOLING, 429, "rate_limit_exceeded"},
        {FAILURE_OVERLOADED, 503, "overloaded"},
        {FAILURE_UPSTREAM_OPEN, 503, "upstream_open"},
        {FAILURE_UPSTREAM_DEPLETED, 503, "upstream_depleted"},
        {FAILURE_UPSTREAM_AUTH, 502, "upstream_auth"},
        {FAILURE_UPSTREAM_FAILED, 502, "upstream_failed"},
        {FAILURE_UPSTREAM_UNREACHABLE, 502, "upstream_failed"},
        {FAILURE_TIMEOUT, 504, "timeout"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(failure_row(rows[i].failure)->status, rows[i].status);
        assert_string_equal(failure_row(rows[i].failure)->code, rows[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_complete),
        cmocka_unit_test(test_the_contract),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

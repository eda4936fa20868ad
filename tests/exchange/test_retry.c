/* Whether a try follows: a truth table over every row of outcomes.def. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "exchange/retry.h"

/* What bounds the tries after an outcome. */
enum bound {
    NEVER,    /* no try follows */
    TRIES,    /* retry.attempts */
    ROTATION, /* retry.rotations */
    TIMEOUTS, /* retry.attempts, and retry.timeouts where the request had been sent */
    WAIT,     /* nothing here: retry.wait does */
};

/* The expected row: where the next try goes with and without another target, what bounds it, and
 * the word of retry.on that must be set (0: it is asked in any case). */
static const struct expectation {
    enum outcome outcome;
    enum retry_verdict alone, with_target;
    enum bound bound;
    uint32_t on;
} expectations[] = {
    {OUTCOME_SUCCESS, RETRY_NO, RETRY_NO, NEVER, 0},
    {OUTCOME_CLIENT_GONE, RETRY_NO, RETRY_NO, NEVER, 0},
    {OUTCOME_CONNECT_FAILED, RETRY_KEY, RETRY_TARGET, WAIT, CONF_RETRY_CONNECT},
    {OUTCOME_CONNECT_TIMEOUT, RETRY_KEY, RETRY_TARGET, TRIES, CONF_RETRY_CONNECT},
    {OUTCOME_TLS_FAILED, RETRY_KEY, RETRY_TARGET, TRIES, CONF_RETRY_CONNECT},
    {OUTCOME_SEND_TIMEOUT, RETRY_KEY, RETRY_KEY, TIMEOUTS, CONF_RETRY_TIMEOUT},
    {OUTCOME_FIRST_BYTE_TIMEOUT, RETRY_KEY, RETRY_KEY, TIMEOUTS, CONF_RETRY_TIMEOUT},
    {OUTCOME_IDLE_TIMEOUT, RETRY_KEY, RETRY_KEY, TIMEOUTS, CONF_RETRY_TIMEOUT},
    {OUTCOME_TOTAL_TIMEOUT, RETRY_NO, RETRY_NO, NEVER, 0},
    {OUTCOME_NO_CONNECTION, RETRY_NO, RETRY_NO, NEVER, 0},
    {OUTCOME_RESET, RETRY_KEY, RETRY_KEY, TRIES, CONF_RETRY_SERVER_ERROR},
    {OUTCOME_CUT, RETRY_KEY, RETRY_KEY, TRIES, CONF_RETRY_SERVER_ERROR},
    {OUTCOME_GARBAGE, RETRY_KEY, RETRY_KEY, TRIES, CONF_RETRY_SERVER_ERROR},
    {OUTCOME_BAD_REQUEST, RETRY_NO, RETRY_NO, NEVER, 0},
    {OUTCOME_TOOL_CALL_FAILED, RETRY_KEY, RETRY_KEY, TRIES, CONF_RETRY_SERVER_ERROR},
    {OUTCOME_TOO_LARGE, RETRY_NO, RETRY_NO, NEVER, 0},
    {OUTCOME_CONFLICT, RETRY_KEY, RETRY_KEY, TRIES, CONF_RETRY_SERVER_ERROR},
    {OUTCOME_ANSWERED_TIMEOUT, RETRY_KEY, RETRY_KEY, TIMEOUTS, CONF_RETRY_TIMEOUT},
    {OUTCOME_INVALID_KEY, RETRY_KEY, RETRY_KEY, ROTATION, CONF_RETRY_BAD_KEY},
    {OUTCOME_KEY_FORBIDDEN, RETRY_KEY, RETRY_KEY, ROTATION, CONF_RETRY_BAD_KEY},
    {OUTCOME_KEY_LACKS_SCOPE, RETRY_KEY, RETRY_KEY, ROTATION, CONF_RETRY_BAD_KEY},
    {OUTCOME_KEY_LACKS_MODEL, RETRY_KEY, RETRY_KEY, ROTATION, 0},
    {OUTCOME_MODEL_MISSING, RETRY_KEY, RETRY_KEY, ROTATION, 0},
    {OUTCOME_REGION_REFUSED, RETRY_NO, RETRY_TARGET, ROTATION, 0},
    {OUTCOME_DEPLETED, RETRY_KEY, RETRY_KEY, ROTATION, CONF_RETRY_DEPLETED},
    {OUTCOME_KEY_DEPLETED, RETRY_KEY, RETRY_KEY, ROTATION, CONF_RETRY_DEPLETED},
    {OUTCOME_UNAFFORDABLE, RETRY_KEY, RETRY_KEY, ROTATION, CONF_RETRY_DEPLETED},
    {OUTCOME_RATE_LIMITED, RETRY_KEY, RETRY_KEY, ROTATION, CONF_RETRY_RATE_LIMIT},
    {OUTCOME_ACCOUNT_LIMITED, RETRY_KEY, RETRY_KEY, ROTATION, CONF_RETRY_RATE_LIMIT},
    {OUTCOME_ENDPOINT_LIMITED, RETRY_KEY, RETRY_TARGET, ROTATION, CONF_RETRY_RATE_LIMIT},
    {OUTCOME_NO_CAPACITY, RETRY_KEY, RETRY_TARGET, TRIES, CONF_RETRY_OVERLOADED},
    {OUTCOME_MODEL_OVERLOADED, RETRY_KEY, RETRY_TARGET, TRIES, CONF_RETRY_OVERLOADED},
    {OUTCOME_OVERLOADED, RETRY_KEY, RETRY_KEY, TRIES, CONF_RETRY_OVERLOADED},
    {OUTCOME_SERVER_ERROR, RETRY_KEY, RETRY_KEY, TRIES, CONF_RETRY_SERVER_ERROR},
    {OUTCOME_ERROR_IN_SUCCESS, RETRY_KEY, RETRY_KEY, TRIES, CONF_RETRY_SERVER_ERROR},
    {OUTCOME_OVERLOADED_IN_SUCCESS, RETRY_KEY, RETRY_KEY, TRIES, CONF_RETRY_OVERLOADED},
    {OUTCOME_REDIRECTED, RETRY_KEY, RETRY_TARGET, TRIES, CONF_RETRY_SERVER_ERROR},
};

enum { ROWS = sizeof(expectations) / sizeof(expectations[0]) };

static const struct conf_retry all = {
    .attempts = 3, .rotations = 16, .timeouts = 1, .on = UINT32_MAX};

/* The facts after a failure that leaves something of every bound. */
static struct retry_facts fresh(const struct conf_retry *conf, const struct expectation *row)
{
    return (struct retry_facts){.conf = conf,
                                .row = outcome_row(row->outcome),
                                .tries = 2,
                                .rotations = 16,
                                .timeouts = 0,
                                .was_sent = true};
}

/* The verdict with and without another target. */
static void expect(struct retry_facts facts, enum retry_verdict alone,
                   enum retry_verdict with_target)
{
    enum retry_verdict first, second;

    facts.has_other_target = false;
    first = retry_decide(&facts);
    facts.has_other_target = true;
    second = retry_decide(&facts);
    if (first != alone || second != with_target)
        print_message("%s\n", facts.row->label);
    assert_int_equal(first, alone);
    assert_int_equal(second, with_target);
}

static void test_table_is_complete(void **state)
{
    (void)state;
    assert_int_equal(ROWS, OUTCOME_COUNT);
    for (int i = 0; i < ROWS; i++)
        assert_int_equal(expectations[i].outcome, i);
}

static void test_something_is_left(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS; i++)
        expect(fresh(&all, &expectations[i]), expectations[i].alone, expectations[i].with_target);
}

static void test_nothing_after_commit(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        struct retry_facts facts = fresh(&all, &expectations[i]);

        facts.is_committed = true;
        expect(facts, RETRY_NO, RETRY_NO);
    }
}

/* Each bound holds its own outcomes, and no others. */
static void test_bounds(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        const struct expectation *row = &expectations[i];
        bool is_try = row->bound == TRIES || row->bound == TIMEOUTS;
        struct retry_facts facts = fresh(&all, row);

        facts.tries = 3;
        expect(facts, is_try ? RETRY_NO : row->alone, is_try ? RETRY_NO : row->with_target);
        facts = fresh(&all, row);
        facts.rotations = 17;
        expect(facts, row->bound == ROTATION ? RETRY_NO : row->alone,
               row->bound == ROTATION ? RETRY_NO : row->with_target);
        facts = fresh(&all, row);
        facts.timeouts = 1;
        expect(facts, row->bound == TIMEOUTS ? RETRY_NO : row->alone,
               row->bound == TIMEOUTS ? RETRY_NO : row->with_target);
        /* Not sent: it cannot be billed twice. */
        facts.was_sent = false;
        expect(facts, row->alone, row->with_target);
        if (row->bound != NEVER)
            assert_int_equal(retry_counts_try(facts.row), is_try);
    }
}

/* Every word of retry.on, alone. */
static void test_words(void **state)
{
    static const uint32_t words[] = {
        CONF_RETRY_CONNECT,      CONF_RETRY_TIMEOUT, CONF_RETRY_RATE_LIMIT, CONF_RETRY_OVERLOADED,
        CONF_RETRY_SERVER_ERROR, CONF_RETRY_BAD_KEY, CONF_RETRY_DEPLETED};

    (void)state;
    for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
        struct conf_retry conf = all;

        conf.on = words[w];
        for (int i = 0; i < ROWS; i++) {
            const struct expectation *row = &expectations[i];
            bool is_wanted = row->on == 0 || row->on == words[w];

            expect(fresh(&conf, row), is_wanted ? row->alone : RETRY_NO,
                   is_wanted ? row->with_target : RETRY_NO);
        }
    }
}

/* attempts: 1 tries once; rotations: 0 and timeouts: 0 likewise. */
static void test_least(void **state)
{
    static const struct conf_retry least = {
        .attempts = 1, .rotations = 0, .timeouts = 0, .on = UINT32_MAX};

    (void)state;
    for (int i = 0; i < ROWS; i++) {
        const struct expectation *row = &expectations[i];
        struct retry_facts facts = fresh(&least, row);
        bool is_free = row->bound == WAIT;

        facts.tries = 1;
        facts.rotations = 1;
        expect(facts, is_free ? row->alone : RETRY_NO, is_free ? row->with_target : RETRY_NO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_complete),
        cmocka_unit_test(test_something_is_left),
        cmocka_unit_test(test_nothing_after_commit),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_least),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Numbers as text. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/decimal.h"

static void expect_same(uint64_t number)
{
    char buffer[DECIMAL_BYTES], expected[DECIMAL_BYTES + 1];
    struct span text = decimal_text(number, buffer);

    snprintf(expected, sizeof(expected), "%" PRIu64, number);
    assert_true(span_is_equal(text, span_from_text(expected)));
}

static void writes_every_length(void **state)
{
    expect_same(0);
    for (uint64_t power = 1; power <= UINT64_MAX / 10; power *= 10) {
        expect_same(power - 1);
        expect_same(power);
        expect_same(power + 1);
        expect_same(power * 9);
    }
    expect_same(UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(writes_every_length)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

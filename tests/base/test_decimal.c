/* Numbers as text. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/decimal.h"
#include "base/err.h"

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

static void appends_or_says_that_it_is_full(void **state)
{
    struct buf buf;

    buf_init(&buf, 5);
    assert_int_equal(decimal_append(&buf, 0), 0);
    assert_int_equal(decimal_append(&buf, 123), 0);
    assert_int_equal(decimal_append(&buf, 45), ERR_FULL);
    assert_true(span_is_equal(buf_span(&buf), SPAN("0123")));
    assert_int_equal(buf.err, ERR_FULL);
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(writes_every_length),
                                       cmocka_unit_test(appends_or_says_that_it_is_full)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Requests and errors of late: what leaves the window, and numbers that jump. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "rotation/error_window.h"

#define WINDOW_US (600 * US_PER_SEC)

static void expect(const struct error_window *window, uint32_t requests, uint32_t errors)
{
    uint32_t seen_requests, seen_errors;

    error_window_sum(window, &seen_requests, &seen_errors);
    assert_int_equal(seen_requests, requests);
    assert_int_equal(seen_errors, errors);
}

static void note(struct error_window *window, uint64_t requests, uint64_t errors, uint64_t at_s)
{
    error_window_note(window, WINDOW_US, requests, errors, at_s * US_PER_SEC);
}

static void test_what_was_before_does_not_count(void **state)
{
    struct error_window window = {.is_begun = false};

    (void)state;
    note(&window, 1000, 900, 5000);
    expect(&window, 0, 0);
    note(&window, 1010, 905, 5001);
    expect(&window, 10, 5);
}

static void test_it_slides(void **state)
{
    struct error_window window = {.is_begun = false};

    (void)state;
    note(&window, 0, 0, 6000);
    note(&window, 10, 10, 6010);
    note(&window, 30, 10, 6300);
    expect(&window, 30, 10);
    note(&window, 30, 10, 6599);
    expect(&window, 30, 10);
    note(&window, 31, 10, 6600); /* the first tenth has gone */
    expect(&window, 21, 0);
    note(&window, 31, 10, 60000); /* and so has all of it */
    expect(&window, 0, 0);
    note(&window, 33, 11, 60001);
    expect(&window, 2, 1);
}

static void test_odd_numbers(void **state)
{
    struct error_window window = {.is_begun = false};

    (void)state;
    note(&window, 100, 10, 6000);
    note(&window, 90, 10, 6001); /* one was taken back */
    expect(&window, 0, 0);
    note(&window, 92, 20, 6002); /* never more errors than requests */
    expect(&window, 2, 2);
    note(&window, UINT64_MAX, UINT64_MAX, 6003);
    expect(&window, UINT32_MAX, UINT32_MAX);
    note(&window, 5, 5, 10); /* another clock */
    expect(&window, 0, 0);
    error_window_note(&window, 0, 6, 5, 10); /* no window at all */
    expect(&window, 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_before_does_not_count),
        cmocka_unit_test(test_it_slides),
        cmocka_unit_test(test_odd_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Waiting exchanges by their tickets: a late grant finds nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"
#include "exchange/parking.h"

enum { MANY = 1000 };

/* Only their addresses matter. */
static char places[MANY];

static struct exchange *at(size_t i)
{
    return (struct exchange *)(void *)&places[i];
}

static void test_enter_and_leave(void **state)
{
    struct parking parking;
    struct waiting_ticket first, second;

    (void)state;
    parking_init(&parking, 7);
    assert_int_equal(parking_enter(&parking, at(0), &first), 0);
    assert_int_equal(parking_enter(&parking, at(1), &second), 0);
    assert_int_equal(first.worker, 7);
    assert_ptr_equal(parking_find(&parking, first), at(0));
    assert_ptr_equal(parking_find(&parking, second), at(1));
    parking_leave(&parking, first);
    assert_null(parking_find(&parking, first));
    parking_leave(&parking, first); /* harmless twice */
    assert_ptr_equal(parking_find(&parking, second), at(1));
    parking_fini(&parking);
    assert_null(parking_find(&parking, second));
    parking_fini(&parking);
}

/* The place is given again, the ticket is not. */
static void test_place_is_used_again(void **state)
{
    struct parking parking;
    struct waiting_ticket old, fresh;

    (void)state;
    parking_init(&parking, 0);
    assert_int_equal(parking_enter(&parking, at(0), &old), 0);
    for (int i = 0; i < 100; i++) {
        parking_leave(&parking, old);
        assert_int_equal(parking_enter(&parking, at(1), &fresh), 0);
        assert_int_equal(fresh.id, old.id);
        assert_int_not_equal(fresh.generation, old.generation);
        assert_null(parking_find(&parking, old));
        parking_leave(&parking, old);
        assert_ptr_equal(parking_find(&parking, fresh), at(1));
        old = fresh;
    }
    assert_int_equal(parking.count, 1);
    parking_fini(&parking);
}

static void test_many(void **state)
{
    struct parking parking;
    struct waiting_ticket tickets[MANY];

    (void)state;
    parking_init(&parking, 0);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < MANY; i++)
            assert_int_equal(parking_enter(&parking, at(i), &tickets[i]), 0);
        for (size_t i = 0; i < MANY; i++)
            assert_ptr_equal(parking_find(&parking, tickets[i]), at(i));
        for (size_t i = 0; i < MANY; i += 2)
            parking_leave(&parking, tickets[i]);
        for (size_t i = 0; i < MANY; i++)
            assert_ptr_equal(parking_find(&parking, tickets[i]), i % 2 ? at(i) : NULL);
        for (size_t i = 1; i < MANY; i += 2)
            parking_leave(&parking, tickets[i]);
    }
    /* No more places than were ever taken at once. */
    assert_int_equal(parking.count, MANY);
    parking_fini(&parking);
}

static void test_no_such_ticket(void **state)
{
    struct parking parking;
    struct waiting_ticket ticket = {.worker = 0, .generation = 1, .id = 5};

    (void)state;
    parking_init(&parking, 0);
    assert_null(parking_find(&parking, ticket));
    parking_leave(&parking, ticket);
    ticket.id = UINT64_MAX;
    assert_null(parking_find(&parking, ticket));
    parking_fini(&parking);
}

static void test_without_memory(void **state)
{
    struct parking parking;
    struct waiting_ticket ticket;

    (void)state;
    parking_init(&parking, 0);
    mem_fail_after(0);
    if (!mem_fail_is_pending())
        skip();
    assert_int_equal(parking_enter(&parking, at(0), &ticket), ERR_NOMEM);
    mem_fail_after(-1);
    assert_int_equal(parking_enter(&parking, at(0), &ticket), 0);
    parking_fini(&parking);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enter_and_leave),
        cmocka_unit_test(test_place_is_used_again),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_no_such_ticket),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Shortages of keys: told once each, however many are refused and whatever comes between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keypool/shortage.h"

#define START_US UINT64_C(1000000)

static void test_once(void **state)
{
    struct shortage shortage = {.count = 0};

    (void)state;
    assert_false(shortage_is_there(&shortage));
    assert_false(shortage_note_found(&shortage, 7, START_US));
    assert_true(shortage_note_refused(&shortage, 7, START_US));
    assert_true(shortage_is_there(&shortage));
    assert_false(shortage_note_refused(&shortage, 7, START_US + 1));
    assert_false(shortage_note_found(&shortage, 8, START_US + 2 * SHORTAGE_CALM_US));
    assert_true(shortage_note_found(&shortage, 7, START_US + 1 + SHORTAGE_CALM_US));
    assert_false(shortage_is_there(&shortage));
    assert_false(shortage_note_found(&shortage, 7, START_US + 2 * SHORTAGE_CALM_US));
    assert_true(shortage_note_refused(&shortage, 7, START_US + 3 * SHORTAGE_CALM_US));
}

/* A key at its limit is free for every second request: one shortage, not hundreds. */
static void test_by_turns(void **state)
{
    struct shortage shortage = {.count = 0};
    unsigned told = 0;

    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        told += shortage_note_refused(&shortage, 7, START_US + i * 1000);
        told += shortage_note_found(&shortage, 7, START_US + i * 1000 + 500);
    }
    assert_int_equal(told, 1);
}

/* A client that asks for names of its own making gets no line for each. */
static void test_many_models(void **state)
{
    struct shortage shortage = {.count = 0};
    uint64_t now_us = START_US + SHORTAGE_FORGET_US;
    unsigned told = 0;

    (void)state;
    for (uint64_t model = 1; model <= 1000; model++)
        told += shortage_note_refused(&shortage, model, START_US + model);
    assert_int_equal(told, SHORTAGE_MODELS);
    /* Nobody asks for the first any more; the second stays short of keys. */
    assert_false(shortage_note_refused(&shortage, 2, now_us));
    assert_true(shortage_note_refused(&shortage, 5000, now_us + 1));
    assert_false(shortage_note_found(&shortage, 1, now_us + SHORTAGE_CALM_US));
    assert_true(shortage_note_found(&shortage, 2, now_us + SHORTAGE_CALM_US));
    assert_true(shortage_note_found(&shortage, 5000, now_us + 1 + SHORTAGE_CALM_US));
    for (uint64_t model = 1; model <= SHORTAGE_MODELS; model++)
        shortage_note_found(&shortage, model, now_us + SHORTAGE_CALM_US);
    assert_false(shortage_is_there(&shortage));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_by_turns),
        cmocka_unit_test(test_many_models),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

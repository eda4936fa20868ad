/* What a canary's share means for the weights of its pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"
#include "canary/ramp.h"
#include "canary/weights.h"

static void expect(struct canary_weights weights, uint32_t canary, uint32_t predecessor,
                   uint32_t pool_ppm)
{
    assert_int_equal(weights.canary_milli, canary);
    assert_int_equal(weights.predecessor_milli, predecessor);
    assert_int_equal(weights.pool_ppm, pool_ppm);
}

static void test_it_grows_into_its_predecessors_place(void **state)
{
    expect(canary_weigh(100000, 1000, 0, true), 100, 900, 100000);
    expect(canary_weigh(500000, 1000, 0, true), 500, 500, 500000);
    expect(canary_weigh(RAMP_WHOLE_PPM, 1000, 0, true), 1000, 0, RAMP_WHOLE_PPM);
    expect(canary_weigh(100000, 10000, 30000, true), 1000, 9000, 25000);
    expect(canary_weigh(0, 1000, 3000, true), 0, 1000, 0); /* the way back */
}

static void test_without_a_predecessor_the_others_carry_the_rest(void **state)
{
    expect(canary_weigh(100000, 1000, 900, false), 100, 0, 100000);
    expect(canary_weigh(100000, 1000, 0, false), 100, 0, RAMP_WHOLE_PPM);
}

static void test_a_standbys_place_has_no_traffic(void **state)
{
    expect(canary_weigh(100000, 0, 3000, true), 0, 0, 0);
}

static void test_nobody_else_ever_carries_more(void **state)
{
    struct rand rand;

    rand_init(&rand, 5);
    for (int i = 0; i < 20000; i++) {
        uint32_t place = (uint32_t)rand_below(&rand, i % 2 ? 20 : UINT32_MAX);
        uint32_t last = 0;

        for (uint32_t share = 0; share <= 1200000; share += 50000) {
            struct canary_weights weights =
                canary_weigh(share, place, rand_below(&rand, 100000), true);

            assert_int_equal((uint64_t)weights.canary_milli + weights.predecessor_milli, place);
            assert_true(weights.canary_milli >= last);
            assert_true(share == 0 || place == 0 || weights.canary_milli > 0);
            assert_true(weights.pool_ppm <= RAMP_WHOLE_PPM);
            last = weights.canary_milli;
        }
        assert_int_equal(last, place);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_grows_into_its_predecessors_place),
        cmocka_unit_test(test_without_a_predecessor_the_others_carry_the_rest),
        cmocka_unit_test(test_a_standbys_place_has_no_traffic),
        cmocka_unit_test(test_nobody_else_ever_carries_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rand.h"

/* The published sequence for a known state: the simulator's runs repeat for ever. */
static void test_known_sequence(void **state)
{
    struct rand rand = {{1, 2, 3, 4}};

    assert_true(rand_u64(&rand) == 11520ull);
    assert_true(rand_u64(&rand) == 0ull);
    assert_true(rand_u64(&rand) == 1509978240ull);
    assert_true(rand_u64(&rand) == 1215971899390074240ull);
}

static void test_seeds(void **state)
{
    struct rand a, b, c;
    int same = 0;

    rand_init(&a, 7);
    rand_init(&b, 7);
    rand_init(&c, 8);
    for (int i = 0; i < 100; i++) {
        uint64_t value = rand_u64(&a);

        assert_true(value == rand_u64(&b));
        same += value == rand_u64(&c);
    }
    assert_int_equal(same, 0);
    rand_init_from_system(&a);
    rand_init_from_system(&b);
    assert_true(rand_u64(&a) != rand_u64(&b));
}

static void test_ranges(void **state)
{
    int counts[10] = {0};
    struct rand rand;
    double sum = 0;

    rand_init(&rand, 1);
    for (int i = 0; i < 100000; i++) {
        uint64_t value = rand_below(&rand, 10);
        double unit = rand_unit(&rand);

        assert_true(value < 10);
        assert_true(unit >= 0 && unit < 1);
        counts[value]++;
        sum += unit;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(counts[i], 9500, 10500);
    assert_true(sum > 49000 && sum < 51000);
    for (int i = 0; i < 100; i++)
        assert_int_equal(rand_below(&rand, 1), 0);
}

static void test_secure_bytes(void **state)
{
    unsigned char a[64] = {0}, b[64] = {0};

    rand_fill_secure(a, sizeof(a));
    rand_fill_secure(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    rand_fill_secure(a, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_sequence),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_secure_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

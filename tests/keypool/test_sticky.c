/* Sessions to keys: shares by weight, who moves when keys come and go, who stands in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fnv.h"
#include "keypool/sticky.h"

enum { KEYS = 12, SESSIONS = 40000 };

/* Keys by place: a weight of UINT32_MAX is no key. */
struct keys {
    uint32_t weight_milli[KEYS];
    uint32_t tier[KEYS];
    uint32_t asked;
};

static bool key_at(const void *owner, uint32_t place, struct sticky_key *ret_key)
{
    struct keys *keys = (struct keys *)(uintptr_t)owner;

    keys->asked++;
    if (keys->weight_milli[place] == UINT32_MAX)
        return false;
    *ret_key = (struct sticky_key){
        .identity = hash_mix(1000 + place),
        .tier = keys->tier[place],
        .weight_milli = keys->weight_milli[place],
    };
    return true;
}

static struct keys equal_keys(void)
{
    struct keys keys = {.asked = 0};

    for (uint32_t i = 0; i < KEYS; i++)
        keys.weight_milli[i] = 1000;
    return keys;
}

static uint64_t session_of(uint32_t number)
{
    return hash_mix(number + 1);
}

/* The first choice of each session. */
static void choose_all(const struct keys *keys, uint8_t ret_first[SESSIONS])
{
    struct sticky *sticky = sticky_new();

    for (uint32_t i = 0; i < SESSIONS; i++) {
        struct sticky_choice choice = sticky_choose(sticky, session_of(i), KEYS, key_at, keys);

        assert_true(choice.count > 0);
        ret_first[i] = (uint8_t)choice.places[0];
    }
    sticky_free(&sticky);
}

static void count(const uint8_t first[SESSIONS], uint32_t ret_counts[KEYS])
{
    for (uint32_t i = 0; i < KEYS; i++)
        ret_counts[i] = 0;
    for (uint32_t i = 0; i < SESSIONS; i++)
        ret_counts[first[i]]++;
}

static void assert_share(uint32_t counted, double share)
{
    assert_in_range(counted, (uint32_t)(share * SESSIONS * 0.9),
                    (uint32_t)(share * SESSIONS * 1.1));
}

static void test_shares_are_the_weights(void **state)
{
    struct keys keys = equal_keys();
    uint8_t first[SESSIONS];
    uint32_t counts[KEYS];

    keys.weight_milli[3] = 3000;
    keys.weight_milli[4] = 0;
    choose_all(&keys, first);
    count(first, counts);
    for (uint32_t i = 0; i < KEYS; i++) {
        if (i == 4)
            assert_int_equal(counts[i], 0);
        else
            assert_share(counts[i], keys.weight_milli[i] / 13000.0);
    }
}

static void test_a_key_that_leaves_moves_its_own_share(void **state)
{
    struct keys keys = equal_keys();
    uint8_t before[SESSIONS], after[SESSIONS];
    uint32_t counts[KEYS];

    choose_all(&keys, before);
    keys.weight_milli[7] = UINT32_MAX;
    choose_all(&keys, after);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        if (before[i] != 7)
            assert_int_equal(before[i], after[i]);
    }
    count(after, counts);
    for (uint32_t i = 0; i < KEYS; i++) {
        if (i != 7)
            assert_share(counts[i], 1.0 / (KEYS - 1));
    }
}

static void test_a_weight_that_grows_only_takes(void **state)
{
    struct keys keys = equal_keys();
    uint8_t before[SESSIONS], after[SESSIONS];
    uint32_t moved = 0;

    choose_all(&keys, before);
    keys.weight_milli[2] = 2000;
    choose_all(&keys, after);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        if (before[i] == after[i])
            continue;
        assert_int_equal(after[i], 2);
        moved++;
    }
    /* From 1 of 12 to 2 of 13. */
    assert_share(moved, 2.0 / 13 - 1.0 / 12);
}

static void test_who_stands_in_is_who_would_follow(void **state)
{
    struct keys keys = equal_keys(), without = equal_keys();
    struct sticky *sticky = sticky_new();
    uint8_t after[SESSIONS];

    without.weight_milli[5] = UINT32_MAX;
    choose_all(&without, after);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        struct sticky_choice choice = sticky_choose(sticky, session_of(i), KEYS, key_at, &keys);

        assert_int_equal(choice.count, STICKY_CHOICES);
        if (choice.places[0] == 5)
            assert_int_equal(choice.places[1], after[i]);
    }
    sticky_free(&sticky);
}

static void test_tiers_and_standby(void **state)
{
    struct keys keys = equal_keys();
    struct sticky *sticky = sticky_new();

    for (uint32_t i = 0; i < KEYS; i++)
        keys.tier[i] = i < 2 ? 0 : 1;
    keys.weight_milli[1] = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        struct sticky_choice choice = sticky_choose(sticky, session_of(i), KEYS, key_at, &keys);

        assert_int_equal(choice.places[0], 0);
        assert_int_equal(choice.places[1], 1);
        assert_in_range(choice.places[2], 2, KEYS - 1);
    }
    sticky_free(&sticky);
}

static void test_what_is_known_is_not_asked_again(void **state)
{
    struct keys keys = equal_keys();
    struct sticky *sticky = sticky_new();
    struct sticky_choice first = sticky_choose(sticky, session_of(1), KEYS, key_at, &keys), second;

    assert_int_equal(keys.asked, KEYS);
    second = sticky_choose(sticky, session_of(1), KEYS, key_at, &keys);
    assert_int_equal(keys.asked, KEYS);
    assert_int_equal(first.places[0], second.places[0]);
    sticky_free(&sticky);
}

static void test_few_keys_and_none(void **state)
{
    struct keys keys = equal_keys();
    struct sticky *sticky = sticky_new();

    for (uint32_t i = 0; i < KEYS; i++)
        keys.weight_milli[i] = UINT32_MAX;
    assert_int_equal(sticky_choose(sticky, 0, KEYS, key_at, &keys).count, 0);
    keys.weight_milli[9] = 1;
    assert_int_equal(sticky_choose(sticky, UINT64_MAX, KEYS, key_at, &keys).count, 1);
    assert_int_equal(sticky_choose(sticky, UINT64_MAX, KEYS, key_at, &keys).places[0], 9);
    sticky_free(&sticky);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares_are_the_weights),
        cmocka_unit_test(test_a_key_that_leaves_moves_its_own_share),
        cmocka_unit_test(test_a_weight_that_grows_only_takes),
        cmocka_unit_test(test_who_stands_in_is_who_would_follow),
        cmocka_unit_test(test_tiers_and_standby),
        cmocka_unit_test(test_what_is_known_is_not_asked_again),
        cmocka_unit_test(test_few_keys_and_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

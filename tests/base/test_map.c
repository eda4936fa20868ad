#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/map.h"

enum { MANY = 2000 };

static char names[MANY][16];

static struct span name(int i)
{
    return span_of(names[i], (size_t)snprintf(names[i], sizeof(names[i]), "name-%d", i));
}

static void test_finding(void **state)
{
    struct map map;

    map_init(&map, MANY);
    assert_null(map_find(&map, SPAN("x")));
    assert_null(map_remove(&map, SPAN("x")));
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(map_add(&map, name(i), names[i]), 0);
        assert_ptr_equal(map_find(&map, name(i)), names[i]);
    }
    assert_int_equal(map.count, MANY);
    assert_int_equal(map_add(&map, SPAN("one more"), names), ERR_FULL);
    /* Every third goes; the others are still found, past the gaps. */
    for (int i = 0; i < MANY; i += 3)
        assert_ptr_equal(map_remove(&map, name(i)), names[i]);
    for (int i = 0; i < MANY; i++)
        assert_ptr_equal(map_find(&map, name(i)), i % 3 ? names[i] : NULL);
    assert_int_equal(map_add(&map, name(1), names), ERR_EXISTS);
    assert_int_equal(map_add(&map, name(0), names[0]), 0);
    assert_ptr_equal(map_find(&map, name(0)), names[0]);
    map_fini(&map);
    assert_null(map_find(&map, name(0)));
}

static void test_keys_of_any_bytes(void **state)
{
    struct map map;
    int a, b, c;

    map_init(&map, 10);
    assert_int_equal(map_add(&map, span_of("x\0y", 3), &a), 0);
    assert_int_equal(map_add(&map, span_of("x", 1), &b), 0);
    assert_int_equal(map_add(&map, span_of(NULL, 0), &c), 0);
    assert_ptr_equal(map_find(&map, span_of("x\0y", 3)), &a);
    assert_ptr_equal(map_find(&map, span_of("x", 1)), &b);
    assert_ptr_equal(map_find(&map, span_of("", 0)), &c);
    assert_null(map_find(&map, span_of("x\0z", 3)));
    map_fini(&map);
}

static void test_walking(void **state)
{
    static bool seen[MANY];
    struct map map;
    struct span key;
    size_t at = 0;
    char *value;
    int count = 0;

    map_init(&map, MANY);
    assert_null(map_next(&map, &at, &key));
    for (int i = 0; i < MANY; i++)
        assert_int_equal(map_add(&map, name(i), names[i]), 0);
    for (at = 0; (value = map_next(&map, &at, &key)); count++) {
        size_t i = (size_t)(value - names[0]) / sizeof(names[0]);

        assert_false(seen[i]);
        seen[i] = true;
        assert_ptr_equal(key.ptr, names[i]);
    }
    assert_int_equal(count, MANY);
    map_fini(&map);
}

static void test_without_memory(void **state)
{
    struct map map;
    int added = 0;

    mem_fail_after(0);
    if (!mem_fail_is_pending())
        skip();
    map_init(&map, MANY);
    assert_int_equal(map_add(&map, name(0), names[0]), ERR_NOMEM);
    assert_int_equal(map_add(&map, name(0), names[0]), 0);
    mem_fail_after(0);
    while (map_add(&map, name(added + 1), names[added + 1]) == 0)
        added++;
    for (int i = 0; i <= added; i++)
        assert_ptr_equal(map_find(&map, name(i)), names[i]);
    assert_int_equal(map.count, added + 1);
    map_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finding),
        cmocka_unit_test(test_keys_of_any_bytes),
        cmocka_unit_test(test_walking),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/arena.h"

static void test_things_of_all_sizes(void **state)
{
    struct arena_pool pool;
    struct arena arena;
    unsigned char *things[200];

    arena_pool_init(&pool, 8);
    arena_init(&arena, &pool, 1 << 22);
    for (size_t i = 0; i < 200; i++) {
        size_t size = i * i % 9000;

        things[i] = arena_alloc(&arena, size);
        assert_non_null(things[i]);
        assert_int_equal((uintptr_t)things[i] % _Alignof(max_align_t), 0);
        memset(things[i], (int)i, size);
    }
    for (size_t i = 0; i < 200; i++) {
        for (size_t at = 0; at < i * i % 9000; at++)
            assert_int_equal(things[i][at], i);
    }
    arena_fini(&arena);
    assert_int_equal(arena.held, 0);
    arena_pool_fini(&pool);
}

static void test_texts(void **state)
{
    struct arena_pool pool;
    struct arena arena;
    struct span text;
    char *cleared;

    arena_pool_init(&pool, 8);
    arena_init(&arena, &pool, 1 << 20);
    text = arena_copy(&arena, SPAN("hello"));
    assert_string_equal(text.ptr, "hello");
    assert_int_equal(text.len, 5);
    assert_string_equal(arena_copy(&arena, span_of(NULL, 0)).ptr, "");
    text = arena_printf(&arena, "%s-%d", "x", 42);
    assert_string_equal(text.ptr, "x-42");
    assert_int_equal(text.len, 4);
    cleared = arena_zalloc(&arena, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(cleared[i], 0);
    arena_fini(&arena);
    arena_pool_fini(&pool);
}

static void test_maximum(void **state)
{
    struct arena_pool pool;
    struct arena arena;
    int taken = 0;

    arena_pool_init(&pool, 8);
    arena_init(&arena, &pool, 5 * ARENA_BLOCK_BYTES);
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_true(arena.is_full);
    arena_fini(&arena);
    assert_false(arena.is_full);
    assert_null(arena_alloc(&arena, 5 * ARENA_BLOCK_BYTES));
    assert_true(arena.is_full);
    arena_fini(&arena);
    while (arena_alloc(&arena, 100))
        taken++;
    assert_in_range(taken, 150, 205);
    assert_true(arena.is_full);
    assert_true(arena.held <= 5 * ARENA_BLOCK_BYTES);
    assert_null(arena_printf(&arena, "%200d", 1).ptr);
    arena_fini(&arena);
    assert_non_null(arena_alloc(&arena, 100)); /* usable again */
    assert_false(arena.is_full);
    arena_fini(&arena);
    arena_pool_fini(&pool);
}

/* Once the pool is warm, no block comes from the heap. */
static void test_pool(void **state)
{
    struct arena_pool pool;
    struct arena arena;

    arena_pool_init(&pool, 3);
    for (int round = 0; round < 4; round++) {
        arena_init(&arena, &pool, 1 << 20);
        if (round)
            mem_fail_after(0);
        for (int i = 0; i < 3; i++)
            assert_non_null(arena_alloc(&arena, 3000));
        mem_fail_after(-1);
        arena_fini(&arena);
        assert_int_equal(pool.free_count, 3);
    }
    arena_init(&arena, &pool, 1 << 20);
    for (int i = 0; i < 10; i++)
        assert_non_null(arena_alloc(&arena, 3000));
    assert_non_null(arena_alloc(&arena, 30000));
    arena_fini(&arena);
    assert_int_equal(pool.free_count, 3); /* no more than it may keep, and no odd ones */
    arena_pool_fini(&pool);
    assert_int_equal(pool.free_count, 0);
}

static void test_without_memory(void **state)
{
    struct arena_pool pool;
    struct arena arena;

    mem_fail_after(0);
    if (!mem_fail_is_pending())
        skip();
    arena_pool_init(&pool, 3);
    arena_init(&arena, &pool, 1 << 20);
    assert_null(arena_copy(&arena, SPAN("x")).ptr);
    assert_non_null(arena_copy(&arena, SPAN("x")).ptr);
    mem_fail_after(0);
    assert_null(arena_zalloc(&arena, 8000));
    arena_fini(&arena);
    arena_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_things_of_all_sizes),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

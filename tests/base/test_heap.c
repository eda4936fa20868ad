#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/rand.h"

enum { MANY = 1000 };

static void test_order(void **state)
{
    static struct heap_node nodes[MANY];
    struct heap heap;
    struct rand rand;
    uint64_t last = 0;
    int left = 0;

    rand_init(&rand, 1);
    heap_init(&heap, MANY);
    assert_null(heap_peek(&heap));
    for (int i = 0; i < MANY; i++)
        assert_int_equal(heap_push(&heap, &nodes[i], rand_below(&rand, 500)), 0);
    /* Moved up, down and nowhere, and some taken out of the middle. */
    for (int i = 0; i < MANY; i += 3)
        heap_move(&heap, &nodes[i], rand_below(&rand, 500));
    for (int i = 0; i < MANY; i += 7)
        heap_remove(&heap, &nodes[i]);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(heap_has(&nodes[i]), i % 7 != 0);
        left += heap_has(&nodes[i]);
    }
    heap_remove(&heap, &nodes[0]); /* harmless */
    for (; heap_peek(&heap); left--) {
        struct heap_node *node = heap_peek(&heap);

        assert_true(node->key >= last);
        last = node->key;
        heap_remove(&heap, node);
        assert_false(heap_has(node));
    }
    assert_int_equal(left, 0);
    heap_fini(&heap);
}

static void test_maximum(void **state)
{
    struct heap_node nodes[4] = {{0, 0}};
    struct heap heap;

    heap_init(&heap, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(heap_push(&heap, &nodes[i], 1), 0);
    assert_int_equal(heap_push(&heap, &nodes[3], 1), ERR_FULL);
    assert_false(heap_has(&nodes[3]));
    heap_remove(&heap, &nodes[1]);
    assert_int_equal(heap_push(&heap, &nodes[3], 1), 0);
    assert_int_equal(heap_reserve(&heap, 4), ERR_FULL);
    heap_fini(&heap);
}

static void test_reserved_room(void **state)
{
    static struct heap_node nodes[100];
    struct heap heap;

    heap_init(&heap, 1000);
    assert_int_equal(heap_reserve(&heap, 100), 0);
    mem_fail_after(0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(heap_push(&heap, &nodes[i], 1), 0);
    mem_fail_after(-1);
    heap_fini(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_reserved_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a library gets in place of malloc and its kin: that it is wiped shows in the black-box
 * tests, which read the memory of a process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "secrets/wiped_heap.h"

static void grown_and_shrunk_blocks_keep_what_they_hold(void **state)
{
    char *block = wiped_alloc(4);

    (void)state;
    memcpy(block, "abc", 4);
    block = wiped_realloc(block, 4096);
    assert_string_equal(block, "abc");
    block = wiped_realloc(block, 2);
    assert_memory_equal(block, "ab", 2);
    wiped_free(block);
}

static void a_block_of_nothing_is_a_block(void **state)
{
    void *block = wiped_realloc(NULL, 0);

    (void)state;
    assert_non_null(block);
    wiped_free(block);
    wiped_free(NULL);
}

static void blocks_are_aligned_for_anything(void **state)
{
    (void)state;
    for (size_t size = 1; size < 40; size++) {
        void *block = wiped_alloc(size);

        assert_int_equal((uintptr_t)block % _Alignof(max_align_t), 0);
        wiped_free(block);
    }
}

static void zeroes_and_overflow(void **state)
{
    static const char zeroes[96];
    char *block = wiped_zalloc(12, 8);

    (void)state;
    assert_memory_equal(block, zeroes, 96);
    wiped_free(block);
    assert_null(wiped_zalloc(SIZE_MAX / 2, 3));
    assert_null(wiped_alloc(SIZE_MAX));
}

static void a_copy_of_a_text(void **state)
{
    char *copy = wiped_strdup("text");

    (void)state;
    assert_string_equal(copy, "text");
    wiped_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grown_and_shrunk_blocks_keep_what_they_hold),
        cmocka_unit_test(a_block_of_nothing_is_a_block),
        cmocka_unit_test(blocks_are_aligned_for_anything),
        cmocka_unit_test(zeroes_and_overflow),
        cmocka_unit_test(a_copy_of_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

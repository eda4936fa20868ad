#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/err.h"

static void test_growing(void **state)
{
    struct buf buf;

    buf_init(&buf, 100000);
    assert_null(buf.data);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(buf_printf(&buf, "%05d", i), 0);
    assert_int_equal(buf.len, 50000);
    assert_memory_equal(buf.data + 5 * 1234, "01234", 5);
    assert_int_equal(buf_append_byte(&buf, '!'), 0);
    assert_int_equal(buf_append_span(&buf, SPAN("end")), 0);
    assert_string_equal(buf_text(&buf) + 50000, "!end");
    assert_int_equal(buf.len, 50004); /* the NUL is not counted */
    buf_clear(&buf);
    assert_int_equal(buf.len, 0);
    assert_non_null(buf.data);
    buf_fini(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.max, 100000);
    buf_fini(&buf);
}

static void test_maximum(void **state)
{
    struct buf buf;

    buf_init(&buf, 10);
    assert_int_equal(buf_append(&buf, "12345678", 8), 0);
    assert_int_equal(buf_append(&buf, "123", 3), ERR_FULL);
    assert_int_equal(buf.len, 8); /* as it was */
    assert_int_equal(buf.err, ERR_FULL);
    assert_int_equal(buf_append(&buf, "90", 2), 0);
    assert_int_equal(buf.err, ERR_FULL); /* remembered */
    assert_int_equal(buf_append(&buf, NULL, 0), 0);
    assert_int_equal(buf_reserve(&buf, SIZE_MAX), ERR_FULL);
    assert_string_equal(buf_text(&buf), "");
    assert_memory_equal(buf.data, "1234567890", 10);
    assert_int_equal(buf_printf(&buf, "%d", 1), ERR_FULL);
    buf_clear(&buf);
    assert_int_equal(buf.err, 0);
    buf_fini(&buf);
}

static void test_a_failure_of_the_filler(void **state)
{
    struct buf buf;

    buf_init(&buf, 10);
    assert_int_equal(buf_fail(&buf, ERR_NOMEM), ERR_NOMEM);
    assert_int_equal(buf_fail(&buf, ERR_FULL), ERR_FULL);
    assert_int_equal(buf.err, ERR_NOMEM); /* the first */
    buf_clear(&buf);
    assert_int_equal(buf.err, 0);
    buf_fini(&buf);
}

static void test_dropping(void **state)
{
    struct buf buf;

    buf_init(&buf, 100);
    assert_int_equal(buf_append(&buf, "abcdef", 6), 0);
    buf_drop_front(&buf, 0);
    buf_drop_front(&buf, 2);
    assert_string_equal(buf_text(&buf), "cdef");
    buf_drop_front(&buf, 4);
    assert_int_equal(buf.len, 0);
    buf_fini(&buf);
}

static void test_taking(void **state)
{
    struct buf buf;
    size_t len;
    char *bytes;

    buf_init(&buf, 100);
    assert_null(buf_take(&buf, &len));
    assert_int_equal(len, 0);
    assert_int_equal(buf_append(&buf, "abc", 3), 0);
    bytes = buf_take(&buf, &len);
    assert_int_equal(len, 3);
    assert_memory_equal(bytes, "abc", 3);
    assert_null(buf.data);
    assert_int_equal(buf.len, 0);
    mem_free(bytes);
}

static void test_secrets_leave_nothing_behind(void **state)
{
    struct buf buf;

    buf_init(&buf, 1000);
    buf.is_secret = true;
    assert_int_equal(buf_append(&buf, "sk-secret", 9), 0);
    buf_drop_front(&buf, 3);
    assert_memory_equal(buf.data, "secret\0\0\0", 9);
    assert_int_equal(buf_reserve(&buf, 500), 0); /* it moves */
    assert_memory_equal(buf.data, "secret", 6);
    buf_fini(&buf);
    assert_true(buf.is_secret);
}

static void test_without_memory(void **state)
{
    struct buf buf;

    mem_fail_after(0);
    if (!mem_fail_is_pending())
        skip();
    buf_init(&buf, 100000);
    assert_int_equal(buf_append(&buf, "abc", 3), ERR_NOMEM);
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf_append(&buf, "abc", 3), 0);
    mem_fail_after(0);
    assert_int_equal(buf_reserve(&buf, 5000), ERR_NOMEM);
    assert_string_equal(buf_text(&buf), "abc");
    buf.is_secret = true;
    mem_fail_after(0);
    assert_int_equal(buf_printf(&buf, "%5000d", 1), ERR_NOMEM);
    assert_string_equal(buf_text(&buf), "abc");
    assert_int_equal(buf.err, ERR_NOMEM);
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growing),
        cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_a_failure_of_the_filler),
        cmocka_unit_test(test_dropping),
        cmocka_unit_test(test_taking),
        cmocka_unit_test(test_secrets_leave_nothing_behind),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

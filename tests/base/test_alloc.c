#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"
#include "base/list.h"
#include "base/sm.h"

static void test_plain(void **state)
{
    char *block = mem_zalloc(10, 10), *text;

    for (int i = 0; i < 100; i++)
        assert_int_equal(block[i], 0);
    block = mem_realloc(block, 1000);
    assert_int_equal(block[99], 0);
    MEM_CLEAR(block);
    assert_null(block);
    mem_free(NULL);
    text = mem_strdup("hello world", 5);
    assert_string_equal(text, "hello");
    mem_free(text);
    text = mem_strdup(NULL, 0);
    assert_string_equal(text, "");
    mem_free(text);
    block = mem_alloc(0);
    assert_non_null(block);
    mem_free(block);
}

static void test_impossible_sizes(void **state)
{
    volatile size_t huge = SIZE_MAX / 2;

    assert_null(mem_zalloc(huge, 3)); /* the product overflows */
}

static void test_failures_on_demand(void **state)
{
    void *blocks[3];

    mem_fail_after(2);
    if (!mem_fail_is_pending())
        skip();
    blocks[0] = mem_alloc(1);
    blocks[1] = mem_zalloc(1, 1);
    assert_true(mem_fail_is_pending());
    assert_null(mem_strdup("x", 1));
    assert_false(mem_fail_is_pending());
    blocks[2] = mem_alloc(1); /* once */
    for (int i = 0; i < 3; i++) {
        assert_non_null(blocks[i]);
        mem_free(blocks[i]);
    }
}

static void test_words_for_errors(void **state)
{
    for (int err = 0; err >= ERR_DENIED; err--)
        assert_string_not_equal(err_text(err), "unknown failure");
    assert_string_equal(err_text(1), "unknown failure");
    assert_string_equal(err_text(-1000), "unknown failure");
    assert_int_equal(err_from_errno(ECONNREFUSED), ERR_REFUSED);
    assert_int_equal(err_from_errno(EADDRINUSE), ERR_EXISTS);
    assert_int_equal(err_from_errno(EPIPE), ERR_RESET);
    assert_int_equal(err_from_errno(EMFILE), ERR_FULL);
    assert_int_equal(err_from_errno(0), 0);
    assert_int_equal(err_from_errno(12345), ERR_IO);
}

static void test_lists(void **state)
{
    struct list head, a = {NULL, NULL}, b, c;
    int seen = 0;

    list_init(&head);
    assert_true(list_is_empty(&head));
    assert_null(list_pop_front(&head));
    list_remove(&a); /* never set up: harmless */
    list_init(&b);
    list_init(&c);
    assert_false(list_is_linked(&b));
    list_push_back(&head, &b);
    list_push_back(&head, &c);
    list_push_front(&head, &a);
    assert_true(list_is_linked(&a));
    list_for_each (link, &head)
        seen++;
    assert_int_equal(seen, 3);
    list_for_each_safe (link, &head) {
        if (link != &c)
            list_remove(link);
    }
    assert_false(list_is_linked(&a));
    list_remove(&a); /* harmless twice */
    assert_ptr_equal(list_pop_front(&head), &c);
    assert_true(list_is_empty(&head));
}

enum { OFF, ON, GONE };

static void test_state_machines(void **state)
{
    static const struct sm_state rows[] = {
        [OFF] = {"off", "nothing yet", SM_TO(ON) | SM_TO(GONE)},
        [ON] = {"on", "busy", SM_TO(OFF)},
        [GONE] = {"gone", "for ever", 0},
    };
    struct sm sm;

    sm_init(&sm, rows, OFF);
    assert_string_equal(sm_name(&sm), "off");
    assert_true(sm_move(&sm, ON));
    assert_false(sm_may(&sm, GONE));
    assert_false(sm_move(&sm, GONE));
    assert_string_equal(sm_name(&sm), "on");
    assert_true(sm_move(&sm, OFF));
    assert_true(sm_move(&sm, GONE));
    assert_false(sm_move(&sm, OFF));
}

static void test_bugs(void **state)
{
    pid_t child;
    int status;

    bug_fatal_unless(1 + 1 == 2);
    assert_false(bug_exchange_unless(1 + 1 == 2));
    assert_int_equal(bug_count(), 0);
    fflush(NULL);
    child = fork();
    if (child == 0) {
        assert_non_null(freopen("/dev/null", "w", stderr));
        sigaction(SIGABRT, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        bug_fatal_unless(1 + 1 == 3);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_impossible_sizes),
        cmocka_unit_test(test_failures_on_demand),
        cmocka_unit_test(test_words_for_errors),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_state_machines),
        cmocka_unit_test(test_bugs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

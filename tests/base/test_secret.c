#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <string.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/secret.h"

static struct secret_arena *arena_of(size_t bytes)
{
    bool is_locked;
    struct secret_arena *arena = secret_arena_new(bytes, &is_locked);

    assert_non_null(arena);
    return arena;
}

static void test_keeping(void **state)
{
    struct secret_arena *arena = arena_of(1 << 16);
    struct secret *secret, *other;
    const struct span pieces[] = {SPAN("Authorization: Bearer "), SPAN("sk-1"), SPAN("\r\n")};

    assert_int_equal(secret_new(arena, SPAN("sk-1"), &secret), 0);
    assert_true(span_is_equal(secret_reveal(secret), SPAN("sk-1")));
    assert_true(secret_is_equal(secret, SPAN("sk-1")));
    assert_false(secret_is_equal(secret, SPAN("sk-2")));
    assert_false(secret_is_equal(secret, SPAN("sk-")));
    assert_false(secret_is_equal(secret, span_of(NULL, 0)));
    assert_int_equal(secret_join(arena, pieces, 3, &other), 0);
    assert_true(span_is_equal(secret_reveal(other), SPAN("Authorization: Bearer sk-1\r\n")));
    secret_unref(&other);
    assert_null(other);
    secret_unref(&other);
    other = secret_ref(secret);
    secret_unref(&secret);
    assert_true(secret_is_equal(other, SPAN("sk-1")));
    secret_unref(&other);
    secret_arena_free(&arena);
    assert_null(arena);
    secret_arena_free(&arena);
}

static void test_wiping(void **state)
{
    struct secret_arena *arena = arena_of(1 << 16);
    struct secret *secret, *again;
    const char *place;

    assert_int_equal(secret_new(arena, SPAN("0123456789abcdef"), &secret), 0);
    place = secret_reveal(secret).ptr;
    secret_unref(&secret);
    /* The slot is still mapped: nothing of the secret stands in it. */
    for (int i = 8; i < 16; i++)
        assert_int_equal(place[i], 0);
    assert_int_equal(secret_new(arena, SPAN("x"), &again), 0);
    assert_ptr_equal(secret_reveal(again).ptr, place); /* used again */
    secret_unref(&again);
    secret_arena_free(&arena);
}

static void test_maximum(void **state)
{
    static char big[SECRET_MAX_BYTES + 1];
    struct secret_arena *arena = arena_of(2 * SECRET_MAX_BYTES);
    struct secret *secrets[3], *small;

    assert_int_equal(secret_new(arena, span_of(big, sizeof(big)), &secrets[0]), ERR_RANGE);
    assert_int_equal(secret_new(arena, span_of(big, SECRET_MAX_BYTES), &secrets[0]), 0);
    assert_int_equal(secret_new(arena, span_of(big, SECRET_MAX_BYTES), &secrets[1]), 0);
    assert_int_equal(secret_new(arena, span_of(big, SECRET_MAX_BYTES), &secrets[2]), ERR_FULL);
    assert_int_equal(secret_new(arena, SPAN("small"), &small), ERR_FULL);
    secret_unref(&secrets[0]);
    assert_int_equal(secret_new(arena, span_of(big, SECRET_MAX_BYTES), &secrets[2]), 0);
    secret_unref(&secrets[1]);
    secret_unref(&secrets[2]);
    secret_arena_free(&arena);
}

static void test_slots_do_not_overlap(void **state)
{
    enum { MANY = 400 };
    struct secret_arena *arena = arena_of(1 << 20);
    static struct secret *secrets[MANY];
    static char bytes[2000];

    for (int i = 0; i < MANY; i++) {
        memset(bytes, i % 251, sizeof(bytes));
        assert_int_equal(secret_new(arena, span_of(bytes, (size_t)(i * 5)), &secrets[i]), 0);
        if (i % 4 == 3)
            secret_unref(&secrets[i - 2]);
    }
    for (int i = 0; i < MANY; i++) {
        memset(bytes, i % 251, sizeof(bytes));
        if (secrets[i])
            assert_true(secret_is_equal(secrets[i], span_of(bytes, (size_t)(i * 5))));
        secret_unref(&secrets[i]);
    }
    secret_arena_free(&arena);
}

static struct secret *shared;

static void *use_shared(void *arg)
{
    for (int i = 0; i < 10000; i++) {
        struct secret *mine = secret_ref(shared);

        if (!secret_is_equal(mine, SPAN("shared")))
            return arg;
        secret_unref(&mine);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct secret_arena *arena = arena_of(1 << 16);
    pthread_t threads[4];

    assert_int_equal(secret_new(arena, SPAN("shared"), &shared), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_shared, arena), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;

        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    secret_unref(&shared);
    secret_arena_free(&arena);
}

/* Neither one byte before the arena nor one behind it can be touched. */
static void expect_guard(ptrdiff_t offset)
{
    struct secret_arena *arena = arena_of(4096);
    struct secret *secret;
    pid_t child;
    int status;

    assert_int_equal(secret_new(arena, SPAN("x"), &secret), 0);
    child = fork();
    if (child == 0) {
        sigaction(SIGSEGV, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        *(volatile char *)(uintptr_t)(secret_reveal(secret).ptr + offset);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
    secret_unref(&secret);
    secret_arena_free(&arena);
}

static void test_guard_pages(void **state)
{
    expect_guard(-1);
    expect_guard(sysconf(_SC_PAGESIZE));
}

/* A child has none of it (MADV_WIPEONFORK). */
static void test_children_see_nothing(void **state)
{
    struct secret_arena *arena = arena_of(4096);
    struct secret *secret;
    pid_t child;
    int status;

    assert_int_equal(secret_new(arena, SPAN("not for children"), &secret), 0);
    child = fork();
    if (child == 0)
        _exit(secret_is_equal(secret, SPAN("not for children")));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    secret_unref(&secret);
    secret_arena_free(&arena);
}

static void test_without_memory(void **state)
{
    struct secret_arena *arena;
    struct secret *secret = NULL;
    bool is_locked;

    mem_fail_after(0);
    if (!mem_fail_is_pending())
        skip();
    assert_null(secret_arena_new(100, &is_locked));
    arena = arena_of(100);
    mem_fail_after(0);
    assert_int_equal(secret_new(arena, SPAN("x"), &secret), ERR_NOMEM);
    assert_null(secret);
    secret_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeping),
        cmocka_unit_test(test_wiping),
        cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_slots_do_not_overlap),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_guard_pages),
        cmocka_unit_test(test_children_see_nothing),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

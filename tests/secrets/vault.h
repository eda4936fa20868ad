/*
 * A locked arena, and the secrets that a test keeps there: one of its own, or, by the fixtures, one
 * for all tests of a group. Owned by the test; one thread.
 */
#ifndef TESTS_SECRETS_VAULT_H
#define TESTS_SECRETS_VAULT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/secret.h"

static struct secret_arena *vault; /* the group's */

static inline struct secret_arena *vault_open(void)
{
    bool is_locked;
    struct secret_arena *arena = secret_arena_new(1 << 20, &is_locked);

    assert_non_null(arena);
    return arena;
}

/* The secret; secret_unref afterwards. */
static inline struct secret *vault_keep(struct secret_arena *arena, struct span bytes)
{
    struct secret *secret;

    assert_int_equal(secret_new(arena, bytes, &secret), 0);
    return secret;
}

static inline int vault_set_up(void **state)
{
    (void)state;
    vault = vault_open();
    return 0;
}

static inline int vault_tear_down(void **state)
{
    (void)state;
    secret_arena_free(&vault);
    return 0;
}

#endif

/*
 * Secrets: bytes that must never be printed, dumped or left behind. They live in slots of one
 * locked arena per process (guard pages at its ends, left out of core dumps and of forked children,
 * wiped when freed). A struct secret is opaque, so that no format can print it; only who puts the
 * bytes on a wire or compares them calls secret_reveal. Thread-safe; a secret is counted, and wiped
 * with its last reference.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

struct secret;
struct secret_arena;

enum { SECRET_MAX_BYTES = 16384 };

/* An arena for up to max_bytes of secrets in all. NULL without memory. *ret_is_locked tells whether
 * the system granted the lock (RLIMIT_MEMLOCK): the owner says so once where it did not. */
struct secret_arena *secret_arena_new(size_t max_bytes, bool *ret_is_locked);

/* Wipes and frees; every secret must be gone. Accepts NULL. */
void secret_arena_free(struct secret_arena **arena);

/* Copies the bytes into the arena: 0, ERR_FULL (arena), ERR_RANGE (over SECRET_MAX_BYTES) or
 * ERR_NOMEM. */
int secret_new(struct secret_arena *arena, struct span bytes, struct secret **ret_secret);

/* The same from several pieces joined, so that no joined copy stands elsewhere. */
int secret_join(struct secret_arena *arena, const struct span *pieces, size_t count,
                struct secret **ret_secret);

struct secret *secret_ref(struct secret *secret);
void secret_unref(struct secret **secret);

/* Borrowed bytes, valid while the reference is held. Never to be logged or stored. */
struct span secret_reveal(const struct secret *secret);

/* Compared in constant time for equal lengths. */
bool secret_is_equal(const struct secret *secret, struct span bytes);

/* Overwrites bytes in a way that no compiler removes. */
void secret_wipe(void *bytes, size_t len);

#endif

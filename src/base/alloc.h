/*
 * The heap. Every allocation of the program goes through here, so that a test can make any one of
 * them fail (build option `faults`). Any thread; the caller owns what it gets and frees it with
 * mem_free. Failure is NULL, never an abort.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* size bytes, not cleared. */
void *mem_alloc(size_t size);

/* count times size bytes, cleared; NULL also where the product overflows. */
void *mem_zalloc(size_t count, size_t size);

/* As realloc; on failure the old block stays valid. */
void *mem_realloc(void *block, size_t size);

/* A copy of len bytes with a NUL behind it. */
char *mem_strdup(const char *text, size_t len);

/* Accepts NULL. */
void mem_free(void *block);

/* Frees *block and leaves NULL behind. */
#define MEM_CLEAR(block) (mem_free(block), (block) = NULL)

/* With `faults`: the call after `after` further allocations fails, once; a negative value never. In
 * other builds it does nothing. */
void mem_fail_after(long after);

/* With `faults`: the failure asked for has not come yet. In other builds false. */
bool mem_fail_is_pending(void);

#endif

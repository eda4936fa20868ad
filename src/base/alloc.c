#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

#ifdef BW_FAULTS
#include <stdatomic.h>

/* One for the process, since any allocation of any thread may be the one that fails. */
static atomic_long countdown = -1;

void mem_fail_after(long after)
{
    atomic_store(&countdown, after);
}

bool mem_fail_is_pending(void)
{
    return atomic_load(&countdown) >= 0;
}

static int is_to_fail(void)
{
    if (atomic_load(&countdown) < 0)
        return 0;
    return atomic_fetch_sub(&countdown, 1) == 0;
}
#else
void mem_fail_after(long after)
{
    (void)after;
}

bool mem_fail_is_pending(void)
{
    return false;
}

static int is_to_fail(void)
{
    return 0;
}
#endif

void *mem_alloc(size_t size)
{
    return is_to_fail() ? NULL : malloc(size ? size : 1);
}

void *mem_zalloc(size_t count, size_t size)
{
    size_t product;

    if (__builtin_mul_overflow(count, size, &product))
        return NULL;
    return is_to_fail() ? NULL : calloc(count ? count : 1, size ? size : 1);
}

void *mem_realloc(void *block, size_t size)
{
    return is_to_fail() ? NULL : realloc(block, size ? size : 1);
}

char *mem_strdup(const char *text, size_t len)
{
    char *copy = mem_alloc(len + 1);

    if (!copy)
        return NULL;
    if (len)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

void mem_free(void *block)
{
    free(block);
}

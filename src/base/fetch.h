/*
 * Asks the processor for memory that will be used soon, so that it has come from the outer caches
 * by then: with many connections the memory of each is cold when its turn comes. A hint, without
 * any effect but on time; the memory need not be there any more. Any thread.
 */
#ifndef BASE_FETCH_H
#define BASE_FETCH_H

#include <stddef.h>

static inline void fetch_ahead(const void *memory, size_t bytes)
{
    enum { LINE_BYTES = 64 };

    for (size_t at = 0; at < bytes; at += LINE_BYTES)
        __builtin_prefetch((const char *)memory + at);
}

#endif

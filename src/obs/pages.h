/*
 * Large blocks of zeroed memory of which only the pages that are touched count: never as huge
 * pages, where the first touch would take 2 MiB. Any thread; the caller owns the block.
 */
#ifndef OBS_PAGES_H
#define OBS_PAGES_H

#include <stddef.h>

/* size bytes, zeroed, aligned to a page; NULL without memory. */
void *pages_new(size_t size);

/* size is that of pages_new. Accepts NULL. */
void pages_free(void *pages, size_t size);

#endif

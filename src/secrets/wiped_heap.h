/*
 * A heap whose blocks are wiped before they go: for a library that copies secrets into memory of
 * its own (libcurl: requests' header lines, answers with new keys). What is freed holds nothing
 * that a core dump or a reader of the heap could find. As malloc and its kin; any thread. Its
 * failures are the library's own, and not among those that tests play (base/alloc.h). Costs a
 * header of 16 bytes a block, and growth always moves.
 */
#ifndef SECRETS_WIPED_HEAP_H
#define SECRETS_WIPED_HEAP_H

#include <stddef.h>

void *wiped_alloc(size_t size);
void *wiped_zalloc(size_t count, size_t size);
/* The block before is wiped where it moved, and stays as it is on failure. */
void *wiped_realloc(void *block, size_t size);
char *wiped_strdup(const char *text);
/* Accepts NULL. */
void wiped_free(void *block);

#endif

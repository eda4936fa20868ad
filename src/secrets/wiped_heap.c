#include "secrets/wiped_heap.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

/* Before each block; what follows is aligned for anything. */
struct header {
    alignas(max_align_t) size_t size;
};

static struct header *header_of(void *block)
{
    return (struct header *)block - 1;
}

void *wiped_alloc(size_t size)
{
    struct header *header =
        size <= SIZE_MAX - sizeof(*header) ? malloc(sizeof(*header) + size) : NULL;

    if (!header)
        return NULL;
    header->size = size;
    return header + 1;
}

void *wiped_zalloc(size_t count, size_t size)
{
    size_t product;
    void *block = __builtin_mul_overflow(count, size, &product) ? NULL : wiped_alloc(product);

    if (block)
        memset(block, 0, product);
    return block;
}

void *wiped_realloc(void *block, size_t size)
{
    void *moved = wiped_alloc(size);
    size_t before = block ? header_of(block)->size : 0;

    if (!moved)
        return NULL;
    if (before)
        memcpy(moved, block, before < size ? before : size);
    wiped_free(block);
    return moved;
}

char *wiped_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = wiped_alloc(size);

    if (copy)
        memcpy(copy, text, size);
    return copy;
}

void wiped_free(void *block)
{
    if (!block)
        return;
    secret_wipe(block, header_of(block)->size);
    free(header_of(block));
}

#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

struct arena_block {
    struct arena_block *next;
    size_t size; /* of data */
    _Alignas(max_align_t) char data[];
};

enum { BLOCK_DATA = ARENA_BLOCK_BYTES - sizeof(struct arena_block) };

void arena_pool_init(struct arena_pool *pool, size_t max_free)
{
    *pool = (struct arena_pool){.max_free = max_free};
}

void arena_pool_fini(struct arena_pool *pool)
{
    while (pool->free) {
        struct arena_block *block = pool->free;

        pool->free = block->next;
        mem_free(block);
    }
    pool->free_count = 0;
}

static struct arena_block *block_take(struct arena_pool *pool, size_t size)
{
    struct arena_block *block;

    if (size <= BLOCK_DATA && pool->free) {
        block = pool->free;
        pool->free = block->next;
        pool->free_count--;
        return block;
    }
    if (size < BLOCK_DATA)
        size = BLOCK_DATA;
    block = mem_alloc(sizeof(*block) + size);
    if (block)
        block->size = size;
    return block;
}

static void block_give(struct arena_pool *pool, struct arena_block *block)
{
    if (block->size != BLOCK_DATA || pool->free_count >= pool->max_free) {
        mem_free(block);
        return;
    }
    block->next = pool->free;
    pool->free = block;
    pool->free_count++;
}

void arena_init(struct arena *arena, struct arena_pool *pool, size_t max_bytes)
{
    *arena = (struct arena){.pool = pool, .max = max_bytes};
}

void arena_fini(struct arena *arena)
{
    while (arena->head) {
        struct arena_block *block = arena->head;

        arena->head = block->next;
        block_give(arena->pool, block);
    }
    arena->used = 0;
    arena->held = 0;
    arena->is_full = false;
}

static void *alloc_in_new_block(struct arena *arena, size_t size)
{
    struct arena_block *block;
    size_t whole = sizeof(*block) + (size < BLOCK_DATA ? BLOCK_DATA : size);

    if (arena->held + whole > arena->max) {
        arena->is_full = true;
        return NULL;
    }
    block = block_take(arena->pool, size);
    if (!block)
        return NULL;
    arena->held += sizeof(*block) + block->size;
    /* A large thing goes behind the block being filled, whose rest stays useful. */
    if (size > BLOCK_DATA && arena->head) {
        block->next = arena->head->next;
        arena->head->next = block;
        return block->data;
    }
    block->next = arena->head;
    arena->head = block;
    arena->used = size;
    return block->data;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    void *place;

    if (size > arena->max) {
        arena->is_full = true;
        return NULL;
    }
    size = (size + align - 1) & ~(align - 1);
    if (!arena->head || arena->head->size - arena->used < size)
        return alloc_in_new_block(arena, size);
    place = arena->head->data + arena->used;
    arena->used += size;
    return place;
}

void *arena_zalloc(struct arena *arena, size_t size)
{
    void *place = arena_alloc(arena, size);

    if (place)
        memset(place, 0, size);
    return place;
}

struct span arena_copy(struct arena *arena, struct span text)
{
    char *copy = arena_alloc(arena, text.len + 1);

    if (!copy)
        return span_of(NULL, 0);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return span_of(copy, text.len);
}

struct span arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    char *text;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    text = len < 0 ? NULL : arena_alloc(arena, (size_t)len + 1);
    if (!text)
        return span_of(NULL, 0);
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return span_of(text, (size_t)len);
}

#include "base/secret.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"

/* Slots come in powers of two from SLOT_MIN up; a freed slot goes to the free list of its class. */
enum { SLOT_MIN = 64, SLOT_CLASSES = 9 }; /* 64 .. 16384 */

struct free_slot {
    struct free_slot *next;
};

struct secret_arena {
    pthread_mutex_t lock; /* guards used, free and live; taken alone, never on a warm path */
    char *pages;          /* the usable pages; a guard page stands at each end */
    size_t size;
    size_t used;
    size_t live;
    size_t page;
    struct free_slot *free[SLOT_CLASSES];
};

struct secret {
    struct secret_arena *arena;
    atomic_size_t
        refs; /* counted on any thread: acquire-release on the last drop orders the wipe */
    unsigned size_class;
    size_t len;
    char *bytes;
};

static size_t round_up(size_t value, size_t unit)
{
    return (value + unit - 1) / unit * unit;
}

struct secret_arena *secret_arena_new(size_t max_bytes, bool *ret_is_locked)
{
    struct secret_arena *arena = mem_zalloc(1, sizeof(*arena));
    char *map;

    if (!arena)
        return NULL;
    arena->page = (size_t)sysconf(_SC_PAGESIZE);
    arena->size = round_up(max_bytes, arena->page);
    map = mmap(NULL, arena->size + 2 * arena->page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
        mem_free(arena);
        return NULL;
    }
    arena->pages = map + arena->page;
    if (mprotect(arena->pages, arena->size, PROT_READ | PROT_WRITE)) {
        munmap(map, arena->size + 2 * arena->page);
        mem_free(arena);
        return NULL;
    }
    madvise(arena->pages, arena->size, MADV_DONTDUMP);
    madvise(arena->pages, arena->size, MADV_WIPEONFORK);
    /* MLOCK_ONFAULT: what is never used takes no memory. */
    *ret_is_locked = mlock2(arena->pages, arena->size, MLOCK_ONFAULT) == 0;
    pthread_mutex_init(&arena->lock, NULL);
    return arena;
}

void secret_arena_free(struct secret_arena **arena)
{
    struct secret_arena *a = *arena;

    if (!a)
        return;
    bug_fatal_unless(a->live == 0);
    sodium_memzero(a->pages, a->used);
    munmap(a->pages - a->page, a->size + 2 * a->page);
    pthread_mutex_destroy(&a->lock);
    mem_free(a);
    *arena = NULL;
}

static unsigned class_of(size_t len)
{
    unsigned size_class = 0;

    while ((size_t)SLOT_MIN << size_class < len)
        size_class++;
    return size_class;
}

static char *slot_take(struct secret_arena *arena, unsigned size_class)
{
    size_t size = (size_t)SLOT_MIN << size_class;
    char *slot = NULL;

    pthread_mutex_lock(&arena->lock);
    if (arena->free[size_class]) {
        slot = (char *)arena->free[size_class];
        arena->free[size_class] = arena->free[size_class]->next;
    } else if (arena->size - arena->used >= size) {
        slot = arena->pages + arena->used;
        arena->used += size;
    }
    if (slot)
        arena->live++;
    pthread_mutex_unlock(&arena->lock);
    return slot;
}

static void slot_give(struct secret_arena *arena, unsigned size_class, char *bytes)
{
    struct free_slot *slot = (struct free_slot *)(void *)bytes;

    sodium_memzero(bytes, (size_t)SLOT_MIN << size_class);
    pthread_mutex_lock(&arena->lock);
    slot->next = arena->free[size_class];
    arena->free[size_class] = slot;
    arena->live--;
    pthread_mutex_unlock(&arena->lock);
}

int secret_join(struct secret_arena *arena, const struct span *pieces, size_t count,
                struct secret **ret_secret)
{
    struct secret *secret;
    size_t len = 0;

    for (size_t i = 0; i < count; i++)
        len += pieces[i].len;
    if (len > SECRET_MAX_BYTES)
        return ERR_RANGE;
    secret = mem_zalloc(1, sizeof(*secret));
    if (!secret)
        return ERR_NOMEM;
    secret->size_class = class_of(len);
    secret->bytes = slot_take(arena, secret->size_class);
    if (!secret->bytes) {
        mem_free(secret);
        return ERR_FULL;
    }
    secret->arena = arena;
    atomic_init(&secret->refs, 1);
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len)
            memcpy(secret->bytes + secret->len, pieces[i].ptr, pieces[i].len);
        secret->len += pieces[i].len;
    }
    *ret_secret = secret;
    return 0;
}

int secret_new(struct secret_arena *arena, struct span bytes, struct secret **ret_secret)
{
    return secret_join(arena, &bytes, 1, ret_secret);
}

struct secret *secret_ref(struct secret *secret)
{
    atomic_fetch_add_explicit(&secret->refs, 1, memory_order_relaxed);
    return secret;
}

void secret_unref(struct secret **secret)
{
    struct secret *s = *secret;

    *secret = NULL;
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    slot_give(s->arena, s->size_class, s->bytes);
    mem_free(s);
}

struct span secret_reveal(const struct secret *secret)
{
    return span_of(secret->bytes, secret->len);
}

bool secret_is_equal(const struct secret *secret, struct span bytes)
{
    return secret->len == bytes.len && sodium_memcmp(secret->bytes, bytes.ptr, bytes.len) == 0;
}

void secret_wipe(void *bytes, size_t len)
{
    sodium_memzero(bytes, len);
}

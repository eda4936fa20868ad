#include "route/pace.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/map.h"

enum { MAX_PACES = 65536, COUNT_BITS = 8 };

#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)
#define MOST_US    (UINT64_MAX >> (COUNT_BITS + PACE_SHIFT))

struct pace {
    char *name;
    size_t name_len;
    struct {
        /* Made and let go by the thread that loads, and by whoever frees a snapshot last. */
        atomic_uint refs;
        /* Sum of the average times 1 << PACE_SHIFT, and below it the samples, up to COUNT_MASK.
         * Relaxed: it guards nothing, and a sample may be lost. */
        atomic_uint_least64_t word;
        /* Relaxed, and some are lost, for the same reason. */
        atomic_uint_least32_t tries;
    } shared;
};

struct pace_book {
    struct map by_name;
};

static struct pace *pace_new(struct span name)
{
    struct pace *pace = mem_zalloc(1, sizeof(*pace));

    if (!pace)
        return NULL;
    pace->name = mem_strdup(name.ptr, name.len);
    pace->name_len = name.len;
    if (!pace->name) {
        mem_free(pace);
        return NULL;
    }
    atomic_init(&pace->shared.refs, 1);
    atomic_init(&pace->shared.word, 0);
    atomic_init(&pace->shared.tries, 0);
    return pace;
}

void pace_unref(struct pace **place)
{
    struct pace *pace = *place;

    *place = NULL;
    /* Whoever frees it must see all that others did with it. */
    if (!pace || atomic_fetch_sub_explicit(&pace->shared.refs, 1, memory_order_acq_rel) > 1)
        return;
    mem_free(pace->name);
    mem_free(pace);
}

struct pace_book *pace_book_new(void)
{
    struct pace_book *book = mem_zalloc(1, sizeof(*book));

    if (book)
        map_init(&book->by_name, MAX_PACES);
    return book;
}

void pace_book_free(struct pace_book **place)
{
    struct pace_book *book = *place;
    struct pace *pace;
    size_t at = 0;

    *place = NULL;
    if (!book)
        return;
    while ((pace = map_next(&book->by_name, &at, NULL)))
        pace_unref(&pace);
    map_fini(&book->by_name);
    mem_free(book);
}

int pace_book_get(struct pace_book *book, struct span name, struct pace **ret_pace)
{
    struct pace *pace = map_find(&book->by_name, name);

    if (!pace) {
        pace = pace_new(name);
        if (!pace)
            return ERR_NOMEM;
        if (map_add(&book->by_name, span_of(pace->name, pace->name_len), pace)) {
            pace_unref(&pace);
            return ERR_NOMEM;
        }
    }
    atomic_fetch_add_explicit(&pace->shared.refs, 1, memory_order_relaxed);
    *ret_pace = pace;
    return 0;
}

void pace_book_sweep(struct pace_book *book)
{
    struct pace *pace;
    size_t at = 0;

    while ((pace = map_next(&book->by_name, &at, NULL))) {
        /* Nobody but this thread could give it another reference. */
        if (atomic_load_explicit(&pace->shared.refs, memory_order_relaxed) > 1)
            continue;
        map_remove(&book->by_name, span_of(pace->name, pace->name_len));
        pace_unref(&pace);
        at = 0;
    }
}

void pace_note(struct pace *pace, uint64_t first_byte_us)
{
    uint64_t word = atomic_load_explicit(&pace->shared.word, memory_order_relaxed);
    uint64_t count = word & COUNT_MASK, sum = word >> COUNT_BITS;

    if (first_byte_us > MOST_US >> PACE_SHIFT)
        first_byte_us = MOST_US >> PACE_SHIFT;
    sum = count ? sum - (sum >> PACE_SHIFT) + first_byte_us : first_byte_us << PACE_SHIFT;
    count += count < COUNT_MASK;
    atomic_store_explicit(&pace->shared.word, sum << COUNT_BITS | count, memory_order_relaxed);
}

uint64_t pace_us(const struct pace *pace)
{
    uint64_t word = atomic_load_explicit(&pace->shared.word, memory_order_relaxed);
    uint64_t us = word >> COUNT_BITS >> PACE_SHIFT;

    if ((word & COUNT_MASK) < PACE_KNOWN_FROM)
        return 0;
    return us ? us : 1;
}

uint32_t pace_tries(const struct pace *pace)
{
    return atomic_load_explicit(&pace->shared.tries, memory_order_relaxed);
}

void pace_try(struct pace *pace)
{
    uint32_t tries = pace_tries(pace);

    /* No store once it is enough: workers would pass the line around. */
    if (tries < PACE_TRIES && !pace_us(pace))
        atomic_store_explicit(&pace->shared.tries, tries + 1, memory_order_relaxed);
}

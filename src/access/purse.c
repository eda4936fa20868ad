#include "access/purse.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"
#include "base/map.h"

enum { PURSES_MAX = 1 << 20 };

struct purse {
    /* Each word is right by itself: who reads an old ceiling beside a new end refuses, or lets
     * pass, one exchange that came at the turn of the period. Hence relaxed. */
    struct {
        _Atomic uint64_t spent;
        _Atomic uint64_t ceiling;
        _Atomic uint64_t until_us;
    } shared;
    struct purse_book *book;
    uint32_t refs;  /* under the book's lock */
    struct span id; /* kind and name */
    char text[];
};

struct purse_book {
    pthread_mutex_t lock; /* taken when configurations come and go, never by an exchange */
    struct map by_id;
};

/* ---- the book ---- */

struct purse_book *purse_book_new(void)
{
    struct purse_book *book = mem_zalloc(1, sizeof(*book));

    if (!book)
        return NULL;
    map_init(&book->by_id, PURSES_MAX);
    bug_fatal_unless(pthread_mutex_init(&book->lock, NULL) == 0);
    return book;
}

void purse_book_free(struct purse_book **book)
{
    if (!*book)
        return;
    bug_fatal_unless((*book)->by_id.count == 0);
    map_fini(&(*book)->by_id);
    pthread_mutex_destroy(&(*book)->lock);
    MEM_CLEAR(*book);
}

static struct purse *purse_new(struct purse_book *book, enum purse_kind kind, struct span name)
{
    struct purse *purse = mem_zalloc(1, sizeof(*purse) + name.len + 1);

    if (!purse)
        return NULL;
    purse->book = book;
    purse->text[0] = kind == PURSE_CLIENT ? 'c' : 'p';
    memcpy(purse->text + 1, name.ptr, name.len);
    purse->id = span_of(purse->text, name.len + 1);
    return purse;
}

int purse_book_get(struct purse_book *book, enum purse_kind kind, struct span name,
                   struct purse **ret_purse)
{
    struct purse *fresh = purse_new(book, kind, name), *purse;
    int err = 0;

    if (!fresh)
        return ERR_NOMEM;
    pthread_mutex_lock(&book->lock);
    purse = map_find(&book->by_id, fresh->id);
    if (!purse) {
        purse = fresh;
        err = map_add(&book->by_id, purse->id, purse);
        if (!err)
            fresh = NULL;
    }
    if (!err) {
        purse->refs++;
        *ret_purse = purse;
    }
    pthread_mutex_unlock(&book->lock);
    mem_free(fresh);
    return err;
}

void purse_unref(struct purse **place)
{
    struct purse *purse = *place;
    struct purse_book *book;
    bool is_last;

    *place = NULL;
    if (!purse)
        return;
    book = purse->book;
    pthread_mutex_lock(&book->lock);
    is_last = --purse->refs == 0;
    if (is_last)
        map_remove(&book->by_id, purse->id);
    pthread_mutex_unlock(&book->lock);
    if (is_last)
        mem_free(purse);
}

/* ---- one purse ---- */

void purse_add(struct purse *purse, uint64_t nanousd)
{
    uint64_t spent = atomic_load_explicit(&purse->shared.spent, memory_order_relaxed), sum;

    do {
        sum = nanousd < PURSE_MOST - spent ? spent + nanousd : PURSE_MOST;
    } while (!atomic_compare_exchange_weak_explicit(&purse->shared.spent, &spent, sum,
                                                    memory_order_relaxed, memory_order_relaxed));
}

uint64_t purse_spent(const struct purse *purse)
{
    return atomic_load_explicit(&purse->shared.spent, memory_order_relaxed);
}

void purse_set(struct purse *purse, uint64_t ceiling, uint64_t until_us)
{
    atomic_store_explicit(&purse->shared.ceiling, ceiling, memory_order_relaxed);
    atomic_store_explicit(&purse->shared.until_us, until_us, memory_order_relaxed);
}

bool purse_is_spent(const struct purse *purse, uint64_t now_us, uint64_t *ret_wait_us)
{
    uint64_t until_us;

    if (!purse)
        return false;
    until_us = atomic_load_explicit(&purse->shared.until_us, memory_order_relaxed);
    /* As a difference: a ceiling below zero has come round. */
    if (now_us >= until_us ||
        (int64_t)(purse_spent(purse) -
                  atomic_load_explicit(&purse->shared.ceiling, memory_order_relaxed)) < 0)
        return false;
    *ret_wait_us = until_us - now_us;
    return true;
}

/*
 * What is known of keys, kept in the durable store: given back to the pools at the start, written
 * when it changes, at most about once a second, and left alone where it does not. Nothing is
 * written before all has been read, so that a store which opens late loses nothing.
 *
 * The pools are asked for what stands against a key and what is wished of it (keypool/kept.h). Of
 * wishes and weights only an operator's are kept: what rotation asks of a key it asks again.
 *
 * The control thread, on whose loop it lives.
 */
#ifndef SERVER_KEEPER_H
#define SERVER_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/loop.h"
#include "keypool/kept.h"
#include "store/store.h"

struct keeper;

/* What rotation itself has asked of a key. */
struct keeper_word {
    enum key_wish wish;
    uint32_t weight_milli;
};

struct keeper_options {
    struct loop *loop;
    struct store *store; /* outlives it */
    /* The pools, from 0; NULL behind the last. */
    struct keypool *(*pool)(void *owner, size_t at);
    /* False where rotation has nothing to do with the key. */
    bool (*rotation_says)(void *owner, struct keypool *pool, const uint8_t *identity,
                          struct keeper_word *ret_word);
    /* A key was given back what was known of it: who waits for one goes on. NULL: nobody does. */
    void (*on_effect)(void *owner, struct keypool *pool, const struct keypool_effect *effect);
    /* All was read, so many keys; err: it could not be, and is tried again. */
    void (*on_read)(void *owner, int err, size_t count);
    void *owner;
};

/* NULL without memory. Reading is begun: what has come of it may be waited for (store_await). */
struct keeper *keeper_new(const struct keeper_options *options);

/* Accepts a pointer to NULL. */
void keeper_free(struct keeper **place);

/* There is, or may be, another key: it is given what was known of it. The pools have changed. */
void keeper_look(struct keeper *keeper);

/* An order was given: it is written now. */
void keeper_hurry(struct keeper *keeper);

/* The end: what has changed is asked to be written (store_free waits for it). */
void keeper_end(struct keeper *keeper);

/* Forgets keys that no pool has, and that have not changed since that time. How many. */
size_t keeper_prune(struct keeper *keeper, uint64_t before_wall_us);

#endif

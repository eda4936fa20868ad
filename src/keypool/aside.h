/*
 * The models that a key (or an account, or a whole pool) is set aside for: a small fixed table, the
 * least recently touched goes out. Reading takes no lock: one load where nothing is set aside, else
 * a look at eight pairs of words. Writing happens on failures only, under a spin lock of a few
 * instructions. Internal to keypool/. Any thread.
 */
#ifndef KEYPOOL_ASIDE_H
#define KEYPOOL_ASIDE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum { ASIDE_MODELS = 8, ASIDE_NAME_BYTES = 80 };

enum aside_state {
    ASIDE_NONE,
    ASIDE_LIMITED,   /* refused for the rate of this model */
    ASIDE_CROWDED,   /* the provider has no capacity for it */
    ASIDE_FORBIDDEN, /* may not be used with it */
    ASIDE_MISSING,   /* there is no such model here */
    ASIDE_TESTING,   /* its time is up, and one real request is finding out */
    ASIDE_STATES,
};

struct aside_table;

/* Made at the first failure; NULL without memory. */
struct aside_table *aside_new(void);
void aside_free(struct aside_table **table);

/* The table behind the pointer, made where there is none yet; NULL without memory. */
struct aside_table *aside_ensure(_Atomic(struct aside_table *) *place);

struct aside_view {
    enum aside_state state;
    uint64_t until_us;
};

/* How it stands with that model. A table that is NULL sets nothing aside. */
struct aside_view aside_find(const struct aside_table *table, uint64_t model_hash);

/* Sets the model aside until then; never to an earlier deadline of the same or a graver state, but
 * after a test. `name` is kept for the admin API, cut at ASIDE_NAME_BYTES. */
void aside_set(struct aside_table *table, uint64_t model_hash, struct span name,
               enum aside_state state, uint64_t until_us);

/* Takes the test of a model whose time is up, for lease_us; `is_urgent`: also beside one that is
 * under way. False where there is none to take. */
bool aside_test(struct aside_table *table, uint64_t model_hash, bool is_urgent, uint64_t lease_us,
                uint64_t now_us);

/* The test went well: true where the model is free again. */
bool aside_pass(struct aside_table *table, uint64_t model_hash);

/* The test ended without a result. */
void aside_drop(struct aside_table *table, uint64_t model_hash, uint64_t now_us);

/* One that is set aside at now_us, for the admin API: start with *at = 0; false at the end. The
 * name gets a NUL. */
bool aside_next(struct aside_table *table, uint32_t *at, uint64_t now_us,
                struct aside_view *ret_view, char ret_name[ASIDE_NAME_BYTES]);

#endif

/*
 * Estimates of tokens (limits/estimate.h), one for each model of each provider that has answered:
 * shared by all workers, bounded, and as long-lived as its owner, so that a reload forgets nothing.
 * A guess reads a few words and takes no lock. What a provider counted is left by its worker in a
 * ring of its own, with no more than plain stores, and learned from by the control thread now and
 * then; what a full ring has no room for is dropped: the next exchange tells as much.
 */
#ifndef LIMITS_ESTIMATES_H
#define LIMITS_ESTIMATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "limits/estimate.h"

/* Models beyond are guessed by the weights that nothing learned has. */
enum { ESTIMATES_MAX = 512, ESTIMATES_NAME_BYTES = 96 };

/* Told by one worker and not yet learned from. */
enum { ESTIMATES_RING = 128 };

struct estimates;

/* For that many workers. NULL without memory. */
struct estimates *estimates_new(uint32_t workers);
void estimates_free(struct estimates **place);

/* A model of a provider. */
struct estimates_key {
    struct span provider, model;
    uint64_t hash; /* estimates_hash of both */
};

/* Of a provider's name and the map_hash of a model's: made once for a target that is asked often.
 */
uint64_t estimates_hash(struct span provider, uint64_t model_hash);

struct estimates_guess {
    uint64_t prompt;
    uint64_t answer; /* of one; 0: not known */
};

/* Any thread. */
struct estimates_guess estimates_guess(const struct estimates *estimates,
                                       const struct estimates_key *key,
                                       const struct estimate_text *text);

/* Whether what that worker tells now is not dropped for want of room; to be asked first, for a busy
 * worker has more to tell than is learned from. By that worker alone. */
bool estimates_has_room(const struct estimates *estimates, uint32_t worker);

/* What the provider counted: tokens of the prompt, and of one of its answers; 0: unknown. By that
 * worker alone; writes no word that another one writes. */
void estimates_tell(struct estimates *estimates, uint32_t worker, const struct estimates_key *key,
                    const struct estimate_text *text, uint64_t prompt, uint64_t answer);

/* Learns from all that was told. The control thread; without memory some of it is dropped. */
void estimates_learn(struct estimates *estimates);

/* One of them, for metrics. Names are cut. */
struct estimates_row {
    struct span provider, model; /* as long as the estimates */
    double error; /* share of the truth that nine of ten guesses were off by, or less */
    uint64_t learned;
};

/* Walks them: start with *at = 0; false at the end. The control thread. */
bool estimates_next(struct estimates *estimates, size_t *at, struct estimates_row *ret_row);

#endif

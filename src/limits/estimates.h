/*
 * Estimates of tokens (limits/estimate.h), one for each model of each provider that has answered:
 * shared by all workers, bounded, and as long-lived as its owner, so that a reload forgets nothing.
 * A guess reads a few words and takes no lock; what was counted is learned under a latch, one
 * shared write, and where another thread holds it, not at all: the next exchange tells as much. Any
 * thread.
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

struct estimates;

/* NULL without memory. */
struct estimates *estimates_new(void);
void estimates_free(struct estimates **place);

/* A model of a provider. */
struct estimates_key {
    struct span provider, model;
    uint64_t model_hash; /* map_hash of it */
};

struct estimates_guess {
    uint64_t prompt;
    uint64_t answer; /* of one; 0: not known */
};

struct estimates_guess estimates_guess(const struct estimates *estimates,
                                       const struct estimates_key *key,
                                       const struct estimate_text *text);

/* What the provider counted: tokens of the prompt, and of one of its answers; 0: unknown.
 * *shared_writes counts. Without memory nothing is learned. */
void estimates_learn(struct estimates *estimates, const struct estimates_key *key,
                     const struct estimate_text *text, uint64_t prompt, uint64_t answer,
                     uint64_t *shared_writes);

/* One of them, for metrics. Names are cut. */
struct estimates_row {
    struct span provider, model; /* as long as the estimates */
    double error; /* share of the truth that nine of ten guesses were off by, or less */
    uint64_t learned;
};

/* Walks them: start with *at = 0; false at the end. */
bool estimates_next(struct estimates *estimates, size_t *at, struct estimates_row *ret_row);

#endif

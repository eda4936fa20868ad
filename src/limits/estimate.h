/*
 * How many tokens a prompt will be counted as, guessed from its text by kinds of characters, and
 * made better by what the provider then counted: one for each model at each provider, for
 * vocabularies differ. The guess is a sum of counts, each with a weight of its own; the weights
 * begin at what common vocabularies have, and follow by a Kalman filter over relative errors
 * (recursive least squares with weights that may drift). What is beyond belief moves them by a
 * bounded step, so that nonsense neither resets nor ruins what was learned. Pure; embedded in its
 * owner, which keeps threads apart.
 */
#ifndef LIMITS_ESTIMATE_H
#define LIMITS_ESTIMATE_H

#include <stdint.h>

#include "json/kinds.h"

/* X(symbol, weight that it begins with, and how far that may be off): tokens of one. What a
 * provider puts before every prompt is seen by nobody but it. */
#define ESTIMATE_PARTS(X)                                                                          \
    X(LETTERS, 0.035, 0.018)                                                                       \
    X(WORDS, 0.85, 0.43)                                                                           \
    X(DIGITS, 0.55, 0.28)                                                                          \
    X(MARKS, 0.45, 0.23)                                                                           \
    X(BREAKS, 1.2, 0.6)                                                                            \
    X(LATIN, 0.6, 0.3)                                                                             \
    X(WIDE, 0.85, 0.43)                                                                            \
    X(TEXTS, 4.3, 2.2)                                                                             \
    X(TOOL_BYTES, 0.22, 0.11)                                                                      \
    X(MEDIA, 800, 400)                                                                             \
    X(ONE, 3, 10)

enum estimate_part {
#define X(symbol, weight, off) ESTIMATE_##symbol,
    ESTIMATE_PARTS(X)
#undef X
        ESTIMATE_PART_COUNT
};

/* What is known of a request before it is sent. */
struct estimate_text {
    const struct json_kinds *kinds;
    uint64_t numbers;    /* tokens that are given as such: each is one */
    uint64_t tool_bytes; /* of tools as they are spelled */
    uint64_t media;      /* pictures, sounds, files */
};

/* What a guess needs of the calibration. */
struct estimate_weights {
    float parts[ESTIMATE_PART_COUNT];
    float answer; /* tokens that nine of ten answers stay below; 0: not known yet */
};

struct estimate {
    double weights[ESTIMATE_PART_COUNT];
    double spread[ESTIMATE_PART_COUNT][ESTIMATE_PART_COUNT]; /* covariance of the weights */
    double answer, error;                                    /* quantiles: nine of ten are below */
    uint64_t learned, answers;                               /* how many went into them */
};

/* Answers that are seen before their quantile is believed. */
enum { ESTIMATE_ANSWERS_MIN = 16 };

/* No prompt and no answer has more tokens. */
#define ESTIMATE_MAX_TOKENS UINT64_C(1000000000)

/* Nothing learned. */
void estimate_init(struct estimate *estimate);

/* The weights that nothing learned has. */
struct estimate_weights estimate_prior(void);

struct estimate_weights estimate_weights(const struct estimate *estimate);

/* Tokens of the prompt: 0 where there is nothing at all, never above ESTIMATE_MAX_TOKENS. */
uint64_t estimate_prompt(const struct estimate_weights *weights, const struct estimate_text *text);

/* The provider counted so many tokens in this prompt. 0 tells nothing. */
void estimate_learn(struct estimate *estimate, const struct estimate_text *text, uint64_t tokens);

/* One answer had so many. 0 tells nothing. */
void estimate_learn_answer(struct estimate *estimate, uint64_t tokens);

#endif

/*
 * What two answers to one request have in common: the one that the client got (the real one) and
 * the one that its shadow got. Here stands what counts as diverged:
 *
 *   status      one side answered and the other refused the request (a 4xx that is no matter of
 *               keys, limits or time), or was not understood
 *   finish      they ended differently (a stop sequence is a stop)
 *   calls       they call other tools, or with other arguments (compared as JSON)
 *   json        one is JSON and the other is not. Two JSON texts whose values differ are counted,
 *               and judged as texts
 *   length      one text is over four times as long as the other, and has 400 bytes or more
 *   similarity  the texts have less in common than asked for (shadow/similarity)
 *
 * Latency, tokens and cost are measured, and make no divergence. Of a request for several choices
 * the first ones are compared. Pure; any thread.
 */
#ifndef SHADOW_COMPARE_H
#define SHADOW_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "shadow/answer.h"
#include "shadow/json_same.h"
#include "shadow/similarity.h"

enum { COMPARE_LENGTH_RATIO = 4, COMPARE_LENGTH_LEAST = 400 };

/* Bits of comparison.kinds; tables/shadow.def names them. */
enum divergence {
#define DIVERGENCE(symbol, name, meaning) DIVERGENCE_##symbol,
#include "tables/shadow.def"
#undef DIVERGENCE
    DIVERGENCE_COUNT,
};

const char *divergence_name(enum divergence kind);

struct comparison {
    uint32_t kinds;            /* 1 << enum divergence each; 0: they agree */
    uint32_t similarity_milli; /* SIMILARITY_UNKNOWN: no two texts were compared */
    enum json_same json;
};

/* NULL for a side that refused the request, or was not understood. min_similarity_milli: texts with
 * less in common diverge; 0: none do. What it needs comes from the arena. 0, or ERR_NOMEM where not
 * all could be compared. */
int compare_answers(const struct shadow_answer *real, const struct shadow_answer *shadow,
                    uint32_t min_similarity_milli, struct arena *arena,
                    struct comparison *ret_comparison);

#endif

/*
 * What became of one side's requests in a migration: counts, sums, and the distributions of what
 * people compare, as buckets on a log scale (canary/latency.h), sixteen to an octave. It grows from
 * what workers have counted (migration/crossing.h), outlives restarts as text, and is what a report
 * is written from. Embedded in whoever gathers it; the control thread. Pure.
 */
#ifndef MIGRATION_SIDE_H
#define MIGRATION_SIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "canary/latency.h"

/* Each in units of which a thousand make the scale's first step: microseconds, thousandths of a
 * token, nano-dollars. So a scale reaches from 1 ms to 17 minutes, from one token to a million,
 * from a millionth of a dollar to a dollar; what lies outside stands in its last buckets. */
enum side_measure {
    SIDE_FIRST_BYTE, /* us, from sending to the first good bytes */
    SIDE_TOTAL,      /* us, from the request's head to the answer's end */
    SIDE_LENGTH,     /* thousandths of a completion token */
    SIDE_COST,       /* nano-dollars */
    SIDE_MEASURES,
};

struct side {
    uint64_t requests; /* that were judged: answered, or failed by this side's fault */
    uint64_t failures; /* by this side's fault, those that broke off later among them */
    uint64_t refused;  /* of them: 401, or 403 that blames the key */
    uint64_t broken;   /* of them: the answer had begun, and the client has seen it */
    uint64_t whole;    /* answered to the end */
    uint64_t prompt_tokens, completion_tokens;
    uint64_t cost_nano; /* of those whose price is known */
    uint64_t counts[SIDE_MEASURES][LATENCY_BUCKETS];
};

/* A quantile in the measure's unit, as the middle of its bucket; 0 where nothing was measured.
 * per_mille: 500 is the median. */
uint64_t side_quantile(const struct side *side, enum side_measure measure, unsigned per_mille);

/* How many were measured. */
uint64_t side_measured(const struct side *side, enum side_measure measure);

/* Appends it as one line of numbers without capital letters; buckets that are empty are left out. 0
 * or an error of the buffer's. */
int side_write(const struct side *side, struct buf *buf);

/* Reads what side_write wrote: 0; ERR_UNSUPPORTED (another version's), ERR_SYNTAX or ERR_RANGE,
 * with *ret_side as it was. */
int side_read(struct span text, struct side *ret_side);

#endif

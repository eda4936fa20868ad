/*
 * What a provider has told of the limits of a key, model by model, or of those of an account or an
 * organisation whose keys share them (limits/foreseen.h for each). Nothing is there, nor written,
 * where a provider tells nothing. A small table, of which the model that was not heard of for
 * longest goes out. What an attempt takes is written in one go, under a latch: a shared write; and
 * so is what an answer tells. Reading takes no lock. Internal to keypool/. Any thread.
 */
#ifndef KEYPOOL_HEARD_H
#define KEYPOOL_HEARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "dialect/limit_header.h"
#include "limits/foreseen.h"

enum { HEARD_MODELS = 8, HEARD_NAME_BYTES = 80, HEARD_WHOLE = 1 << 16 };

struct heard;       /* of one model; valid as long as its table */
struct heard_table; /* as long as its owner */

void heard_table_free(struct heard_table **table);

/* The table behind the pointer, made where there is none yet; NULL without memory. */
struct heard_table *heard_table_ensure(_Atomic(struct heard_table *) *place);

/* What was heard of that model; NULL: nothing, or there is no table. */
struct heard *heard_find(struct heard_table *table, uint64_t model_hash);

/* The model's place, taken from another where there is none, or no memory for one. `name` is kept
 * for the admin API, cut. */
struct heard *heard_claim(struct heard_table *table, uint64_t model_hash, struct span name);

/* What a request will use. */
struct heard_need {
    uint64_t tokens;       /* of prompt and answer; 0: nothing known */
    uint64_t output;       /* of these, the answer's */
    bool has_rpm, has_tpm; /* such limits are declared, and win: those told do not hold it up */
};

/* What an attempt holds. Zeroed: nothing. */
struct heard_hold {
    struct heard *heard;                        /* where it was taken */
    uint64_t model_hash;                        /* of it: the place may be another model's by now */
    struct foreseen_stamp stamps[LIMITS_KINDS]; /* where `heard` is set */
};

/* 0 where such a request would pass now with that share of each limit kept free, else how long
 * until it would. Writes nothing; heard may be NULL. */
uint64_t heard_wait_us(const struct heard *heard, struct heard_need need, uint32_t margin_ppm,
                       uint64_t now_us);

/* The share of the scarcest limit that is left after such a request, in 2^-16; all where nothing is
 * known. */
uint32_t heard_share(const struct heard *heard, struct heard_need need, uint64_t now_us);

/* Takes it: true, or false with *ret_wait_us. *shared_writes counts. */
bool heard_take(struct heard *heard, uint64_t model_hash, struct heard_need need,
                uint32_t margin_ppm, uint64_t now_us, struct heard_hold *ret_hold,
                uint64_t *ret_wait_us, uint64_t *shared_writes);

/* The attempt was never sent. True where one that had to wait would now pass. */
bool heard_give_back(struct heard_hold *hold, uint64_t now_us, uint64_t *shared_writes);

/* The attempt is over; `tokens` were used (0: unknown). As heard_give_back. */
bool heard_settle(struct heard_hold *hold, uint64_t tokens, uint64_t sent_us, uint64_t now_us,
                  uint64_t *shared_writes);

/* The answer to the request that holds this, and left at sent_us, tells. True where one that had to
 * wait would now pass. */
bool heard_note(struct heard *heard, const struct limits_told *told, const struct heard_hold *hold,
                uint64_t sent_us, uint64_t now_us);

/* One limit, for the admin API. */
struct heard_row {
    char model[HEARD_NAME_BYTES];
    enum limits_kind kind;
    uint64_t limit, remaining, reset_us;
};

/* Walks what is known: start with *at = 0; false at the end. table may be NULL. */
bool heard_next(struct heard_table *table, uint32_t *at, uint64_t now_us,
                struct heard_row *ret_row);

#endif

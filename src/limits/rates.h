/*
 * Requests and tokens a minute, of whatever has both: two buckets of GCRA (limits/gcra.h) from
 * which is taken together or not at all. Embedded in what it limits, which is shared by all
 * threads: any of them may take and give back, at one read-modify-write each; the rules are one
 * thread's.
 */
#ifndef LIMITS_RATES_H
#define LIMITS_RATES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/latch.h"
#include "limits/gcra.h"

struct rates_rules {
    uint64_t rpm;   /* 0: no limit */
    uint64_t burst; /* requests in one moment; 0: a tenth of rpm, at least 1 */
    uint64_t tpm;   /* 0: no limit; all of them may be used in one moment */
};

enum rates_what { RATES_REQUESTS, RATES_TOKENS };

struct rates {
    /* Each stands for itself, so that the rules may change under those who read. */
    _Atomic uint64_t rpm, burst, tpm;
    struct latch latch; /* who writes what follows, in one go; it is read without */
    struct gcra requests, tokens;
};

/* No rules, nothing used. */
void rates_init(struct rates *rates);

/* The rules from now on. What was used stays used, but of a limit that there is no more. */
void rates_set(struct rates *rates, const struct rates_rules *rules);

static inline bool rates_are_set(const struct rates *rates)
{
    return atomic_load_explicit(&rates->rpm, memory_order_relaxed) ||
           atomic_load_explicit(&rates->tpm, memory_order_relaxed);
}

/* What was taken, and by which rules: others may hold when it is given back. Zeroed: nothing. */
struct rates_taken {
    uint64_t rpm, tpm; /* 0: there was no such limit, and nothing was taken of it */
    uint64_t tokens;   /* with tpm */
};

/* Takes one request of so many tokens; or nothing, and *ret_wait_us is the time until it would
 * pass. Writes nothing where it plainly does not. Of one that asks for more than a minute's tokens
 * a minute's are taken: it has gone alone, and what it announced may be anything; what it used is
 * settled. */
bool rates_take(struct rates *rates, uint64_t tokens, uint64_t now_us,
                struct rates_taken *ret_taken, uint64_t *ret_wait_us);

/* What rates_take would take of so many tokens; a bound that adds up where none is set. */
uint64_t rates_cut(const struct rates *rates, uint64_t tokens);

/* What rates_take took was not wanted, after all; then nothing is taken. */
void rates_give_back(struct rates *rates, struct rates_taken *taken, uint64_t now_us);

/* What rates_take took came to so many tokens. */
void rates_settle(struct rates *rates, const struct rates_taken *taken, uint64_t used,
                  uint64_t now_us);

/* What goes before one that asks: so many requests, of so many tokens together. */
struct rates_before {
    uint64_t requests, tokens;
};

/* In how long a request of so many tokens would pass, if those before it go as soon as they can;
 * 0: now. *ret_what, written where it is not 0, is the limit for which it stands longest. What
 * others took and will not use is not foreseen; nor, where there are two limits, what is lost of
 * one while the line stands for the other. */
uint64_t rates_wait_us(const struct rates *rates, const struct rates_before *before,
                       uint64_t tokens, uint64_t now_us, enum rates_what *ret_what);

/* One limit as it stands. */
struct rates_reading {
    uint64_t limit;     /* a minute; 0: there is none */
    uint64_t remaining; /* that would pass now */
    uint64_t reset_us;  /* from now until nothing is used */
};
struct rates_reading rates_read(const struct rates *rates, enum rates_what what, uint64_t now_us);

#endif

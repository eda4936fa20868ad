/*
 * The generic cell rate algorithm (ITU-T I.371, the "virtual scheduling" form) in one atomic word:
 * the theoretical arrival time. `per_minute` units pass in a minute, evenly, and up to `burst` of
 * them at once. The word is embedded in whoever is limited, which keeps those apart who take and
 * settle (a latch); any thread may read.
 */
#ifndef LIMITS_GCRA_H
#define LIMITS_GCRA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The largest rate and burst that are told apart; more is as good as none. */
#define GCRA_MAX_UNITS (UINT64_C(1) << 40)

struct gcra {
    _Atomic uint64_t arrival_ns; /* when the bucket would be full again */
};

/* At least 1 each; more than GCRA_MAX_UNITS is cut to it. */
struct gcra_rate {
    uint64_t per_minute;
    uint64_t burst;
};

/* So many requests a minute; a burst of 0 is that of the file's default. */
static inline struct gcra_rate gcra_rate_of_requests(uint64_t rpm, uint64_t burst)
{
    if (burst == 0)
        burst = rpm >= 10 ? rpm / 10 : 1;
    return (struct gcra_rate){rpm, burst};
}

/* Tokens come in lumps of thousands: a minute's worth may be used at once. */
static inline struct gcra_rate gcra_rate_of_tokens(uint64_t tpm)
{
    return (struct gcra_rate){tpm, tpm};
}

struct gcra_verdict {
    bool is_allowed;
    uint64_t wait_us;   /* where not allowed: until the same would be; else 0 */
    uint64_t remaining; /* units that would pass now, after this */
    uint64_t reset_us;  /* from now until the whole burst is there again */
};

/* Nothing used yet. */
void gcra_init(struct gcra *gcra);

/* Takes `cost` units where they are there. A cost above the burst is treated as the burst: it
 * passes, alone, once the bucket is full; and the rest is charged all the same. */
struct gcra_verdict gcra_take(struct gcra *gcra, const struct gcra_rate *rate, uint64_t cost,
                              uint64_t now_us);

/* Whether `cost` would pass now. Quicker than gcra_peek: where plenty is left it divides nothing.
 */
bool gcra_would_pass(const struct gcra *gcra, const struct gcra_rate *rate, uint64_t cost,
                     uint64_t now_us);

/* The same verdict, with nothing taken. */
struct gcra_verdict gcra_peek(const struct gcra *gcra, const struct gcra_rate *rate, uint64_t cost,
                              uint64_t now_us);

/* In how long `cost` would pass once `before` units have gone before it, each as soon as it could;
 * 0: now. */
uint64_t gcra_wait_us(const struct gcra *gcra, const struct gcra_rate *rate, uint64_t before,
                      uint64_t cost, uint64_t now_us);

/* Corrects what was taken once the true cost is known: charges the difference (also beyond the
 * burst) or gives it back. */
void gcra_settle(struct gcra *gcra, const struct gcra_rate *rate, uint64_t taken, uint64_t actual,
                 uint64_t now_us);

#endif

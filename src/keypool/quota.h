/*
 * The limits of a key, or of an account whose keys share them: those that are declared, requests
 * and tokens in any 60 s and how many are under way, and those that are found: requests a minute by
 * trying, how many are under way by how latency follows it. Lives as long as its owner; the numbers
 * change at a reload under the feet of those who use it. All that an attempt takes, and all that it
 * gives back, is written in one go, under a latch: a shared write each. Internal to keypool/. Any
 * thread.
 */
#ifndef KEYPOOL_QUOTA_H
#define KEYPOOL_QUOTA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/latch.h"
#include "conf/config.h"
#include "limits/adaptive.h"
#include "limits/concurrency.h"
#include "limits/gradient.h"
#include "limits/reservations.h"
#include "limits/window.h"

enum { QUOTA_WHOLE = 1 << 16 };

struct quota {
    /* Declared numbers less the margin; 0: no limit. */
    _Atomic uint32_t rpm, concurrent;
    _Atomic uint64_t tpm;
    /* What `gradient` has found, 0 where it is off: here once more, as each pick reads it, and the
     * rest of it is another cache line. */
    _Atomic uint32_t found;
    struct latch latch; /* who writes what follows; it is read without */
    struct concurrency places;
    struct window requests, tokens;
    struct reservations reserved; /* of the tokens, by requests under way */
    struct adaptive adaptive;
    struct gradient gradient;
};

void quota_init(struct quota *quota);

/* NULL without memory. */
struct quota *quota_new(void);
void quota_free(struct quota **quota);

/* Sets the numbers, less a margin, each at least 1 where it is declared. */
void quota_set(struct quota *quota, const struct conf_limits *limits, uint32_t margin_ppm);

/* Whose requests were counted by `from` until now is counted by this one: what is used up of the
 * last minute stays used up. Of a quota of its own (is_whole) all goes over; one that others share
 * keeps it, and this one counts as much. Requests under way settle where they were taken. The
 * control thread. */
void quota_inherit(struct quota *quota, struct quota *from, bool is_whole, uint64_t now_us);

/* Sets, or takes away (NULL), the limits that are found. The control thread. */
void quota_adapt(struct quota *quota, const struct conf_adaptive *conf, uint64_t now_us);

/* A request that left at sent_us was refused for its rate, and its provider has said no more. True
 * where a limit is found, which this has told. */
bool quota_refuse(struct quota *quota, uint64_t sent_us, uint64_t now_us, uint64_t *shared_writes);

/* One that left at sent_us found its provider overloaded, or got no answer in time. */
void quota_overload(struct quota *quota, uint64_t sent_us, uint64_t now_us,
                    uint64_t *shared_writes);

/* How many may be under way as it was found by latency; 0: that is off. */
static inline uint32_t quota_found(const struct quota *quota)
{
    return atomic_load_explicit(&quota->found, memory_order_relaxed);
}

/* How many may be under way as it is declared or found, whichever is less; 0: no limit. */
uint32_t quota_places(const struct quota *quota);

/* Whether such limits are declared; false for NULL. */
static inline bool quota_limits_requests(const struct quota *quota)
{
    return quota && atomic_load_explicit(&quota->rpm, memory_order_relaxed);
}

static inline bool quota_limits_tokens(const struct quota *quota)
{
    return quota && atomic_load_explicit(&quota->tpm, memory_order_relaxed);
}

/* The lesser of each, where both are declared: what several keys of one account share. */
struct conf_limits quota_merge(const struct conf_limits *a, const struct conf_limits *b);
bool quota_is_declared(const struct conf_limits *limits);

enum quota_verdict {
    QUOTA_OK,
    QUOTA_REQUESTS, /* requests a minute are used up, by what is declared or found */
    QUOTA_TOKENS,   /* so many tokens do not fit now; fewer may */
    QUOTA_RESERVED, /* the same, but they will once requests under way have told what they used */
    QUOTA_PLACES,   /* as many under way as declared, or found */
};

/* What an attempt holds. */
struct quota_hold {
    struct window_stamp requests, tokens;
    bool has_place;
    bool is_adaptive; /* counts in the limit that is found by trying */
};

/* Whether anything would pass: one request of one token. Else *ret_wait_us until it would (for
 * QUOTA_RESERVED about, as requests mostly take; 0 for QUOTA_PLACES: nobody knows). Writes nothing.
 */
enum quota_verdict quota_look(const struct quota *quota, uint64_t now_us, uint64_t *ret_wait_us);

/* The same of one request of so many tokens. */
enum quota_verdict quota_look_for(const struct quota *quota, uint64_t tokens, uint64_t now_us,
                                  uint64_t *ret_wait_us);

/* Whether of each limit no more than half would be used with one request of so many tokens. Writes
 * nothing. */
bool quota_has_half(const struct quota *quota, uint64_t tokens, uint64_t now_us);

/* The share of the scarcest limit that is left, declared or found, in 2^-16; all where there is
 * none. Writes nothing. */
uint32_t quota_share(const struct quota *quota, uint64_t now_us);

/* Takes one request of `tokens`, a place with it; all or nothing. *shared_writes counts. */
enum quota_verdict quota_take(struct quota *quota, uint64_t tokens, uint64_t now_us,
                              struct quota_hold *ret_hold, uint64_t *ret_wait_us,
                              uint64_t *shared_writes);

/* The request leaves now. */
void quota_move(struct quota *quota, struct quota_hold *hold, uint64_t now_us,
                uint64_t *shared_writes);

/* Its answer has begun well. So many who wait for a place may be let in. */
uint32_t quota_note(struct quota *quota, const struct quota_hold *hold,
                    const struct gradient_sample *sample, uint64_t now_us, uint64_t *shared_writes);

/* It is over: `tokens` were used (0: the estimate stands). How many of those who may be waiting can
 * be woken, for a place or for tokens that came back; mostly 0. */
uint32_t quota_settle(struct quota *quota, struct quota_hold *hold, uint64_t tokens,
                      uint64_t now_us, uint64_t *shared_writes);

/* It was never sent: as if it had never been taken. As quota_settle. */
uint32_t quota_give_back(struct quota *quota, struct quota_hold *hold, uint64_t now_us,
                         uint64_t *shared_writes);

#endif

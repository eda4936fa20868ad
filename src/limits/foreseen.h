/*
 * One limit of a provider as its answers tell of it (limit, remaining, reset), kept going by what
 * is taken meanwhile: GCRA in one word, the time at which the whole limit would be there again.
 * Three kinds are told apart by their resets: limits that come back evenly (the buckets of OpenAI
 * and Anthropic), windows of which nothing comes back until they end, and windows that slide with
 * each request, which are paced as buckets.
 *
 * A window's end is known to lie within a span: what an answer tells is as old as its request at
 * most, and often whole seconds. The span narrows with each answer of the same window. Up to its
 * begin nothing more is let through than what remains; then one request may try, at a moment of the
 * span that moves with how such tries end; after it the whole limit is there, and the next window
 * is believed to last as long as those before, until an answer tells.
 *
 * An answer speaks of the moment in which its request arrived. What was taken after that request
 * is added, for the provider cannot have counted it; what was taken so shortly before that it may
 * have been overtaken is added as far as our own count has it. Of two answers the one counts whose
 * request left later. Nothing that a provider may say stops a limit for longer than its period: a
 * day at most for a limit of a day, else a minute.
 *
 * Embedded in whoever is limited, which keeps those apart who write (a latch); any thread may read.
 * Pure: `now` is an argument.
 */
#ifndef LIMITS_FORESEEN_H
#define LIMITS_FORESEEN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The largest limit that is told apart. */
#define FORESEEN_MAX_UNITS (UINT64_C(1) << 40)

struct foreseen {
    _Atomic uint64_t limit;      /* 0: nothing is known */
    _Atomic uint64_t period_us;  /* in which the whole limit comes back */
    _Atomic uint64_t unit_q16;   /* in which one comes back, in 2^-16 ns */
    _Atomic uint64_t part_q64;   /* of the limit that comes back in a ns, in 2^-64 */
    _Atomic uint64_t arrival_ns; /* when it would be there again */
    _Atomic uint64_t held_us;    /* the latest end of a window: until then the clock of arrival_ns
                                    stands; else 0 */
    _Atomic uint64_t since_us;   /* where it stands */
    _Atomic uint64_t fades_us;   /* until when it is believed; 0 where nothing is known */
    _Atomic uint64_t heard_us;   /* when the request left whose answer told the newest */
    _Atomic uint64_t try_us;     /* of a window that is used up: when one may try; held_us: none */
    /* Of the writers alone: */
    uint64_t taken;      /* units, ever */
    uint64_t told_taken; /* of these, those that the count no longer has by itself: a newer word of
                            the provider, or a window's end, stands for them */
    uint64_t mark_us, mark_taken, old_taken; /* how many had been taken a moment before */
    uint64_t begin_us;                       /* the earliest end of the window, as it was told */
    uint64_t longest_us, before_us; /* the longest reset of this window, and of the one before */
    uint64_t remained;              /* as it was told last */
    uint64_t known_us;              /* since when it is known */
    uint64_t way_us;                /* the shortest that an answer took */
    uint16_t lean;                  /* how early in the span one tries: from its end, in 256ths */
    uint8_t evidence;               /* answers until a window is taken for a bucket again */
    uint8_t doubts;                 /* refusals after a reset of 0 */
    uint8_t slides;                 /* ends that moved while their window ran */
    bool is_precise;                /* a reset was told in less than whole seconds */
    bool is_believed;               /* no answer has told of this window yet */
};

/* What an answer says of one limit. */
struct foreseen_told {
    uint64_t limit;     /* 0: nothing is said */
    uint64_t remaining; /* after its own request */
    uint64_t reset_us;  /* from now until the whole limit is there; 0: not told, or past */
    bool is_whole;      /* the reset is told in whole seconds */
    bool is_refused;    /* the answer refuses its request for its rate */
    uint64_t window_us; /* how long its windows last, where that is told; else 0 */
};

/* Where a request stands among those that were taken. Zeroed: it was not taken here. */
struct foreseen_stamp {
    uint64_t taken;  /* in all, with it */
    uint64_t before; /* the same without those that it may have overtaken */
    uint64_t units;
    bool is_try; /* of a window that may not have ended yet */
};

void foreseen_init(struct foreseen *foreseen);

/* False where nothing is known, or nothing was heard for long. */
bool foreseen_is_known(const struct foreseen *foreseen, uint64_t now_us);

/* 0 where so many units would pass now, with that share of the limit kept free; else the time until
 * they would. Units above the limit are cut to it, so that they pass alone. */
uint64_t foreseen_wait_us(const struct foreseen *foreseen, uint64_t units, uint32_t margin_ppm,
                          uint64_t now_us);

/* Units left now. */
uint64_t foreseen_remaining(const struct foreseen *foreseen, uint64_t now_us);

/* Until the whole limit is there. */
uint64_t foreseen_reset_us(const struct foreseen *foreseen, uint64_t now_us);

/* The share of the limit that is left after so many units, in 2^-16; all of it where nothing is
 * known. */
uint32_t foreseen_share(const struct foreseen *foreseen, uint64_t units, uint64_t now_us);

/* Takes units, whether they are there or not. */
struct foreseen_stamp foreseen_take(struct foreseen *foreseen, uint64_t units, uint64_t now_us);

/* As if they had not been taken, however long ago that was: nothing comes back of what the provider
 * has told since, which cannot have known of them, nor of a window that is over. */
void foreseen_give_back(struct foreseen *foreseen, struct foreseen_stamp *stamp, uint64_t now_us);

/* The true number is known (0: it is not). Nothing is corrected where the provider has told a newer
 * state than the request that left at sent_us. */
void foreseen_settle(struct foreseen *foreseen, struct foreseen_stamp *stamp, uint64_t actual,
                     uint64_t sent_us, uint64_t now_us);

/* An answer tells of the limit; its request was taken as the stamp says and left at sent_us. */
void foreseen_hear(struct foreseen *foreseen, const struct foreseen_told *told,
                   const struct foreseen_stamp *stamp, uint64_t sent_us, uint64_t now_us);

#endif

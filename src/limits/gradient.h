/*
 * How many may be under way at once, found by the gradient of latency: while more under way makes
 * answers no slower, there is no queue and the limit grows; where it does, it comes down to what
 * makes no queue to speak of, and a little more (its square root), so that nothing idles.
 *
 * Answers are compared with their like: each kind (gradient_kind: model, streamed or not, size of
 * the prompt) has a usual latency, and what counts is the logarithm of how far an answer is from
 * it. Of a window of answers, all sent since it began, that is averaged, and compared with the
 * base: the same without a queue. The base is measured, not remembered as the least ever seen: now
 * and then the limit dips for a window. Where answers become quicker in step with the dip, there
 * was a queue; where they do not, they are simply that slow now, and this is the new base. The same
 * is concluded from any decrease, so that a model which became slower for good is believed instead
 * of being squeezed to the least.
 *
 *     phase       a window that is full                             what else ends it
 *     FOLLOWING   moves the limit, or (each 16th) begins a dip
 *     DIPPING     judges the base; the limit is what it was, or     a refusal, a reload
 *                 dips deeper where there may be a queue still
 *
 * Before the base is sure, which it is not at first, a dip goes to half, and the limit stays there
 * while it finds a queue; where it finds none, but may have missed one by chance, it is repeated. A
 * refusal cuts the limit at once, once for all that were sent before; what was refused is
 * remembered, and approached slowly. Embedded in its owner, which keeps those apart who write (a
 * latch); any thread may read the limit. Pure.
 */
#ifndef LIMITS_GRADIENT_H
#define LIMITS_GRADIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* All zeros: off. */
struct gradient_settings {
    uint32_t initial, min, max; /* min <= initial <= max */
    uint32_t backoff_milli;     /* what a refusal leaves, in thousandths, below one */
};

enum { GRADIENT_KINDS = 16 };

/* Of answers, averaged. */
struct gradient_seen {
    double level;     /* logarithm of latency, by what is usual for each */
    double in_flight; /* 0: nothing was seen */
    double error;     /* of level, by chance: its standard deviation */
};

enum gradient_phase { GRADIENT_FOLLOWING, GRADIENT_DIPPING };

struct gradient {
    _Atomic uint32_t limit; /* as it holds now; 0: off */
    /* Under the owner's latch. */
    struct gradient_settings settings;
    enum gradient_phase phase;
    double found;   /* the limit but for a dip */
    double ceiling; /* where it was refused; 0: nowhere */
    double base;    /* level without a queue, where has_base */
    bool has_base;
    bool is_sure;                 /* a dip has shown that there was no queue at base */
    uint32_t doubts;              /* dips in a row that seemed to show it */
    bool wants_deep;              /* the last dip may have stood in a queue itself */
    int32_t streak;               /* windows in a row that made it grow; negative: shrink */
    uint32_t windows;             /* since the base was last measured */
    struct gradient_seen before;  /* the window before the dip */
    struct gradient_seen highest; /* from where it has come down since */
    uint64_t cut_us;              /* the last refusal that counted */
    struct {
        bool is_open; /* else it waits until no more are under way than the limit allows */
        uint64_t begun_us;
        uint32_t count;
        double level, squares, in_flight; /* sums */
    } window;
    double level; /* of the last few answers */
    struct {
        uint32_t tag; /* 0: free */
        uint32_t count;
        double usual; /* logarithm of latency where level is 0 */
    } kinds[GRADIENT_KINDS];
};

/* Off. */
void gradient_init(struct gradient *gradient);

/* From now on by these settings; what was found stays, within their bounds. Under the latch. */
void gradient_set(struct gradient *gradient, const struct gradient_settings *settings);

/* As many as may be under way now; 0: off. */
static inline uint32_t gradient_limit(const struct gradient *gradient)
{
    return atomic_load_explicit(&gradient->limit, memory_order_relaxed);
}

/* One number for requests whose answers take alike; never 0. */
uint32_t gradient_kind(uint64_t model_hash, bool is_streamed, uint64_t prompt_tokens);

struct gradient_sample {
    uint32_t kind;
    uint64_t sent_us;
    double log_latency; /* natural, of microseconds until the answer began */
};

/* Of an answer that began now, to be taken where no latch is held. */
struct gradient_sample gradient_sample_of(uint32_t kind, uint64_t sent_us, uint64_t now_us);

/* An answer began well, while so many were under way, with itself. By how much the limit grew: so
 * many who wait may be let in. Under the latch. */
uint32_t gradient_note(struct gradient *gradient, const struct gradient_sample *sample,
                       uint32_t in_flight, uint64_t now_us);

/* One that left at sent_us was refused, or never answered, for there were too many. True where that
 * cut the limit. Under the latch. */
bool gradient_refuse(struct gradient *gradient, uint64_t sent_us, uint64_t now_us);

#endif

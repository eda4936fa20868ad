/*
 * What the files of a bulkhead share: its body, and what is judged of it under its lock. For
 * bulkhead*.c alone.
 */
#ifndef LIMITS_BULKHEAD_INNER_H
#define LIMITS_BULKHEAD_INNER_H

#include <pthread.h>
#include <stdatomic.h>

#include "limits/bulkhead.h"
#include "limits/hold_time.h"

struct bulkhead {
    /* How many run, and above WAITING_ONE how many wait: one word, so that of one who comes to wait
     * and one who goes each sees the other. Those who wait change under the lock alone. Relaxed
     * suffices for places: nothing else is read because of it but under the lock. Who goes
     * releases, and who comes to wait acquires: one of them sees what was given back of rates. */
    _Atomic uint64_t word;
    _Atomic uint32_t limit; /* 0: there is no such class; UINT32_MAX: none is set */
    _Atomic uint32_t told;  /* in the lists below; read without the lock, too */
    struct hold_time held;  /* places, of late; a lost update is no harm */
    struct rates rates;     /* unset, as most are: one look; behind what all classes use */
    uint32_t workers;

    pthread_mutex_t lock; /* for all that follows */
    bool is_gone;
    uint32_t queue_max;
    uint64_t last_leave_us; /* since somebody is queued, or the last had its turn by the rates; 0:
                               not known */
    struct fair_queue queue;
    struct list told_of[]; /* whose wait is over, and who was not taken yet, by worker */
};

#define WAITING_ONE (UINT64_C(1) << 32)

static inline uint32_t running_of(uint64_t word)
{
    return (uint32_t)word;
}

static inline uint32_t waiting_of(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static inline uint64_t word_of(const struct bulkhead *bulkhead)
{
    return atomic_load_explicit(&bulkhead->word, memory_order_relaxed);
}

/* Whether so many may run and one more; where there is no limit, anybody. */
static inline bool has_room(const struct bulkhead *bulkhead, uint64_t word)
{
    uint32_t limit = atomic_load_explicit(&bulkhead->limit, memory_order_relaxed);

    return limit == 0 || running_of(word) < limit;
}

/* All under the lock. One that is not held would go on at once. */
bool bulkhead_is_free(const struct bulkhead *bulkhead, const struct bulkhead_ask *ask);

/* Its turn would come after its time; which it does at once where there is room and no line. */
bool bulkhead_is_late(const struct bulkhead *bulkhead, const struct bulkhead_ask *ask);

/* From one turn to the next; 0: not known. */
uint64_t bulkhead_pace_us(const struct bulkhead *bulkhead, uint64_t now_us);

/* As bulkhead_refuse, at that pace. */
struct bulkhead_refusal bulkhead_refusal(const struct bulkhead *bulkhead,
                                         const struct bulkhead_ask *ask, bool is_late,
                                         uint64_t pace);

#endif

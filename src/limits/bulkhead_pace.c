/* When a turn would come: judged by how long places were held of late, and by who goes before. */
#include "limits/bulkhead_inner.h"

/* From one turn to the next: all places are held while somebody is queued, each for the mean time.
 * That nobody has left for longer than that says that it has grown. 0: not known. */
static uint64_t pace_us(const struct bulkhead *bulkhead, uint64_t now_us)
{
    uint64_t mean_us = hold_time_us(&bulkhead->held);
    uint32_t limit = atomic_load_explicit(&bulkhead->limit, memory_order_relaxed);

    if (mean_us == 0 || limit == 0)
        return 0;
    if (bulkhead->queue.queued && bulkhead->last_leave_us &&
        now_us > bulkhead->last_leave_us + mean_us)
        mean_us = now_us - bulkhead->last_leave_us;
    return mean_us / limit + 1;
}

/* The next turn is under way: half of it is over. */
uint64_t bulkhead_wait_us(const struct bulkhead *bulkhead, struct span client, uint64_t now_us)
{
    uint64_t pace = pace_us(bulkhead, now_us);

    return fair_queue_turns_before(&bulkhead->queue, client) * pace + pace / 2;
}

/* When the first of the held ones would be let go is known to its exchange alone: where nobody
 * moves, there is nothing to tell. */
uint64_t bulkhead_excess_us(const struct bulkhead *bulkhead, struct span client, uint64_t now_us,
                            uint64_t for_us)
{
    uint64_t pace = pace_us(bulkhead, now_us), wait = bulkhead_wait_us(bulkhead, client, now_us);
    uint64_t excess = wait > for_us ? wait - for_us : 0;

    return excess > pace ? excess : pace;
}

uint64_t bulkhead_retry_us(struct bulkhead *bulkhead, struct span client, uint64_t now_us,
                           uint64_t wait_us)
{
    uint64_t retry;

    pthread_mutex_lock(&bulkhead->lock);
    retry = bulkhead_excess_us(bulkhead, client, now_us, wait_us);
    pthread_mutex_unlock(&bulkhead->lock);
    return retry;
}

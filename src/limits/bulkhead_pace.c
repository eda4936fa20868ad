/* When a turn would come: judged by how long places were held of late, by what the rates allow, and
 * by who goes before. */
#include "limits/bulkhead_inner.h"

/* From one turn to the next: all places are held while somebody is queued, each for the mean time.
 * That nobody has left for longer than that says that it has grown. 0: not known. */
uint64_t bulkhead_pace_us(const struct bulkhead *bulkhead, uint64_t now_us)
{
    uint64_t mean_us = hold_time_us(&bulkhead->held);
    uint32_t limit = atomic_load_explicit(&bulkhead->limit, memory_order_relaxed);

    if (mean_us == 0 || limit == 0)
        return 0;
    if (bulkhead->queue.queued && bulkhead->last_leave_us &&
        !has_room(bulkhead, word_of(bulkhead)) && now_us > bulkhead->last_leave_us + mean_us)
        mean_us = now_us - bulkhead->last_leave_us;
    return mean_us / limit + 1;
}

/* The next turn is under way: half of it is over. Where the line stands for a rate, places may be
 * free, and as many turns come without anybody leaving. */
static uint64_t wait_for_place_us(const struct bulkhead *bulkhead, uint64_t turns, uint64_t pace)
{
    uint32_t limit = atomic_load_explicit(&bulkhead->limit, memory_order_relaxed);
    uint32_t running = running_of(word_of(bulkhead));
    uint32_t free_places = limit > running ? limit - running : 0;

    if (!rates_are_set(&bulkhead->rates))
        return turns * pace + pace / 2;
    return turns < free_places ? 0 : (turns - free_places) * pace + pace / 2;
}

/* What goes before one that comes now: of all that is queued, the tokens of as many as have their
 * turn before it. */
static struct rates_before before(const struct bulkhead *bulkhead, uint64_t turns)
{
    const struct fair_queue *queue = &bulkhead->queue;
    double mean = queue->queued ? (double)queue->queued_weight / queue->queued : 0;
    /* They may have come while more was allowed, or nothing limited. */
    uint64_t most = rates_cut(&bulkhead->rates, UINT64_MAX);

    if (mean > (double)most)
        mean = (double)most;
    return (struct rates_before){turns, (uint64_t)(mean * (double)turns)};
}

static uint64_t wait_for_rates_us(const struct bulkhead *bulkhead, const struct bulkhead_ask *ask,
                                  uint64_t turns, enum rates_what *ret_what)
{
    struct rates_before others = before(bulkhead, turns);

    if (!rates_are_set(&bulkhead->rates))
        return 0;
    return rates_wait_us(&bulkhead->rates, &others, ask->tokens, ask->now_us, ret_what);
}

static uint64_t wait_us(const struct bulkhead *bulkhead, const struct bulkhead_ask *ask)
{
    uint64_t turns = fair_queue_turns_before(&bulkhead->queue, ask->client);
    uint64_t for_place =
        wait_for_place_us(bulkhead, turns, bulkhead_pace_us(bulkhead, ask->now_us));
    enum rates_what what;
    uint64_t for_rates = wait_for_rates_us(bulkhead, ask, turns, &what);

    return for_rates > for_place ? for_rates : for_place;
}

bool bulkhead_is_free(const struct bulkhead *bulkhead, const struct bulkhead_ask *ask)
{
    enum rates_what what;

    return bulkhead->queue.queued == 0 && has_room(bulkhead, word_of(bulkhead)) &&
           wait_for_rates_us(bulkhead, ask, 0, &what) == 0;
}

bool bulkhead_is_late(const struct bulkhead *bulkhead, const struct bulkhead_ask *ask)
{
    return !bulkhead_is_free(bulkhead, ask) && wait_us(bulkhead, ask) > ask->until_us - ask->now_us;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* What is more than one can wait, and until the next turn at least: then one more is let in. */
static uint64_t excess_us(const struct bulkhead_ask *ask, uint64_t wait, uint64_t next)
{
    uint64_t for_us = ask->until_us - ask->now_us;

    return larger(wait > for_us ? wait - for_us : 0, next);
}

/* Until the rates let the next one in line go; without a line, the one that asks. */
static uint64_t next_by_rates_us(const struct bulkhead *bulkhead, const struct bulkhead_ask *ask,
                                 enum rates_what *ret_what)
{
    const struct fair_entry *next = fair_queue_peek(&bulkhead->queue);

    return rates_wait_us(&bulkhead->rates, &(struct rates_before){0},
                         next ? next->weight : ask->tokens, ask->now_us, ret_what);
}

/* What one is told of places: as it stands in the line, and how far off that is at least. */
static uint64_t refusal_for_place(const struct bulkhead *bulkhead, const struct bulkhead_ask *ask,
                                  uint64_t turns, bool is_late, uint64_t pace,
                                  uint64_t *ret_retry_us)
{
    uint64_t wait = wait_for_place_us(bulkhead, turns, pace);
    bool is_next_told = !rates_are_set(&bulkhead->rates) || (wait && !is_late);
    uint64_t next = is_next_told ? pace : 0;

    *ret_retry_us = excess_us(ask, wait, next);
    return larger(wait, next);
}

/* When the first of the held ones would be let go is known to its exchange alone: where nobody
 * moves, there is nothing to tell. Whichever is further off is named, though either may be within
 * what one can wait: as where the queue is full, or its time was shorter than a whole wait. */
struct bulkhead_refusal bulkhead_refusal(const struct bulkhead *bulkhead,
                                         const struct bulkhead_ask *ask, bool is_late,
                                         uint64_t pace)
{
    uint64_t turns = fair_queue_turns_before(&bulkhead->queue, ask->client);
    struct bulkhead_refusal refusal = {0};
    uint64_t for_place = refusal_for_place(bulkhead, ask, turns, is_late, pace, &refusal.retry_us);
    uint64_t wait, next;

    if (!rates_are_set(&bulkhead->rates))
        return refusal;
    next = is_late ? 0 : next_by_rates_us(bulkhead, ask, &refusal.what);
    wait = wait_for_rates_us(bulkhead, ask, turns, &refusal.what);
    refusal.is_limited = larger(wait, next) > for_place;
    refusal.retry_us = larger(refusal.retry_us, excess_us(ask, wait, next));
    if (refusal.is_limited)
        refusal.reading = rates_read(&bulkhead->rates, refusal.what, ask->now_us);
    return refusal;
}

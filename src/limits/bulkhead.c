#include "limits/bulkhead.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/map.h"

enum { CLIENTS_MAX = 1 << 24, NO_WORKER = -1 };

/* Of the mean time that a place is held, what one more says. */
enum { MEAN_WEIGHT = 16 };

const struct sm_state bulkhead_state_rows[BULKHEAD_STATES] = {
    [BULKHEAD_OUTSIDE] = {"outside", "stands nowhere",
                          SM_TO(BULKHEAD_HELD) | SM_TO(BULKHEAD_QUEUED)},
    [BULKHEAD_HELD] = {"held", "held back until its moment",
                       SM_TO(BULKHEAD_QUEUED) | SM_TO(BULKHEAD_DISPLACED) |
                           SM_TO(BULKHEAD_OUTSIDE)},
    [BULKHEAD_QUEUED] = {"queued", "stands in its client's line",
                         SM_TO(BULKHEAD_GRANTED) | SM_TO(BULKHEAD_DISPLACED) |
                             SM_TO(BULKHEAD_OUTSIDE)},
    [BULKHEAD_GRANTED] = {"granted", "has a place that its worker was not told of yet",
                          SM_TO(BULKHEAD_RUNNING) | SM_TO(BULKHEAD_OUTSIDE)},
    [BULKHEAD_DISPLACED] = {"displaced",
                            "out of the full queue, of which its worker was not told yet",
                            SM_TO(BULKHEAD_OUTSIDE)},
    [BULKHEAD_RUNNING] = {"running", "runs", SM_TO(BULKHEAD_OUTSIDE)},
};

/* Those of one client: made for the first, gone with the last. */
struct bulkhead_flow {
    struct list link; /* among the flows whose turn will come; not linked where nobody is queued */
    struct list queued, held;
    uint32_t queued_count;
    uint32_t waiting_count; /* held ones included */
    struct span name;
    char text[];
};

struct bulkhead {
    /* How many run, and above WAITING_ONE how many wait: one word, so that of one who comes to wait
     * and one who goes each sees the other. Those who wait change under the lock alone. Relaxed
     * suffices: nothing else is read because of it but under the lock. */
    _Atomic uint64_t word;
    _Atomic uint32_t limit;   /* 0: none */
    _Atomic uint64_t mean_us; /* for which a place is held, of late; 0: not known. A lost update is
                                 one measurement less. */
    _Atomic uint32_t told;    /* in the lists below; read without the lock, too */
    uint32_t workers;

    pthread_mutex_t lock; /* for all that follows */
    bool is_gone;
    uint32_t queue_max;
    uint32_t queued, flow_count; /* not held; flows in turn */
    uint64_t last_leave_us;      /* since somebody waits */
    struct map flows;
    struct bulkhead_flow *longest; /* of those that came or tried to of late; NULL: not known */
    struct list turns;
    struct list told_of[]; /* whose wait is over, and who was not taken yet, by worker */
};

#define WAITING_ONE (UINT64_C(1) << 32)

static uint32_t running_of(uint64_t word)
{
    return (uint32_t)word;
}

static uint32_t waiting_of(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static uint64_t word_of(const struct bulkhead *bulkhead)
{
    return atomic_load_explicit(&bulkhead->word, memory_order_relaxed);
}

/* Whether so many may run and one more; where there is no limit, anybody. */
static bool has_room(const struct bulkhead *bulkhead, uint64_t word)
{
    uint32_t limit = atomic_load_explicit(&bulkhead->limit, memory_order_relaxed);

    return limit == 0 || running_of(word) < limit;
}

static void move(struct bulkhead_waiter *waiter, enum bulkhead_state next)
{
    bug_fatal_unless(sm_move(&waiter->state, next));
}

struct bulkhead *bulkhead_new(uint32_t workers)
{
    struct bulkhead *bulkhead =
        mem_zalloc(1, sizeof(*bulkhead) + workers * sizeof(bulkhead->told_of[0]));

    if (!bulkhead)
        return NULL;
    bug_fatal_unless(pthread_mutex_init(&bulkhead->lock, NULL) == 0);
    bulkhead->workers = workers;
    bulkhead->is_gone = true;
    map_init(&bulkhead->flows, CLIENTS_MAX);
    list_init(&bulkhead->turns);
    for (uint32_t i = 0; i < workers; i++)
        list_init(&bulkhead->told_of[i]);
    return bulkhead;
}

void bulkhead_free(struct bulkhead **place)
{
    struct bulkhead *bulkhead = *place;

    if (!bulkhead)
        return;
    bug_fatal_unless(word_of(bulkhead) == 0);
    map_fini(&bulkhead->flows);
    pthread_mutex_destroy(&bulkhead->lock);
    MEM_CLEAR(*place);
}

/* --- flows, under the lock --- */

static struct bulkhead_flow *flow_get(struct bulkhead *bulkhead, struct span name)
{
    struct bulkhead_flow *flow = map_find(&bulkhead->flows, name);

    if (flow)
        return flow;
    flow = mem_zalloc(1, sizeof(*flow) + name.len + 1);
    if (!flow)
        return NULL;
    if (name.len)
        memcpy(flow->text, name.ptr, name.len);
    flow->name = span_of(flow->text, name.len);
    list_init(&flow->link);
    list_init(&flow->queued);
    list_init(&flow->held);
    if (map_add(&bulkhead->flows, flow->name, flow)) {
        mem_free(flow);
        return NULL;
    }
    return flow;
}

static void flow_drop_empty(struct bulkhead *bulkhead, struct bulkhead_flow *flow)
{
    if (flow->waiting_count)
        return;
    if (bulkhead->longest == flow)
        bulkhead->longest = NULL;
    map_remove(&bulkhead->flows, flow->name);
    mem_free(flow);
}

static void queue(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter)
{
    struct bulkhead_flow *flow = waiter->flow;

    list_push_back(&flow->queued, &waiter->link);
    bulkhead->queued++;
    if (flow->queued_count++ == 0) {
        list_push_back(&bulkhead->turns, &flow->link);
        bulkhead->flow_count++;
    }
}

/* Its client stays where its turn is, or leaves with its last. */
static void unqueue(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter)
{
    list_remove(&waiter->link);
    bulkhead->queued--;
    if (--waiter->flow->queued_count == 0) {
        list_remove(&waiter->flow->link);
        bulkhead->flow_count--;
    }
}

/* The worker is to be told that its wait is over; by whoever calls it behind the lock. */
static void tell(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter)
{
    list_push_back(&bulkhead->told_of[waiter->worker], &waiter->link);
    atomic_fetch_add_explicit(&bulkhead->told, 1, memory_order_relaxed);
}

static void untell(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter)
{
    list_remove(&waiter->link);
    atomic_fetch_sub_explicit(&bulkhead->told, 1, memory_order_relaxed);
}

/* Waits no more: neither held nor queued. */
static void forget(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter)
{
    waiter->flow->waiting_count--;
    flow_drop_empty(bulkhead, waiter->flow);
    waiter->flow = NULL;
}

/* --- the pace, under the lock --- */

/* From one turn to the next: all places are held while somebody waits, each for the mean time. That
 * nobody has left for longer than that says that it has grown. 0: not known. */
static uint64_t pace_us(const struct bulkhead *bulkhead, uint64_t now_us)
{
    uint64_t mean_us = atomic_load_explicit(&bulkhead->mean_us, memory_order_relaxed);
    uint32_t limit = atomic_load_explicit(&bulkhead->limit, memory_order_relaxed);

    if (mean_us == 0 || limit == 0)
        return 0;
    if (waiting_of(word_of(bulkhead)) && now_us > bulkhead->last_leave_us + mean_us)
        mean_us = now_us - bulkhead->last_leave_us;
    return mean_us / limit + 1;
}

/* How many go before one that comes now: its client's own, and of each other client as many and one
 * more, if it has them. */
static uint64_t turns_before(const struct bulkhead *bulkhead, struct span client)
{
    const struct bulkhead_flow *flow = map_find(&bulkhead->flows, client);
    uint64_t own = flow ? flow->queued_count : 0, others = bulkhead->flow_count - (own > 0);
    uint64_t turns = own + others * (own + 1);

    return turns < bulkhead->queued ? turns : bulkhead->queued;
}

static uint64_t wait_us(const struct bulkhead *bulkhead, struct span client, uint64_t now_us)
{
    return (turns_before(bulkhead, client) + 1) * pace_us(bulkhead, now_us);
}

/* When the first of the held ones would be let go is known to its exchange alone: where nobody
 * moves, there is nothing to tell. */
static uint64_t retry_us(const struct bulkhead *bulkhead, struct span client, uint64_t now_us,
                         uint64_t for_us)
{
    uint64_t pace = pace_us(bulkhead, now_us), wait = wait_us(bulkhead, client, now_us);
    uint64_t excess = wait > for_us ? wait - for_us : 0;

    return excess > pace ? excess : pace;
}

uint64_t bulkhead_retry_us(struct bulkhead *bulkhead, struct span client, uint64_t now_us,
                           uint64_t for_us)
{
    uint64_t retry;

    pthread_mutex_lock(&bulkhead->lock);
    retry = retry_us(bulkhead, client, now_us, for_us);
    pthread_mutex_unlock(&bulkhead->lock);
    return retry;
}

static void note_held(struct bulkhead *bulkhead, uint64_t held_us)
{
    uint64_t mean = atomic_load_explicit(&bulkhead->mean_us, memory_order_relaxed);

    if (held_us == 0)
        held_us = 1;
    if (mean == 0)
        mean = held_us;
    else if (held_us > mean)
        mean += (held_us - mean) / MEAN_WEIGHT;
    else
        mean -= (mean - held_us) / MEAN_WEIGHT;
    atomic_store_explicit(&bulkhead->mean_us, mean, memory_order_relaxed);
}

/* --- granting --- */

/* Under the lock: the next one's worker, or NO_WORKER. */
static int64_t grant_next(struct bulkhead *bulkhead)
{
    struct bulkhead_waiter *waiter;
    struct bulkhead_flow *flow;
    uint64_t word = word_of(bulkhead);

    if (bulkhead->queued == 0)
        return NO_WORKER;
    do {
        if (!has_room(bulkhead, word))
            return NO_WORKER;
    } while (!atomic_compare_exchange_weak_explicit(&bulkhead->word, &word, word + 1 - WAITING_ONE,
                                                    memory_order_relaxed, memory_order_relaxed));
    flow = container_of(list_pop_front(&bulkhead->turns), struct bulkhead_flow, link);
    list_push_back(&bulkhead->turns, &flow->link);
    waiter = container_of(flow->queued.next, struct bulkhead_waiter, link);
    unqueue(bulkhead, waiter);
    forget(bulkhead, waiter);
    move(waiter, BULKHEAD_GRANTED);
    tell(bulkhead, waiter);
    return waiter->worker;
}

uint32_t bulkhead_grant(struct bulkhead *bulkhead, const struct bulkhead_caller *caller)
{
    uint32_t count = 0;
    int64_t worker;

    for (;; count++) {
        pthread_mutex_lock(&bulkhead->lock);
        worker = grant_next(bulkhead);
        pthread_mutex_unlock(&bulkhead->lock);
        if (worker == NO_WORKER)
            return count;
        caller->call(caller->owner, (uint32_t)worker);
    }
}

struct bulkhead_waiter *bulkhead_take(struct bulkhead *bulkhead, uint32_t worker,
                                      bool *ret_has_place)
{
    struct bulkhead_waiter *waiter = NULL;
    const struct list *told = &bulkhead->told_of[worker];

    if (atomic_load_explicit(&bulkhead->told, memory_order_relaxed) == 0)
        return NULL;
    pthread_mutex_lock(&bulkhead->lock);
    if (!list_is_empty(told)) {
        waiter = container_of(told->next, struct bulkhead_waiter, link);
        untell(bulkhead, waiter);
        *ret_has_place = waiter->state.state == BULKHEAD_GRANTED;
        move(waiter, *ret_has_place ? BULKHEAD_RUNNING : BULKHEAD_OUTSIDE);
    }
    pthread_mutex_unlock(&bulkhead->lock);
    return waiter;
}

/* --- leaving --- */

/* Under the lock: out of its place among those that wait. */
static void stop_waiting(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter)
{
    if (waiter->state.state == BULKHEAD_QUEUED)
        unqueue(bulkhead, waiter);
    else
        list_remove(&waiter->link);
    forget(bulkhead, waiter);
    atomic_fetch_sub_explicit(&bulkhead->word, WAITING_ONE, memory_order_relaxed);
}

/* --- entering --- */

/* Takes a place where there is room and nobody waits; else, with may_wait, counts as waiting. One
 * or the other by the same word, so that nobody waits for a place that is free already. */
static bool take_place(struct bulkhead *bulkhead, bool may_take, bool may_wait)
{
    uint64_t word = word_of(bulkhead), next;

    do {
        bool takes = may_take && waiting_of(word) == 0 && has_room(bulkhead, word);

        if (!takes && !may_wait)
            return false;
        next = takes ? word + 1 : word + WAITING_ONE;
    } while (!atomic_compare_exchange_weak_explicit(&bulkhead->word, &word, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    return next == word + 1;
}

enum bulkhead_verdict bulkhead_try(struct bulkhead *bulkhead)
{
    if (atomic_load_explicit(&bulkhead->limit, memory_order_relaxed) == 0)
        return BULKHEAD_FREE;
    return take_place(bulkhead, true, false) ? BULKHEAD_TAKEN : BULKHEAD_WAITS;
}

static bool is_held(const struct bulkhead_ask *ask)
{
    return ask->held_until_us > ask->now_us;
}

/* Keeps up with who has most: of those that come, and of those that try to. */
static void note_length(struct bulkhead *bulkhead, struct bulkhead_flow *flow)
{
    if (!bulkhead->longest || flow->waiting_count > bulkhead->longest->waiting_count)
        bulkhead->longest = flow;
}

static bool is_full(const struct bulkhead *bulkhead)
{
    return waiting_of(word_of(bulkhead)) >= bulkhead->queue_max;
}

/* Whether some client has more in the queue than that one would have. */
static bool may_displace(struct bulkhead *bulkhead, struct span client)
{
    struct bulkhead_flow *own = map_find(&bulkhead->flows, client);

    if (own)
        note_length(bulkhead, own);
    return bulkhead->longest &&
           bulkhead->longest->waiting_count > (own ? own->waiting_count : 0) + 1;
}

/* The last one of the client that has most; its worker. */
static uint32_t displace(struct bulkhead *bulkhead)
{
    struct bulkhead_flow *flow = bulkhead->longest;
    struct list *last = list_is_empty(&flow->held) ? flow->queued.prev : flow->held.prev;
    struct bulkhead_waiter *waiter = container_of(last, struct bulkhead_waiter, link);

    stop_waiting(bulkhead, waiter);
    move(waiter, BULKHEAD_DISPLACED);
    tell(bulkhead, waiter);
    return waiter->worker;
}

/* Whether it may wait. */
static enum bulkhead_verdict judge(struct bulkhead *bulkhead, const struct bulkhead_ask *ask)
{
    if (is_full(bulkhead) && !may_displace(bulkhead, ask->client))
        return BULKHEAD_FULL;
    if (!is_held(ask) && wait_us(bulkhead, ask->client, ask->now_us) > ask->until_us - ask->now_us)
        return BULKHEAD_LATE;
    return BULKHEAD_WAITS;
}

static enum bulkhead_verdict stand(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                                   const struct bulkhead_ask *ask)
{
    struct bulkhead_flow *flow = flow_get(bulkhead, ask->client);

    if (!flow)
        return BULKHEAD_NOMEM;
    if (waiting_of(word_of(bulkhead)) == 0)
        bulkhead->last_leave_us = ask->now_us;
    /* Somebody may have left since it was judged. */
    if (take_place(bulkhead, !is_held(ask), true)) {
        flow_drop_empty(bulkhead, flow);
        return BULKHEAD_TAKEN;
    }
    sm_init(&waiter->state, bulkhead_state_rows, BULKHEAD_OUTSIDE);
    waiter->worker = ask->worker;
    waiter->flow = flow;
    flow->waiting_count++;
    move(waiter, is_held(ask) ? BULKHEAD_HELD : BULKHEAD_QUEUED);
    if (is_held(ask))
        list_push_back(&flow->held, &waiter->link);
    else
        queue(bulkhead, waiter);
    note_length(bulkhead, flow);
    return BULKHEAD_WAITS;
}

static enum bulkhead_verdict enter(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                                   const struct bulkhead_ask *ask, int64_t *ret_displaced,
                                   uint64_t *ret_retry_us)
{
    enum bulkhead_verdict verdict;

    if (bulkhead->is_gone)
        return BULKHEAD_FREE;
    if (!is_held(ask) && take_place(bulkhead, true, false))
        return BULKHEAD_TAKEN;
    verdict = judge(bulkhead, ask);
    if (verdict != BULKHEAD_WAITS) {
        *ret_retry_us = retry_us(bulkhead, ask->client, ask->now_us, ask->until_us - ask->now_us);
        return verdict;
    }
    verdict = stand(bulkhead, waiter, ask);
    /* Not before: without memory nobody is displaced. */
    if (verdict == BULKHEAD_WAITS && waiting_of(word_of(bulkhead)) > bulkhead->queue_max)
        *ret_displaced = displace(bulkhead);
    return verdict;
}

enum bulkhead_verdict bulkhead_enter(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                                     const struct bulkhead_ask *ask,
                                     const struct bulkhead_caller *caller, uint64_t *ret_retry_us)
{
    enum bulkhead_verdict verdict;
    int64_t displaced = NO_WORKER;

    bug_fatal_unless(ask->worker < bulkhead->workers);
    pthread_mutex_lock(&bulkhead->lock);
    verdict = enter(bulkhead, waiter, ask, &displaced, ret_retry_us);
    pthread_mutex_unlock(&bulkhead->lock);
    if (displaced != NO_WORKER)
        caller->call(caller->owner, (uint32_t)displaced);
    /* There may be room for those that are not held, itself among them. */
    if (verdict == BULKHEAD_WAITS)
        bulkhead_grant(bulkhead, caller);
    return verdict;
}

static void release(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter)
{
    if (waiter->state.state != BULKHEAD_HELD)
        return;
    list_remove(&waiter->link);
    move(waiter, BULKHEAD_QUEUED);
    queue(bulkhead, waiter);
}

void bulkhead_release(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                      const struct bulkhead_caller *caller)
{
    pthread_mutex_lock(&bulkhead->lock);
    release(bulkhead, waiter);
    pthread_mutex_unlock(&bulkhead->lock);
    bulkhead_grant(bulkhead, caller);
}

static void release_all(struct bulkhead *bulkhead)
{
    struct bulkhead_flow *flow;
    size_t at = 0;

    while ((flow = map_next(&bulkhead->flows, &at, NULL))) {
        while (!list_is_empty(&flow->held))
            release(bulkhead, container_of(flow->held.next, struct bulkhead_waiter, link));
    }
}

void bulkhead_set(struct bulkhead *bulkhead, const struct bulkhead_rules *rules)
{
    uint32_t limit = rules ? rules->concurrent : 0;

    pthread_mutex_lock(&bulkhead->lock);
    bulkhead->is_gone = !rules;
    bulkhead->queue_max = rules ? rules->queue : 0;
    /* So that those who come are counted, and the held ones have a word to stand in. */
    if (limit == 0 && rules && rules->has_windows)
        limit = UINT32_MAX;
    atomic_store_explicit(&bulkhead->limit, limit, memory_order_relaxed);
    if (!rules)
        release_all(bulkhead);
    pthread_mutex_unlock(&bulkhead->lock);
}

/* Under the lock. */
static void quit(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter)
{
    switch ((enum bulkhead_state)waiter->state.state) {
    case BULKHEAD_HELD:
    case BULKHEAD_QUEUED:
        stop_waiting(bulkhead, waiter);
        break;
    case BULKHEAD_GRANTED:
        untell(bulkhead, waiter);
        atomic_fetch_sub_explicit(&bulkhead->word, 1, memory_order_relaxed);
        break;
    case BULKHEAD_DISPLACED:
        untell(bulkhead, waiter);
        break;
    case BULKHEAD_OUTSIDE:
    case BULKHEAD_RUNNING:
    case BULKHEAD_STATES:
        return;
    }
    move(waiter, BULKHEAD_OUTSIDE);
}

void bulkhead_quit(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                   const struct bulkhead_caller *caller)
{
    if (!waiter->state.rows)
        return;
    pthread_mutex_lock(&bulkhead->lock);
    quit(bulkhead, waiter);
    pthread_mutex_unlock(&bulkhead->lock);
    bulkhead_grant(bulkhead, caller);
}

void bulkhead_leave(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter, uint64_t since_us,
                    uint64_t now_us, const struct bulkhead_caller *caller)
{
    uint64_t before;

    /* Nobody else knows of one that runs. */
    if (waiter && waiter->state.rows)
        move(waiter, BULKHEAD_OUTSIDE);
    note_held(bulkhead, now_us - since_us);
    before = atomic_fetch_sub_explicit(&bulkhead->word, 1, memory_order_relaxed);
    if (waiting_of(before) == 0)
        return;
    pthread_mutex_lock(&bulkhead->lock);
    bulkhead->last_leave_us = now_us;
    pthread_mutex_unlock(&bulkhead->lock);
    bulkhead_grant(bulkhead, caller);
}

uint32_t bulkhead_running(const struct bulkhead *bulkhead)
{
    return running_of(word_of(bulkhead));
}

uint32_t bulkhead_waiting(const struct bulkhead *bulkhead)
{
    return waiting_of(word_of(bulkhead));
}

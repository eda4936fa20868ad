#include "limits/bulkhead_inner.h"

#include "base/alloc.h"
#include "base/bug.h"

enum {
    NO_WORKER = -1,
    ALL_ARE_ASKED_US = 100000, /* thousands of one worker, some dozens a turn of its loop */
};

const struct sm_state bulkhead_state_rows[BULKHEAD_STATES] = {
    [BULKHEAD_OUTSIDE] = {"outside", "stands nowhere", SM_TO(BULKHEAD_WAITING)},
    [BULKHEAD_WAITING] = {"waiting", "stands in the queue, perhaps held there",
                          SM_TO(BULKHEAD_GRANTED) | SM_TO(BULKHEAD_DISPLACED) |
                              SM_TO(BULKHEAD_OUTSIDE)},
    [BULKHEAD_GRANTED] = {"granted", "has a place that its worker was not told of yet",
                          SM_TO(BULKHEAD_RUNNING) | SM_TO(BULKHEAD_OUTSIDE)},
    [BULKHEAD_DISPLACED] = {"displaced",
                            "out of the full queue, of which its worker was not told yet",
                            SM_TO(BULKHEAD_OUTSIDE)},
    [BULKHEAD_RUNNING] = {"running", "runs", SM_TO(BULKHEAD_OUTSIDE)},
};

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
    rates_init(&bulkhead->rates);
    fair_queue_init(&bulkhead->queue);
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
    fair_queue_fini(&bulkhead->queue);
    pthread_mutex_destroy(&bulkhead->lock);
    MEM_CLEAR(*place);
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

/* --- granting --- */

static struct bulkhead_waiter *waiter_of(struct fair_entry *entry)
{
    return container_of(entry, struct bulkhead_waiter, entry);
}

/* One more of those that wait runs, where there is room. */
static bool let_one_run(struct bulkhead *bulkhead)
{
    uint64_t word = word_of(bulkhead);

    do {
        if (!has_room(bulkhead, word))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&bulkhead->word, &word, word + 1 - WAITING_ONE,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* What a grant came to: somebody's worker is to be called, or one is to look again at that time. */
struct grant {
    int64_t worker; /* or NO_WORKER */
    uint64_t at_us; /* 0: somebody will leave, or come */
};

/* Under the lock: with the requests and tokens of the one whose turn it is. */
static bool let_one_run_by_rates(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                                 uint64_t now_us, struct grant *grant)
{
    uint64_t wait_us;

    if (!has_room(bulkhead, word_of(bulkhead)))
        return false;
    if (!rates_take(&bulkhead->rates, waiter->entry.weight, now_us, &waiter->taken, &wait_us)) {
        grant->at_us = now_us + wait_us;
        return false;
    }
    if (!let_one_run(bulkhead)) {
        rates_give_back(&bulkhead->rates, &waiter->taken, now_us);
        return false;
    }
    bulkhead->last_leave_us = now_us;
    return true;
}

/* Under the lock. */
static struct grant grant_next(struct bulkhead *bulkhead, uint64_t now_us)
{
    struct grant grant = {.worker = NO_WORKER};
    struct fair_entry *next = fair_queue_peek(&bulkhead->queue);
    struct bulkhead_waiter *waiter;
    bool runs;

    if (!next)
        return grant;
    if (rates_are_set(&bulkhead->rates))
        runs = let_one_run_by_rates(bulkhead, waiter_of(next), now_us, &grant);
    else
        runs = let_one_run(bulkhead);
    if (!runs)
        return grant;
    waiter = waiter_of(fair_queue_next(&bulkhead->queue));
    move(waiter, BULKHEAD_GRANTED);
    tell(bulkhead, waiter);
    grant.worker = waiter->worker;
    return grant;
}

uint32_t bulkhead_grant(struct bulkhead *bulkhead, const struct bulkhead_caller *caller)
{
    uint32_t count = 0;
    struct grant grant;

    for (;; count++) {
        pthread_mutex_lock(&bulkhead->lock);
        grant = grant_next(bulkhead, caller->now_us);
        pthread_mutex_unlock(&bulkhead->lock);
        if (grant.worker == NO_WORKER)
            break;
        caller->call(caller->owner, (uint32_t)grant.worker);
    }
    if (grant.at_us)
        caller->later(caller->owner, grant.at_us);
    return count;
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

bool bulkhead_claim(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter)
{
    bool is_granted;

    pthread_mutex_lock(&bulkhead->lock);
    is_granted = waiter->state.state == BULKHEAD_GRANTED;
    if (is_granted) {
        untell(bulkhead, waiter);
        move(waiter, BULKHEAD_RUNNING);
    }
    pthread_mutex_unlock(&bulkhead->lock);
    return is_granted;
}

/* --- entering --- */

/* A place, where there is one and nobody waits. */
static bool take_place(struct bulkhead *bulkhead)
{
    uint64_t word = word_of(bulkhead);

    do {
        if (waiting_of(word) || !has_room(bulkhead, word))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&bulkhead->word, &word, word + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* The rates first: a place that was taken and given back would have to be granted anew. */
static bool take_place_by_rates(struct bulkhead *bulkhead, uint64_t tokens, uint64_t now_us,
                                struct rates_taken *ret_taken)
{
    uint64_t word = word_of(bulkhead), wait_us;

    if (waiting_of(word) || !has_room(bulkhead, word) ||
        !rates_take(&bulkhead->rates, tokens, now_us, ret_taken, &wait_us))
        return false;
    if (take_place(bulkhead))
        return true;
    rates_give_back(&bulkhead->rates, ret_taken, now_us);
    return false;
}

enum bulkhead_verdict bulkhead_try(struct bulkhead *bulkhead, uint64_t tokens, uint64_t now_us,
                                   struct rates_taken *ret_taken)
{
    bool is_taken;

    if (atomic_load_explicit(&bulkhead->limit, memory_order_relaxed) == 0)
        return BULKHEAD_FREE;
    if (rates_are_set(&bulkhead->rates))
        is_taken = take_place_by_rates(bulkhead, tokens, now_us, ret_taken);
    else
        is_taken = take_place(bulkhead);
    return is_taken ? BULKHEAD_TAKEN : BULKHEAD_WAITS;
}

/* Under the lock: takes a place where it may and there is room, and is true; else counts as
 * waiting. One or the other by the same word, so that nobody waits for a place that is free
 * already. */
static bool take_or_wait(struct bulkhead *bulkhead, bool may_take)
{
    uint64_t word = word_of(bulkhead);
    bool takes;

    do {
        takes = may_take && has_room(bulkhead, word);
    } while (!atomic_compare_exchange_weak_explicit(&bulkhead->word, &word,
                                                    takes ? word + 1 : word + WAITING_ONE,
                                                    memory_order_acquire, memory_order_relaxed));
    return takes;
}

static bool take_by_rates_or_wait(struct bulkhead *bulkhead, const struct bulkhead_ask *ask,
                                  bool may_take, struct rates_taken *ret_taken)
{
    uint64_t wait_us;
    bool is_rated = may_take && rates_are_set(&bulkhead->rates), takes;

    if (is_rated)
        may_take = rates_take(&bulkhead->rates, ask->tokens, ask->now_us, ret_taken, &wait_us);
    takes = take_or_wait(bulkhead, may_take);
    if (is_rated && may_take && !takes)
        rates_give_back(&bulkhead->rates, ret_taken, ask->now_us);
    return takes;
}

static bool is_held(const struct bulkhead_ask *ask)
{
    return ask->held_until_us > ask->now_us;
}

static bool is_full(const struct bulkhead *bulkhead)
{
    return waiting_of(word_of(bulkhead)) >= bulkhead->queue_max;
}

static void count_one_less(struct bulkhead *bulkhead)
{
    atomic_fetch_sub_explicit(&bulkhead->word, WAITING_ONE, memory_order_relaxed);
}

/* Its worker. */
static uint32_t displace(struct bulkhead *bulkhead)
{
    struct bulkhead_waiter *waiter = waiter_of(fair_queue_displace(&bulkhead->queue));

    count_one_less(bulkhead);
    move(waiter, BULKHEAD_DISPLACED);
    tell(bulkhead, waiter);
    return waiter->worker;
}

/* Whether it may wait, or go on: held ones stand in nobody's way. */
static enum bulkhead_verdict judge(struct bulkhead *bulkhead, const struct bulkhead_ask *ask)
{
    if (!is_held(ask) && bulkhead_is_free(bulkhead, ask))
        return BULKHEAD_WAITS;
    if (is_full(bulkhead) && !fair_queue_may_displace(&bulkhead->queue, ask->client))
        return BULKHEAD_FULL;
    if (!is_held(ask) && bulkhead_is_late(bulkhead, ask))
        return BULKHEAD_LATE;
    return BULKHEAD_WAITS;
}

static enum bulkhead_verdict stand(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                                   const struct bulkhead_ask *ask)
{
    bool is_first = bulkhead->queue.queued == 0;

    waiter->entry.weight = rates_cut(&bulkhead->rates, ask->tokens);
    if (fair_queue_add(&bulkhead->queue, &waiter->entry, ask->client, is_held(ask)))
        return BULKHEAD_NOMEM;
    if (is_first || bulkhead->last_leave_us == 0)
        bulkhead->last_leave_us = ask->now_us;
    if (take_by_rates_or_wait(bulkhead, ask, is_first && !is_held(ask), &waiter->taken)) {
        fair_queue_remove(&bulkhead->queue, &waiter->entry);
        return BULKHEAD_TAKEN;
    }
    sm_init(&waiter->state, bulkhead_state_rows, BULKHEAD_OUTSIDE);
    waiter->worker = ask->worker;
    move(waiter, BULKHEAD_WAITING);
    return BULKHEAD_WAITS;
}

static enum bulkhead_verdict enter(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                                   const struct bulkhead_ask *ask, int64_t *ret_displaced,
                                   struct bulkhead_refusal *ret_refusal)
{
    enum bulkhead_verdict verdict;

    if (bulkhead->is_gone)
        return BULKHEAD_FREE;
    verdict = judge(bulkhead, ask);
    if (verdict != BULKHEAD_WAITS) {
        *ret_refusal = bulkhead_refusal(bulkhead, ask, verdict == BULKHEAD_LATE,
                                        bulkhead_pace_us(bulkhead, ask->now_us));
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
                                     const struct bulkhead_caller *caller,
                                     struct bulkhead_refusal *ret_refusal)
{
    enum bulkhead_verdict verdict;
    int64_t displaced = NO_WORKER;

    bug_fatal_unless(ask->worker < bulkhead->workers);
    pthread_mutex_lock(&bulkhead->lock);
    verdict = enter(bulkhead, waiter, ask, &displaced, ret_refusal);
    pthread_mutex_unlock(&bulkhead->lock);
    if (displaced != NO_WORKER)
        caller->call(caller->owner, (uint32_t)displaced);
    /* There may be room for those that are not held, itself among them; or for those before it,
     * where bulkhead_try gave back what it could not use. */
    if (verdict == BULKHEAD_WAITS ||
        (rates_are_set(&bulkhead->rates) && bulkhead_waiting(bulkhead)))
        bulkhead_grant(bulkhead, caller);
    return verdict;
}

/* --- leaving the line --- */

/* Under the lock. */
static void quit(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter, uint64_t now_us)
{
    switch ((enum bulkhead_state)waiter->state.state) {
    case BULKHEAD_WAITING:
        fair_queue_remove(&bulkhead->queue, &waiter->entry);
        count_one_less(bulkhead);
        break;
    case BULKHEAD_GRANTED:
        untell(bulkhead, waiter);
        atomic_fetch_sub_explicit(&bulkhead->word, 1, memory_order_relaxed);
        rates_give_back(&bulkhead->rates, &waiter->taken, now_us);
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

/* --- holding --- */

void bulkhead_hold(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                   const struct bulkhead_caller *caller)
{
    pthread_mutex_lock(&bulkhead->lock);
    if (waiter->state.state == BULKHEAD_WAITING && !bulkhead->is_gone)
        fair_queue_hold(&bulkhead->queue, &waiter->entry);
    pthread_mutex_unlock(&bulkhead->lock);
    /* The next one may ask for less; but what holds this one holds those behind it as well, once
     * they are asked. */
    if (rates_are_set(&bulkhead->rates))
        caller->later(caller->owner, caller->now_us + ALL_ARE_ASKED_US);
}

/* Under the lock. */
static enum bulkhead_verdict release(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                                     const struct bulkhead_ask *ask)
{
    if (waiter->state.state != BULKHEAD_WAITING || !waiter->entry.is_held)
        return BULKHEAD_WAITS;
    if (bulkhead_is_late(bulkhead, ask)) {
        quit(bulkhead, waiter, ask->now_us);
        return BULKHEAD_LATE;
    }
    if (bulkhead->queue.queued == 0)
        bulkhead->last_leave_us = ask->now_us;
    fair_queue_release(&bulkhead->queue, &waiter->entry);
    return BULKHEAD_WAITS;
}

enum bulkhead_verdict bulkhead_release(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                                       const struct bulkhead_ask *ask,
                                       const struct bulkhead_caller *caller)
{
    enum bulkhead_verdict verdict;

    pthread_mutex_lock(&bulkhead->lock);
    verdict = release(bulkhead, waiter, ask);
    pthread_mutex_unlock(&bulkhead->lock);
    if (verdict == BULKHEAD_WAITS)
        bulkhead_grant(bulkhead, caller);
    return verdict;
}

void bulkhead_set(struct bulkhead *bulkhead, const struct bulkhead_rules *rules)
{
    static const struct rates_rules none;
    uint32_t limit = rules ? rules->concurrent : 0;

    pthread_mutex_lock(&bulkhead->lock);
    bulkhead->is_gone = !rules;
    bulkhead->queue_max = rules ? rules->queue : 0;
    /* So that who runs is counted on when there is a limit, and the held ones have a word to stand
     * in. */
    if (rules && limit == 0)
        limit = UINT32_MAX;
    atomic_store_explicit(&bulkhead->limit, limit, memory_order_relaxed);
    rates_set(&bulkhead->rates, rules ? &rules->rates : &none);
    if (!rules)
        fair_queue_release_all(&bulkhead->queue);
    pthread_mutex_unlock(&bulkhead->lock);
}

/* --- leaving --- */

void bulkhead_quit(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                   const struct bulkhead_caller *caller)
{
    if (!waiter->state.rows)
        return;
    pthread_mutex_lock(&bulkhead->lock);
    quit(bulkhead, waiter, caller->now_us);
    pthread_mutex_unlock(&bulkhead->lock);
    bulkhead_grant(bulkhead, caller);
}

struct bulkhead_refusal bulkhead_refuse(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                                        const struct bulkhead_ask *ask, bool is_late,
                                        const struct bulkhead_caller *caller)
{
    struct bulkhead_refusal told;
    uint64_t pace;

    pthread_mutex_lock(&bulkhead->lock);
    /* Before it quits: it may be the only one who saw that nobody leaves any more. */
    pace = bulkhead_pace_us(bulkhead, ask->now_us);
    quit(bulkhead, waiter, ask->now_us);
    told = bulkhead_refusal(bulkhead, ask, is_late, pace);
    pthread_mutex_unlock(&bulkhead->lock);
    bulkhead_grant(bulkhead, caller);
    return told;
}

void bulkhead_settle(struct bulkhead *bulkhead, const struct rates_taken *taken, uint64_t used,
                     uint64_t now_us)
{
    rates_settle(&bulkhead->rates, taken, used, now_us);
}

void bulkhead_leave(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter, uint64_t since_us,
                    uint64_t now_us, const struct bulkhead_caller *caller)
{
    uint64_t before;

    /* Nobody else knows of one that runs. */
    if (waiter && waiter->state.rows)
        move(waiter, BULKHEAD_OUTSIDE);
    hold_time_note(&bulkhead->held, now_us - since_us);
    before = atomic_fetch_sub_explicit(&bulkhead->word, 1, memory_order_release);
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

struct rates_reading bulkhead_read(const struct bulkhead *bulkhead, enum rates_what what,
                                   uint64_t now_us)
{
    return rates_read(&bulkhead->rates, what, now_us);
}

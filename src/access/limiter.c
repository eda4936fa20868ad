#include "access/limiter.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"
#include "base/latch.h"
#include "base/map.h"
#include "limits/concurrency.h"
#include "limits/gcra.h"
#include "limits/hold_time.h"

enum { LIMITER_MAX = 1 << 20, FULL_WAIT_US = 1000000 };

struct limiter {
    /* Numbers as configured, 0: no limit; each stands for itself, so that a reload may change them
     * one by one under those who read. */
    _Atomic uint64_t rpm, burst, tpm;
    _Atomic uint32_t concurrent;
    struct latch latch; /* who writes what follows, in one go; it is read without */
    struct gcra requests, tokens;
    struct concurrency places;
    struct hold_time held; /* of a place */

    struct limiter_book *book;
    struct limiter *next_asked; /* in the book's list; under its lock, as what follows */
    struct conf_limits asked;   /* to apply when the configuration does */
    bool is_asked;
    uint32_t refs;
    enum limiter_kind kind;
    struct span id; /* kind and name */
    char text[];
};

struct limiter_book {
    pthread_mutex_t lock; /* taken when configurations come and go, never by an exchange */
    struct map by_id;
    struct limiter *asked;
};

/* ---- the book ---- */

struct limiter_book *limiter_book_new(void)
{
    struct limiter_book *book = mem_zalloc(1, sizeof(*book));

    if (!book)
        return NULL;
    map_init(&book->by_id, LIMITER_MAX);
    bug_fatal_unless(pthread_mutex_init(&book->lock, NULL) == 0);
    return book;
}

void limiter_book_free(struct limiter_book **book)
{
    if (!*book)
        return;
    bug_fatal_unless((*book)->by_id.count == 0);
    map_fini(&(*book)->by_id);
    pthread_mutex_destroy(&(*book)->lock);
    MEM_CLEAR(*book);
}

static struct limiter *limiter_new(enum limiter_kind kind, struct span name)
{
    struct limiter *limiter = mem_zalloc(1, sizeof(*limiter) + name.len + 2);

    if (!limiter)
        return NULL;
    latch_init(&limiter->latch);
    gcra_init(&limiter->requests);
    gcra_init(&limiter->tokens);
    concurrency_init(&limiter->places);
    hold_time_init(&limiter->held);
    limiter->kind = kind;
    limiter->text[0] = kind == LIMITER_CLIENT ? 'c' : 'm';
    memcpy(limiter->text + 1, name.ptr, name.len);
    limiter->id = span_of(limiter->text, name.len + 1);
    return limiter;
}

static void set_numbers(struct limiter *limiter, const struct conf_limits *limits)
{
    atomic_store_explicit(&limiter->rpm, limits->rpm, memory_order_relaxed);
    atomic_store_explicit(&limiter->burst, limits->burst, memory_order_relaxed);
    atomic_store_explicit(&limiter->tpm, limits->tpm, memory_order_relaxed);
    atomic_store_explicit(&limiter->concurrent, limits->concurrent, memory_order_relaxed);
}

/* Under the book's lock. */
static void ask_for(struct limiter *limiter, const struct conf_limits *limits)
{
    limiter->asked = *limits;
    if (limiter->is_asked)
        return;
    limiter->is_asked = true;
    limiter->next_asked = limiter->book->asked;
    limiter->book->asked = limiter;
}

/* Under the book's lock. */
static void ask_no_more(struct limiter *limiter)
{
    struct limiter **place = &limiter->book->asked;

    if (!limiter->is_asked)
        return;
    while (*place != limiter)
        place = &(*place)->next_asked;
    *place = limiter->next_asked;
    limiter->is_asked = false;
}

void limiter_book_commit(struct limiter_book *book, bool is_refused)
{
    pthread_mutex_lock(&book->lock);
    while (book->asked) {
        struct limiter *limiter = book->asked;

        if (!is_refused)
            set_numbers(limiter, &limiter->asked);
        ask_no_more(limiter);
    }
    pthread_mutex_unlock(&book->lock);
}

int limiter_book_get(struct limiter_book *book, enum limiter_kind kind, struct span name,
                     const struct conf_limits *limits, struct limiter **ret_limiter)
{
    struct limiter *fresh, *limiter;
    int err = 0;

    *ret_limiter = NULL;
    if (!limits->rpm && !limits->tpm && !limits->concurrent)
        return 0;
    fresh = limiter_new(kind, name);
    if (!fresh)
        return ERR_NOMEM;
    pthread_mutex_lock(&book->lock);
    limiter = map_find(&book->by_id, fresh->id);
    if (!limiter) {
        err = map_add(&book->by_id, fresh->id, fresh);
        if (!err) {
            limiter = fresh;
            limiter->book = book;
            set_numbers(limiter, limits);
            fresh = NULL;
        }
    } else {
        ask_for(limiter, limits);
    }
    if (!err) {
        limiter->refs++;
        *ret_limiter = limiter;
    }
    pthread_mutex_unlock(&book->lock);
    mem_free(fresh);
    return err;
}

void limiter_unref(struct limiter **place)
{
    struct limiter *limiter = *place;
    struct limiter_book *book;
    bool is_last;

    *place = NULL;
    if (!limiter)
        return;
    book = limiter->book;
    pthread_mutex_lock(&book->lock);
    is_last = --limiter->refs == 0;
    if (is_last) {
        ask_no_more(limiter);
        map_remove(&book->by_id, limiter->id);
    }
    pthread_mutex_unlock(&book->lock);
    if (is_last)
        mem_free(limiter);
}

/* ---- one limiter ---- */

static uint64_t number(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static struct gcra_rate request_rate(const struct limiter *limiter)
{
    return gcra_rate_of_requests(number(&limiter->rpm), number(&limiter->burst));
}

static struct gcra_rate token_rate(const struct limiter *limiter)
{
    return gcra_rate_of_tokens(number(&limiter->tpm));
}

/* What one limiter is asked, and what it said. */
struct asking {
    struct limiter *limiter;
    uint64_t tokens;
    uint64_t now_us;
    /* Its numbers as they are now; 0: no limit. */
    struct gcra_rate request_rate, token_rate;
    uint32_t concurrent;

    bool has_place;
    uint32_t shared_writes;
    struct gcra_verdict requests, tokens_left;
    enum limiter_what refused;
    uint64_t wait_us;
};

/* A model's limit is for all who use it: of one that announces more than a minute's, a minute's are
 * taken, or it could shut them all out for as long as it likes. What it used is settled. */
static uint64_t most_of(const struct limiter *limiter, const struct gcra_rate *rate,
                        uint64_t tokens)
{
    if (limiter->kind != LIMITER_MODEL || !rate->per_minute || tokens <= rate->burst)
        return tokens;
    return rate->burst;
}

/* One by one: to clear and copy the whole would be half of what an admission costs. The verdicts
 * are written where their rates are asked. */
static void begin_asking(struct asking *asking, struct limiter *limiter, uint64_t tokens,
                         uint64_t now_us)
{
    asking->limiter = limiter;
    asking->tokens = tokens;
    asking->now_us = now_us;
    asking->request_rate.per_minute = asking->token_rate.per_minute = 0;
    asking->concurrent = 0;
    asking->has_place = false;
    asking->shared_writes = 0;
    asking->refused = LIMITER_NONE;
    asking->wait_us = 0;
    if (!limiter)
        return;
    asking->request_rate = request_rate(limiter);
    asking->token_rate = token_rate(limiter);
    asking->tokens = most_of(limiter, &asking->token_rate, tokens);
    asking->concurrent = atomic_load_explicit(&limiter->concurrent, memory_order_relaxed);
}

static void enter(struct limiter *limiter, uint32_t *shared_writes)
{
    latch_take(&limiter->latch);
    ++*shared_writes;
}

static bool refuse(struct asking *asking, enum limiter_what what, uint64_t wait_us)
{
    asking->refused = what;
    asking->wait_us = wait_us;
    return false;
}

static bool is_full(const struct asking *asking)
{
    return asking->concurrent && concurrency_used(&asking->limiter->places) >= asking->concurrent;
}

/* All places are held, each for the mean time: so soon the first of them is free. Before one has
 * ever been given back, nobody knows. */
static bool refuse_full(struct asking *asking)
{
    uint64_t mean_us = hold_time_us(&asking->limiter->held);
    uint64_t wait_us = mean_us ? mean_us / asking->concurrent + 1 : FULL_WAIT_US;

    return refuse(asking, LIMITER_CONCURRENT, wait_us);
}

/* Whether that rate refuses, with its verdict. */
static bool is_over(const struct gcra *gcra, const struct gcra_rate *rate, uint64_t cost,
                    uint64_t now_us, struct gcra_verdict *ret_verdict)
{
    if (!rate->per_minute || gcra_would_pass(gcra, rate, cost, now_us))
        return false;
    /* Something may have come back in between. */
    *ret_verdict = gcra_peek(gcra, rate, cost, now_us);
    return !ret_verdict->is_allowed;
}

/* Without the latch: who is plainly refused writes nothing, so that a client far beyond its rate
 * does not have the workers pass its line around. */
static bool look(struct asking *asking)
{
    const struct limiter *limiter = asking->limiter;

    if (is_full(asking))
        return refuse_full(asking);
    if (is_over(&limiter->requests, &asking->request_rate, 1, asking->now_us, &asking->requests))
        return refuse(asking, LIMITER_REQUESTS, asking->requests.wait_us);
    if (is_over(&limiter->tokens, &asking->token_rate, asking->tokens, asking->now_us,
                &asking->tokens_left))
        return refuse(asking, LIMITER_TOKENS, asking->tokens_left.wait_us);
    return true;
}

/* Under the latch: all of it or nothing. Others may have been quicker since the look. */
static bool take_all(struct asking *asking)
{
    struct limiter *limiter = asking->limiter;
    const struct gcra_rate *requests = &asking->request_rate, *tokens = &asking->token_rate;

    if (is_full(asking))
        return refuse_full(asking);
    if (requests->per_minute) {
        asking->requests = gcra_take(&limiter->requests, requests, 1, asking->now_us);
        if (!asking->requests.is_allowed)
            return refuse(asking, LIMITER_REQUESTS, asking->requests.wait_us);
    }
    if (tokens->per_minute) {
        asking->tokens_left = gcra_take(&limiter->tokens, tokens, asking->tokens, asking->now_us);
        if (!asking->tokens_left.is_allowed) {
            if (requests->per_minute)
                gcra_settle(&limiter->requests, requests, 1, 0, asking->now_us);
            return refuse(asking, LIMITER_TOKENS, asking->tokens_left.wait_us);
        }
    }
    if (asking->concurrent)
        asking->has_place = concurrency_enter(&limiter->places, asking->concurrent);
    return true;
}

static bool take(struct asking *asking)
{
    bool is_taken;

    enter(asking->limiter, &asking->shared_writes);
    is_taken = take_all(asking);
    latch_give(&asking->limiter->latch);
    return is_taken;
}

/* What was taken before somebody else refused. */
static void give_back(struct asking *asking)
{
    struct limiter *limiter = asking->limiter;

    enter(limiter, &asking->shared_writes);
    if (asking->token_rate.per_minute)
        gcra_settle(&limiter->tokens, &asking->token_rate, asking->tokens, 0, asking->now_us);
    if (asking->request_rate.per_minute)
        gcra_settle(&limiter->requests, &asking->request_rate, 1, 0, asking->now_us);
    if (asking->has_place)
        concurrency_leave(&limiter->places, UINT32_MAX);
    latch_give(&limiter->latch);
}

/* ---- readings ---- */

static struct limiter_reading read_requests(const struct limiter *limiter,
                                            const struct gcra_verdict *verdict)
{
    return (struct limiter_reading){LIMITER_REQUESTS, limiter->kind, number(&limiter->rpm),
                                    verdict->remaining, verdict->reset_us};
}

static struct limiter_reading read_tokens(const struct limiter *limiter,
                                          const struct gcra_verdict *verdict)
{
    return (struct limiter_reading){LIMITER_TOKENS, limiter->kind, number(&limiter->tpm),
                                    verdict->remaining, verdict->reset_us};
}

static struct limiter_reading read_refusal(const struct asking *asking)
{
    const struct limiter *limiter = asking->limiter;

    switch (asking->refused) {
    case LIMITER_REQUESTS:
        return read_requests(limiter, &asking->requests);
    case LIMITER_TOKENS:
        return read_tokens(limiter, &asking->tokens_left);
    case LIMITER_CONCURRENT:
    case LIMITER_NONE:
        break;
    }
    return (struct limiter_reading){
        LIMITER_CONCURRENT, limiter->kind,
        atomic_load_explicit(&limiter->concurrent, memory_order_relaxed), 0, asking->wait_us};
}

/* Keeps the reading of which the smaller share is left. */
static void keep_nearer(struct limiter_reading *nearest, double *share,
                        struct limiter_reading reading, uint64_t whole)
{
    double mine = whole ? (double)reading.remaining / (double)whole : 0;

    if (nearest->what != LIMITER_NONE && mine >= *share)
        return;
    *nearest = reading;
    *share = mine;
}

static struct limiter_reading find_nearest(const struct asking *askings, int count)
{
    struct limiter_reading nearest = {.what = LIMITER_NONE};
    double share = 0;

    for (int i = 0; i < count; i++) {
        const struct asking *asking = &askings[i];

        if (asking->request_rate.per_minute)
            keep_nearer(&nearest, &share, read_requests(asking->limiter, &asking->requests),
                        asking->request_rate.burst);
        if (asking->token_rate.per_minute)
            keep_nearer(&nearest, &share, read_tokens(asking->limiter, &asking->tokens_left),
                        asking->token_rate.burst);
    }
    return nearest;
}

/* ---- admission ---- */

/* Takes from both, or from neither; then who refuses, else NULL. */
static const struct asking *take_both(struct asking *client, struct asking *model)
{
    if (client->limiter && !look(client))
        return client;
    if (model->limiter && !look(model))
        return model;
    if (client->limiter && !take(client))
        return client;
    if (!model->limiter || take(model))
        return NULL;
    if (client->limiter)
        give_back(client);
    return model;
}

struct admission_verdict admission_begin(struct admission *admission, struct limiter *client,
                                         struct limiter *model, uint64_t tokens, uint64_t now_us)
{
    /* Without an estimate one token is asked for: who is in debt waits all the same. */
    uint64_t cost = tokens ? tokens : 1;
    struct asking askings[2];
    const struct asking *refused;

    begin_asking(&askings[0], client, cost, now_us);
    begin_asking(&askings[1], model, cost, now_us);
    refused = take_both(&askings[0], &askings[1]);
    *admission =
        (struct admission){.shared_writes = askings[0].shared_writes + askings[1].shared_writes};
    if (refused)
        return (struct admission_verdict){.wait_us = refused->wait_us,
                                          .nearest = read_refusal(refused)};
    admission->limiters[0] = client;
    admission->limiters[1] = model;
    admission->tokens = cost;
    admission->taken[0] = askings[0].tokens;
    admission->taken[1] = askings[1].tokens;
    admission->since_us = now_us;
    admission->has_place[0] = askings[0].has_place;
    admission->has_place[1] = askings[1].has_place;
    return (struct admission_verdict){.is_admitted = true, .nearest = find_nearest(askings, 2)};
}

/* One limiter hears that an exchange is over. */
static void settle(const struct admission *admission, int which, uint64_t tokens, uint64_t now_us,
                   uint32_t *shared_writes)
{
    struct limiter *limiter = admission->limiters[which];
    struct gcra_rate rate = token_rate(limiter);
    bool differs = rate.per_minute && tokens && tokens != admission->taken[which];
    bool has_place = admission->has_place[which];

    if (!differs && !has_place)
        return;
    enter(limiter, shared_writes);
    if (differs)
        gcra_settle(&limiter->tokens, &rate, admission->taken[which], tokens, now_us);
    if (has_place) {
        concurrency_leave(&limiter->places, UINT32_MAX);
        hold_time_note(&limiter->held, now_us - admission->since_us);
    }
    latch_give(&limiter->latch);
}

bool admission_counts_tokens(const struct admission *admission)
{
    for (int i = 0; i < 2; i++) {
        const struct limiter *limiter = admission->limiters[i];

        if (limiter && number(&limiter->tpm))
            return true;
    }
    return false;
}

void admission_end(struct admission *admission, uint64_t tokens, uint64_t now_us)
{
    uint32_t shared_writes = admission->shared_writes;

    for (int i = 0; i < 2; i++) {
        if (admission->limiters[i])
            settle(admission, i, tokens, now_us, &shared_writes);
    }
    *admission = (struct admission){.shared_writes = shared_writes};
}

void admission_cancel(struct admission *admission, uint64_t now_us)
{
    uint32_t shared_writes = admission->shared_writes;

    for (int i = 0; i < 2; i++) {
        struct asking asking;

        if (!admission->limiters[i])
            continue;
        begin_asking(&asking, admission->limiters[i], admission->tokens, now_us);
        asking.tokens = admission->taken[i];
        asking.has_place = admission->has_place[i];
        give_back(&asking);
        shared_writes += asking.shared_writes;
    }
    *admission = (struct admission){.shared_writes = shared_writes};
}

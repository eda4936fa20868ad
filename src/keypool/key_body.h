/*
 * The inside of a key: for the files of keypool/ alone. Blocks by who writes them: `shared` words
 * by any thread, atomically; `control` under the pool's probe_lock (all its writers but one, the
 * report of a 401, are the control thread, which may read without it); the rest is written once.
 */
#ifndef KEYPOOL_KEY_BODY_H
#define KEYPOOL_KEY_BODY_H

#include <stdatomic.h>

#include "base/heap.h"
#include "base/latch.h"
#include "conf/config.h"
#include "keypool/account.h"
#include "keypool/aside.h"
#include "keypool/health.h"
#include "keypool/heard.h"
#include "keypool/key.h"
#include "keypool/model_quota.h"
#include "keypool/quota.h"
#include "limits/breaker.h"

struct keypool;

/* An organisation as a provider names it in its answers: its keys share their limits, and nothing
 * else. It lives as long as the pool. */
struct organisation {
    _Atomic(struct heard_table *) heard;
    struct organisation *next; /* under the pool's lock */
    size_t len;
    char name[];
};

enum { KEY_LINE_BYTES = 64 };

/* What one worker counts of a key: one writer, any reader, on cache lines of its own. */
struct key_local {
    _Alignas(KEY_LINE_BYTES) _Atomic uint64_t requests;
    _Atomic uint64_t errors;
    _Atomic uint64_t last_used_us;
    _Atomic uint64_t last_success_us;
    _Atomic uint64_t spent_nanousd;
    _Atomic uint64_t tokens; /* as far as they are known */
    _Atomic uint32_t in_flight;
    struct tally good;       /* for the breaker's share */
    _Atomic uint64_t faults; /* errors for which the key may be to blame */
};

/* What the file calls a key. Never changed; a renamed key gets another label and keeps the old ones
 * until it is freed, as somebody may still be printing them. */
struct key_label {
    struct key_label *next;
    struct span name, account;
    struct conf_strings models;
    int32_t priority;
};

struct key {
    /* First what each pick looks at. */
    uint32_t place; /* its index wherever keys are counted; unique while it lives */
    enum credential_kind credential;
    bool is_nameless;           /* stands for "no key" */
    bool has_tokens;            /* its line is in `shared`, and comes and goes */
    struct secret *header_line; /* of a key that is a secret */
    struct key_local *locals;   /* one a worker */

    /* Why no lock: each word stands for itself, is changed by compare-and-swap or single stores,
     * and whoever acts on a stale one is told so by the next compare-and-swap. */
    struct {
        struct health health;
        _Atomic(struct aside_table *) asides; /* NULL until the first model is set aside */
        _Atomic(struct account *) account;    /* NULL: one of its own */
        _Atomic(struct heard_table *)
            heard; /* what its provider told of its limits; NULL: nothing */
        _Atomic(struct organisation *) organisation; /* that its provider named; NULL: none */
        _Atomic(struct quota *) quota;               /* its own or its account's; NULL: no limits */
        _Atomic(struct model_quotas *) model_quotas; /* the same of single models; NULL: none */
        _Atomic uint64_t expires_us;                 /* 0: never */
        _Atomic uint64_t rest_until_us;  /* its budget is spent until then; 0: it is not */
        _Atomic uint32_t wish;           /* enum key_wish */
        _Atomic uint32_t weight_milli;   /* 0: standby */
        _Atomic uint32_t contradictions; /* cured by probes and refused by requests, in a row */
        struct breaker breaker;
        _Atomic(const struct key_label *) label;
        _Atomic uint32_t refs;
        /* Of a key with tokens. The latch guards the pointer alone: whoever borrows the line takes
         * a reference under it, and whoever replaces the line gives the old reference back behind
         * it, so that a line lives as long as anybody sends it. The words beside it are told as
         * the others are: a pick that believed in a stale one finds a refused token, or a line
         * that was good a moment ago. */
        struct latch line_latch;
        struct secret *line;             /* under line_latch; NULL until the first token */
        _Atomic uint32_t token;          /* enum key_token, but for the time */
        _Atomic uint64_t token_until_us; /* of the one that is held */
        _Atomic bool was_known;          /* a probe has found it known, once */
        _Atomic bool is_token_doubted;   /* it replaced a refused one, and has not worked yet */
    } shared;

    struct {
        struct heap_node probe; /* in keypool.probes; its key is the time */
        uint64_t born_us;       /* when it could first be probed */
        uint64_t last_probe_us;
        uint64_t invalid_us;
        uint32_t silent; /* probes in a row */
        bool is_probing;
        bool is_listed;
        uint32_t said_milli;  /* its weight by the file, or by what is known beside it */
        uint64_t wish_us;     /* when the operator's wish came */
        uint64_t wish_number; /* the news of it */
        struct quota *own_quota;
        _Atomic(struct model_quotas *) own_model_quotas;
    } control;

    struct keypool *pool;     /* holds a reference */
    struct key_label *labels; /* all it ever had; control thread */
    uint8_t identity[CONF_IDENTITY_BYTES];
    void *locals_block;
};

static inline struct account *key_account_of(const struct key *key)
{
    return atomic_load_explicit(&key->shared.account, memory_order_acquire);
}

/* Where what its provider tells of limits stands: with the account that is declared, else with the
 * organisation that the provider names, else with the key. */
static inline _Atomic(struct heard_table *) *key_heard_place(struct key *key)
{
    struct account *account = key_account_of(key);
    struct organisation *organisation =
        atomic_load_explicit(&key->shared.organisation, memory_order_acquire);

    if (account)
        return &account->heard;
    return organisation ? &organisation->heard : &key->shared.heard;
}

/* What is known of the key's limits for that model; NULL: nothing. */
static inline struct heard *key_heard_of(struct key *key, uint64_t model_hash)
{
    return heard_find(atomic_load_explicit(key_heard_place(key), memory_order_acquire), model_hash);
}

static inline struct quota *key_quota_of(const struct key *key)
{
    return atomic_load_explicit(&key->shared.quota, memory_order_acquire);
}

static inline struct model_quotas *key_model_quotas(const struct key *key)
{
    return atomic_load_explicit(&key->shared.model_quotas, memory_order_acquire);
}

/* What is declared of the key for that model alone; NULL: nothing. */
static inline struct quota *key_quota_for(const struct key *key, uint64_t model_hash)
{
    struct model_quotas *table = key_model_quotas(key);
    struct model_quota *found = table ? model_quotas_find(table, model_hash) : NULL;

    return found ? &found->quota : NULL;
}

/* Such a request, where what its provider tells of the key's limits is asked. */
static inline struct heard_need key_need(const struct key *key, uint64_t model_hash,
                                         uint64_t tokens, uint64_t output)
{
    const struct quota *quota = key_quota_of(key), *of_model = key_quota_for(key, model_hash);

    return (struct heard_need){
        .tokens = tokens,
        .output = output,
        .has_rpm = quota_limits_requests(quota) || quota_limits_requests(of_model),
        .has_tpm = quota_limits_tokens(quota) || quota_limits_tokens(of_model),
    };
}

static inline const struct key_label *key_label_of(const struct key *key)
{
    return atomic_load_explicit(&key->shared.label, memory_order_acquire);
}

static inline struct span key_identity(const struct key *key)
{
    return span_of((const char *)key->identity, sizeof(key->identity));
}

static inline uint32_t key_weight_of(const struct key *key)
{
    return atomic_load_explicit(&key->shared.weight_milli, memory_order_relaxed);
}

/* The lines of a token take the place of those before: 0, ERR_FULL, ERR_RANGE or ERR_NOMEM, in
 * which nothing changed. The control thread's. */
int key_set_token(struct key *key, struct span token, uint64_t until_us);

/* A reference to the line of a key with tokens, for as long as the caller likes. Two writes of
 * shared words, and a third to give it back. NULL before the first. */
struct secret *key_hold_token(struct key *key);

/* The line was refused. True where that says nothing of the key: it has another token by now, or
 * gets one first, for which *ret_is_wanted is set by the first who tells. */
bool key_doubt_token(struct key *key, const struct secret *line, bool *ret_is_wanted);

/* A key out of the configuration, with one reference, listed nowhere: 0, ERR_NOMEM or ERR_FULL. */
int key_new(struct keypool *pool, const struct conf_provider *provider, const struct conf_key *conf,
            enum key_health first, uint64_t now_us, struct key **ret_key);

/* The label for what the configuration says: one that it had, or a new one, which it then owns
 * without using it yet. NULL without memory. */
struct key_label *key_label_prepare(struct key *key, const struct conf_key *conf);

#endif

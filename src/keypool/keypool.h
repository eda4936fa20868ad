/*
 * The keypool: a provider's keys and who gets which. The registry part (struct keypool) outlives
 * configurations; keypool_apply brings it to what a new one says and keeps the state of all keys
 * that are the same. Each worker picks through a view of its own (struct keypool_view), which holds
 * the candidates in order; what workers share about a key is a few atomic words. A request on a
 * healthy key without limits, declared or told of by its provider, writes none of them.
 *
 *     keypool_select        which key, or when to ask again, or that there is none
 *     keypool_sent          the request leaves now (limits count it from here; one that ends
 * without has used nothing) keypool_hear          the answer's headers tell of limits (optional)
 *     keypool_good          the first good bytes of the answer are here (once, optional)
 *     keypool_end           the attempt is over: exactly once for each grant
 *
 * Keys stand in tiers by `priority` (lower first); standby keys (weight 0) come after all others.
 * Within a tier `selection` decides: headroom takes the one with the most left of its scarcest
 * limit, and where nothing is known of limits is least_used; least_used takes the fewest under way
 * by weight, then the fewest served; round_robin takes turns; weighted takes turns in shares of the
 * weights; priority takes the first in the file; sticky takes for each session the key that it had
 * before, and is least_used where the request has no session, or its keys rest.
 *
 * A new key can be put on trial (keypool/trial.h): then it has its turns by a share of its own.
 *
 * Threads: keypool_apply and the probe and operator functions belong to the control thread; a view
 * to its worker; keypool_describe may be called by any.
 */
#ifndef KEYPOOL_KEYPOOL_H
#define KEYPOOL_KEYPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rand.h"
#include "base/secret.h"
#include "base/span.h"
#include "conf/config.h"
#include "dialect/outcome.h"
#include "keypool/endpoint_health.h"
#include "keypool/heard.h"
#include "keypool/key.h"
#include "keypool/probe_plan.h"
#include "keypool/quota.h"
#include "limits/breaker.h"

struct account;
struct keypool;
struct keypool_change;
struct keypool_view;

enum {
    KEYPOOL_MAX_KEYS = 16384,
    KEYPOOL_MAX_TRIED = 64, /* keys that one exchange may try */
};

/* No reset hint is followed for longer: what a provider says may be wrong by a day. */
#define KEYPOOL_MAX_REST_US UINT64_C(3600000000)

/* How long a test of a key may stay unanswered before the next request tests it as well. */
#define KEYPOOL_TEST_LEASE_US UINT64_C(1000000)

/* ---- the registry ---- */

/* An empty pool for that many workers. `secrets` outlives it. NULL without memory. */
struct keypool *keypool_new(struct span provider, uint32_t workers, struct secret_arena *secrets);

/* Gives up the registry's reference; every view must be gone. */
void keypool_free(struct keypool **place);

/* What is known of a key beside the file: one that was issued at run time, or one of the file's
 * that is on its way out. */
struct keypool_extra {
    struct conf_key key; /* as the file would say it, but for `weight`. Where the file has a key of
                            that identity they are one, and the file's words hold: only the identity
                            is looked at then. Without secret and credential it is only spoken of,
                            in case that the file has it */
    uint32_t weight_milli; /* in thousandths (1000: a weight of 1; 0: standby), in place of the
                              file's */
    enum key_wish wish;    /* of a key that the pool has not had: it begins so */
    bool is_gone;          /* the pool does not have it, whatever the file says: only the identity
                              is looked at */
};

struct keypool_extras {
    const struct keypool_extra *items;
    size_t count;
};

/* Brings the pool to what the configuration and the extra keys (NULL: none) say, the file's first;
 * nothing of it is borrowed afterwards. This is the way for a new configuration as well as for a
 * key that comes or goes at run time. Keys are matched by identity; one that the pool has keeps
 * health, windows, counters, the operator's wish, and (where what is said of its weight is the same
 * as before) weight. Of two extras alike the first counts. Where there are neither keys of
 * the file nor extras, the pool gets one nameless key; where all are gone it has none, and
 * keypool_select says KEYPOOL_DISABLED. 0; ERR_NOMEM or ERR_FULL (more than KEYPOOL_MAX_KEYS, or
 * secrets), in which the pool stays as it
 * was. */
int keypool_apply(struct keypool *pool, const struct conf_provider *provider,
                  const struct keypool_extras *extras, uint64_t now_us, uint64_t wall_us);

/* The same in two steps: all that can fail is made while nothing that is in use changes, and takes
 * effect (or is thrown away) later, at no risk. One change of a pool at a time; the configuration
 * and the extras must live until then. Of the first the errors of keypool_apply; the others take
 * the change. */
int keypool_prepare(struct keypool *pool, const struct conf_provider *provider,
                    const struct keypool_extras *extras, uint64_t now_us, uint64_t wall_us,
                    struct keypool_change **ret_change);
void keypool_commit(struct keypool_change **place);
void keypool_discard(struct keypool_change **place);

struct span keypool_provider(const struct keypool *pool);

/* True once a key has been validated or is used on trial, or there is no hope: for /ready. */
bool keypool_is_settled(struct keypool *pool);

/* ---- picking ---- */

/* A worker's view; `worker` is below the pool's number. `seed` spreads the workers' first picks.
 * NULL without memory. */
struct keypool_view *keypool_view_new(struct keypool *pool, uint32_t worker, uint64_t seed);

/* Every grant must have ended. */
void keypool_view_free(struct keypool_view **place);

/* Takes over what has changed, as each pick does: for a worker that has none to do. */
void keypool_view_catch_up(struct keypool_view *view, uint64_t now_us);

/* The keys that one exchange has tried at this provider. Zeroed at its start. */
struct keypool_tried {
    struct {
        const struct key *key;
        const struct keypool *pool; /* to be compared only */
        uint64_t account;           /* equal for keys of one account */
        bool is_final;
    } items[KEYPOOL_MAX_TRIED];
    uint32_t count;
};

/* Remembers a key. `is_final`: it is not to be picked again (the answer blamed it: outcome rows
 * with REMEDY_NEXT_KEY); else others are only preferred. True where its account was not yet among
 * them: this counts as a rotation. */
bool keypool_tried_add(struct keypool_tried *tried, const struct key *key, bool is_final);

/* What is asked for. Zeroed fields ask for nothing special. */
struct keypool_ask {
    struct span model;      /* upstream name; must live as long as the grant */
    uint64_t model_hash;    /* map_hash of it; 0: computed here */
    uint64_t pool;          /* map_hash of the client's pool; 0: none */
    uint64_t session;       /* evenly spread number of who asks again and again; 0: none is known */
    uint64_t tokens;        /* estimate of what the request will use */
    uint64_t tokens_out;    /* of these, the answer's */
    uint64_t wait_until_us; /* how long the exchange could wait; 0: not at all */
    const struct keypool_tried *tried;
    struct endpoint_health *endpoint;      /* where it would go; NULL: not looked at */
    struct endpoint_tally *endpoint_tally; /* this worker's, with endpoint */
    bool is_streamed;                      /* its answer begins long before it ends */
    bool is_last_endpoint;                 /* no other endpoint or target serves this */
    bool is_urgent; /* its wait is over: it need not stand behind a test that is under way */
};

/* What an attempt holds of the pool from selection to its end. Embedded in the attempt; private. */
struct keypool_grant {
    struct key *key;     /* valid until keypool_end; NULL: nothing held */
    struct secret *line; /* of a key with tokens: the one it had, with a reference */
    struct endpoint_health *endpoint;
    struct endpoint_tally *endpoint_tally;
    struct endpoint_pass endpoint_pass;
    struct breaker_pass breaker_pass;
    struct account *account;
    struct quota *quota, *model_quota; /* of all models together, and of this one */
    struct quota_hold hold, model_hold;
    struct span model; /* borrowed from the question: must live until keypool_end */
    uint64_t model_hash;
    uint64_t sent_us;              /* when its first byte left; 0: not yet */
    uint32_t alike;                /* gradient_kind, where its latency is of interest; else 0 */
    uint32_t trial;                /* the number of the trial that it counts in; 0: none */
    bool tests_key, tests_account; /* it is the one request that finds out */
    bool tests_model, tests_account_model;
    bool is_good;    /* keypool_good has been called */
    bool is_counted; /* among the key's requests */
    bool stands_in;  /* the canary lacks what this key has (keypool/trial.h) */
    struct heard_hold heard;
};

enum keypool_verdict {
    KEYPOOL_CHOSEN,
    KEYPOOL_LATER, /* none now; the first may be free at free_at_us */
    KEYPOOL_NEVER, /* none, and time alone will not bring one */
};

/* What stands in the way: of the way that is free first, where there are several. In brackets what
 * the client gets in the end. */
enum keypool_reason {
    KEYPOOL_NO_REASON,
    /* With KEYPOOL_LATER: */
    KEYPOOL_LIMITED,       /* refused for their rate (429) */
    KEYPOOL_AT_LIMIT,      /* a declared limit would be passed (429) */
    KEYPOOL_FULL,          /* requests under way hold the places, declared or found, or tokens that
                              they will mostly give back (429) */
    KEYPOOL_TESTING,       /* the first request after a rest is still under way (429) */
    KEYPOOL_COOLING,       /* failed too often, or its breaker is open (503 upstream_open) */
    KEYPOOL_VALIDATING,    /* new, not yet known (503 upstream_open) */
    KEYPOOL_ENDPOINT_OPEN, /* its breaker is open, or it refuses connections (503 upstream_open) */
    KEYPOOL_ENDPOINT_RESTING, /* our address was refused for its rate (429) */
    KEYPOOL_NO_CAPACITY,      /* the provider is out of capacity for the model (503 overloaded) */
    KEYPOOL_DEPLETED,         /* the money is used up (503 upstream_depleted) */
    KEYPOOL_FORBIDDEN,        /* known and refused (502 upstream_auth) */
    /* With KEYPOOL_NEVER: */
    KEYPOOL_INVALID,  /* all are invalid or expired (502 upstream_auth) */
    KEYPOOL_NO_MODEL, /* no key serves the model (404 model_not_found) */
    KEYPOOL_DISABLED, /* drained or disabled by the operator (503 upstream_open) */
    KEYPOOL_TRIED,    /* every usable one was tried by this exchange */
    KEYPOOL_REASONS,
};

struct keypool_choice {
    enum keypool_verdict verdict;
    enum keypool_reason reason; /* KEYPOOL_NO_REASON with CHOSEN */
    uint64_t free_at_us; /* LATER: later than now; also a change of state may come earlier, which
                            keypool_effect.wakes tells */
};

/* "limited", "at_limit", ... as logs and metrics say it. */
const char *keypool_reason_text(enum keypool_reason reason);

/* Picks a key. With KEYPOOL_CHOSEN *ret_grant, which held none before, holds it, and keypool_end
 * must follow; else it may have been cleared. Work does not grow with the number of keys but for
 * the depth of a heap. */
struct keypool_choice keypool_select(struct keypool_view *view, const struct keypool_ask *ask,
                                     uint64_t now_us, struct keypool_grant *ret_grant);

/* Whether tokens are, or may be, limited: requests of different size may then go to different keys.
 */
bool keypool_limits_tokens(const struct keypool_view *view);

/* When a request could begin that `ahead` others like it stand before, where all its keys have
 * declared requests a minute: certainly no sooner, as long as nobody gives any back. 0: unknown.
 * Looks at 16 keys, of more nothing is known. */
uint64_t keypool_supply_us(struct keypool_view *view, const struct keypool_ask *ask, uint64_t ahead,
                           uint64_t now_us);

/* Picks a key for a request that may take nothing from anybody (a shadow): the key of that name, or
 * (empty) any but the canary of a trial. True with *ret_grant as of keypool_select, where a key is
 * well and not being tested, its endpoint and its breakers are closed, and of each of its declared
 * limits no more than half would then be used; else false: there is nothing to wait for. The grant
 * counts in no trial and is told nothing of its endpoint; what came of it is to be ended without an
 * outcome. `ask`: as of keypool_select, but for `tried`, `is_last_endpoint` and the wait. */
bool keypool_select_spare(struct keypool_view *view, const struct keypool_ask *ask,
                          struct span name, uint64_t now_us, struct keypool_grant *ret_grant);

/* Picks a key for a second attempt beside one that is under way (a hedge): as keypool_select_spare
 * does, but of the keys that `tried` does not have, one of another account than theirs before any
 * other; and what becomes of the attempt is told of key and endpoint as of any. */
bool keypool_select_beside(struct keypool_view *view, const struct keypool_ask *ask,
                           uint64_t now_us, struct keypool_grant *ret_grant);

/* The header lines of the grant's credential, to be sent as they are: borrowed until keypool_end.
 * NULL for the key that stands for "no key". */
const struct secret *keypool_line(const struct keypool_grant *grant);

/* The request's first byte leaves: declared limits count it from now. */
void keypool_sent(struct keypool_view *view, struct keypool_grant *grant, uint64_t now_us);

/* What a report changed, for the thin shell around. */
struct keypool_effect {
    uint32_t
        wakes; /* how many waiting exchanges may be granted (keypool/waiting.h); UINT32_MAX: all */
    bool wants_probe;   /* the control thread should look at keypool_probe_take, and at key_token of
                           its keys, now */
    bool canary_failed; /* of the key on trial: the control thread should take what was counted
                           (keypool_trial_take) now, if its trial is not over */
    bool key_moved;     /* the key's health changed */
    bool breaker_moved, endpoint_moved;
    bool account_moved; /* the health of the key's account changed */
    bool model_moved;   /* a model that was free is set aside for the key, or its account */
    uint64_t until_us;  /* of those two, when they may be tried again; 0: the account is well */
};

/* The answer's headers tell of limits, whatever its status: from now on they count for its key, or
 * for all of its account (where one is declared, else where the provider names one). */
struct keypool_effect keypool_hear(struct keypool_view *view, const struct keypool_grant *grant,
                                   const struct limits_told *told, uint64_t now_us);

/* The answer has begun well: a test is passed, the key is healthy. The grant goes on. */
struct keypool_effect keypool_good(struct keypool_view *view, struct keypool_grant *grant,
                                   uint64_t now_us);

/* How an attempt ended. */
struct keypool_end {
    const struct outcome_row *outcome; /* NULL: nothing is known (the client left, shut down) */
    uint64_t hint_us;                  /* reset hint, from now; 0: none */
    uint64_t tokens;                   /* really used; 0: unknown, the estimate stands */
    uint64_t cost_nanousd;             /* 0: nothing, or unknown */
    bool is_elsewhere_tried; /* another region is asked next: what it answers tells whether
                                the key is to blame, or the model is crowded */
};

/* Ends the grant: gives back its place, settles its tokens, moves the key's state. What was never
 * sent (keypool_sent) has used nothing of any limit. */
struct keypool_effect keypool_end(struct keypool_view *view, struct keypool_grant *grant,
                                  const struct keypool_end *end, uint64_t now_us);

/* Whether its key's limits count tokens: declared ones, or what its provider tells. */
bool keypool_counts_tokens(const struct keypool_grant *grant);

/* Takes a grant back that was never used (no connection was there): as if it had not been. */
struct keypool_effect keypool_cancel(struct keypool_view *view, struct keypool_grant *grant,
                                     uint64_t now_us);

/* How often this view's calls have written words that workers share: for the bench. */
uint64_t keypool_view_shared_writes(const struct keypool_view *view);

/* ---- probes (control thread) ---- */

/* A key whose probe is due, with a reference, marked as under way; NULL where none is, with
 * *ret_next_us when to ask again (PROBE_NEVER: only after a keypool_effect.wants_probe). */
struct key *keypool_probe_take(struct keypool *pool, uint64_t now_us, uint64_t *ret_next_us);

/* Its result; gives the reference back. */
struct keypool_effect keypool_probe_end(struct keypool *pool, struct key **place,
                                        enum probe_result result, uint64_t now_us);

/* The probe was given up by whoever took the key, and tells nothing: as if it had not been taken.
 * Gives the reference back. */
void keypool_probe_cancel(struct keypool *pool, struct key **place, uint64_t now_us);

/* ---- tokens (control thread) ---- */

/* The key of that identity (struct conf_key), with a reference; NULL where there is none. */
struct key *keypool_find_identity(struct keypool *pool, struct span identity);

/* A token for a key that has them: what is sent from now on, until then. The first is proven by a
 * probe, as any new key is, and so is one that follows on an invalid key. 0; ERR_FULL or ERR_RANGE
 * (the arena has no room for it) or ERR_NOMEM, in which nothing changed. */
int keypool_set_token(struct keypool *pool, struct key *key, struct span token, uint64_t until_us,
                      uint64_t now_us, struct keypool_effect *ret_effect);

/* None could be had. A key that waits for one is as good as invalid until one comes; one that has a
 * token keeps it until its end. True where that changed something. */
bool keypool_miss_token(struct keypool *pool, struct key *key);

/* ---- operator and admin API ---- */

/* A key by name, with a reference; NULL where there is none. Any thread. */
struct key *keypool_find_key(struct keypool *pool, struct span name);

/* Sets the operator's wish. */
struct keypool_effect keypool_wish(struct keypool *pool, struct key *key, enum key_wish wish,
                                   uint64_t now_us);

/* How long a view may stay without a pick before it is taken not to be in the midst of one. */
#define KEYPOOL_DRAIN_GRACE_US UINT64_C(2000000)

/* True where nothing runs on the key: it is drained or disabled, no view can pick it any more, and
 * what had been picked has ended, a probe too. A drained one may be probed again; a disabled one
 * may now be revoked, and taken out of the pool (keypool_extra.is_gone). A view can pick it until
 * it has taken over the news of the wish, which it does with its next pick or
 * keypool_view_catch_up; one that does neither for KEYPOOL_DRAIN_GRACE_US is idle. The control
 * thread's. */
bool keypool_is_drained(struct keypool *pool, const struct key *key, uint64_t now_us);

/* Sets the weight, in thousandths (1000: a weight of 1; 0: standby). */
struct keypool_effect keypool_weigh(struct keypool *pool, struct key *key, uint32_t weight_milli);

/* Its budget is spent: it is as good as depleted until then (0: it is not, or no more). What runs
 * on it goes on. The control thread's. */
struct keypool_effect keypool_rest(struct keypool *pool, struct key *key, uint64_t until_us);

/* What was spent on the key in this process, in billionths of a dollar, as far as prices are known.
 * Any thread. */
uint64_t keypool_spent(const struct keypool *pool, const struct key *key);

enum { KEYPOOL_ROW_LIMITS = 96, KEYPOOL_ROW_NAME_BYTES = 96 };

/* One limit of a key as it stands: declared ones, what its provider tells of, and models set aside.
 */
struct keypool_row_limit {
    /* "rpm", "tpm", "adaptive_rpm", "concurrent"; "rpm:MODEL", "tpm:MODEL", "concurrent:MODEL"
     * where they are declared of a model; "model:NAME" of one set aside; as its provider tells of
     * them "requests:MODEL", "tokens:MODEL", "input_tokens:MODEL", "output_tokens:MODEL" */
    char scope[KEYPOOL_ROW_NAME_BYTES];
    uint64_t limit;
    uint64_t remaining;
    uint64_t reset_us; /* from now; 0: at once, or unknown */
};

/* What the admin API tells of one key. Texts are copied; times are on the clock of now_us. */
struct keypool_row {
    struct key *key; /* with a reference: key_unref */
    struct span name, account;
    const uint8_t *identity; /* CONF_IDENTITY_BYTES; borrowed from the key */
    enum key_wish wish;
    enum key_health health;
    const char *health_text; /* also "cooling" where a model of a healthy key is set aside */
    bool is_healthy;         /* it would be picked now */
    bool has_model_aside;    /* a model is cooling for it, or forbidden to it */
    enum breaker_state breaker;
    uint32_t weight_milli;
    int32_t priority;
    struct conf_strings models; /* borrowed from the key */
    uint32_t failures;          /* in a row */
    uint32_t in_flight;
    uint64_t adaptive_rpm;         /* the limit that is found by trying; 0: there is none */
    uint32_t adaptive_concurrency; /* the same of how many are under way */
    uint64_t requests, errors, tokens;
    bool has_worked; /* a probe or a request has found it good, once */
    uint64_t faults; /* errors for which the key may be to blame: what a trial counts as failures,
                        but for limits reached and money used up, which no other key mends */
    uint64_t spent_nanousd;
    uint64_t last_used_us, last_success_us; /* 0: never */
    uint64_t cooldown_until_us;             /* 0: none */
    struct keypool_row_limit limits[KEYPOOL_ROW_LIMITS];
    size_t limit_count;
};

/* Walks the keys in the order of the file: start with *at = 0; false at the end. A reload in
 * between may hide or repeat one. Any thread. */
bool keypool_describe(struct keypool *pool, size_t *at, uint64_t now_us,
                      struct keypool_row *ret_row);

/* Totals of the pool. Any thread. */
struct keypool_totals {
    size_t keys, healthy, invalid, depleted, cooling, fresh; /* fresh: new or on trial */
    uint64_t moves[KEY_HEALTH_COUNT];                        /* how often each state was entered */
    uint64_t shared_writes; /* of all views there were, up to their last keypool_end */
};

struct keypool_totals keypool_totals(struct keypool *pool, uint64_t now_us);

#endif

#include <string.h>

#include "keypool/pick.h"

/* Where it is benched, its time is up (or it is the last way): takes the test. */
static bool take_health(struct pick *pick, struct health *health, bool is_early, bool *ret_tests)
{
    struct health_view seen = health_read(health);
    const struct breaker_settings *breaker = &pick->view->roster->breaker;
    uint64_t lease_us = KEYPOOL_TEST_LEASE_US;

    if (!health_is_benched(seen.state) && seen.state != KEY_TESTING)
        return seen.state == KEY_TRIAL || seen.state == KEY_HEALTHY;
    /* Our own distrust ends by as many calls as a breaker lets through. */
    if (seen.state == KEY_COOLING && breaker->half_open_calls > 1)
        lease_us /= breaker->half_open_calls;
    *ret_tests =
        health_test(health, is_early, lease_us, pick->now_us, &pick->view->pool->shared.moves);
    pick->view->shared_writes++;
    return *ret_tests;
}

static bool take_model(struct pick *pick, _Atomic(struct aside_table *) *place, bool *ret_tests)
{
    struct aside_table *table = atomic_load_explicit(place, memory_order_acquire);

    if (aside_find(table, pick->model_hash).state == ASIDE_NONE)
        return true;
    *ret_tests = aside_test(table, pick->model_hash, pick->ask->is_urgent, KEYPOOL_TEST_LEASE_US,
                            pick->now_us);
    pick->view->shared_writes++;
    return *ret_tests;
}

static bool take_tests(struct pick *pick, struct keypool_grant *grant, bool is_early)
{
    struct key *key = grant->key;
    struct account *account = grant->account;

    return take_health(pick, &key->shared.health, is_early, &grant->tests_key) &&
           (!account || take_health(pick, &account->health, false, &grant->tests_account)) &&
           take_model(pick, &key->shared.asides, &grant->tests_model) &&
           (!account || take_model(pick, &account->asides, &grant->tests_account_model));
}

static bool take_breaker(struct pick *pick, struct keypool_grant *grant, bool is_early)
{
    bool is_in = breaker_enter(&grant->key->shared.breaker, &pick->view->roster->breaker, is_early,
                               pick->now_us, &grant->breaker_pass);

    pick->view->shared_writes += grant->breaker_pass.is_trial;
    return is_in;
}

/* A key with tokens lends the line that it has now. False where its token is no good. */
static bool take_line(struct pick *pick, struct keypool_grant *grant)
{
    if (!grant->key->has_tokens)
        return true;
    if (key_token(grant->key, pick->now_us) != KEY_TOKEN_HELD)
        return false;
    grant->line = key_hold_token(grant->key);
    pick->view->shared_writes += 2;
    return true;
}

/* ---- declared limits, of all models together and of this one, and what is told of ---- */

struct share {
    struct quota *quota; /* NULL: no limits */
    struct quota_hold *hold;
};

static enum quota_verdict take_share(struct pick *pick, struct share share, uint64_t *ret_wait_us)
{
    if (!share.quota)
        return QUOTA_OK;
    return quota_take(share.quota, pick->ask->tokens, pick->now_us, share.hold, ret_wait_us,
                      &pick->view->shared_writes);
}

static bool is_short(const struct pick *pick, struct share share)
{
    uint64_t wait_us;

    return share.quota &&
           quota_look_for(share.quota, pick->ask->tokens, pick->now_us, &wait_us) != QUOTA_OK;
}

/* Who plainly has no room is asked first, so that nothing is taken of the other: others would find
 * it gone. */
static enum quota_verdict take_declared(struct pick *pick, struct keypool_grant *grant,
                                        uint64_t *ret_wait_us)
{
    struct share all = {grant->quota, &grant->hold};
    struct share one = {grant->model_quota, &grant->model_hold};
    bool is_one_first = is_short(pick, one);
    struct share first = is_one_first ? one : all, second = is_one_first ? all : one;
    enum quota_verdict verdict = take_share(pick, first, ret_wait_us);

    if (verdict != QUOTA_OK)
        return verdict;
    verdict = take_share(pick, second, ret_wait_us);
    if (verdict != QUOTA_OK && first.quota)
        quota_give_back(first.quota, first.hold, pick->now_us, &pick->view->shared_writes);
    return verdict;
}

static void give_declared_back(struct pick *pick, struct keypool_grant *grant)
{
    uint64_t *writes = &pick->view->shared_writes;

    if (grant->quota)
        quota_give_back(grant->quota, &grant->hold, pick->now_us, writes);
    if (grant->model_quota)
        quota_give_back(grant->model_quota, &grant->model_hold, pick->now_us, writes);
}

static bool take_heard(struct pick *pick, struct keypool_grant *grant, struct heard *heard,
                       struct heard_need need, uint64_t *ret_wait_us)
{
    return heard_take(heard, pick->model_hash, need, pick->view->roster->margin_ppm, pick->now_us,
                      &grant->heard, ret_wait_us, &pick->view->shared_writes);
}

/* Declared ones, and what its provider has told of: again who plainly has no room is asked first.
 */
static enum quota_verdict take_both(struct pick *pick, struct keypool_grant *grant,
                                    struct heard *heard, struct heard_need need,
                                    uint64_t *ret_wait_us)
{
    bool is_heard_first =
        heard_wait_us(heard, need, pick->view->roster->margin_ppm, pick->now_us) != 0;
    enum quota_verdict verdict;

    if (is_heard_first && !take_heard(pick, grant, heard, need, ret_wait_us))
        return QUOTA_TOKENS;
    verdict = take_declared(pick, grant, ret_wait_us);
    if (verdict != QUOTA_OK) {
        heard_give_back(&grant->heard, pick->now_us, &pick->view->shared_writes);
        return verdict;
    }
    if (is_heard_first || take_heard(pick, grant, heard, need, ret_wait_us))
        return QUOTA_OK;
    give_declared_back(pick, grant);
    return QUOTA_TOKENS;
}

static enum quota_verdict take_limits(struct pick *pick, struct keypool_grant *grant,
                                      uint64_t *ret_wait_us)
{
    struct heard *heard = view_heard_of(pick->view, grant->key, pick->model_hash);
    struct heard_need need;

    if (!heard)
        return take_declared(pick, grant, ret_wait_us);
    need = key_need(grant->key, pick->model_hash, pick->ask->tokens, pick->ask->tokens_out);
    if (grant->quota || grant->model_quota)
        return take_both(pick, grant, heard, need, ret_wait_us);
    return take_heard(pick, grant, heard, need, ret_wait_us) ? QUOTA_OK : QUOTA_TOKENS;
}

bool keypool_counts_tokens(const struct keypool_grant *grant)
{
    return grant->key && (grant->heard.heard || quota_limits_tokens(grant->quota) ||
                          quota_limits_tokens(grant->model_quota));
}

bool keypool_limits_tokens(const struct keypool_view *view)
{
    return atomic_load_explicit(&view->pool->shared.has_heard, memory_order_relaxed) ||
           atomic_load_explicit(&view->pool->shared.has_tpm, memory_order_relaxed);
}

/* Whose latency is compared with its own; 0: nobody's is. */
static uint32_t alike(const struct pick *pick, const struct keypool_grant *grant)
{
    const struct keypool_ask *ask = pick->ask;

    if (!grant->quota || !quota_found(grant->quota))
        return 0;
    /* Regions of a provider answer each in its own time. */
    return gradient_kind(pick->model_hash ^ (uintptr_t)ask->endpoint, ask->is_streamed,
                         ask->tokens - ask->tokens_out);
}

static enum taking taking_of(enum quota_verdict verdict)
{
    switch (verdict) {
    case QUOTA_OK:
        return TAKEN;
    case QUOTA_TOKENS:
        return TOO_MANY_TOKENS;
    case QUOTA_RESERVED:
        return TOKENS_RESERVED;
    case QUOTA_REQUESTS:
    case QUOTA_PLACES:
        break;
    }
    return LOST;
}

/* All of it, or nothing: what failed is not held, and what was taken before it is given back. */
static enum taking take_all(struct pick *pick, struct keypool_grant *grant, bool is_early,
                            uint64_t *ret_wait_us)
{
    struct keypool_view *view = pick->view;
    enum quota_verdict verdict;

    if (!take_line(pick, grant))
        return LOST;
    if (!take_tests(pick, grant, is_early) || !take_breaker(pick, grant, is_early)) {
        view_drop_tests(view, grant, pick->now_us);
        secret_unref(&grant->line);
        return LOST;
    }
    verdict = take_limits(pick, grant, ret_wait_us);
    if (verdict != QUOTA_OK) {
        breaker_leave(&grant->key->shared.breaker, &view->roster->breaker, grant->breaker_pass,
                      BREAKER_NEUTRAL, 0, pick->now_us);
        view_drop_tests(view, grant, pick->now_us);
        secret_unref(&grant->line);
    }
    return taking_of(verdict);
}

_Static_assert(offsetof(struct keypool_grant, heard.stamps) +
                       sizeof(((struct heard_hold *)0)->stamps) ==
                   sizeof(struct keypool_grant),
               "nothing stands behind the stamps");

/* All but the stamps at its end, which mean something where heard.heard is set. */
static void clear(struct keypool_grant *grant)
{
    memset(grant, 0, offsetof(struct keypool_grant, heard.stamps));
}

enum taking pick_take(struct pick *pick, uint32_t place, bool is_early, uint64_t *ret_wait_us)
{
    struct key *key = pick->view->slots[place].key;
    struct keypool_grant *grant = pick->grant;
    enum taking taking;

    clear(grant);
    grant->key = key;
    grant->account = key_account_of(key);
    grant->quota = key_quota_of(key);
    grant->model_quota = key_quota_for(key, pick->model_hash);
    grant->model = pick->ask->model;
    grant->model_hash = pick->model_hash;
    taking = take_all(pick, grant, is_early, ret_wait_us);
    if (taking == TAKEN)
        grant->alike = alike(pick, grant);
    else
        clear(grant);
    return taking;
}

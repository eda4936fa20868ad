#include "keypool/view_body.h"

static const struct standing ready = {LINEUP_READY, KEYPOOL_NO_REASON, 0};

static struct standing stand(enum lineup_where where, enum keypool_reason reason, uint64_t until_us)
{
    return (struct standing){where, reason, until_us};
}

/* The graver of two; of two alike the one that lasts longer. READY < RESTING < BARRED < MISSING <
 * OUT is the order of the enum, so that RESTING means "nothing but our own distrust". */
static struct standing graver(struct standing a, struct standing b)
{
    if (a.where != b.where)
        return a.where > b.where ? a : b;
    return a.until_us >= b.until_us ? a : b;
}

static struct standing stand_by_health(struct health_view health, uint64_t now_us)
{
    bool is_over = health.until_us <= now_us;

    switch (health.state) {
    case KEY_TRIAL:
    case KEY_HEALTHY:
        return ready;
    case KEY_NEW:
        return stand(LINEUP_BARRED, KEYPOOL_VALIDATING, now_us + VIEW_GUESS_US);
    case KEY_COOLING:
        return is_over ? ready : stand(LINEUP_RESTING, KEYPOOL_COOLING, health.until_us);
    case KEY_LIMITED:
        return is_over ? ready : stand(LINEUP_BARRED, KEYPOOL_LIMITED, health.until_us);
    case KEY_FORBIDDEN:
        return is_over ? ready : stand(LINEUP_BARRED, KEYPOOL_FORBIDDEN, health.until_us);
    case KEY_DEPLETED:
        return is_over ? ready : stand(LINEUP_BARRED, KEYPOOL_DEPLETED, health.until_us);
    case KEY_TESTING:
        return is_over ? ready : stand(LINEUP_BARRED, KEYPOOL_TESTING, health.until_us);
    case KEY_INVALID:
    case KEY_HEALTH_COUNT:
        break;
    }
    return stand(LINEUP_OUT, KEYPOOL_INVALID, 0);
}

static struct standing stand_by_breaker(const struct keypool_view *view,
                                        const struct breaker *breaker, uint64_t now_us)
{
    uint64_t until_us = breaker_shut_until(breaker, &view->roster->breaker, now_us);

    if (until_us == 0)
        return ready;
    if (breaker_state(breaker, now_us) == BREAKER_OPEN)
        return stand(LINEUP_RESTING, KEYPOOL_COOLING, until_us);
    return stand(LINEUP_BARRED, KEYPOOL_TESTING, now_us + VIEW_GUESS_US);
}

static struct standing stand_by_quota(const struct quota *quota, uint64_t now_us)
{
    uint64_t wait_us = 0;

    if (!quota)
        return ready;
    switch (quota_look(quota, now_us, &wait_us)) {
    case QUOTA_OK:
        return ready;
    case QUOTA_REQUESTS:
    case QUOTA_TOKENS:
        return stand(LINEUP_BARRED, KEYPOOL_AT_LIMIT, now_us + wait_us);
    case QUOTA_RESERVED:
    case QUOTA_PLACES:
        break;
    }
    return stand(LINEUP_BARRED, KEYPOOL_FULL, now_us + VIEW_GUESS_US);
}

static struct standing stand_by_aside(struct aside_view aside, uint64_t now_us)
{
    if (aside.until_us <= now_us)
        return ready;
    switch (aside.state) {
    case ASIDE_NONE:
        return ready;
    case ASIDE_LIMITED:
        return stand(LINEUP_BARRED, KEYPOOL_LIMITED, aside.until_us);
    case ASIDE_CROWDED:
        return stand(LINEUP_BARRED, KEYPOOL_NO_CAPACITY, aside.until_us);
    case ASIDE_FORBIDDEN:
        return stand(LINEUP_BARRED, KEYPOOL_FORBIDDEN, aside.until_us);
    case ASIDE_TESTING:
        return stand(LINEUP_BARRED, KEYPOOL_TESTING, aside.until_us);
    case ASIDE_MISSING:
    case ASIDE_STATES:
        break;
    }
    return stand(LINEUP_MISSING, KEYPOOL_NO_MODEL, aside.until_us);
}

static struct standing stand_by_heard(const struct keypool_view *view, struct key *key,
                                      uint64_t model_hash, uint64_t now_us)
{
    struct heard *heard = view_heard_of(view, key, model_hash);
    uint64_t wait_us = 0;

    if (heard)
        wait_us =
            heard_wait_us(heard, key_need(key, model_hash, 1, 1), view->roster->margin_ppm, now_us);
    return wait_us ? stand(LINEUP_BARRED, KEYPOOL_AT_LIMIT, now_us + wait_us) : ready;
}

struct standing view_examine_model(const struct keypool_view *view, struct key *key,
                                   uint64_t model_hash, uint64_t now_us)
{
    const struct account *account = key_account_of(key);
    const struct aside_table *table;
    struct standing standing;

    table = atomic_load_explicit(&key->shared.asides, memory_order_acquire);
    standing = graver(stand_by_aside(aside_find(table, model_hash), now_us),
                      stand_by_heard(view, key, model_hash, now_us));
    standing = graver(standing, stand_by_quota(key_quota_for(key, model_hash), now_us));
    if (!account)
        return standing;
    table = atomic_load_explicit(&account->asides, memory_order_acquire);
    return graver(standing, stand_by_aside(aside_find(table, model_hash), now_us));
}

static struct standing stand_by_token(const struct key *key, uint64_t now_us)
{
    switch (key_token(key, now_us)) {
    case KEY_TOKEN_UNNEEDED:
    case KEY_TOKEN_HELD:
        return ready;
    case KEY_TOKEN_AWAITED:
        return stand(LINEUP_BARRED, KEYPOOL_VALIDATING, now_us + VIEW_GUESS_US);
    case KEY_TOKEN_MISSING:
        break;
    }
    return stand(LINEUP_OUT, KEYPOOL_INVALID, 0);
}

static bool sets_aside(_Atomic(struct aside_table *) const *place, uint64_t model_hash)
{
    const struct aside_table *table = atomic_load_explicit(place, memory_order_acquire);

    return table && aside_find(table, model_hash).state != ASIDE_NONE;
}

bool view_is_plain(const struct slot *slot, uint64_t model_hash, uint64_t now_us)
{
    const struct key *key = slot->key;
    const struct account *account = key_account_of(key);

    if (key_wish(key) != KEY_ENABLED || key->has_tokens || key_quota_of(key) ||
        key_quota_for(key, model_hash) ||
        atomic_load_explicit(&key->shared.expires_us, memory_order_relaxed) ||
        atomic_load_explicit(&key->shared.rest_until_us, memory_order_relaxed))
        return false;
    return health_is_well(&key->shared.health) &&
           breaker_state(&key->shared.breaker, now_us) == BREAKER_CLOSED &&
           !sets_aside(&key->shared.asides, model_hash) &&
           (!account ||
            (health_is_well(&account->health) && !sets_aside(&account->asides, model_hash)));
}

struct standing view_examine(const struct keypool_view *view, const struct slot *slot,
                             uint64_t model_hash, uint64_t now_us)
{
    struct key *key = slot->key;
    const struct account *account = key_account_of(key);
    uint64_t expires_us = atomic_load_explicit(&key->shared.expires_us, memory_order_relaxed);
    uint64_t rest_us = atomic_load_explicit(&key->shared.rest_until_us, memory_order_relaxed);
    struct standing standing;

    if (key_wish(key) != KEY_ENABLED)
        return stand(LINEUP_OUT, KEYPOOL_DISABLED, 0);
    if (expires_us && expires_us <= now_us)
        return stand(LINEUP_OUT, KEYPOOL_INVALID, 0);
    standing = stand_by_health(health_read(&key->shared.health), now_us);
    if (rest_us > now_us)
        standing = graver(standing, stand(LINEUP_BARRED, KEYPOOL_DEPLETED, rest_us));
    if (key->has_tokens)
        standing = graver(standing, stand_by_token(key, now_us));
    standing = graver(standing, stand_by_breaker(view, &key->shared.breaker, now_us));
    standing = graver(standing, stand_by_quota(key_quota_of(key), now_us));
    if (account)
        standing = graver(standing, stand_by_health(health_read(&account->health), now_us));
    if (model_hash)
        standing = graver(standing, view_examine_model(view, key, model_hash, now_us));
    return standing;
}

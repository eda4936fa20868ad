#include "keypool/kept.h"

#include <string.h>

#include "base/map.h"
#include "keypool/key_body.h"
#include "keypool/pool_body.h"

_Static_assert((int)KEPT_NAME_BYTES == (int)ASIDE_NAME_BYTES, "a name is told as it is kept");
_Static_assert((int)KEPT_MODELS >= 2 * ASIDE_MODELS, "a key's models, and its account's");

/* ---- words ---- */

static const char *const health_words[KEY_HEALTH_COUNT] = {
    [KEY_NEW] = "new",           [KEY_TRIAL] = "trial",     [KEY_HEALTHY] = "healthy",
    [KEY_COOLING] = "cooling",   [KEY_LIMITED] = "limited", [KEY_FORBIDDEN] = "forbidden",
    [KEY_DEPLETED] = "depleted", [KEY_INVALID] = "invalid", [KEY_TESTING] = "testing",
};

static const char *const aside_words[KEPT_ASIDES] = {
    [KEPT_LIMITED] = "limited", [KEPT_FORBIDDEN] = "forbidden", [KEPT_MISSING] = "missing"};

const char *kept_health_word(enum key_health health)
{
    return health_words[health];
}

const char *kept_aside_word(enum kept_aside aside)
{
    return aside_words[aside];
}

bool kept_read_health(struct span word, enum key_health *ret_health)
{
    for (int i = 0; i < KEY_HEALTH_COUNT; i++) {
        if (!span_is_equal(word, span_from_text(health_words[i])))
            continue;
        *ret_health = (enum key_health)i;
        return true;
    }
    return false;
}

bool kept_read_aside(struct span word, enum kept_aside *ret_aside)
{
    for (int i = 0; i < KEPT_ASIDES; i++) {
        if (!span_is_equal(word, span_from_text(aside_words[i])))
            continue;
        *ret_aside = (enum kept_aside)i;
        return true;
    }
    return false;
}

bool kept_read_wish(struct span word, enum key_wish *ret_wish)
{
    static const enum key_wish wishes[] = {KEY_ENABLED, KEY_DRAINED, KEY_DISABLED};

    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        if (!span_is_equal(word, span_from_text(key_wish_text(wishes[i]))))
            continue;
        *ret_wish = wishes[i];
        return true;
    }
    return false;
}

bool kept_read_breaker(struct span word, enum breaker_state *ret_state)
{
    for (int i = 0; i < BREAKER_STATES; i++) {
        if (!span_is_equal(word, span_from_text(breaker_state_text((enum breaker_state)i))))
            continue;
        *ret_state = (enum breaker_state)i;
        return true;
    }
    return false;
}

/* ---- telling ---- */

uint64_t keypool_changes(const struct keypool *pool)
{
    uint64_t sum = atomic_load_explicit(&pool->shared.generation, memory_order_acquire) +
                   atomic_load_explicit(&pool->shared.news_count, memory_order_acquire);

    /* Whatever a worker changes of a key it has written a shared word for. */
    for (uint32_t i = 0; i < pool->workers; i++)
        sum += atomic_load_explicit(&pool->locals[i].shared_writes, memory_order_acquire);
    for (int i = 0; i < KEY_HEALTH_COUNT; i++)
        sum += atomic_load_explicit(&pool->shared.moves.entered[i], memory_order_acquire);
    return sum;
}

/* Benched, invalid or being tested: there is something to know about it. */
static bool is_burdened(enum key_health health)
{
    return health_is_benched(health) || health == KEY_INVALID || health == KEY_TESTING;
}

static bool aside_of_state(enum aside_state state, enum kept_aside *ret_aside)
{
    switch (state) {
    case ASIDE_LIMITED:
    case ASIDE_CROWDED:
        *ret_aside = KEPT_LIMITED;
        return true;
    case ASIDE_FORBIDDEN:
        *ret_aside = KEPT_FORBIDDEN;
        return true;
    case ASIDE_MISSING:
        *ret_aside = KEPT_MISSING;
        return true;
    case ASIDE_TESTING: /* the next request finds out */
    case ASIDE_NONE:
    case ASIDE_STATES:
        break;
    }
    return false;
}

static void tell_models(struct kept_key *kept, _Atomic(struct aside_table *) *place,
                        uint64_t now_us)
{
    struct aside_table *table = atomic_load_explicit(place, memory_order_acquire);
    struct kept_model *model = &kept->models[kept->model_count];
    struct aside_view view;
    uint32_t at = 0;

    while (kept->model_count < KEPT_MODELS && aside_next(table, &at, now_us, &view, model->name)) {
        if (strlen(model->name) >= KEPT_NAME_BYTES - 1 ||
            !aside_of_state(view.state, &model->aside))
            continue;
        model->until_us = view.until_us;
        model = &kept->models[++kept->model_count];
    }
}

static void tell_health(struct kept_key *kept, const struct key *key, struct account *account)
{
    struct health_view view = health_read(&key->shared.health);

    if (account && !is_burdened(view.state)) {
        struct health_view shared = health_read(&account->health);

        if (is_burdened(shared.state))
            view = shared;
    }
    kept->health = KEY_HEALTHY;
    kept->failures = 0;
    kept->until_us = 0;
    if (!is_burdened(view.state))
        return;
    kept->health = view.state;
    kept->failures = view.failures;
    kept->until_us = view.until_us;
}

static void tell_key(struct key *key, uint64_t now_us, struct kept_key *kept)
{
    struct account *account = key_account_of(key);

    memcpy(kept->identity, key->identity, sizeof(kept->identity));
    kept->name = key_name(key);
    kept->wish = key_wish(key);
    kept->weight_milli = key_weight_of(key);
    kept->said_milli = key->control.said_milli;
    tell_health(kept, key, account);
    kept->breaker = breaker_look(&key->shared.breaker, now_us, &kept->breaker_until_us);
    kept->model_count = 0;
    tell_models(kept, &key->shared.asides, now_us);
    if (account)
        tell_models(kept, &account->asides, now_us);
}

void keypool_keep(struct keypool *pool, uint64_t now_us,
                  void (*tell)(void *owner, struct kept_key *kept), void *owner)
{
    struct roster *roster = keypool_roster(pool);
    struct kept_key kept;

    for (uint32_t i = 0; roster && i < roster->count; i++) {
        struct key *key = roster->entries[i].key;

        if (key->is_nameless)
            continue;
        tell_key(key, now_us, &kept);
        tell(owner, &kept);
    }
    roster_unref(&roster);
}

bool kept_is_plain(const struct kept_key *kept)
{
    return kept->wish == KEY_ENABLED && kept->weight_milli == kept->said_milli &&
           kept->health == KEY_HEALTHY && kept->breaker == BREAKER_CLOSED && !kept->model_count;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

uint64_t kept_fingerprint(const struct kept_key *kept)
{
    uint64_t hash = mix(map_hash(kept->name), kept->wish);

    hash = mix(hash, (uint64_t)kept->weight_milli << 32 | kept->said_milli);
    hash = mix(hash, (uint64_t)kept->health << 32 | kept->failures);
    hash = mix(hash, kept->until_us);
    hash = mix(hash, kept->breaker);
    hash = mix(hash, kept->breaker_until_us);
    for (size_t i = 0; i < kept->model_count; i++) {
        const struct kept_model *model = &kept->models[i];

        hash = mix(hash, map_hash(span_from_text(model->name)));
        hash = mix(hash, model->until_us ^ (uint64_t)model->aside << 62);
    }
    return hash ? hash : 1;
}

/* ---- giving back ---- */

/* The longest that anything of this configuration sets a key aside for. */
static uint64_t longest_us(const struct roster *roster)
{
    uint64_t longest = KEYPOOL_MAX_REST_US;

    if (roster->health.cooldown_us > longest)
        longest = roster->health.cooldown_us;
    return roster->health.depleted_us > longest ? roster->health.depleted_us : longest;
}

static uint64_t bound(uint64_t until_us, uint64_t most_us, uint64_t now_us)
{
    return until_us > now_us && until_us - now_us > most_us ? now_us + most_us : until_us;
}

static bool restore_health(struct key *key, const struct kept_key *kept,
                           const struct roster *roster, uint64_t now_us)
{
    enum key_health state = kept->health;
    uint64_t until_us = bound(kept->until_us, longest_us(roster), now_us);

    /* What tested it has gone with its process: the next request does. */
    if (state == KEY_TESTING) {
        state = KEY_COOLING;
        until_us = 0;
    }
    /* Its credential gives another token now, which is proven before it is used. */
    if (state == KEY_INVALID && key->has_tokens)
        return false;
    if (!health_restore(&key->shared.health, state, kept->failures, until_us,
                        &key->pool->shared.moves))
        return false;
    if (state == KEY_INVALID) {
        pthread_mutex_lock(&key->pool->probe_lock);
        key->control.invalid_us = now_us;
        pthread_mutex_unlock(&key->pool->probe_lock);
    }
    return true;
}

static void restore_models(struct key *key, const struct kept_key *kept,
                           const struct roster *roster, uint64_t now_us)
{
    static const enum aside_state states[KEPT_ASIDES] = {[KEPT_LIMITED] = ASIDE_LIMITED,
                                                         [KEPT_FORBIDDEN] = ASIDE_FORBIDDEN,
                                                         [KEPT_MISSING] = ASIDE_MISSING};

    for (size_t i = 0; i < kept->model_count; i++) {
        const struct kept_model *model = &kept->models[i];
        struct span name = span_from_text(model->name);
        struct aside_table *table;

        if (model->until_us <= now_us)
            continue;
        table = aside_ensure(&key->shared.asides);
        if (table)
            aside_set(table, map_hash(name), name, states[model->aside],
                      bound(model->until_us, longest_us(roster), now_us));
    }
}

static bool restore_breaker(struct key *key, const struct kept_key *kept,
                            const struct roster *roster, uint64_t now_us)
{
    return kept->breaker != BREAKER_CLOSED &&
           breaker_restore(&key->shared.breaker,
                           bound(kept->breaker_until_us, roster->breaker.open_us, now_us));
}

static void restore_order(struct keypool *pool, struct key *key, const struct kept_key *kept,
                          uint64_t now_us)
{
    bool is_weighed = kept->weight_milli != kept->said_milli;

    if (kept->wish != key_wish(key) && key->control.wish_us == 0)
        keypool_wish(pool, key, kept->wish, now_us);
    if (is_weighed && key->control.said_milli == kept->said_milli &&
        key_weight_of(key) == kept->said_milli)
        keypool_weigh(pool, key, kept->weight_milli);
}

bool keypool_restore(struct keypool *pool, const struct kept_key *kept, uint64_t now_us,
                     struct keypool_effect *ret_effect)
{
    struct key *key =
        keypool_find_identity(pool, span_of((const char *)kept->identity, sizeof(kept->identity)));
    struct roster *roster = keypool_roster(pool);
    bool is_there = key && roster;

    *ret_effect = (struct keypool_effect){.wakes = 0};
    if (is_there) {
        restore_order(pool, key, kept, now_us);
        restore_models(key, kept, roster, now_us);
        ret_effect->key_moved = restore_health(key, kept, roster, now_us);
        ret_effect->breaker_moved = restore_breaker(key, kept, roster, now_us);
        ret_effect->wakes = UINT32_MAX;
        ret_effect->wants_probe = true;
        keypool_tell(pool, key->place);
        keypool_plan_probe(pool, key, roster, now_us);
    }
    roster_unref(&roster);
    key_unref(&key);
    return is_there;
}

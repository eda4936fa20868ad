/* Keys whose credential is exchanged for tokens: what comes of a token that arrived, or did not. */
#include "base/err.h"
#include "keypool/key_body.h"
#include "keypool/pool_body.h"

struct key *keypool_find_identity(struct keypool *pool, struct span identity)
{
    struct key *key;

    pthread_mutex_lock(&pool->lock);
    key = map_find(&pool->by_identity, identity);
    if (key)
        key_ref(key);
    pthread_mutex_unlock(&pool->lock);
    return key;
}

const struct secret *keypool_line(const struct keypool_grant *grant)
{
    return grant->key->has_tokens ? grant->line : grant->key->header_line;
}

/* Whoever was refused, or never proven, is to be probed with the new token at once. */
static void begin_anew(struct key *key, enum key_health health, uint64_t now_us)
{
    pthread_mutex_lock(&key->pool->probe_lock);
    if (health == KEY_NEW && !key->control.last_probe_us)
        key->control.born_us = now_us;
    /* As if it had been refused since its last probe: the next one goes at once. */
    if (health == KEY_INVALID)
        key->control.invalid_us = now_us;
    pthread_mutex_unlock(&key->pool->probe_lock);
}

int keypool_set_token(struct keypool *pool, struct key *key, struct span token, uint64_t until_us,
                      uint64_t now_us, struct keypool_effect *ret_effect)
{
    bool was_held = key_token(key, now_us) == KEY_TOKEN_HELD;
    enum key_health health = health_read(&key->shared.health).state;
    struct keypool_effect effect = {.wakes = was_held ? 0 : UINT32_MAX};
    struct roster *roster;
    int err = key_set_token(key, token, until_us);

    if (err)
        return err;
    begin_anew(key, health, now_us);
    roster = keypool_roster(pool);
    if (roster && health == KEY_NEW && !roster->health.validate_new)
        effect.key_moved = health_probed(&key->shared.health, KEY_TRIAL, &pool->shared.moves);
    if (!was_held)
        keypool_tell(pool, key->place);
    if (roster)
        keypool_plan_probe(pool, key, roster, now_us);
    roster_unref(&roster);
    effect.wants_probe = true;
    *ret_effect = effect;
    return 0;
}

bool keypool_miss_token(struct keypool *pool, struct key *key)
{
    uint32_t awaited = KEY_TOKEN_AWAITED;

    if (!atomic_compare_exchange_strong_explicit(&key->shared.token, &awaited, KEY_TOKEN_MISSING,
                                                 memory_order_acq_rel, memory_order_acquire))
        return false;
    keypool_tell(pool, key->place);
    return true;
}

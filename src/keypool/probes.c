#include <stddef.h>

#include "base/bug.h"
#include "keypool/key_body.h"
#include "keypool/pool_body.h"

/* The last success that anybody had with the key. */
static uint64_t last_success(const struct key *key)
{
    uint64_t last_us = 0;

    for (uint32_t i = 0; i < key->pool->workers; i++) {
        uint64_t at_us =
            atomic_load_explicit(&key->locals[i].last_success_us, memory_order_relaxed);

        if (at_us > last_us)
            last_us = at_us;
    }
    return last_us;
}

/* Whether there is a credential to ask about. Whether a token's time is up is looked at where the
 * answer is read. */
static bool has_credential(const struct key *key)
{
    return !key->is_nameless && (!key->has_tokens || key_token(key, 0) == KEY_TOKEN_HELD);
}

/* Under probe_lock. */
static uint64_t next_probe(const struct key *key, const struct roster *roster)
{
    struct probe_facts facts = {
        .health = health_read(&key->shared.health).state,
        .wish = key_wish(key),
        .silent = key->control.silent,
        .contradictions = atomic_load(&key->shared.contradictions),
        .born_us = key->control.born_us,
        .invalid_us = key->control.invalid_us,
        .last_probe_us = key->control.last_probe_us,
        .last_news_us = last_success(key),
        .interval_us = roster->health.probe_interval_us,
        .ttl_us = roster->health.ttl_us,
    };

    if (!has_credential(key))
        return PROBE_NEVER;
    if (facts.last_probe_us > facts.last_news_us && facts.silent == 0)
        facts.last_news_us = facts.last_probe_us;
    return probe_plan_next(&facts);
}

/* Under probe_lock. A key that needs no probe now (it is benched) stays in the schedule, to be
 * looked at again: nobody tells us when a real request has brought it back. */
static void schedule(struct keypool *pool, struct key *key, const struct roster *roster,
                     uint64_t now_us)
{
    struct heap_node *node = &key->control.probe;
    uint64_t at_us = next_probe(key, roster);
    bool is_watched = !key->is_nameless && key_wish(key) != KEY_DISABLED;

    if (at_us == PROBE_NEVER)
        at_us = now_us + roster->health.probe_interval_us + 1;
    if (!is_watched || key->control.is_probing || !key->control.is_listed)
        heap_remove(&pool->probes, node);
    else if (heap_has(node))
        heap_move(&pool->probes, node, at_us);
    else
        bug_fatal_unless(heap_push(&pool->probes, node, at_us) == 0);
}

void keypool_plan_probe(struct keypool *pool, struct key *key, const struct roster *roster,
                        uint64_t now_us)
{
    pthread_mutex_lock(&pool->probe_lock);
    schedule(pool, key, roster, now_us);
    pthread_mutex_unlock(&pool->probe_lock);
}

static struct key *key_of(struct heap_node *node)
{
    return (struct key *)(void *)((char *)node - offsetof(struct key, control.probe));
}

/* Under probe_lock: a key whose probe is due; those that were planned too early are moved. */
static struct key *take_due(struct keypool *pool, const struct roster *roster, uint64_t now_us,
                            uint64_t *ret_next_us)
{
    struct heap_node *node;

    while ((node = heap_peek(&pool->probes)) != NULL && node->key <= now_us) {
        struct key *key = key_of(node);

        if (next_probe(key, roster) <= now_us) {
            key->control.is_probing = true;
            heap_remove(&pool->probes, node);
            return key_ref(key);
        }
        schedule(pool, key, roster, now_us);
    }
    *ret_next_us = node ? node->key : PROBE_NEVER;
    return NULL;
}

struct key *keypool_probe_take(struct keypool *pool, uint64_t now_us, uint64_t *ret_next_us)
{
    struct roster *roster = keypool_roster(pool);
    struct key *key = NULL;

    *ret_next_us = PROBE_NEVER;
    if (!roster)
        return NULL;
    pthread_mutex_lock(&pool->probe_lock);
    key = take_due(pool, roster, now_us, ret_next_us);
    pthread_mutex_unlock(&pool->probe_lock);
    roster_unref(&roster);
    return key;
}

/* The next state, told to all. */
static struct keypool_effect move(struct keypool *pool, struct key *key, enum probe_result result)
{
    enum key_health from = health_read(&key->shared.health).state;
    enum key_health to = probe_plan_move(from, result, key->control.silent);
    struct keypool_effect effect = {.wakes = 0};

    if (result == PROBE_KNOWN)
        atomic_store_explicit(&key->shared.was_known, true, memory_order_relaxed);
    if (to == from || !health_probed(&key->shared.health, to, &pool->shared.moves))
        return effect;
    keypool_tell(pool, key->place);
    effect.key_moved = true;
    if (to != KEY_INVALID)
        effect.wakes = UINT32_MAX;
    return effect;
}

/* A token that was refused: told nothing of its key if its time was up, or if another one is to
 * come first (as in report.c). */
static bool is_about_token(struct key *key, enum probe_result result, uint64_t now_us,
                           struct keypool_effect *effect)
{
    struct secret *line;
    bool is_about;

    if (!key->has_tokens || result != PROBE_REFUSED)
        return false;
    if (key_token(key, now_us) != KEY_TOKEN_HELD)
        return true;
    line = key_hold_token(key);
    is_about = key_doubt_token(key, line, &effect->wants_probe);
    secret_unref(&line);
    return is_about;
}

struct keypool_effect keypool_probe_end(struct keypool *pool, struct key **place,
                                        enum probe_result result, uint64_t now_us)
{
    struct key *key = *place;
    struct roster *roster = keypool_roster(pool);
    struct keypool_effect effect = {.wakes = 0};
    bool is_about_key = !is_about_token(key, result, now_us, &effect);

    pthread_mutex_lock(&pool->probe_lock);
    bug_fatal_unless(key->control.is_probing);
    key->control.is_probing = false;
    key->control.last_probe_us = now_us;
    key->control.silent = result == PROBE_SILENT ? key->control.silent + 1 : 0;
    if (is_about_key)
        effect = move(pool, key, result);
    if (effect.key_moved && result == PROBE_REFUSED)
        key->control.invalid_us = now_us;
    if (roster)
        schedule(pool, key, roster, now_us);
    pthread_mutex_unlock(&pool->probe_lock);
    roster_unref(&roster);
    key_unref(place);
    return effect;
}

void keypool_probe_cancel(struct keypool *pool, struct key **place, uint64_t now_us)
{
    struct key *key = *place;
    struct roster *roster = keypool_roster(pool);

    pthread_mutex_lock(&pool->probe_lock);
    bug_fatal_unless(key->control.is_probing);
    key->control.is_probing = false;
    if (roster)
        schedule(pool, key, roster, now_us);
    pthread_mutex_unlock(&pool->probe_lock);
    roster_unref(&roster);
    key_unref(place);
}

bool keypool_is_settled(struct keypool *pool)
{
    struct roster *roster = keypool_roster(pool);
    bool is_settled = false, is_wanted = false;

    for (uint32_t i = 0; roster && i < roster->count && !is_settled; i++) {
        const struct key *key = roster->entries[i].key;

        is_wanted |= key_wish(key) != KEY_DISABLED;
        is_settled = health_read(&key->shared.health).state != KEY_NEW ||
                     key_token(key, 0) == KEY_TOKEN_MISSING;
    }
    /* Nobody asks about those that an operator has disabled. */
    is_settled |= roster && roster->count && !is_wanted;
    roster_unref(&roster);
    return is_settled;
}

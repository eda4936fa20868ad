/* A trial from a worker's side: whose turn it is, and what came of the requests. */
#include "keypool/pick.h"

/* ---- taking over and leaving ---- */

void view_take_trial(struct keypool_view *view)
{
    struct keypool *pool = view->pool;

    trial_unref(&view->trial);
    pthread_mutex_lock(&pool->lock);
    if (pool->trial)
        view->trial = trial_ref(pool->trial);
    view->trial_number = atomic_load_explicit(&pool->shared.trial_number, memory_order_relaxed);
    pthread_mutex_unlock(&pool->lock);
    if (view->trial)
        turns_init(&view->turns, view->seed ^ (uint64_t)view->trial_number << 32 ^ view->worker);
}

uint32_t view_weight(const struct keypool_view *view, const struct key *key)
{
    return view->trial && view->trial->key == key ? 0 : key_weight_of(key);
}

/* ---- picking ---- */

/* The canary's slot; NULL where it has left the roster. */
static const struct slot *canary_slot(const struct keypool_view *view)
{
    const struct key *key = view->trial->key;
    const struct slot *slot = key->place < view->places ? &view->slots[key->place] : NULL;

    return slot && slot->key == key && slot->is_listed ? slot : NULL;
}

/* Whether the pick is one that the canary shares in: it serves such requests, and nobody of a
 * better priority is there. */
static bool is_concerned(const struct pick *pick, const struct slot *slot)
{
    const struct order_entry *top = order_top(&pick->lineup->heaps[LINEUP_READY]);

    if (!slot || lineup_where(pick->lineup, slot->key->place) == LINEUP_ABSENT)
        return false;
    return !top || view_tier_of(top->rank) >= slot->tier;
}

static bool is_aside_for_good(struct aside_view aside, uint64_t now_us)
{
    return (aside.state == ASIDE_MISSING || aside.state == ASIDE_FORBIDDEN) &&
           aside.until_us > now_us;
}

/* Whether it is what was answered to the canary itself that keeps it from its turn. */
static bool is_lacking(const struct pick *pick, const struct key *key)
{
    const struct aside_table *table =
        atomic_load_explicit(&key->shared.asides, memory_order_acquire);
    struct health_view health = health_read(&key->shared.health);

    if (key_wish(key) != KEY_ENABLED)
        return false;
    if (health.state == KEY_FORBIDDEN || health.state == KEY_DEPLETED)
        return health.until_us > pick->now_us;
    return is_aside_for_good(aside_find(table, pick->model_hash), pick->now_us);
}

/* An exchange's first try in this pool: of a second one it is not chance who gets it. */
static bool is_first_try(const struct keypool_view *view, const struct keypool_tried *tried)
{
    for (uint32_t i = 0; tried && i < tried->count; i++) {
        if (tried->items[i].pool == view->pool)
            return false;
    }
    return true;
}

/* Takes all that the request needs of it, if it may be picked at all. */
static bool take_canary(struct pick *pick, const struct slot *slot)
{
    uint64_t model_hash = pick->lineup->model_hash, wait_us = 0;

    if (view_examine(pick->view, slot, model_hash, pick->now_us).where != LINEUP_READY ||
        keypool_tried_find(pick->ask->tried, slot->key) != NOT_TRIED)
        return false;
    if (!model_hash &&
        view_examine_model(pick->view, slot->key, pick->model_hash, pick->now_us).where !=
            LINEUP_READY)
        return false;
    return pick_take(pick, slot->key->place, false, &wait_us) == TAKEN;
}

bool pick_turn(struct pick *pick, uint32_t *ret_place)
{
    struct keypool_view *view = pick->view;
    const struct slot *slot = canary_slot(view);
    uint32_t share_ppm = atomic_load_explicit(&view->trial->share_ppm, memory_order_relaxed);

    pick->is_stood_in = false;
    if (!is_concerned(pick, slot) || !turns_step(&view->turns, share_ppm))
        return false;
    *ret_place = slot->key->place;
    if (take_canary(pick, slot))
        return true;
    pick->is_stood_in = is_lacking(pick, slot->key);
    return false;
}

void pick_note_turn(struct pick *pick)
{
    struct keypool_view *view = pick->view;
    bool is_canary = pick->grant->key == view->trial->key;
    bool is_first = is_first_try(view, pick->ask->tried);

    pick->grant->stands_in = pick->is_stood_in && is_first && !is_canary;
    if (is_canary || pick->grant->stands_in)
        turns_take(&view->turns);
    if (is_first)
        pick->grant->trial = view->trial_number;
}

/* ---- counting ---- */

/* One writer: no read-modify-write. */
static void bump(_Atomic uint32_t *word)
{
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* Where this view counts for the trial in which it was picked; NULL: that is over. */
static struct trial_counts *counts_of(const struct keypool_view *view,
                                      const struct keypool_grant *grant, enum trial_arm *ret_arm)
{
    if (!view->trial || view->trial_number != grant->trial)
        return NULL;
    *ret_arm = grant->key == view->trial->key ? TRIAL_CANARY : TRIAL_CONTROL;
    return view->trial->locals[view->worker].arms;
}

bool trial_note_good(const struct keypool_view *view, const struct keypool_grant *grant,
                     bool is_timed, uint64_t now_us)
{
    enum trial_arm arm;
    struct trial_counts *arms = counts_of(view, grant, &arm);

    if (!arms)
        return false;
    if (is_timed && grant->sent_us)
        bump(&arms[arm].good[latency_bucket(now_us - grant->sent_us)]);
    else
        bump(&arms[arm].untimed);
    if (grant->stands_in)
        bump(&arms[TRIAL_CANARY].failed);
    return grant->stands_in;
}

void trial_note_cancel(struct keypool_view *view, const struct keypool_grant *grant)
{
    if (grant->stands_in || grant->key == view->trial->key)
        turns_give_back(&view->turns);
}

bool trial_note_end(const struct keypool_view *view, const struct keypool_grant *grant,
                    enum outcome_trial meaning)
{
    enum trial_arm arm;
    struct trial_counts *arms = counts_of(view, grant, &arm);

    if (!arms)
        return false;
    switch (meaning) {
    case TRIAL_SILENT:
    case TRIAL_GOOD: /* it has begun well, and is counted */
        return false;
    case TRIAL_FAILED:
        bump(&arms[arm].failed);
        break;
    case TRIAL_REFUSED:
        bump(&arms[arm].refused);
        break;
    }
    return arm == TRIAL_CANARY;
}

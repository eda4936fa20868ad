/* A key for what may not take anything from anybody: only one that has room to spare. */
#include "base/map.h"
#include "keypool/pick.h"

/* Of those that stand first, so many are looked at. */
enum { SPARE_LOOKS = 8 };

/* One whose time is up would be found out by the next request: that one is real. */
static bool is_aside(_Atomic(struct aside_table *) *place, uint64_t model_hash)
{
    return aside_find(atomic_load_explicit(place, memory_order_acquire), model_hash).state !=
           ASIDE_NONE;
}

/* Nothing is being found out of it, and of each of its limits half is free. */
static bool has_room(const struct pick *pick, const struct slot *slot)
{
    struct key *key = slot->key;
    struct account *account = key_account_of(key);
    const struct quota *quota = key_quota_of(key);
    const struct quota *of_model = key_quota_for(key, pick->model_hash);
    uint64_t model_hash = pick->lineup->model_hash;

    if (view_examine(pick->view, slot, model_hash, pick->now_us).where != LINEUP_READY ||
        is_aside(&key->shared.asides, pick->model_hash) ||
        (account && is_aside(&account->asides, pick->model_hash)))
        return false;
    return health_is_well(&key->shared.health) && (!account || health_is_well(&account->health)) &&
           breaker_state(&key->shared.breaker, pick->now_us) == BREAKER_CLOSED &&
           heard_share(view_heard_of(pick->view, key, pick->model_hash),
                       key_need(key, pick->model_hash, pick->ask->tokens, pick->ask->tokens_out),
                       pick->now_us) >= HEARD_WHOLE / 2 &&
           (!quota || quota_has_half(quota, pick->ask->tokens, pick->now_us)) &&
           (!of_model || quota_has_half(of_model, pick->ask->tokens, pick->now_us));
}

/* Which keys are meant, of those that have room. */
enum whose { ANYBODYS, OF_OTHER_ACCOUNTS };

static bool is_meant(const struct pick *pick, const struct key *key, enum whose whose)
{
    return keypool_tried_find(pick->ask->tried, key) == NOT_TRIED &&
           (whose == ANYBODYS || !keypool_tried_account(pick->ask->tried, key));
}

static bool take(struct pick *pick, uint32_t place, enum whose whose)
{
    const struct slot *slot = &pick->view->slots[place];
    uint64_t wait_us = 0;

    return is_meant(pick, slot->key, whose) && has_room(pick, slot) &&
           pick_take(pick, place, false, &wait_us) == TAKEN;
}

static bool is_canary(const struct keypool_view *view, const struct key *key)
{
    return view->trial && view->trial->key == key;
}

/* Those that do not fit are taken out of the lineup for as long, and put back where they stand. */
static bool take_any(struct pick *pick, enum whose whose, uint32_t *ret_place)
{
    const struct standing absent = {.where = LINEUP_ABSENT};
    const struct order_entry *first;
    uint32_t passed[SPARE_LOOKS], count = 0;
    bool is_taken = false;

    view_wake(pick->view, pick->lineup, pick->now_us);
    while (!is_taken && count < SPARE_LOOKS &&
           (first = view_first_ready(pick->view, pick->lineup, &pick->settled))) {
        uint32_t place = first->place;

        is_taken = !is_canary(pick->view, pick->view->slots[place].key) && take(pick, place, whose);
        *ret_place = place;
        if (!is_taken)
            lineup_put(pick->lineup, passed[count++] = place, absent, 0);
    }
    for (uint32_t i = 0; i < count; i++)
        view_place(pick->view, pick->lineup, passed[i], pick->now_us);
    return is_taken;
}

static bool take_named(struct pick *pick, struct span name, uint32_t *ret_place)
{
    const struct roster *roster = pick->view->roster;

    for (uint32_t i = 0; i < roster->count; i++) {
        const struct key *key = roster->entries[i].key;

        if (!span_is_equal(key_name(key), name))
            continue;
        *ret_place = key->place;
        return lineup_where(pick->lineup, key->place) != LINEUP_ABSENT &&
               take(pick, key->place, ANYBODYS);
    }
    return false;
}

/* Neither the endpoint nor the provider's capacity for the model is in doubt. Of an endpoint that
 * refuses connections the one that may try is left to those who have no other way. */
static bool is_way_free(const struct pick *pick)
{
    const struct keypool_ask *ask = pick->ask;
    uint64_t free_at_us = 0;

    if (aside_find(pick->view->pool->shared.asides, pick->model_hash).state != ASIDE_NONE)
        return false;
    if (!ask->endpoint)
        return true;
    return !endpoint_health_is_refusing(ask->endpoint) &&
           endpoint_health_state(ask->endpoint, pick->now_us) == BREAKER_CLOSED &&
           endpoint_health_look(ask->endpoint, &pick->view->roster->breaker, false, pick->now_us,
                                &free_at_us) == ENDPOINT_PASS;
}

static bool begin(struct pick *pick)
{
    const struct keypool_ask *ask = pick->ask;
    int err;

    pick->model_hash = ask->model_hash ? ask->model_hash : map_hash(ask->model);
    view_sync(pick->view, pick->now_us);
    if (!pick->view->roster || !is_way_free(pick))
        return false;
    pick->lineup =
        view_find_lineup(pick->view, ask->model, pick->model_hash, ask->pool, pick->now_us, &err);
    return pick->lineup;
}

static void finish(struct pick *pick, uint32_t place)
{
    view_place(pick->view, pick->lineup, place, pick->now_us);
    view_count_pick(pick->view, pick->lineup, place, pick->settled < VIEW_SETTLE_MAX);
    pick_count_request(pick->view, pick->grant, pick->now_us);
}

bool keypool_select_spare(struct keypool_view *view, const struct keypool_ask *ask,
                          struct span name, uint64_t now_us, struct keypool_grant *ret_grant)
{
    struct pick pick = {.view = view, .ask = ask, .grant = ret_grant, .now_us = now_us};
    uint32_t place = 0;

    if (!begin(&pick) ||
        !(name.len ? take_named(&pick, name, &place) : take_any(&pick, ANYBODYS, &place)))
        return false;
    finish(&pick, place);
    return true;
}

/* It is closed, or was until now: what becomes of the attempt counts for it. After finish: what is
 * taken back must have been counted. */
static bool enter_endpoint(struct pick *pick)
{
    const struct keypool_ask *ask = pick->ask;
    uint64_t free_at_us = 0;

    if (!ask->endpoint)
        return true;
    if (endpoint_health_enter(ask->endpoint, &pick->view->roster->breaker, false, pick->now_us,
                              &pick->grant->endpoint_pass, &free_at_us) != ENDPOINT_PASS) {
        keypool_cancel(pick->view, pick->grant, pick->now_us);
        return false;
    }
    pick->grant->endpoint = ask->endpoint;
    pick->grant->endpoint_tally = ask->endpoint_tally;
    pick->view->shared_writes += pick->grant->endpoint_pass.breaker.is_trial;
    return true;
}

bool keypool_select_beside(struct keypool_view *view, const struct keypool_ask *ask,
                           uint64_t now_us, struct keypool_grant *ret_grant)
{
    struct pick pick = {.view = view, .ask = ask, .grant = ret_grant, .now_us = now_us};
    uint32_t place = 0;

    if (!begin(&pick) ||
        !(take_any(&pick, OF_OTHER_ACCOUNTS, &place) || take_any(&pick, ANYBODYS, &place)))
        return false;
    finish(&pick, place);
    return enter_endpoint(&pick);
}

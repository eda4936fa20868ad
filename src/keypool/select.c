#include "base/map.h"
#include "keypool/pick.h"

enum {
    SKIP_MODELS = 8,  /* passed over for the model's sake before it gets a lineup of its own */
    SKIP_TOKENS = 64, /* passed over because so many tokens do not fit; then it waits */
    STALE_MAX = 8,    /* put where they belong in one pick */
    SHORT_PPM = 1000000 - 1000000 / VIEW_LEVELS * VIEW_LEVEL_SHORT, /* left, below that level */
};

/* ---- passing over ---- */

static void note_later(struct pick *pick, struct standing standing)
{
    if (standing.where == LINEUP_MISSING)
        pick->lacks_model = true;
    else if (pick->later.where == LINEUP_OUT || standing.until_us < pick->later.until_us)
        pick->later = standing;
}

static void note_at_limit(struct pick *pick, uint64_t wait_us)
{
    note_later(pick, (struct standing){LINEUP_BARRED, KEYPOOL_AT_LIMIT, pick->now_us + wait_us});
}

/* False where no more can be passed over. */
static bool skip(struct pick *pick, uint32_t place, bool is_second_choice)
{
    const struct standing absent = {.where = LINEUP_ABSENT};

    if (pick->skip_count == SKIP_MAX)
        return false;
    pick->skips[pick->skip_count].place = place;
    pick->skips[pick->skip_count++].is_second_choice = is_second_choice;
    lineup_put(pick->lineup, place, absent, 0);
    return true;
}

static void put_skips_back(struct pick *pick)
{
    for (uint32_t i = 0; i < pick->skip_count; i++)
        view_place(pick->view, pick->lineup, pick->skips[i].place, pick->now_us);
    pick->skip_count = 0;
}

/* Whether the model may go to that key; else it is noted when. */
static bool is_model_free(struct pick *pick, struct key *key)
{
    struct standing standing;

    if (pick->lineup->model_hash)
        return true; /* the lineup knows */
    standing = view_examine_model(pick->view, key, pick->model_hash, pick->now_us);
    if (standing.where == LINEUP_READY ||
        (pick->ask->is_urgent && standing.reason == KEYPOOL_TESTING))
        return true;
    pick->for_model++;
    note_later(pick, standing);
    return false;
}

/* True where it does stand ready; else it is put where it belongs. */
static bool stands_ready(struct pick *pick, uint32_t place)
{
    struct standing standing =
        view_examine(pick->view, &pick->view->slots[place], pick->lineup->model_hash, pick->now_us);

    if (standing.where == LINEUP_READY)
        return true;
    lineup_put(pick->lineup, place, standing, 0);
    return false;
}

/* Less is left of its limits than its rank says: it is put where it belongs, a few times in one
 * pick. */
static bool is_stale(struct pick *pick, uint32_t place, uint8_t now)
{
    uint8_t *level = &pick->lineup->spots[place].level;

    if (now <= *level || pick->stale == STALE_MAX)
        return false;
    *level = now;
    pick->stale++;
    lineup_rank(pick->lineup, place, view_rank(pick->view, &pick->view->slots[place]));
    return true;
}

/* Whether taking it finds out by itself all that looking at it would: so it is for most keys, and
 * each is looked at once. */
static bool goes_without_look(const struct pick *pick, const struct slot *slot, uint8_t level)
{
    bool is_told = atomic_load_explicit(&pick->view->pool->shared.has_heard, memory_order_relaxed);
    const struct roster *roster = pick->view->roster;
    bool knows_share = pick->lineup->model_hash && roster->selection == CONF_SELECTION_HEADROOM &&
                       roster->margin_ppm <= SHORT_PPM;

    return (!is_told || knows_share) && level < VIEW_LEVEL_SHORT &&
           view_is_plain(slot, pick->model_hash, pick->now_us);
}

/* It could not be taken: noted why. */
static void note_lost(struct pick *pick, enum taking taking, uint64_t wait_us)
{
    switch (taking) {
    case TAKEN:
        break;
    case LOST:
        note_later(pick,
                   (struct standing){LINEUP_BARRED, KEYPOOL_TESTING, pick->now_us + VIEW_GUESS_US});
        break;
    case TOO_MANY_TOKENS:
        pick->for_tokens++;
        note_at_limit(pick, wait_us);
        break;
    case TOKENS_RESERVED:
        pick->for_tokens++;
        note_later(pick, pick_stand_reserved(pick, wait_us));
        break;
    }
}

/* Tries to take a key that stands ready. True where it was taken; else it is where it belongs, or
 * passed over; *ret_is_full where no more can be passed over. */
static bool try_ready(struct pick *pick, uint32_t place, bool *ret_is_full)
{
    const struct slot *slot = &pick->view->slots[place];
    uint8_t level = view_level(pick->view, pick->lineup, slot, pick->now_us);
    enum trial trial = keypool_tried_find(pick->ask->tried, slot->key);
    bool is_looked_at = trial != NOT_TRIED || !goes_without_look(pick, slot, level);
    enum taking taking;
    uint64_t wait_us = 0;

    if (is_looked_at && !stands_ready(pick, place))
        return false;
    if (is_stale(pick, place, level))
        return false;
    if (trial != NOT_TRIED) {
        pick->has_tried = true;
        *ret_is_full = !skip(pick, place, trial == TRIED);
        return false;
    }
    if (is_looked_at && !is_model_free(pick, slot->key)) {
        *ret_is_full = !skip(pick, place, false) || pick->for_model > SKIP_MODELS;
        return false;
    }
    taking = pick_take(pick, place, false, &wait_us);
    if (taking == TAKEN)
        return true;
    if (!is_looked_at && !stands_ready(pick, place))
        return false;
    note_lost(pick, taking, wait_us);
    *ret_is_full = !skip(pick, place, false) || pick->for_tokens > SKIP_TOKENS;
    return false;
}

static bool pick_ready(struct pick *pick, uint32_t *ret_place)
{
    struct sticky_choice preferred = pick_preferred(pick);
    const struct order_entry *first;
    bool is_full = false;

    for (uint32_t i = 0; i < preferred.count && !is_full; i++) {
        *ret_place = preferred.places[i];
        if (lineup_where(pick->lineup, *ret_place) == LINEUP_READY &&
            try_ready(pick, *ret_place, &is_full))
            return true;
    }
    while (!is_full && (first = view_first_ready(pick->view, pick->lineup, &pick->settled))) {
        *ret_place = first->place;
        if (try_ready(pick, *ret_place, &is_full))
            return true;
    }
    return false;
}

/* Those that this exchange has tried, but may try again. */
static bool pick_second_choice(struct pick *pick, uint32_t *ret_place)
{
    for (uint32_t i = 0; i < pick->skip_count; i++) {
        struct key *key = pick->view->slots[pick->skips[i].place].key;
        enum taking taking;
        uint64_t wait_us = 0;

        if (!pick->skips[i].is_second_choice || !is_model_free(pick, key))
            continue;
        *ret_place = pick->skips[i].place;
        taking = pick_take(pick, *ret_place, false, &wait_us);
        if (taking == TAKEN)
            return true;
        if (taking != LOST)
            note_lost(pick, taking, wait_us);
    }
    return false;
}

/* Health and breakers never exclude the last way: where nothing else can be had in the time that
 * the exchange has, the one that recovers first is tested early. */
static bool pick_last_way(struct pick *pick, uint32_t *ret_place)
{
    const struct order *resting = &pick->lineup->heaps[LINEUP_RESTING];
    struct standing barred = pick_first_barred(pick);

    if (barred.where != LINEUP_OUT && barred.until_us <= pick->ask->wait_until_us)
        return false;
    while (order_top(resting)) {
        uint32_t place = order_top(resting)->place;
        struct key *key = pick->view->slots[place].key;
        uint64_t wait_us = 0;

        if (keypool_tried_find(pick->ask->tried, key) != TRIED_FOR_GOOD &&
            is_model_free(pick, key)) {
            *ret_place = place;
            return pick_take(pick, place, true, &wait_us) == TAKEN;
        }
        if (!skip(pick, place, false))
            break;
    }
    return false;
}

/* The provider's own time is over and one request is finding out: for whom the wait has ended that
 * is no reason to be refused. */
static bool pick_beside_test(struct pick *pick, uint32_t *ret_place)
{
    const struct order_entry *top = order_top(&pick->lineup->heaps[LINEUP_BARRED]);
    struct standing standing;
    uint64_t wait_us = 0;

    if (!pick->ask->is_urgent || !top)
        return false;
    *ret_place = top->place;
    standing = view_examine(pick->view, &pick->view->slots[top->place], pick->lineup->model_hash,
                            pick->now_us);
    return standing.reason == KEYPOOL_TESTING &&
           pick_take(pick, *ret_place, true, &wait_us) == TAKEN;
}

/* One pass over one lineup. */
static bool pick_one(struct pick *pick, uint32_t *ret_place)
{
    view_wake(pick->view, pick->lineup, pick->now_us);
    if (pick_ready(pick, ret_place))
        return true;
    if (pick->for_model > SKIP_MODELS)
        return false; /* not all have been looked at: it gets a lineup of its own */
    return pick_second_choice(pick, ret_place) || pick_last_way(pick, ret_place) ||
           pick_beside_test(pick, ret_place);
}

static void start_pass(struct pick *pick, struct lineup *lineup)
{
    pick->lineup = lineup;
    pick->later = (struct standing){.where = LINEUP_OUT};
    pick->has_tried = pick->lacks_model = false;
    pick->for_model = pick->for_tokens = pick->stale = pick->settled = 0;
}

/* What it took may have left nothing for the next: that is seen when the next finds it, unless it
 * finds something out of the key, or did not stand ready. */
static void place_taken(struct pick *pick, uint32_t place)
{
    const struct keypool_grant *grant = pick->grant;

    if (grant->tests_key || grant->tests_account || grant->tests_model ||
        grant->tests_account_model || grant->breaker_pass.is_trial ||
        lineup_where(pick->lineup, place) != LINEUP_READY)
        view_place(pick->view, pick->lineup, place, pick->now_us);
}

static struct keypool_choice pick_key(struct pick *pick)
{
    struct keypool_choice choice = {.verdict = KEYPOOL_CHOSEN};
    uint32_t place = 0;
    bool is_taken = (pick->view->trial && pick_turn(pick, &place)) || pick_one(pick, &place);

    if (!is_taken && pick->for_model > SKIP_MODELS) {
        struct lineup *own;

        put_skips_back(pick);
        own = view_split_lineup(pick->view, pick->lineup, pick->model_hash, pick->now_us);
        if (!own)
            return pick_later(pick, KEYPOOL_FULL, pick->now_us + VIEW_GUESS_US);
        start_pass(pick, own);
        is_taken = pick_one(pick, &place);
    }
    if (!is_taken) {
        pick_refresh(pick);
        is_taken = order_top(&pick->lineup->heaps[LINEUP_READY]) && pick_one(pick, &place);
    }
    if (!is_taken)
        choice = pick_explain(pick);
    put_skips_back(pick);
    if (is_taken) {
        view_count_pick(pick->view, pick->lineup, place, pick->settled < VIEW_SETTLE_MAX);
        place_taken(pick, place);
        view_freshen(pick->view, pick->lineup, pick->now_us);
        view_fetch_next(pick->view, pick->lineup);
    }
    return choice;
}

/* ---- around the keys: the endpoint, and the provider's capacity for the model ---- */

static bool is_way_open(const struct pick *pick, struct keypool_choice *ret_choice)
{
    const struct keypool_ask *ask = pick->ask;
    struct aside_view aside = aside_find(pick->view->pool->shared.asides, pick->model_hash);
    uint64_t free_at_us = 0;

    if (aside.state != ASIDE_NONE && aside.until_us > pick->now_us) {
        *ret_choice = pick_later(pick, KEYPOOL_NO_CAPACITY, aside.until_us);
        return false;
    }
    if (!ask->endpoint)
        return true;
    switch (endpoint_health_look(ask->endpoint, &pick->view->roster->breaker, ask->is_last_endpoint,
                                 pick->now_us, &free_at_us)) {
    case ENDPOINT_PASS:
        return true;
    case ENDPOINT_OPEN:
        *ret_choice = pick_later(pick, KEYPOOL_ENDPOINT_OPEN, free_at_us);
        return false;
    case ENDPOINT_RESTING:
        break;
    }
    *ret_choice = pick_later(pick, KEYPOOL_ENDPOINT_RESTING, free_at_us);
    return false;
}

/* The key is taken; the endpoint may have closed between looking and now. */
static void enter_endpoint(struct pick *pick, struct keypool_choice *choice)
{
    const struct keypool_ask *ask = pick->ask;
    uint64_t free_at_us = 0;

    if (!ask->endpoint)
        return;
    if (endpoint_health_enter(ask->endpoint, &pick->view->roster->breaker, ask->is_last_endpoint,
                              pick->now_us, &pick->grant->endpoint_pass,
                              &free_at_us) == ENDPOINT_PASS) {
        pick->grant->endpoint = ask->endpoint;
        pick->grant->endpoint_tally = ask->endpoint_tally;
        pick->view->shared_writes += pick->grant->endpoint_pass.breaker.is_trial;
        return;
    }
    keypool_cancel(pick->view, pick->grant, pick->now_us);
    *choice = pick_later(pick, KEYPOOL_ENDPOINT_OPEN, free_at_us);
}

void pick_count_request(struct keypool_view *view, struct keypool_grant *grant, uint64_t now_us)
{
    struct key_local *local = view->slots[grant->key->place].local;
    uint64_t requests = atomic_load_explicit(&local->requests, memory_order_relaxed);

    grant->is_counted = true;
    atomic_store_explicit(&local->requests, requests + 1, memory_order_relaxed);
    atomic_store_explicit(&local->last_used_us, now_us, memory_order_relaxed);
}

struct keypool_choice keypool_select(struct keypool_view *view, const struct keypool_ask *ask,
                                     uint64_t now_us, struct keypool_grant *ret_grant)
{
    struct pick pick;
    struct keypool_choice choice;
    struct lineup *lineup;
    int err;

    pick.view = view;
    pick.ask = ask;
    pick.grant = ret_grant;
    pick.now_us = now_us;
    pick.model_hash = ask->model_hash ? ask->model_hash : map_hash(ask->model);
    pick.skip_count = 0;
    view_sync(view, now_us);
    if (!view->roster)
        return pick_later(&pick, KEYPOOL_FULL, now_us + VIEW_GUESS_US);
    if (!is_way_open(&pick, &choice))
        return choice;
    lineup = view_find_lineup(view, ask->model, pick.model_hash, ask->pool, now_us, &err);
    if (!lineup)
        return err ? pick_later(&pick, KEYPOOL_FULL, now_us + VIEW_GUESS_US)
                   : pick_never(view->roster->count ? KEYPOOL_NO_MODEL : KEYPOOL_DISABLED);
    start_pass(&pick, lineup);
    choice = pick_key(&pick);
    if (choice.verdict != KEYPOOL_CHOSEN)
        return choice;
    if (view->trial)
        pick_note_turn(&pick);
    enter_endpoint(&pick, &choice);
    if (choice.verdict == KEYPOOL_CHOSEN)
        pick_count_request(view, ret_grant, now_us);
    return choice;
}

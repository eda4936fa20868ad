#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"
#include "keypool/view_body.h"

enum {
    TIER_SHIFT = 50,
    LOAD_SHIFT = 36,
    LEVEL_BITS = TIER_SHIFT - LINEUP_LEVEL_SHIFT, /* at the cost of the pass's lowest bits */
    TIER_STANDBY = (1 << (64 - TIER_SHIFT)) - 1,
    LOAD_MAX = (1 << (TIER_SHIFT - LOAD_SHIFT)) - 1,
    LOAD_UNIT = 8,      /* of one under way at a weight of 1 */
    WEIGHT_UNIT = 1000, /* a weight of 1 in thousandths */
    FETCH_FROM = 64,    /* keys: fewer stay in the caches by themselves */
    WAKE_AT_ONCE = 32,  /* looked at again in one pick, unless nothing else is ready */
};

_Static_assert(1 << LEVEL_BITS == VIEW_LEVELS, "a level fits below the tier");

#define PASS_MAX    ((UINT64_C(1) << LOAD_SHIFT) - 1)
#define PASS_UNIT   (UINT64_C(1) << 20) /* of a turn at a weight of 1 */
#define PASS_STRIDE (UINT64_C(1) << 30) /* the longest turn */

/* ---- the order of the ready ---- */

/* Standby keys take turns among themselves as if they had a weight of 1. */
static uint32_t turn_weight(const struct slot *slot)
{
    return slot->weight_milli ? slot->weight_milli : WEIGHT_UNIT;
}

static uint64_t load_of(const struct slot *slot)
{
    uint64_t load = (uint64_t)slot->in_flight * LOAD_UNIT * WEIGHT_UNIT / turn_weight(slot);

    return load < LOAD_MAX ? load : LOAD_MAX;
}

uint64_t view_rank(const struct keypool_view *view, const struct slot *slot)
{
    uint64_t tier = slot->tier < TIER_STANDBY ? slot->tier : TIER_STANDBY - 1;
    uint64_t rank = (slot->weight_milli ? tier : TIER_STANDBY) << TIER_SHIFT;

    switch (view->roster->selection) {
    case CONF_SELECTION_HEADROOM:
        return rank | (load_of(slot) << LOAD_SHIFT | slot->pass) >> LEVEL_BITS;
    case CONF_SELECTION_LEAST_USED:
    case CONF_SELECTION_STICKY:
        return rank | load_of(slot) << LOAD_SHIFT | slot->pass;
    case CONF_SELECTION_ROUND_ROBIN:
    case CONF_SELECTION_WEIGHTED:
        return rank | slot->pass;
    case CONF_SELECTION_PRIORITY:
        break;
    }
    return rank | slot->entry;
}

/* Whether one fewer under way changes the rank. */
static bool goes_by_load(const struct keypool_view *view)
{
    switch (view->roster->selection) {
    case CONF_SELECTION_HEADROOM:
    case CONF_SELECTION_LEAST_USED:
    case CONF_SELECTION_STICKY:
        return true;
    case CONF_SELECTION_ROUND_ROBIN:
    case CONF_SELECTION_WEIGHTED:
    case CONF_SELECTION_PRIORITY:
        break;
    }
    return false;
}

uint32_t view_tier_of(uint64_t rank)
{
    return (uint32_t)(rank >> TIER_SHIFT);
}

static uint64_t stride_of(const struct keypool_view *view, const struct slot *slot)
{
    uint64_t stride;

    if (view->roster->selection == CONF_SELECTION_ROUND_ROBIN)
        return PASS_UNIT;
    stride = PASS_UNIT * WEIGHT_UNIT / turn_weight(slot);
    if (stride < 1)
        return 1;
    return stride < PASS_STRIDE ? stride : PASS_STRIDE;
}

/* Passes only grow; before they reach their neighbour's bits all are lowered by what all have. This
 * costs a walk over all keys once in at least sixty turns of each. */
static void lower_passes(struct keypool_view *view)
{
    uint64_t least = UINT64_MAX;

    for (uint32_t i = 0; i < view->places; i++) {
        if (view->slots[i].key && view->slots[i].pass < least)
            least = view->slots[i].pass;
    }
    /* One that never gets a turn must not hold all others up. */
    if (least < PASS_MAX / 2)
        least = PASS_MAX / 2;
    for (uint32_t i = 0; i < view->places; i++) {
        uint64_t pass = view->slots[i].pass;

        view->slots[i].pass = pass > least ? pass - least : 0;
    }
    for (uint32_t i = 0; i < view->highest; i++) {
        struct lineup *lineup = &view->lineups[i];

        lineup->now_pass = lineup->now_pass > least ? lineup->now_pass - least : 0;
        for (uint32_t place = 0; place < lineup->places; place++)
            lineup_rank(lineup, place, view_rank(view, &view->slots[place]));
    }
}

/* As many lineups as there are, a pick costs one move: in the others the key stands by its rank or
 * less, and is put right when it comes first there. */
static void lower_everywhere(struct keypool_view *view, uint32_t place)
{
    uint64_t rank = view_rank(view, &view->slots[place]);

    for (uint32_t i = 0; i < view->highest; i++) {
        if (view->lineups[i].signature)
            lineup_lower(&view->lineups[i], place, rank);
    }
}

const struct order_entry *view_first_ready(const struct keypool_view *view, struct lineup *lineup,
                                           uint32_t *settled)
{
    const struct order *ready = &lineup->heaps[LINEUP_READY];

    while (order_top(ready) && *settled < VIEW_SETTLE_MAX &&
           lineup_raise_first(lineup, view_rank(view, &view->slots[order_top(ready)->place])))
        ++*settled;
    return order_top(ready);
}

void view_fetch_next(const struct keypool_view *view, const struct lineup *lineup)
{
    const struct order *ready = &lineup->heaps[LINEUP_READY];
    const struct slot *next;

    if (ready->count < FETCH_FROM)
        return;
    next = &view->slots[ready->entries[0].place];
    __builtin_prefetch(next->key);
    __builtin_prefetch((const char *)next->key + KEY_LINE_BYTES);
    __builtin_prefetch(next->local, 1);
    /* One of these comes after it. */
    for (int i = 1; i <= ORDER_CHILDREN; i++)
        __builtin_prefetch(&view->slots[ready->entries[i].place]);
}

void view_place(struct keypool_view *view, struct lineup *lineup, uint32_t place, uint64_t now_us)
{
    struct slot *slot = &view->slots[place];
    struct standing standing = view_examine(view, slot, lineup->model_hash, now_us);

    if (standing.where == LINEUP_READY)
        lineup->spots[place].level = view_level(view, lineup, slot, now_us);
    lineup_put(lineup, place, standing, view_rank(view, slot));
}

void view_count_pick(struct keypool_view *view, struct lineup *lineup, uint32_t place,
                     bool is_settled)
{
    struct slot *slot = &view->slots[place];

    /* Who was away, or passed over, has no claim on the turns that it missed: it would get them all
     * at once. */
    if (slot->pass < lineup->now_pass)
        slot->pass = lineup->now_pass;
    if (is_settled)
        lineup->now_pass = slot->pass;
    slot->is_new = false;
    slot->in_flight++;
    slot->pass += stride_of(view, slot);
    atomic_store_explicit(&slot->local->in_flight, slot->in_flight, memory_order_relaxed);
    if (slot->pass > PASS_MAX - PASS_STRIDE)
        lower_passes(view);
    lineup_rank(lineup, place, view_rank(view, slot));
}

void view_count_end(struct keypool_view *view, uint32_t place)
{
    struct slot *slot = &view->slots[place];

    bug_fatal_unless(slot->key && slot->in_flight > 0);
    slot->in_flight--;
    atomic_store_explicit(&slot->local->in_flight, slot->in_flight, memory_order_relaxed);
    if (!slot->is_listed) {
        if (slot->in_flight == 0) {
            key_unref(&slot->key);
            *slot = (struct slot){.key = NULL};
        }
        return;
    }
    if (goes_by_load(view))
        lower_everywhere(view, place);
}

void view_wake(struct keypool_view *view, struct lineup *lineup, uint64_t now_us)
{
    int left = WAKE_AT_ONCE;

    for (int where = LINEUP_RESTING; where < LINEUP_HEAPS; where++) {
        const struct order *heap = &lineup->heaps[where];
        const struct order *awake = &lineup->heaps[LINEUP_READY];

        while (order_top(heap) && order_top(heap)->rank <= now_us &&
               (left-- > 0 || order_top(awake) == NULL))
            view_place(view, lineup, order_top(heap)->place, now_us);
    }
}

/* ---- news ---- */

static void weigh_all(struct keypool_view *view)
{
    view->weight_most = 0;
    for (uint32_t i = 0; i < view->places; i++) {
        const struct slot *slot = &view->slots[i];

        if (slot->is_listed && slot->weight_milli > view->weight_most)
            view->weight_most = slot->weight_milli;
    }
}

static void review(struct keypool_view *view, uint32_t place, uint64_t now_us)
{
    struct slot *slot = place < view->places ? &view->slots[place] : NULL;
    bool is_weighed_anew;

    if (!slot || !slot->key || !slot->is_listed)
        return;
    is_weighed_anew = slot->weight_milli != view_weight(view, slot->key);
    slot->weight_milli = view_weight(view, slot->key);
    if (is_weighed_anew)
        weigh_all(view);
    for (uint32_t i = 0; i < view->highest; i++) {
        struct lineup *lineup = &view->lineups[i];

        if (is_weighed_anew)
            sticky_free(&lineup->sticky);
        if (lineup->signature && lineup_where(lineup, place) != LINEUP_ABSENT)
            view_place(view, lineup, place, now_us);
    }
}

static void read_news(struct keypool_view *view, uint64_t count, uint64_t now_us)
{
    struct keypool *pool = view->pool;

    while (view->seen_news != count && count - view->seen_news <= KEYPOOL_NEWS) {
        uint64_t number = view->seen_news + 1;
        uint64_t word =
            atomic_load_explicit(&pool->shared.news[number % KEYPOOL_NEWS], memory_order_acquire);
        int32_t ahead = (int32_t)((uint32_t)(word >> 32) - (uint32_t)number);

        if (ahead < 0)
            return; /* counted and not yet written: next time */
        if (ahead > 0)
            break; /* overtaken */
        view->seen_news = number;
        review(view, (uint32_t)word, now_us);
    }
    if (view->seen_news == count)
        return;
    view->seen_news = count;
    for (uint32_t place = 0; place < view->places; place++)
        review(view, place, now_us);
}

static void tell_seen_news(struct keypool_view *view, uint64_t number)
{
    atomic_store_explicit(&view->pool->locals[view->worker].seen_news, number,
                          memory_order_release);
}

static void take_news(struct keypool_view *view, uint64_t now_us)
{
    struct keypool *pool = view->pool;
    uint64_t count = atomic_load_explicit(&pool->shared.news_count, memory_order_acquire);

    if (view->seen_news == count)
        return;
    if (atomic_load_explicit(&pool->shared.trial_number, memory_order_acquire) !=
        view->trial_number)
        view_take_trial(view);
    read_news(view, count, now_us);
    tell_seen_news(view, view->seen_news);
}

/* ---- the roster ---- */

void view_keep_turns(struct keypool_view *view, const struct lineup *lineup)
{
    for (uint32_t place = 0; place < lineup->places; place++) {
        struct slot *slot = &view->slots[place];

        if (lineup_where(lineup, place) != LINEUP_ABSENT && slot->pass < lineup->now_pass)
            slot->pass = lineup->now_pass;
    }
}

static void forget_lineups(struct keypool_view *view)
{
    for (uint32_t i = 0; i < view->highest; i++) {
        view_keep_turns(view, &view->lineups[i]);
        lineup_fini(&view->lineups[i]);
    }
    view->highest = 0;
    memset(view->memo, 0, sizeof(view->memo));
}

static int grow_slots(struct keypool_view *view, uint32_t places)
{
    struct slot *slots;

    if (places <= view->places)
        return 0;
    slots = mem_realloc(view->slots, places * sizeof(*slots));
    if (!slots)
        return ERR_NOMEM;
    memset(slots + view->places, 0, (places - view->places) * sizeof(*slots));
    view->slots = slots;
    view->places = places;
    return 0;
}

static void list_slot(struct keypool_view *view, uint32_t index, bool is_first)
{
    const struct roster_entry *entry = &view->roster->entries[index];
    struct slot *slot = &view->slots[entry->key->place];

    if (!slot->key) {
        *slot = (struct slot){.key = key_ref(entry->key), .is_new = !is_first};
        slot->local = &slot->key->locals[view->worker];
        /* In the order of the file, and each worker from another key on. */
        slot->pass = (index + view->seed) % view->roster->count;
    }
    bug_fatal_unless(slot->key == entry->key);
    slot->weight_milli = view_weight(view, slot->key);
    slot->tier = entry->tier;
    slot->group = entry->group;
    slot->entry = index;
    slot->is_listed = true;
}

static void drop_slots(struct keypool_view *view)
{
    for (uint32_t i = 0; i < view->places; i++) {
        struct slot *slot = &view->slots[i];

        if (!slot->key || slot->is_listed || slot->in_flight)
            continue;
        key_unref(&slot->key);
        *slot = (struct slot){.key = NULL};
    }
}

/* Without memory the old roster stays, and the next pick tries again. */
static void take_roster(struct keypool_view *view)
{
    struct roster *roster = keypool_roster(view->pool);
    bool is_first = !view->roster;

    if (!roster || roster == view->roster || grow_slots(view, roster->places) != 0) {
        roster_unref(&roster);
        return;
    }
    forget_lineups(view);
    roster_unref(&view->roster);
    view->roster = roster;
    for (uint32_t i = 0; i < view->places; i++)
        view->slots[i].is_listed = false;
    for (uint32_t i = 0; i < roster->count; i++)
        list_slot(view, i, is_first);
    weigh_all(view);
    drop_slots(view);
}

void view_sync(struct keypool_view *view, uint64_t now_us)
{
    uint64_t generation =
        atomic_load_explicit(&view->pool->shared.generation, memory_order_acquire);

    if (!view->roster || view->roster->generation != generation)
        take_roster(view);
    if (view->roster)
        take_news(view, now_us);
}

void keypool_view_catch_up(struct keypool_view *view, uint64_t now_us)
{
    view_sync(view, now_us);
}

/* ---- life ---- */

struct keypool_view *keypool_view_new(struct keypool *pool, uint32_t worker, uint64_t seed)
{
    struct keypool_view *view = mem_zalloc(1, sizeof(*view));

    if (!view)
        return NULL;
    bug_fatal_unless(worker < pool->workers);
    view->pool = keypool_ref(pool);
    view->worker = worker;
    view->seed = seed % KEYPOOL_MAX_KEYS;
    view->seen_news = atomic_load_explicit(&pool->shared.news_count, memory_order_acquire);
    tell_seen_news(view, view->seen_news);
    view_take_trial(view);
    return view;
}

void view_tell_writes(struct keypool_view *view)
{
    _Atomic uint64_t *sum = &view->pool->locals[view->worker].shared_writes;
    uint64_t more = view->shared_writes - view->told_writes;

    if (!more)
        return;
    view->told_writes = view->shared_writes;
    atomic_store_explicit(sum, atomic_load_explicit(sum, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

void keypool_view_free(struct keypool_view **place)
{
    struct keypool_view *view = *place;

    *place = NULL;
    if (!view)
        return;
    view_tell_writes(view);
    tell_seen_news(view, UINT64_MAX);
    trial_unref(&view->trial);
    forget_lineups(view);
    for (uint32_t i = 0; i < view->places; i++) {
        bug_fatal_unless(view->slots[i].in_flight == 0);
        key_unref(&view->slots[i].key);
    }
    mem_free(view->slots);
    roster_unref(&view->roster);
    keypool_unref(&view->pool);
    mem_free(view);
}

uint64_t keypool_view_shared_writes(const struct keypool_view *view)
{
    return view->shared_writes;
}

#include "base/err.h"
#include "keypool/view_body.h"

static bool serves(const struct keypool_view *view, uint32_t group, struct span model,
                   uint64_t pool)
{
    return roster_group_serves(&view->roster->groups[group], model, pool);
}

/* Names the set of groups that serve a request; 0: none does. */
static uint64_t find_signature(struct keypool_view *view, struct span model, uint64_t model_hash,
                               uint64_t pool)
{
    struct view_memo *memo = &view->memo[(model_hash ^ pool) % VIEW_MEMO];
    uint64_t signature = 0;

    if (view->roster->is_uniform)
        return 1;
    if (memo->model_hash == model_hash && memo->pool == pool)
        return memo->signature;
    for (uint32_t i = 0; i < view->roster->group_count; i++) {
        if (serves(view, i, model, pool))
            signature = (signature ^ (i + 1)) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    }
    *memo = (struct view_memo){model_hash, pool, signature};
    return signature;
}

static struct lineup *look_up(struct keypool_view *view, uint64_t signature, uint64_t model_hash)
{
    for (uint32_t i = 0; i < view->highest; i++) {
        struct lineup *lineup = &view->lineups[i];

        if (lineup->signature == signature && lineup->model_hash == model_hash)
            return lineup;
    }
    return NULL;
}

/* A free lineup, or the least recently used one but `keep`. */
static struct lineup *evict(struct keypool_view *view, const struct lineup *keep)
{
    struct lineup *oldest = NULL;

    if (view->highest < VIEW_LINEUPS)
        return &view->lineups[view->highest++];
    for (uint32_t i = 0; i < VIEW_LINEUPS; i++) {
        struct lineup *lineup = &view->lineups[i];

        if (lineup != keep && (!oldest || lineup->used < oldest->used))
            oldest = lineup;
    }
    view_keep_turns(view, oldest);
    lineup_fini(oldest);
    return oldest;
}

/* Turns go on from where those stand who were there: a key that is new has missed none. */
static void find_turn(const struct keypool_view *view, struct lineup *lineup)
{
    uint64_t least = UINT64_MAX;

    for (uint32_t place = 0; place < lineup->places; place++) {
        const struct slot *slot = &view->slots[place];

        if (lineup_where(lineup, place) != LINEUP_ABSENT && !slot->is_new && slot->pass < least)
            least = slot->pass;
    }
    if (least != UINT64_MAX)
        lineup->now_pass = least;
}

static struct lineup *build(struct keypool_view *view, uint64_t signature, struct span model,
                            uint64_t pool, uint64_t now_us)
{
    struct lineup *lineup = evict(view, NULL);
    uint32_t group = UINT32_MAX;
    bool is_serving = false;

    if (lineup_init(lineup, signature, 0, view->places) != 0)
        return NULL;
    for (uint32_t i = 0; i < view->roster->count; i++) {
        const struct roster_entry *entry = &view->roster->entries[i];

        /* Keys of a group mostly follow each other, so that its patterns are matched once. */
        if (entry->group != group) {
            group = entry->group;
            is_serving = serves(view, group, model, pool);
        }
        if (is_serving)
            view_place(view, lineup, entry->key->place, now_us);
    }
    find_turn(view, lineup);
    return lineup;
}

/* What is left of limits differs from model to model, so that each has an order of its own. One
 * takes the place of another only where that was not asked for as often as it costs to build. */
static bool wants_own(const struct keypool_view *view, uint64_t model_hash)
{
    const struct keypool *pool = view->pool;
    uint64_t oldest = view->picks;

    if (view->roster->selection != CONF_SELECTION_HEADROOM ||
        (!atomic_load_explicit(&pool->shared.has_heard, memory_order_relaxed) &&
         !keypool_may_be_limited(pool, model_hash)))
        return false;
    if (view->highest < VIEW_LINEUPS)
        return true;
    for (uint32_t i = 0; i < VIEW_LINEUPS; i++) {
        if (view->lineups[i].used < oldest)
            oldest = view->lineups[i].used;
    }
    return view->picks - oldest > view->places;
}

static struct lineup *split_if_possible(struct keypool_view *view, struct lineup *common,
                                        uint64_t model_hash, uint64_t now_us)
{
    struct lineup *own;

    common->used = view->picks;
    own = view_split_lineup(view, common, model_hash, now_us);
    return own ? own : common;
}

struct lineup *view_find_lineup(struct keypool_view *view, struct span model, uint64_t model_hash,
                                uint64_t pool, uint64_t now_us, int *ret_err)
{
    uint64_t signature = find_signature(view, model, model_hash, pool);
    struct lineup *lineup;

    *ret_err = 0;
    if (signature == 0)
        return NULL;
    lineup = look_up(view, signature, model_hash);
    if (!lineup)
        lineup = look_up(view, signature, 0);
    if (!lineup)
        lineup = build(view, signature, model, pool, now_us);
    if (lineup && lineup->model_hash == 0 && wants_own(view, model_hash))
        lineup = split_if_possible(view, lineup, model_hash, now_us);
    if (!lineup)
        *ret_err = ERR_NOMEM;
    else
        lineup->used = ++view->picks;
    return lineup;
}

struct lineup *view_split_lineup(struct keypool_view *view, const struct lineup *common,
                                 uint64_t model_hash, uint64_t now_us)
{
    struct lineup *lineup = evict(view, common);

    if (lineup_init(lineup, common->signature, model_hash, view->places) != 0)
        return NULL;
    lineup->now_pass = common->now_pass;
    lineup->used = ++view->picks;
    for (uint32_t place = 0; place < common->places; place++) {
        if (lineup_where(common, place) != LINEUP_ABSENT)
            view_place(view, lineup, place, now_us);
    }
    return lineup;
}

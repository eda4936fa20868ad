/*
 * selection: headroom. Ready keys stand by how much of their scarcest limit is used for their
 * weight, in 64 levels; within a level, and where nothing is known, as least_used has them. What is
 * left is shared by workers and by keys of one account, and changes with time: so a pick looks
 * again at whom it finds first, and at one other in turn.
 */
#include "keypool/view_body.h"

enum {
    LATENCY_PART = 8,     /* of a key's average, for each new answer */
    QUICK_PART = 64,      /* of the quick time, by which it follows */
    LATENCY_TIMES = 6,    /* slower than quick answers, before it counts */
    FRESHEN_ALWAYS = 256, /* of more keys, only each so many picks: it costs cold memory */
    FRESHEN_EACH = 4,
    SHARE_OF_LEVEL = HEARD_WHOLE / VIEW_LEVELS,
};

/* A key that was not timed for so long is no longer known to be slow. */
#define LATENCY_FADE_US UINT64_C(10000000)

_Static_assert((int)QUOTA_WHOLE == (int)HEARD_WHOLE, "shares of either can be compared");

static void follow_average(uint64_t *average_us, uint64_t latency_us)
{
    if (*average_us)
        *average_us = *average_us - *average_us / LATENCY_PART + latency_us / LATENCY_PART;
    else
        *average_us = latency_us;
}

/* The time within which a quarter of all answers begin: where most of them come from a slow key, it
 * is still seen to be slow, which the average of all would hide. */
static void follow_quick(uint64_t *quick_us, uint64_t latency_us)
{
    if (!*quick_us)
        *quick_us = latency_us;
    else if (latency_us > *quick_us)
        *quick_us += *quick_us / QUICK_PART + 1;
    else
        *quick_us -= *quick_us * 3 / QUICK_PART;
}

void view_note_latency(struct keypool_view *view, struct slot *slot, uint64_t latency_us,
                       uint64_t now_us)
{
    if (view->roster->selection != CONF_SELECTION_HEADROOM)
        return;
    follow_average(&slot->latency_us, latency_us);
    follow_quick(&view->quick_us, latency_us);
    slot->timed_us = now_us;
}

/* What is left of a key that fails or is slow counts for less. */
static uint32_t weigh(const struct keypool_view *view, const struct slot *slot, uint32_t share,
                      uint64_t now_us)
{
    uint32_t failures = health_read(&slot->key->shared.health).failures;
    uint64_t usual_us = LATENCY_TIMES * view->quick_us;

    if (slot->latency_us > usual_us && usual_us && now_us < slot->timed_us + LATENCY_FADE_US)
        share = (uint32_t)(share * usual_us / slot->latency_us);
    return failures ? share / (failures + 1) : share;
}

/* What is used counts for as much more as the key weighs less than the heaviest, so that keys of
 * the same limit are used in the shares of their weights. Who has nothing left stands last, after
 * those of little weight that have. */
static uint8_t level_of(const struct keypool_view *view, const struct slot *slot, uint32_t share)
{
    uint64_t used = HEARD_WHOLE - share;

    if (slot->weight_milli && slot->weight_milli < view->weight_most)
        used = used * view->weight_most / slot->weight_milli;
    used /= SHARE_OF_LEVEL;
    if (share < SHARE_OF_LEVEL)
        return VIEW_LEVELS - 1;
    return (uint8_t)(used < VIEW_LEVELS - 2 ? used : VIEW_LEVELS - 2);
}

/* The lesser of that share and what is left of declared limits, where there are any. */
static uint32_t with_declared(uint32_t share, const struct quota *quota, uint64_t now_us)
{
    uint32_t declared = quota ? quota_share(quota, now_us) : HEARD_WHOLE;

    return declared < share ? declared : share;
}

uint8_t view_level(const struct keypool_view *view, const struct lineup *lineup,
                   const struct slot *slot, uint64_t now_us)
{
    uint32_t share;

    if (view->roster->selection != CONF_SELECTION_HEADROOM)
        return 0;
    share = lineup->model_hash ? heard_share(view_heard_of(view, slot->key, lineup->model_hash),
                                             key_need(slot->key, lineup->model_hash, 0, 0), now_us)
                               : HEARD_WHOLE;
    share = with_declared(share, key_quota_of(slot->key), now_us);
    if (lineup->model_hash)
        share = with_declared(share, key_quota_for(slot->key, lineup->model_hash), now_us);
    return share == HEARD_WHOLE ? 0 : level_of(view, slot, weigh(view, slot, share, now_us));
}

void view_freshen(struct keypool_view *view, struct lineup *lineup, uint64_t now_us)
{
    uint32_t place = lineup->turn < lineup->places ? lineup->turn : 0;
    struct lineup_spot *spot = &lineup->spots[place];
    uint8_t level;

    if (view->roster->selection != CONF_SELECTION_HEADROOM ||
        (lineup->places > FRESHEN_ALWAYS && view->picks % FRESHEN_EACH))
        return;
    lineup->turn = place + 1;
    /* Who is believed to have all is looked at when it is picked. */
    if (spot->where != LINEUP_READY || spot->level == 0)
        return;
    level = view_level(view, lineup, &view->slots[place], now_us);
    if (level == spot->level)
        return;
    spot->level = level;
    lineup_rank(lineup, place, view_rank(view, &view->slots[place]));
}

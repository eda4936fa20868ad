#include "keypool/pick.h"

enum {
    REFRESH_MAX = 16,  /* looked at again before none is given */
    BARRED_ASKED = 16, /* how many of those who are full */
};

/* Which request under way ends first nobody knows: who has time looks again soon, as for a place;
 * who has none is told how long they mostly take. */
struct standing pick_stand_reserved(const struct pick *pick, uint64_t wait_us)
{
    if (!pick->ask->is_urgent || wait_us < VIEW_GUESS_US)
        wait_us = VIEW_GUESS_US;
    return (struct standing){LINEUP_BARRED, KEYPOOL_FULL, pick->now_us + wait_us};
}

static struct standing judge_quota(const struct pick *pick, const struct quota *quota,
                                   struct standing full)
{
    uint64_t wait_us = 0;

    if (!quota)
        return full;
    switch (quota_look_for(quota, pick->ask->tokens, pick->now_us, &wait_us)) {
    case QUOTA_REQUESTS:
    case QUOTA_TOKENS:
        return (struct standing){LINEUP_BARRED, KEYPOOL_AT_LIMIT, pick->now_us + wait_us};
    case QUOTA_RESERVED:
        return pick_stand_reserved(pick, wait_us);
    case QUOTA_OK:
    case QUOTA_PLACES:
        break;
    }
    return full;
}

/* A key has no room for anything now: what that means for a request of this size. */
static struct standing judge_full(const struct pick *pick, uint32_t place, struct standing full)
{
    const struct key *key = pick->view->slots[place].key;
    struct standing all = judge_quota(pick, key_quota_of(key), full);
    struct standing one = judge_quota(pick, key_quota_for(key, pick->model_hash), full);

    return one.until_us > all.until_us ? one : all;
}

/* In an order that is not of its model a key may stand with less than bars it. */
static struct standing judge_model(const struct pick *pick, uint32_t place, struct standing barred)
{
    struct key *key = pick->view->slots[place].key;
    struct standing standing;

    if (pick->lineup->model_hash || !key_quota_for(key, pick->model_hash))
        return barred;
    standing = view_examine_model(pick->view, key, pick->model_hash, pick->now_us);
    return standing.where == LINEUP_BARRED && standing.until_us > barred.until_us ? standing
                                                                                  : barred;
}

static struct standing told_of(const struct pick *pick, const struct order_entry *entry)
{
    return (struct standing){
        LINEUP_BARRED, (enum keypool_reason)pick->lineup->spots[entry->place].reason, entry->rank};
}

/* Of many that are full, those behind the first BARRED_ASKED may have room soon. */
struct standing pick_first_barred(const struct pick *pick)
{
    const struct order *heap = &pick->lineup->heaps[LINEUP_BARRED];
    uint32_t asked = heap->count < BARRED_ASKED ? heap->count : BARRED_ASKED;
    struct standing first = {LINEUP_OUT, KEYPOOL_NO_REASON, UINT64_MAX};

    for (uint32_t i = 0; i < asked; i++) {
        struct standing barred = told_of(pick, &heap->entries[i]);

        if (barred.reason == KEYPOOL_FULL)
            barred = judge_full(pick, heap->entries[i].place, barred);
        barred = judge_model(pick, heap->entries[i].place, barred);
        if (barred.until_us < first.until_us)
            first = barred;
    }
    if (heap->count > asked && heap->entries[0].rank < first.until_us)
        first = told_of(pick, &heap->entries[0]);
    if (first.where == LINEUP_OUT ||
        (pick->later.where != LINEUP_OUT && pick->later.until_us < first.until_us))
        first = pick->later;
    return first;
}

struct keypool_choice pick_later(const struct pick *pick, enum keypool_reason reason,
                                 uint64_t until_us)
{
    return (struct keypool_choice){
        .verdict = KEYPOOL_LATER,
        .reason = reason,
        .free_at_us = until_us > pick->now_us ? until_us : pick->now_us + 1,
    };
}

struct keypool_choice pick_never(enum keypool_reason reason)
{
    return (struct keypool_choice){.verdict = KEYPOOL_NEVER, .reason = reason};
}

void pick_refresh(struct pick *pick)
{
    for (int where = LINEUP_RESTING; where <= LINEUP_BARRED; where++) {
        const struct order *heap = &pick->lineup->heaps[where];

        for (int i = 0; i < REFRESH_MAX && order_top(heap); i++) {
            struct order_entry top = *order_top(heap);

            view_place(pick->view, pick->lineup, top.place, pick->now_us);
            if (order_top(heap) && order_top(heap)->place == top.place)
                break; /* still the first */
        }
    }
}

struct keypool_choice pick_explain(const struct pick *pick)
{
    const struct lineup *lineup = pick->lineup;
    const struct order_entry *resting = order_top(&lineup->heaps[LINEUP_RESTING]);
    struct standing first = pick_first_barred(pick);

    if (resting && (first.where == LINEUP_OUT || resting->rank < first.until_us))
        return pick_later(pick, KEYPOOL_COOLING, resting->rank);
    if (first.where != LINEUP_OUT)
        return pick_later(pick, first.reason, first.until_us);
    if (pick->has_tried)
        return pick_never(KEYPOOL_TRIED);
    if (pick->lacks_model || order_top(&lineup->heaps[LINEUP_MISSING]))
        return pick_never(KEYPOOL_NO_MODEL);
    if (lineup->out[KEYPOOL_INVALID])
        return pick_never(KEYPOOL_INVALID);
    return pick_never(lineup->out[KEYPOOL_DISABLED] ? KEYPOOL_DISABLED : KEYPOOL_NO_MODEL);
}

const char *keypool_reason_text(enum keypool_reason reason)
{
    static const char *const texts[KEYPOOL_REASONS] = {
        [KEYPOOL_NO_REASON] = "none",
        [KEYPOOL_LIMITED] = "limited",
        [KEYPOOL_AT_LIMIT] = "at_limit",
        [KEYPOOL_FULL] = "full",
        [KEYPOOL_TESTING] = "testing",
        [KEYPOOL_COOLING] = "cooling",
        [KEYPOOL_VALIDATING] = "validating",
        [KEYPOOL_ENDPOINT_OPEN] = "endpoint_open",
        [KEYPOOL_ENDPOINT_RESTING] = "endpoint_resting",
        [KEYPOOL_NO_CAPACITY] = "no_capacity",
        [KEYPOOL_DEPLETED] = "depleted",
        [KEYPOOL_FORBIDDEN] = "forbidden",
        [KEYPOOL_INVALID] = "invalid",
        [KEYPOOL_NO_MODEL] = "no_model",
        [KEYPOOL_DISABLED] = "disabled",
        [KEYPOOL_TRIED] = "tried",
    };

    return texts[reason];
}

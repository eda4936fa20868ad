/*
 * When one who stands in line can have its turn, where that is certain: every key that serves it
 * has declared requests a minute, of which it is known when each comes back. Tokens and places only
 * make it later. Of all other limits nobody knows, and nobody is told anything.
 */
#include "base/clock.h"
#include "base/map.h"
#include "keypool/view_body.h"

/* More keys than these are not looked at, nor more places for them: it is asked for each exchange
 * that is refused, in a storm for hundreds in a turn. */
enum { SUPPLY_KEYS = 16, SUPPLY_PLACES = 256 };

/* A limit that a reload takes away meanwhile lets no more through than can be added up. */
#define LEFT_MAX UINT64_C(1000000000)

/* The limits of a key, or of an account whose keys share them: of all its models, and of this one.
 * Either may be NULL, or limit no requests; not both. */
struct source {
    const struct quota *all, *of_model;
    uint64_t from_us; /* something else stands against it until then */
};

struct supply {
    struct source sources[SUPPLY_KEYS];
    uint32_t count;
    uint64_t more_us; /* when a key whose model is set aside may be there again; UINT64_MAX: none */
};

/* What stands against a key beside its limits, and for how long. */
static uint64_t barred_until(struct standing standing)
{
    bool is_limit = standing.reason == KEYPOOL_AT_LIMIT || standing.reason == KEYPOOL_FULL;

    return standing.where == LINEUP_BARRED && !is_limit ? standing.until_us : 0;
}

/* False where it is unknown how many the key lets through, or there are too many keys. */
static bool add_key(struct supply *supply, struct key *key, uint64_t model_hash, uint64_t from_us)
{
    const struct quota *all = key_quota_of(key), *of_model = key_quota_for(key, model_hash);

    if ((!quota_limits_requests(all) && !quota_limits_requests(of_model)) ||
        (all && adaptive_is_on(&all->adaptive)))
        return false;
    for (uint32_t i = 0; i < supply->count; i++) {
        struct source *source = &supply->sources[i];

        if (source->all != all || source->of_model != of_model)
            continue;
        source->from_us = from_us < source->from_us ? from_us : source->from_us;
        return true;
    }
    if (supply->count == SUPPLY_KEYS)
        return false;
    supply->sources[supply->count++] = (struct source){all, of_model, from_us};
    return true;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool collect(struct keypool_view *view, const struct keypool_ask *ask, uint64_t now_us,
                    struct supply *ret_supply)
{
    uint64_t hash = ask->model_hash ? ask->model_hash : map_hash(ask->model);
    struct lineup *lineup;
    uint32_t looked = 0;
    int err;

    ret_supply->count = 0;
    ret_supply->more_us = UINT64_MAX;
    view_sync(view, now_us);
    lineup =
        view->roster ? view_find_lineup(view, ask->model, hash, ask->pool, now_us, &err) : NULL;
    if (!lineup || lineup->members > SUPPLY_KEYS || lineup->places > SUPPLY_PLACES)
        return false;
    for (uint32_t i = 0; i < lineup->places; i++) {
        struct standing standing;

        if (lineup_where(lineup, i) == LINEUP_ABSENT || !view->slots[i].key)
            continue;
        if (looked++ == SUPPLY_KEYS)
            return false;
        standing = view_examine(view, &view->slots[i], hash, now_us);
        if (standing.where == LINEUP_MISSING)
            ret_supply->more_us = smaller(ret_supply->more_us, standing.until_us);
        else if (standing.where != LINEUP_OUT &&
                 !add_key(ret_supply, view->slots[i].key, hash, barred_until(standing)))
            return false;
    }
    return ret_supply->count > 0;
}

/* UINT64_MAX: it limits none. */
static uint64_t left_at(const struct quota *quota, uint64_t at_us)
{
    if (!quota_limits_requests(quota))
        return UINT64_MAX;
    return window_left_at(&quota->requests, atomic_load_explicit(&quota->rpm, memory_order_relaxed),
                          at_us);
}

/* How many may have begun by then, if nobody else takes any. */
static uint64_t count_by(const struct supply *supply, uint64_t at_us)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < supply->count; i++) {
        const struct source *source = &supply->sources[i];

        if (source->from_us <= at_us)
            sum += smaller(LEFT_MAX,
                           smaller(left_at(source->all, at_us), left_at(source->of_model, at_us)));
    }
    return sum;
}

/* Windows give back at whole seconds: the first of them by which more than `ahead` may have begun,
 * at last that by which all of a window are back. */
static uint64_t find_second(const struct supply *supply, uint64_t ahead, uint64_t now_us)
{
    uint64_t first = now_us / US_PER_SEC, low = 0, high = WINDOW_SPAN;

    while (low < high) {
        uint64_t middle = (low + high) / 2;

        if (count_by(supply, (first + middle) * US_PER_SEC) > ahead)
            high = middle;
        else
            low = middle + 1;
    }
    return (first + low) * US_PER_SEC;
}

/* When the first of those is back that are away for longer than a window. */
static uint64_t next_beyond(const struct supply *supply, uint64_t window_us)
{
    uint64_t next_us = supply->more_us;

    for (uint32_t i = 0; i < supply->count; i++) {
        if (supply->sources[i].from_us > window_us)
            next_us = smaller(next_us, supply->sources[i].from_us);
    }
    return next_us;
}

uint64_t keypool_supply_us(struct keypool_view *view, const struct keypool_ask *ask, uint64_t ahead,
                           uint64_t now_us)
{
    struct supply supply;
    uint64_t window_us, whole, windows, turn_us;

    if (!collect(view, ask, now_us, &supply))
        return 0;
    window_us = now_us + WINDOW_SPAN * US_PER_SEC;
    whole = count_by(&supply, window_us);
    if (whole == 0)
        return 0;
    windows = ahead / whole;
    turn_us = find_second(&supply, ahead % whole, now_us) + windows * WINDOW_SPAN * US_PER_SEC;
    /* From when on more than these serve it, nothing is certain. */
    return smaller(turn_us, next_beyond(&supply, window_us));
}

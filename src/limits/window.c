#include "limits/window.h"

enum { UNIT_BITS = 40 };

#define UNIT_MASK     ((UINT64_C(1) << UNIT_BITS) - 1)
#define SECOND_MASK   UINT32_C(0xffffff)
#define US_PER_SECOND UINT64_C(1000000)

_Static_assert((WINDOW_BUCKETS & (WINDOW_BUCKETS - 1)) == 0 && WINDOW_SPAN <= WINDOW_BUCKETS,
               "a second's bucket must not be reused while it counts");

/* Seconds start at WINDOW_BUCKETS, so that an unused bucket (second 0) never counts. */
static uint64_t second_at(uint64_t now_us)
{
    return now_us / US_PER_SECOND + WINDOW_BUCKETS;
}

static uint32_t second_of(uint64_t word)
{
    return (uint32_t)(word >> UNIT_BITS);
}

static uint64_t pack(uint64_t second, uint64_t units)
{
    return (second & SECOND_MASK) << UNIT_BITS | (units > UNIT_MASK ? UNIT_MASK : units);
}

static bool counts(uint64_t word, uint64_t second)
{
    return (((uint32_t)second - second_of(word)) & SECOND_MASK) < WINDOW_SPAN;
}

static uint64_t cut(uint64_t units)
{
    return units < WINDOW_MAX_UNITS ? units : WINDOW_MAX_UNITS;
}

static uint64_t load(const struct window *window, uint64_t second)
{
    return atomic_load_explicit(&window->buckets[second % WINDOW_BUCKETS], memory_order_relaxed);
}

void window_init(struct window *window)
{
    for (int i = 0; i < WINDOW_BUCKETS; i++)
        atomic_init(&window->buckets[i], 0);
}

static uint64_t used_at(const struct window *window, uint64_t second)
{
    uint64_t sum = 0;

    for (int i = 0; i < WINDOW_BUCKETS; i++) {
        uint64_t word = atomic_load_explicit(&window->buckets[i], memory_order_relaxed);

        if (counts(word, second))
            sum += word & UNIT_MASK;
    }
    return sum;
}

uint64_t window_used(const struct window *window, uint64_t now_us)
{
    return used_at(window, second_at(now_us));
}

uint64_t window_left_at(const struct window *window, uint64_t limit, uint64_t at_us)
{
    uint64_t used = used_at(window, second_at(at_us));

    return used < limit ? limit - used : 0;
}

/* The time until the oldest buckets have given up at least `excess` units. */
static uint64_t wait_for(const struct window *window, uint64_t excess, uint64_t now_us)
{
    uint64_t now_second = second_at(now_us);

    for (uint64_t age = WINDOW_SPAN - 1; age > 0; age--) {
        uint64_t word = load(window, now_second - age);
        uint64_t units = counts(word, now_second) ? word & UNIT_MASK : 0;

        if (units >= excess)
            return (WINDOW_SPAN - age) * US_PER_SECOND - now_us % US_PER_SECOND;
        excess -= units;
    }
    return WINDOW_SPAN * US_PER_SECOND - now_us % US_PER_SECOND;
}

uint64_t window_wait_us(const struct window *window, uint64_t limit, uint64_t units,
                        uint64_t now_us)
{
    uint64_t need = cut(units < limit ? units : limit);
    uint64_t used = window_used(window, now_us);

    return used + need <= limit ? 0 : wait_for(window, used + need - limit, now_us);
}

static void store(struct window *window, uint64_t second, uint64_t units)
{
    atomic_store_explicit(&window->buckets[second % WINDOW_BUCKETS], pack(second, units),
                          memory_order_relaxed);
}

/* Adds units to the bucket of that second; an older second's count gives way to it. */
static void book(struct window *window, uint64_t second, uint64_t units)
{
    uint64_t word = load(window, second);
    bool is_mine = second_of(word) == (second & SECOND_MASK);

    store(window, second, (is_mine ? word & UNIT_MASK : 0) + units);
}

/* Takes units out of the bucket of that second, where it still stands. */
static void unbook(struct window *window, uint64_t second, uint64_t units)
{
    uint64_t word = load(window, second), had = word & UNIT_MASK;

    if (second_of(word) == (second & SECOND_MASK))
        store(window, second, had > units ? had - units : 0);
}

struct window_stamp window_take(struct window *window, uint64_t limit, uint64_t units,
                                uint64_t now_us)
{
    struct window_stamp stamp = {(uint32_t)second_at(now_us), cut(units < limit ? units : limit)};

    book(window, stamp.second, stamp.units);
    return stamp;
}

bool window_is_stale(const struct window_stamp *stamp, uint64_t now_us)
{
    return stamp->units != 0 && stamp->second != (uint32_t)second_at(now_us);
}

void window_move(struct window *window, struct window_stamp *stamp, uint64_t now_us)
{
    uint32_t second = (uint32_t)second_at(now_us);

    if (!window_is_stale(stamp, now_us))
        return;
    /* First into the new second, so that whoever reads meanwhile sees them. */
    book(window, second, stamp->units);
    unbook(window, stamp->second, stamp->units);
    stamp->second = second;
}

uint64_t window_age_us(const struct window_stamp *stamp, uint64_t now_us)
{
    uint32_t second = (uint32_t)second_at(now_us);

    return second > stamp->second ? (second - stamp->second) * US_PER_SECOND : 0;
}

void window_settle(struct window *window, struct window_stamp *stamp, uint64_t units,
                   uint64_t now_us)
{
    uint64_t actual = cut(units);

    if (actual > stamp->units)
        book(window, second_at(now_us), actual - stamp->units);
    else if (actual < stamp->units)
        unbook(window, stamp->second, stamp->units - actual);
    stamp->units = 0;
}

void window_merge(struct window *window, const struct window *from, bool is_sum, uint64_t now_us)
{
    uint64_t now_second = second_at(now_us);

    for (uint64_t age = 0; age < WINDOW_SPAN; age++) {
        uint64_t second = now_second - age, word = load(from, second), mine = load(window, second);
        uint64_t units = word & UNIT_MASK, had = mine & UNIT_MASK;

        if (second_of(word) != (second & SECOND_MASK) || units == 0)
            continue;
        if (second_of(mine) != (second & SECOND_MASK))
            had = 0;
        if (is_sum)
            units += had;
        store(window, second, units > had ? units : had);
    }
}

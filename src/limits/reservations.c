#include "limits/reservations.h"

enum {
    SHARE_BITS = 16,
    MEMORY = 8, /* the share is known of about so many, large ones first */
};

/* As many as a window holds (limits/window.h): so that a share of them is counted in a word. */
#define UNITS_MAX (UINT64_C(1) << 38)

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

void reservations_init(struct reservations *reservations)
{
    atomic_init(&reservations->units, 0);
    atomic_init(&reservations->back_q16, 1 << SHARE_BITS);
    hold_time_init(&reservations->held);
    atomic_init(&reservations->wanted, 0);
    atomic_init(&reservations->wanted_until_us, 0);
    reservations->reserved = reservations->returned = 0;
}

void reservations_take(struct reservations *reservations, uint64_t units)
{
    store(&reservations->units, load(&reservations->units) + units);
}

void reservations_cancel(struct reservations *reservations, uint64_t units)
{
    uint64_t all = load(&reservations->units);

    store(&reservations->units, all > units ? all - units : 0);
}

void reservations_end(struct reservations *reservations, uint64_t units, uint64_t back,
                      uint64_t held_us)
{
    uint64_t cut = units < UNITS_MAX ? units : UNITS_MAX;

    reservations_cancel(reservations, units);
    if (units == 0)
        return;
    reservations->reserved += cut - reservations->reserved / MEMORY;
    reservations->returned += (back < cut ? back : cut) - reservations->returned / MEMORY;
    if (reservations->returned > reservations->reserved)
        reservations->returned = reservations->reserved;
    atomic_store_explicit(
        &reservations->back_q16,
        (uint32_t)((reservations->returned << SHARE_BITS) / reservations->reserved),
        memory_order_relaxed);
    if (held_us != RESERVATIONS_UNTIMED)
        hold_time_note(&reservations->held, held_us);
}

void reservations_note_refused(struct reservations *reservations, uint64_t units, uint64_t until_us)
{
    store(&reservations->wanted, units);
    if (load(&reservations->wanted_until_us) < until_us)
        store(&reservations->wanted_until_us, until_us);
}

uint64_t reservations_expected(const struct reservations *reservations)
{
    uint64_t units = load(&reservations->units);
    uint32_t back = atomic_load_explicit(&reservations->back_q16, memory_order_relaxed);

    return ((units < UNITS_MAX ? units : UNITS_MAX) * back) >> SHARE_BITS;
}

uint32_t reservations_wakes(const struct reservations *reservations, uint64_t back, uint64_t now_us)
{
    uint64_t wanted = load(&reservations->wanted), count;

    if (back == 0 || wanted == 0 || load(&reservations->wanted_until_us) <= now_us)
        return 0;
    count = back / wanted;
    if (count == 0)
        return 1; /* with what was left, or for a smaller one */
    return count < RESERVATIONS_WAKES ? (uint32_t)count : RESERVATIONS_WAKES;
}

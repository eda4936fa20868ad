#include "limits/tally.h"

static uint64_t pack(uint64_t turn, uint64_t count)
{
    return turn << 32 | (count > UINT32_MAX ? UINT32_MAX : count);
}

/* Which bucket's time it is, counted from the start of the clock; never 0, which is "unused". */
static uint32_t turn_at(uint64_t window_us, uint64_t now_us)
{
    uint64_t width = window_us / TALLY_BUCKETS;

    return (uint32_t)(now_us / (width ? width : 1)) + TALLY_BUCKETS;
}

static uint64_t one_more(uint64_t word, uint32_t turn)
{
    return (word >> 32) == turn ? pack(turn, (word & UINT32_MAX) + 1) : pack(turn, 1);
}

void tally_init(struct tally *tally)
{
    for (int i = 0; i < TALLY_BUCKETS; i++)
        atomic_init(&tally->buckets[i], 0);
}

void tally_add(struct tally *tally, uint64_t window_us, uint64_t now_us)
{
    uint32_t turn = turn_at(window_us, now_us);
    _Atomic uint64_t *bucket = &tally->buckets[turn % TALLY_BUCKETS];
    uint64_t word = atomic_load_explicit(bucket, memory_order_relaxed);

    atomic_store_explicit(bucket, one_more(word, turn), memory_order_relaxed);
}

void tally_add_shared(struct tally *tally, uint64_t window_us, uint64_t now_us)
{
    uint32_t turn = turn_at(window_us, now_us);
    _Atomic uint64_t *bucket = &tally->buckets[turn % TALLY_BUCKETS];
    uint64_t word = atomic_load_explicit(bucket, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(bucket, &word, one_more(word, turn),
                                                  memory_order_relaxed, memory_order_relaxed))
        continue;
}

uint64_t tally_sum(const struct tally *tally, uint64_t window_us, uint64_t now_us)
{
    uint32_t turn = turn_at(window_us, now_us);
    uint64_t sum = 0;

    for (int i = 0; i < TALLY_BUCKETS; i++) {
        uint64_t word = atomic_load_explicit(&tally->buckets[i], memory_order_relaxed);

        if (turn - (uint32_t)(word >> 32) < TALLY_BUCKETS)
            sum += word & UINT32_MAX;
    }
    return sum;
}

void tally_clear(struct tally *tally)
{
    for (int i = 0; i < TALLY_BUCKETS; i++)
        atomic_store_explicit(&tally->buckets[i], 0, memory_order_relaxed);
}

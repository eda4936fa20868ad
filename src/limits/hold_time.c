#include "limits/hold_time.h"

/* Of the mean, what one more says. */
enum { MEAN_WEIGHT = 16 };

void hold_time_init(struct hold_time *time)
{
    atomic_init(&time->mean_us, 0);
}

void hold_time_note(struct hold_time *time, uint64_t held_us)
{
    uint64_t mean = hold_time_us(time);

    if (held_us == 0)
        held_us = 1;
    if (mean == 0)
        mean = held_us;
    else if (held_us > mean)
        mean += (held_us - mean) / MEAN_WEIGHT;
    else
        mean -= (mean - held_us) / MEAN_WEIGHT;
    atomic_store_explicit(&time->mean_us, mean, memory_order_relaxed);
}

#include "limits/concurrency.h"

#include "base/bug.h"

void concurrency_init(struct concurrency *concurrency)
{
    atomic_init(&concurrency->used, 0);
}

bool concurrency_enter(struct concurrency *concurrency, uint32_t max)
{
    if (atomic_load_explicit(&concurrency->used, memory_order_relaxed) >= max)
        return false;
    if (atomic_fetch_add_explicit(&concurrency->used, 1, memory_order_relaxed) < max)
        return true;
    atomic_fetch_sub_explicit(&concurrency->used, 1, memory_order_relaxed);
    return false;
}

bool concurrency_leave(struct concurrency *concurrency, uint32_t max)
{
    uint32_t before = atomic_fetch_sub_explicit(&concurrency->used, 1, memory_order_relaxed);

    bug_fatal_unless(before > 0);
    /* Not only at before == max: one that was refused may have stood in the count for an instant,
     * and a smaller maximum may have come meanwhile. */
    return before >= max;
}

uint32_t concurrency_used(const struct concurrency *concurrency)
{
    return atomic_load_explicit(&concurrency->used, memory_order_relaxed);
}

#include "limits/concurrency.h"

#include "base/bug.h"

void concurrency_init(struct concurrency *concurrency)
{
    atomic_init(&concurrency->used, 0);
}

bool concurrency_enter(struct concurrency *concurrency, uint32_t max)
{
    uint32_t used = concurrency_used(concurrency);

    if (used >= max)
        return false;
    atomic_store_explicit(&concurrency->used, used + 1, memory_order_relaxed);
    return true;
}

bool concurrency_leave(struct concurrency *concurrency, uint32_t max)
{
    uint32_t used = concurrency_used(concurrency);

    bug_fatal_unless(used > 0);
    atomic_store_explicit(&concurrency->used, used - 1, memory_order_relaxed);
    /* Not only where it equals: a smaller maximum may have come meanwhile. */
    return used >= max;
}

uint32_t concurrency_used(const struct concurrency *concurrency)
{
    return atomic_load_explicit(&concurrency->used, memory_order_relaxed);
}

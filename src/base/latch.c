#include "base/latch.h"

#include <sched.h>

enum { SPINS = 64 };

void latch_init(struct latch *latch)
{
    atomic_init(&latch->is_taken, false);
}

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void latch_wait(struct latch *latch)
{
    unsigned spins = 0;

    do {
        /* Reading alone leaves the line with its holder, who is about to write it. */
        while (atomic_load_explicit(&latch->is_taken, memory_order_relaxed)) {
            if (++spins % SPINS == 0)
                sched_yield();
            else
                pause_briefly();
        }
    } while (atomic_exchange_explicit(&latch->is_taken, true, memory_order_acquire));
}

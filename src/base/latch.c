#include "base/latch.h"

#include <sched.h>

enum { SPINS = 64 };

void latch_init(struct latch *latch)
{
    atomic_flag_clear(&latch->is_taken);
}

static void pause_briefly(void)
{
#ifdef __x86_64__
    __builtin_ia32_pause();
#endif
}

void latch_wait(struct latch *latch)
{
    unsigned spins = 0;

    while (atomic_flag_test_and_set_explicit(&latch->is_taken, memory_order_acquire)) {
        if (++spins % SPINS == 0)
            sched_yield();
        else
            pause_briefly();
    }
}

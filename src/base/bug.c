#include "base/bug.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* The one counter of this folder: a bug may be found where no owner is at hand to count it. */
static atomic_ulong bugs;

_Noreturn void bug_abort(const char *file, int line, const char *claim)
{
    fprintf(stderr, "bellwether: bug at %s:%d: %s does not hold\n", file, line, claim);
    abort();
}

bool bug_note(const char *file, int line, const char *claim)
{
    atomic_fetch_add_explicit(&bugs, 1, memory_order_relaxed);
#ifdef BW_RELEASE
    fprintf(stderr, "bellwether: bug at %s:%d: %s does not hold; the exchange ends with 500\n",
            file, line, claim);
    return true;
#else
    bug_abort(file, line, claim);
#endif
}

unsigned long bug_count(void)
{
    return atomic_load_explicit(&bugs, memory_order_relaxed);
}

#include "limits/priority.h"

#include "base/bug.h"

struct span priority_name(enum priority priority)
{
    switch (priority) {
    case PRIORITY_CRITICAL:
        return SPAN("critical");
    case PRIORITY_BATCH:
        return SPAN("batch");
    case PRIORITY_STANDARD:
    case PRIORITIES:
        break;
    }
    return SPAN("standard");
}

enum priority priority_of(struct span name)
{
    if (span_is_equal_nocase(name, priority_name(PRIORITY_CRITICAL)))
        return PRIORITY_CRITICAL;
    if (span_is_equal_nocase(name, priority_name(PRIORITY_BATCH)))
        return PRIORITY_BATCH;
    return PRIORITY_STANDARD;
}

enum priority priority_pick(struct span own, struct span wish)
{
    enum priority highest = priority_of(own), wished = wish.len ? priority_of(wish) : highest;

    return wished > highest ? wished : highest;
}

/* The one that was passed over most of those whose share is due; where none is, the highest. */
static enum priority choose(const struct priority_turns *turns, uint32_t waiting)
{
    enum priority chosen = PRIORITIES;
    uint32_t most = PRIORITY_SHARE - 2;

    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++) {
        if ((waiting & (1u << p)) && turns->passed[p] > most) {
            chosen = p;
            most = turns->passed[p];
        }
    }
    for (enum priority p = PRIORITY_CRITICAL; chosen == PRIORITIES && p < PRIORITIES; p++) {
        if (waiting & (1u << p))
            chosen = p;
    }
    return chosen;
}

enum priority priority_next(struct priority_turns *turns, uint32_t waiting)
{
    enum priority chosen = choose(turns, waiting);

    bug_fatal_unless(chosen < PRIORITIES);
    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++) {
        if (p != chosen && (waiting & (1u << p)))
            turns->passed[p]++;
    }
    turns->passed[chosen] = 0;
    return chosen;
}

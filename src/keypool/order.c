#include "keypool/order.h"

#include "base/bug.h"

enum { CHILDREN = 4 };

static void put(struct order *order, uint32_t *positions, struct order_entry entry, uint32_t at)
{
    order->entries[at] = entry;
    positions[entry.place] = at;
}

static void sift_up(struct order *order, uint32_t *positions, struct order_entry entry, uint32_t at)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / CHILDREN;

        if (order->entries[parent].rank <= entry.rank)
            break;
        put(order, positions, order->entries[parent], at);
        at = parent;
    }
    put(order, positions, entry, at);
}

static uint32_t lesser(const struct order *order, uint32_t a, uint32_t b)
{
    return order->entries[b].rank < order->entries[a].rank ? b : a;
}

/* Of the last node's children some may be missing; all others have theirs, and are what a walk goes
 * by: which is the least is as good as random, so nothing is guessed by branches. */
static uint32_t least_child(const struct order *order, uint32_t at)
{
    uint32_t first = CHILDREN * at + 1, least = first;

    if (first + CHILDREN <= order->count)
        return lesser(order, lesser(order, first, first + 1), lesser(order, first + 2, first + 3));
    for (uint32_t i = first + 1; i < order->count; i++)
        least = lesser(order, least, i);
    return least;
}

static void sift_down(struct order *order, uint32_t *positions, struct order_entry entry,
                      uint32_t at)
{
    while (CHILDREN * at + 1 < order->count) {
        uint32_t child = least_child(order, at);

        if (order->entries[child].rank >= entry.rank)
            break;
        put(order, positions, order->entries[child], at);
        at = child;
    }
    put(order, positions, entry, at);
}

void order_push(struct order *order, uint32_t *positions, uint32_t place, uint64_t rank)
{
    sift_up(order, positions, (struct order_entry){rank, place}, order->count++);
}

void order_move(struct order *order, uint32_t *positions, uint32_t place, uint64_t rank)
{
    uint32_t at = positions[place];
    uint64_t old = order->entries[at].rank;

    bug_fatal_unless(at < order->count && order->entries[at].place == place);
    if (rank < old)
        sift_up(order, positions, (struct order_entry){rank, place}, at);
    else
        sift_down(order, positions, (struct order_entry){rank, place}, at);
}

void order_remove(struct order *order, uint32_t *positions, uint32_t place)
{
    uint32_t at = positions[place];
    struct order_entry last;

    bug_fatal_unless(at < order->count && order->entries[at].place == place);
    last = order->entries[--order->count];
    if (last.place == place)
        return;
    if (at > 0 && order->entries[(at - 1) / CHILDREN].rank > last.rank)
        sift_up(order, positions, last, at);
    else
        sift_down(order, positions, last, at);
}

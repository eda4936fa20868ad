#include "keypool/order.h"

#include "base/bug.h"

static void put(struct order *order, uint32_t *positions, struct order_entry entry, uint32_t at)
{
    order->entries[at] = entry;
    positions[entry.place] = at;
}

static void sift_up(struct order *order, uint32_t *positions, struct order_entry entry, uint32_t at)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / ORDER_CHILDREN;

        if (order->entries[parent].rank <= entry.rank)
            break;
        put(order, positions, order->entries[parent], at);
        at = parent;
    }
    put(order, positions, entry, at);
}

/* Which of four children is the least is as good as random: it is reckoned, since a branch would be
 * guessed wrong every other time. */
static uint32_t least_of_four(const struct order_entry *entries, uint32_t first)
{
    uint32_t left = first + (entries[first + 1].rank < entries[first].rank);
    uint32_t right = first + 2 + (entries[first + 3].rank < entries[first + 2].rank);
    uint32_t is_right = entries[right].rank < entries[left].rank;

    return left ^ ((left ^ right) & (0 - is_right));
}

/* Of the last node's children some may be missing. */
static uint32_t least_of_last(const struct order *order, uint32_t first)
{
    uint32_t least = first;

    for (uint32_t i = first + 1; i < order->count; i++) {
        if (order->entries[i].rank < order->entries[least].rank)
            least = i;
    }
    return least;
}

static void sift_down(struct order *order, uint32_t *positions, struct order_entry entry,
                      uint32_t at)
{
    const struct order_entry *entries = order->entries;
    uint32_t count = order->count, first = ORDER_CHILDREN * at + 1;

    while (first < count) {
        uint32_t child = first + ORDER_CHILDREN <= count ? least_of_four(entries, first)
                                                         : least_of_last(order, first);

        if (entries[child].rank >= entry.rank)
            break;
        put(order, positions, entries[child], at);
        at = child;
        first = ORDER_CHILDREN * at + 1;
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
    if (at > 0 && order->entries[(at - 1) / ORDER_CHILDREN].rank > last.rank)
        sift_up(order, positions, last, at);
    else
        sift_down(order, positions, last, at);
}

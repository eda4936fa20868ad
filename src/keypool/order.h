/*
 * A heap of places (small numbers that stand for keys) by a 64-bit rank: four children a node, the
 * ranks beside each other, so that ten thousand keys are seven cache lines deep. base/heap holds
 * pointers to nodes and would touch a line for every rank it compares. The positions stand outside,
 * in an array indexed by place, and may be shared by several orders where a place is in one of them
 * at a time. Internal to keypool/. One thread.
 */
#ifndef KEYPOOL_ORDER_H
#define KEYPOOL_ORDER_H

#include <stdbool.h>
#include <stdint.h>

enum { ORDER_CHILDREN = 4 };

struct order_entry {
    uint64_t rank;
    uint32_t place;
};

/* `entries` has room for every place there is. */
struct order {
    struct order_entry *entries;
    uint32_t count;
};

/* A place that is in no order of these positions. */
void order_push(struct order *order, uint32_t *positions, uint32_t place, uint64_t rank);

/* One that is in this order. */
void order_move(struct order *order, uint32_t *positions, uint32_t place, uint64_t rank);
void order_remove(struct order *order, uint32_t *positions, uint32_t place);

/* The least rank's; NULL where the order is empty. */
static inline const struct order_entry *order_top(const struct order *order)
{
    return order->count ? &order->entries[0] : 0;
}

#endif

/*
 * Whose turn it is, where one of two gets a share of what comes: the share is counted up with each
 * pick, and once in every whole, at a place that chance decides, the turn is the newcomer's. So the
 * share is exact to one, however small it is, and no rhythm among the picks can give the newcomer
 * one kind of them only. Embedded in its owner; one thread. Pure.
 */
#ifndef CANARY_TURNS_H
#define CANARY_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rand.h"

#define TURNS_WHOLE_PPM UINT32_C(1000000)

struct turns {
    struct rand rand;
    int32_t passed; /* of this whole, in millionths; below 0: a turn was taken early */
    int32_t mark;   /* where its turn comes: 1 to the whole */
    bool is_due;    /* it has come, and is not taken yet: no second one adds up behind it */
};

/* The first whole begins. */
void turns_init(struct turns *turns, uint64_t seed);

/* One more pick: is it the newcomer's turn? It stays so until the turn is taken. share_ppm is at
 * most the whole. */
bool turns_step(struct turns *turns, uint32_t share_ppm);

/* The newcomer was picked, in its turn or not: one fewer to come. */
void turns_take(struct turns *turns);

/* It was not, after all. */
void turns_give_back(struct turns *turns);

#endif

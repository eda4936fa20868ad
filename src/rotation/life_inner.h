/*
 * What the parts of a life share: life.c holds the steps and the orders, life_tasks.c what follows
 * from them. Private to rotation/.
 */
#ifndef ROTATION_LIFE_INNER_H
#define ROTATION_LIFE_INNER_H

#include "rotation/life.h"

/* The clocks, both in microseconds. */
struct life_now {
    uint64_t us, wall_us;
};

/* Goes to a step of which the table knows; the reason is cut to fit, NULL for the usual. */
void life_move(struct life *life, struct life_key *key, enum life_step to, const char *reason,
               const struct life_now *now);

/* A rotation has ended. */
void life_end_rotation(struct life *life, bool is_good, const struct life_now *now);

/* It has to be written down. */
void life_touch(struct life *life);

/* A further try of the same order under another name, in the place of a key that was given up: none
 * where it was the last, or where there is no room. */
void life_renew(struct life *life, const struct life_rules *rules, const struct life_key *failed,
                const struct life_now *now);

#endif

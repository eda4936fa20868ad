/*
 * What the parts of a life share: life.c holds the steps, life_orders.c what begins, life_tasks.c
 * what follows, life_file.c what the file's changes mean. Private to rotation/.
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

/* The first in those steps; NULL. */
struct life_key *life_find_at(struct life *life, enum life_step from, enum life_step to);

/* A new secret of the file that waits until no other successor is under way. */
bool life_is_waiting(const struct life_key *key);

/* In whose place it comes; NULL: nobody's, or it is not known any more. */
struct life_key *life_predecessor(struct life *life, const struct life_key *key);

/* It serves no more, and could again. */
bool life_can_be_back(const struct life_key *key);

/* There is room for so many more. */
bool life_has_room(struct life *life, uint32_t count);

/* No key has it, and it fits. */
bool life_is_nameable(struct life *life, struct span name);

/* There is room, and the name fits. */
struct life_key *life_add(struct life *life, struct span name, enum life_step step,
                          const struct life_now *now);

/* The key of that name is another one from now on; a task that is under way has to end first. */
void life_begin_anew(struct life *life, struct life_key *key, enum life_step step,
                     const struct life_now *now);

/* A further try of the same order under another name, in the place of a key that was given up: none
 * where it was the last, or where there is no room. */
void life_renew(struct life *life, const struct life_rules *rules, const struct life_key *failed,
                const struct life_now *now);

#endif

/*
 * A world for the life of keys: an issuer that may time out and make the key all the same, a secret
 * store that may be away, a pool, and a process that may die at any moment and begin again from
 * what was written down. Virtual time; everything follows from the seed. After each step the world
 * checks what must always hold.
 */
#ifndef TESTS_ROTATION_LIFE_WORLD_H
#define TESTS_ROTATION_LIFE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"
#include "rotation/life.h"
#include "rotation/life_text.h"

enum { WORLD_KEYS = 512, WORLD_TASKS = 64 };

struct world_key {
    char name[LIFE_NAME_BYTES], id[32];
    uint64_t alive_from_us; /* late: the answer was lost before it was made */
    bool is_alive, is_kept;
};

struct world_pool_key {
    char name[LIFE_NAME_BYTES];
    enum life_standing standing;
};

struct world_task {
    struct life_task task;
    uint64_t due_us;
    char text[LIFE_TEXT_MAX_BYTES / 4]; /* of LIFE_RECORD */
};

/* How likely things go wrong, in parts of a hundred. */
struct world_faults {
    unsigned crash, create_lost, create_refused, store_away, unknown_key, issuer_away;
};

struct world {
    struct life life;
    struct life_rules rules;
    struct world_faults faults;
    struct rand rand;
    uint64_t now_us, wall_us, next_us;
    char recorded[LIFE_TEXT_MAX_BYTES / 4];
    struct world_key keys[WORLD_KEYS];
    uint32_t key_count;
    struct world_pool_key pool[WORLD_KEYS];
    uint32_t pool_count;
    struct world_task *tasks[WORLD_TASKS];
    uint32_t task_count;
    uint32_t orders, crashes, promotions, losses, moves;
    bool may_be_empty; /* a leak has put out the only key */
};

/* One key, "file", in the configuration. Freed by world_end. */
struct world *world_begin(uint64_t seed);
void world_end(struct world **world);

/* An order to replace whichever key serves: what came of it. */
enum life_begun world_order(struct world *world, enum life_trigger trigger);

/* The next thing happens: a task ends, or time passes to the next that is due. False where nothing
 * will. */
bool world_step(struct world *world);

/* The process dies and begins again. */
void world_crash(struct world *world);

/* Steps until nothing is to be done, a canary apart. */
void world_settle(struct world *world);

/* How many keys serve with their whole weight. */
uint32_t world_serving(const struct world *world);

/* Nothing may be left but what serves: alive at the issuer and in the store are the active keys. */
void world_check_end(struct world *world);

#endif

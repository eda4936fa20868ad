/*
 * A world for migrations: two sides that fail as they are told, a disk that takes its time or
 * refuses, operators who order what they like, and a process that may die at any moment and goes on
 * from what was written down. Virtual time; everything follows from the seed. After each step the
 * world checks what must always hold.
 */
#ifndef TESTS_MIGRATION_WORLD_H
#define TESTS_MIGRATION_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/rand.h"
#include "migration/migration.h"

struct world {
    struct migration migration;
    struct migration_rules rules;
    struct rand rand;
    uint64_t now_us, wall_us;
    /* The traffic: requests in a second, and how many of ten thousand fail on each side. */
    unsigned per_second, fails[CROSSING_SIDES];
    /* Of a hundred steps. */
    unsigned orders, crashes, refusals;
    /* What is on the disk. */
    char recorded[MIGRATION_TEXT_BYTES];
    char recorded_reason[MIGRATION_REASON_BYTES];
    char writing[MIGRATION_TEXT_BYTES];
    char writing_reason[MIGRATION_REASON_BYTES];
    uint64_t written_at_us;     /* when what is being written is on the disk */
    struct crossing_stand disk; /* what it says */
    struct crossing_stand last; /* in force, after the step before */
    unsigned steps, deaths, done[MIGRATION_ORDERS];
    bool was_ended;
};

/* Nothing was written down so far. `initial: 10%, first_hold: 60s, step: 30%, every: 60s` */
void world_begin(struct world *world, uint64_t seed);

/* 100 ms pass: traffic, evidence, the disk, and perhaps an order or a death. */
void world_step(struct world *world);

/* Steps until the state is one that stays, or so many seconds have passed. */
void world_play(struct world *world, unsigned seconds);

/* The process dies and begins again. */
void world_crash(struct world *world);

#endif

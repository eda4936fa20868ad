/* A provider's regions on virtual time, for tests: what each does is set, requests are sent as an
 * exchange would send them (one region after the other, a breaker aside), and counted. */
#ifndef TESTS_REGIONS_WORLD_H
#define TESTS_REGIONS_WORLD_H

#include "base/rand.h"
#include "regions/regions.h"

enum { WORLD_MAX = 8, WORLD_PROBE_EVERY_MS = 10000 };

struct world_region {
    struct region region;
    struct region_tally tally;
    uint64_t latency_us;       /* of its answers, in the mean; probes take a tenth */
    uint64_t probe_latency_us; /* 0: a tenth of the other */
    unsigned fails_percent;
    uint64_t asked, served;
};

struct world {
    struct world_region regions[WORLD_MAX];
    struct region *at[WORLD_MAX];
    size_t count;
    uint64_t now_us, look_us, probe_us;
    struct rand rand;
    uint64_t sent, failed; /* requests of clients */
};

void world_init(struct world *world, size_t count, uint64_t seed);

/* So many seconds, with that many requests in each. */
void world_run(struct world *world, unsigned seconds, unsigned rate);

/* Forgets what was counted. */
void world_forget(struct world *world);

/* The share of attempts that the region had, in percent. */
unsigned world_percent(const struct world *world, size_t region);

uint32_t world_share(const struct world *world, size_t region);

#endif

/* The parts of an hour with three regions, for the test and for bench/regions. */
#ifndef TESTS_REGIONS_HOUR_H
#define TESTS_REGIONS_HOUR_H

#include "world.h"

enum { HOUR_REGIONS = 3, HOUR_SCENES = 8, HOUR_RATE = 20 };

/* What the regions do, for how long, and what must hold. */
struct hour_scene {
    const char *name;
    unsigned seconds;
    uint64_t latency_ms[HOUR_REGIONS];
    unsigned fails_percent[HOUR_REGIONS];
    unsigned first_least, first_most; /* the share of attempts that the first has, in percent */
    unsigned failed_most_permille;    /* of clients' requests */
};

extern const struct hour_scene hour_scenes[HOUR_SCENES];

/* The regions do so from now on; what was counted is forgotten. */
void hour_begin(struct world *world, const struct hour_scene *scene);

#endif

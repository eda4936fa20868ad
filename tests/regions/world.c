#include "world.h"

#include <string.h>

#include "base/clock.h"

void world_init(struct world *world, size_t count, uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    rand_init(&world->rand, seed);
    world->now_us = 1000 * US_PER_SEC;
    world->look_us = world->probe_us = world->now_us;
    world->count = count;
    for (size_t i = 0; i < count; i++) {
        struct world_region *region = &world->regions[i];

        region_init(&region->region);
        region_join(&region->region, &region->tally);
        region->latency_us = 100000;
        world->at[i] = &region->region;
    }
}

/* Most within a half of the mean, and one in twenty three times as long. */
static uint64_t spread(struct world *world, uint64_t mean_us)
{
    uint64_t us = mean_us / 2 + rand_below(&world->rand, mean_us);

    return rand_below(&world->rand, 20) ? us : 3 * us;
}

static bool fails(struct world *world, size_t i)
{
    return rand_below(&world->rand, 100) < world->regions[i].fails_percent;
}

static void probe(struct world *world)
{
    for (size_t i = 0; i < world->count; i++) {
        struct world_region *region = &world->regions[i];
        uint64_t us = region->probe_latency_us ? region->probe_latency_us : region->latency_us / 10;

        region_note_probe(&region->region, fails(world, i) ? 0 : spread(world, us), world->now_us);
    }
}

/* As an exchange does: where one fails the next is asked, each once. */
static void request(struct world *world)
{
    uint64_t without = 0;
    size_t i;

    world->sent++;
    while ((i = regions_pick(world->at, world->count, without, rand_u64(&world->rand))) <
           world->count) {
        struct world_region *region = &world->regions[i];

        region->asked++;
        if (!fails(world, i)) {
            region->served++;
            region_note_good(&region->region, &region->tally, spread(world, region->latency_us));
            return;
        }
        region_note_bad(&region->region, &region->tally);
        without |= UINT64_C(1) << i;
    }
    world->failed++;
}

static void look(struct world *world)
{
    while (world->probe_us <= world->now_us) {
        probe(world);
        world->probe_us += WORLD_PROBE_EVERY_MS * US_PER_MS;
    }
    while (world->look_us <= world->now_us) {
        regions_look(world->at, world->count, WORLD_PROBE_EVERY_MS * US_PER_MS, world->look_us);
        world->look_us += REGIONS_LOOK_EVERY_US;
    }
}

void world_run(struct world *world, unsigned seconds, unsigned rate)
{
    uint64_t steps = (uint64_t)seconds * (rate ? rate : 4);

    for (uint64_t i = 0; i < steps; i++) {
        look(world);
        if (rate)
            request(world);
        world->now_us += US_PER_SEC / (rate ? rate : 4);
    }
    look(world);
}

void world_forget(struct world *world)
{
    world->sent = world->failed = 0;
    for (size_t i = 0; i < world->count; i++)
        world->regions[i].asked = world->regions[i].served = 0;
}

unsigned world_percent(const struct world *world, size_t region)
{
    uint64_t all = 0;

    for (size_t i = 0; i < world->count; i++)
        all += world->regions[i].asked;
    return all ? (unsigned)(world->regions[region].asked * 100 / all) : 0;
}

uint32_t world_share(const struct world *world, size_t region)
{
    return atomic_load(&world->at[region]->shared.share_ppm);
}

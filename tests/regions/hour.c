#include "hour.h"

#include "base/clock.h"

const struct hour_scene hour_scenes[HOUR_SCENES] = {
    {"all is well", 300, {100, 150, 200}, {0, 0, 0}, 93, 100, 0},
    {"the nearest is slow", 600, {2000, 150, 200}, {0, 0, 0}, 0, 10, 0},
    {"all is well again", 900, {100, 150, 200}, {0, 0, 0}, 20, 100, 0},
    {"the nearest is dead", 300, {100, 150, 200}, {100, 0, 0}, 0, 5, 0},
    {"it is back", 600, {100, 150, 200}, {0, 0, 0}, 60, 100, 0},
    {"it loses a third of its requests", 300, {100, 150, 200}, {33, 0, 0}, 0, 60, 0},
    {"all are dead", 120, {100, 150, 200}, {100, 100, 100}, 0, 100, 1000},
    {"all are back", 600, {100, 150, 200}, {0, 0, 0}, 0, 100, 0},
};

void hour_begin(struct world *world, const struct hour_scene *scene)
{
    for (size_t i = 0; i < HOUR_REGIONS; i++) {
        world->regions[i].latency_us = scene->latency_ms[i] * US_PER_MS;
        world->regions[i].fails_percent = scene->fails_percent[i];
    }
    world_forget(world);
}

/*
 * An hour of a provider with three regions, of which the first is the nearest: it becomes slow,
 * dies, loses a third of its requests; at last all are dead for two minutes.
 *
 *     regions [--csv FILE]
 *
 * The file tells each ten seconds what share of the attempts each region had.
 */
#include <stdio.h>

#include "../tests/regions/hour.h"
#include "series.h"

enum { STEP_S = 10 };

static void write_step(FILE *csv, unsigned second, const struct world *world,
                       const uint64_t *before)
{
    uint64_t all = 0;

    for (size_t i = 0; i < HOUR_REGIONS; i++)
        all += world->regions[i].asked - before[i];
    fprintf(csv, "%u", second);
    for (size_t i = 0; i < HOUR_REGIONS; i++)
        fprintf(csv, ",%.1f",
                all ? 100.0 * (double)(world->regions[i].asked - before[i]) / (double)all : 0);
    fprintf(csv, "\n");
}

static void play_scene(struct world *world, const struct hour_scene *scene, unsigned *second,
                       FILE *csv)
{
    hour_begin(world, scene);
    for (unsigned i = 0; i < scene->seconds; i += STEP_S) {
        uint64_t before[HOUR_REGIONS];

        for (size_t r = 0; r < HOUR_REGIONS; r++)
            before[r] = world->regions[r].asked;
        world_run(world, STEP_S, HOUR_RATE);
        if (csv)
            write_step(csv, *second, world, before);
        *second += STEP_S;
    }
    printf("%-34s %6u%% %6u%% %6u%% %8llu of %llu\n", scene->name, world_percent(world, 0),
           world_percent(world, 1), world_percent(world, 2), (unsigned long long)world->failed,
           (unsigned long long)world->sent);
}

int main(int argc, char **argv)
{
    FILE *csv = series_open(argc, argv, "second,first,second_region,third");
    unsigned second = 0;
    struct world world;

    world_init(&world, HOUR_REGIONS, 1);
    printf("%-34s %7s %7s %7s %s\n", "", "first", "second", "third", "   clients' requests failed");
    for (size_t i = 0; i < HOUR_SCENES; i++)
        play_scene(&world, &hour_scenes[i], &second, csv);
    if (csv && fclose(csv)) {
        perror(argv[2]);
        return 1;
    }
    return 0;
}

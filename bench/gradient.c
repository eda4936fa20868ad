/*
 * How many under way at once: a limit that is found by latency beside fixed ones, before a server
 * of 16 places that loses half of them after twenty minutes and has them back after another twenty.
 * A fifth more is asked of it than it can do with all of them. Clients leave after ten seconds; at
 * the gateway nobody waits for longer than five.
 *
 *     gradient [--csv FILE]
 *
 * The file tells how the limit was found, second by second.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../tests/limits/gradient_play.h"
#include "base/clock.h"
#include "series.h"

enum { HOUR_S = 3600, PLACES = 16, CHANGES_S = 1200 };

static const struct gradient_settings settings = {
    .initial = 20, .min = 1, .max = 1000, .backoff_milli = 500};

static const struct gradient_server server = {
    .capacity = PLACES, .service_us = US_PER_SEC, .spread = 0.5, .first_part = 1};

static uint32_t places_at(uint64_t second)
{
    return second / CHANGES_S == 1 ? PLACES / 2 : PLACES;
}

static void play(const char *name, const struct gradient_settings *found, uint32_t fixed, FILE *csv)
{
    struct gradient_play *play = gradient_play_new(&server, found, fixed, 1);
    double possible = 0;

    if (!play)
        abort();
    play->per_second = 1.2 * PLACES;
    play->patience_us = 10 * US_PER_SEC;
    play->wait_us = 5 * US_PER_SEC;
    for (uint64_t second = 0; second < HOUR_S; second++) {
        play->server.capacity = places_at(second);
        possible += play->server.capacity;
        gradient_play_run(play, US_PER_SEC);
        if (csv)
            fprintf(csv, "%llu,%u,%u\n", (unsigned long long)second, play->server.capacity,
                    gradient_limit(&play->gradient));
    }
    printf("%-22s %8.2f%% %8.1f s %8.1f s %9.2f\n", name,
           100 * (double)play->stats.in_time / possible,
           gradient_play_quantile_us(&play->stats, 500) / 1e6,
           gradient_play_quantile_us(&play->stats, 990) / 1e6,
           play->stats.latency_us / play->stats.service_us);
    free(play);
}

int main(int argc, char **argv)
{
    FILE *csv = series_open(argc, argv, "second,places,found");

    printf("%-22s %9s %10s %10s %9s\n", "limit", "in time", "p50", "p99", "at server");
    play("found by latency", &settings, 0, csv);
    play("fixed: 4", NULL, PLACES / 4, NULL);
    play("fixed: 8", NULL, PLACES / 2, NULL);
    play("fixed: 16", NULL, PLACES, NULL);
    play("fixed: 32", NULL, PLACES * 2, NULL);
    play("fixed: 160", NULL, PLACES * 10, NULL);
    play("none", NULL, 0, NULL);
    if (csv && fclose(csv)) {
        perror(argv[2]);
        return 1;
    }
    return 0;
}

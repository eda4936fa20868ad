/*
 * How near an adaptive limit comes to the one that a provider does not tell: six hidden limits,
 * each halved after an hour and put back after another.
 *
 *     adaptive [--csv FILE]
 *
 * The file tells how the limit of 300 a minute was found, second by second.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../tests/limits/adaptive_play.h"
#include "base/clock.h"
#include "series.h"

enum { HOURS = 3, FINDING_S = 600 };

static const struct adaptive_settings settings = {
    .initial_rpm = 60, .min_rpm = 10, .max_rpm = 1000, .backoff_milli = 500, .growth_milli = 1100};

struct score {
    uint64_t accepted, refused, possible;
};

static void write_second(FILE *csv, uint64_t second, const struct adaptive *adaptive,
                         const struct adaptive_provider *provider)
{
    if (csv)
        fprintf(csv, "%llu,%llu,%llu\n", (unsigned long long)second,
                (unsigned long long)provider->limit,
                (unsigned long long)adaptive_read(adaptive, 0).rpm);
}

/* Ten minutes after each change are for finding, and not counted. */
static struct score play(uint64_t limit, FILE *csv)
{
    struct adaptive_provider *provider = calloc(1, sizeof(*provider));
    struct adaptive adaptive;
    struct score score = {0};
    uint64_t now_us = 1000 * US_PER_SEC;

    if (!provider)
        abort();
    adaptive_init(&adaptive);
    adaptive_set(&adaptive, &settings, now_us);
    for (uint64_t second = 0; second < HOURS * 3600; second++) {
        uint64_t accepted = provider->accepted, refused = provider->refused;

        provider->limit = second / 3600 == 1 ? limit / 2 : limit;
        adaptive_play(&adaptive, provider, &now_us, US_PER_SEC);
        write_second(csv, second, &adaptive, provider);
        if (second % 3600 < FINDING_S)
            continue;
        score.accepted += provider->accepted - accepted;
        score.refused += provider->refused - refused;
        score.possible += provider->limit;
    }
    free(provider);
    return score;
}

int main(int argc, char **argv)
{
    static const uint64_t limits[] = {20, 60, 137, 300, 500, 900};
    FILE *csv = series_open(argc, argv, "second,hidden,found");

    printf("%-14s %8s %8s\n", "hidden limit", "used", "refused");
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct score score = play(limits[i], limits[i] == 300 ? csv : NULL);

        printf("%-14llu %7.2f%% %7.3f%%\n", (unsigned long long)limits[i],
               6000.0 * (double)score.accepted / (double)score.possible,
               100.0 * (double)score.refused / (double)(score.accepted + score.refused));
    }
    if (csv && fclose(csv)) {
        perror(argv[2]);
        return 1;
    }
    return 0;
}

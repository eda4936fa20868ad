/*
 * What hedging does to the slowest answers, and what it costs: twenty minutes of a provider of
 * which three answers in a hundred begin ten times as late, by each of several settings.
 *
 *     hedging [EXCHANGES [SEED]] [--csv FILE]
 *
 * The file tells of each setting how late the first byte is of the slowest of so many.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/road/hedge_play.h"

enum { EXCHANGES = 24000, POINTS = 120 };

static const char *const settings[] = {
    NULL,
    "{after: p95, budget: 1%}",
    "{after: p95, budget: 2%}",
    "{after: p95, budget: 5%}",
    "{after: p95, budget: 10%}",
    "{after: p99, budget: 2%}",
    "{after: 3s, budget: 5%}",
};

static double seconds(const struct hedge_answer *answer, uint64_t ppm)
{
    return hedge_quantile(answer, ppm) / 1000.0;
}

static double percent(uint64_t part, uint64_t whole)
{
    return 100.0 * (double)part / (double)whole;
}

/* From one of two down to one of two thousand, evenly on a logarithmic axis. */
static void write_points(FILE *csv, const char *name, const struct hedge_answer *answer)
{
    double slower_ppm = 500000;

    if (!csv)
        return;
    for (int i = 0; i < POINTS; i++) {
        fprintf(csv, "\"%s\",%.0f,%u\n", name, slower_ppm,
                hedge_quantile(answer, 1000000 - (uint64_t)slower_ppm));
        slower_ppm *= 0.9436; /* the hundred and nineteenth power of it is a thousandth */
    }
}

static uint64_t play(const char *hedge, size_t exchanges, uint64_t seed, uint64_t cost_without,
                     FILE *csv)
{
    const struct hedge_question question = {hedge, seed, exchanges};
    struct hedge_answer answer = hedge_play(&question);
    const char *name = hedge ? hedge : "none";
    uint64_t cost_usd = answer.cost_usd, hedged = answer.won + answer.lost + answer.failed;

    printf("%-26s %6.2f %6.2f %6.2f %6.2f %8.2f%% %8.2f%% %8.2f%% %9.2f%%\n", name,
           seconds(&answer, 500000), seconds(&answer, 950000), seconds(&answer, 990000),
           seconds(&answer, 999000), percent(hedged, answer.count),
           percent(answer.won, hedged ? hedged : 1), percent(answer.no_budget, answer.count),
           percent(cost_usd, cost_without ? cost_without : cost_usd));
    write_points(csv, name, &answer);
    free(answer.firsts_ms);
    return cost_usd;
}

static FILE *open_csv(const char *path)
{
    FILE *csv = fopen(path, "w");

    if (!csv) {
        perror(path);
        exit(1);
    }
    fprintf(csv, "hedge,slower_ppm,ms\n");
    return csv;
}

int main(int argc, char **argv)
{
    uint64_t numbers[2] = {EXCHANGES, 1}, cost_without = 0;
    FILE *csv = NULL;

    for (int i = 1, count = 0; i < argc; i++) {
        if (strcmp(argv[i], "--csv") == 0 && i + 1 < argc)
            csv = open_csv(argv[++i]);
        else if (count < 2 && (numbers[count] = strtoull(argv[i], NULL, 10)) > 0)
            count++;
        else {
            fprintf(stderr, "usage: hedging [EXCHANGES [SEED]] [--csv FILE]\n");
            return 2;
        }
    }
    printf("%-26s %6s %6s %6s %6s %9s %9s %9s %10s\n", "retry.hedge", "p50 s", "p95", "p99",
           "p99.9", "hedged", "of it won", "no budget", "cost");
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        uint64_t cost = play(settings[i], (size_t)numbers[0], numbers[1], cost_without, csv);

        cost_without = cost_without ? cost_without : cost;
    }
    if (csv && fclose(csv)) {
        perror("hedging");
        return 1;
    }
    return 0;
}

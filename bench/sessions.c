/*
 * How many requests of sessions find their prompt in the provider's cache while keys come and go,
 * by each way to choose a key.
 *
 *     sessions [--csv FILE]
 *
 * The file tells of each minute what part of the requests did, and what part went to the key of the
 * request before.
 */
#include <stdio.h>

#include "../tests/keypool/session_play.h"
#include "series.h"

static const struct {
    const char *name;
    enum conf_selection selection;
} ways[] = {
    {"sticky", CONF_SELECTION_STICKY},
    {"headroom", CONF_SELECTION_HEADROOM},
    {"least_used", CONF_SELECTION_LEAST_USED},
    {"round_robin", CONF_SELECTION_ROUND_ROBIN},
};

static double percent(uint32_t part, uint32_t whole)
{
    return whole ? 100.0 * part / whole : 0;
}

static void write_minutes(FILE *csv, const char *name, const struct session_result *result)
{
    for (unsigned i = 0; csv && i < SESSION_PLAY_MINUTES; i++) {
        const struct session_minute *minute = &result->minutes[i];

        fprintf(csv, "%s,%u,%.2f,%.2f\n", name, i, percent(minute->warm, minute->again),
                percent(minute->stayed, minute->again));
    }
}

int main(int argc, char **argv)
{
    FILE *csv = series_open(argc, argv, "selection,minute,warm,stayed");

    printf("%-12s %8s %8s   %s\n%-12s %8s %8s %10s %10s %10s %10s %12s\n", "", "", "",
           "moved after", "selection", "cached", "stayed", "key gone", "key new", "at limit",
           "over", "keys' shares");
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct session_result result = session_play(ways[i].selection, 1);

        printf("%-12s %7.1f%% %7.1f%% %9.1f%% %9.1f%% %9.1f%% %9.1f%% %6u to %u%%\n", ways[i].name,
               percent(result.whole.warm, result.whole.again),
               percent(result.whole.stayed, result.whole.again), result.moves.gone,
               result.moves.came, result.moves.limited, result.moves.after, result.lowest_percent,
               result.highest_percent);
        write_minutes(csv, ways[i].name, &result);
    }
    if (csv && fclose(csv)) {
        perror(argv[2]);
        return 1;
    }
    return 0;
}

/*
 * Three days of two clients with a budget pool of 100 USD a day, of whom the first has a budget of
 * 60 too: when they are refused, until when, and by how much a budget is passed.
 *
 *     budgets [--csv FILE]
 *
 * The file tells each ten minutes what has been spent in the day, and what was refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/exchange/spending_play.h"

static const char *const names[SPENDING_PURSES] = {"web", "app", "pool"};
static const uint64_t limits[SPENDING_PURSES] = {SPENDING_WEB_LIMIT, 0, SPENDING_POOL_LIMIT};

static double usd(uint64_t nano)
{
    return (double)nano / 1e9;
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_time(uint64_t us)
{
    unsigned minutes = (unsigned)(us / 60000000);

    if (us)
        printf("%6s%02u:%02u", "", minutes / 60, minutes % 60);
    else
        printf("%11s", "");
}

static void print_day(unsigned number, const struct spending_day *day)
{
    for (int i = 0; i < SPENDING_PURSES; i++) {
        uint64_t over = limits[i] && day->spent[i] > limits[i] ? day->spent[i] - limits[i] : 0;

        printf("%-4u %-6s %9.3f", number, names[i], usd(day->spent[i]));
        if (limits[i])
            printf(" %7.0f %9.3f %10.3f", usd(limits[i]), usd(over), usd(day->under_way[i]));
        else
            printf(" %7s %9s %10s", "", "", "");
        if (i < SPENDING_CLIENTS) {
            const struct spending_client *client = &day->clients[i];

            printf(" %8llu %8.1f%%", (unsigned long long)client->came,
                   percent(client->refused, client->came));
            print_time(client->refused_us);
        }
        printf("\n");
    }
}

static void write_steps(FILE *csv, const struct spending_result *result)
{
    fprintf(csv, "hour,web,app,pool,web_refused,app_refused\n");
    for (unsigned i = 0; i < SPENDING_STEPS; i++) {
        const struct spending_step *step = &result->steps[i];

        fprintf(csv, "%.4f,%.4f,%.4f,%.4f,%.1f,%.1f\n", (i + 1) * SPENDING_STEP_S / 3600.0,
                usd(step->spent[SPENDING_WEB]), usd(step->spent[SPENDING_APP]),
                usd(step->spent[SPENDING_POOL]), percent(step->refused[0], step->came[0]),
                percent(step->refused[1], step->came[1]));
    }
}

int main(int argc, char **argv)
{
    static struct spending_result result;
    FILE *csv = NULL;

    if (argc != 1 && (argc != 3 || strcmp(argv[1], "--csv") != 0)) {
        fprintf(stderr, "usage: budgets [--csv FILE]\n");
        return 2;
    }
    spending_play(1, &result);
    printf("%-4s %-6s %9s %7s %9s %10s %8s %9s %10s\n", "day", "of", "spent USD", "of", "past it",
           "under way", "came", "refused", "from");
    for (unsigned day = 0; day < SPENDING_DAYS; day++)
        print_day(day + 1, &result.days[day]);
    if (argc == 1)
        return 0;
    csv = fopen(argv[2], "w");
    if (csv)
        write_steps(csv, &result);
    if (!csv || fclose(csv)) {
        perror(argv[2]);
        return 1;
    }
    return 0;
}

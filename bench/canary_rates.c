/*
 * How often a canary's verdict is wrong, and how soon it is right: thousands of seeded rotations on
 * virtual time for each row, with the defaults of `canary:` where the row says nothing else. Prints
 * the tables of docs/canary.md.
 *
 *     canary_rates [TABLE] [ROTATIONS] [TEXT]      TABLE: good, bad, latency, other, or all
 *
 * TEXT: only rows whose name holds it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/canary/traffic.h"

enum { ROTATIONS = 1000, ROTATIONS_MAX = 100000 };

struct row {
    const char *name;
    struct traffic_scene scene;
    uint32_t divisor; /* of the number of rotations, where each takes long; 0: 1 */
    uint32_t max_divergence_ppm, initial_ppm;
};

struct tally {
    uint32_t rotations, promoted, rolled_back, causes[EVIDENCE_CAUSES];
    uint64_t requests[ROTATIONS_MAX]; /* of those rolled back */
};

#define GOOD(text, rate, fails)                                                                    \
    {                                                                                              \
        text,                                                                                      \
        {                                                                                          \
            .per_second = rate, .canary_fails = fails, .old_fails = fails                          \
        }                                                                                          \
    }
#define TIMED(text, rate, form, ratio)                                                             \
    {                                                                                              \
        text,                                                                                      \
        {                                                                                          \
            .per_second = rate, .canary_fails = 0.005, .old_fails = 0.005, .shape = form,          \
            .latency_ratio = ratio                                                                 \
        }                                                                                          \
    }
#define BAD_MINUTE(text, rate, when)                                                               \
    {                                                                                              \
        text,                                                                                      \
        {                                                                                          \
            .per_second = rate, .canary_fails = 0.005, .old_fails = 0.005, .bad_from_us = when,    \
            .bad_us = 60000000, .bad_fails = 0.1, .is_retried = true                               \
        }                                                                                          \
    }
#define BAD(text, rate, fails, usual)                                                              \
    {                                                                                              \
        text,                                                                                      \
        {                                                                                          \
            .per_second = rate, .canary_fails = fails, .old_fails = usual                          \
        }                                                                                          \
    }

/* A million requests in ten minutes are 1,667 a second, a thousand are 1.67. */
static const struct row good[] = {
    GOOD("0% fail, 1,000 requests", 1.67, 0),
    GOOD("0.5%, 1,000 requests", 1.67, 0.005),
    GOOD("1%, 1,000 requests", 1.67, 0.01),
    GOOD("2%, 1,000 requests", 1.67, 0.02),
    GOOD("0.5%, 20,000 requests", 33, 0.005),
    GOOD("1%, 20,000 requests", 33, 0.01),
    GOOD("2%, 20,000 requests", 33, 0.02),
    GOOD("4%, 20,000 requests", 33, 0.04),
    GOOD("10%, 20,000 requests", 33, 0.1),
    {"1%, 1,000,000 requests", {.per_second = 1667, .canary_fails = 0.01, .old_fails = 0.01}, 20},
    BAD_MINUTE("a minute at 10% for all, from 0:00, 1,000 requests", 1.67, 1),
    BAD_MINUTE("the same from 2:30", 1.67, 150000000),
    BAD_MINUTE("the same from 5:30", 1.67, 330000000),
    BAD_MINUTE("a minute at 10% for all, from 0:00, 20,000 requests", 33, 1),
    BAD_MINUTE("the same from 5:30", 33, 330000000),
    BAD_MINUTE("the same from 9:15, where a pool of one key has only retries to compare with", 33,
               555000000),
    {"the same, and nothing is tried again",
     {.per_second = 33,
      .canary_fails = 0.005,
      .old_fails = 0.005,
      .bad_from_us = 555000000,
      .bad_us = 60000000,
      .bad_fails = 0.1},
     0},
    {"1%, four keys, 20,000 requests",
     {.per_second = 33, .place = 0.25, .canary_fails = 0.01, .old_fails = 0.01},
     0},
    {"1%, no old keys, 20,000 requests",
     {.per_second = 33, .canary_fails = 0.01, .is_alone = true},
     0},
    {"2%, no old keys, 20,000 requests",
     {.per_second = 33, .canary_fails = 0.02, .is_alone = true},
     0},
};

static const struct row bad[] = {
    {"always refused (401)", {.per_second = 50, .canary_refused = 1, .old_fails = 0.01}, 0},
    {"always refused, a quiet pool",
     {.per_second = 1.67, .canary_refused = 1, .old_fails = 0.01},
     0},
    {"always refused, no old keys", {.per_second = 50, .canary_refused = 1, .is_alone = true}, 0},
    {"half refused", {.per_second = 50, .canary_refused = 0.5, .old_fails = 0.01}, 0},
    BAD("100%, old keys 1%", 50, 1, 0.01),
    BAD("50%, old keys 1%", 50, 0.5, 0.01),
    BAD("20%, old keys 0%", 50, 0.2, 0),
    BAD("20%, old keys 0.5%", 50, 0.2, 0.005),
    BAD("20%, old keys 1%", 50, 0.2, 0.01),
    BAD("20%, old keys 0.5%, a quiet pool", 1.67, 0.2, 0.005),
    BAD("20%, old keys 1%, a quiet pool", 1.67, 0.2, 0.01),
    BAD("20%, old keys 1%, a busy pool", 1667, 0.2, 0.01),
    BAD("20%, old keys 2%", 50, 0.2, 0.02),
    BAD("10%, old keys 0.5%", 50, 0.1, 0.005),
    BAD("7%, old keys 0.5%", 50, 0.07, 0.005),
    BAD("5%, old keys 0.5%", 50, 0.05, 0.005),
    BAD("3%, old keys 0.5%", 50, 0.03, 0.005),
    BAD("10%, old keys 0.5%, a quiet pool", 1.67, 0.1, 0.005),
    BAD("7%, old keys 0.5%, a quiet pool", 1.67, 0.07, 0.005),
    BAD("5%, old keys 0.5%, a quiet pool", 1.67, 0.05, 0.005),
    BAD("10%, old keys 0.5%, 100 requests judged", 0.3, 0.1, 0.005),
    BAD("7%, old keys 0.5%, 100 requests judged", 0.3, 0.07, 0.005),
    {"20%, no old keys", {.per_second = 50, .canary_fails = 0.2, .is_alone = true}, 0},
    {"10%, no old keys", {.per_second = 50, .canary_fails = 0.1, .is_alone = true}, 0},
    {"20%, four keys",
     {.per_second = 50, .place = 0.25, .canary_fails = 0.2, .old_fails = 0.01},
     0},
    {"20%, first share 30%",
     {.per_second = 50, .canary_fails = 0.2, .old_fails = 0.01},
     0,
     0,
     300000},
    {"20%, first share 50%",
     {.per_second = 50, .canary_fails = 0.2, .old_fails = 0.01},
     0,
     0,
     500000},
    {"breaks at 4:30: 20%, old keys 1%",
     {.per_second = 50,
      .canary_fails = 0.01,
      .old_fails = 0.01,
      .breaks_us = 270000000,
      .broken_fails = 0.2},
     0},
    {"breaks at 8:30: 20%, old keys 1%",
     {.per_second = 50,
      .canary_fails = 0.01,
      .old_fails = 0.01,
      .breaks_us = 510000000,
      .broken_fails = 0.2},
     0},
    {"breaks at 9:15: 20%, tried with an old key",
     {.per_second = 50,
      .canary_fails = 0.01,
      .old_fails = 0.01,
      .breaks_us = 555000000,
      .broken_fails = 0.2,
      .is_retried = true},
     0},
    {"breaks at 9:15: 20%, not tried again",
     {.per_second = 50,
      .canary_fails = 0.01,
      .old_fails = 0.01,
      .breaks_us = 555000000,
      .broken_fails = 0.2},
     0},
};

static const struct row latency[] = {
    TIMED("equal, log-normal, 1,000 requests", 1.67, TRAFFIC_LOG_NORMAL, 1),
    TIMED("equal, log-normal, 30,000 requests", 50, TRAFFIC_LOG_NORMAL, 1),
    {"equal, log-normal, 1,000,000 requests",
     {.per_second = 1667, .shape = TRAFFIC_LOG_NORMAL},
     10},
    TIMED("equal, Pareto, 1,000 requests", 1.67, TRAFFIC_PARETO, 1),
    TIMED("equal, Pareto, 30,000 requests", 50, TRAFFIC_PARETO, 1),
    {"equal, Pareto, 1,000,000 requests", {.per_second = 1667, .shape = TRAFFIC_PARETO}, 10},
    TIMED("equal, two models, 1,000 requests", 1.67, TRAFFIC_TWO_MODELS, 1),
    TIMED("equal, two models, 30,000 requests", 50, TRAFFIC_TWO_MODELS, 1),
    {"equal, three times slower for a minute, at 5:30",
     {.per_second = 50,
      .shape = TRAFFIC_LOG_NORMAL,
      .bad_from_us = 330000000,
      .bad_us = 60000000,
      .bad_latency = 3},
     0},
    {"the same at 8:30",
     {.per_second = 50,
      .shape = TRAFFIC_LOG_NORMAL,
      .bad_from_us = 510000000,
      .bad_us = 60000000,
      .bad_latency = 3},
     0},
    TIMED("1.2 times, log-normal, 1,000 requests", 1.67, TRAFFIC_LOG_NORMAL, 1.2),
    TIMED("1.2 times, log-normal, 30,000 requests", 50, TRAFFIC_LOG_NORMAL, 1.2),
    TIMED("1.5 times, log-normal, 30,000 requests", 50, TRAFFIC_LOG_NORMAL, 1.5),
    TIMED("2 times, log-normal, 1,000 requests", 1.67, TRAFFIC_LOG_NORMAL, 2),
    TIMED("2 times, log-normal, 30,000 requests", 50, TRAFFIC_LOG_NORMAL, 2),
    TIMED("2 times, Pareto, 30,000 requests", 50, TRAFFIC_PARETO, 2),
    TIMED("3 times, log-normal, 1,000 requests", 1.67, TRAFFIC_LOG_NORMAL, 3),
    TIMED("3 times, log-normal, 30,000 requests", 50, TRAFFIC_LOG_NORMAL, 3),
};

static const struct row other[] = {
    {"1% differ, 2% allowed", {.per_second = 50, .divergence = 0.01}, 0, 20000},
    {"2% differ, 2% allowed", {.per_second = 50, .divergence = 0.02}, 0, 20000},
    {"4% differ, 2% allowed", {.per_second = 50, .divergence = 0.04}, 0, 20000},
    {"20% differ, 2% allowed", {.per_second = 50, .divergence = 0.2}, 0, 20000},
};

static int by_size(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, two = *(const uint64_t *)b;

    return one < two ? -1 : one > two;
}

static void play(const struct row *row, uint32_t rotations, struct traffic *traffic,
                 struct tally *tally)
{
    struct canary_settings settings = traffic_defaults();

    if (row->max_divergence_ppm)
        settings.evidence.max_divergence_ppm = row->max_divergence_ppm;
    if (row->initial_ppm)
        settings.ramp.initial_ppm = row->initial_ppm;
    traffic_init(traffic, &row->scene, &settings);
    memset(tally, 0, sizeof(*tally));
    for (; tally->rotations < rotations; tally->rotations++) {
        struct traffic_end end = traffic_play(traffic, tally->rotations + 1);

        tally->promoted += end.state == CANARY_PROMOTED;
        if (end.state != CANARY_ROLLED_BACK)
            continue;
        tally->causes[end.cause]++;
        tally->requests[tally->rolled_back++] =
            row->scene.breaks_us ? end.after_break : end.requests;
    }
    qsort(tally->requests, tally->rolled_back, sizeof(tally->requests[0]), by_size);
}

/* At that share of all rotations the verdict has fallen; those without one are late beyond all. */
static void print_quantile(const struct tally *tally, double share)
{
    uint32_t at = (uint32_t)(share * (double)tally->rotations);

    if (at < tally->rolled_back)
        printf(" %llu |", (unsigned long long)tally->requests[at]);
    else
        printf(" |");
}

static void print_row(const struct row *row, const struct tally *tally)
{
    double all = tally->rotations;

    printf("| %s | %.2f%% | %.2f%% |", row->name, 100 * tally->rolled_back / all,
           100 * tally->promoted / all);
    print_quantile(tally, 0.5);
    print_quantile(tally, 0.95);
    printf("\n");
    fflush(stdout);
}

struct table {
    const char *name, *title;
    const struct row *rows;
    size_t count;
};

#define TABLE(name, title)                                                                         \
    {                                                                                              \
#name, title, name, sizeof(name) / sizeof(name[0])                                         \
    }

static const struct table tables[] = {
    TABLE(good, "a key as good as the old ones"),
    TABLE(bad, "a key that fails"),
    TABLE(latency, "first bytes"),
    TABLE(other, "compared answers"),
};

int main(int argc, char **argv)
{
    const char *wanted = argc > 1 ? argv[1] : "all";
    unsigned long rotations = argc > 2 ? strtoul(argv[2], NULL, 10) : ROTATIONS;
    const char *text = argc > 3 ? argv[3] : "";
    struct traffic *traffic = malloc(sizeof(*traffic));
    struct tally *tally = malloc(sizeof(*tally));
    int rc = 1;

    if (!traffic || !tally || rotations < 1 || rotations > ROTATIONS_MAX)
        goto out;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (strcmp(wanted, "all") != 0 && strcmp(wanted, tables[i].name) != 0)
            continue;
        printf("\n| %s | rolled back | promoted | its requests until then: median | p95 |\n"
               "|---|---|---|---|---|\n",
               tables[i].title);
        for (size_t k = 0; k < tables[i].count; k++) {
            const struct row *row = &tables[i].rows[k];
            uint32_t count;

            if (!strstr(row->name, text))
                continue;
            count = (uint32_t)rotations / (row->divisor ? row->divisor : 1);

            play(row, count ? count : 1, traffic, tally);
            print_row(row, tally);
        }
    }
    rc = 0;
out:
    free(tally);
    free(traffic);
    return rc;
}

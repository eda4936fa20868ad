/*
 * How well the ways to choose a key use what the providers allow, on virtual time: eight keys of
 * four accounts, half again as much load as their limits allow, an hour; what becomes of it when
 * something breaks; and what happens when all limits come back at once, at the end of each minute.
 *
 *     policies [SECONDS] [SEED] [--csv FILE]
 *
 * The file gets a line for each policy, run and second.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/keypool/policy_play.h"

enum { LOAD_PERCENT = 150, MISHAP_S = 180, MISHAP_RUN_S = 240, WINDOWS_S = 600 };

struct options {
    uint64_t seconds, seed;
    FILE *csv; /* NULL: none */
};

static void write_series(const struct options *options, const char *run,
                         const struct policy_question *question)
{
    for (uint64_t i = 0; i < question->seconds; i++) {
        const struct policy_second *second = &question->series[i];

        fprintf(options->csv, "\"%s\",%s,%llu,%u,%u,%u,%u\n", question->policy.name, run,
                (unsigned long long)i, second->sent, second->answered, second->refused,
                second->waiting);
    }
}

/* Plays it, and keeps what happened when. */
static struct policy_result play(const struct options *options, const char *run,
                                 struct policy_question question)
{
    struct policy_result result;

    question.seed = options->seed;
    question.load_percent = LOAD_PERCENT;
    if (!options->csv)
        return policy_play(&question);
    question.series = calloc(question.seconds, sizeof(*question.series));
    if (!question.series)
        abort();
    result = policy_play(&question);
    write_series(options, run, &question);
    free(question.series);
    return result;
}

static double percent(uint64_t part, uint64_t of)
{
    return of ? 100.0 * (double)part / (double)of : 0;
}

static void say_steady(const struct options *options, const struct policy *policy)
{
    struct policy_result result =
        play(options, "steady",
             (struct policy_question){.policy = *policy, .seconds = options->seconds});

    printf("%-28s %7.2f%% %9.3f%% %9llu %9llu %8.2f %8.2f\n", policy->name, result.goodput * 100,
           percent(result.refused, result.sent), (unsigned long long)result.client_refused,
           (unsigned long long)result.refused_early, result.wait_p50_s, result.wait_p99_s);
}

static void say_mishaps(const struct options *options, const struct policy *policy)
{
    static const struct {
        enum policy_mishap mishap;
        const char *run;
    } mishaps[] = {{MISHAP_HALVED, "halved"}, {MISHAP_SLOW, "slow"}, {MISHAP_DEAD, "dead"}};

    printf("%-28s", policy->name);
    for (unsigned i = 0; i < sizeof(mishaps) / sizeof(mishaps[0]); i++) {
        struct policy_result result = play(options, mishaps[i].run,
                                           (struct policy_question){.policy = *policy,
                                                                    .seconds = MISHAP_RUN_S,
                                                                    .mishap = mishaps[i].mishap,
                                                                    .mishap_s = MISHAP_S});

        printf(" %13.2f%%", result.recovered * 100);
    }
    printf("\n");
}

static void say_windows(const struct options *options, const struct policy *policy, bool is_whole)
{
    struct policy_result result = play(
        options, is_whole ? "windows_whole" : "windows",
        (struct policy_question){
            .policy = *policy, .seconds = WINDOWS_S, .has_windows = true, .is_whole = is_whole});

    printf("%-28s %10s %7.2f%% %9.3f%% %9llu %9llu %9llu\n", policy->name,
           is_whole ? "seconds" : "exactly", result.goodput * 100,
           percent(result.refused, result.sent), (unsigned long long)result.refused_early,
           (unsigned long long)result.opening_sent, (unsigned long long)result.opening_refused);
}

static bool read_options(struct options *options, int argc, char **argv)
{
    uint64_t *numbers[] = {&options->seconds, &options->seed};
    unsigned count = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--csv") == 0 && i + 1 < argc && !options->csv) {
            options->csv = fopen(argv[++i], "we");
            if (!options->csv)
                perror(argv[i]);
            if (!options->csv)
                return false;
        } else if (count < 2 && strtoull(argv[i], NULL, 10) > 0) {
            *numbers[count++] = strtoull(argv[i], NULL, 10);
        } else {
            fprintf(stderr, "usage: policies [SECONDS] [SEED] [--csv FILE]\n");
            return false;
        }
    }
    return true;
}

static void say_all(const struct options *options)
{
    const struct policy *policies;
    unsigned count = policy_list(&policies);

    printf("%-28s %8s %10s %9s %9s %8s %8s\n", "policy", "goodput", "upstr. 429", "client",
           "too early", "wait p50", "p99 (s)");
    for (unsigned i = 0; i < count; i++)
        say_steady(options, &policies[i]);
    printf("\n%-28s %14s %14s %14s\n", "of what is possible after 5 s", "limit halved", "key slow",
           "key dead");
    for (unsigned i = 0; i < count; i++)
        say_mishaps(options, &policies[i]);
    printf("\n%-28s %10s %8s %10s %9s %9s %9s\n", "windows of a minute", "resets", "goodput",
           "upstr. 429", "too early", "in 100 ms", "its 429s");
    for (unsigned i = 0; i < count; i++) {
        say_windows(options, &policies[i], false);
        say_windows(options, &policies[i], true);
    }
}

int main(int argc, char **argv)
{
    struct options options = {.seconds = 3600, .seed = 1};
    int err = 0;

    if (!read_options(&options, argc, argv))
        return 2;
    if (options.csv)
        fprintf(options.csv, "policy,run,second,sent,answered,refused,waiting\n");
    say_all(&options);
    if (options.csv)
        err = ferror(options.csv) | fclose(options.csv);
    if (err)
        fprintf(stderr, "the series could not be written\n");
    return err ? 1 : 0;
}

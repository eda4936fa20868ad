/*
 * How well the ways to choose a key use what the providers allow, on virtual time: eight keys of
 * four accounts, half again as much load as their limits allow, an hour; and what becomes of it
 * when something breaks.
 *
 *     policies [SECONDS] [SEED]
 */
#include <stdio.h>
#include <stdlib.h>

#include "../tests/keypool/policy_play.h"

static void say_steady(const struct policy *policy, uint64_t seconds, uint64_t seed)
{
    const struct policy_question question = {
        .policy = *policy, .seed = seed, .seconds = seconds, .load_percent = 150};
    struct policy_result result = policy_play(&question);

    printf("%-28s %7.2f%% %9.3f%% %9llu %9llu %8.2f %8.2f\n", policy->name, result.goodput * 100,
           100.0 * (double)result.refused / (double)(result.sent ? result.sent : 1),
           (unsigned long long)result.client_refused, (unsigned long long)result.refused_early,
           result.wait_p50_s, result.wait_p99_s);
}

static void say_mishaps(const struct policy *policy, uint64_t seed)
{
    static const enum policy_mishap mishaps[] = {MISHAP_HALVED, MISHAP_SLOW, MISHAP_DEAD};

    printf("%-28s", policy->name);
    for (unsigned i = 0; i < 3; i++) {
        const struct policy_question question = {.policy = *policy,
                                                 .seed = seed,
                                                 .seconds = 240,
                                                 .load_percent = 150,
                                                 .mishap = mishaps[i],
                                                 .mishap_s = 180};

        printf(" %13.2f%%", policy_play(&question).recovered * 100);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 3600;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    const struct policy *policies;
    unsigned count = policy_list(&policies);

    printf("%-28s %8s %10s %9s %9s %8s %8s\n", "policy", "goodput", "upstr. 429", "client",
           "too early", "wait p50", "p99 (s)");
    for (unsigned i = 0; i < count; i++)
        say_steady(&policies[i], seconds, seed);
    printf("\n%-28s %14s %14s %14s\n", "of what is possible after 5 s", "limit halved", "key slow",
           "key dead");
    for (unsigned i = 0; i < count; i++)
        say_mishaps(&policies[i], seed);
    return 0;
}

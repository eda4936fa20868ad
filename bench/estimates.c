/*
 * How near the estimates of tokens come to what vocabularies count, by kind of text, after so many
 * exchanges: half of the texts are learned from, the other half is only asked.
 *
 *     estimates [SOURCE_ROOT] [SEED]
 */
#include <stdio.h>
#include <stdlib.h>

#include "../tests/keypool/estimate_play.h"

static void say(const char *name, const struct estimate_errors *errors)
{
    printf("  %-24s", name);
    for (unsigned kind = 0; kind < ESTIMATE_KINDS; kind++)
        printf(" %5.1f %5.1f", errors->p50[kind] * 100, errors->p90[kind] * 100);
    printf("\n");
}

static void say_vocabulary(unsigned vocabulary, uint64_t seed)
{
    struct estimate_question question = {.seed = seed,
                                         .vocabulary = vocabulary,
                                         .look_count = 1,
                                         .looks = {0, 50, 200, 1000},
                                         .is_by_bytes = true};
    struct estimate_errors errors[ESTIMATE_LOOKS_MAX];

    printf("%-26s", estimate_vocabulary_name(vocabulary));
    for (unsigned kind = 0; kind < ESTIMATE_KINDS; kind++)
        printf(" %11s", estimate_kind_name((enum estimate_kind)kind));
    printf("\n");
    estimate_play(&question, errors);
    say("four bytes a token", errors);
    question.is_by_bytes = false;
    question.look_count = 4;
    estimate_play(&question, errors);
    for (unsigned i = 0; i < question.look_count; i++) {
        char name[32];

        snprintf(name, sizeof(name), "after %u exchanges", question.looks[i]);
        say(name, &errors[i]);
    }
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

    if (!estimate_play_begin(argc > 1 ? argv[1] : ".")) {
        fprintf(stderr, "estimates: bench/estimates/texts.tsv cannot be read\n");
        return 1;
    }
    printf("error of the prompt's tokens in percent: p50 and p90 by kind of text\n");
    for (unsigned vocabulary = 0; vocabulary < ESTIMATE_VOCABULARIES; vocabulary++)
        say_vocabulary(vocabulary, seed);
    estimate_play_end();
    return 0;
}

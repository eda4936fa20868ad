/*
 * What classes and fairness come to, on virtual time: batch wants ten times what is left for it;
 * and one of twenty clients wants ten times what the others do.
 *
 *     classes [--csv FOLDER]
 *
 * With --csv FOLDER/classes.csv and FOLDER/fairness.csv tell how it went second by second.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/keypool/class_play.h"

struct series {
    FILE *file;
    const struct class_question *question;
    struct class_count before[CLASS_MAX_CLIENTS];
};

static void on_second(void *owner, uint64_t second, const struct class_count *clients)
{
    struct series *series = owner;

    for (unsigned i = 0; i < series->question->count; i++) {
        const struct class_count *count = &clients[i], *before = &series->before[i];

        fprintf(series->file, "%llu,%s,%llu,%llu,%llu\n", (unsigned long long)second,
                series->question->clients[i].name, (unsigned long long)(count->came - before->came),
                (unsigned long long)(count->served - before->served),
                (unsigned long long)(count->refused - before->refused));
    }
    memcpy(series->before, clients, series->question->count * sizeof(*clients));
}

static struct class_result play(struct class_question question, const char *folder,
                                const char *name)
{
    struct series series = {.question = &question};
    struct class_result result;
    char path[4096];

    if (!folder)
        return class_play(&question);
    snprintf(path, sizeof(path), "%s/%s.csv", folder, name);
    series.file = fopen(path, "w");
    if (!series.file) {
        perror(path);
        exit(1);
    }
    fprintf(series.file, "second,client,came,served,refused\n");
    question.on_second = on_second;
    question.owner = &series;
    result = class_play(&question);
    if (fclose(series.file)) {
        perror(path);
        exit(1);
    }
    return result;
}

static void say_classes(const char *folder)
{
    struct class_question question = class_play_three();
    struct class_result result = play(question, folder, "classes");
    uint64_t left = result.possible - result.classes[PRIORITY_CRITICAL].served -
                    result.classes[PRIORITY_STANDARD].served;

    printf("%-12s %10s %10s %10s %12s %12s\n", "class", "came", "served", "refused", "wait p50 ms",
           "p99 ms");
    for (unsigned i = 0; i < question.count; i++) {
        const struct class_count *count = &result.clients[i];
        enum priority class = question.clients[i].class;

        printf("%-12s %10llu %10llu %10llu %12.1f %12.1f\n", question.clients[i].name,
               (unsigned long long)count->came, (unsigned long long)count->served,
               (unsigned long long)count->refused, result.wait_p50_ms[class],
               result.wait_p99_ms[class]);
    }
    printf("batch had %.1f%% of what was left\n\n",
           100.0 * (double)result.classes[PRIORITY_BATCH].served / (double)left);
}

static void say_fairness(const char *folder)
{
    struct class_question question = class_play_greedy();
    struct class_result result = play(question, folder, "fairness");
    double share = (double)result.classes[PRIORITY_STANDARD].served / question.count;
    double lowest = 1e9, highest = 0;

    for (unsigned i = 1; i < question.count; i++) {
        double part = (double)result.clients[i].served / share;

        lowest = part < lowest ? part : lowest;
        highest = part > highest ? part : highest;
    }
    printf(
        "one of %u clients asks for ten times as much: it has %.1f%% of a fair share, the others "
        "%.1f to %.1f%%\n",
        question.count, 100 * (double)result.clients[0].served / share, 100 * lowest,
        100 * highest);
}

int main(int argc, char **argv)
{
    const char *folder = argc == 3 && strcmp(argv[1], "--csv") == 0 ? argv[2] : NULL;

    if (argc != 1 && !folder) {
        fprintf(stderr, "usage: classes [--csv FOLDER]\n");
        return 2;
    }
    say_classes(folder);
    say_fairness(folder);
    return 0;
}

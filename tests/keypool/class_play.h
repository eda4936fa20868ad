/*
 * Classes and their clients before a few keys, on virtual time and from one seed: bulkheads and
 * waiting room as the road uses them. An exchange waits for its turn in its class, then for a key,
 * and holds both for 50 to 150 ms. Used by the tests and by bench/classes.
 */
#ifndef TESTS_KEYPOOL_CLASS_PLAY_H
#define TESTS_KEYPOOL_CLASS_PLAY_H

#include <stdint.h>

#include "limits/bulkhead.h"
#include "limits/priority.h"

enum { CLASS_MAX_CLIENTS = 32 };

struct class_client {
    const char *name;
    enum priority class;
    uint32_t per_second; /* that it asks for */
};

/* Of a class, or of a client. */
struct class_count {
    uint64_t came, served, refused;
};

struct class_question {
    struct bulkhead_rules rules[PRIORITIES];
    const struct class_client *clients;
    unsigned count;   /* of them; at most CLASS_MAX_CLIENTS */
    uint32_t keys;    /* each one exchange at a time: ten a second */
    uint64_t seconds; /* that are counted */
    uint64_t seed;
    /* Told at the end of each second, with the counts so far; may be NULL. */
    void (*on_second)(void *owner, uint64_t second, const struct class_count *clients);
    void *owner;
};

struct class_result {
    struct class_count clients[CLASS_MAX_CLIENTS];
    struct class_count classes[PRIORITIES];
    double wait_p50_ms[PRIORITIES], wait_p99_ms[PRIORITIES]; /* until they had a key */
    uint64_t possible; /* what the keys can serve in that time */
};

/* Ten seconds run before anything is counted. */
struct class_result class_play(const struct class_question *question);

/* The two of the bench: batch wants ten times what is left for it; one of twenty clients, the
 * first, wants ten times what the others do. */
struct class_question class_play_three(void);
struct class_question class_play_greedy(void);

#endif

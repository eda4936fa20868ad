/*
 * Hedging on the whole road and on virtual time: clients that ask for streams without end, and a
 * provider of four keys that mostly answers within a second or two, and now and then, for no reason
 * that lies in the request or the key, ten times as late. Everything from one seed. Used by the
 * tests and by bench/hedging.
 */
#ifndef TESTS_ROAD_HEDGE_PLAY_H
#define TESTS_ROAD_HEDGE_PLAY_H

#include <stddef.h>
#include <stdint.h>

enum { HEDGE_PLAY_LATE_PERMILLE = 30, HEDGE_PLAY_A_SECOND = 20 };

struct hedge_question {
    const char *hedge; /* what retry.hedge says; NULL: nothing */
    uint64_t seed;
    size_t exchanges;
};

struct hedge_answer {
    uint32_t *firsts_ms; /* until the first byte of the answer, in order; freed with free */
    size_t count;
    uint64_t won, lost, failed, no_budget, no_key, no_connection; /* as /metrics has them */
    uint64_t attempts;                                            /* that came to the provider */
    uint64_t cost_usd;                                            /* of everything */
};

struct hedge_answer hedge_play(const struct hedge_question *question);

/* How late the first byte is of those that stand at that place of a million in order, in ms. */
uint32_t hedge_quantile(const struct hedge_answer *answer, uint64_t ppm);

#endif

/*
 * Three days of two clients that share a budget pool; the first has a budget of its own, too. On
 * the first day all is well, on the second the first client wants twice its budget, on the third
 * the second one wants more than the pool has. On virtual time and from one seed, with the purses
 * that exchanges ask and the periods that open them. Used by the tests and by bench/budgets.
 */
#ifndef TESTS_EXCHANGE_SPENDING_PLAY_H
#define TESTS_EXCHANGE_SPENDING_PLAY_H

#include <stdint.h>

enum spending_purse { SPENDING_WEB, SPENDING_APP, SPENDING_POOL, SPENDING_PURSES };

enum {
    SPENDING_DAYS = 3,
    SPENDING_CLIENTS = 2, /* web and app: the first of the purses; app has no limit of its own */
    SPENDING_STEP_S = 600,
    SPENDING_STEPS = SPENDING_DAYS * 86400 / SPENDING_STEP_S,
};

/* In thousand-millionths of a dollar, as all amounts here; a day. */
#define SPENDING_WEB_LIMIT  UINT64_C(60000000000)
#define SPENDING_POOL_LIMIT UINT64_C(100000000000)

struct spending_client {
    uint64_t came, refused;
    uint64_t refused_us; /* into the day, when the first of them was; 0: none */
    uint64_t served_us;  /* the same of the first that was served */
};

struct spending_day {
    struct spending_client clients[SPENDING_CLIENTS];
    uint64_t spent[SPENDING_PURSES];
    /* What was under way when the limit was reached, the one by which it was among them: what that
     * cost in the end beyond the limit. 0: it was not reached. */
    uint64_t under_way[SPENDING_PURSES];
};

/* At the end of a step: what has been spent in the day, and what was refused in the step. */
struct spending_step {
    uint64_t spent[SPENDING_PURSES];
    uint32_t came[SPENDING_CLIENTS], refused[SPENDING_CLIENTS];
};

struct spending_result {
    struct spending_day days[SPENDING_DAYS];
    struct spending_step steps[SPENDING_STEPS];
};

/* `result` is some 20 KB: the caller's. */
void spending_play(uint64_t seed, struct spending_result *result);

#endif

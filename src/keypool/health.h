/*
 * The observed health of a key or of an account of keys: state, failures in a row and deadline in
 * one atomic word. health_move is the only writer; the functions below it are the events that may
 * happen. Internal to keypool/. Any thread; a success of a healthy key writes nothing.
 */
#ifndef KEYPOOL_HEALTH_H
#define KEYPOOL_HEALTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "keypool/key.h"

/* Failures in a row are counted up to here. */
enum { HEALTH_FAILURES_MAX = UINT16_MAX };

struct health {
    _Atomic uint64_t word;
};

/* The word, unpacked. */
struct health_view {
    enum key_health state;
    uint16_t failures; /* in a row */
    uint64_t until_us; /* trial, healthy: when the failures are forgotten; benched: when a test may
                          begin; testing: when the next one may. Whole milliseconds, rounded up */
};

/* How often each state was entered, for metrics. */
struct health_moves {
    _Atomic uint64_t entered[KEY_HEALTH_COUNT];
};

/* What failures lead to. */
struct health_rules {
    uint32_t max_failures; /* in a row, before the key cools; at least 1; above
                              HEALTH_FAILURES_MAX: it never does */
    uint64_t cooldown_us;
    uint64_t ttl_us; /* a failure is forgotten after so long without another */
};

void health_init(struct health *health, enum key_health first);

struct health_view health_read(const struct health *health);

/* True where nothing speaks against it. */
bool health_is_well(const struct health *health);

/* True for the states that have a deadline and end by a test. */
bool health_is_benched(enum key_health state);

/* All of the following return true where the state became another one. */

/* A failure that blames it; `is_test`: of the request that tests it. */
bool health_fail(struct health *health, const struct health_rules *rules, bool is_test,
                 uint64_t now_us, struct health_moves *moves);

/* To a benched state until then, or to KEY_INVALID. Never from a graver state to a lighter one, and
 * never to an earlier deadline, but after a test. */
bool health_bench(struct health *health, enum key_health state, uint64_t until_us,
                  struct health_moves *moves);

/* Takes the test of one whose time is up (`is_early`: of a cooling one before that, and
 * beside a test that is under way), for lease_us; false where there is none to take. */
bool health_test(struct health *health, bool is_early, uint64_t lease_us, uint64_t now_us,
                 struct health_moves *moves);

/* The test went well. */
bool health_pass(struct health *health, struct health_moves *moves);

/* The test ended without a result: the next one may begin at once. */
void health_drop(struct health *health, uint64_t now_us, struct health_moves *moves);

/* A success of one that is trusted: failures are forgotten, a trial is over. */
bool health_good(struct health *health, struct health_moves *moves);

/* What an earlier process knew of it: to a benched state until then, or to KEY_INVALID, where
 * nothing is known that speaks against it. One that was proven since is benched, but not invalid.
 */
bool health_restore(struct health *health, enum key_health state, uint32_t failures,
                    uint64_t until_us, struct health_moves *moves);

/* What a probe's result led to (see probe_plan_move). */
bool health_probed(struct health *health, enum key_health state, struct health_moves *moves);

#endif

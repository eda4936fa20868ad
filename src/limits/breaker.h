/*
 * A circuit breaker: CLOSED lets all through and counts; OPEN lets nobody; HALF_OPEN lets a few
 * calls try, and closes once all of them went well. It opens at `failures` failures AND a share of
 * `ratio_ppm` of the attempts in the window. State, moves and deadline stand in one atomic word.
 * Successes are not written here: each worker counts them in a tally of its own, and who reports a
 * failure brings their sum. Embedded in a key or an endpoint; any thread; a call through a closed
 * breaker writes nothing.
 */
#ifndef LIMITS_BREAKER_H
#define LIMITS_BREAKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "limits/tally.h"

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN, BREAKER_STATES };

struct breaker_settings {
    uint32_t failures; /* at least 1 */
    uint32_t ratio_ppm;
    uint64_t window_us;
    uint64_t open_us;
    uint32_t half_open_calls; /* 1 to BREAKER_MAX_CALLS; more is cut */
};

enum { BREAKER_MAX_CALLS = 255 };

struct breaker {
    _Atomic uint64_t word;
    struct tally failures;
    _Atomic uint32_t moves[BREAKER_STATES]; /* how often each state was entered */
};

/* What a call holds until its result is told: a half-open breaker counts it. */
struct breaker_pass {
    bool is_trial;
    uint8_t turn; /* which half-open time it belongs to: a late result of an older one is nothing */
};

/* Whether the call's end says anything about who this breaker guards. */
enum breaker_result {
    BREAKER_GOOD,
    BREAKER_BAD,
    BREAKER_NEUTRAL, /* somebody else is to blame, or nobody knows */
};

void breaker_init(struct breaker *breaker);

/* As it stands now: an OPEN one whose time is up reads HALF_OPEN. */
enum breaker_state breaker_state(const struct breaker *breaker, uint64_t now_us);
const char *breaker_state_text(enum breaker_state state);

/* The same, and until when an OPEN one is so (else 0): for what outlives the process. */
enum breaker_state breaker_look(const struct breaker *breaker, uint64_t now_us,
                                uint64_t *ret_until_us);

/* What an earlier process knew: a closed one opens until then, or, where that has passed, lets a
 * few calls try. False where it is not closed. */
bool breaker_restore(struct breaker *breaker, uint64_t until_us);

/* 0 where a call would pass now; else when it may (now_us + 1 and later). */
uint64_t breaker_shut_until(const struct breaker *breaker, const struct breaker_settings *settings,
                            uint64_t now_us);

/* Lets a call pass: true with *ret_pass. `is_last_way`: there is nobody else to ask, so that an
 * open breaker turns half-open before its time. */
bool breaker_enter(struct breaker *breaker, const struct breaker_settings *settings,
                   bool is_last_way, uint64_t now_us, struct breaker_pass *ret_pass);

/* The result of a call that passed; once a call. `good` is the number of successes in the window,
 * read for BREAKER_BAD alone. Returns true where the breaker changed its state. */
bool breaker_leave(struct breaker *breaker, const struct breaker_settings *settings,
                   struct breaker_pass pass, enum breaker_result result, uint64_t good,
                   uint64_t now_us);

/* A probe, or a connection that came about, has shown that all is well: closed at once. True where
 * it was not. */
bool breaker_close(struct breaker *breaker);

#endif

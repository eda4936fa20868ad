/*
 * A canary: a new key, provider or target that takes over by a ramp (canary/ramp.h) while evidence
 * for and against it is gathered (canary/evidence.h). It says when the share grows, when the canary
 * is promoted and when it is rolled back; who holds it sets weights (canary/weights.h), records and
 * alerts. A plain struct that the control thread owns: it may be written and read again
 * (canary/state.h), and goes on where it was. Pure: samples and the time are arguments.
 */
#ifndef CANARY_CANARY_H
#define CANARY_CANARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "canary/evidence.h"
#include "canary/ramp.h"

enum { CANARY_EXPLAIN_BYTES = 240 };

struct canary_settings {
    struct ramp_settings ramp;
    struct evidence_settings evidence;
    uint64_t
        min_requests;   /* of the canary's own, judged, before it is promoted; binds nothing else */
    const char *others; /* what explanations call the control; NULL: "old keys" */
};

enum canary_state {
    CANARY_RAMPING,
    CANARY_PROMOTED,
    CANARY_ROLLED_BACK,
    CANARY_STATES,
};

enum canary_verdict {
    CANARY_GOES_ON,   /* nothing changes */
    CANARY_GROWS,     /* another share: canary_share_ppm */
    CANARY_PROMOTE,   /* it has proven itself: told once */
    CANARY_ROLL_BACK, /* it has lost: told once */
};

struct canary {
    enum canary_state state;
    enum evidence_cause cause; /* ROLLED_BACK: why; NOTHING: by the operator */
    struct ramp ramp;
    struct evidence evidence;
};

/* At its first step, with nothing known. Where there is no ramp (ramp_is_on) it is promoted at
 * once: the state says so. */
void canary_init(struct canary *canary, const struct canary_settings *settings, uint64_t now_us);

/* What has become known since the last tick (NULL: nothing), and the time: about every 100 ms, and
 * at once when a failure of the canary is told. After the end nothing changes any more.
 * Settings may be others than before (a reload). */
enum canary_verdict canary_tick(struct canary *canary, const struct canary_settings *settings,
                                const struct evidence_tick *tick, uint64_t now_us);

/* After promotion, while there is a way back: it may still lose, and then it is rolled back. */
enum canary_verdict canary_watch(struct canary *canary, const struct canary_settings *settings,
                                 const struct evidence_tick *tick);

/* The share that the canary should have now: of the whole when it is promoted, none when it was
 * rolled back. */
uint32_t canary_share_ppm(const struct canary *canary, const struct canary_settings *settings);

/* The operator's: stop the ramp where it is, or let it go on. It may still lose. */
void canary_hold(struct canary *canary, bool is_held);

/* The operator's: the next step now; from the last, promotion. */
enum canary_verdict canary_advance(struct canary *canary, const struct canary_settings *settings);

/* The operator's: back to the last step whose share is no larger than that (or the first), from
 * which it goes on, also after promotion; what is known of it stays known. False where it was
 * rolled back. */
bool canary_step_back(struct canary *canary, const struct canary_settings *settings,
                      uint32_t share_ppm);

/* The operator's: back. False where it has ended already. */
bool canary_revert(struct canary *canary);

/* What a person on call wants to know, in one line: why it was rolled back ("9 of 38 requests
 * failed (old keys: 2 of 410)"), what it waits for, or how it did. Returns its length; it is cut to
 * fit. */
size_t canary_explain(const struct canary *canary, const struct canary_settings *settings,
                      char ret_text[CANARY_EXPLAIN_BYTES]);

/* "ramping", "promoted", "rolled_back". */
const char *canary_state_text(enum canary_state state);

#endif

/*
 * What evidence.c and pairs.c share: the numbers behind the tests. bench/canary_rates.c shows what
 * they make of them. Private to canary/.
 */
#ifndef CANARY_EVIDENCE_INNER_H
#define CANARY_EVIDENCE_INNER_H

#include "canary/evidence.h"

enum {
    GROUP_LEAST = 16,   /* requests of both arms that are compared with each other */
    GROUP_SCARCE = 128, /* the same where hardly any are the old keys' */
    GROUP_ALONE = 256,  /* of the canary, without one of the old keys: nobody to compare with */
    GROUP_UNSEEN = 256, /* of the old keys, without one of the canary: too far away to compare */
};

extern const struct wager_plan against_plan, slow_plan;

/* Puts the tick's requests into the group at hand, and judges the group once it is large enough. */
void pairs_add(struct evidence *evidence, const struct evidence_settings *settings,
               const struct evidence_tick *tick);

#endif

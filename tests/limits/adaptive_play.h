/*
 * A provider with a hidden limit of requests in any 60 s, which tells nothing and answers half a
 * second later, and one who asks it for more than passes, at the pace of an adaptive limit. On
 * virtual time. Used by the tests and by bench/adaptive.
 */
#ifndef TESTS_LIMITS_ADAPTIVE_PLAY_H
#define TESTS_LIMITS_ADAPTIVE_PLAY_H

#include <stdint.h>

#include "limits/adaptive.h"

enum { ADAPTIVE_PLAY_MAX = 4096 };

struct adaptive_provider {
    uint64_t limit;                          /* at most ADAPTIVE_PLAY_MAX */
    uint64_t accepted_us[ADAPTIVE_PLAY_MAX]; /* a ring */
    uint64_t accepted;
    uint64_t refused;
    uint64_t told_us; /* a refusal that is still on its way, of this time; 0: none */
};

/* For so long. */
void adaptive_play(struct adaptive *adaptive, struct adaptive_provider *provider, uint64_t *now_us,
                   uint64_t for_us);

#endif

/*
 * What trigger.c and its words share. Nobody else includes it. Pure; any thread.
 */
#ifndef ROTATION_TRIGGER_INNER_H
#define ROTATION_TRIGGER_INNER_H

#include "rotation/trigger.h"

/* Of the key's requests in the window, the failed ones in parts per million; 0 where there are too
 * few requests to say. */
uint32_t trigger_error_ppm(const struct trigger_rules *rules, const struct trigger_key *key);

/* Over max_error_ppm. */
bool trigger_is_over(const struct trigger_rules *rules, const struct trigger_key *key);

/* Fills in the answer's `why`, of the key that it names. */
void trigger_say(const struct trigger_rules *rules, const struct trigger_key *key,
                 const struct trigger_now *now, struct trigger_answer *answer);

#endif

/*
 * A trial: one key of a pool, the canary, gets a share of the picks, and what comes of them is
 * counted beside what comes of the other keys (the control), for canary/evidence to judge.
 *
 * Who gets the canary. Its share is not left to the weights: with few requests under way no
 * least_used can give a tenth, and round_robin and priority look at no weights. Each worker instead
 * counts up the share with each pick for which the canary could serve, and once in every whole, at
 * a place that chance decides, the pick is the canary's. So the share is exact to one pick a worker
 * whatever `selection` says and however light the load is, and no rhythm among the requests can
 * give the canary the heavy ones only. The share is of the picks in the canary's priority; before
 * keys of a better priority it takes no turns. Besides its turns the canary is a standby, whatever
 * its weight: it serves where no other key can.
 *
 * What counts. A request counts in the trial in which it was picked, in that worker, once: when its
 * first good bytes are here, or when it ended in failure (the column `trial` of
 * tables/outcomes.def). Only the first try of an exchange in the pool counts: which arm it is in
 * was drawn, while a second try is a request that has failed before, and goes where that one did
 * not.
 *
 * A turn that the canary cannot take because of an earlier answer (it lacks the model, or may not
 * use it; it is forbidden; its money is used up) goes to another key, and where that one answers
 * well it is the canary's failure: else a key that is refused once and then set aside for ten
 * minutes would look as if it had hardly failed. A key found invalid is not counted so: a probe
 * decides on it at once, and key_health tells.
 *
 * One trial of a pool at a time. The control thread; workers count in words of their own.
 */
#ifndef KEYPOOL_TRIAL_H
#define KEYPOOL_TRIAL_H

#include <stdint.h>

#include "canary/evidence.h"
#include "keypool/key.h"

struct keypool;
struct keypool_trial;

#define KEYPOOL_TRIAL_WHOLE UINT32_C(1000000)

/* Begins one with that key of the pool as its canary and that share, in millionths (more than the
 * whole: the whole). Workers know it from their next pick on. 0; ERR_EXISTS (there is one already),
 * ERR_NOTFOUND (the key is not, or no longer, the pool's) or ERR_NOMEM. The pool may be freed
 * before its end. */
int keypool_trial_begin(struct keypool *pool, struct key *key, uint32_t share_ppm,
                        struct keypool_trial **ret_trial);

/* Another share, from the workers' next picks on: canary_weights.pool_ppm. */
void keypool_trial_set_share(struct keypool_trial *trial, uint32_t share_ppm);

/* The canary: borrowed. */
struct key *keypool_trial_key(const struct keypool_trial *trial);

/* What has become known since it was last asked, over all workers: nothing twice, nothing lost.
 * `compared` and `differing` are 0. To be asked at once when keypool_effect.canary_failed says so,
 * for all that the workers had counted by then is in it. */
void keypool_trial_take(struct keypool_trial *trial, struct evidence_tick *ret_tick);

/* Ends it: the key is picked by its weight again (0: standby). What has become known since it was
 * last asked is in *ret_tick (NULL: of no interest); what is still under way counts nowhere. Leaves
 * NULL. */
void keypool_trial_end(struct keypool_trial **place, struct evidence_tick *ret_tick);

#endif

/*
 * Models that choose another model for each request: by how long its messages are (`by_size`), or
 * of several the one that costs least or answers soonest (`optimise`). Internal to route/; the
 * choice itself is plain code over what the request asks for, the catalogue, prices and measured
 * times. Any thread.
 *
 * Whatever the way, only models that can do what the request needs are chosen, as far as the
 * catalogue knows: what is unknown of a model it can do. A model can do what all of its weighted
 * targets can. Where none can, the choice is made as if all could: the provider's answer says best
 * what is wrong.
 *
 *   by_size   the first row whose bound is above the characters of the text; where its model cannot
 *             do it, the next row that can. The plan is that model's own.
 *   cost      what the estimated prompt and an answer of CHOICE_ANSWER_TOKENS for each choice, or
 *             fewer where the request allows no more, come to at this hour; of a model with several
 * targets the mean by weight. A model without a price stands behind those with one. The cheapest
 *             model's plan, and behind it those of the others in their order.
 *   latency   the running average of the time to the first byte, of a model with several targets
 *             the mean by weight of those that are known. Models without a known target go first in
 *             PACE_TRIES plans; after that, last: they may have no usable key. One exchange in
 * CHOICE_EXPLORE begins with another model, by chance: so one that was slow is found to have
 * recovered, at a cost that is bounded and plain. A bound of the UCB kind would explore less, but
 * takes latencies for steady, and a provider's are not: it would come back to a slow one ever more
 * rarely, just when it matters.
 */
#ifndef ROUTE_CHOICE_H
#define ROUTE_CHOICE_H

#include "route/plan_inner.h"

enum { CHOICE_ANSWER_TOKENS = 512, CHOICE_EXPLORE = 20, CHOICE_MAX_USES = 16 };

/* Links the models that choose to those they use, once all are compiled. 0 or ERR_NOMEM. */
int choices_compile(struct routes *routes, struct limiter_book *book);

/* What choices_compile and what came after it has made of a route. */
void choice_free(struct route *route);

/* The plan of a request for a route that chooses. */
void choice_plan(const struct route *route, const struct plan_ask *ask, struct rand *rand,
                 struct plan *plan);

/* Whether a model of these facts can do what is asked for. */
bool choice_fits(const struct conf_abilities *facts, const struct plan_ask *ask);

#endif

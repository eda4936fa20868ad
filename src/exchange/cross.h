/*
 * An exchange of a model that is being migrated (migration/crossing.h): which side it is counted
 * on, when a failure of the new side is taken to the old one, and what came of it. Of an exchange
 * of any other model nothing here is asked but whether it is one. One thread: the worker's.
 */
#ifndef EXCHANGE_CROSS_H
#define EXCHANGE_CROSS_H

#include <stdbool.h>

#include "dialect/outcome.h"
#include "exchange/exchange.h"

/* route: the plan's sides are put in order, and a turn is taken. */
void cross_begin(struct exchange *x, struct plan *plan);

/* The request begins to leave for the target at hand. */
void cross_note_sent(struct exchange *x);

/* Whether the target is the new side, whose turn it is: the keys that failed there may well serve
 * at the others, whose providers may be the same. */
bool cross_is_apart(const struct exchange *x, uint32_t target);

/* The attempt failed, before commit, and this is what `retry:` says of another try there. True
 * where the exchange goes to the old side now instead: whatever the new side answers that a client
 * would see as a failure, an answer that blames the request too, which the old side is asked to
 * judge. It costs neither a try nor anything of the budget, as if the old side had been asked at
 * first. */
bool cross_goes_back(struct exchange *x, const struct outcome_row *row, bool may_try_again);

/* There is no room here for what the target is to be told, and another is left. True where the
 * exchange goes to the old side instead, as above. */
bool cross_gives_way(struct exchange *x);

/* The head of a good answer goes out. */
void cross_note_commit(struct exchange *x, uint64_t now_us);

/* The exchange is over, after that long. */
void cross_end(struct exchange *x, uint64_t duration_us);

#endif

/*
 * The prices of one configuration: its own, before those that are built in. A table that is made
 * once and never changed; any thread may ask. The configuration must live as long.
 */
#ifndef LEDGER_PRICES_H
#define LEDGER_PRICES_H

#include "conf/config.h"
#include "ledger/price.h"

struct prices;

/* 0 or ERR_NOMEM. */
int prices_new(const struct config *config, struct prices **ret_prices);
void prices_free(struct prices **place);

/* What the model that the provider calls so costs there; provider_index is its place in
 * config.providers, model_hash the map_hash of the name. NULL: unknown. What the file says of
 * that provider goes before what it says of any, and that before what is built in; of these each
 * the very name before others that mean the model. An alias of the file costs what its model does.
 * One look into a table; up to three more for an alias, a name with a date behind it, or both. */
const struct price *prices_find(const struct prices *prices, uint32_t provider_index,
                                struct span model, uint64_t model_hash);

#endif

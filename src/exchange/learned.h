/*
 * The metrics of models that no configuration names: where the file has no `models`, a provider's
 * own list of them says which names there are. So the names of clients make no series, however many
 * they think of. One for each provider, counted, outlives configurations. The control thread adds
 * to it, workers look up.
 */
#ifndef EXCHANGE_LEARNED_H
#define EXCHANGE_LEARNED_H

#include <stdint.h>

#include "base/span.h"
#include "dialect/model_list.h"
#include "exchange/snapshot.h"

struct learned;

/* Nothing is learned yet. NULL without memory. */
struct learned *learned_new(void);
struct learned *learned_ref(struct learned *learned);
void learned_unref(struct learned **learned);

/* Gives each model of the list series of its own, where there is room for them; those of before
 * keep theirs. The control thread. */
void learned_add(struct learned *learned, struct metrics_schema *schema, struct span provider,
                 const struct model_list *models);

/* The series of a model by map_hash of its name; NULL: it has none. Any thread; no lock. */
const struct snapshot_series *learned_find(const struct learned *learned, uint64_t model_hash);

#endif

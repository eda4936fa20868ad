/*
 * The migration of one model in a running gateway: lives what migration/migration.h decides,
 * through the model's crossing, of which it reads the evidence, and the durable store, in which
 * each state stands before it is acted on and from which a restart goes on. Until the store has
 * answered, the old side serves and the new one stands behind it. Without a store nothing outlives
 * the process.
 *
 * The control thread, on whose loop it lives; never blocks.
 */
#ifndef ROTATION_MIGRATOR_H
#define ROTATION_MIGRATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "conf/config.h"
#include "io/loop.h"
#include "migration/migration.h"
#include "obs/log.h"
#include "store/store.h"

struct migrator;

/* How many pairs of the two sides' answers were compared, and how many of them differ; since
 * whatever time. */
struct migrator_compared {
    uint64_t compared, differing;
};

struct migrator_options {
    struct loop *loop;
    struct log *log;               /* NULL: none */
    struct store *store;           /* NULL: none; outlives it, as the loop does */
    struct crossing *crossing;     /* a reference is taken */
    const struct conf_model *conf; /* with a migration; as long as migrator_set_conf says */
    /* What a shadow has compared so far; false: nothing is compared. NULL: as false. */
    bool (*compared)(void *owner, struct span model, struct migrator_compared *ret_compared);
    /* State or step have changed; may be NULL. It may not free the migrator. */
    void (*on_news)(void *owner, const struct migrator *migrator);
    void *owner;
};

/* NULL without memory. */
struct migrator *migrator_new(const struct migrator_options *options);

/* The crossing stays as it is, but for one that its model has no use for any more. What is known is
 * written down once more. Accepts a pointer to NULL. */
void migrator_free(struct migrator **place);

/* What the file says from now on; its sides are those that it had. */
void migrator_set_conf(struct migrator *migrator, const struct conf_model *conf);

/* ---- orders: false where the state does not allow it ---- */

bool migrator_order(struct migrator *migrator, enum migration_order order);
bool migrator_send_back(struct migrator *migrator, uint32_t back_ppm);

/* ---- what there is ---- */

struct span migrator_model(const struct migrator *migrator);
struct span migrator_from(const struct migrator *migrator); /* "PROVIDER/MODEL" */
struct span migrator_to(const struct migrator *migrator);

/* Whose the new side is. */
struct span migrator_provider(const struct migrator *migrator);

/* Whether that provider is one of its sides. */
bool migrator_has_provider(const struct migrator *migrator, struct span provider);

/* The store has answered, or there is none: before that nothing is known. */
bool migrator_is_loaded(const struct migrator *migrator);

const struct crossing *migrator_crossing(const struct migrator *migrator);
const struct migration *migrator_migration(const struct migrator *migrator);
const struct migration_rules *migrator_rules(const struct migrator *migrator);

/* Both sides since it was first started, up to now: CROSSING_SIDES of them. */
const struct side *migrator_sides(struct migrator *migrator);

#endif

/*
 * What `bellwether catalogue` tells: the rows, and how they are shown. Main thread.
 */
#ifndef CLI_CATALOGUE_H
#define CLI_CATALOGUE_H

#include <stddef.h>

#include "base/buf.h"
#include "ledger/price.h"
#include "route/catalogue.h"

/* A model at a provider, or a name that has ended there. Texts are borrowed. */
struct catalogue_entry {
    struct span provider, model;
    enum provider_kind kind;
    bool has_price, is_price_own; /* own: the file says it */
    struct price price;
    struct span price_date; /* of a built-in one */
    struct conf_abilities facts;
    bool is_facts_own;
    struct span ends, successor; /* announced, or, with is_retired, already so */
    struct span own_successor;   /* as the file says, "none" for none; empty: it does not */
    bool is_retired;
    const struct config *config; /* NULL: none */
    const struct conf_provider *of;
};

struct catalogue_entries {
    struct catalogue_entry *items;
    size_t count, cap;
};

/* As text for people, or as one JSON object; appended. */
void catalogue_show_text(const struct catalogue_entries *entries, struct buf *out);
void catalogue_show_json(const struct catalogue_entries *entries, struct buf *out);

#endif

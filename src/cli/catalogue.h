/*
 * What `bellwether catalogue` tells: the rows, and how they are shown. Main thread.
 */
#ifndef CLI_CATALOGUE_H
#define CLI_CATALOGUE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/decimal.h"
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

/* What both say (catalogue_words.c). Texts stand in the buffers. */

enum { CATALOGUE_DAYS = 7, CATALOGUE_TIME_BYTES = 64 };

/* As the file has them, from Monday on. */
extern const char *const catalogue_day_names[CATALOGUE_DAYS];

/* USD per million tokens, of picodollars a token. */
struct span catalogue_amount(uint64_t rate, char text[DECIMAL_NANO_BYTES]);

/* "0.5", of thousandths. */
struct span catalogue_times(uint32_t permille, char text[DECIMAL_NANO_BYTES]);

/* A day, or where it is not its beginning, the moment. */
struct span catalogue_moment(uint64_t wall_us, char text[CATALOGUE_TIME_BYTES]);

/* Whether models of that kind are among them. */
bool catalogue_has_kind(const struct catalogue_entries *entries, enum provider_kind kind);

/* Another name that the file gives it, and further ones: begins with *at 0; false at the end. */
bool catalogue_entry_alias_next(const struct catalogue_entry *entry, size_t *at,
                                struct span *ret_alias);

#endif

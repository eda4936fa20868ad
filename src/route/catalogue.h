/*
 * What is known of models besides their prices: how long their prompts and answers may be, what
 * they can do, their other names, and what takes their place; tables/abilities.def, and before it
 * the `catalogue` of a configuration. What nobody told is unknown. Constant; any thread. Pure.
 */
#ifndef ROUTE_CATALOGUE_H
#define ROUTE_CATALOGUE_H

#include <stdbool.h>

#include "base/span.h"
#include "conf/config.h"

/* What is built in of a model that providers of that kind call so; by its names with a date or
 * "-latest" behind them and its aliases too. Azure's are OpenAI's. */
void catalogue_builtin(enum provider_kind kind, struct span model,
                       struct conf_abilities *ret_facts);

/* The same at a provider of the configuration: each fact as the nearest row of its `catalogue`
 * tells it, or as it is built in. */
void catalogue_find(const struct config *config, const struct conf_provider *provider,
                    struct span model, struct conf_abilities *ret_facts);

/* How near a row of the file is to that model there: 0, it is not about it; one of its provider
 * goes before one of any, and its very name before others that mean it. */
unsigned catalogue_nearness(const struct conf_catalogue *row, const struct conf_provider *provider,
                            struct span model);

/* The model that this name means there by the file's aliases, with a date behind it or without;
 * itself where it means no other. */
struct span catalogue_meant(const struct config *config, const struct conf_provider *provider,
                            struct span model);

/* Another name that means that model there by the file, and further ones: begins with *at 0; false
 * at the end. */
bool catalogue_own_alias_next(const struct config *config, const struct conf_provider *provider,
                              struct span model, size_t *at, struct span *ret_alias);

/* True where a row of the file covers the model there. */
bool catalogue_is_overridden(const struct config *config, const struct conf_provider *provider,
                             struct span model);

/* What the file says is asked for in the place of that model there, "none" where it says that it
 * lives on; empty: it says nothing. */
struct span catalogue_own_successor(const struct config *config,
                                    const struct conf_provider *provider, struct span model);

/* "tools", "vision", ...: as the configuration calls it. */
struct span catalogue_ability_name(enum conf_ability ability);

/* When its price was last seen confirmed, "2026-08-21"; empty: there is none built in. */
struct span catalogue_price_date(enum provider_kind kind, struct span model);

/* Announced of it: the date, empty where nothing is, and the successor, which may be empty. */
struct span catalogue_end(enum provider_kind kind, struct span model, struct span *ret_successor);

/* Another name of the model, and further ones: begins with *at 0; false at the end. */
bool catalogue_alias_next(enum provider_kind kind, struct span model, size_t *at,
                          struct span *ret_alias);

/* Names that have ended and what is served in their place, of all kinds: begins with *at 0. */
bool catalogue_retired_next(size_t *at, enum provider_kind *ret_kind, struct span *ret_pattern,
                            struct span *ret_successor);

/* Of all models of a kind; texts may be empty, the share 0: not known. */
struct catalogue_rules {
    enum provider_kind kind;
    struct span cache;
    unsigned batch_percent; /* of the price */
    struct span hours;
};

/* Begins with *at 0; false at the end. */
bool catalogue_rules_next(size_t *at, struct catalogue_rules *ret_rules);

#endif

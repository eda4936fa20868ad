/*
 * Which providers may know a model by its own name, where the file says nothing of models: compiled
 * from the `models` patterns of their keys and from what the kinds of providers are known for.
 * Internal to route/. Any thread; never changed once made.
 */
#ifndef ROUTE_OWN_NAMES_H
#define ROUTE_OWN_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "conf/config.h"

struct own_names;

/* 0 or ERR_NOMEM. */
int own_names_new(const struct config *config, struct own_names **ret_names);
void own_names_free(struct own_names **place);

/* The providers (their indices in config.providers) that may serve that name, in order, at most
 * max: returns how many. */
size_t own_names_find(const struct own_names *names, struct span model, uint32_t *ret_providers,
                      size_t max);

#endif

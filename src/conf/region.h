/*
 * Which of a provider's regions is near. Pure functions of the configuration; any thread.
 */
#ifndef CONF_REGION_H
#define CONF_REGION_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/config.h"

/* True with its index. */
bool conf_region_find(const struct conf_regions *regions, struct span name, size_t *ret_index);

/* A zone without the letter that tells it from the others of its place: "us-east-1a" is in
 * "us-east-1", "europe-west4-b" in "europe-west4". */
struct span conf_zone_place(struct span zone);

/*
 * The provider's regions from the nearest on: that of the zone (by `zones`, as it is or without its
 * letter; or a region of that very name), then default_region, then the others as in the file.
 * `order` has regions.count places. An empty zone is none.
 */
void conf_region_order(const struct conf_provider *provider, struct span zone, size_t *order);

/* What put the first there: "zone", "default" or "file". */
const char *conf_region_prior(const struct conf_provider *provider, struct span zone, size_t index);

#endif

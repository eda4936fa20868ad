/*
 * The registry: what outlives configurations and is found again by identity. Written by the control
 * thread alone; what it points to is shared with the workers and counted.
 */
#ifndef EXCHANGE_REGISTRY_H
#define EXCHANGE_REGISTRY_H

#include <stdint.h>

#include "access/limiter.h"
#include "access/purse.h"
#include "base/list.h"
#include "base/map.h"
#include "base/secret.h"
#include "limits/bulkhead.h"
#include "limits/priority.h"
#include "limits/retry_budget.h"
#include "migration/crossing.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "regions/regions.h"
#include "upstream/body.h"
#include "upstream/endpoint.h"
#include "upstream/provider.h"

struct helpers;
struct journal;
struct shadow_board;
struct learned;
struct estimates;
struct uses;

struct registry {
    uint32_t workers;
    struct secret_arena *secrets;
    struct limiter_book *limiters;
    struct purse_book *purses;
    struct pace_book *paces; /* of models that choose by latency */
    struct crossing_book *crossings;
    struct bulkhead *bulkheads[PRIORITIES];
    struct retry_budget *retry_budget;
    struct estimates *estimates; /* of tokens */
    struct metrics_schema *metrics;
    struct log *log;
    struct journal *journal; /* borrowed; NULL: none is kept */
    struct resolver *resolver;
    struct helpers *helpers; /* of all workers, for large bodies */
    struct uses **uses;      /* one a worker: what its exchanges used, until it is collected */
    struct body_budget bodies;
    struct body_budget shadow_bodies; /* apart, so that no request is refused for a shadow */
    struct shadow_board *shadows;
    struct map providers; /* struct registry_entry by provider name */
};

/* A provider with the endpoints it has now: one, or one a region. */
struct registry_entry {
    struct provider *provider;
    struct endpoint *endpoints[REGIONS_MAX];
    size_t endpoint_count;        /* 0: prepared, and not applied so far */
    struct learned *learned;      /* metrics of the models that it lists */
    struct keypool_extras extras; /* keys beside the file; borrowed: see registry_set_extras */
};

/* 0 or ERR_NOMEM. log is borrowed. is_locked: see secret_arena_new. */
int registry_init(struct registry *registry, uint32_t workers, struct secret_arena *secrets,
                  struct log *log);
void registry_fini(struct registry *registry);

/* The provider's entry, made where there is none. Changes nothing that is in use. 0, ERR_NOMEM or
 * ERR_FULL. */
int registry_prepare(struct registry *registry, const struct conf_provider *conf,
                     struct registry_entry **ret_entry);

/* With a reference, the endpoint of that URL that the provider will have under this configuration:
 * the one it has, with what is known of it, or a new one. 0; ERR_TLS or ERR_SYNTAX (see
 * endpoint_new), ERR_NOMEM. */
int registry_endpoint(const struct registry_entry *entry, const struct conf_provider *conf,
                      const struct conf_url *url, char *ret_error, struct endpoint **ret_endpoint);

/* The keys that the provider has beside the file, for the next snapshot that is prepared; borrowed
 * until then, or until the next call. Harmless for a provider that is not there. */
void registry_set_extras(struct registry *registry, struct span provider,
                         struct keypool_extras extras);

/* Brings the provider to the configuration: the endpoints (of which it takes references) and the
 * keys that were prepared, which are taken. At most REGIONS_MAX endpoints. */
void registry_apply(struct registry *registry, const struct conf_provider *conf,
                    struct endpoint *const *endpoints, size_t count,
                    struct keypool_change **change);

/* The provider has listed its models (provider_models): they get metrics of their own where the
 * configuration names none. */
void registry_learn(struct registry *registry, struct provider *provider);

/* Forgets the providers that the configuration does not name. */
void registry_prune(struct registry *registry, const struct config *config);

/* Forgets the providers that were prepared and never applied. */
void registry_refuse(struct registry *registry);

#endif

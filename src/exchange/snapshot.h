/*
 * The snapshot: what one configuration says, compiled for the road. Immutable once built; made by
 * the control thread, shared by all workers. Each worker holds one reference through its binding
 * (exchange/binding.h), so that an exchange costs no shared count.
 */
#ifndef EXCHANGE_SNAPSHOT_H
#define EXCHANGE_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "access/clients.h"
#include "conf/config.h"
#include "dialect/traits.h"
#include "limits/breaker.h"
#include "limits/priority.h"
#include "obs/metrics.h"
#include "route/plan.h"
#include "upstream/endpoint.h"
#include "upstream/provider.h"

struct hours;
struct learned;
struct prices;

/* One base URL of a provider. */
struct snapshot_site {
    struct span name; /* of the region; empty: the provider has none */
    struct endpoint *endpoint;
};

/* A provider under this configuration. Same order as config.providers. */
struct snapshot_provider {
    const struct conf_provider *conf;
    struct provider *provider;
    struct keypool_extras extras; /* keys beside the file; borrowed until the commit */
    /* One at least, the nearest first; more where several regions are declared. */
    struct snapshot_site *sites;
    size_t site_count;
    /* What is known of each, where there are several; NULL else. */
    struct region **regions;
    struct endpoint *endpoint; /* of the first site; borrowed */
    struct secret *fields;     /* lines of `headers:`, each with CRLF; NULL: none */
    enum include_usage include_usage;
    struct traits traits;
    uint32_t attempts, retries; /* metrics: series by outcome, by kind */
    uint32_t hedges, hedge_tokens, hedge_cost;
    struct learned *learned; /* metrics of the models it lists; NULL: the file names them */
};

/* A class under this configuration. */
struct snapshot_class {
    const struct conf_class *conf; /* NULL: not in the file */
    struct hours *windows;         /* NULL: none */
    size_t window_count;
};

/* Series of one provider and one model label. */
struct snapshot_series {
    uint32_t requests, errors, latency, ttfb, tokens, estimated, cost, unpriced;
};

/* Series of one client. */
struct snapshot_client_series {
    uint32_t requests, tokens, cost;
};

struct snapshot {
    const struct config *config;
    struct routes *routes;
    struct clients *clients;
    struct prices *prices;
    struct snapshot_class classes[PRIORITIES];
    struct snapshot_provider *providers;
    size_t provider_count;
    struct snapshot_series *series;               /* [label][provider + 1], 0 for no provider */
    struct snapshot_client_series *client_series; /* by client index */
    struct conf_strings forward_fields;           /* of all providers, lower case */
    uint64_t loaded_wall_us;
    bool counts_kinds; /* of requests' text: limits of tokens are in sight (estimating.h) */
};

/* What outlives snapshots and is needed to build one; the control thread's. */
struct registry;

/* Builds a snapshot of the configuration, which becomes the snapshot's. Providers and endpoints
 * that are the same as before are taken over from the registry; nothing that is in use changes, and
 * the last reference may go as if the snapshot had never been. One at a time. ret_error
 * (TLS_ERROR_BYTES) says what is wrong. 0, or an error with the configuration left to the caller
 * and nothing of it left behind.
 */
int snapshot_prepare(struct registry *registry, struct config *config, uint64_t now_us,
                     uint64_t wall_us, char *ret_error, struct snapshot **ret_snapshot);

/* Brings what outlives configurations to what this one says: keys, endpoints, limits. Once. */
void snapshot_commit(struct registry *registry, struct snapshot *snapshot);

/* Both: for where nothing else can fail any more. */
int snapshot_new(struct registry *registry, struct config *config, uint64_t now_us,
                 uint64_t wall_us, char *ret_error, struct snapshot **ret_snapshot);

/* After a snapshot that was prepared and not committed: forgets what only that one knew of. */
void snapshot_refuse(struct registry *registry, struct snapshot **snapshot);

struct snapshot *snapshot_ref(struct snapshot *snapshot);
void snapshot_unref(struct snapshot **snapshot);

/* The series of the target's provider (NULL: none was reached) and a label of the routes; where the
 * file names no models, those of the target's own model, once the provider has listed it. */
const struct snapshot_series *snapshot_series_of(const struct snapshot *snapshot, uint32_t label,
                                                 const struct plan_target *target);

/* The model's name that goes with it: of the routes, or as the provider lists it; else "other". */
struct span snapshot_model_of(const struct snapshot *snapshot, uint32_t label,
                              const struct plan_target *target);

/* The series of a model that no file names, shown once they have counted something. False where the
 * metrics have no room for more of them. The control thread. */
bool snapshot_series_quiet(struct metrics_schema *schema, struct span provider, struct span model,
                           struct snapshot_series *ret_series);

#endif

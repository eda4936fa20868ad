/*
 * A worker's binding to one snapshot: for each of its providers the worker's own view of the keys
 * and its own connections. The exchanges of a worker count their binding without atomics; the
 * binding holds the one reference to the snapshot. Views and pools go over from one binding to the
 * next where they are the same. One thread.
 */
#ifndef EXCHANGE_BINDING_H
#define EXCHANGE_BINDING_H

#include "base/list.h"
#include "exchange/snapshot.h"
#include "http/head.h"
#include "io/resolve.h"

struct local_view;
struct local_pool;

/* One base URL of a provider, as this worker uses it. */
struct outlet_site {
    const struct snapshot_site *row;
    struct endpoint_pool *pool;
    struct endpoint_tally *tally;
    struct region_tally *seen;     /* what is counted of it as a region; NULL: it is the only one */
    struct local_pool *local_pool; /* the counted owner of them */
};

/* One provider of the snapshot, as this worker uses it. */
struct outlet {
    const struct snapshot_provider *row;
    struct keypool_view *view;
    struct local_view *local_view; /* its counted owner */
    struct outlet_site *sites;     /* row->site_count of them */
};

struct binding {
    struct snapshot *snapshot;
    unsigned refs;
    struct outlet_site *sites; /* of all outlets */
    struct outlet outlets[];   /* by provider index */
};

/* The site that has the traffic just now; the only one, where there is no choice. */
size_t outlet_home(const struct outlet *outlet);

/* All that bindings of one worker share. Embedded in the host. */
struct binding_home {
    struct loop *loop;
    struct resolver *resolver;
    struct http_head *head_scratch;
    uint32_t worker;
    struct list views; /* struct local_view */
    struct list pools; /* struct local_pool */
    void (*on_back)(void *owner, struct provider *provider);
    void *owner;
};

/* on_back: a provider's endpoint, which had refused connections, accepted one of this worker. */
void binding_home_init(struct binding_home *home, struct loop *loop, struct resolver *resolver,
                       struct http_head *head_scratch, uint32_t worker,
                       void (*on_back)(void *owner, struct provider *provider), void *owner);

/* Takes a reference to the snapshot. Changes nothing of other bindings. 0 or ERR_NOMEM. */
int binding_new(struct binding_home *home, struct snapshot *snapshot, struct binding **ret_binding);

/* It is the one in force: the connections keep to its bounds. */
void binding_apply(struct binding *binding);
struct binding *binding_ref(struct binding *binding);
void binding_unref(struct binding **binding);

/* Up to max tickets of exchanges that were granted something in the waiting rooms of this worker's
 * providers: returns how many. Each room's in their order; the rooms take turns in being first. */
size_t binding_home_take(struct binding_home *home, struct waiting_ticket *ret_tickets, size_t max);

/* waiting_look in the rooms of all of this worker's providers: returns when to look next. */
uint64_t binding_home_look(struct binding_home *home, uint64_t now_us, waiting_call *call,
                           void *owner);

#endif

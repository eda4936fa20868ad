/*
 * An endpoint: one base URL of a provider. The shared part (struct endpoint) stands in the
 * registry, outlives configurations, is counted and read by all workers; its health is a few
 * atomics. Each loop has a part of its own (struct endpoint_pool): the addresses of the name and
 * the connections, kept and under way. Connections belong to the endpoint and its TLS identity,
 * never to a key.
 */
#ifndef UPSTREAM_ENDPOINT_H
#define UPSTREAM_ENDPOINT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "conf/config.h"
#include "http/client.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "keypool/endpoint_health.h"
#include "regions/region.h"
#include "upstream/endpoint_news.h"

struct dial;
struct endpoint;
struct endpoint_pool;

/* May usage be asked for? Learnt from an upstream's refusal; shared by all workers. */
enum endpoint_usage { ENDPOINT_USAGE_UNTRIED, ENDPOINT_USAGE_TAKEN, ENDPOINT_USAGE_REFUSED };

/* For that URL of the provider: its base_url, or a region's. Copies what it needs of the
 * configuration. ret_error (TLS_ERROR_BYTES) says what is wrong with its TLS files. 0, ERR_TLS,
 * ERR_SYNTAX or ERR_NOMEM. */
int endpoint_new(const struct conf_provider *provider, const struct conf_url *url, char *ret_error,
                 struct endpoint **ret_endpoint);
struct endpoint *endpoint_ref(struct endpoint *endpoint);
void endpoint_unref(struct endpoint **endpoint);

/* True where the configuration still means this endpoint: the same URL and TLS settings, and the
 * files that these name are as they were. Looks at the files. */
bool endpoint_is_same(const struct endpoint *endpoint, const struct conf_provider *provider,
                      const struct conf_url *url);

/* What is known of it as one of several regions, made where there is nothing yet: only by the
 * control thread, before a configuration that has it is in use. NULL without memory. */
struct region *endpoint_make_region(struct endpoint *endpoint);
/* The same; NULL: it never was one of several. */
struct region *endpoint_region(struct endpoint *endpoint);
/* The calling loop's counts there, which the endpoint keeps and frees. NULL without memory. */
struct region_tally *endpoint_region_tally_new(struct endpoint *endpoint);

struct endpoint_health *endpoint_health_of(struct endpoint *endpoint);
/* A tally of the calling loop's successes, which the endpoint keeps and frees. NULL without memory.
 */
struct endpoint_tally *endpoint_tally_new(struct endpoint *endpoint);

struct span endpoint_authority(const struct endpoint *endpoint); /* for the Host field */
struct span endpoint_path(const struct endpoint *endpoint);      /* "" or "/v1" */
struct span endpoint_url(const struct endpoint *endpoint);
struct span endpoint_host(const struct endpoint *endpoint);
struct span endpoint_unix_path(const struct endpoint *endpoint); /* empty: TCP */
uint16_t endpoint_port(const struct endpoint *endpoint);
struct tls_context *endpoint_tls(const struct endpoint *endpoint); /* NULL: plain */
enum endpoint_usage endpoint_usage(const struct endpoint *endpoint);
void endpoint_set_usage(struct endpoint *endpoint, enum endpoint_usage usage);

/* For whoever tells operators. */
struct endpoint_news *endpoint_news_of(struct endpoint *endpoint);

/* A connection came to stand, or is gone. Any thread. */
void endpoint_note_connected(struct endpoint *endpoint);
void endpoint_note_closed(struct endpoint *endpoint);

/* Connections of all loops that stand now, and (*ret_total) that ever stood. Any thread. */
uint64_t endpoint_connections(const struct endpoint *endpoint, uint64_t *ret_total);

struct uplink;

/* What the user of a connection is told; see struct http_client_ops. After on_fail the connection
 * is gone. */
struct uplink_ops {
    void (*on_head)(void *user, const struct http_head *head);
    void (*on_data)(void *user, char *data, size_t len, bool is_last);
    void (*on_room)(void *user);
    void (*on_fail)(void *user, int err);
    void (*on_timer)(void *user);
};

/* One connection to the endpoint. Lent to one user at a time. */
struct uplink {
    struct http_client http;
    struct loop_timer
        timer; /* the user's; kept with the connection so that setting it stays O(1) */
    const struct uplink_ops *ops;
    void *user;    /* NULL: nobody's */
    bool is_fresh; /* no request was answered on it yet */
    /* The pool's own: */
    struct endpoint_pool *pool;
    struct dial *dial; /* NULL once connected */
    struct list link;  /* in the pool's idle list, or its dial's */
    struct loop_task end;
    uint64_t idle_since_us;
};

/* Told to whoever asked for a connection. Embedded in the asker. */
struct uplink_asker {
    struct list link;
    bool is_spare; /* stands behind all that are not, whoever asked first */
    /* Yours: set user and ops, begin a request on it. */
    void (*on_uplink)(struct uplink_asker *asker, struct uplink *uplink);
    /* None can be had: ERR_TIMEOUT, ERR_REFUSED and its kin, ERR_TLS, ERR_RESOLVE, ERR_NOMEM. */
    void (*on_no_uplink)(struct uplink_asker *asker, int err);
};

/* This loop's part. `resolver` is shared; head_scratch is the loop's. NULL without memory. */
struct endpoint_pool *endpoint_pool_new(struct endpoint *endpoint, struct loop *loop,
                                        struct resolver *resolver, struct http_head *head_scratch);

/* Every user must have ended. Closes all connections. */
void endpoint_pool_free(struct endpoint_pool **pool);

/* The bounds of the configuration in force; 0 idle keeps none. */
void endpoint_pool_set_bounds(struct endpoint_pool *pool, const struct conf_connections *bounds,
                              uint64_t connect_us);

/* on_back is called when a connection has come about at an endpoint that had refused them, where
 * this pool was the first to find out: whoever waits for it need wait no longer. */
void endpoint_pool_set_back(struct endpoint_pool *pool, void (*on_back)(void *owner), void *owner);

struct endpoint *endpoint_pool_endpoint(struct endpoint_pool *pool);
struct endpoint_tally *endpoint_pool_tally(struct endpoint_pool *pool);

/* A kept connection, at once; NULL where there is none, or others wait for one: for whoever is no
 * spare asker, others of that kind. */
struct uplink *endpoint_pool_take_idle(struct endpoint_pool *pool, bool is_spare);

/* Asks for a connection: the asker is told later, first come first served, but for spare ones: a
 * connection that was begun for one is whoever else's asks meanwhile. Never before this returns.
 * False where none is made for it, since `max` stand or memory is short: it waits for one that is
 * given back all the same. */
bool endpoint_pool_ask(struct endpoint_pool *pool, struct uplink_asker *asker);

/* Takes the question back. */
void endpoint_pool_unask(struct endpoint_pool *pool, struct uplink_asker *asker);

/* The user is done with it, or it failed: kept if it is reusable, else closed. */
void endpoint_pool_give(struct uplink *uplink);

/* Connections that stand or are being made. */
size_t endpoint_pool_count(const struct endpoint_pool *pool);

#endif

/*
 * What the files of an endpoint's pool share: endpoint_pool.c keeps and lends connections, dial.c
 * makes them, endpoint_names.c finds the addresses. Included by these alone; the thread of the
 * pool's loop.
 */
#ifndef UPSTREAM_ENDPOINT_POOL_INNER_H
#define UPSTREAM_ENDPOINT_POOL_INNER_H

#include "upstream/endpoint.h"

struct endpoint_pool {
    struct endpoint *endpoint;
    struct loop *loop;
    struct resolver *resolver;
    struct http_head *head_scratch;
    struct endpoint_tally *tally; /* owned by the endpoint, which outlives this pool */
    struct list idle;             /* used last stands first */
    struct list askers, spare_askers;
    struct list dials;
    size_t count; /* connections that stand; dial_count are being made */
    size_t idle_count, asker_count, dial_count;
    size_t max, max_idle;
    uint64_t keepalive_us, connect_us;
    struct loop_timer janitor;
    struct loop_task pump;
    struct addr addrs[RESOLVE_MAX_ADDRS];
    size_t addr_count;
    uint64_t resolved_us;
    struct resolve_query *query; /* under way */
    void (*on_back)(void *owner);
    void *owner;
    bool is_name; /* the host needs resolving */
    bool is_ending;
};

/* The making of one connection: addresses are tried one after another, the next as soon as one
 * failed or 250 ms have passed; the first to stand wins (RFC 8305 section 5). */
struct dial {
    struct endpoint_pool *pool;
    struct list link;
    struct list uplinks;
    struct loop_timer timer;
    struct loop_task end;
    uint64_t deadline_us;
    size_t next_addr;
    int err;
    bool is_over;
    bool is_spare; /* begun for a spare asker: no other is told where it fails */
};

/* Looks, at the end of the turn, who waits and what there is. */
void pool_pump_later(struct endpoint_pool *pool);

/* A connection that has come about: kept for the next user. */
void pool_make_idle(struct uplink *uplink);

/* Closes a connection, idle, lent or being made. */
void pool_drop(struct uplink *uplink);

/* Takes the first out of that line; NULL: nobody stands there. */
struct uplink_asker *pool_pop_asker(struct endpoint_pool *pool, struct list *line);

/* Takes whoever is to have the next connection out of his line; NULL: nobody asks. */
struct uplink_asker *pool_next_asker(struct endpoint_pool *pool);

/* Begins to make one more connection: 0 or ERR_NOMEM. */
int dial_new(struct endpoint_pool *pool, bool is_spare);

/* Addresses may have come: tries the next. */
void dial_go_on(struct dial *dial);

/* Gives up, and closes what was begun; nobody is told. */
void dial_finish(struct dial *dial);

/* Takes the endpoint's literal address or socket path over: 0, or ERR_SYNTAX where it is a name. */
int names_take_literal(struct endpoint_pool *pool);

/* Asks for the name's addresses where there are none, or only old ones. */
void names_refresh(struct endpoint_pool *pool);

#endif

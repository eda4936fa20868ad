/*
 * Client keys that the gateway has issued itself, beside those of its file: a table that is made
 * anew for each change and never changed, so that whoever has one reads it without a lock. Its
 * clients are counted and go from one table to the next; so many thousands of keys cost a change of
 * one no more than copying their places. Pure. Tables and clients are counted across threads; a
 * hold is one thread's.
 */
#ifndef ACCESS_ISSUED_H
#define ACCESS_ISSUED_H

#include <stdatomic.h>
#include <stdint.h>

#include "access/clients.h"

enum { ISSUED_MAX = 16384 }; /* in one table */

#define CLIENT_ISSUED UINT32_MAX /* as client.index */

/* What is said of one; texts are borrowed. */
struct issued_facts {
    struct span id, name, class_name;
    uint8_t sha256[CONF_SHA256_BYTES]; /* of its secret */
    struct conf_strings models;        /* patterns with '*'; empty: all */
    struct conf_limits limits;
    uint64_t created_wall_us;
    uint64_t expires_wall_us; /* 0: never */
    uint64_t revoked_wall_us; /* 0: it stands; else it is refused, also where anybody may call */
};

struct issued_shared;

/* One client. Immutable, but for what is shared. */
struct issued_client {
    struct client client; /* index: CLIENT_ISSUED */
    struct conf_client conf;
    struct issued_facts facts;
    uint32_t requests, tokens,
        cost; /* its series; set by who makes it, before anybody else sees it */
    struct issued_shared *shared;
};

/* With a reference; its limits are those of the book by its id, which outlives it. A revoked one
 * has none. 0 or ERR_NOMEM. */
int issued_client_new(const struct issued_facts *facts, struct limiter_book *book,
                      struct issued_client **ret_client);
struct issued_client *issued_client_ref(struct issued_client *client);
void issued_client_unref(struct issued_client **place);

static inline bool issued_is_revoked(const struct issued_client *client)
{
    return client->facts.revoked_wall_us != 0;
}

/* The issued client that this is, or NULL. */
static inline const struct issued_client *issued_of(const struct client *client)
{
    return client->index == CLIENT_ISSUED ? (const struct issued_client *)(const void *)client
                                          : NULL;
}

/* It was used; noted once in ISSUED_USE_US, so that a busy key's line is not passed around. */
enum { ISSUED_USE_US = 10000000 };
void issued_note_use(const struct issued_client *client, uint64_t wall_us);

/* When it was used last, to within ISSUED_USE_US; 0: never. */
uint64_t issued_last_use(const struct issued_client *client);

struct issued;

/* A table of these clients, each of which is counted, with a reference to it. 0; ERR_NOMEM;
 * ERR_FULL (ISSUED_MAX). */
int issued_new(struct issued_client *const *clients, size_t count, struct issued **ret_issued);
struct issued *issued_ref(struct issued *issued);
void issued_unref(struct issued **place);

size_t issued_count(const struct issued *issued);

/* The client whose secret has that digest (CONF_SHA256_BYTES), or NULL. */
const struct client *issued_find(const struct issued *issued, const uint8_t *sha256);

/* One thread's hold on a table, which it counts without atomics. */
struct issued_hold {
    struct issued *issued;
    unsigned refs;
};

/* With one reference, for the thread it is given to; NULL without memory. */
struct issued_hold *issued_hold_new(struct issued *issued);
struct issued_hold *issued_hold_ref(struct issued_hold *hold);
void issued_hold_unref(struct issued_hold **place);

#endif

/*
 * Pages of what the durable store keeps: past rotations, and the audit trail. Each asks the store
 * with the request's head, and is answered once the store has; a client that leaves meanwhile is
 * not missed. The control thread's.
 */
#ifndef ADMIN_LOOKUP_H
#define ADMIN_LOOKUP_H

#include "admin/page.h"
#include "base/list.h"
#include "dialect/failure.h"
#include "http/server.h"

struct admin_route;
struct admin_subject;
struct lookup;
struct store;
struct store_answer;
struct store_ask;

/* Those under way. Embedded in the admin address. */
struct lookups {
    struct list all;
    struct page_view (*view)(void *owner); /* this moment */
    /* Answers: refusal, or with NULL the page. Its buffer goes. */
    void (*answer)(void *owner, struct http_server_conn *conn, const struct failure_row *refusal,
                   struct page *page);
    void *owner;
};

/* What one of them asks, and what it writes of the answer: a row of tables/admin.def each. */
struct lookup_kind {
    /* Asks the store, which is there: as the functions of store/ that take an ask. */
    int (*begin)(struct lookup *lookup, struct store *store);
    /* Writes the answer; NULL once the page is whole, or has asked again, or why it cannot be. */
    const struct failure_row *(*end)(struct lookup *lookup, const struct store_answer *answer);
    bool does_without; /* there is something to tell also without a store */
};

extern const struct lookup_kind lookup_rotations, lookup_rotation, lookup_audit;

/* Begins, or answers at once. */
void lookup_begin(struct lookups *lookups, struct http_server_conn *conn,
                  const struct lookup_kind *kind, const struct admin_subject *subject,
                  struct span query);

/* The client left. Harmless where it asked nothing. */
void lookup_drop(struct lookups *lookups, const struct http_server_conn *conn);

/* The end: all of them are dropped. */
void lookups_end(struct lookups *lookups);

#endif

/*
 * The desk that issues client keys: what the admin address asks for becomes durable, then known to
 * every worker, and only then is it answered; so a key works wherever it is used first, and one
 * that was revoked is let in nowhere. What is asked for at once is published at once. Where the
 * store does not answer, a new key is taken back; a revocation holds on all workers before it is
 * written. The control thread's.
 */
#ifndef ADMIN_CLIENT_DESK_H
#define ADMIN_CLIENT_DESK_H

#include <stdbool.h>
#include <stdint.h>

#include "access/issued.h"
#include "io/loop.h"
#include "obs/metrics.h"
#include "store/store.h"

struct client_desk;

enum {
    CLIENT_DESK_WORDS_BYTES = 320,
    CLIENT_DESK_PATIENCE_US = 5000000, /* for the store */
    CLIENT_DESK_REMEMBERS_DAYS = 90,   /* how long a revoked key is known as such */
};

struct client_desk_options {
    struct loop *loop;
    struct metrics_schema *metrics;
    /* Gives the table to every worker, and calls client_desk_published once all go by it; no other
     * is given meanwhile. 0, or ERR_NOMEM: it is asked again. */
    int (*publish)(void *owner, struct issued *issued);
    void *owner;
};

/* One thing that is asked of the desk. Embedded in its owner, zeroed before its first use. */
struct client_change {
    /* Called once, never before the function that began it has returned, and then no more: err 0,
     * with what the key is now; else why not. May free the change. */
    void (*on_done)(struct client_change *change, int err, const char *why);
    const struct issued_client *client; /* with err 0; borrowed for the call */

    /* The desk's. */
    struct list link;
    struct client_desk *desk;
    struct store_ask ask;
    struct loop_timer timer;
    struct issued_client *fresh, *before;
    enum { CHANGE_ISSUES, CHANGE_UPDATES, CHANGE_REVOKES } kind;
    bool is_written, is_published, is_out;
};

/* 0 or ERR_NOMEM. */
int client_desk_new(const struct client_desk_options *options, struct client_desk **ret_desk);

/* Behind the workers: their tables' clients have their limits here. Accepts NULL. */
void client_desk_free(struct client_desk **place);

/* Keeps its keys in that store from now on, and reads them; NULL: `why` there is none. Until they
 * were read nothing is changed. */
void client_desk_open(struct client_desk *desk, struct store *store, const char *why);

/* Ends what is under way, and begins nothing more: before the store and the admin address go. */
void client_desk_close(struct client_desk *desk);

/* Every worker goes by the table that was published last. */
void client_desk_published(struct client_desk *desk);

/* Whether all keys that outlived the last process are known to the workers; or why not. */
bool client_desk_is_loaded(const struct client_desk *desk); /* known here */
bool client_desk_is_ready(const struct client_desk *desk);
const char *client_desk_why(const struct client_desk *desk);

/* The key of that id or name, unless it was revoked; NULL. Borrowed until the next turn. */
const struct issued_client *client_desk_find(const struct client_desk *desk, struct span id);
const struct issued_client *client_desk_find_name(const struct client_desk *desk, struct span name);

/* Those that were not revoked, in the order in which they came: begins with *at 0; NULL at the end.
 */
const struct issued_client *client_desk_next(const struct client_desk *desk, size_t *at);

/* Begins a change: 0; ERR_AGAIN (client_desk_why, or another change of the same key is under way);
 * ERR_EXISTS (the name); ERR_NOTFOUND; ERR_FULL (ISSUED_MAX); ERR_NOMEM. With an error nothing is
 * under way. An update keeps id, name, secret and creation, whatever the facts say. */
int client_desk_issue(struct client_desk *desk, struct client_change *change,
                      const struct issued_facts *facts);
int client_desk_update(struct client_desk *desk, struct client_change *change, struct span id,
                       const struct issued_facts *facts);
int client_desk_revoke(struct client_desk *desk, struct client_change *change, struct span id);

#endif

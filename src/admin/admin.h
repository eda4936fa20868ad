/*
 * The admin address: metrics, the admin API and the state of the gateway, on an HTTP server of its
 * own in the control thread's loop. It reads what the workers share; it never waits for them.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

#include "exchange/registry.h"
#include "exchange/snapshot.h"
#include "io/loop.h"
#include "rotation/rotation.h"

struct admin;
struct books;
struct client_desk;
struct migrator;

/* What the process around it knows. */
struct admin_state {
    bool is_ready;
    uint64_t started_wall_us;
    uint64_t loaded_wall_us; /* when the configuration in force was loaded */
};

/* An order as it is told of behind it; borrowed for the call. What it is about may be nothing that
 * there is. */
struct admin_order_note {
    struct span from;   /* the address that gave it */
    struct span action; /* a word: "drain", "weight", ... */
    struct span provider, key;
    bool is_done;       /* else it was refused */
    struct span detail; /* what was asked for besides, or the code of the refusal; may be empty */
};

/* A budget as it stands; texts are borrowed until the next one is asked for. */
struct admin_budget {
    const char *of;       /* "key", "client" or "pool" */
    struct span provider; /* of a key */
    struct span name;
    uint64_t limit_nanousd, spent_nanousd;
    const char *per;         /* "day" */
    uint64_t resets_wall_us; /* when its next period begins */
    bool is_spent;
};

struct admin_options {
    struct loop *loop;
    struct registry *registry;
    int fd; /* a listening socket, taken over */
    /* The state now; called on the loop's thread. */
    struct admin_state (*state)(void *owner);
    /* The rotation of that provider's keys; NULL: none. The same thread. */
    struct rotation *(*rotation)(void *owner, struct span provider);
    /* Replaces a key of a provider that has one; as rotation_begin. */
    enum rotation_begun (*rotate)(void *owner, struct span provider, struct span name,
                                  bool is_leaked, uint64_t *ret_id);
    struct client_desk *clients; /* of issued client keys */
    /* The migrations of models, from index 0; NULL at the end. The same thread. */
    struct migrator *(*migration)(void *owner, size_t index);
    /* The budgets: begins with *at 0; false at the end. NULL: there are none. The same thread. */
    bool (*budget)(void *owner, size_t *at, struct admin_budget *ret_budget);
    /* The sums of what was used; NULL: there are none. The same thread. */
    const struct books *(*books)(void *owner);
    /* An order changed a key: who waits for one may go on. The same thread. */
    void (*on_effect)(void *owner, struct provider *provider, const struct keypool_effect *effect);
    /* The durable store; NULL: there is none. The same thread. */
    struct store *(*store)(void *owner);
    /* Something was ordered. */
    void (*on_order)(void *owner, const struct admin_order_note *note);
    void *owner;
};

/* 0, ERR_NOMEM or ERR_FULL; on failure fd stays the caller's. */
int admin_new(const struct admin_options *options, struct admin **ret_admin);

/* Closes its connections; the loop must turn once more before it is freed. Accepts NULL. */
void admin_free(struct admin **admin);

/* There is something new in the registry's journal. */
void admin_tell_events(struct admin *admin);

/* Ends the streams of events as they should end; further ones are refused. */
void admin_end_events(struct admin *admin);

/* What it shows from now on; borrowed until the next call. The token is that of its configuration:
 * where it is another, or the first, or gone, the streams of events end. */
void admin_set_snapshot(struct admin *admin, struct snapshot *snapshot);

#endif

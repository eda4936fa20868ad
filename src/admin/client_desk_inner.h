/*
 * What the two halves of the desk share: client_desk.c, which keeps the keys and publishes them,
 * and client_change.c, which sees a change to its end. The control thread's.
 */
#ifndef ADMIN_CLIENT_DESK_INNER_H
#define ADMIN_CLIENT_DESK_INNER_H

#include "admin/client_desk.h"
#include "admin/client_roster.h"

struct client_desk {
    struct client_desk_options options;
    struct limiter_book *book;
    struct store *store; /* NULL: `why` */
    char why[CLIENT_DESK_WORDS_BYTES];
    struct store_ask load;
    struct loop_timer retry; /* of loading, or of publishing */
    bool is_loaded, is_closed;

    struct client_roster roster;

    struct list writing, waiting, publishing; /* changes: by what they wait for */
    bool is_due;                              /* what stands in the roster is not published */
    bool is_publishing;
    bool is_public; /* something was published, after loading */
};

/* Gives the roster to the workers, with all changes that wait for that: now, or once it can. */
void client_desk_publish(struct client_desk *desk);

/* Series of its own, as long as there is room for the names of keys that come and go. */
void client_desk_name_series(struct client_desk *desk, struct issued_client *client);

/* All workers go by it. May free the change. */
void client_change_published(struct client_change *change);

/* Ends those, and takes back keys whose secret nobody will ever have. */
void client_changes_drop(struct client_desk *desk, struct list *changes);

#endif

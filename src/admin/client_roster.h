/*
 * The client keys that were issued, as the desk knows them: in the order in which they came, and
 * by id and name. Those that were revoked stand among them, so that they are known as such.
 * Embedded in the desk. The control thread's.
 */
#ifndef ADMIN_CLIENT_ROSTER_H
#define ADMIN_CLIENT_ROSTER_H

#include <stdbool.h>
#include <stddef.h>

#include "access/issued.h"
#include "base/map.h"

struct client_roster {
    struct issued_client **clients; /* oldest first, ISSUED_MAX at most; each counted */
    size_t count;
    struct map ids, names; /* names: those that stand, and those that are taken */
};

/* 0 or ERR_NOMEM; what failed is to be finished too. */
int client_roster_init(struct client_roster *roster);
void client_roster_fini(struct client_roster *roster);

/* By id, revoked ones too; NULL. */
struct issued_client *client_roster_find(const struct client_roster *roster, struct span id);

/* Which stands under that name; NULL, also where the name is only taken. */
struct issued_client *client_roster_find_name(const struct client_roster *roster, struct span name);

/* Those that were not revoked, oldest first: begins with *at 0; NULL at the end. */
const struct issued_client *client_roster_next(const struct client_roster *roster, size_t *at);

bool client_roster_holds(const struct client_roster *roster, const struct issued_client *client);

/* Whether somebody has the name, or is to have it. */
bool client_roster_is_taken(const struct client_roster *roster, struct span name);

/* Keeps the name for a client that is no part yet: 0, ERR_EXISTS, ERR_NOMEM. Letting go of a name
 * that is another's is harmless. */
int client_roster_take_name(struct client_roster *roster, struct issued_client *client);
void client_roster_drop_name(struct client_roster *roster, const struct issued_client *client);

/* Takes the reference, with 0 alone: ERR_EXISTS (the id), ERR_NOMEM. The caller left a place. */
int client_roster_add(struct client_roster *roster, struct issued_client *client);

/* In the place of what it follows under the same id and name; takes the reference, and lets go of
 * the other's. */
void client_roster_replace(struct client_roster *roster, struct issued_client *before,
                           struct issued_client *fresh);

/* Out of everything, with its reference. */
void client_roster_remove(struct client_roster *roster, struct issued_client *client);
void client_roster_clear(struct client_roster *roster);

#endif

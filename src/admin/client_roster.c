#include "admin/client_roster.h"

#include "base/alloc.h"
#include "base/err.h"

static struct span id_of(const struct issued_client *client)
{
    return client->facts.id;
}

/* count: it has none. */
static size_t place_of(const struct client_roster *roster, const struct issued_client *client)
{
    size_t at = 0;

    while (at < roster->count && roster->clients[at] != client)
        at++;
    return at;
}

bool client_roster_holds(const struct client_roster *roster, const struct issued_client *client)
{
    return place_of(roster, client) < roster->count;
}

struct issued_client *client_roster_find(const struct client_roster *roster, struct span id)
{
    return map_find(&roster->ids, id);
}

struct issued_client *client_roster_find_name(const struct client_roster *roster, struct span name)
{
    struct issued_client *client = map_find(&roster->names, name);

    return client && map_find(&roster->ids, id_of(client)) == client ? client : NULL;
}

const struct issued_client *client_roster_next(const struct client_roster *roster, size_t *at)
{
    while (*at < roster->count) {
        const struct issued_client *client = roster->clients[(*at)++];

        if (!issued_is_revoked(client))
            return client;
    }
    return NULL;
}

bool client_roster_is_taken(const struct client_roster *roster, struct span name)
{
    return map_find(&roster->names, name) != NULL;
}

int client_roster_take_name(struct client_roster *roster, struct issued_client *client)
{
    return map_add(&roster->names, client->facts.name, client);
}

void client_roster_drop_name(struct client_roster *roster, const struct issued_client *client)
{
    if (map_find(&roster->names, client->facts.name) == client)
        map_remove(&roster->names, client->facts.name);
}

int client_roster_add(struct client_roster *roster, struct issued_client *client)
{
    int err = map_add(&roster->ids, id_of(client), client);

    if (!err)
        roster->clients[roster->count++] = client;
    return err;
}

void client_roster_replace(struct client_roster *roster, struct issued_client *before,
                           struct issued_client *fresh)
{
    roster->clients[place_of(roster, before)] = fresh;
    /* The new one stands in the maps by its own texts; a place was free a moment ago. */
    map_remove(&roster->ids, id_of(before));
    map_remove(&roster->names, before->facts.name);
    (void)map_add(&roster->ids, id_of(fresh), fresh);
    if (!issued_is_revoked(fresh))
        (void)map_add(&roster->names, fresh->facts.name, fresh);
    issued_client_unref(&before);
}

void client_roster_remove(struct client_roster *roster, struct issued_client *client)
{
    size_t at = place_of(roster, client);

    map_remove(&roster->ids, id_of(client));
    client_roster_drop_name(roster, client);
    if (at == roster->count)
        return;
    memmove(&roster->clients[at], &roster->clients[at + 1],
            (roster->count - at - 1) * sizeof(struct issued_client *));
    roster->count--;
    issued_client_unref(&client);
}

void client_roster_clear(struct client_roster *roster)
{
    while (roster->count)
        client_roster_remove(roster, roster->clients[roster->count - 1]);
}

int client_roster_init(struct client_roster *roster)
{
    roster->count = 0;
    map_init(&roster->ids, ISSUED_MAX);
    map_init(&roster->names, ISSUED_MAX);
    roster->clients = mem_zalloc(ISSUED_MAX, sizeof(struct issued_client *));
    return roster->clients ? 0 : ERR_NOMEM;
}

void client_roster_fini(struct client_roster *roster)
{
    client_roster_clear(roster);
    mem_free(roster->clients);
    map_fini(&roster->ids);
    map_fini(&roster->names);
}

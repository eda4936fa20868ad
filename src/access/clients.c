#include "access/clients.h"

#include <sodium.h>

#include "access/issued.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/map.h"

struct clients {
    bool is_open;
    size_t count; /* with the anonymous one, which is the first */
    struct client *items;
    /* Open addressing by the first bytes of the digest, which nobody can choose: index into items,
     * 0 for a free place (the anonymous client has no digest). */
    uint32_t *slots;
    size_t slot_count; /* a power of two, at least twice the clients */
};

static size_t home_of(const struct clients *clients, const uint8_t *digest)
{
    uint64_t bits;

    memcpy(&bits, digest, sizeof(bits));
    return bits & (clients->slot_count - 1);
}

/* The first of two clients with one secret is the one that is found. */
static void add_to_slots(struct clients *clients, uint32_t index)
{
    size_t at = home_of(clients, clients->items[index].conf->sha256);

    while (clients->slots[at])
        at = (at + 1) & (clients->slot_count - 1);
    clients->slots[at] = index;
}

/* The texts of the file's pools stand once in memory. */
static const struct conf_budget *budget_of_pool(const struct config *config, struct span pool)
{
    for (size_t i = 0; pool.len && i < config->pools.count; i++) {
        if (config->pools.items[i].name.ptr == pool.ptr)
            return config->pools.items[i].budget;
    }
    return NULL;
}

static int find_purses(struct client *client, const struct config *config,
                       struct purse_book *purses)
{
    int err = 0;

    client->budget = client->conf->budget;
    client->pool_budget = budget_of_pool(config, client->conf->pool);
    if (client->budget)
        err = purse_book_get(purses, PURSE_CLIENT, client->name, &client->purse);
    if (!err && client->pool_budget)
        err = purse_book_get(purses, PURSE_POOL, client->pool_name, &client->pool_purse);
    return err;
}

static int fill_client(struct client *client, const struct conf_client *conf,
                       struct limiter_book *book)
{
    client->name = conf->name;
    client->class_name = conf->class_name.len ? conf->class_name : SPAN("standard");
    client->pool_name = conf->pool;
    client->pool = conf->pool.len ? map_hash(conf->pool) : 0;
    client->conf = conf;
    return limiter_book_get(book, LIMITER_CLIENT, conf->name, &conf->limits, &client->limiter);
}

static size_t slots_for(size_t count)
{
    size_t slots = 4;

    while (slots < 2 * count)
        slots *= 2;
    return slots;
}

int clients_new(const struct config *config, struct limiter_book *limiters,
                struct purse_book *purses, struct clients **ret_clients)
{
    const struct conf_client_list *keys = &config->clients.keys;
    struct clients *clients = mem_zalloc(1, sizeof(*clients));
    int err = 0;

    if (!clients)
        return ERR_NOMEM;
    clients->is_open = config->clients.is_open;
    clients->count = keys->count + 1;
    clients->slot_count = slots_for(clients->count);
    clients->items = mem_zalloc(clients->count, sizeof(*clients->items));
    clients->slots = mem_zalloc(clients->slot_count, sizeof(*clients->slots));
    if (!clients->items || !clients->slots) {
        clients_free(&clients);
        return ERR_NOMEM;
    }
    clients->items[0] = (struct client){.name = SPAN("anonymous"), .class_name = SPAN("standard")};
    for (uint32_t i = 1; i < clients->count && !err; i++) {
        clients->items[i].index = i;
        err = fill_client(&clients->items[i], &keys->items[i - 1], limiters);
        if (!err)
            err = find_purses(&clients->items[i], config, purses);
        if (!err)
            add_to_slots(clients, i);
    }
    if (err)
        clients_free(&clients);
    else
        *ret_clients = clients;
    return err;
}

void clients_free(struct clients **place)
{
    struct clients *clients = *place;

    *place = NULL;
    if (!clients)
        return;
    for (size_t i = 0; clients->items && i < clients->count; i++) {
        limiter_unref(&clients->items[i].limiter);
        purse_unref(&clients->items[i].purse);
        purse_unref(&clients->items[i].pool_purse);
    }
    mem_free(clients->items);
    mem_free(clients->slots);
    mem_free(clients);
}

size_t clients_count(const struct clients *clients)
{
    return clients->count;
}

const struct client *clients_at(const struct clients *clients, size_t index)
{
    return &clients->items[index];
}

/* The client with that digest, or NULL. */
static const struct client *find_digest(const struct clients *clients, const uint8_t *digest)
{
    size_t at = home_of(clients, digest);

    for (; clients->slots[at]; at = (at + 1) & (clients->slot_count - 1)) {
        const struct client *client = &clients->items[clients->slots[at]];

        if (sodium_memcmp(client->conf->sha256, digest, CONF_SHA256_BYTES) == 0)
            return client;
    }
    return NULL;
}

void clients_memo_clear(struct clients_memo *memo, const uint8_t key[CLIENTS_TAG_BYTES])
{
    *memo = (struct clients_memo){.entries = {{{0}, NULL}}};
    memcpy(memo->key, key, CLIENTS_TAG_BYTES);
}

static const struct client *find_by_digest(const struct clients *clients,
                                           const struct issued *issued, struct span secret)
{
    uint8_t digest[crypto_hash_sha256_BYTES];
    const struct client *client;

    _Static_assert(CONF_SHA256_BYTES == crypto_hash_sha256_BYTES, "both are SHA-256");
    crypto_hash_sha256(digest, (const unsigned char *)secret.ptr, secret.len);
    client = find_digest(clients, digest);
    return client || !issued ? client : issued_find(issued, digest);
}

/* The same through the memo; only who was found is remembered, so that guesses push nobody out. */
static const struct client *find(const struct clients *clients, const struct issued *issued,
                                 struct clients_memo *memo, struct span secret)
{
    uint8_t tag[CLIENTS_TAG_BYTES];
    const struct client *client;
    size_t at;

    _Static_assert(CLIENTS_TAG_BYTES == crypto_shorthash_siphashx24_BYTES, "both are 128 bits");
    if (!memo)
        return find_by_digest(clients, issued, secret);
    crypto_shorthash_siphashx24(tag, (const unsigned char *)secret.ptr, secret.len, memo->key);
    at = tag[0] % CLIENTS_MEMO_ENTRIES;
    if (memo->entries[at].client && sodium_memcmp(memo->entries[at].tag, tag, sizeof(tag)) == 0)
        return memo->entries[at].client;
    client = find_by_digest(clients, issued, secret);
    if (client) {
        memcpy(memo->entries[at].tag, tag, sizeof(tag));
        memo->entries[at].client = client;
    }
    return client;
}

static bool is_revoked(const struct client *client)
{
    const struct issued_client *issued = issued_of(client);

    return issued && issued_is_revoked(issued);
}

enum clients_verdict clients_find(const struct clients *clients, const struct issued *issued,
                                  struct clients_memo *memo, struct span secret, uint64_t wall_us,
                                  const struct client **ret_client)
{
    bool are_known = clients->count > 1 || (issued && issued_count(issued));
    const struct client *client =
        secret.len && are_known ? find(clients, issued, memo, secret) : NULL;

    if (!client) {
        if (!clients->is_open)
            return secret.len ? CLIENTS_UNKNOWN : CLIENTS_MISSING;
        client = &clients->items[0];
    }
    if (is_revoked(client))
        return CLIENTS_UNKNOWN;
    if (client->conf && client->conf->expires_wall_us && client->conf->expires_wall_us <= wall_us)
        return CLIENTS_EXPIRED;
    *ret_client = client;
    return CLIENTS_OK;
}

struct span clients_bearer(struct span field)
{
    struct span text = span_trim(field);
    const size_t scheme = sizeof("Bearer") - 1;

    if (text.len <= scheme || !span_is_equal_nocase(span_of(text.ptr, scheme), SPAN("Bearer")))
        return span_of(NULL, 0);
    if (text.ptr[scheme] != ' ' && text.ptr[scheme] != '\t')
        return span_of(NULL, 0);
    return span_trim(span_skip(text, scheme));
}

bool client_may_use(const struct client *client, struct span model)
{
    return !client->conf || conf_strings_match(&client->conf->models, model);
}

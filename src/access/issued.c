#include "access/issued.h"

#include <sodium.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/list.h"

struct issued_shared {
    atomic_uint refs;              /* acquire-release on the last drop */
    _Atomic uint64_t used_wall_us; /* stands alone: relaxed */
};

/* One block: the client, what is shared of it, its models' spans and all texts. */
struct block {
    struct issued_client issued;
    struct issued_shared shared;
    struct span models[];
};

/* ---- one client ---- */

static size_t text_bytes(const struct issued_facts *facts)
{
    size_t bytes = facts->id.len + facts->name.len + facts->class_name.len;

    for (size_t i = 0; i < facts->models.count; i++)
        bytes += facts->models.items[i].len;
    return bytes;
}

static struct span keep(char **at, struct span text)
{
    struct span kept = span_of(*at, text.len);

    if (text.len)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return kept;
}

static void keep_facts(struct block *block, const struct issued_facts *facts)
{
    struct issued_facts *own = &block->issued.facts;
    char *at = (char *)&block->models[facts->models.count];

    *own = *facts;
    own->id = keep(&at, facts->id);
    own->name = keep(&at, facts->name);
    own->class_name = keep(&at, facts->class_name);
    own->models.items = block->models;
    for (size_t i = 0; i < facts->models.count; i++)
        block->models[i] = keep(&at, facts->models.items[i]);
}

static void fill_conf(struct conf_client *conf, const struct issued_facts *facts)
{
    conf->name = facts->name;
    memcpy(conf->sha256, facts->sha256, sizeof(conf->sha256));
    conf->models = facts->models;
    conf->class_name = facts->class_name;
    conf->limits = facts->limits;
    conf->expires_wall_us = facts->expires_wall_us;
}

static void fill_client(struct issued_client *issued)
{
    issued->client.name = issued->facts.name;
    issued->client.class_name =
        issued->facts.class_name.len ? issued->facts.class_name : SPAN("standard");
    issued->client.conf = &issued->conf;
    issued->client.index = CLIENT_ISSUED;
}

int issued_client_new(const struct issued_facts *facts, struct limiter_book *book,
                      struct issued_client **ret_client)
{
    struct block *block = mem_zalloc(
        1, sizeof(*block) + facts->models.count * sizeof(block->models[0]) + text_bytes(facts));
    struct issued_client *client;

    if (!block)
        return ERR_NOMEM;
    client = &block->issued;
    client->shared = &block->shared;
    atomic_init(&block->shared.refs, 1);
    keep_facts(block, facts);
    fill_conf(&client->conf, &client->facts);
    fill_client(client);
    if (!facts->revoked_wall_us &&
        limiter_book_get(book, LIMITER_CLIENT, client->facts.id, &client->facts.limits,
                         &client->client.limiter)) {
        mem_free(block);
        return ERR_NOMEM;
    }
    *ret_client = client;
    return 0;
}

struct issued_client *issued_client_ref(struct issued_client *client)
{
    atomic_fetch_add_explicit(&client->shared->refs, 1, memory_order_relaxed);
    return client;
}

void issued_client_unref(struct issued_client **place)
{
    struct issued_client *client = *place;

    *place = NULL;
    if (!client || atomic_fetch_sub_explicit(&client->shared->refs, 1, memory_order_acq_rel) != 1)
        return;
    limiter_unref(&client->client.limiter);
    mem_free(container_of(client, struct block, issued));
}

void issued_note_use(const struct issued_client *client, uint64_t wall_us)
{
    _Atomic uint64_t *used = &client->shared->used_wall_us;
    uint64_t last = atomic_load_explicit(used, memory_order_relaxed);

    /* A clock that was set back is believed. */
    if (wall_us < last || wall_us - last >= ISSUED_USE_US)
        atomic_store_explicit(used, wall_us, memory_order_relaxed);
}

uint64_t issued_last_use(const struct issued_client *client)
{
    return atomic_load_explicit(&client->shared->used_wall_us, memory_order_relaxed);
}

/* ---- the table ---- */

struct issued {
    atomic_uint refs; /* acquire-release on the last drop */
    size_t count;
    struct issued_client **items;
    /* Open addressing by the first bytes of the digest, which nobody can choose; NULL: free. */
    const struct issued_client **slots;
    size_t slot_count; /* a power of two, at least twice the clients */
};

static size_t home_of(const struct issued *issued, const uint8_t *sha256)
{
    uint64_t bits;

    memcpy(&bits, sha256, sizeof(bits));
    return bits & (issued->slot_count - 1);
}

static void add_to_slots(struct issued *issued, const struct issued_client *client)
{
    size_t at = home_of(issued, client->conf.sha256);

    while (issued->slots[at])
        at = (at + 1) & (issued->slot_count - 1);
    issued->slots[at] = client;
}

int issued_new(struct issued_client *const *clients, size_t count, struct issued **ret_issued)
{
    struct issued *issued;

    if (count > ISSUED_MAX)
        return ERR_FULL;
    issued = mem_zalloc(1, sizeof(*issued));
    if (!issued)
        return ERR_NOMEM;
    atomic_init(&issued->refs, 1);
    issued->slot_count = 4;
    while (issued->slot_count < 2 * count)
        issued->slot_count *= 2;
    issued->items = mem_zalloc(count ? count : 1, sizeof(struct issued_client *));
    issued->slots = mem_zalloc(issued->slot_count, sizeof(const struct issued_client *));
    if (!issued->items || !issued->slots) {
        issued_unref(&issued);
        return ERR_NOMEM;
    }
    for (; issued->count < count; issued->count++) {
        issued->items[issued->count] = issued_client_ref(clients[issued->count]);
        add_to_slots(issued, clients[issued->count]);
    }
    *ret_issued = issued;
    return 0;
}

struct issued *issued_ref(struct issued *issued)
{
    atomic_fetch_add_explicit(&issued->refs, 1, memory_order_relaxed);
    return issued;
}

void issued_unref(struct issued **place)
{
    struct issued *issued = *place;

    *place = NULL;
    if (!issued || atomic_fetch_sub_explicit(&issued->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < issued->count; i++)
        issued_client_unref(&issued->items[i]);
    mem_free(issued->items);
    mem_free(issued->slots);
    mem_free(issued);
}

size_t issued_count(const struct issued *issued)
{
    return issued->count;
}

const struct client *issued_find(const struct issued *issued, const uint8_t *sha256)
{
    size_t at = home_of(issued, sha256);

    for (; issued->slots[at]; at = (at + 1) & (issued->slot_count - 1)) {
        const struct issued_client *client = issued->slots[at];

        if (sodium_memcmp(client->conf.sha256, sha256, CONF_SHA256_BYTES) == 0)
            return &client->client;
    }
    return NULL;
}

/* ---- holds ---- */

struct issued_hold *issued_hold_new(struct issued *issued)
{
    struct issued_hold *hold = mem_zalloc(1, sizeof(*hold));

    if (!hold)
        return NULL;
    hold->refs = 1;
    hold->issued = issued_ref(issued);
    return hold;
}

struct issued_hold *issued_hold_ref(struct issued_hold *hold)
{
    hold->refs++;
    return hold;
}

void issued_hold_unref(struct issued_hold **place)
{
    struct issued_hold *hold = *place;

    *place = NULL;
    if (!hold || --hold->refs > 0)
        return;
    issued_unref(&hold->issued);
    mem_free(hold);
}

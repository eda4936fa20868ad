#include "server/used_keys.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { KEYS_MAX = 1 << 14, ALIASES_MAX = 1 << 16 };

struct used_key {
    struct list link;
    struct use_book book;
    struct use_count all;    /* of all its life here, at the last look */
    bool is_known, is_there; /* seen in this look: its id, and itself in the pool */
    bool is_account;         /* its id is that of its service account */
    char id[LIFE_ID_BYTES];
    size_t len;
    char name[];
};

/* A key as the provider calls it. */
struct alias {
    struct list link;
    struct used_key *key;
    size_t len;
    char id[];
};

static struct used_key *key_at(struct list *link)
{
    return container_of(link, struct used_key, link);
}

/* ---- keys ---- */

static struct used_key *add(struct used_keys *keys, struct span name)
{
    struct used_key *key = mem_zalloc(1, sizeof(*key) + name.len);

    if (!key)
        return NULL;
    key->len = name.len;
    memcpy(key->name, name.ptr, name.len);
    if (map_add(&keys->by_name, span_of(key->name, key->len), key)) {
        mem_free(key);
        return NULL;
    }
    list_push_back(&keys->all, &key->link);
    return key;
}

static void drop_alias(struct used_keys *keys, struct alias *alias)
{
    map_remove(&keys->by_id, span_of(alias->id, alias->len));
    list_remove(&alias->link);
    mem_free(alias);
}

/* Those of one key, or all (NULL). */
static void forget_aliases(struct used_keys *keys, const struct used_key *key)
{
    struct list *at = keys->aliases.next;

    while (at != &keys->aliases) {
        struct alias *alias = container_of(at, struct alias, link);

        at = at->next;
        if (!key || alias->key == key)
            drop_alias(keys, alias);
    }
}

static void drop(struct used_keys *keys, struct used_key *key)
{
    forget_aliases(keys, key);
    map_remove(&keys->by_name, span_of(key->name, key->len));
    list_remove(&key->link);
    mem_free(key);
}

static void know(struct used_keys *keys, struct span name, struct span id, bool is_account)
{
    struct used_key *key;

    if (!id.len || id.len >= LIFE_ID_BYTES)
        return;
    key = map_find(&keys->by_name, name);
    if (!key)
        key = add(keys, name);
    if (!key)
        return;
    memset(key->id, 0, sizeof(key->id));
    memcpy(key->id, id.ptr, id.len);
    key->is_account = is_account;
    key->is_known = true;
}

static void know_all(struct used_keys *keys, const struct conf_provider *conf,
                     const struct life *life)
{
    for (size_t i = 0; i < conf->keys.count; i++)
        know(keys, conf->keys.items[i].name, conf->keys.items[i].id, false);
    for (uint32_t i = 0; life && i < life->count; i++)
        know(keys, span_from_text(life->keys[i].name), span_from_text(life->keys[i].id), true);
}

static void look_at(struct used_key *key, const struct keypool_row *row, uint64_t span)
{
    const struct use_count all = {.requests = row->requests, .tokens = row->tokens};
    struct use_count more = all;

    /* A key that left and came back counts anew. */
    if (all.requests >= key->all.requests && all.tokens >= key->all.tokens)
        more = (struct use_count){.requests = all.requests - key->all.requests,
                                  .tokens = all.tokens - key->all.tokens};
    key->all = all;
    key->is_there = true;
    use_book_count(&key->book, span, more);
}

static void forget_gone(struct used_keys *keys)
{
    struct list *at = keys->all.next;

    while (at != &keys->all) {
        struct used_key *key = key_at(at);

        at = at->next;
        if (!key->is_known || !key->is_there)
            drop(keys, key);
        else
            key->is_known = key->is_there = false;
    }
}

void used_keys_look(struct used_keys *keys, const struct conf_provider *conf,
                    const struct life *life, struct keypool *pool, uint64_t now_us,
                    uint64_t wall_us)
{
    struct keypool_row row;
    size_t at = 0;

    know_all(keys, conf, life);
    while (keypool_describe(pool, &at, now_us, &row)) {
        struct used_key *key = map_find(&keys->by_name, row.name);

        if (key)
            look_at(key, &row, wall_us / US_PER_SEC / keys->span_s);
        key_unref(&row.key);
    }
    forget_gone(keys);
}

bool used_keys_is_empty(const struct used_keys *keys)
{
    return list_is_empty(&keys->all);
}

/* ---- what the provider tells ---- */

static void name_it(struct used_keys *keys, struct span id, struct used_key *key)
{
    struct alias *alias = mem_zalloc(1, sizeof(*alias) + id.len);

    if (!alias)
        return;
    alias->key = key;
    alias->len = id.len;
    memcpy(alias->id, id.ptr, id.len);
    if (map_add(&keys->by_id, span_of(alias->id, alias->len), alias))
        mem_free(alias);
    else
        list_push_back(&keys->aliases, &alias->link);
}

/* Without memory for it theirs is too little: nothing is told that is not. */
static void on_key(void *owner, struct span id, struct span account)
{
    struct used_keys *keys = owner;

    for (struct list *at = keys->all.next; at != &keys->all; at = at->next) {
        struct used_key *key = key_at(at);

        if (span_is_equal(span_from_text(key->id), key->is_account ? account : id))
            name_it(keys, id, key);
    }
}

static void on_use(void *owner, struct span id, uint64_t start_s, uint64_t requests,
                   uint64_t tokens)
{
    struct used_keys *keys = owner;
    struct alias *alias = map_find(&keys->by_id, id);

    if (alias)
        use_book_hear(&alias->key->book, start_s / keys->span_s,
                      (struct use_count){.requests = requests, .tokens = tokens});
}

const struct usage_ops used_keys_ops = {.on_key = on_key, .on_use = on_use};

void used_keys_forget(struct used_keys *keys)
{
    forget_aliases(keys, NULL);
    for (struct list *at = keys->all.next; at != &keys->all; at = at->next)
        use_book_forget(&key_at(at)->book);
}

void used_keys_compare(struct used_keys *keys, const struct unexplained_rules *rules, uint64_t end,
                       void (*on_gap)(void *owner, struct span name, const struct use_gap *gap),
                       void *owner)
{
    for (struct list *at = keys->all.next; at != &keys->all; at = at->next) {
        struct used_key *key = key_at(at);
        struct use_gap gap;

        if (use_book_compare(&key->book, rules, end, &gap))
            on_gap(owner, span_of(key->name, key->len), &gap);
    }
}

/* ---- life ---- */

void used_keys_init(struct used_keys *keys, uint32_t span_s)
{
    keys->span_s = span_s;
    list_init(&keys->all);
    list_init(&keys->aliases);
    map_init(&keys->by_name, KEYS_MAX);
    map_init(&keys->by_id, ALIASES_MAX);
}

void used_keys_fini(struct used_keys *keys)
{
    forget_aliases(keys, NULL);
    while (!list_is_empty(&keys->all))
        drop(keys, key_at(keys->all.next));
    map_fini(&keys->by_name);
    map_fini(&keys->by_id);
}

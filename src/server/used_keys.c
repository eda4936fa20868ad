#include "server/used_keys.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { KEYS_MAX = 1 << 14, ALIASES_MAX = 1 << 16 };

struct used_key {
    struct roll_record record; /* there: its id is known, and itself is in the pool */
    struct use_book book;
    struct use_count all; /* of all its life here, at the last look */
    bool is_known;        /* seen in this look: its id */
    bool is_account;      /* its id is that of its service account */
    char id[LIFE_ID_BYTES];
};

/* A key as the provider calls it. */
struct alias {
    struct roll_record record;
    struct used_key *key;
};

/* ---- keys ---- */

/* Those of one key. */
static void forget_aliases(struct used_keys *keys, const struct used_key *key)
{
    struct alias *alias = roll_next(&keys->aliases, NULL), *next;

    for (; alias; alias = next) {
        next = roll_next(&keys->aliases, &alias->record);
        if (alias->key == key)
            roll_drop(&keys->aliases, &alias->record);
    }
}

static void forget_all_aliases(struct used_keys *keys)
{
    /* None is marked. */
    roll_sweep(&keys->aliases);
}

static void on_drop(struct roll *roll, struct roll_record *record)
{
    forget_aliases(container_of(roll, struct used_keys, by_name),
                   (struct used_key *)(void *)record);
}

static void know(struct used_keys *keys, struct span name, struct span id, bool is_account)
{
    struct used_key *key;

    if (!id.len || id.len >= LIFE_ID_BYTES)
        return;
    key = roll_find_or_add(&keys->by_name, name);
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
    key->record.is_there = key->is_known;
    key->is_known = false;
    use_book_count(&key->book, span, more);
}

void used_keys_look(struct used_keys *keys, const struct conf_provider *conf,
                    const struct life *life, struct keypool *pool, uint64_t now_us,
                    uint64_t wall_us)
{
    struct keypool_row row;
    size_t at = 0;

    know_all(keys, conf, life);
    while (keypool_describe(pool, &at, now_us, &row)) {
        struct used_key *key = roll_find(&keys->by_name, row.name);

        if (key)
            look_at(key, &row, wall_us / US_PER_SEC / keys->span_s);
        key_unref(&row.key);
    }
    roll_sweep(&keys->by_name);
}

bool used_keys_is_empty(const struct used_keys *keys)
{
    return roll_count(&keys->by_name) == 0;
}

/* ---- what the provider tells ---- */

static void name_it(struct used_keys *keys, struct span id, struct used_key *key)
{
    struct alias *alias = roll_find_or_add(&keys->aliases, id);

    /* The first of two keys that it calls the same. */
    if (alias && !alias->key)
        alias->key = key;
}

/* Without memory for it theirs is too little: nothing is told that is not. */
static void on_key(void *owner, struct span id, struct span account)
{
    struct used_keys *keys = owner;

    struct used_key *key = NULL;

    while ((key = roll_next(&keys->by_name, key ? &key->record : NULL))) {
        if (span_is_equal(span_from_text(key->id), key->is_account ? account : id))
            name_it(keys, id, key);
    }
}

static void on_use(void *owner, struct span id, uint64_t start_s, uint64_t requests,
                   uint64_t tokens)
{
    struct used_keys *keys = owner;
    struct alias *alias = roll_find(&keys->aliases, id);

    if (alias)
        use_book_hear(&alias->key->book, start_s / keys->span_s,
                      (struct use_count){.requests = requests, .tokens = tokens});
}

const struct usage_ops used_keys_ops = {.on_key = on_key, .on_use = on_use};

void used_keys_forget(struct used_keys *keys)
{
    struct used_key *key = NULL;

    forget_all_aliases(keys);
    while ((key = roll_next(&keys->by_name, key ? &key->record : NULL)))
        use_book_forget(&key->book);
}

void used_keys_compare(struct used_keys *keys, const struct unexplained_rules *rules, uint64_t end,
                       void (*on_gap)(void *owner, struct span name, const struct use_gap *gap),
                       void *owner)
{
    struct used_key *key = NULL;
    struct use_gap gap;

    while ((key = roll_next(&keys->by_name, key ? &key->record : NULL))) {
        if (use_book_compare(&key->book, rules, end, &gap))
            on_gap(owner, key->record.name, &gap);
    }
}

/* ---- life ---- */

void used_keys_init(struct used_keys *keys, uint32_t span_s)
{
    keys->span_s = span_s;
    roll_init(&keys->aliases, sizeof(struct alias), ALIASES_MAX, NULL);
    roll_init(&keys->by_name, sizeof(struct used_key), KEYS_MAX, on_drop);
}

void used_keys_fini(struct used_keys *keys)
{
    roll_fini(&keys->by_name);
    roll_fini(&keys->aliases);
}

#include "base/map.h"

#include <pthread.h>
#include <sodium.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/rand.h"

/* Made once and never changed: the same names must hash alike on every thread. */
static unsigned char hash_key[crypto_shorthash_KEYBYTES];
static pthread_once_t hash_key_once = PTHREAD_ONCE_INIT;

static void make_hash_key(void)
{
    rand_fill_secure(hash_key, sizeof(hash_key));
}

uint64_t map_hash(struct span key)
{
    unsigned char out[crypto_shorthash_BYTES];
    uint64_t hash;

    pthread_once(&hash_key_once, make_hash_key);
    crypto_shorthash(out, (const unsigned char *)key.ptr, key.len, hash_key);
    memcpy(&hash, out, sizeof(hash));
    return hash;
}

void map_init(struct map *map, size_t max)
{
    *map = (struct map){.max = max};
}

void map_fini(struct map *map)
{
    mem_free(map->entries);
    map_init(map, map->max);
}

/* The entry of the key, or the free place where it would stand. */
static struct map_entry *probe(const struct map *map, struct span key, uint64_t hash)
{
    size_t mask = map->cap - 1;

    for (size_t at = hash & mask;; at = (at + 1) & mask) {
        struct map_entry *entry = &map->entries[at];

        if (!entry->value || (entry->hash == hash && span_is_equal(entry->key, key)))
            return entry;
    }
}

void *map_find(const struct map *map, struct span key)
{
    return map->count ? probe(map, key, map_hash(key))->value : NULL;
}

static int grow(struct map *map)
{
    struct map bigger = {.cap = map->cap ? map->cap * 2 : 16, .count = map->count, .max = map->max};

    bigger.entries = mem_zalloc(bigger.cap, sizeof(struct map_entry));
    if (!bigger.entries)
        return ERR_NOMEM;
    for (size_t i = 0; i < map->cap; i++) {
        struct map_entry *entry = &map->entries[i];

        if (entry->value)
            *probe(&bigger, entry->key, entry->hash) = *entry;
    }
    mem_free(map->entries);
    *map = bigger;
    return 0;
}

int map_add(struct map *map, struct span key, void *value)
{
    struct map_entry *entry;
    uint64_t hash = map_hash(key);

    if (map->count >= map->max)
        return ERR_FULL;
    if (4 * (map->count + 1) > 3 * map->cap) {
        int err = grow(map);

        if (err)
            return err;
    }
    entry = probe(map, key, hash);
    if (entry->value)
        return ERR_EXISTS;
    *entry = (struct map_entry){key, value, hash};
    map->count++;
    return 0;
}

/* Closes the gap at `hole`: what follows in its run and may stand there moves up. */
static void close_gap(struct map *map, size_t hole)
{
    size_t mask = map->cap - 1;

    for (size_t at = (hole + 1) & mask; map->entries[at].value; at = (at + 1) & mask) {
        size_t home = map->entries[at].hash & mask;

        if (((at - home) & mask) < ((at - hole) & mask))
            continue;
        map->entries[hole] = map->entries[at];
        hole = at;
    }
    map->entries[hole] = (struct map_entry){.value = NULL};
}

void *map_remove(struct map *map, struct span key)
{
    struct map_entry *entry = map->count ? probe(map, key, map_hash(key)) : NULL;
    void *value = entry ? entry->value : NULL;

    if (!value)
        return NULL;
    close_gap(map, (size_t)(entry - map->entries));
    map->count--;
    return value;
}

void *map_next(const struct map *map, size_t *at, struct span *ret_key)
{
    while (*at < map->cap) {
        struct map_entry *entry = &map->entries[(*at)++];

        if (!entry->value)
            continue;
        if (ret_key)
            *ret_key = entry->key;
        return entry->value;
    }
    return NULL;
}

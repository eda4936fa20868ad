/*
 * Whether somebody else changes the secret of a key that serves, where it is kept: its entry in the
 * store is watched, and read where it may be another. What stands there then is not taken over;
 * that it was changed is told.
 */
#include <string.h>

#include "base/clock.h"
#include "rotation/rotation_inner.h"

static bool is_watched(const struct life_key *key)
{
    return key->is_ours && key->is_kept && key->step == LIFE_ACTIVE;
}

static struct life_key *key_of(struct entry_watch *entry)
{
    return life_find(&entry->rotation->life, span_from_text(entry->name));
}

static bool is_another(struct rotation *rotation, const struct life_key *key,
                       const struct secret *secret)
{
    uint8_t identity[LIFE_IDENTITY_BYTES] = {0};

    rotation->ops->identify(rotation->owner, secret, identity);
    return life_has_identity(key) && memcmp(key->identity, identity, sizeof(identity)) != 0;
}

static void read_entry(struct entry_watch *entry);

/* An entry that cannot be read, or is not there, says nothing: the key that serves goes on. */
static void on_read(struct secret_ask *ask, const struct secret_answer *answer)
{
    struct entry_watch *entry = container_of(ask, struct entry_watch, ask);
    struct rotation *rotation = entry->rotation;
    const struct life_key *key = key_of(entry);
    struct secret *secret = NULL;

    if (!answer->err && answer->entry.version && key && is_watched(key) &&
        !secret_entry_member(answer->entry.text, "api_key", rotation->secrets, &secret) &&
        is_another(rotation, key, secret) && rotation->ops->on_changed)
        rotation->ops->on_changed(rotation->owner, key->identity);
    secret_unref(&secret);
    if (entry->is_due)
        read_entry(entry);
}

static void read_entry(struct entry_watch *entry)
{
    entry->is_due = false;
    entry->ask.on_done = on_read;
    /* Without memory it is read with the next change. */
    (void)secret_store_read(entry->rotation->store, &entry->ask,
                            span_of(entry->watch.path, entry->watch.path_len));
}

static void on_change(struct secret_watch *watch)
{
    struct entry_watch *entry = container_of(watch, struct entry_watch, watch);

    if (entry->ask.store)
        entry->is_due = true;
    else
        read_entry(entry);
}

static void stop(struct entry_watch *entry)
{
    secret_watch_cancel(&entry->watch);
    secret_ask_cancel(&entry->ask);
    entry->name[0] = '\0';
}

/* Where the store cannot be watched now, the next look begins it. */
static void start(struct rotation *rotation, struct entry_watch *entry, const struct life_key *key)
{
    char path[ROTATION_PATH_BYTES];

    memset(entry, 0, sizeof(*entry));
    entry->rotation = rotation;
    entry->watch.on_change = on_change;
    if (!secret_store_watch(rotation->store, &entry->watch,
                            rotation_path(rotation, key->name, path)))
        memcpy(entry->name, key->name, sizeof(entry->name));
}

void rotation_watch_entries(struct rotation *rotation)
{
    for (uint32_t i = 0; i < LIFE_KEYS_MAX; i++) {
        const struct life_key *key = &rotation->life.keys[i];
        struct entry_watch *entry = &rotation->entries[i];
        bool is_wanted = i < rotation->life.count && is_watched(key);

        if (entry->name[0] && !(is_wanted && !strcmp(entry->name, key->name)))
            stop(entry);
        if (is_wanted && !entry->name[0])
            start(rotation, entry, key);
    }
}

void rotation_stop_watching(struct rotation *rotation)
{
    for (uint32_t i = 0; i < LIFE_KEYS_MAX; i++)
        stop(&rotation->entries[i]);
}

/*
 * What a rotation finds in the store at its beginning, or where somebody else was there: the state,
 * and the secrets of the keys that it tells of.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "rotation/life_text.h"
#include "rotation/rotation_inner.h"

#define UNREAD_AGAIN_US (5 * US_PER_SEC)

/* ---- secrets ---- */

/* Of which keys the secret is needed: those that have traffic, or will. */
static bool is_wanted(const struct life_key *key)
{
    return key->is_kept && key->step >= LIFE_STORED && key->step <= LIFE_RETIRED;
}

/* Somebody else has changed it while nobody looked, and what stood there is kept nowhere. */
static void note_change(struct rotation *rotation, struct life_key *key,
                        const struct secret *secret)
{
    uint8_t identity[LIFE_IDENTITY_BYTES] = {0};

    rotation->ops->identify(rotation->owner, secret, identity);
    if (life_has_identity(key) && !life_is_of(key, identity))
        rotation->ops->on_taken(rotation->owner, span_from_text(key->name));
    life_identify(&rotation->life, key, identity);
}

static void take_secret(struct rotation *rotation, struct life_key *key, struct secret *secret)
{
    struct secret **place = &rotation->secrets_of[rotation_place(rotation, key)];

    note_change(rotation, key, secret);
    secret_unref(place);
    *place = secret;
    rotation->is_stand_due = true;
    rotation_trouble(rotation, ROTATION_STORE, NULL);
}

/* One of the file's that is not there will never be: another that the rotation made is looked for
 * again. */
static bool is_lost(const struct life_key *key, const struct secret_answer *answer)
{
    return !answer->err && !answer->entry.version && !key->is_ours;
}

static void miss_secret(struct rotation *rotation, const struct life_key *key,
                        const struct secret_answer *answer, int err)
{
    char why[ROTATION_WORDS_BYTES];

    snprintf(why, sizeof(why), "the key '%s' cannot be read from the store: %s", key->name,
             !err          ? "it is not there"
             : answer->err ? answer->why
                           : err_text(err));
    rotation_trouble(rotation, ROTATION_STORE, why);
    rotation->unread_us = rotation_now_us(rotation) + UNREAD_AGAIN_US;
}

/* A secret that cannot be read now is asked for again: its key serves from then on. */
static void on_secret(struct secret_ask *ask, const struct secret_answer *answer)
{
    struct errand *errand = container_of(ask, struct errand, store);
    struct rotation *rotation = errand->rotation;
    struct life_key *key = errand->task.key;
    struct secret *secret = NULL;
    bool is_awaited = false;
    int err = answer->err;

    if (strcmp(errand->reads, key->name) != 0) {
        /* Another key stands in its place by now. */
        rotation->unread_us = 0;
        errand_free(errand);
        rotation_go_on(rotation);
        return;
    }
    if (!err && answer->entry.version)
        err = secret_entry_member(answer->entry.text, "api_key", rotation->secrets, &secret);
    if (secret) {
        take_secret(rotation, key, secret);
        is_awaited = errand_find(rotation, LIFE_VALIDATE, span_from_text(key->name)) != NULL;
    } else if (is_lost(key, answer)) {
        life_lose_secret(&rotation->life, key, rotation_now_us(rotation),
                         rotation_wall_us(rotation));
    } else {
        miss_secret(rotation, key, answer, err);
    }
    errand_free(errand);
    rotation_go_on(rotation);
    if (is_awaited)
        rotation->ops->validate(rotation->owner, span_from_text(key->name));
}

static void read_secret(struct rotation *rotation, struct life_key *key)
{
    struct errand *errand = errand_new(rotation);
    char path[ROTATION_PATH_BYTES];

    rotation->unread_us = rotation_now_us(rotation) + UNREAD_AGAIN_US;
    if (!errand)
        return;
    errand->task.key = key;
    errand->is_reading = true;
    memcpy(errand->reads, key->name, sizeof(errand->reads));
    errand->store.on_done = on_secret;
    if (secret_store_read(rotation->store, &errand->store,
                          rotation_path(rotation, key->name, path)))
        errand_free(errand);
}

static bool is_being_read(const struct rotation *rotation, const struct life_key *key)
{
    for (struct list *at = rotation->errands.next; at != &rotation->errands; at = at->next) {
        const struct errand *errand = container_of(at, struct errand, link);

        if (errand->is_reading && errand->task.key == key)
            return true;
    }
    return false;
}

void rotation_read_secrets(struct rotation *rotation)
{
    if (rotation->unread_us > rotation_now_us(rotation))
        return;
    rotation->unread_us = UINT64_MAX;
    for (uint32_t i = 0; i < rotation->life.count; i++) {
        struct life_key *key = &rotation->life.keys[i];

        if (is_wanted(key) && !rotation->secrets_of[i] && !is_being_read(rotation, key))
            read_secret(rotation, key);
    }
}

/* ---- the state ---- */

static int read_state(struct rotation *rotation, const struct secret_entry *entry)
{
    struct secret *text = NULL;
    int err = 0;

    if (entry->version)
        err = secret_entry_member(entry->text, "life", rotation->secrets, &text);
    if (text)
        err = life_read(secret_reveal(text), &rotation->life);
    else if (!err)
        life_init(&rotation->life);
    secret_unref(&text);
    return err;
}

/* Other keys may stand there now. */
static void forget_places(struct rotation *rotation)
{
    for (uint32_t i = 0; i < LIFE_KEYS_MAX; i++)
        secret_unref(&rotation->secrets_of[i]);
    memset(rotation->stands, 0, sizeof(rotation->stands));
    memset(rotation->seen, 0, sizeof(rotation->seen));
    rotation->is_stand_due = true;
}

/* What is there and cannot be understood is never written over: it is read again later, when it may
 * have been put right. */
static void on_loaded(struct secret_ask *ask, const struct secret_answer *answer)
{
    struct rotation *rotation = container_of(ask, struct rotation, load);
    char why[ROTATION_WORDS_BYTES];
    int err = answer->err ? answer->err : read_state(rotation, &answer->entry);

    if (err) {
        life_init(&rotation->life);
        snprintf(why, sizeof(why), "the state of the keys cannot be read: %s",
                 answer->err ? answer->why : err_text(err));
        rotation_load_again(rotation, why);
        return;
    }
    rotation_trouble(rotation, ROTATION_STORE, NULL);
    forget_places(rotation);
    rotation->version = answer->entry.version;
    rotation->is_loaded = true;
    rotation->loads = 0;
    rotation->has_canary = false;
    rotation->unread_us = 0;
    rotation_repeat_leaks(rotation);
    rotation_release_gone(rotation);
    rotation_go_on(rotation);
}

void rotation_load(struct rotation *rotation)
{
    char path[ROTATION_PATH_BYTES];
    int err;

    rotation->load.on_done = on_loaded;
    rotation->load_us = UINT64_MAX;
    err =
        secret_store_read(rotation->store, &rotation->load, rotation_path(rotation, "state", path));
    if (err)
        rotation_load_again(rotation, err_text(err));
}

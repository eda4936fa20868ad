/*
 * The tasks of a rotation on their way: each has an errand, which asks the issuer, the store or the
 * surroundings, and tells the life what came of it.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/datetime.h"
#include "base/err.h"
#include "json/write.h"
#include "rotation/life_text.h"
#include "rotation/rotation_inner.h"

/* ---- one of them ---- */

struct errand *errand_new(struct rotation *rotation)
{
    struct errand *errand = mem_zalloc(1, sizeof(*errand));

    if (!errand)
        return NULL;
    errand->rotation = rotation;
    list_push_back(&rotation->errands, &errand->link);
    return errand;
}

void errand_free(struct errand *errand)
{
    issuer_cancel(&errand->issuer);
    secret_ask_cancel(&errand->store);
    errand->rotation->drains -= errand->task.act == LIFE_DRAIN && !errand->is_reading;
    list_remove(&errand->link);
    mem_free(errand);
}

static void end(struct errand *errand, const struct life_result *result)
{
    struct rotation *rotation = errand->rotation;
    struct life_task task = errand->task;

    errand_free(errand);
    life_end(&rotation->life, &rotation->settings.rules, &task, result, rotation_now_us(rotation),
             rotation_wall_us(rotation));
    if (life_is_recorded(&rotation->life))
        rotation->leak_count = 0;
    rotation_go_on(rotation);
}

static void fail(struct errand *errand, int err)
{
    const struct life_result result = {.err = err, .why = err_text(err)};

    end(errand, &result);
}

void rotation_drop_errands(struct rotation *rotation)
{
    secret_ask_cancel(&rotation->load);
    while (!list_is_empty(&rotation->errands))
        errand_free(container_of(rotation->errands.next, struct errand, link));
}

/* ---- the issuer ---- */

/* Another key of the rotation's, or one of the file, has that identity. */
static bool is_identity_known(const struct errand *errand, const uint8_t *identity)
{
    const struct rotation *rotation = errand->rotation;

    for (uint32_t i = 0; i < rotation->life.count; i++) {
        const struct life_key *key = &rotation->life.keys[i];

        if (key != errand->task.key && !memcmp(key->identity, identity, LIFE_IDENTITY_BYTES))
            return true;
    }
    return rotation->ops->is_in_file && rotation->ops->is_in_file(rotation->owner, identity);
}

static bool is_known(void *owner, const struct secret *secret)
{
    const struct errand *errand = owner;
    uint8_t identity[LIFE_IDENTITY_BYTES] = {0};

    errand->rotation->ops->identify(errand->rotation->owner, secret, identity);
    return is_identity_known(errand, identity);
}

/* A key without a secret that can be used is looked for as one that may exist. One that is known
 * already would be its own successor: it is not taken, and not revoked either. */
static void keep_issued(struct errand *errand, const struct issuer_answer *answer,
                        struct life_result *result, uint8_t *identity)
{
    struct rotation *rotation = errand->rotation;
    uint32_t place = rotation_place(rotation, errand->task.key);

    if (errand->task.act == LIFE_CREATE && !answer->err) {
        rotation->ops->identify(rotation->owner, answer->issued.key, identity);
        if (is_identity_known(errand, identity)) {
            result->err = ERR_EXISTS;
            result->why = "the issuer gave a key that is known already";
            result->is_final = true;
            result->may_exist = false;
            return;
        }
    }
    result->id = answer->issued.id;
    result->expires_wall_us = answer->issued.expires_wall_us;
    if (errand->task.act != LIFE_CREATE || answer->err)
        return;
    secret_unref(&rotation->secrets_of[place]);
    rotation->secrets_of[place] = secret_ref((struct secret *)(uintptr_t)answer->issued.key);
    result->identity = identity;
}

static void on_issuer(struct issuer_ask *ask, const struct issuer_answer *answer)
{
    struct errand *errand = container_of(ask, struct errand, issuer);
    uint8_t identity[LIFE_IDENTITY_BYTES] = {0};
    struct life_result result = {.err = answer->err,
                                 .why = answer->why,
                                 .may_exist = answer->may_exist,
                                 .is_final = answer->err && !answer->may_retry,
                                 .retry_after_us = answer->retry_after_us};

    keep_issued(errand, answer, &result, identity);
    rotation_trouble(errand->rotation, ROTATION_ISSUER,
                     answer->err && answer->err != ERR_NOTFOUND ? answer->why : NULL);
    end(errand, &result);
}

/* The secret of a key that serves, for issuers whose requests hold one. */
static struct secret *current_secret(const struct rotation *rotation)
{
    for (uint32_t i = 0; i < rotation->life.count; i++) {
        if (rotation->life.keys[i].step == LIFE_ACTIVE && rotation->secrets_of[i])
            return rotation->secrets_of[i];
    }
    return NULL;
}

static void ask_issuer(struct errand *errand)
{
    struct rotation *rotation = errand->rotation;
    struct issuer_subject subject = {.name = span_from_text(errand->task.key->name),
                                     .id = span_from_text(errand->task.key->id),
                                     .current_key = current_secret(rotation),
                                     .is_known = is_known,
                                     .owner = errand};
    int err;

    errand->issuer.on_done = on_issuer;
    if (errand->task.act == LIFE_CREATE)
        err = issuer_create(rotation->issuer, &errand->issuer, &subject);
    else if (errand->task.act == LIFE_FIND)
        err = issuer_find(rotation->issuer, &errand->issuer, &subject);
    else
        err = issuer_revoke(rotation->issuer, &errand->issuer, &subject);
    if (err)
        fail(errand, err);
}

static bool is_waiting(const struct rotation *rotation, const struct errand *errand)
{
    return errand->task.act == LIFE_CREATE && issuer_traits(rotation->issuer).takes_long;
}

bool rotation_set_issuer(struct rotation *rotation, struct issuer *issuer)
{
    struct errand *waiting = NULL;

    list_for_each (link, &rotation->errands) {
        struct errand *errand = container_of(link, struct errand, link);

        if (!errand->issuer.work)
            continue;
        if (!is_waiting(rotation, errand))
            return false;
        waiting = errand;
    }
    if (waiting)
        issuer_cancel(&waiting->issuer);
    rotation->issuer = issuer;
    rotation->settings.rules.can_find = issuer_traits(issuer).can_find;
    if (waiting)
        ask_issuer(waiting);
    return true;
}

/* ---- the store ---- */

struct span rotation_path(const struct rotation *rotation, const char *name,
                          char to[ROTATION_PATH_BYTES])
{
    int len = snprintf(to, ROTATION_PATH_BYTES, "%s/%s", rotation->folder, name);

    return len > 0 && len < ROTATION_PATH_BYTES ? span_of(to, (size_t)len) : span_of(NULL, 0);
}

/* Somebody else has written the state: theirs is gone on from. */
static void lose_race(struct errand *errand)
{
    struct rotation *rotation = errand->rotation;

    rotation_drop_errands(rotation);
    rotation->is_loaded = false;
    rotation_load(rotation);
}

static void on_stored(struct secret_ask *ask, const struct secret_answer *answer)
{
    struct errand *errand = container_of(ask, struct errand, store);
    struct rotation *rotation = errand->rotation;
    const struct life_result result = {.err = answer->err, .why = answer->why};

    rotation_trouble(rotation, ROTATION_STORE, answer->err ? answer->why : NULL);
    if (errand->task.act == LIFE_RECORD && answer->err == ERR_EXISTS) {
        lose_race(errand);
        return;
    }
    if (errand->task.act == LIFE_RECORD && !answer->err)
        rotation->version = answer->entry.version;
    end(errand, &result);
}

/* The state is one string in its entry: an entry's members are strings. */
static int write_state(const struct rotation *rotation, struct buf *out)
{
    struct json_writer json;
    struct buf text;

    buf_init(&text, LIFE_TEXT_MAX_BYTES);
    life_write(&rotation->life, &text);
    json_writer_init(&json, out);
    json_begin_object(&json);
    json_member_string(&json, "life", buf_span(&text));
    json_end_object(&json);
    if (text.err && !out->err)
        out->err = text.err;
    buf_fini(&text);
    return out->err;
}

static void put_time(struct json_writer *json, const char *name, uint64_t wall_us)
{
    char text[RFC3339_BYTES];

    if (!wall_us)
        return;
    datetime_write_rfc3339(wall_us, text);
    json_member_string(json, name, span_of(text, sizeof(text)));
}

static int write_entry(const struct rotation *rotation, const struct life_key *key, struct buf *out)
{
    const struct secret *secret = rotation->secrets_of[rotation_place(rotation, key)];
    struct json_writer json;

    if (!secret)
        return ERR_NOTFOUND;
    json_writer_init(&json, out);
    json_begin_object(&json);
    json_member_string(&json, "api_key", secret_reveal(secret));
    json_member_text(&json, "key_id", key->id);
    json_member_string(&json, "created_by", rotation->settings.created_by);
    put_time(&json, "created_at", key->created_wall_us);
    put_time(&json, "expires_at", key->expires_wall_us);
    json_end_object(&json);
    return out->err;
}

static void ask_store(struct errand *errand)
{
    struct rotation *rotation = errand->rotation;
    bool is_state = errand->task.act == LIFE_RECORD;
    char path_text[ROTATION_PATH_BYTES];
    struct span path =
        rotation_path(rotation, is_state ? "state" : errand->task.key->name, path_text);
    struct buf text;
    int err = 0;

    errand->store.on_done = on_stored;
    buf_init(&text, SECRET_ENTRY_MAX_BYTES);
    text.is_secret = true;
    if (errand->task.act != LIFE_FORGET)
        err = is_state ? write_state(rotation, &text)
                       : write_entry(rotation, errand->task.key, &text);
    if (!err && errand->task.act == LIFE_FORGET)
        err = secret_store_remove(rotation->store, &errand->store, path, SECRET_ANY);
    else if (!err)
        err = secret_store_write(rotation->store, &errand->store, path, buf_span(&text),
                                 is_state ? rotation->version : SECRET_ANY);
    buf_fini(&text);
    if (err)
        fail(errand, err);
}

bool rotation_set_store(struct rotation *rotation, struct secret_store *store)
{
    if (rotation->load.store)
        return false;
    list_for_each (link, &rotation->errands) {
        if (container_of(link, struct errand, link)->store.store)
            return false;
    }
    rotation_stop_watching(rotation);
    rotation->store = store;
    rotation->unread_us = 0;
    if (!rotation->is_loaded)
        rotation_load(rotation);
    rotation_go_on(rotation);
    return true;
}

/* ---- the surroundings ---- */

struct errand *errand_find(struct rotation *rotation, enum life_act act, struct span name)
{
    for (struct list *at = rotation->errands.next; at != &rotation->errands; at = at->next) {
        struct errand *errand = container_of(at, struct errand, link);

        if (!errand->is_reading && errand->task.act == act && errand->task.key &&
            span_is_equal(span_from_text(errand->task.key->name), name))
            return errand;
    }
    return NULL;
}

void rotation_validated(struct rotation *rotation, struct span name, int err, const char *why)
{
    struct errand *errand = errand_find(rotation, LIFE_VALIDATE, name);
    const struct life_result result = {.err = err, .why = why};

    if (errand)
        end(errand, &result);
}

void rotation_look_at_drains(struct rotation *rotation)
{
    struct list *at = rotation->errands.next;

    while (rotation->drains && at != &rotation->errands) {
        struct errand *errand = container_of(at, struct errand, link);
        struct life_task task = errand->task;
        const struct life_result result = {.err = 0};
        bool is_moot;

        at = at->next;
        if (errand->is_reading || task.act != LIFE_DRAIN)
            continue;
        /* It serves again, or leaked: it need not drain. */
        is_moot = task.key->step != LIFE_DRAINING && task.key->step != LIFE_ROLLED_BACK;
        if (!is_moot && !rotation->ops->is_drained(rotation->owner, span_from_text(task.key->name)))
            continue;
        errand_free(errand);
        life_end(&rotation->life, &rotation->settings.rules, &task, &result,
                 rotation_now_us(rotation), rotation_wall_us(rotation));
    }
}

/* Without its secret it waits for that; one of the file has it there. */
static void validate(struct rotation *rotation, const struct life_key *key)
{
    if (!key->is_ours || rotation->secrets_of[rotation_place(rotation, key)])
        rotation->ops->validate(rotation->owner, span_from_text(key->name));
}

/* ---- the beginning ---- */

void rotation_do(struct rotation *rotation, const struct life_task *task)
{
    struct errand *errand = errand_new(rotation);

    if (!errand) {
        const struct life_result result = {.err = ERR_NOMEM, .why = err_text(ERR_NOMEM)};

        life_end(&rotation->life, &rotation->settings.rules, task, &result,
                 rotation_now_us(rotation), rotation_wall_us(rotation));
        return;
    }
    errand->task = *task;
    switch (task->act) {
    case LIFE_RECORD:
    case LIFE_KEEP:
    case LIFE_FORGET:
        ask_store(errand);
        break;
    case LIFE_CREATE:
    case LIFE_FIND:
    case LIFE_REVOKE:
        ask_issuer(errand);
        break;
    case LIFE_VALIDATE:
        validate(rotation, task->key);
        break;
    case LIFE_DRAIN:
        rotation->drains++;
        break;
    }
}

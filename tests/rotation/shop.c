#include "shop.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"

/* ---- the store ---- */

struct store_work {
    struct secret_ask *ask;
    enum secret_act act;
    char path[SECRET_PATH_MAX_BYTES + 1];
    char text[SECRET_ENTRY_MAX_BYTES];
    size_t len;
    uint64_t expected;
};

static struct shop_entry *find_entry(struct shop *shop, const char *path)
{
    for (size_t i = 0; i < shop->entry_count; i++) {
        if (!strcmp(shop->entries[i].path, path))
            return &shop->entries[i];
    }
    assert_true(shop->entry_count < SHOP_ENTRIES);
    snprintf(shop->entries[shop->entry_count].path, sizeof(shop->entries[0].path), "%s", path);
    return &shop->entries[shop->entry_count++];
}

static void change(struct shop *shop, struct shop_entry *entry, const struct store_work *work,
                   struct secret_answer *answer)
{
    if (work->expected != SECRET_ANY && work->expected != entry->version) {
        answer->err = ERR_EXISTS;
        answer->why = "somebody else was there";
        return;
    }
    shop->writes++;
    memcpy(entry->text, work->text, work->len);
    entry->len = work->len;
    entry->version = work->act == SECRET_WRITE ? ++shop->versions : 0;
    answer->entry.version = entry->version;
}

static void on_store_turn(struct loop_task *task)
{
    struct secret_ask *ask = container_of(task, struct secret_ask, task);
    struct shop *shop = container_of(ask->store, struct shop, store);
    struct store_work *work = ask->work;
    struct secret_answer answer = {.why = ""};

    if (shop->is_away) {
        answer = (struct secret_answer){.err = ERR_REFUSED, .why = "nobody listens"};
    } else if (work->act == SECRET_READ) {
        const struct shop_entry *entry = find_entry(shop, work->path);

        answer.entry.version = entry->version;
        answer.entry.text = entry->version ? span_of(entry->text, entry->len) : span_of(NULL, 0);
    } else {
        change(shop, find_entry(shop, work->path), work, &answer);
    }
    mem_free(work);
    secret_ask_finish(ask, &answer);
}

static int begin_store(struct secret_store *store, struct secret_ask *ask,
                       const struct secret_request *request)
{
    struct store_work *work = mem_zalloc(1, sizeof(*work));

    assert_non_null(work);
    work->act = request->act;
    work->expected = request->expected;
    memcpy(work->path, request->path.ptr, request->path.len);
    if (request->text.len)
        memcpy(work->text, request->text.ptr, request->text.len);
    work->len = request->text.len;
    ask->work = work;
    loop_task_init(&ask->task, on_store_turn);
    loop_defer(store->loop, &ask->task);
    return 0;
}

static void cancel_store(struct secret_ask *ask)
{
    loop_task_cancel(&ask->task);
    mem_free(ask->work);
}

static const struct secret_store_ops store_ops = {
    .kind = "memory", .begin = begin_store, .cancel = cancel_store};

const struct shop_entry *shop_entry(const struct shop *shop, const char *name)
{
    char path[SECRET_PATH_MAX_BYTES + 1];

    snprintf(path, sizeof(path), "up/%s", name);
    for (size_t i = 0; i < shop->entry_count; i++) {
        if (!strcmp(shop->entries[i].path, path) && shop->entries[i].version)
            return &shop->entries[i];
    }
    return NULL;
}

void shop_change(struct shop *shop, const char *name, const char *secret)
{
    char path[SECRET_PATH_MAX_BYTES + 1];
    struct shop_entry *entry;

    snprintf(path, sizeof(path), "up/%s", name);
    entry = find_entry(shop, path);
    entry->len = (size_t)snprintf(entry->text, sizeof(entry->text), "{\"api_key\":\"%s\"}", secret);
    entry->version = ++shop->versions;
    secret_watch_note_path(&shop->store, span_from_text(path));
    secret_watch_tell(&shop->store);
}

/* ---- the issuer ---- */

struct work {
    struct issuer_work base;
    struct loop_task turn;
    char name[LIFE_NAME_BYTES], id[32];
};

static struct shop_key *find_key(struct shop *shop, const struct work *work)
{
    for (size_t i = 0; i < shop->key_count; i++) {
        struct shop_key *key = &shop->keys[i];

        if (work->base.call == ISSUER_REVOKE ? !strcmp(key->id, work->id)
                                             : !strcmp(key->name, work->name))
            return key;
    }
    return NULL;
}

static void create_key(struct shop *shop, const struct work *work, struct issuer_result *result)
{
    struct shop_key *key = &shop->keys[shop->key_count];
    char secret[64];
    int len;

    assert_null(find_key(shop, work));
    assert_true(shop->key_count < SHOP_KEYS);
    memcpy(key->name, work->name, sizeof(key->name));
    snprintf(key->id, sizeof(key->id), "id-%zu", ++shop->key_count);
    key->is_alive = true;
    if (shop->is_lost) {
        issuer_result_fail(result, ERR_TIMEOUT, "no answer");
        result->answer.may_exist = true;
        return;
    }
    len = snprintf(secret, sizeof(secret), "sk-%s", shop->gives ? shop->gives : key->name);
    assert_int_equal(secret_new(shop->secrets, span_of(secret, (size_t)len), &result->key), 0);
    result->id_len = (size_t)snprintf(result->id, sizeof(result->id), "%s", key->id);
}

static void on_issuer_turn(struct loop_task *task)
{
    struct work *work = container_of(task, struct work, turn);
    struct shop *shop = container_of(work->base.issuer, struct shop, issuer);
    struct issuer_result result = {.answer = {.err = 0}};
    struct shop_key *key = find_key(shop, work);

    switch (work->base.call) {
    case ISSUER_CREATE:
        create_key(shop, work, &result);
        break;
    case ISSUER_FIND:
        if (key && key->is_alive)
            result.id_len = (size_t)snprintf(result.id, sizeof(result.id), "%s", key->id);
        else
            issuer_result_fail(&result, ERR_NOTFOUND, "not there");
        break;
    case ISSUER_REVOKE: {
        const struct shop_stand *stand = key ? shop_stand(shop, key->name) : NULL;

        assert_non_null(key);
        assert_true(!stand || stand->standing == LIFE_STANDS_OFF);
        key->is_alive = false;
        break;
    }
    }
    issuer_finish(&work->base, &result);
}

static struct issuer_work *new_work(struct issuer *issuer)
{
    struct work *work = mem_zalloc(1, sizeof(*work));

    (void)issuer;
    assert_non_null(work);
    loop_task_init(&work->turn, on_issuer_turn);
    return &work->base;
}

static int begin_issuer(struct issuer_work *base, const struct issuer_subject *subject,
                        const char **ret_why)
{
    struct work *work = container_of(base, struct work, base);

    (void)ret_why;
    snprintf(work->name, sizeof(work->name), "%.*s", SPAN_ARG(subject->name));
    snprintf(work->id, sizeof(work->id), "%.*s", SPAN_ARG(subject->id));
    loop_defer(base->issuer->options.loop, &work->turn);
    return 0;
}

static void free_work(struct issuer_work *base)
{
    struct work *work = container_of(base, struct work, base);

    loop_task_cancel(&work->turn);
    mem_free(work);
}

static const struct issuer_ops issuer_ops = {
    .work_new = new_work, .begin = begin_issuer, .work_free = free_work};

size_t shop_alive(const struct shop *shop)
{
    size_t count = 0;

    for (size_t i = 0; i < shop->key_count; i++)
        count += shop->keys[i].is_alive;
    return count;
}

/* ---- the surroundings ---- */

static int on_stand(void *owner, const struct rotation_stand *stands, size_t count)
{
    struct shop *shop = owner;

    if (shop->refused_stands && shop->refused_stands--)
        return ERR_NOMEM;
    assert_true(count <= SHOP_STANDS);
    shop->stand_count = count;
    for (size_t i = 0; i < count; i++) {
        struct shop_stand *stand = &shop->stands[i];

        memset(stand, 0, sizeof(*stand));
        memcpy(stand->name, stands[i].name.ptr, stands[i].name.len);
        if (stands[i].secret)
            snprintf(stand->secret, sizeof(stand->secret), "%.*s",
                     SPAN_ARG(secret_reveal(stands[i].secret)));
        memcpy(stand->identity, stands[i].identity, LIFE_IDENTITY_BYTES);
        stand->standing = stands[i].standing;
        stand->share_ppm = stands[i].share_ppm;
        assert_true(i == 0 || stands[i - 1].standing != LIFE_STANDS_OFF ||
                    stands[i].standing == LIFE_STANDS_OFF);
    }
    return 0;
}

static void on_validating(struct loop_task *task)
{
    struct shop *shop = container_of(task, struct shop, validating);

    rotation_validated(shop->rotation, span_from_text(shop->validated), shop->validate_err,
                       "the provider does not know it");
}

static void on_validate(void *owner, struct span name)
{
    struct shop *shop = owner;

    snprintf(shop->validated, sizeof(shop->validated), "%.*s", SPAN_ARG(name));
    assert_int_equal(shop_stand(shop, shop->validated)->standing, LIFE_STANDS_PROOF);
    if (!shop->is_silent)
        loop_defer(shop->loop, &shop->validating);
}

static bool on_is_drained(void *owner, struct span name)
{
    const struct shop *shop = owner;

    (void)name;
    return shop->is_drained;
}

static void on_take(void *owner, struct evidence_tick *ret_tick)
{
    struct shop *shop = owner;

    *ret_tick = shop->tick;
}

void shop_identity(struct span secret, uint8_t ret_identity[LIFE_IDENTITY_BYTES])
{
    uint32_t hash = 5381;

    for (size_t i = 0; i < secret.len; i++)
        hash = hash * 33 + (unsigned char)secret.ptr[i];
    memset(ret_identity, 1, LIFE_IDENTITY_BYTES);
    memcpy(ret_identity, &hash, sizeof(hash));
}

static void on_identify(void *owner, const struct secret *secret,
                        uint8_t ret_identity[LIFE_IDENTITY_BYTES])
{
    (void)owner;
    shop_identity(secret_reveal(secret), ret_identity);
}

static bool on_is_in_file(void *owner, const uint8_t *identity)
{
    const struct shop *shop = owner;

    for (size_t i = 0; shop->has_file && i < SHOP_FILE; i++) {
        if (!memcmp(shop->file[i], identity, LIFE_IDENTITY_BYTES))
            return true;
    }
    return false;
}

static void on_news(void *owner, const struct rotation_news *news)
{
    struct shop *shop = owner;
    size_t len = strlen(shop->news);

    if (len + 64 > sizeof(shop->news))
        len = 0;
    snprintf(shop->news + len, sizeof(shop->news) - len, "%s%s", len ? " " : "",
             life_step_text(news->key->step));
}

static void on_trouble(void *owner, enum rotation_side side, const char *why)
{
    struct shop *shop = owner;

    (void)side;
    shop->troubles += why != NULL;
    snprintf(shop->trouble, sizeof(shop->trouble), "%s", why ? why : "");
}

static void on_changed(void *owner, const uint8_t *identity)
{
    struct shop *shop = owner;

    shop->changes++;
    memcpy(shop->changed, identity, LIFE_IDENTITY_BYTES);
}

static void on_taken(void *owner, struct span name)
{
    struct shop *shop = owner;

    snprintf(shop->taken, sizeof(shop->taken), "%.*s", SPAN_ARG(name));
}

static const struct rotation_ops ops = {.on_taken = on_taken,
                                        .on_changed = on_changed,
                                        .stand = on_stand,
                                        .validate = on_validate,
                                        .is_drained = on_is_drained,
                                        .take = on_take,
                                        .identify = on_identify,
                                        .is_in_file = on_is_in_file,
                                        .on_news = on_news,
                                        .on_trouble = on_trouble};

const struct shop_stand *shop_stand(const struct shop *shop, const char *name)
{
    static const struct shop_stand none;

    for (size_t i = 0; i < shop->stand_count; i++) {
        if (!strcmp(shop->stands[i].name, name))
            return &shop->stands[i];
    }
    return &none;
}

const char *shop_step(const struct shop *shop, const char *name)
{
    const struct life *life = rotation_life(shop->rotation);

    for (uint32_t i = 0; i < life->count; i++) {
        if (!strcmp(life->keys[i].name, name))
            return life_step_text(life->keys[i].step);
    }
    return "";
}

/* ---- opening and closing ---- */

struct shop *shop_open(void)
{
    struct shop *shop = mem_zalloc(1, sizeof(*shop));
    bool is_locked;

    assert_non_null(shop);
    shop->loop = loop_new_virtual(UINT64_C(1795169700) * US_PER_SEC);
    shop->secrets = secret_arena_new(1 << 20, &is_locked);
    assert_true(shop->loop && shop->secrets);
    secret_store_init(&shop->store, &store_ops, shop->loop);
    shop->issuer = (struct issuer){.ops = &issuer_ops,
                                   .options = {.loop = shop->loop, .secrets = shop->secrets},
                                   .traits = {.can_find = true, .can_revoke = true}};
    loop_task_init(&shop->validating, on_validating);
    shop->is_drained = true;
    shop->settings = (struct rotation_settings){
        .folder = SPAN("up"),
        .name = SPAN("key-{time}"),
        .created_by = SPAN("bellwether"),
        .rules = {.overlap_us = 3600 * US_PER_SEC,
                  .max_keys = 5,
                  .attempts = 3,
                  .base_delay_us = US_PER_SEC,
                  .has_ramp = true},
        .canary = {.ramp = ramp_in_steps(100000, 10, 60 * US_PER_SEC),
                   .evidence = {.max_error_ppm = 50000,
                                .max_latency_milli = 1500,
                                .max_added_latency_ms = EVIDENCE_NO_LIMIT,
                                .max_divergence_ppm = 1000000,
                                .has_control = true},
                   .min_requests = 100},
    };
    return shop;
}

void shop_start(struct shop *shop)
{
    const struct rotation_options options = {.loop = shop->loop,
                                             .secrets = shop->secrets,
                                             .store = &shop->store,
                                             .issuer = &shop->issuer,
                                             .settings = &shop->settings,
                                             .ops = &ops,
                                             .owner = shop};

    shop->stand_count = 0;
    shop->rotation = rotation_new(&options);
    assert_non_null(shop->rotation);
}

void shop_stop(struct shop *shop)
{
    loop_task_cancel(&shop->validating);
    rotation_free(&shop->rotation);
}

void shop_close(struct shop **place)
{
    struct shop *shop = *place;

    *place = NULL;
    shop_stop(shop);
    assert_true(list_is_empty(&shop->store.asks));
    loop_free(&shop->loop);
    secret_arena_free(&shop->secrets);
    mem_free(shop);
}

void shop_pass(struct shop *shop, uint64_t us)
{
    uint64_t until_us = loop_now_us(shop->loop) + us;

    do {
        assert_int_equal(loop_turn(shop->loop, until_us - loop_now_us(shop->loop)), 0);
    } while (loop_now_us(shop->loop) < until_us);
    for (int i = 0; i < 50; i++)
        assert_int_equal(loop_turn(shop->loop, 0), 0);
}

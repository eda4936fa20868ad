#include "admin/client_desk.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "store/client_keys.h"

enum { RETRY_US = 1000000, RELOAD_US = 5000000, SECONDS_A_DAY = 86400 };

/* A revocation that the disk does not know. */
static const char unwritten[] = "the key is refused from now on, but the store has not written "
                                "that: after a restart it may be valid again";

_Static_assert((int)CLIENT_KEYS_MAX == (int)ISSUED_MAX, "what is kept can be known");
_Static_assert((int)STORE_IDENTITY_BYTES == (int)CONF_SHA256_BYTES, "both are SHA-256");

struct client_desk {
    struct client_desk_options options;
    struct limiter_book *book;
    struct store *store; /* NULL: `why` */
    char why[CLIENT_DESK_WORDS_BYTES];
    struct store_ask load;
    struct loop_timer retry; /* of loading, or of publishing */
    bool is_loaded, is_closed;

    /* All that are known, revoked ones too, oldest first; and by id and name (of those that were
     * not revoked, and of those about to be issued). */
    struct issued_client **clients;
    size_t count;
    struct map ids, names;

    struct list writing, waiting, publishing; /* changes: by what they wait for */
    bool is_due;                              /* what stands in `clients` is not published */
    bool is_publishing;
    bool is_public; /* something was published, after loading */
};

/* ---- what is known ---- */

static struct span id_of(const struct issued_client *client)
{
    return client->facts.id;
}

static bool is_revoked(const struct issued_client *client)
{
    return client->facts.revoked_wall_us != 0;
}

static size_t place_of(const struct client_desk *desk, const struct issued_client *client)
{
    size_t at = 0;

    while (at < desk->count && desk->clients[at] != client)
        at++;
    return at;
}

const struct issued_client *client_desk_find(const struct client_desk *desk, struct span id)
{
    const struct issued_client *client = map_find(&desk->ids, id);

    return client && !is_revoked(client) ? client : NULL;
}

const struct issued_client *client_desk_find_name(const struct client_desk *desk, struct span name)
{
    const struct issued_client *client = map_find(&desk->names, name);

    return client && map_find(&desk->ids, id_of(client)) == client ? client : NULL;
}

const struct issued_client *client_desk_next(const struct client_desk *desk, size_t *at)
{
    while (*at < desk->count) {
        const struct issued_client *client = desk->clients[(*at)++];

        if (!is_revoked(client))
            return client;
    }
    return NULL;
}

/* Out of everything, with its reference. */
static void forget(struct client_desk *desk, struct issued_client *client)
{
    size_t at = place_of(desk, client);

    map_remove(&desk->ids, id_of(client));
    if (map_find(&desk->names, client->facts.name) == client)
        map_remove(&desk->names, client->facts.name);
    if (at == desk->count)
        return;
    memmove(&desk->clients[at], &desk->clients[at + 1],
            (desk->count - at - 1) * sizeof(struct issued_client *));
    desk->count--;
    issued_client_unref(&client);
}

static bool is_under_way(const struct list *changes, const struct issued_client *client)
{
    list_for_each (link, changes) {
        const struct client_change *change = container_of(link, struct client_change, link);

        if (change->before == client || change->fresh == client)
            return true;
    }
    return false;
}

static bool is_changing(const struct client_desk *desk, const struct issued_client *client)
{
    return is_under_way(&desk->writing, client) || is_under_way(&desk->waiting, client) ||
           is_under_way(&desk->publishing, client);
}

/* A place for one more: the key that was revoked first is remembered no longer. */
static int make_room(struct client_desk *desk)
{
    if (desk->count < ISSUED_MAX)
        return 0;
    for (size_t i = 0; i < desk->count; i++) {
        if (!is_revoked(desk->clients[i]) || is_changing(desk, desk->clients[i]))
            continue;
        /* Without memory for that, the next start forgets it. */
        (void)client_keys_forget(desk->store, NULL, id_of(desk->clients[i]));
        forget(desk, desk->clients[i]);
        return 0;
    }
    return ERR_FULL;
}

/* Takes the reference. The maps have room: they held its name, or its predecessor. */
static int add(struct client_desk *desk, struct issued_client *client)
{
    int err = map_add(&desk->ids, id_of(client), client);

    if (!err)
        desk->clients[desk->count++] = client;
    return err;
}

/* In the place of what it follows, which the change still holds; takes the reference. The new one
 * stands in the maps by its own texts. */
static void replace(struct client_desk *desk, struct issued_client *before,
                    struct issued_client *fresh)
{
    desk->clients[place_of(desk, before)] = fresh;
    map_remove(&desk->ids, id_of(before));
    map_remove(&desk->names, before->facts.name);
    /* A place was free a moment ago. */
    (void)map_add(&desk->ids, id_of(fresh), fresh);
    if (!is_revoked(fresh))
        (void)map_add(&desk->names, fresh->facts.name, fresh);
    issued_client_unref(&before);
}

/* ---- publishing ---- */

static void set_retry(struct client_desk *desk, uint64_t wait_us)
{
    /* Reserved: it cannot fail. */
    (void)loop_timer_set(&desk->retry, loop_now_us(desk->options.loop) + wait_us);
}

static void move_all(struct list *from, struct list *to)
{
    struct list *link;

    while ((link = list_pop_front(from)))
        list_push_back(to, link);
}

static void publish(struct client_desk *desk)
{
    struct issued *issued;
    int err;

    if (desk->is_publishing || !desk->is_due || desk->is_closed)
        return;
    err = issued_new(desk->clients, desk->count, &issued);
    if (!err) {
        err = desk->options.publish(desk->options.owner, issued);
        issued_unref(&issued);
    }
    if (err) {
        set_retry(desk, RETRY_US);
        return;
    }
    limiter_book_commit(desk->book, false);
    desk->is_due = false;
    desk->is_publishing = true;
    move_all(&desk->waiting, &desk->publishing);
}

/* ---- the end of a change ---- */

static void let_go(struct client_change *change)
{
    list_remove(&change->link);
    loop_timer_fini(&change->timer);
    store_cancel(&change->ask);
    issued_client_unref(&change->before);
}

static void end(struct client_change *change, int err, const char *why)
{
    struct client_desk *desk = change->desk;
    struct issued_client *fresh = change->fresh;

    let_go(change);
    change->fresh = NULL;
    change->client = err ? NULL : fresh;
    /* One that came to nothing is nobody's but ours. */
    if (err && fresh && change->kind != CHANGE_REVOKES && place_of(desk, fresh) == desk->count) {
        if (map_find(&desk->names, fresh->facts.name) == fresh)
            map_remove(&desk->names, fresh->facts.name);
        issued_client_unref(&fresh);
    }
    change->on_done(change, err, why);
}

void client_desk_published(struct client_desk *desk)
{
    struct list done, *link;

    list_init(&done);
    desk->is_publishing = false;
    desk->is_public = true;
    move_all(&desk->publishing, &done);
    publish(desk);
    while ((link = list_pop_front(&done))) {
        struct client_change *change = container_of(link, struct client_change, link);

        change->is_published = true;
        if (change->is_written)
            end(change, 0, "");
        else
            list_push_back(&desk->writing, &change->link);
    }
}

/* What is in `clients` is to be told to the workers, and the change with it. */
static void ask_to_publish(struct client_change *change)
{
    struct client_desk *desk = change->desk;

    list_remove(&change->link);
    list_push_back(&desk->waiting, &change->link);
    desk->is_due = true;
    publish(desk);
}

/* ---- writing ---- */

static struct client_key_row row_of(const struct issued_client *client)
{
    const struct issued_facts *facts = &client->facts;
    struct client_key_row row = {
        .id = facts->id,
        .name = facts->name,
        .class_name = client->client.class_name,
        .models = facts->models.items,
        .model_count = facts->models.count,
        .rpm = facts->limits.rpm,
        .tpm = facts->limits.tpm,
        .concurrent = facts->limits.concurrent,
        .burst = facts->limits.burst,
        .created_wall_us = facts->created_wall_us,
        .expires_wall_us = facts->expires_wall_us,
        .revoked_wall_us = facts->revoked_wall_us,
    };

    memcpy(row.sha256, facts->sha256, sizeof(row.sha256));
    return row;
}

/* It stands in the store: now the workers hear of it; those of a revocation have. */
static void go_on(struct client_change *change)
{
    struct client_desk *desk = change->desk;
    int err = 0;

    switch (change->kind) {
    case CHANGE_ISSUES:
        err = add(desk, change->fresh);
        break;
    case CHANGE_UPDATES:
        replace(desk, change->before, change->fresh);
        break;
    case CHANGE_REVOKES:
        if (change->is_published)
            end(change, 0, "");
        return;
    }
    if (!err) {
        ask_to_publish(change);
        return;
    }
    (void)client_keys_forget(desk->store, NULL, id_of(change->fresh));
    end(change, err, err_text(err));
}

static void on_written(struct store_ask *ask, const struct store_answer *answer)
{
    struct client_change *change = container_of(ask, struct client_change, ask);

    loop_timer_clear(&change->timer);
    if (answer->err) {
        end(change, answer->err, change->kind == CHANGE_REVOKES ? unwritten : answer->why);
        return;
    }
    change->is_written = true;
    go_on(change);
}

/* What was asked for may still be written when the disk has room again: that is taken back. */
static void on_impatient(struct loop_timer *timer)
{
    struct client_change *change = container_of(timer, struct client_change, timer);
    struct client_desk *desk = change->desk;
    struct client_key_row row;

    store_cancel(&change->ask);
    switch (change->kind) {
    case CHANGE_ISSUES:
        (void)client_keys_forget(desk->store, NULL, id_of(change->fresh));
        break;
    case CHANGE_UPDATES:
        row = row_of(change->before);
        (void)client_keys_put(desk->store, NULL, &row);
        break;
    case CHANGE_REVOKES:
        end(change, ERR_AGAIN, unwritten);
        return;
    }
    end(change, ERR_AGAIN, "the store does not answer: nothing was changed");
}

/* ---- beginning ---- */

static int begin(struct client_desk *desk, struct client_change *change,
                 const struct issued_facts *facts)
{
    struct client_key_row row;
    int err;

    change->desk = desk;
    change->ask = (struct store_ask){.on_done = on_written};
    change->is_written = change->is_published = false;
    list_init(&change->link);
    loop_timer_init(&change->timer, desk->options.loop, on_impatient);
    err = issued_client_new(facts, desk->book, &change->fresh);
    if (err)
        return err;
    row = row_of(change->fresh);
    err = loop_timer_set(&change->timer, loop_now_us(desk->options.loop) + CLIENT_DESK_PATIENCE_US);
    if (!err)
        err = client_keys_put(desk->store, &change->ask, &row);
    if (err) {
        loop_timer_fini(&change->timer);
        issued_client_unref(&change->fresh);
        return err;
    }
    list_push_back(&desk->writing, &change->link);
    return 0;
}

/* Series of its own, as long as there is room for the names of keys that come and go. */
static void name_series(struct client_desk *desk, struct issued_client *client)
{
    struct metrics_schema *schema = desk->options.metrics;
    struct span name = client->facts.name, other = METRICS_OTHER;

    if (!metrics_quiet_series(schema, METRIC_CLIENT_REQUESTS, &name, &client->requests))
        client->requests = metrics_series(schema, METRIC_CLIENT_REQUESTS, &other);
    if (!metrics_quiet_series(schema, METRIC_CLIENT_TOKENS, &name, &client->tokens))
        client->tokens = metrics_series(schema, METRIC_CLIENT_TOKENS, &other);
    if (!metrics_quiet_series(schema, METRIC_CLIENT_COST, &name, &client->cost))
        client->cost = metrics_series(schema, METRIC_CLIENT_COST, &other);
}

/* Why nothing can be changed now; NULL: it can. */
static const char *hindrance(const struct client_desk *desk)
{
    const struct store_health *health;

    if (!desk->is_loaded || desk->is_closed)
        return desk->why;
    health = store_health(desk->store);
    return health->err ? health->why : NULL;
}

const char *client_desk_why(const struct client_desk *desk)
{
    const char *why = hindrance(desk);

    return why && why[0] ? why : "another change of this key is under way";
}

int client_desk_issue(struct client_desk *desk, struct client_change *change,
                      const struct issued_facts *facts)
{
    int err;

    if (hindrance(desk))
        return ERR_AGAIN;
    if (map_find(&desk->names, facts->name))
        return ERR_EXISTS;
    err = make_room(desk);
    if (err)
        return err;
    change->kind = CHANGE_ISSUES;
    change->before = NULL;
    err = begin(desk, change, facts);
    if (err)
        return err;
    name_series(desk, change->fresh);
    err = map_add(&desk->names, change->fresh->facts.name, change->fresh);
    if (err) {
        store_cancel(&change->ask);
        (void)client_keys_forget(desk->store, NULL, id_of(change->fresh));
        let_go(change);
        issued_client_unref(&change->fresh);
    }
    return err;
}

static int find_idle(const struct client_desk *desk, struct span id,
                     struct issued_client **ret_client)
{
    struct issued_client *client = map_find(&desk->ids, id);

    if (!client || is_revoked(client))
        return ERR_NOTFOUND;
    if (is_changing(desk, client))
        return ERR_AGAIN;
    *ret_client = client;
    return 0;
}

/* What follows a key has its numbers. */
static int follow(struct client_desk *desk, struct client_change *change,
                  struct issued_client *before, const struct issued_facts *facts)
{
    int err;

    change->before = before;
    err = begin(desk, change, facts);
    if (err)
        return err;
    issued_client_ref(before);
    change->fresh->requests = before->requests;
    change->fresh->tokens = before->tokens;
    change->fresh->cost = before->cost;
    issued_note_use(change->fresh, issued_last_use(before));
    return 0;
}

int client_desk_update(struct client_desk *desk, struct client_change *change, struct span id,
                       const struct issued_facts *facts)
{
    struct issued_client *before;
    struct issued_facts whole = *facts;
    int err = hindrance(desk) ? ERR_AGAIN : find_idle(desk, id, &before);

    if (err)
        return err;
    whole.id = before->facts.id;
    whole.name = before->facts.name;
    whole.created_wall_us = before->facts.created_wall_us;
    memcpy(whole.sha256, before->facts.sha256, sizeof(whole.sha256));
    change->kind = CHANGE_UPDATES;
    return follow(desk, change, before, &whole);
}

int client_desk_revoke(struct client_desk *desk, struct client_change *change, struct span id)
{
    struct issued_client *before;
    struct issued_facts facts;
    /* Also where the store is in trouble: the workers refuse it at least. */
    bool is_possible = desk->is_loaded && !desk->is_closed;
    int err = is_possible ? find_idle(desk, id, &before) : ERR_AGAIN;

    if (err)
        return err;
    facts = before->facts;
    facts.revoked_wall_us = loop_wall_us(desk->options.loop);
    change->kind = CHANGE_REVOKES;
    err = follow(desk, change, before, &facts);
    if (err)
        return err;
    replace(desk, before, change->fresh);
    ask_to_publish(change);
    return 0;
}

/* ---- what the last process left ---- */

static bool is_forgotten(const struct client_desk *desk, const struct client_key_row *row)
{
    uint64_t wall_us = loop_wall_us(desk->options.loop);
    uint64_t kept_us = (uint64_t)CLIENT_DESK_REMEMBERS_DAYS * SECONDS_A_DAY * US_PER_SEC;

    return row->revoked_wall_us && row->revoked_wall_us < wall_us &&
           wall_us - row->revoked_wall_us > kept_us;
}

static int take_row(struct client_desk *desk, const struct client_key_row *row)
{
    struct issued_facts facts = {
        .id = row->id,
        .name = row->name,
        .class_name = row->class_name,
        .models = {(struct span *)(uintptr_t)row->models, row->model_count},
        .limits = {.rpm = (uint32_t)row->rpm,
                   .tpm = row->tpm,
                   .concurrent = (uint32_t)row->concurrent,
                   .burst = (uint32_t)row->burst},
        .created_wall_us = row->created_wall_us,
        .expires_wall_us = row->expires_wall_us,
        .revoked_wall_us = row->revoked_wall_us,
    };
    struct issued_client *client;
    int err;

    memcpy(facts.sha256, row->sha256, sizeof(facts.sha256));
    err = issued_client_new(&facts, desk->book, &client);
    if (err)
        return err;
    name_series(desk, client);
    err = add(desk, client);
    if (err) {
        issued_client_unref(&client);
        return err;
    }
    /* Of two of one name, which cannot be, the first is found by it. */
    err = is_revoked(client) ? 0 : map_add(&desk->names, client->facts.name, client);
    return err == ERR_EXISTS ? 0 : err;
}

static void forget_all(struct client_desk *desk)
{
    while (desk->count)
        forget(desk, desk->clients[desk->count - 1]);
}

static void fail_loading(struct client_desk *desk, const char *why)
{
    snprintf(desk->why, sizeof(desk->why), "the issued keys could not be read: %s", why);
    set_retry(desk, RELOAD_US);
}

static void on_loaded(struct store_ask *ask, const struct store_answer *answer)
{
    struct client_desk *desk = container_of(ask, struct client_desk, load);
    const struct client_key_row *rows = client_keys_told(answer);
    int err = answer->err;

    for (size_t i = 0; !err && i < answer->count; i++) {
        if (is_forgotten(desk, &rows[i]))
            (void)client_keys_forget(desk->store, NULL, rows[i].id);
        else
            err = take_row(desk, &rows[i]);
    }
    if (err) {
        forget_all(desk);
        fail_loading(desk, answer->err ? answer->why : err_text(err));
        return;
    }
    desk->is_loaded = true;
    desk->why[0] = '\0';
    desk->is_due = true;
    publish(desk);
}

static void load(struct client_desk *desk)
{
    int err;

    desk->load = (struct store_ask){.on_done = on_loaded};
    err = client_keys_load(desk->store, &desk->load);
    if (err)
        fail_loading(desk, err_text(err));
}

static void on_retry(struct loop_timer *timer)
{
    struct client_desk *desk = container_of(timer, struct client_desk, retry);

    if (desk->is_loaded)
        publish(desk);
    else
        load(desk);
}

void client_desk_open(struct client_desk *desk, struct store *store, const char *why)
{
    snprintf(desk->why, sizeof(desk->why), "%s", store ? "the issued keys are being read" : why);
    desk->store = store;
    if (store)
        load(desk);
}

bool client_desk_is_loaded(const struct client_desk *desk)
{
    return desk->is_loaded;
}

bool client_desk_is_ready(const struct client_desk *desk)
{
    return desk->is_public && desk->is_loaded;
}

/* ---- its life ---- */

int client_desk_new(const struct client_desk_options *options, struct client_desk **ret_desk)
{
    struct client_desk *desk = mem_zalloc(1, sizeof(*desk));

    if (!desk)
        return ERR_NOMEM;
    desk->options = *options;
    map_init(&desk->ids, ISSUED_MAX);
    map_init(&desk->names, ISSUED_MAX);
    list_init(&desk->writing);
    list_init(&desk->waiting);
    list_init(&desk->publishing);
    loop_timer_init(&desk->retry, options->loop, on_retry);
    snprintf(desk->why, sizeof(desk->why), "there is no store yet");
    desk->book = limiter_book_new();
    desk->clients = mem_zalloc(ISSUED_MAX, sizeof(struct issued_client *));
    if (!desk->book || !desk->clients || loop_timer_reserve(&desk->retry)) {
        client_desk_free(&desk);
        return ERR_NOMEM;
    }
    *ret_desk = desk;
    return 0;
}

static void drop_all(struct client_desk *desk, struct list *changes)
{
    struct list *link;

    while ((link = list_pop_front(changes))) {
        struct client_change *change = container_of(link, struct client_change, link);

        /* Nobody will ever have its secret. */
        if (change->kind == CHANGE_ISSUES)
            (void)client_keys_forget(desk->store, NULL, id_of(change->fresh));
        end(change, ERR_AGAIN, desk->why);
    }
}

void client_desk_close(struct client_desk *desk)
{
    if (!desk || desk->is_closed)
        return;
    desk->is_closed = true;
    snprintf(desk->why, sizeof(desk->why), "the gateway is ending");
    loop_timer_clear(&desk->retry);
    store_cancel(&desk->load);
    drop_all(desk, &desk->writing);
    drop_all(desk, &desk->waiting);
    drop_all(desk, &desk->publishing);
}

void client_desk_free(struct client_desk **place)
{
    struct client_desk *desk = *place;

    *place = NULL;
    if (!desk)
        return;
    client_desk_close(desk);
    loop_timer_fini(&desk->retry);
    if (desk->clients)
        forget_all(desk);
    mem_free(desk->clients);
    map_fini(&desk->ids);
    map_fini(&desk->names);
    limiter_book_free(&desk->book);
    mem_free(desk);
}

#include "admin/client_desk_inner.h"

#include <stdio.h>

#include "admin/client_row.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"

enum { RETRY_US = 1000000, RELOAD_US = 5000000, SECONDS_A_DAY = 86400 };

/* ---- what is known ---- */

const struct issued_client *client_desk_find(const struct client_desk *desk, struct span id)
{
    const struct issued_client *client = client_roster_find(&desk->roster, id);

    return client && !issued_is_revoked(client) ? client : NULL;
}

const struct issued_client *client_desk_find_name(const struct client_desk *desk, struct span name)
{
    return client_roster_find_name(&desk->roster, name);
}

const struct issued_client *client_desk_next(const struct client_desk *desk, size_t *at)
{
    return client_roster_next(&desk->roster, at);
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

void client_desk_publish(struct client_desk *desk)
{
    struct issued *issued;
    int err;

    if (desk->is_publishing || !desk->is_due || desk->is_closed)
        return;
    err = issued_new(desk->roster.clients, desk->roster.count, &issued);
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

void client_desk_published(struct client_desk *desk)
{
    struct list done, *link;

    list_init(&done);
    desk->is_publishing = false;
    desk->is_public = true;
    move_all(&desk->publishing, &done);
    client_desk_publish(desk);
    while ((link = list_pop_front(&done))) {
        struct client_change *change = container_of(link, struct client_change, link);

        client_change_published(change);
    }
}

void client_desk_name_series(struct client_desk *desk, struct issued_client *client)
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
    struct issued_facts facts = client_row_facts(row);
    struct issued_client *client;
    int err;

    err = issued_client_new(&facts, desk->book, &client);
    if (err)
        return err;
    client_desk_name_series(desk, client);
    err = client_roster_add(&desk->roster, client);
    if (err) {
        issued_client_unref(&client);
        return err;
    }
    /* Of two of one name, which cannot be, the first is found by it. */
    err = issued_is_revoked(client) ? 0 : client_roster_take_name(&desk->roster, client);
    return err == ERR_EXISTS ? 0 : err;
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
        client_roster_clear(&desk->roster);
        fail_loading(desk, answer->err ? answer->why : err_text(err));
        return;
    }
    desk->is_loaded = true;
    desk->why[0] = '\0';
    desk->is_due = true;
    client_desk_publish(desk);
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
        client_desk_publish(desk);
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
    int err;

    if (!desk)
        return ERR_NOMEM;
    desk->options = *options;
    list_init(&desk->writing);
    list_init(&desk->waiting);
    list_init(&desk->publishing);
    loop_timer_init(&desk->retry, options->loop, on_retry);
    snprintf(desk->why, sizeof(desk->why), "there is no store yet");
    desk->book = limiter_book_new();
    err = client_roster_init(&desk->roster);
    if (err || !desk->book || loop_timer_reserve(&desk->retry)) {
        client_desk_free(&desk);
        return ERR_NOMEM;
    }
    *ret_desk = desk;
    return 0;
}

void client_desk_close(struct client_desk *desk)
{
    if (!desk || desk->is_closed)
        return;
    desk->is_closed = true;
    snprintf(desk->why, sizeof(desk->why), "the gateway is ending");
    loop_timer_clear(&desk->retry);
    store_cancel(&desk->load);
    client_changes_drop(desk, &desk->writing);
    client_changes_drop(desk, &desk->waiting);
    client_changes_drop(desk, &desk->publishing);
}

void client_desk_free(struct client_desk **place)
{
    struct client_desk *desk = *place;

    *place = NULL;
    if (!desk)
        return;
    client_desk_close(desk);
    loop_timer_fini(&desk->retry);
    client_roster_fini(&desk->roster);
    limiter_book_free(&desk->book);
    mem_free(desk);
}

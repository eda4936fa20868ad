/* What is asked of the desk, from its beginning to its end: written, then published, then answered;
 * a revocation is published first. */
#include <string.h>

#include "admin/client_desk_inner.h"
#include "admin/client_row.h"
#include "base/err.h"

/* A revocation that the disk does not know. */
static const char unwritten[] = "the key is refused from now on, but the store has not written "
                                "that: after a restart it may be valid again";

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
    if (err && fresh && change->kind != CHANGE_REVOKES &&
        !client_roster_holds(&desk->roster, fresh)) {
        client_roster_drop_name(&desk->roster, fresh);
        issued_client_unref(&fresh);
    }
    change->on_done(change, err, why);
}

/* What is in the roster is to be told to the workers, and the change with it. */
static void ask_to_publish(struct client_change *change)
{
    struct client_desk *desk = change->desk;

    list_remove(&change->link);
    list_push_back(&desk->waiting, &change->link);
    desk->is_due = true;
    client_desk_publish(desk);
}

/* ---- writing ---- */

/* It stands in the store: now the workers hear of it; those of a revocation have. */
static void go_on(struct client_change *change)
{
    struct client_desk *desk = change->desk;
    int err = 0;

    switch (change->kind) {
    case CHANGE_ISSUES:
        err = client_roster_add(&desk->roster, change->fresh);
        break;
    case CHANGE_UPDATES:
        client_roster_replace(&desk->roster, change->before, change->fresh);
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
    (void)client_keys_forget(desk->store, NULL, change->fresh->facts.id);
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
        (void)client_keys_forget(desk->store, NULL, change->fresh->facts.id);
        break;
    case CHANGE_UPDATES:
        row = client_row_of(change->before);
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
    row = client_row_of(change->fresh);
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
    if (desk->roster.count < ISSUED_MAX)
        return 0;
    for (size_t i = 0; i < desk->roster.count; i++) {
        if (!issued_is_revoked(desk->roster.clients[i]) ||
            is_changing(desk, desk->roster.clients[i]))
            continue;
        /* Without memory for that, the next start forgets it. */
        (void)client_keys_forget(desk->store, NULL, desk->roster.clients[i]->facts.id);
        client_roster_remove(&desk->roster, desk->roster.clients[i]);
        return 0;
    }
    return ERR_FULL;
}

int client_desk_issue(struct client_desk *desk, struct client_change *change,
                      const struct issued_facts *facts)
{
    int err;

    if (hindrance(desk))
        return ERR_AGAIN;
    if (client_roster_is_taken(&desk->roster, facts->name))
        return ERR_EXISTS;
    err = make_room(desk);
    if (err)
        return err;
    change->kind = CHANGE_ISSUES;
    change->before = NULL;
    err = begin(desk, change, facts);
    if (err)
        return err;
    client_desk_name_series(desk, change->fresh);
    err = client_roster_take_name(&desk->roster, change->fresh);
    if (err) {
        store_cancel(&change->ask);
        (void)client_keys_forget(desk->store, NULL, change->fresh->facts.id);
        let_go(change);
        issued_client_unref(&change->fresh);
    }
    return err;
}

static int find_idle(const struct client_desk *desk, struct span id,
                     struct issued_client **ret_client)
{
    struct issued_client *client = client_roster_find(&desk->roster, id);

    if (!client || issued_is_revoked(client))
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
    client_roster_replace(&desk->roster, before, change->fresh);
    ask_to_publish(change);
    return 0;
}

void client_change_published(struct client_change *change)
{
    change->is_published = true;
    if (change->is_written)
        end(change, 0, "");
    else
        list_push_back(&change->desk->writing, &change->link);
}

void client_changes_drop(struct client_desk *desk, struct list *changes)
{
    struct list *link;

    while ((link = list_pop_front(changes))) {
        struct client_change *change = container_of(link, struct client_change, link);

        /* Nobody will ever have its secret. */
        if (change->kind == CHANGE_ISSUES)
            (void)client_keys_forget(desk->store, NULL, change->fresh->facts.id);
        end(change, ERR_AGAIN, desk->why);
    }
}

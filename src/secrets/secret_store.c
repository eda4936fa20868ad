#include "secrets/secret_store_kind.h"

#include <stdio.h>

#include "base/err.h"

void secret_store_init(struct secret_store *store, const struct secret_store_ops *ops,
                       struct loop *loop)
{
    store->ops = ops;
    store->loop = loop;
    list_init(&store->asks);
    list_init(&store->watches);
}

/* ---- asks ---- */

/* The kind keeps no versions. */
static void on_unsupported(struct loop_task *task)
{
    struct secret_ask *ask = container_of(task, struct secret_ask, task);

    secret_ask_fail(ask, ERR_UNSUPPORTED, "a store of this kind keeps no older versions");
}

static bool is_unsupported(const struct secret_ask *ask)
{
    return ask->work == ask;
}

/* The kind's, or the refusal of one that keeps no versions: told later, as every answer. */
static int begin_work(struct secret_store *store, struct secret_ask *ask,
                      const struct secret_request *request)
{
    bool is_old = request->act == SECRET_VERSIONS || request->version.len;

    if (!is_old || store->ops->has_versions)
        return store->ops->begin(store, ask, request);
    ask->work = ask;
    loop_task_init(&ask->task, on_unsupported);
    loop_defer(store->loop, &ask->task);
    return 0;
}

static int begin(struct secret_store *store, struct secret_ask *ask,
                 const struct secret_request *request)
{
    int err;

    ask->store = store;
    ask->work = NULL;
    list_push_back(&store->asks, &ask->link);
    err = begin_work(store, ask, request);
    if (err) {
        list_remove(&ask->link);
        ask->store = NULL;
    }
    return err;
}

int secret_store_read(struct secret_store *store, struct secret_ask *ask, struct span path)
{
    struct secret_request request = {.act = SECRET_READ, .path = path, .expected = SECRET_ANY};

    return secret_path_is_good(path) ? begin(store, ask, &request) : ERR_SYNTAX;
}

int secret_store_write(struct secret_store *store, struct secret_ask *ask, struct span path,
                       struct span text, uint64_t expected)
{
    struct secret_request request = {
        .act = SECRET_WRITE, .path = path, .text = text, .expected = expected};
    const char *why;
    int err = secret_path_is_good(path) ? secret_entry_check(text, &why) : ERR_SYNTAX;

    return err ? err : begin(store, ask, &request);
}

int secret_store_remove(struct secret_store *store, struct secret_ask *ask, struct span path,
                        uint64_t expected)
{
    struct secret_request request = {.act = SECRET_REMOVE, .path = path, .expected = expected};

    return secret_path_is_good(path) ? begin(store, ask, &request) : ERR_SYNTAX;
}

int secret_store_list(struct secret_store *store, struct secret_ask *ask, struct span folder)
{
    struct secret_request request = {.act = SECRET_LIST, .path = folder, .expected = SECRET_ANY};

    return !folder.len || secret_path_is_good(folder) ? begin(store, ask, &request) : ERR_SYNTAX;
}

int secret_store_versions(struct secret_store *store, struct secret_ask *ask, struct span path)
{
    struct secret_request request = {.act = SECRET_VERSIONS, .path = path, .expected = SECRET_ANY};

    return secret_path_is_good(path) ? begin(store, ask, &request) : ERR_SYNTAX;
}

int secret_store_read_version(struct secret_store *store, struct secret_ask *ask, struct span path,
                              struct span version)
{
    struct secret_request request = {
        .act = SECRET_READ, .path = path, .expected = SECRET_ANY, .version = version};

    return secret_path_is_good(path) && secret_version_is_good(version)
               ? begin(store, ask, &request)
               : ERR_SYNTAX;
}

void secret_ask_cancel(struct secret_ask *ask)
{
    struct secret_store *store = ask->store;

    if (!store)
        return;
    if (is_unsupported(ask))
        loop_task_cancel(&ask->task);
    else
        store->ops->cancel(ask);
    list_remove(&ask->link);
    ask->store = NULL;
    ask->work = NULL;
}

void secret_ask_finish(struct secret_ask *ask, const struct secret_answer *answer)
{
    list_remove(&ask->link);
    ask->store = NULL;
    ask->work = NULL;
    ask->on_done(ask, answer);
}

void secret_ask_fail(struct secret_ask *ask, int err, const char *why)
{
    struct secret_answer answer = {.err = err, .why = why ? why : err_text(err)};

    secret_ask_finish(ask, &answer);
}

/* ---- watches ---- */

int secret_store_watch(struct secret_store *store, struct secret_watch *watch, struct span path)
{
    int err = 0;

    if (!secret_path_is_good(path))
        return ERR_SYNTAX;
    memcpy(watch->path, path.ptr, path.len);
    watch->path_len = path.len;
    watch->store = store;
    watch->work = NULL;
    watch->seen = 0;
    watch->was_seen = watch->is_due = watch->has_trouble = watch->is_trouble_news = false;
    list_push_back(&store->watches, &watch->link);
    if (store->ops->watch)
        err = store->ops->watch(store, watch);
    if (err) {
        list_remove(&watch->link);
        watch->store = NULL;
    }
    return err;
}

void secret_watch_cancel(struct secret_watch *watch)
{
    if (!watch->store)
        return;
    if (watch->store->ops->unwatch)
        watch->store->ops->unwatch(watch);
    list_remove(&watch->link);
    watch->store = NULL;
    watch->work = NULL;
}

struct span secret_watch_path(const struct secret_watch *watch)
{
    return span_of(watch->path, watch->path_len);
}

void secret_watch_note(struct secret_watch *watch, uint64_t seen, int err, const char *why)
{
    if (err) {
        watch->is_trouble_news = !watch->has_trouble || strcmp(watch->why, why) != 0;
        watch->has_trouble = true;
        snprintf(watch->why, sizeof(watch->why), "%s", why);
        return;
    }
    watch->is_trouble_news = watch->has_trouble;
    watch->has_trouble = false;
    watch->is_due |= !watch->was_seen || watch->seen != seen;
    watch->was_seen = true;
    watch->seen = seen;
}

void secret_watch_note_path(struct secret_store *store, struct span path)
{
    list_for_each (link, &store->watches) {
        struct secret_watch *watch = container_of(link, struct secret_watch, link);

        watch->is_due |= span_is_equal(secret_watch_path(watch), path);
    }
}

static struct secret_watch *first_with_news(struct secret_store *store)
{
    list_for_each (link, &store->watches) {
        struct secret_watch *watch = container_of(link, struct secret_watch, link);

        if (watch->is_due || watch->is_trouble_news)
            return watch;
    }
    return NULL;
}

/* Any of them may go while another is told: so it begins anew after each call. */
void secret_watch_tell(struct secret_store *store)
{
    struct secret_watch *watch;

    while ((watch = first_with_news(store))) {
        if (watch->is_trouble_news) {
            watch->is_trouble_news = false;
            if (watch->on_trouble)
                watch->on_trouble(watch, watch->has_trouble ? watch->why : NULL);
        } else {
            watch->is_due = false;
            watch->on_change(watch);
        }
    }
}

/* ---- the store ---- */

const char *secret_store_kind(const struct secret_store *store)
{
    return store->ops->kind;
}

bool secret_store_is_busy(const struct secret_store *store)
{
    return store->ops->is_busy && store->ops->is_busy(store);
}

void secret_store_free(struct secret_store **store)
{
    struct secret_store *s = *store;

    *store = NULL;
    if (!s)
        return;
    while (!list_is_empty(&s->asks))
        secret_ask_cancel(container_of(s->asks.next, struct secret_ask, link));
    while (!list_is_empty(&s->watches))
        secret_watch_cancel(container_of(s->watches.next, struct secret_watch, link));
    s->ops->free(s);
}

#include "secrets/folder_store.h"

#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "secrets/folder_work.h"

#define POLL_US (30 * US_PER_SEC)
#define SETTLE_US                                                                                  \
    (50 * US_PER_MS) /* a file is made and then written: looked at once, behind both */

enum { NOTIFY_BYTES = 4096 };

/* ---- at work ---- */

static void start_soon(struct folder_store *store)
{
    if (!store->is_working)
        loop_defer(store->store.loop, &store->start);
}

static void want_look(struct folder_store *store)
{
    store->is_look_wanted = true;
    start_soon(store);
}

static void free_act(struct folder_act *act)
{
    buf_fini(&act->text);
    mem_free(act);
}

static void empty_acts(struct list *acts)
{
    while (!list_is_empty(acts))
        free_act(container_of(list_pop_front(acts), struct folder_act, link));
}

static void empty_sights(struct list *sights)
{
    while (!list_is_empty(sights))
        mem_free(container_of(list_pop_front(sights), struct folder_sight, link));
}

static void destroy(struct folder_store *store)
{
    empty_acts(&store->waiting);
    empty_acts(&store->working);
    empty_sights(&store->sights);
    empty_sights(&store->looking);
    if (store->notify.fd >= 0)
        close(store->notify.fd);
    mem_free(store->path);
    mem_free(store->file);
    mem_free(store);
}

static void answer_act(struct folder_act *act)
{
    struct secret_answer answer = {.why = ""};
    struct secret_ask *ask = act->ask;

    if (act->act == SECRET_READ)
        answer.entry.text = buf_span(&act->text);
    if (act->act == SECRET_LIST)
        answer.names = buf_span(&act->text);
    answer.entry.version = act->version;
    if (ask && act->err)
        secret_ask_fail(ask, act->err, act->why[0] ? act->why : NULL);
    else if (ask)
        secret_ask_finish(ask, &answer);
    free_act(act);
}

static void next_look(struct folder_store *store, uint64_t pause_us)
{
    uint64_t at_us = loop_now_us(store->store.loop) + pause_us;

    if (list_is_empty(&store->sights)) {
        loop_timer_clear(&store->timer);
        return;
    }
    if (!store->timer.deadline_us || at_us < store->timer.deadline_us)
        (void)loop_timer_set(&store->timer, at_us); /* reserved: it cannot fail */
}

static void end_look(struct folder_store *store, int err)
{
    while (!list_is_empty(&store->looking)) {
        struct list *link = list_pop_front(&store->looking);
        struct folder_sight *sight = container_of(link, struct folder_sight, link);

        sight->is_looked_at = false;
        if (!sight->watch) {
            mem_free(sight);
            continue;
        }
        if (!err)
            secret_watch_note(sight->watch, sight->now_version, sight->now_err, sight->now_why);
        list_push_back(&store->sights, link);
    }
    next_look(store, store->poll_us);
    secret_watch_tell(&store->store);
}

static void on_worked(struct helper_job *job, int err)
{
    struct folder_store *store = container_of(job, struct folder_store, job);
    struct list acts;

    store->is_working = false;
    if (store->is_gone) {
        destroy(store);
        return;
    }
    list_init(&acts);
    while (!list_is_empty(&store->working)) {
        struct list *link = list_pop_front(&store->working);
        struct folder_act *act = container_of(link, struct folder_act, link);

        if (err)
            act->err = err;
        store->is_look_wanted |= act->act == SECRET_WRITE || act->act == SECRET_REMOVE;
        list_push_back(&acts, link);
    }
    if (store->is_look)
        end_look(store, err);
    store->is_look_wanted &= !list_is_empty(&store->sights);
    if (store->is_look_wanted || !list_is_empty(&store->waiting))
        loop_defer(store->store.loop, &store->start);
    /* The store may be gone after any of these; the others then have no ask. */
    while (!list_is_empty(&acts))
        answer_act(container_of(list_pop_front(&acts), struct folder_act, link));
}

static void on_start(struct loop_task *task)
{
    struct folder_store *store = container_of(task, struct folder_store, start);

    if (store->is_working)
        return;
    while (!list_is_empty(&store->waiting))
        list_push_back(&store->working, list_pop_front(&store->waiting));
    store->is_look = store->is_look_wanted && !list_is_empty(&store->sights);
    store->is_look_wanted = false;
    while (store->is_look && !list_is_empty(&store->sights)) {
        struct list *link = list_pop_front(&store->sights);

        container_of(link, struct folder_sight, link)->is_looked_at = true;
        list_push_back(&store->looking, link);
    }
    if (list_is_empty(&store->working) && !store->is_look)
        return;
    store->is_working = true;
    store->job =
        (struct helper_job){.loop = store->store.loop, .work = folder_work, .on_done = on_worked};
    helpers_ask(store->helpers, &store->job);
}

static void on_due(struct loop_timer *timer)
{
    struct folder_store *store = container_of(timer, struct folder_store, timer);

    if (!list_is_empty(&store->sights))
        want_look(store);
}

/* Whatever it was: the look finds out. */
static void on_news(struct loop_fd *fd, unsigned ready)
{
    struct folder_store *store = container_of(fd, struct folder_store, notify);
    char events[NOTIFY_BYTES];
    bool is_any = false;

    (void)ready;
    while (read(fd->fd, events, sizeof(events)) > 0)
        is_any = true;
    if (is_any && store->is_working)
        store->is_look_wanted = true;
    else if (is_any)
        next_look(store, SETTLE_US);
}

/* ---- the store ---- */

static int begin(struct secret_store *base, struct secret_ask *ask,
                 const struct secret_request *request)
{
    struct folder_store *store = container_of(base, struct folder_store, store);
    struct folder_act *act = mem_zalloc(1, sizeof(*act));

    if (!act)
        return ERR_NOMEM;
    act->ask = ask;
    act->act = request->act;
    act->expected = request->expected;
    snprintf(act->name, sizeof(act->name), "%.*s", SPAN_ARG(request->path));
    buf_init(&act->text,
             request->act == SECRET_LIST ? SECRET_LIST_MAX_BYTES : SECRET_ENTRY_MAX_BYTES);
    act->text.is_secret = true;
    if (request->act == SECRET_WRITE && buf_append_span(&act->text, request->text)) {
        free_act(act);
        return ERR_NOMEM;
    }
    ask->work = act;
    list_push_back(&store->waiting, &act->link);
    start_soon(store);
    return 0;
}

static void cancel(struct secret_ask *ask)
{
    struct folder_act *act = ask->work;

    act->ask = NULL;
}

static int watch_entry(struct secret_store *base, struct secret_watch *watch)
{
    struct folder_store *store = container_of(base, struct folder_store, store);
    struct folder_sight *sight = mem_zalloc(1, sizeof(*sight));

    if (!sight)
        return ERR_NOMEM;
    sight->watch = watch;
    snprintf(sight->name, sizeof(sight->name), "%.*s", SPAN_ARG(secret_watch_path(watch)));
    watch->work = sight;
    list_push_back(&store->sights, &sight->link);
    want_look(store);
    return 0;
}

static void unwatch_entry(struct secret_watch *watch)
{
    struct folder_sight *sight = watch->work;

    sight->watch = NULL;
    /* Else it goes when the helper is back. */
    if (!sight->is_looked_at) {
        list_remove(&sight->link);
        mem_free(sight);
    }
}

static bool is_busy(const struct secret_store *base)
{
    const struct folder_store *store = container_of(base, const struct folder_store, store);

    return store->is_working || !list_is_empty(&store->waiting);
}

static void free_store(struct secret_store *base)
{
    struct folder_store *store = container_of(base, struct folder_store, store);

    loop_task_cancel(&store->start);
    loop_timer_fini(&store->timer);
    if (store->notify.fd >= 0)
        loop_remove(base->loop, &store->notify);
    store->is_gone = true;
    if (!store->is_working)
        destroy(store);
}

static const struct secret_store_ops ops = {.kind = "folder",
                                            .begin = begin,
                                            .cancel = cancel,
                                            .watch = watch_entry,
                                            .unwatch = unwatch_entry,
                                            .is_busy = is_busy,
                                            .free = free_store};

static const struct secret_store_ops file_ops = {.kind = "file",
                                                 .begin = begin,
                                                 .cancel = cancel,
                                                 .watch = watch_entry,
                                                 .unwatch = unwatch_entry,
                                                 .is_busy = is_busy,
                                                 .free = free_store};

/* The folder and, for one file, its name there. */
static int set_path(struct folder_store *store, const struct folder_store_options *options)
{
    const char *slash = strrchr(options->path, '/');
    size_t len = strlen(options->path);

    if (!options->is_file) {
        store->path = mem_strdup(options->path, len);
    } else if (slash) {
        /* "/key" stands in "/". */
        store->path =
            mem_strdup(options->path, slash == options->path ? 1 : (size_t)(slash - options->path));
        store->file = mem_strdup(slash + 1, strlen(slash + 1));
    } else {
        store->path = mem_strdup(".", 1);
        store->file = mem_strdup(options->path, len);
    }
    return store->path && (!options->is_file || store->file) ? 0 : ERR_NOMEM;
}

struct secret_store *folder_store_new(const struct folder_store_options *options)
{
    struct folder_store *store = mem_zalloc(1, sizeof(*store));

    if (!store)
        return NULL;
    secret_store_init(&store->store, options->is_file ? &file_ops : &ops, options->loop);
    store->helpers = options->helpers;
    store->poll_us = options->poll_us ? options->poll_us : POLL_US;
    list_init(&store->waiting);
    list_init(&store->working);
    list_init(&store->sights);
    list_init(&store->looking);
    loop_task_init(&store->start, on_start);
    loop_timer_init(&store->timer, options->loop, on_due);
    store->notify =
        (struct loop_fd){.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), .on_ready = on_news};
    if (store->notify.fd >= 0 && loop_add(options->loop, &store->notify, false)) {
        close(store->notify.fd);
        store->notify.fd = -1;
    }
    if (set_path(store, options) || loop_timer_reserve(&store->timer)) {
        free_store(&store->store);
        return NULL;
    }
    return &store->store;
}

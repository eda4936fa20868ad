#include "secrets/folder_store.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "secrets/folder_disk.h"
#include "secrets/secret_store_kind.h"

#define POLL_US (30 * US_PER_SEC)
#define SETTLE_US                                                                                  \
    (50 * US_PER_MS) /* a file is made and then written: looked at once, behind both */

enum { TRIES = 5, NOTIFY_BYTES = 4096 };

/* An ask at work. */
struct act {
    struct list link;
    struct secret_ask *ask; /* NULL: nobody asks any more */
    enum secret_act act;
    uint64_t expected;
    struct buf text; /* secret: what is written, or was read */
    uint64_t version;
    int err;
    char why[SECRET_WORDS_BYTES];
    char name[SECRET_PATH_MAX_BYTES + 1];
};

/* A watched entry. */
struct sight {
    struct list link;
    struct secret_watch *watch; /* NULL: nobody watches any more */
    char name[SECRET_PATH_MAX_BYTES + 1];
    bool is_looked_at;
    /* Of the look under way: the helper's. */
    int now_err;
    uint64_t now_version;
    char now_why[SECRET_WORDS_BYTES];
};

struct folder_store {
    struct secret_store store;
    struct helpers *helpers;
    char *path; /* of the folder */
    char *file; /* the one file's name in it, or NULL */
    uint64_t poll_us;
    struct loop_fd notify; /* fd -1: changes are found by looking alone */
    struct loop_timer timer;
    struct loop_task start;
    struct list waiting, sights; /* struct act; struct sight, new ones too */
    bool is_look_wanted;
    bool is_working, is_gone; /* while working, the lists below are the helper's */
    bool is_look;
    struct helper_job job;
    struct list working, looking;
};

/* ---- on a helper thread ---- */

/* What stands under an entry's path; NULL: nothing ever does. */
static const char *name_of(const struct folder_store *store, const char *path)
{
    if (!store->file)
        return path;
    return strcmp(path, FOLDER_STORE_FILE) ? NULL : store->file;
}

/* Heard of from before it is looked at, so that nothing is missed in between. */
static void listen_at(const struct folder_store *store, const char *name)
{
    const char *slash = strrchr(name, '/');
    struct buf path;

    if (store->notify.fd < 0)
        return;
    buf_init(&path, strlen(store->path) + strlen(name) + 2);
    buf_printf(&path, "%s/%.*s", store->path, slash ? (int)(slash - name) : 0, name);
    /* What cannot be heard of is found by looking. */
    if (!path.err)
        (void)inotify_add_watch(store->notify.fd, buf_text(&path),
                                IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE |
                                    IN_DELETE | IN_ATTRIB | IN_ONLYDIR);
    buf_fini(&path);
}

static void look_at(const struct folder_place *place, const char *name, struct sight *sight)
{
    struct buf entry;

    sight->now_err = 0;
    sight->now_version = 0;
    sight->now_why[0] = '\0';
    if (!name)
        return;
    buf_init(&entry, SECRET_ENTRY_MAX_BYTES);
    entry.is_secret = true;
    sight->now_err = folder_read(place, name, &entry, &sight->now_version, sight->now_why);
    buf_fini(&entry);
}

/* All of them in one snapshot: true where that is the one of now. */
static bool look_once(struct folder_store *store)
{
    char why[SECRET_WORDS_BYTES];
    struct folder_place place;
    int err = folder_place_open(&place, store->path, why);
    bool is_current;

    list_for_each (link, &store->looking) {
        struct sight *sight = container_of(link, struct sight, link);

        if (!err) {
            look_at(&place, name_of(store, sight->name), sight);
            continue;
        }
        sight->now_err = err;
        sight->now_version = 0;
        memcpy(sight->now_why, why, sizeof(why));
    }
    is_current = err || folder_place_is_current(&place);
    if (!err)
        folder_place_close(&place);
    return is_current;
}

static void look(struct folder_store *store)
{
    listen_at(store, "");
    list_for_each (link, &store->looking) {
        const struct sight *sight = container_of(link, struct sight, link);

        if (strchr(sight->name, '/'))
            listen_at(store, sight->name);
    }
    for (int i = 0; i < TRIES && !look_once(store); i++)
        ;
}

static int do_act(const struct folder_store *store, const struct folder_place *place,
                  struct act *act)
{
    const char *name =
        act->act == SECRET_LIST && !store->file ? act->name : name_of(store, act->name);

    switch (act->act) {
    case SECRET_READ:
        act->version = 0;
        return name ? folder_read(place, name, &act->text, &act->version, act->why) : 0;
    case SECRET_WRITE:
        if (name)
            return folder_write(place, name, buf_span(&act->text), act->expected, &act->version,
                                act->why);
        snprintf(act->why, sizeof(act->why), "a store of one file holds nothing but \"%s\"",
                 FOLDER_STORE_FILE);
        return ERR_UNSUPPORTED;
    case SECRET_REMOVE:
        if (name)
            return folder_remove(place, name, act->expected, act->why);
        snprintf(act->why, sizeof(act->why), "there is none");
        return act->expected == SECRET_ANY || act->expected == 0 ? 0 : ERR_EXISTS;
    case SECRET_LIST:
    case SECRET_VERSIONS: /* never asked */
        break;
    }
    if (!store->file)
        return folder_list(place, name, &act->text, act->why);
    return act->name[0] ? 0 : buf_append_span(&act->text, SPAN(FOLDER_STORE_FILE "\n"));
}

/* Begun anew where the snapshot that it read was swapped away meanwhile. */
static void perform(struct folder_store *store, struct act *act)
{
    struct folder_place place;
    bool is_done = false;

    for (int i = 0; i < TRIES && !is_done; i++) {
        if (act->act != SECRET_WRITE)
            buf_clear(&act->text);
        act->err = folder_place_open(&place, store->path, act->why);
        if (act->err)
            return;
        act->err = do_act(store, &place, act);
        is_done = act->act == SECRET_WRITE || act->act == SECRET_REMOVE ||
                  folder_place_is_current(&place);
        folder_place_close(&place);
    }
}

static void work(struct helper_job *job)
{
    struct folder_store *store = container_of(job, struct folder_store, job);

    /* First, so that who reads after it began to watch sees no less than this. */
    if (store->is_look)
        look(store);
    list_for_each (link, &store->working)
        perform(store, container_of(link, struct act, link));
}

/* ---- on the loop ---- */

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

static void free_act(struct act *act)
{
    buf_fini(&act->text);
    mem_free(act);
}

static void empty_acts(struct list *acts)
{
    while (!list_is_empty(acts))
        free_act(container_of(list_pop_front(acts), struct act, link));
}

static void empty_sights(struct list *sights)
{
    while (!list_is_empty(sights))
        mem_free(container_of(list_pop_front(sights), struct sight, link));
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

static void answer_act(struct act *act)
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
        struct sight *sight = container_of(link, struct sight, link);

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
        struct act *act = container_of(link, struct act, link);

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
        answer_act(container_of(list_pop_front(&acts), struct act, link));
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

        container_of(link, struct sight, link)->is_looked_at = true;
        list_push_back(&store->looking, link);
    }
    if (list_is_empty(&store->working) && !store->is_look)
        return;
    store->is_working = true;
    store->job = (struct helper_job){.loop = store->store.loop, .work = work, .on_done = on_worked};
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
    struct act *act = mem_zalloc(1, sizeof(*act));

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
    struct act *act = ask->work;

    act->ask = NULL;
}

static int watch_entry(struct secret_store *base, struct secret_watch *watch)
{
    struct folder_store *store = container_of(base, struct folder_store, store);
    struct sight *sight = mem_zalloc(1, sizeof(*sight));

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
    struct sight *sight = watch->work;

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

#include "secrets/vault_store.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "secrets/secret_store_kind.h"
#include "secrets/vault_errand.h"

#define POLL_US    (30 * US_PER_SEC)
#define CONNECT_US (5 * US_PER_SEC)
#define TOTAL_US   (15 * US_PER_SEC)

struct vault_store {
    struct secret_store store;
    struct vault_place place;
    char *url, *name_space, *ca_file;
    uint64_t poll_us;
    struct rand rand;
    struct loop_timer timer; /* of the next round of looks */
    struct loop_task next;   /* the next look of this round */
    struct loop_task tell;   /* our own changes, to who watches them */
    struct list due, rested; /* struct glance */
    struct glance *looking;  /* at most one */
};

/* A watched entry. */
struct glance {
    struct list link;
    struct secret_watch *watch;
    struct vault_store *store;
    struct vault_errand errand;
};

/* An ask at work. */
struct work {
    struct vault_store *store;
    struct secret_ask *ask;
    struct vault_errand errand;
};

/* ---- asks ---- */

static void on_asked(struct vault_errand *errand, const struct secret_answer *answer)
{
    struct work *work = errand->owner;
    struct vault_store *store = work->store;
    struct secret_ask *ask = work->ask;

    if (!answer->err && (errand->act == SECRET_WRITE || errand->act == SECRET_REMOVE)) {
        /* Told later: who is told may end this very ask. */
        secret_watch_note_path(&store->store, span_from_text(errand->path));
        loop_defer(store->store.loop, &store->tell);
    }
    mem_free(work);
    secret_ask_finish(ask, answer);
}

static int begin(struct secret_store *base, struct secret_ask *ask,
                 const struct secret_request *request)
{
    struct vault_store *store = container_of(base, struct vault_store, store);
    struct work *work = mem_zalloc(1, sizeof(*work));

    if (!work)
        return ERR_NOMEM;
    work->store = store;
    work->ask = ask;
    work->errand.on_end = on_asked;
    work->errand.owner = work;
    if (vault_errand_begin(&work->errand, &store->place, request)) {
        mem_free(work);
        return ERR_NOMEM;
    }
    ask->work = work;
    return 0;
}

static void cancel(struct secret_ask *ask)
{
    struct work *work = ask->work;

    vault_errand_cancel(&work->errand);
    mem_free(work);
}

static void on_tell(struct loop_task *task)
{
    secret_watch_tell(&container_of(task, struct vault_store, tell)->store);
}

/* ---- looks ---- */

static void start_round(struct vault_store *store)
{
    uint64_t poll_us = store->poll_us;

    poll_us = poll_us - poll_us / 10 + rand_below(&store->rand, poll_us / 5 + 1);
    if (list_is_empty(&store->rested))
        loop_timer_clear(&store->timer);
    else /* reserved: it cannot fail */
        (void)loop_timer_set(&store->timer, loop_now_us(store->store.loop) + poll_us);
}

/* A server that cannot be asked at all: nobody else need try in this round. */
static void end_round(struct vault_store *store, const struct secret_answer *answer)
{
    while (!list_is_empty(&store->due)) {
        struct list *link = list_pop_front(&store->due);

        secret_watch_note(container_of(link, struct glance, link)->watch, 0, answer->err,
                          answer->why);
        list_push_back(&store->rested, link);
    }
}

static void on_looked(struct vault_errand *errand, const struct secret_answer *answer)
{
    struct glance *glance = errand->owner;
    struct vault_store *store = glance->store;

    store->looking = NULL;
    secret_watch_note(glance->watch, answer->entry.version, answer->err, answer->why);
    if (answer->err && errand->is_lost)
        end_round(store, answer);
    loop_defer(store->store.loop, &store->next);
    secret_watch_tell(&store->store);
}

static void on_next(struct loop_task *task)
{
    struct vault_store *store = container_of(task, struct vault_store, next);
    struct secret_request request = {.act = SECRET_READ, .expected = SECRET_ANY};
    struct glance *glance;

    if (store->looking)
        return;
    if (list_is_empty(&store->due)) {
        start_round(store);
        return;
    }
    glance = container_of(list_pop_front(&store->due), struct glance, link);
    list_push_back(&store->rested, &glance->link);
    request.path = secret_watch_path(glance->watch);
    glance->errand = (struct vault_errand){
        .on_end = on_looked, .owner = glance, .is_look = true, .is_whole = glance->errand.is_whole};
    if (vault_errand_begin(&glance->errand, &store->place, &request) == 0)
        store->looking = glance;
    else /* it has its turn in the next round */
        loop_defer(store->store.loop, &store->next);
}

static void on_due(struct loop_timer *timer)
{
    struct vault_store *store = container_of(timer, struct vault_store, timer);

    while (!list_is_empty(&store->rested))
        list_push_back(&store->due, list_pop_front(&store->rested));
    loop_defer(store->store.loop, &store->next);
}

static int watch_entry(struct secret_store *base, struct secret_watch *watch)
{
    struct vault_store *store = container_of(base, struct vault_store, store);
    struct glance *glance = mem_zalloc(1, sizeof(*glance));

    if (!glance)
        return ERR_NOMEM;
    glance->watch = watch;
    glance->store = store;
    watch->work = glance;
    list_push_back(&store->due, &glance->link);
    loop_defer(base->loop, &store->next);
    return 0;
}

static void unwatch_entry(struct secret_watch *watch)
{
    struct vault_store *store = container_of(watch->store, struct vault_store, store);
    struct glance *glance = watch->work;

    if (store->looking == glance) {
        vault_errand_cancel(&glance->errand);
        store->looking = NULL;
        loop_defer(store->store.loop, &store->next);
    }
    list_remove(&glance->link);
    mem_free(glance);
}

/* ---- the store ---- */

static void free_store(struct secret_store *base)
{
    struct vault_store *store = container_of(base, struct vault_store, store);

    loop_task_cancel(&store->next);
    loop_task_cancel(&store->tell);
    loop_timer_fini(&store->timer);
    vault_session_free(&store->place.session);
    mem_free(store->url);
    mem_free(store->name_space);
    mem_free(store->ca_file);
    mem_free(store->place.mount);
    mem_free(store->place.prefix);
    mem_free(store);
}

static const struct secret_store_ops ops = {.kind = "vault",
                                            .has_versions = true,
                                            .begin = begin,
                                            .cancel = cancel,
                                            .watch = watch_entry,
                                            .unwatch = unwatch_entry,
                                            .free = free_store};

bool vault_store_place(struct span text, struct span *ret_mount, unsigned *ret_kv,
                       struct span *ret_path)
{
    size_t slash = span_find_byte(text, '/');
    struct span rest = slash == SIZE_MAX ? SPAN("") : span_skip(text, slash + 1);
    bool is_data = span_is_equal(rest, SPAN("data")) || span_has_prefix(rest, SPAN("data/"));

    if (!secret_path_is_good(text))
        return false;
    *ret_mount = span_of(text.ptr, slash == SIZE_MAX ? text.len : slash);
    *ret_kv = is_data ? 2 : 0;
    *ret_path = is_data ? span_skip(rest, rest.len > 5 ? 5 : rest.len) : rest;
    return true;
}

static bool is_place(const char *text)
{
    return !text || !*text || secret_path_is_good(span_from_text(text));
}

static const char *fault_of_login(const struct vault_login *login)
{
    switch (login->kind) {
    case VAULT_LOGIN_TOKEN:
        return login->secret ? NULL : "no token is given";
    case VAULT_LOGIN_TOKEN_FILE:
        return login->file ? NULL : "no file is given for the token";
    case VAULT_LOGIN_APPROLE:
        return login->role && *login->role ? NULL : "no role id is given";
    case VAULT_LOGIN_KUBERNETES:
        if (!login->role || !*login->role)
            return "no role is given";
        return login->file ? NULL : "no file is given for the service account's token";
    }
    return "there is no such login";
}

static const char *fault_of(const struct vault_options *options)
{
    struct span url = span_from_text(options->url);

    if (!span_has_prefix(url, SPAN("https://")) && !span_has_prefix(url, SPAN("http://")))
        return "the address begins neither with https:// nor with http://";
    if (!options->mount || !*options->mount || !is_place(options->mount))
        return "the mount is no path of letters, digits, '-', '_' and '.'";
    if (!is_place(options->prefix))
        return "the prefix is no path of letters, digits, '-', '_' and '.'";
    if (!is_place(options->name_space))
        return "the namespace is no path of letters, digits, '-', '_' and '.'";
    if (!is_place(options->login.mount))
        return "the login's mount is no path of letters, digits, '-', '_' and '.'";
    return options->kv > 2 ? "there is no such version of the key-value engine"
                           : fault_of_login(&options->login);
}

static char *copy_of(const char *text)
{
    return mem_strdup(text ? text : "", text ? strlen(text) : 0);
}

static int copy_options(struct vault_store *store, const struct vault_options *options)
{
    store->url = copy_of(options->url);
    store->name_space = copy_of(options->name_space);
    store->ca_file = copy_of(options->ca_file);
    store->place.mount = copy_of(options->mount);
    store->place.prefix = copy_of(options->prefix);
    store->place.server = (struct vault_server){
        .loop = options->loop,
        .fetcher = options->fetcher,
        .url = store->url,
        .name_space = store->name_space,
        .ca_file = options->ca_file ? store->ca_file : NULL,
        .connect_us = options->connect_us ? options->connect_us : CONNECT_US,
        .total_us = options->total_us ? options->total_us : TOTAL_US,
    };
    store->place.kv = options->kv;
    store->poll_us = options->poll_us ? options->poll_us : POLL_US;
    if (!store->url || !store->name_space || !store->ca_file || !store->place.mount ||
        !store->place.prefix)
        return ERR_NOMEM;
    store->place.session =
        vault_session_new(&store->place.server, &options->login, options->secrets);
    return store->place.session ? loop_timer_reserve(&store->timer) : ERR_NOMEM;
}

int vault_store_open(const struct vault_options *options, struct secret_store **ret_store,
                     char *why)
{
    const char *fault = fault_of(options);
    struct vault_store *store;

    snprintf(why, SECRET_WORDS_BYTES, "vault: %s", fault ? fault : err_text(ERR_NOMEM));
    if (fault)
        return ERR_SYNTAX;
    store = mem_zalloc(1, sizeof(*store));
    if (!store)
        return ERR_NOMEM;
    secret_store_init(&store->store, &ops, options->loop);
    list_init(&store->due);
    list_init(&store->rested);
    loop_task_init(&store->next, on_next);
    loop_task_init(&store->tell, on_tell);
    loop_timer_init(&store->timer, options->loop, on_due);
    rand_init_from_system(&store->rand);
    if (copy_options(store, options)) {
        free_store(&store->store);
        return ERR_NOMEM;
    }
    why[0] = '\0';
    *ret_store = &store->store;
    return 0;
}

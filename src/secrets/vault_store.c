#include "secrets/vault_store.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "secrets/secret_store_kind.h"
#include "secrets/store_looks.h"
#include "secrets/vault_errand.h"

#define POLL_US    (30 * US_PER_SEC)
#define CONNECT_US (5 * US_PER_SEC)
#define TOTAL_US   (15 * US_PER_SEC)

struct vault_store {
    struct secret_store store;
    struct vault_place place;
    char *url, *name_space, *ca_file;
    struct store_looks looks;
    struct vault_errand look; /* of the one that is under way */
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

    if (!answer->err && (errand->act == SECRET_WRITE || errand->act == SECRET_REMOVE))
        store_looks_changed(&store->looks, span_from_text(errand->path));
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

/* ---- looks ---- */

static void on_looked(struct vault_errand *errand, const struct secret_answer *answer)
{
    struct store_look *look = errand->owner;

    look->is_whole = errand->is_whole;
    store_look_done(look, answer->entry.version, answer->err, answer->why, errand->is_lost);
}

static int begin_look(struct store_look *look)
{
    struct vault_store *store = container_of(look->looks, struct vault_store, looks);
    struct secret_request request = {
        .act = SECRET_READ, .path = secret_watch_path(look->watch), .expected = SECRET_ANY};

    store->look = (struct vault_errand){
        .on_end = on_looked, .owner = look, .is_look = true, .is_whole = look->is_whole};
    return vault_errand_begin(&store->look, &store->place, &request);
}

static void cancel_look(struct store_look *look)
{
    vault_errand_cancel(&container_of(look->looks, struct vault_store, looks)->look);
}

static const struct store_looks_ops looks_ops = {.begin = begin_look, .cancel = cancel_look};

static int watch_entry(struct secret_store *base, struct secret_watch *watch)
{
    return store_looks_add(&container_of(base, struct vault_store, store)->looks, watch);
}

static void unwatch_entry(struct secret_watch *watch)
{
    store_looks_remove(&container_of(watch->store, struct vault_store, store)->looks, watch);
}

/* ---- the store ---- */

static void free_store(struct secret_store *base)
{
    struct vault_store *store = container_of(base, struct vault_store, store);

    store_looks_fini(&store->looks);
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
    if (store_looks_init(&store->looks, &store->store, &looks_ops,
                         options->poll_us ? options->poll_us : POLL_US))
        return ERR_NOMEM;
    if (!store->url || !store->name_space || !store->ca_file || !store->place.mount ||
        !store->place.prefix)
        return ERR_NOMEM;
    store->place.session =
        vault_session_new(&store->place.server, &options->login, options->secrets);
    return store->place.session ? 0 : ERR_NOMEM;
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
    if (copy_options(store, options)) {
        free_store(&store->store);
        return ERR_NOMEM;
    }
    why[0] = '\0';
    *ret_store = &store->store;
    return 0;
}

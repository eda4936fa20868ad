#include "secrets/cloud_store.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "secrets/cloud_answer.h"

#define POLL_US    (60 * US_PER_SEC)
#define CONNECT_US (5 * US_PER_SEC)
#define TOTAL_US   (15 * US_PER_SEC)

/* ---- members of its tables ---- */

int cloud_store_watch(struct secret_store *base, struct secret_watch *watch)
{
    return store_looks_add(&container_of(base, struct cloud_store, store)->looks, watch);
}

void cloud_store_unwatch(struct secret_watch *watch)
{
    store_looks_remove(&container_of(watch->store, struct cloud_store, store)->looks, watch);
}

bool cloud_reply_refuses_login(const struct cloud_reply *reply)
{
    return reply->status == 401;
}

int cloud_reply_refusal(const struct cloud_reply *reply, struct buf *words)
{
    cloud_answer_words(reply->body, words);
    return cloud_answer_err(reply->status);
}

/* ---- opening ---- */

const char *cloud_options_fault(const struct cloud_options *options)
{
    struct span url = span_from_text(options->url);

    if (!span_has_prefix(url, SPAN("https://")) && !span_has_prefix(url, SPAN("http://")))
        return "the address begins neither with https:// nor with http://";
    for (size_t i = 0; i < url.len; i++) {
        if (url.ptr[i] <= ' ' || url.ptr[i] >= 0x7f || url.ptr[i] == '?' || url.ptr[i] == '#')
            return "the address is none";
    }
    if (options->prefix && *options->prefix &&
        !secret_path_is_good(span_from_text(options->prefix)))
        return "the prefix is no path of letters, digits, '-', '_' and '.'";
    return cloud_login_fault(options->login);
}

int cloud_options_refuse(const char *label, const char *fault, char *why)
{
    snprintf(why, SECRET_WORDS_BYTES, "%s: %s", label, fault);
    return ERR_SYNTAX;
}

static char *copy_of(struct span text)
{
    return mem_strdup(text.ptr ? text.ptr : "", text.len);
}

static int init(struct cloud_store *store, const struct cloud_kind *kind,
                const struct cloud_options *options)
{
    struct span url = span_from_text(options->url);
    struct cloud_session_options session = {.server = &store->server,
                                            .secrets = options->secrets,
                                            .login = options->login,
                                            .region = options->region,
                                            .resource = options->resource};

    while (span_has_suffix(url, SPAN("/")))
        url.len--;
    secret_store_init(&store->store, &kind->ops, options->loop);
    store->kind = kind;
    store->url = copy_of(url);
    store->ca_file = options->ca_file ? copy_of(span_from_text(options->ca_file)) : NULL;
    store->prefix = copy_of(span_from_text(options->prefix));
    store->server =
        (struct cloud_server){.loop = options->loop,
                              .fetcher = options->fetcher,
                              .ca_file = store->ca_file,
                              .connect_us = options->connect_us ? options->connect_us : CONNECT_US,
                              .total_us = options->total_us ? options->total_us : TOTAL_US,
                              .is_busy = options->is_busy};
    store->session = cloud_session_new(&session);
    if (store_looks_init(&store->looks, &store->store, &cloud_looks_ops,
                         options->poll_us ? options->poll_us : POLL_US))
        return ERR_NOMEM;
    return store->url && store->prefix && (store->ca_file || !options->ca_file) && store->session
               ? 0
               : ERR_NOMEM;
}

void cloud_store_fini(struct cloud_store *store)
{
    store_looks_fini(&store->looks);
    cloud_session_free(&store->session);
    mem_free(store->url);
    mem_free(store->ca_file);
    mem_free(store->prefix);
}

void cloud_store_free(struct secret_store *base)
{
    struct cloud_store *store = container_of(base, struct cloud_store, store);

    cloud_store_fini(store);
    mem_free(store);
}

int cloud_store_open(struct cloud_store *store, const struct cloud_kind *kind,
                     const struct cloud_options *options, struct secret_store **ret_store,
                     char *why)
{
    int err = store ? init(store, kind, options) : ERR_NOMEM;

    why[0] = '\0';
    if (!err) {
        *ret_store = &store->store;
        return 0;
    }
    snprintf(why, SECRET_WORDS_BYTES, "%s: %s", kind->label, err_text(err));
    if (store)
        kind->ops.free(&store->store);
    return err;
}

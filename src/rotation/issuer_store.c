/*
 * Somebody else makes the keys, a person or a secret manager, and puts the next one into a secret
 * store: making one is waiting until another stands there than the one that serves. What was told
 * of once is not told again until the entry changes, so that a key that did not prove itself is not
 * taken for the next one.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "json/tree.h"
#include "rotation/issuer_answer.h"
#include "rotation/issuer_inner.h"
#include "secrets/secret_store.h"

#define FIRST_RETRY_US (1 * US_PER_SEC)
#define LAST_RETRY_US  (60 * US_PER_SEC)

struct store_issuer {
    struct issuer base;
    struct secret_store *store;
    char *path;
    uint64_t told_version; /* of the last entry that ended a call; 0: none */
};

struct store_work {
    struct issuer_work base;
    struct secret_ask ask;
    struct secret_watch watch;
    struct loop_timer timer; /* until the store is asked again that did not answer */
    uint64_t retry_us, give_up_us;
    bool was_read; /* the store has answered: from now on it is waited for */
    bool is_due;   /* a change came while it was being read */
    struct secret *current_key;
    bool (*is_known)(void *owner, const struct secret *key);
    void *owner;
};

static struct store_issuer *issuer_of(const struct store_work *work)
{
    return container_of(work->base.issuer, struct store_issuer, base);
}

static uint64_t now_of(const struct store_work *work)
{
    return loop_now_us(work->base.issuer->options.loop);
}

/* Asks anew in a while. Reserved: setting the timer cannot fail. */
static void retry(struct store_work *work)
{
    (void)loop_timer_set(&work->timer, now_of(work) + work->retry_us);
    work->retry_us = work->retry_us * 2 < LAST_RETRY_US ? work->retry_us * 2 : LAST_RETRY_US;
}

/* 0, or ERR_NOMEM, after which it is asked anew by itself. */
static int read_entry(struct store_work *work)
{
    const struct store_issuer *issuer = issuer_of(work);
    int err;

    work->is_due = false;
    err = secret_store_read(issuer->store, &work->ask, span_from_text(issuer->path));
    if (err)
        retry(work);
    return err;
}

static void on_due(struct loop_timer *timer)
{
    struct store_work *work = container_of(timer, struct store_work, timer);

    if (!work->ask.store)
        (void)read_entry(work);
}

static void on_change(struct secret_watch *watch)
{
    struct store_work *work = container_of(watch, struct store_work, watch);

    work->is_due = true;
    if (!work->ask.store)
        (void)read_entry(work);
}

/* A store that never answers is told of; one that did is waited for, for days if need be. */
static void fail_or_retry(struct store_work *work, const struct secret_answer *answer)
{
    struct issuer_result result = {.answer.may_retry = true};

    if (work->was_read || now_of(work) < work->give_up_us) {
        retry(work);
        return;
    }
    issuer_result_fail(&result, ERR_AGAIN, answer->why);
    issuer_finish(&work->base, &result);
}

/* True where the entry holds a key that is not the one that serves. */
static bool is_another(const struct store_work *work, const yyjson_val *root)
{
    const yyjson_val *key = json_tree_member(root, "api_key");

    return key && !(work->current_key && secret_is_equal(work->current_key, json_tree_text(key)));
}

/* True where it ended the call. */
static bool read_answer(struct store_work *work, const struct secret_entry *entry)
{
    struct issuer_shape shape = {.key = SPAN("/api_key"), .expires = SPAN("/expires_at")};
    struct issuer_result result = {.key = NULL};
    struct issuer_doc doc = {.root = NULL};
    int err = entry->version ? issuer_doc_read(&doc, entry->text) : ERR_NOTFOUND;
    bool is_news =
        !err && entry->version != issuer_of(work)->told_version && is_another(work, doc.root);

    if (is_news) {
        if (json_tree_string(doc.root, "key_id").len)
            shape.id = SPAN("/key_id");
        err = issuer_read_key(doc.root, &shape, work->base.issuer->options.secrets, &result);
        /* It may have been told before a restart, which forgets that. */
        is_news = !result.key || !work->is_known || !work->is_known(work->owner, result.key);
        if (!is_news)
            secret_unref(&result.key);
    }
    issuer_doc_fini(&doc);
    if (is_news) {
        /* Without room for it, it is as new the next time. */
        if (!err || err == ERR_PROTO)
            issuer_of(work)->told_version = entry->version;
        issuer_finish(&work->base, &result);
    }
    return is_news;
}

static void on_done(struct secret_ask *ask, const struct secret_answer *answer)
{
    struct store_work *work = container_of(ask, struct store_work, ask);

    if (answer->err) {
        fail_or_retry(work, answer);
        return;
    }
    work->was_read = true;
    work->retry_us = FIRST_RETRY_US;
    if (read_answer(work, &answer->entry))
        return;
    if (work->is_due)
        (void)read_entry(work);
}

/* ---- calls ---- */

static struct issuer_work *work_new(struct issuer *issuer)
{
    struct store_work *work = mem_zalloc(1, sizeof(*work));

    if (!work)
        return NULL;
    work->ask.on_done = on_done;
    work->watch.on_change = on_change;
    work->retry_us = FIRST_RETRY_US;
    loop_timer_init(&work->timer, issuer->options.loop, on_due);
    if (loop_timer_reserve(&work->timer)) {
        loop_timer_fini(&work->timer);
        mem_free(work);
        return NULL;
    }
    return &work->base;
}

static void work_free(struct issuer_work *base)
{
    struct store_work *work = container_of(base, struct store_work, base);

    secret_ask_cancel(&work->ask);
    secret_watch_cancel(&work->watch);
    loop_timer_fini(&work->timer);
    secret_unref(&work->current_key);
    mem_free(work);
}

static int begin(struct issuer_work *base, const struct issuer_subject *subject,
                 const char **ret_why)
{
    struct store_work *work = container_of(base, struct store_work, base);
    const struct store_issuer *issuer = issuer_of(work);
    int err;

    (void)ret_why;
    if (subject->current_key)
        work->current_key = secret_ref(subject->current_key);
    work->is_known = subject->is_known;
    work->owner = subject->owner;
    work->give_up_us = now_of(work) + issuer->base.timeout_us;
    err = secret_store_watch(issuer->store, &work->watch, span_from_text(issuer->path));
    return err ? err : read_entry(work);
}

/* ---- life ---- */

static void store_free(struct issuer *base)
{
    struct store_issuer *issuer = container_of(base, struct store_issuer, base);

    mem_free(issuer->path);
    mem_free(issuer);
}

static const struct issuer_ops ops = {
    .work_new = work_new, .begin = begin, .work_free = work_free, .free = store_free};

int issuer_store_new(const struct issuer_options *options, const struct issuer_settings *settings,
                     char *why, struct issuer **ret_issuer)
{
    const struct issuer_store_settings *store = &settings->store;
    struct store_issuer *issuer;

    if (!store->store || !secret_path_is_good(store->path))
        return issuer_complain(why, ERR_SYNTAX, "the path is none that a store could have");
    issuer = mem_zalloc(1, sizeof(*issuer));
    if (!issuer)
        return ERR_NOMEM;
    issuer_init(&issuer->base, &ops, options, settings);
    issuer->base.traits.takes_long = true;
    issuer->store = store->store;
    issuer->path = mem_strdup(store->path.ptr, store->path.len);
    if (!issuer->path) {
        store_free(&issuer->base);
        return ERR_NOMEM;
    }
    *ret_issuer = &issuer->base;
    return 0;
}

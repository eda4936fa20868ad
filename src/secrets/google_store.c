#include "secrets/google_store.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/err.h"
#include "secrets/cloud_answer.h"
#include "secrets/google_answer.h"
#include "secrets/google_question.h"

enum { ENTRY_MAX_BYTES = 65536, TRIES_MAX = 6, URL_BYTES = 160 };

/* ---- answers ---- */

static bool is_good(const struct cloud_reply *reply)
{
    return reply->status >= 200 && reply->status <= 299;
}

/* A 404 of another's, where the address is wrong or something stands in between, says nothing of
 * what is there. */
static bool is_none(const struct cloud_reply *reply)
{
    return reply->status == 404 && cloud_answer_is(reply->body, "NOT_FOUND");
}

/* Disabled, or destroyed. */
static bool is_gone(const struct cloud_reply *reply)
{
    return reply->status == 400 && cloud_answer_is(reply->body, "FAILED_PRECONDITION");
}

static void take_value(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    uint64_t number = 0;
    struct buf text;
    int err;

    if (is_none(reply) || (reply->status == 400 && *errand->version)) {
        cloud_errand_end(errand, 0);
        return;
    }
    if (!is_good(reply)) {
        if (is_gone(reply)) /* the latest is: another may not be */
            cloud_errand_go(errand, GOOGLE_STEP_NEWEST);
        else
            cloud_errand_end_refused(errand, reply);
        return;
    }
    buf_init(&text, 4 * (size_t)SECRET_ENTRY_MAX_BYTES);
    text.is_secret = true;
    err = google_answer_value(reply->body, &text, &number);
    if (err)
        cloud_errand_end_unread(errand, err);
    else
        cloud_errand_end_text(errand, buf_span(&text), number);
    buf_fini(&text);
}

static void take_latest(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    uint64_t number = 0, stamp = 0;
    int err;

    if (is_none(reply)) {
        cloud_errand_end(errand, 0);
    } else if (reply->status == 403) {
        errand->look->is_whole = true;
        cloud_errand_go(errand, GOOGLE_STEP_ACCESS);
    } else if (!is_good(reply)) {
        cloud_errand_end_refused(errand, reply);
    } else {
        err = google_answer_version(reply->body, &number, &stamp);
        if (err)
            cloud_errand_end_unread(errand, err);
        else
            cloud_errand_end(errand, stamp);
    }
}

/* A page, of versions or secrets: true, and it is the last, or has what is looked for; else it has
 * ended, or goes on. */
static bool read_page(struct cloud_errand *errand, const struct cloud_reply *reply,
                      int (*read)(struct cloud_errand *errand, struct span body, struct buf *next))
{
    struct buf next;
    int err = 0;

    buf_init(&next, errand->page.max);
    if (is_good(reply))
        err = read(errand, reply->body, &next);
    buf_fini(&errand->page);
    errand->page = next;
    if (!is_good(reply) && !is_none(reply))
        cloud_errand_end_refused(errand, reply);
    else if (err)
        cloud_errand_end_unread(errand, err);
    else if (next.len)
        cloud_errand_go(errand, errand->step);
    else
        return true;
    return false;
}

/* found: the newest that can be read; number: the newest of all. */
static int read_newest(struct cloud_errand *errand, struct span body, struct buf *next)
{
    struct google_newest newest = {.highest = errand->number, .enabled = errand->found};
    int err = google_answer_versions(body, &newest, NULL, next);

    errand->number = newest.highest;
    errand->found = newest.enabled;
    errand->has_found = true;
    if (errand->found)
        buf_clear(next);
    return err;
}

static void found(struct cloud_errand *errand)
{
    if (errand->act == SECRET_READ) {
        if (errand->found && ++errand->tries < TRIES_MAX) {
            snprintf(errand->version, sizeof(errand->version), "%llu",
                     (unsigned long long)errand->found);
            cloud_errand_go(errand, GOOGLE_STEP_ACCESS);
        } else {
            cloud_errand_end(errand, 0);
        }
    } else if (errand->expected != errand->found) {
        cloud_errand_end_other(errand);
    } else if (errand->act == SECRET_REMOVE) {
        if (errand->found)
            cloud_errand_go(errand, GOOGLE_STEP_DELETE);
        else
            cloud_errand_end(errand, 0);
    } else {
        cloud_errand_go(errand, errand->has_found ? GOOGLE_STEP_ADD : GOOGLE_STEP_CREATE);
    }
}

static void take_newest(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    if (read_page(errand, reply, read_newest))
        found(errand);
}

static void take_created(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    if (is_good(reply)) {
        cloud_errand_go(errand, GOOGLE_STEP_ADD);
    } else if (reply->status == 409 && ++errand->tries < TRIES_MAX) {
        errand->number = errand->found = 0;
        cloud_errand_go(errand,
                        errand->expected == SECRET_ANY ? GOOGLE_STEP_ADD : GOOGLE_STEP_NEWEST);
    } else {
        cloud_errand_end_refused(errand, reply);
    }
}

/* Where the number is not the next one, somebody else has written meanwhile. */
static void take_added(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    uint64_t number = 0, stamp = 0;
    int err;

    if (is_none(reply) && errand->expected == SECRET_ANY && ++errand->tries < TRIES_MAX) {
        cloud_errand_go(errand, GOOGLE_STEP_CREATE);
        return;
    }
    if (is_none(reply) && errand->expected != SECRET_ANY) {
        cloud_errand_end_other(errand);
        return;
    }
    if (!is_good(reply)) {
        cloud_errand_end_refused(errand, reply);
        return;
    }
    err = google_answer_version(reply->body, &number, &stamp);
    if (err) {
        cloud_errand_end_unread(errand, err);
    } else if (errand->expected == SECRET_ANY || number == errand->number + 1) {
        cloud_errand_end(errand, number);
    } else {
        snprintf(errand->made, sizeof(errand->made), "%llu", (unsigned long long)number);
        cloud_errand_go(errand, GOOGLE_STEP_DESTROY);
    }
}

static void take_destroyed(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    if (is_good(reply) || is_none(reply))
        cloud_errand_end_other(errand);
    else /* it stands, over somebody else's */
        cloud_errand_end_refused(errand, reply);
}

static int on_name(void *owner, struct span name)
{
    return cloud_errand_add_name(owner, name);
}

static int read_names(struct cloud_errand *errand, struct span body, struct buf *next)
{
    struct google_newest newest = {0};

    if (errand->step == GOOGLE_STEP_LIST)
        return google_answer_names(body, on_name, errand, next);
    return google_answer_versions(body, &newest, &errand->versions, next);
}

static void take(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    switch ((enum google_step)errand->step) {
    case GOOGLE_STEP_ACCESS:
        take_value(errand, reply);
        break;
    case GOOGLE_STEP_LATEST:
        take_latest(errand, reply);
        break;
    case GOOGLE_STEP_NEWEST:
        take_newest(errand, reply);
        break;
    case GOOGLE_STEP_CREATE:
        take_created(errand, reply);
        break;
    case GOOGLE_STEP_ADD:
        take_added(errand, reply);
        break;
    case GOOGLE_STEP_DESTROY:
        take_destroyed(errand, reply);
        break;
    case GOOGLE_STEP_DELETE:
        if (is_good(reply) || is_none(reply))
            cloud_errand_end(errand, 0);
        else
            cloud_errand_end_refused(errand, reply);
        break;
    case GOOGLE_STEP_LIST:
    case GOOGLE_STEP_VERSIONS:
        if (errand->step == GOOGLE_STEP_LIST && is_none(reply))
            cloud_errand_end_refused(errand, reply);
        else if (read_page(errand, reply, read_names))
            cloud_errand_end_names(errand);
        break;
    }
}

static unsigned first_step(struct cloud_errand *errand)
{
    switch (errand->act) {
    case SECRET_READ:
        return errand->look && !errand->look->is_whole ? GOOGLE_STEP_LATEST : GOOGLE_STEP_ACCESS;
    case SECRET_WRITE:
        return errand->expected == SECRET_ANY ? GOOGLE_STEP_ADD : GOOGLE_STEP_NEWEST;
    case SECRET_REMOVE:
        return errand->expected == SECRET_ANY ? GOOGLE_STEP_DELETE : GOOGLE_STEP_NEWEST;
    case SECRET_LIST:
        return GOOGLE_STEP_LIST;
    case SECRET_VERSIONS:
        break;
    }
    return GOOGLE_STEP_VERSIONS;
}

/* ---- the store ---- */

static const struct cloud_kind kind = {
    .ops = {.kind = "google",
            .has_versions = true,
            .begin = cloud_store_begin,
            .cancel = cloud_store_cancel,
            .watch = cloud_store_watch,
            .unwatch = cloud_store_unwatch,
            .free = cloud_store_free},
    .label = "google",
    .names = SECRET_NAME_GOOGLE,
    .entry_max = ENTRY_MAX_BYTES,
    .first_step = first_step,
    .ask = google_question_write,
    .take = take,
    .is_login_refused = cloud_reply_refuses_login,
    .refusal = cloud_reply_refusal,
};

/* "example.com:project" is one, too. */
static bool is_project(const char *project)
{
    struct span text = span_from_text(project);

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c != ':' && !secret_version_is_good(span_of(&c, 1)))
            return false;
    }
    return text.len > 0 && text.len < GOOGLE_PARENT_BYTES / 3;
}

static const char *fault_of(const struct google_options *options)
{
    if (!is_project(options->project))
        return "the project is none";
    if (options->location && (!is_project(options->location) || strchr(options->location, ':')))
        return "the location is none";
    switch (options->login.kind) {
    case CLOUD_LOGIN_SECRET:
    case CLOUD_LOGIN_FILE:
    case CLOUD_LOGIN_CREDENTIAL:
    case CLOUD_LOGIN_GOOGLE_METADATA:
        return NULL;
    case CLOUD_LOGIN_AZURE_IDENTITY:
    case CLOUD_LOGIN_AWS_WEB_IDENTITY:
    case CLOUD_LOGIN_AWS_CONTAINER:
    case CLOUD_LOGIN_AWS_INSTANCE:
        break;
    }
    return "such a login is not Google's";
}

int google_store_open(const struct google_options *options, struct secret_store **ret_store,
                      char *why)
{
    const char *fault = fault_of(options);
    const char *location = options->location ? options->location : "";
    char url[URL_BYTES];
    struct cloud_options cloud = {.loop = options->loop,
                                  .fetcher = options->fetcher,
                                  .secrets = options->secrets,
                                  .url = options->url ? options->url : url,
                                  .ca_file = options->ca_file,
                                  .prefix = options->prefix,
                                  .login = &options->login,
                                  .poll_us = options->poll_us,
                                  .connect_us = options->connect_us,
                                  .total_us = options->total_us};
    struct google_store *store;

    snprintf(url, sizeof(url), "https://secretmanager.%.80s%sgoogleapis.com", location,
             *location ? ".rep." : "");
    if (!fault)
        fault = cloud_options_fault(&cloud);
    if (fault)
        return cloud_options_refuse("google", fault, why);
    store = mem_zalloc(1, sizeof(*store));
    if (store) {
        store->is_regional = *location != '\0';
        snprintf(store->parent, sizeof(store->parent), "projects/%.80s%s%.80s", options->project,
                 *location ? "/locations/" : "", location);
    }
    return cloud_store_open(store ? &store->cloud : NULL, &kind, &cloud, ret_store, why);
}

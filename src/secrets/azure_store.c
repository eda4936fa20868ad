#include "secrets/azure_store.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "json/write.h"
#include "secrets/azure_answer.h"
#include "secrets/cloud_answer.h"
#include "secrets/cloud_store.h"

/* 25 KB, which the service counts in thousands. */
enum { ENTRY_MAX_BYTES = 25000, TRIES_MAX = 20 };

#define API      "api-version=7.4"
#define PAUSE_US (1 * US_PER_SEC) /* while a secret is being deleted, or recovered */

enum step {
    STEP_GET,
    STEP_SET,
    STEP_RECOVER, /* a deleted secret, whose name is wanted */
    STEP_DELETE,
    STEP_LIST,
    STEP_VERSIONS,
};

/* ---- questions ---- */

static void write_value(struct buf *body, const struct cloud_errand *errand)
{
    struct json_writer writer;

    json_writer_init(&writer, body);
    json_begin_object(&writer);
    json_member_string(&writer, "value", buf_span(&errand->text));
    json_member_text(&writer, "contentType", "application/json");
    json_end_object(&writer);
}

static void ask(struct cloud_errand *errand, struct cloud_question *question)
{
    struct buf *url = &question->url;
    const char *name = errand->name;

    question->is_repeatable = true;
    buf_append_span(&question->lines, SPAN("Authorization: Bearer "));
    buf_append_span(&question->lines, secret_reveal(errand->secret));
    buf_append_byte(&question->lines, '\0');
    cloud_question_line(question, "Accept", SPAN("application/json"));
    if (errand->page.len) {
        buf_append_span(url, buf_span(&errand->page));
        return;
    }
    buf_append_span(url, span_from_text(errand->store->url));
    switch ((enum step)errand->step) {
    case STEP_GET:
        buf_printf(url, "/secrets/%s%s%s?" API, name, *errand->version ? "/" : "", errand->version);
        break;
    case STEP_SET:
        question->method = "PUT";
        buf_printf(url, "/secrets/%s?" API, name);
        cloud_question_line(question, "Content-Type", SPAN("application/json"));
        write_value(&question->body, errand);
        break;
    case STEP_RECOVER:
        question->method = "POST";
        buf_printf(url, "/deletedsecrets/%s/recover?" API, name);
        break;
    case STEP_DELETE:
        question->method = "DELETE";
        buf_printf(url, "/secrets/%s?" API, name);
        break;
    case STEP_LIST:
        buf_printf(url, "/secrets?" API "&maxresults=25");
        break;
    case STEP_VERSIONS:
        buf_printf(url, "/secrets/%s/versions?" API "&maxresults=25", name);
        break;
    }
}

/* ---- answers ---- */

static bool is_good(const struct cloud_reply *reply)
{
    return reply->status >= 200 && reply->status <= 299;
}

/* A 404 of another's, where the address is wrong or something stands in between, says nothing of
 * what is there. */
static bool is_none(const struct cloud_reply *reply)
{
    return reply->status == 404 && cloud_answer_is(reply->body, "SecretNotFound");
}

static uint64_t version_of(const char *id)
{
    return secret_version_of(span_from_text(id));
}

static void found(struct cloud_errand *errand, uint64_t version)
{
    if (errand->expected != version)
        cloud_errand_end_other(errand);
    else if (errand->act == SECRET_WRITE)
        cloud_errand_go(errand, STEP_SET);
    else if (version)
        cloud_errand_go(errand, STEP_DELETE);
    else
        cloud_errand_end(errand, 0);
}

static void take_value(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    bool is_absent = is_none(reply) || (reply->status == 400 && *errand->version);
    struct buf text;
    int err;

    if (is_absent) {
        if (cloud_errand_is_change(errand))
            found(errand, 0);
        else
            cloud_errand_end(errand, 0);
        return;
    }
    if (!is_good(reply)) {
        cloud_errand_end_refused(errand, reply);
        return;
    }
    buf_init(&text, 4 * (size_t)SECRET_ENTRY_MAX_BYTES);
    text.is_secret = true;
    err = azure_answer_value(reply->body, &text, errand->id);
    if (err)
        cloud_errand_end_unread(errand, err);
    else if (cloud_errand_is_change(errand))
        found(errand, version_of(errand->id));
    else
        cloud_errand_end_text(errand, buf_span(&text), version_of(errand->id));
    buf_fini(&text);
}

/* The name may be a deleted secret's: to be recovered, being so, or still being deleted. */
static void take_set(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    int err;

    if (reply->status == 409 && ++errand->tries < TRIES_MAX) {
        if (cloud_answer_is(reply->body, "ObjectIsDeletedButRecoverable"))
            cloud_errand_go(errand, STEP_RECOVER);
        else
            cloud_errand_pause(errand, STEP_SET, PAUSE_US);
        return;
    }
    if (!is_good(reply)) {
        cloud_errand_end_refused(errand, reply);
        return;
    }
    err = azure_answer_value(reply->body, NULL, errand->id);
    if (err)
        cloud_errand_end_unread(errand, err);
    else
        cloud_errand_end(errand, version_of(errand->id));
}

static void take_recovered(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    /* Somebody else may have recovered it, or it has gone for good. */
    if (is_good(reply) || is_none(reply) || reply->status == 409)
        cloud_errand_pause(errand, STEP_SET, PAUSE_US);
    else
        cloud_errand_end_refused(errand, reply);
}

static int on_name(void *owner, struct span name)
{
    return cloud_errand_add_name(owner, name);
}

static void take_page(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    struct span vault = span_from_text(errand->store->url);
    struct buf next;
    int err;

    if (!is_good(reply)) {
        if (errand->step == STEP_VERSIONS && is_none(reply))
            cloud_errand_end_names(errand);
        else
            cloud_errand_end_refused(errand, reply);
        return;
    }
    buf_init(&next, errand->page.max);
    if (errand->step == STEP_LIST)
        err = azure_answer_names(reply->body, vault, on_name, errand, &next);
    else
        err = azure_answer_versions(reply->body, vault, &errand->versions, &next);
    buf_fini(&errand->page);
    errand->page = next;
    if (err)
        cloud_errand_end_unread(errand, err);
    else if (next.len)
        cloud_errand_go(errand, errand->step);
    else
        cloud_errand_end_names(errand);
}

static void take(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    switch ((enum step)errand->step) {
    case STEP_GET:
        take_value(errand, reply);
        break;
    case STEP_SET:
        take_set(errand, reply);
        break;
    case STEP_RECOVER:
        take_recovered(errand, reply);
        break;
    case STEP_DELETE:
        if (is_good(reply) || is_none(reply) || reply->status == 409)
            cloud_errand_end(errand, 0);
        else
            cloud_errand_end_refused(errand, reply);
        break;
    case STEP_LIST:
    case STEP_VERSIONS:
        take_page(errand, reply);
        break;
    }
}

static unsigned first_step(struct cloud_errand *errand)
{
    bool is_any = errand->expected == SECRET_ANY;

    switch (errand->act) {
    case SECRET_READ:
        break;
    case SECRET_WRITE:
        return is_any ? STEP_SET : STEP_GET;
    case SECRET_REMOVE:
        return is_any ? STEP_DELETE : STEP_GET;
    case SECRET_LIST:
        return STEP_LIST;
    case SECRET_VERSIONS:
        return STEP_VERSIONS;
    }
    return STEP_GET;
}

/* ---- the store ---- */

static const struct cloud_kind kind = {
    .ops = {.kind = "azure",
            .has_versions = true,
            .begin = cloud_store_begin,
            .cancel = cloud_store_cancel,
            .watch = cloud_store_watch,
            .unwatch = cloud_store_unwatch,
            .free = cloud_store_free},
    .label = "azure",
    .names = SECRET_NAME_AZURE,
    .entry_max = ENTRY_MAX_BYTES,
    .first_step = first_step,
    .ask = ask,
    .take = take,
    .is_login_refused = cloud_reply_refuses_login,
    .refusal = cloud_reply_refusal,
};

static const char *fault_of(const struct azure_options *options)
{
    switch (options->login.kind) {
    case CLOUD_LOGIN_SECRET:
    case CLOUD_LOGIN_FILE:
    case CLOUD_LOGIN_CREDENTIAL:
    case CLOUD_LOGIN_AZURE_IDENTITY:
        return NULL;
    case CLOUD_LOGIN_GOOGLE_METADATA:
    case CLOUD_LOGIN_AWS_WEB_IDENTITY:
    case CLOUD_LOGIN_AWS_CONTAINER:
    case CLOUD_LOGIN_AWS_INSTANCE:
        break;
    }
    return "such a login is not Azure's";
}

int azure_store_open(const struct azure_options *options, struct secret_store **ret_store,
                     char *why)
{
    const char *fault = fault_of(options);
    struct cloud_options cloud = {.loop = options->loop,
                                  .fetcher = options->fetcher,
                                  .secrets = options->secrets,
                                  .url = options->url,
                                  .ca_file = options->ca_file,
                                  .prefix = options->prefix,
                                  .resource = options->resource ? options->resource
                                                                : "https://vault.azure.net",
                                  .login = &options->login,
                                  .poll_us = options->poll_us,
                                  .connect_us = options->connect_us,
                                  .total_us = options->total_us};
    struct cloud_store *store;

    if (!fault)
        fault = cloud_options_fault(&cloud);
    if (fault)
        return cloud_options_refuse("azure", fault, why);
    store = mem_zalloc(1, sizeof(*store));
    return cloud_store_open(store, &kind, &cloud, ret_store, why);
}

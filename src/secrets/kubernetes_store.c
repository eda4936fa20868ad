#include "secrets/kubernetes_store.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/percent.h"
#include "json/write.h"
#include "secrets/cloud_answer.h"
#include "secrets/cloud_store.h"
#include "secrets/kubernetes_answer.h"
#include "secrets/token_file.h"

enum { TRIES_MAX = 6, NAMESPACE_BYTES = 64, URL_BYTES = 300 };

#define POLL_US        (15 * US_PER_SEC)
#define METADATA(list) "application/json;as=PartialObjectMetadata" list ";g=meta.k8s.io;v=v1"

static const char no_memory[] = "no memory";

enum step { STEP_GET, STEP_LOOK, STEP_PUT, STEP_POST, STEP_DELETE, STEP_LIST };

struct kubernetes_store {
    struct cloud_store cloud;
    char name_space[NAMESPACE_BYTES];
};

/* ---- questions ---- */

/* A whole Secret; id: the version that it takes the place of, where one is expected. */
static void write_secret(struct buf *body, const struct cloud_errand *errand)
{
    struct json_writer writer;
    struct buf data;

    buf_init(&data, 2 * (size_t)SECRET_ENTRY_MAX_BYTES);
    data.is_secret = true;
    base64_write(&data, buf_span(&errand->text));
    json_writer_init(&writer, body);
    json_begin_object(&writer);
    json_member_text(&writer, "apiVersion", "v1");
    json_member_text(&writer, "kind", "Secret");
    json_member_text(&writer, "type", "Opaque");
    json_name(&writer, "metadata");
    json_begin_object(&writer);
    json_member_text(&writer, "name", errand->name);
    json_name(&writer, "labels");
    json_begin_object(&writer);
    json_member_text(&writer, "app.kubernetes.io/managed-by", "bellwether");
    json_end_object(&writer);
    if (*errand->id && errand->step == STEP_PUT)
        json_member_text(&writer, "resourceVersion", errand->id);
    json_end_object(&writer);
    json_name(&writer, "data");
    json_begin_object(&writer);
    json_member_string(&writer, "entry", buf_span(&data));
    json_end_object(&writer);
    json_end_object(&writer);
    if (data.err)
        buf_fail(body, data.err);
    buf_fini(&data);
}

static void write_removal(struct buf *body, const struct cloud_errand *errand)
{
    struct json_writer writer;

    json_writer_init(&writer, body);
    json_begin_object(&writer);
    json_member_text(&writer, "apiVersion", "v1");
    json_member_text(&writer, "kind", "DeleteOptions");
    json_name(&writer, "preconditions");
    json_begin_object(&writer);
    json_member_text(&writer, "resourceVersion", errand->id);
    json_end_object(&writer);
    json_end_object(&writer);
}

static void put_list(struct buf *url, const struct cloud_errand *errand)
{
    buf_append_span(url, SPAN("?limit=500"));
    if (errand->page.len) {
        buf_append_span(url, SPAN("&continue="));
        percent_write(url, buf_span(&errand->page), "");
    }
}

static void ask(struct cloud_errand *errand, struct cloud_question *question)
{
    const struct kubernetes_store *store =
        container_of(errand->store, struct kubernetes_store, cloud);
    struct span accept = SPAN("application/json");

    question->is_repeatable = true;
    buf_append_span(&question->lines, SPAN("Authorization: Bearer "));
    buf_append_span(&question->lines, secret_reveal(errand->secret));
    buf_append_byte(&question->lines, '\0');
    buf_printf(&question->url, "%s/api/v1/namespaces/%s/secrets", errand->store->url,
               store->name_space);
    if (errand->step != STEP_LIST && errand->step != STEP_POST)
        buf_printf(&question->url, "/%s", errand->name);
    switch ((enum step)errand->step) {
    case STEP_GET:
        break;
    case STEP_LOOK:
        accept = SPAN(METADATA(""));
        break;
    case STEP_PUT:
    case STEP_POST:
        question->method = errand->step == STEP_PUT ? "PUT" : "POST";
        write_secret(&question->body, errand);
        break;
    case STEP_DELETE:
        question->method = "DELETE";
        if (*errand->id)
            write_removal(&question->body, errand);
        break;
    case STEP_LIST:
        accept = SPAN(METADATA("List"));
        put_list(&question->url, errand);
        break;
    }
    cloud_question_line(question, "Accept", accept);
    if (question->body.len)
        cloud_question_line(question, "Content-Type", SPAN("application/json"));
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
    return reply->status == 404 && cloud_answer_is(reply->body, "NotFound");
}

static uint64_t version_of(const char *id)
{
    return *id ? secret_version_of(span_from_text(id)) : 0;
}

static void found(struct cloud_errand *errand)
{
    if (errand->expected != version_of(errand->id))
        cloud_errand_end_other(errand);
    else if (errand->act == SECRET_WRITE)
        cloud_errand_go(errand, *errand->id ? STEP_PUT : STEP_POST);
    else if (*errand->id)
        cloud_errand_go(errand, STEP_DELETE);
    else
        cloud_errand_end(errand, 0);
}

static void end_value(struct cloud_errand *errand, struct span body)
{
    struct buf text;
    int err;

    buf_init(&text, 4 * (size_t)SECRET_ENTRY_MAX_BYTES);
    text.is_secret = true;
    err = kubernetes_answer_value(body, &text);
    if (err == ERR_NOTFOUND)
        cloud_errand_end_failed(errand, ERR_SYNTAX,
                                "the Secret holds neither \"entry\" nor \"api_key\"");
    else if (err)
        cloud_errand_end_unread(errand, err);
    else
        cloud_errand_end_text(errand, buf_span(&text), version_of(errand->id));
    buf_fini(&text);
}

static void take_secret(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    int err = 0;

    errand->id[0] = '\0';
    if (!is_none(reply) && !is_good(reply)) {
        cloud_errand_end_refused(errand, reply);
        return;
    }
    if (is_good(reply))
        err = kubernetes_answer_version(reply->body, errand->id);
    if (err)
        cloud_errand_end_unread(errand, err);
    else if (cloud_errand_is_change(errand))
        found(errand);
    else if (!*errand->id || errand->look)
        cloud_errand_end(errand, version_of(errand->id));
    else
        end_value(errand, reply->body);
}

/* Where any version will do, it goes round until it is either made or replaced. */
static void take_written(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    bool is_other = reply->status == 409 || (errand->step == STEP_PUT && is_none(reply));
    int err;

    if (is_good(reply)) {
        err = kubernetes_answer_version(reply->body, errand->id);
        if (err)
            cloud_errand_end_unread(errand, err);
        else
            cloud_errand_end(errand, version_of(errand->id));
    } else if (is_other && errand->expected != SECRET_ANY) {
        cloud_errand_end_other(errand);
    } else if (is_other && ++errand->tries < TRIES_MAX) {
        cloud_errand_go(errand, is_none(reply) ? STEP_POST : STEP_PUT);
    } else {
        cloud_errand_end_refused(errand, reply);
    }
}

static void take_removed(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    bool is_any = errand->expected == SECRET_ANY;

    if (is_good(reply) || (is_none(reply) && is_any))
        cloud_errand_end(errand, 0);
    else if (!is_any && (is_none(reply) || reply->status == 409))
        cloud_errand_end_other(errand);
    else
        cloud_errand_end_refused(errand, reply);
}

static int on_name(void *owner, struct span name)
{
    return cloud_errand_add_name(owner, name);
}

static void take_page(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    struct buf next;
    int err;

    /* 410: it took too long; names that came twice count once. */
    if (reply->status == 410 && errand->page.len && ++errand->tries < TRIES_MAX) {
        buf_clear(&errand->page);
        cloud_errand_go(errand, STEP_LIST);
        return;
    }
    if (!is_good(reply)) {
        cloud_errand_end_refused(errand, reply);
        return;
    }
    buf_init(&next, errand->page.max);
    err = kubernetes_answer_names(reply->body, on_name, errand, &next);
    buf_fini(&errand->page);
    errand->page = next;
    if (err)
        cloud_errand_end_unread(errand, err);
    else if (next.len)
        cloud_errand_go(errand, STEP_LIST);
    else
        cloud_errand_end_names(errand);
}

static void take(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    switch ((enum step)errand->step) {
    case STEP_GET:
    case STEP_LOOK:
        take_secret(errand, reply);
        break;
    case STEP_PUT:
    case STEP_POST:
        take_written(errand, reply);
        break;
    case STEP_DELETE:
        take_removed(errand, reply);
        break;
    case STEP_LIST:
        take_page(errand, reply);
        break;
    }
}

static unsigned first_step(struct cloud_errand *errand)
{
    bool is_any = errand->expected == SECRET_ANY;

    switch (errand->act) {
    case SECRET_READ:
        return errand->look ? STEP_LOOK : STEP_GET;
    case SECRET_WRITE:
        return is_any ? STEP_PUT : STEP_LOOK;
    case SECRET_REMOVE:
        return is_any ? STEP_DELETE : STEP_LOOK;
    case SECRET_LIST:
    case SECRET_VERSIONS: /* never asked */
        break;
    }
    return STEP_LIST;
}

/* ---- the store ---- */

static const struct cloud_kind kind = {
    .ops = {.kind = "kubernetes",
            .begin = cloud_store_begin,
            .cancel = cloud_store_cancel,
            .watch = cloud_store_watch,
            .unwatch = cloud_store_unwatch,
            .free = cloud_store_free},
    .label = "kubernetes",
    .names = SECRET_NAME_KUBERNETES,
    .entry_max = SECRET_ENTRY_MAX_BYTES,
    .first_step = first_step,
    .ask = ask,
    .take = take,
    .is_login_refused = cloud_reply_refuses_login,
    .refusal = cloud_reply_refusal,
};

/* A DNS label (RFC 1123). */
static bool is_namespace(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return text.len > 0 && text.len < NAMESPACE_BYTES;
}

/* As every pod has it. */
static const char *find_cluster(char url[URL_BYTES])
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    bool is_v6 = host && strchr(host, ':');

    if (!host || !*host)
        return "no address is given, and KUBERNETES_SERVICE_HOST is not set";
    snprintf(url, URL_BYTES, "https://%s%.200s%s:%.8s", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
             port && *port ? port : "443");
    return NULL;
}

static const char *take_namespace(struct span text, char name_space[NAMESPACE_BYTES])
{
    if (!is_namespace(text))
        return "the namespace is none";
    snprintf(name_space, NAMESPACE_BYTES, "%.*s", SPAN_ARG(text));
    return NULL;
}

static const char *find_namespace(const char *given, char name_space[NAMESPACE_BYTES])
{
    const char *fault;
    struct buf text;
    int err;

    if (given)
        return take_namespace(span_from_text(given), name_space);
    buf_init(&text, NAMESPACE_BYTES);
    err = token_file_read(KUBERNETES_STORE_FOLDER "/namespace", &text);
    if (err)
        fault = err == ERR_NOMEM ? no_memory
                                 : "no namespace is given, and the pod's own cannot be read";
    else
        fault = take_namespace(buf_span(&text), name_space);
    buf_fini(&text);
    return fault;
}

static const char *fault_of_login(const struct cloud_login *login)
{
    return login->kind == CLOUD_LOGIN_SECRET || login->kind == CLOUD_LOGIN_FILE
               ? NULL
               : "such a login is not a cluster's";
}

int kubernetes_store_open(const struct kubernetes_options *options, struct secret_store **ret_store,
                          char *why)
{
    struct cloud_login login = options->login;
    char url[URL_BYTES], name_space[NAMESPACE_BYTES];
    struct cloud_options cloud = {
        .loop = options->loop,
        .fetcher = options->fetcher,
        .secrets = options->secrets,
        .url = options->url ? options->url : url,
        .ca_file = options->ca_file,
        .prefix = options->prefix ? options->prefix : "bellwether",
        .login = &login,
        .poll_us = options->poll_us ? options->poll_us : POLL_US,
        .connect_us = options->connect_us,
        .total_us = options->total_us,
    };
    const char *fault = options->url ? NULL : find_cluster(url);
    struct kubernetes_store *store;

    if (!options->url && !cloud.ca_file)
        cloud.ca_file = KUBERNETES_STORE_FOLDER "/ca.crt";
    if (login.kind == CLOUD_LOGIN_FILE && !login.file)
        login.file = KUBERNETES_STORE_FOLDER "/token";
    if (!fault)
        fault = find_namespace(options->name_space, name_space);
    if (!fault)
        fault = fault_of_login(&login);
    if (!fault)
        fault = cloud_options_fault(&cloud);
    if (fault && fault != no_memory)
        return cloud_options_refuse("kubernetes", fault, why);
    store = fault ? NULL : mem_zalloc(1, sizeof(*store));
    if (store)
        snprintf(store->name_space, sizeof(store->name_space), "%s", name_space);
    return cloud_store_open(store ? &store->cloud : NULL, &kind, &cloud, ret_store, why);
}

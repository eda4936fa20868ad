/*
 * Google Cloud's API Keys, version 2 (cloud.google.com, API Keys API, REST resource
 * v2.projects.locations.keys). Making and deleting are operations that take a while and are asked
 * after; a key's text is asked for by itself. A call is a chain of requests, each a step.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/percent.h"
#include "json/tree.h"
#include "json/write.h"
#include "rotation/issuer_answer.h"
#include "rotation/issuer_inner.h"
#include "rotation/issuer_text.h"
#include "secrets/credential.h"
#include "secrets/token_answer.h"
#include "secrets/token_request.h"

enum {
    NAME_MAX_BYTES = 63, /* of a display name */
    URL_MAX_BYTES = 4096,
    BODY_MAX_BYTES = 32 << 10,
    LINE_MAX_BYTES = TOKEN_MAX_BYTES + 64,
    PAGES_MAX = 1000,
    OPERATION_MAX_BYTES = 512,
};

#define CONNECT_US    (10 * US_PER_SEC)
#define FIRST_POLL_US (500 * US_PER_MS)
#define LAST_POLL_US  (5 * US_PER_SEC)
/* A token is not used any more so long before its end. */
#define TOKEN_REST_US (60 * US_PER_SEC)

struct gcp_issuer {
    struct issuer base;
    char *root; /* "https://apikeys.googleapis.com/v2/" */
    char *keys; /* "projects/P/locations/global/keys" */
    struct credential *credential;
    struct secret *restrictions; /* NULL: none */
    struct secret *token;        /* NULL: none yet */
    uint64_t token_until_us;
};

enum step { STEP_TOKEN, STEP_CREATE, STEP_LIST, STEP_DELETE, STEP_POLL, STEP_STRING };

struct gcp_work {
    struct issuer_work base;
    struct fetch fetch;
    struct token_request token_request;
    struct loop_timer timer; /* until the operation is asked after again */
    uint64_t poll_us, asked_us, deadline_us;
    enum step step;
    char *name, *id; /* id: of a key that is revoked */
    struct buf url, line, body;
    struct buf operation; /* its name */
    struct buf page;      /* that is asked for; empty: the first */
    unsigned pages;
    struct issuer_result made; /* the key whose text is asked for: its id */
};

static void on_fetched(struct fetch *fetch, const struct fetch_answer *fetched);

static struct gcp_issuer *issuer_of(const struct gcp_work *work)
{
    return container_of(work->base.issuer, struct gcp_issuer, base);
}

/* ---- requests ---- */

/* A name that Google gave: may stand in a URL as it is, and leads nowhere else. */
static bool is_resource(struct span name, struct span prefix)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!is_plain && span_find_byte(SPAN("-_./:"), c) == SIZE_MAX)
            return false;
    }
    return span_has_prefix(name, prefix) && name.len > prefix.len &&
           span_find(name, SPAN("..")) == SIZE_MAX;
}

static int send(struct gcp_work *work, enum step step, const char *method)
{
    struct gcp_issuer *issuer = issuer_of(work);
    const char *fields[] = {NULL, "Accept: application/json",
                            work->body.len ? "Content-Type: application/json" : NULL, NULL};
    struct fetch_ask ask = {.fields = fields,
                            .method = method,
                            .body = buf_span(&work->body),
                            .max_bytes = step == STEP_LIST ? ISSUER_DOC_MAX_BYTES : 0,
                            .connect_us = CONNECT_US,
                            .total_us = issuer->base.timeout_us};

    work->step = step;
    buf_clear(&work->line);
    buf_append_span(&work->line, SPAN("Authorization: Bearer "));
    buf_append_span(&work->line, secret_reveal(issuer->token));
    fields[0] = buf_text(&work->line);
    ask.url = buf_text(&work->url);
    if (work->url.err || work->line.err || work->body.err)
        return work->body.err == ERR_FULL ? ERR_FULL : ERR_NOMEM;
    work->fetch.on_done = on_fetched;
    return fetch_begin(&work->fetch, issuer->base.options.fetcher, &ask);
}

/* "https://apikeys.googleapis.com/v2/" and what follows. */
static void begin_url(struct gcp_work *work, struct span path)
{
    buf_clear(&work->url);
    buf_clear(&work->body);
    buf_append_span(&work->url, span_from_text(issuer_of(work)->root));
    buf_append_span(&work->url, path);
}

static int send_creation(struct gcp_work *work)
{
    const struct gcp_issuer *issuer = issuer_of(work);
    struct json_writer writer;

    begin_url(work, span_from_text(issuer->keys));
    json_writer_init(&writer, &work->body);
    json_begin_object(&writer);
    json_member_text(&writer, "displayName", work->name);
    if (issuer->restrictions) {
        json_name(&writer, "restrictions");
        json_raw(&writer, secret_reveal(issuer->restrictions));
    }
    json_end_object(&writer);
    return send(work, STEP_CREATE, "POST");
}

static int send_list(struct gcp_work *work)
{
    begin_url(work, span_from_text(issuer_of(work)->keys));
    buf_append_span(&work->url, SPAN("?pageSize=300"));
    if (work->page.len) {
        buf_append_span(&work->url, SPAN("&pageToken="));
        percent_write(&work->url, buf_span(&work->page), "");
    }
    return send(work, STEP_LIST, "GET");
}

static int send_deletion(struct gcp_work *work)
{
    begin_url(work, span_from_text(work->id));
    return send(work, STEP_DELETE, "DELETE");
}

static int send_poll(struct gcp_work *work)
{
    begin_url(work, buf_span(&work->operation));
    return send(work, STEP_POLL, "GET");
}

static int send_string(struct gcp_work *work)
{
    begin_url(work, span_of(work->made.id, work->made.id_len));
    buf_append_span(&work->url, SPAN("/keyString"));
    return send(work, STEP_STRING, "GET");
}

/* What the call is about, once there is a token. */
static int send_first(struct gcp_work *work)
{
    switch (work->base.call) {
    case ISSUER_CREATE:
        return send_creation(work);
    case ISSUER_FIND:
        return send_list(work);
    case ISSUER_REVOKE:
        return send_deletion(work);
    }
    return ERR_UNSUPPORTED;
}

static int send_token_request(struct gcp_work *work)
{
    const struct issuer *issuer = work->base.issuer;
    int err = token_request_write(&work->token_request, issuer_of(work)->credential, SPAN(""),
                                  loop_wall_us(issuer->options.loop));

    if (!err) {
        const struct fetch_ask ask = {.url = buf_text(&work->token_request.url),
                                      .method = "POST",
                                      .fields = work->token_request.fields,
                                      .body = buf_span(&work->token_request.body),
                                      .connect_us = CONNECT_US,
                                      .total_us = issuer->timeout_us};

        work->step = STEP_TOKEN;
        work->asked_us = loop_now_us(issuer->options.loop);
        err = fetch_begin(&work->fetch, issuer->options.fetcher, &ask);
    }
    return err;
}

/* ---- ends ---- */

static bool is_creation(const struct gcp_work *work)
{
    return work->base.call == ISSUER_CREATE;
}

static void finish(struct gcp_work *work, struct issuer_result *result)
{
    const struct gcp_issuer *issuer = issuer_of(work);

    if (result->answer.err && issuer->token)
        token_words_guard(result->why, secret_reveal(issuer->token));
    if (result->answer.err && issuer->credential->secret)
        token_words_guard(result->why, secret_reveal(issuer->credential->secret));
    issuer_finish(&work->base, result);
}

/* The next step could not be sent, or what came is of no use. */
static void give_up(struct gcp_work *work, int err, const char *why, bool may_exist)
{
    struct issuer_result result = work->made;

    issuer_result_fail(&result, err, why);
    result.answer.may_exist = may_exist && is_creation(work);
    result.answer.may_retry = err == ERR_TIMEOUT;
    finish(work, &result);
}

static void succeed(struct gcp_work *work)
{
    struct issuer_result result = {.key = NULL};

    finish(work, &result);
}

/* ---- steps ---- */

static void read_token(struct gcp_work *work, const struct fetch_answer *fetched)
{
    struct gcp_issuer *issuer = issuer_of(work);
    struct issuer_result result = {.answer.retry_after_us = fetched->retry_after_us};
    struct token_answer token;
    int err =
        token_answer_read(fetched->status, fetched->body, issuer->base.options.secrets, &token);

    if (err) {
        issuer_result_fail(&result, err == ERR_SYNTAX ? ERR_DENIED : err, token.words);
        result.answer.may_retry = fetched->status == 429 || fetched->status >= 500;
        if (result.answer.may_retry)
            result.answer.err = ERR_AGAIN;
        finish(work, &result);
        return;
    }
    secret_unref(&issuer->token);
    issuer->token = token.token;
    issuer->token_until_us = work->asked_us + token.life_us;
    err = send_first(work);
    if (err)
        give_up(work, err, NULL, false);
}

/* The text of the new key, from wherever it was told. */
static void read_string(struct gcp_work *work, const yyjson_val *root)
{
    static const struct issuer_shape shape = {.key = SPAN_INIT("/keyString")};
    struct issuer_result result = work->made;

    issuer_read_key(root, &shape, work->base.issuer->options.secrets, &result);
    result.answer.may_exist = result.answer.err != 0;
    finish(work, &result);
}

/* The operation is over, and well. */
static void read_done(struct gcp_work *work, const yyjson_val *response)
{
    static const struct issuer_shape shape = {.id = SPAN_INIT("/name")};
    int err;

    if (!is_creation(work)) {
        succeed(work);
        return;
    }
    err = issuer_read_listed(response, &shape, &work->made);
    if (err || !is_resource(span_of(work->made.id, work->made.id_len), SPAN("projects/"))) {
        work->made.id_len = 0;
        give_up(work, ERR_PROTO, "the operation tells no key", true);
        return;
    }
    if (json_tree_string(response, "keyString").len) {
        read_string(work, response);
        return;
    }
    err = send_string(work);
    if (err)
        give_up(work, err, NULL, true);
}

static void on_poll_due(struct loop_timer *timer)
{
    struct gcp_work *work = container_of(timer, struct gcp_work, timer);
    int err = send_poll(work);

    if (err)
        give_up(work, err, NULL, true);
}

/* Asks after the operation in a while, unless its time is up. */
static void poll_later(struct gcp_work *work)
{
    uint64_t at_us = loop_now_us(work->base.issuer->options.loop) + work->poll_us;

    if (at_us > work->deadline_us) {
        give_up(work, ERR_TIMEOUT, "the operation takes too long", true);
        return;
    }
    work->poll_us = work->poll_us * 2 < LAST_POLL_US ? work->poll_us * 2 : LAST_POLL_US;
    if (loop_timer_set(&work->timer, at_us))
        give_up(work, ERR_NOMEM, NULL, true);
}

/* google.longrunning.Operation. */
static void read_operation(struct gcp_work *work, const yyjson_val *root)
{
    struct span name = json_tree_string(root, "name");
    const yyjson_val *error = json_tree_member(root, "error");
    char words[ISSUER_WHY_BYTES] = "the operation failed";

    if (error) {
        issuer_add_words(words, json_tree_string(error, "message"));
        give_up(work, ERR_DENIED, words, false);
        return;
    }
    if (yyjson_is_true((yyjson_val *)(uintptr_t)json_tree_member(root, "done"))) {
        read_done(work, json_tree_member(root, "response"));
        return;
    }
    /* Deleting may be answered by an empty object where there is nothing to wait for. */
    if (!name.len && !is_creation(work) && work->step == STEP_DELETE) {
        succeed(work);
        return;
    }
    buf_clear(&work->operation);
    if (!is_resource(name, SPAN("operations/")) || buf_append_span(&work->operation, name)) {
        give_up(work, ERR_PROTO, "the answer is no operation", true);
        return;
    }
    poll_later(work);
}

static void read_list(struct gcp_work *work, const yyjson_val *root)
{
    static const struct issuer_shape shape = {.id = SPAN_INIT("/name")};
    struct issuer_result result = {.key = NULL};
    yyjson_arr_iter keys =
        yyjson_arr_iter_with((yyjson_val *)(uintptr_t)json_tree_member(root, "keys"));
    struct span page = json_tree_string(root, "nextPageToken");
    yyjson_val *key;
    int err;

    while ((key = yyjson_arr_iter_next(&keys))) {
        if (span_is_equal(json_tree_string(key, "displayName"), span_from_text(work->name))) {
            issuer_read_listed(key, &shape, &result);
            finish(work, &result);
            return;
        }
    }
    if (!page.len) {
        give_up(work, root ? ERR_NOTFOUND : ERR_PROTO,
                root ? "there is no key of that name" : "the answer holds no list of keys", false);
        return;
    }
    if (++work->pages >= PAGES_MAX || span_is_equal(page, buf_span(&work->page))) {
        give_up(work, ERR_PROTO, "the list of keys does not end", false);
        return;
    }
    buf_clear(&work->page);
    err = buf_append_span(&work->page, page);
    if (!err)
        err = send_list(work);
    if (err)
        give_up(work, err, NULL, false);
}

/* ---- answers ---- */

static void refused(struct gcp_work *work, struct issuer_result *result)
{
    /* The work is under way, whatever becomes of a question after it. */
    if (work->step == STEP_POLL && result->answer.may_retry) {
        poll_later(work);
        return;
    }
    if (work->step == STEP_POLL || work->step == STEP_STRING) {
        result->answer.may_exist = is_creation(work);
        memcpy(result->id, work->made.id, work->made.id_len);
        result->id_len = work->made.id_len;
    }
    finish(work, result);
}

static void read_answer(struct gcp_work *work, const yyjson_val *root)
{
    switch (work->step) {
    case STEP_TOKEN:
        break;
    case STEP_CREATE:
    case STEP_DELETE:
    case STEP_POLL:
        read_operation(work, root);
        break;
    case STEP_LIST:
        read_list(work, root);
        break;
    case STEP_STRING:
        read_string(work, root);
        break;
    }
}

static void on_fetched(struct fetch *fetch, const struct fetch_answer *fetched)
{
    struct gcp_work *work = container_of(fetch, struct gcp_work, fetch);
    struct issuer_result result = {.answer.retry_after_us = fetched->retry_after_us};
    struct issuer_doc doc = {.root = NULL};
    int err = 0;

    token_request_fini(&work->token_request);
    if (fetched->err) {
        issuer_result_unanswered(&result, fetched->err, fetched->why);
        result.answer.may_exist &= work->step == STEP_CREATE;
        refused(work, &result);
        return;
    }
    if (work->step == STEP_TOKEN) {
        read_token(work, fetched);
        return;
    }
    err = issuer_doc_read(&doc, fetched->body);
    if (err == ERR_NOMEM) {
        give_up(work, err, NULL, true);
    } else if ((fetched->status == 404 || fetched->status == 410) && work->step == STEP_DELETE) {
        succeed(work);
    } else if (!issuer_status_is_done(fetched->status, doc.root,
                                      work->step == STEP_CREATE ? ISSUER_CREATE : ISSUER_FIND,
                                      &result)) {
        if (fetched->status == 401) /* another token may do */
            issuer_of(work)->token_until_us = 0;
        refused(work, &result);
    } else {
        read_answer(work, doc.root);
    }
    issuer_doc_fini(&doc);
}

/* ---- calls ---- */

static struct issuer_work *work_new(struct issuer *issuer)
{
    struct gcp_work *work = mem_zalloc(1, sizeof(*work));

    if (!work)
        return NULL;
    work->fetch.on_done = on_fetched;
    buf_init(&work->url, URL_MAX_BYTES);
    buf_init(&work->line, LINE_MAX_BYTES);
    buf_init(&work->body, BODY_MAX_BYTES);
    buf_init(&work->operation, OPERATION_MAX_BYTES);
    buf_init(&work->page, URL_MAX_BYTES / 4);
    work->line.is_secret = work->body.is_secret = true;
    loop_timer_init(&work->timer, issuer->options.loop, on_poll_due);
    return &work->base;
}

static void work_free(struct issuer_work *base)
{
    struct gcp_work *work = container_of(base, struct gcp_work, base);

    fetch_cancel(&work->fetch);
    loop_timer_fini(&work->timer);
    token_request_fini(&work->token_request);
    buf_fini(&work->url);
    buf_fini(&work->line);
    buf_fini(&work->body);
    buf_fini(&work->operation);
    buf_fini(&work->page);
    mem_free(work->name);
    mem_free(work->id);
    mem_free(work);
}

static int begin(struct issuer_work *base, const struct issuer_subject *subject,
                 const char **ret_why)
{
    struct gcp_work *work = container_of(base, struct gcp_work, base);
    struct gcp_issuer *issuer = issuer_of(work);
    uint64_t now_us = loop_now_us(issuer->base.options.loop);

    if (subject->name.len > NAME_MAX_BYTES) {
        *ret_why = "Google takes names of up to 63 characters";
        return ERR_RANGE;
    }
    if (base->call == ISSUER_REVOKE && !is_resource(subject->id, SPAN("projects/"))) {
        *ret_why = "this is no id of a key of Google's";
        return ERR_RANGE;
    }
    work->name = mem_strdup(subject->name.ptr, subject->name.len);
    if (!work->name)
        return ERR_NOMEM;
    if (subject->id.len) {
        work->id = mem_strdup(subject->id.ptr, subject->id.len);
        if (!work->id)
            return ERR_NOMEM;
    }
    work->poll_us = FIRST_POLL_US;
    work->deadline_us = now_us + 2 * issuer->base.timeout_us;
    if (issuer->token && now_us + TOKEN_REST_US < issuer->token_until_us)
        return send_first(work);
    return send_token_request(work);
}

/* ---- life ---- */

static void gcp_free(struct issuer *base)
{
    struct gcp_issuer *issuer = container_of(base, struct gcp_issuer, base);

    mem_free(issuer->root);
    mem_free(issuer->keys);
    credential_free(&issuer->credential);
    secret_unref(&issuer->restrictions);
    secret_unref(&issuer->token);
    mem_free(issuer);
}

static const struct issuer_ops ops = {
    .work_new = work_new, .begin = begin, .work_free = work_free, .free = gcp_free};

static char *take_text(struct buf *text)
{
    char *taken = text->err ? NULL : mem_strdup(text->data, text->len);

    buf_fini(text);
    return taken;
}

static int keep(struct gcp_issuer *issuer, const struct issuer_gcp_settings *settings)
{
    struct buf root, keys;

    buf_init(&root, URL_MAX_BYTES / 4);
    buf_append_span(&root,
                    settings->url.len ? settings->url : SPAN("https://apikeys.googleapis.com"));
    buf_append_span(&root, SPAN("/v2/"));
    issuer->root = take_text(&root);
    buf_init(&keys, URL_MAX_BYTES / 4);
    buf_append_span(&keys, SPAN("projects/"));
    percent_write(&keys, settings->project, "");
    buf_append_span(&keys, SPAN("/locations/global/keys"));
    issuer->keys = take_text(&keys);
    issuer->credential = credential_copy(settings->credential);
    if (settings->restrictions)
        issuer->restrictions = secret_ref(settings->restrictions);
    return issuer->root && issuer->keys && issuer->credential ? 0 : ERR_NOMEM;
}

static int check(const struct issuer_gcp_settings *settings, char *why)
{
    struct issuer_doc doc;
    bool is_object;

    if (!settings->project.len || settings->project.len > 256)
        return issuer_complain(why, ERR_SYNTAX, "the project is missing");
    if (!settings->credential || settings->credential->kind != CREDENTIAL_GOOGLE_SERVICE_ACCOUNT)
        return issuer_complain(why, ERR_SYNTAX, "a service account's credential is wanted");
    if (!settings->restrictions)
        return 0;
    issuer_doc_read(&doc, secret_reveal(settings->restrictions));
    is_object = yyjson_is_obj(doc.root);
    issuer_doc_fini(&doc);
    return is_object ? 0 : issuer_complain(why, ERR_SYNTAX, "the restrictions are no JSON object");
}

int issuer_gcp_new(const struct issuer_options *options, const struct issuer_settings *settings,
                   char *why, struct issuer **ret_issuer)
{
    struct gcp_issuer *issuer;
    int err = check(&settings->gcp, why);

    if (err)
        return err;
    issuer = mem_zalloc(1, sizeof(*issuer));
    if (!issuer)
        return ERR_NOMEM;
    issuer_init(&issuer->base, &ops, options, settings);
    issuer->base.traits = (struct issuer_traits){.can_find = true, .can_revoke = true};
    err = keep(issuer, &settings->gcp);
    if (err) {
        gcp_free(&issuer->base);
        return err;
    }
    *ret_issuer = &issuer->base;
    return 0;
}

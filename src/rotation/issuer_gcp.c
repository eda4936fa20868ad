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
#include "rotation/issuer_answer.h"
#include "rotation/issuer_gcp.h"
#include "secrets/token_answer.h"

enum {
    NAME_MAX_BYTES = 63, /* of a display name */
    BODY_MAX_BYTES = 32 << 10,
    LINE_MAX_BYTES = TOKEN_MAX_BYTES + 64,
    PAGES_MAX = 1000,
    OPERATION_MAX_BYTES = 512,
};

#define FIRST_POLL_US (500 * US_PER_MS)
#define LAST_POLL_US  (5 * US_PER_SEC)
/* A token is not used any more so long before its end. */
#define TOKEN_REST_US (60 * US_PER_SEC)

/* ---- ends ---- */

static bool is_creation(const struct gcp_work *work)
{
    return work->base.call == ISSUER_CREATE;
}

static void finish(struct gcp_work *work, struct issuer_result *result)
{
    const struct gcp_issuer *issuer = gcp_issuer_of(work);

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
    struct gcp_issuer *issuer = gcp_issuer_of(work);
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
    err = gcp_send_first(work);
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
    if (err || !gcp_is_resource(span_of(work->made.id, work->made.id_len), SPAN("projects/"))) {
        work->made.id_len = 0;
        give_up(work, ERR_PROTO, "the operation tells no key", true);
        return;
    }
    if (json_tree_string(response, "keyString").len) {
        read_string(work, response);
        return;
    }
    err = gcp_send_string(work);
    if (err)
        give_up(work, err, NULL, true);
}

static void on_poll_due(struct loop_timer *timer)
{
    struct gcp_work *work = container_of(timer, struct gcp_work, timer);
    int err = gcp_send_poll(work);

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
    if (!name.len && !is_creation(work) && work->step == GCP_DELETE) {
        succeed(work);
        return;
    }
    buf_clear(&work->operation);
    if (!gcp_is_resource(name, SPAN("operations/")) || buf_append_span(&work->operation, name)) {
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
        err = gcp_send_list(work);
    if (err)
        give_up(work, err, NULL, false);
}

/* ---- answers ---- */

static void refused(struct gcp_work *work, struct issuer_result *result)
{
    /* The work is under way, whatever becomes of a question after it. */
    if (work->step == GCP_POLL && result->answer.may_retry) {
        poll_later(work);
        return;
    }
    if (work->step == GCP_POLL || work->step == GCP_STRING) {
        result->answer.may_exist = is_creation(work);
        memcpy(result->id, work->made.id, work->made.id_len);
        result->id_len = work->made.id_len;
    }
    finish(work, result);
}

static void read_answer(struct gcp_work *work, const yyjson_val *root)
{
    switch (work->step) {
    case GCP_TOKEN:
        break;
    case GCP_CREATE:
    case GCP_DELETE:
    case GCP_POLL:
        read_operation(work, root);
        break;
    case GCP_LIST:
        read_list(work, root);
        break;
    case GCP_STRING:
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
        result.answer.may_exist &= work->step == GCP_CREATE;
        refused(work, &result);
        return;
    }
    if (work->step == GCP_TOKEN) {
        read_token(work, fetched);
        return;
    }
    err = issuer_doc_read(&doc, fetched->body);
    if (err == ERR_NOMEM) {
        give_up(work, err, NULL, true);
    } else if ((fetched->status == 404 || fetched->status == 410) && work->step == GCP_DELETE) {
        succeed(work);
    } else if (!issuer_status_is_done(fetched->status, doc.root,
                                      work->step == GCP_CREATE ? ISSUER_CREATE : ISSUER_FIND,
                                      &result)) {
        if (fetched->status == 401) /* another token may do */
            gcp_issuer_of(work)->token_until_us = 0;
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
    buf_init(&work->url, GCP_URL_MAX_BYTES);
    buf_init(&work->line, LINE_MAX_BYTES);
    buf_init(&work->body, BODY_MAX_BYTES);
    buf_init(&work->operation, OPERATION_MAX_BYTES);
    buf_init(&work->page, GCP_URL_MAX_BYTES / 4);
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
    struct gcp_issuer *issuer = gcp_issuer_of(work);
    uint64_t now_us = loop_now_us(issuer->base.options.loop);
    int err;

    if (subject->name.len > NAME_MAX_BYTES) {
        *ret_why = "Google takes names of up to 63 characters";
        return ERR_RANGE;
    }
    if (base->call == ISSUER_REVOKE && !gcp_is_resource(subject->id, SPAN("projects/"))) {
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
        return gcp_send_first(work);
    err = gcp_send_token_request(work);
    if (err != ERR_SYNTAX)
        return err;
    *ret_why = "the credential's private key cannot be used";
    return ERR_DENIED;
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

    buf_init(&root, GCP_URL_MAX_BYTES / 4);
    buf_append_span(&root,
                    settings->url.len ? settings->url : SPAN("https://apikeys.googleapis.com"));
    buf_append_span(&root, SPAN("/v2/"));
    issuer->root = take_text(&root);
    buf_init(&keys, GCP_URL_MAX_BYTES / 4);
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
    int err;

    if (!settings->project.len || settings->project.len > 256)
        return issuer_complain(why, ERR_SYNTAX, "the project is missing");
    if (!settings->credential || settings->credential->kind != CREDENTIAL_GOOGLE_SERVICE_ACCOUNT)
        return issuer_complain(why, ERR_SYNTAX, "a service account's credential is wanted");
    if (!settings->restrictions)
        return 0;
    err = issuer_doc_read(&doc, secret_reveal(settings->restrictions));
    is_object = yyjson_is_obj(doc.root);
    issuer_doc_fini(&doc);
    if (err == ERR_NOMEM)
        return err;
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

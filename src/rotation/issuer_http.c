/*
 * Issuers that are asked by declared requests: `http`, and those whose requests are known.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/datetime.h"
#include "base/err.h"
#include "base/percent.h"
#include "json/tree.h"
#include "rotation/issuer_answer.h"
#include "rotation/issuer_inner.h"
#include "rotation/issuer_request.h"
#include "rotation/issuer_text.h"
#include "secrets/fetch.h"

enum {
    PAGES_MAX = 1000,
    CURSOR_MAX_BYTES = 1024,
    EXPIRES_BYTES = 20,                    /* 2026-12-20T10:15:00Z */
    LIST_MAX_BYTES = ISSUER_DOC_MAX_BYTES, /* a hundred keys with all that is said of them */
};

#define CONNECT_US (10 * US_PER_SEC)

/* A pointer of the settings, copied. */
struct kept_shape {
    char *key, *id, *expires;
};

struct http_issuer {
    struct issuer base;
    struct issuer_template create, revoke, list;
    struct kept_shape created, listed;
    char *items, *item_name;
    char *parameter, *cursor, *more;
    bool is_count;
    uint64_t life_us;
};

struct http_work {
    struct issuer_work base;
    struct fetch fetch;
    const struct issuer_template *request;
    struct issuer_message message;
    char *name, *id;
    struct secret *current_key;
    char time[ISSUER_TIME_BYTES];
    char expires[EXPIRES_BYTES];
    struct buf cursor; /* of the page under way; empty: the first */
    uint64_t seen;     /* items of the pages before */
    unsigned pages;
};

static struct http_issuer *issuer_of(const struct http_work *work)
{
    return container_of(work->base.issuer, struct http_issuer, base);
}

static struct issuer_shape shape_of(const struct kept_shape *kept)
{
    return (struct issuer_shape){.key = span_from_text(kept->key),
                                 .id = span_from_text(kept->id),
                                 .expires = span_from_text(kept->expires)};
}

/* ---- a request ---- */

static struct issuer_words words_of(const struct http_work *work)
{
    return (struct issuer_words){
        .of = {[ISSUER_PUT_NAME] = span_from_text(work->name),
               [ISSUER_PUT_TIME] = span_of(work->time, sizeof(work->time)),
               [ISSUER_PUT_EXPIRES] = span_of(work->expires, sizeof(work->expires)),
               [ISSUER_PUT_ID] = span_from_text(work->id),
               [ISSUER_PUT_CURRENT_KEY] =
                   work->current_key ? secret_reveal(work->current_key) : span_of(NULL, 0)},
    };
}

/* "?after=proj_1" behind the URL, from the second page on. */
static void put_page(struct http_work *work)
{
    const struct http_issuer *issuer = issuer_of(work);
    struct buf *url = &work->message.url;
    bool has_query = span_find_byte(buf_span(url), '?') != SIZE_MAX;

    if (!work->pages || !issuer->parameter)
        return;
    buf_append_byte(url, has_query ? '&' : '?');
    percent_write(url, span_from_text(issuer->parameter), "");
    buf_append_byte(url, '=');
    if (issuer->is_count)
        buf_printf(url, "%llu", (unsigned long long)work->seen);
    else
        percent_write(url, buf_span(&work->cursor), "");
}

static int send(struct http_work *work, const char **ret_why)
{
    struct issuer *base = work->base.issuer;
    struct issuer_words words = words_of(work);
    int err = issuer_message_write(&work->message, work->request, &words);

    put_page(work);
    if (!err)
        err = work->message.url.err;
    if (!err) {
        const struct fetch_ask ask = {.url = buf_text(&work->message.url),
                                      .fields = work->message.fields,
                                      .method = work->request->method,
                                      .body = buf_span(&work->message.body),
                                      .max_bytes =
                                          work->base.call == ISSUER_FIND ? LIST_MAX_BYTES : 0,
                                      .connect_us = CONNECT_US,
                                      .total_us = base->timeout_us};

        err = fetch_begin(&work->fetch, base->options.fetcher, &ask);
    }
    if (err == ERR_NOTFOUND) {
        *ret_why = work->request->used & 1u << ISSUER_PUT_ID && !work->id
                       ? "there is no id to ask with"
                       : "there is no current key to ask with";
        return ERR_RANGE;
    }
    *ret_why = err == ERR_FULL ? "the request is too large" : NULL;
    return err;
}

/* ---- what came of it ---- */

static void finish(struct http_work *work, struct issuer_result *result)
{
    struct issuer_words words = words_of(work);

    if (result->answer.err)
        issuer_message_guard(&work->message, work->request, &words, result->why);
    issuer_finish(&work->base, result);
}

/* A creation went well by its status: whatever is wrong now, there is a key. */
static void read_created(struct http_work *work, const yyjson_val *root,
                         struct issuer_result *result)
{
    const struct issuer_shape shape = shape_of(&issuer_of(work)->created);

    if (!root)
        issuer_result_fail(result, ERR_PROTO, "the answer is no JSON");
    else
        issuer_read_key(root, &shape, work->base.issuer->options.secrets, result);
    result->answer.may_exist = result->answer.err != 0;
}

/* The item of that name, or NULL. */
static const yyjson_val *find_item(const struct http_work *work, const yyjson_val *items,
                                   uint64_t *ret_count)
{
    const struct http_issuer *issuer = issuer_of(work);
    yyjson_arr_iter at = yyjson_arr_iter_with((yyjson_val *)(uintptr_t)items);
    yyjson_val *item;

    *ret_count = yyjson_arr_size((yyjson_val *)(uintptr_t)items);
    while ((item = yyjson_arr_iter_next(&at))) {
        const yyjson_val *name = issuer_point(item, span_from_text(issuer->item_name));

        if (span_is_equal(json_tree_text(name), span_from_text(work->name)))
            return item;
    }
    return NULL;
}

/* Whether the list goes on behind this page, and where: 1, 0, or ERR_PROTO or ERR_NOMEM. */
static int turn_page(struct http_work *work, const yyjson_val *root, uint64_t count)
{
    const struct http_issuer *issuer = issuer_of(work);
    const yyjson_val *more = issuer_point(root, span_from_text(issuer->more));
    struct span cursor = json_tree_text(issuer_point(root, span_from_text(issuer->cursor)));

    if (!issuer->parameter || (issuer->is_count && !count))
        return 0;
    if (issuer->more && !yyjson_is_true((yyjson_val *)(uintptr_t)more))
        return 0;
    if (!issuer->is_count && !cursor.len)
        return 0;
    /* A server that ignores the parameter would go round for ever. */
    if (++work->pages >= PAGES_MAX ||
        (!issuer->is_count && span_is_equal(cursor, buf_span(&work->cursor))))
        return ERR_PROTO;
    work->seen += count;
    buf_clear(&work->cursor);
    if (buf_append_span(&work->cursor, cursor))
        return work->cursor.err == ERR_NOMEM ? ERR_NOMEM : ERR_PROTO;
    return 1;
}

/* True where the next page is under way. */
static bool read_list(struct http_work *work, const yyjson_val *root, struct issuer_result *result)
{
    const struct http_issuer *issuer = issuer_of(work);
    const struct issuer_shape shape = shape_of(&issuer->listed);
    const yyjson_val *items = issuer_point(root, span_from_text(issuer->items)), *item;
    const char *why = NULL;
    uint64_t count;
    int err;

    /* Some leave out a list that is empty. */
    if (!root || (items && !yyjson_is_arr((yyjson_val *)(uintptr_t)items))) {
        issuer_result_fail(result, ERR_PROTO, "the answer holds no list of keys");
        return false;
    }
    item = find_item(work, items, &count);
    if (item) {
        issuer_read_listed(item, &shape, result);
        return false;
    }
    err = turn_page(work, root, count);
    if (err == 1) {
        err = send(work, &why);
        if (!err)
            return true;
    } else if (!err) {
        err = ERR_NOTFOUND;
        why = "there is no key of that name";
    } else if (err == ERR_PROTO) {
        why = "the list of keys does not end";
    }
    issuer_result_fail(result, err, why);
    return false;
}

/* A look-up by name in the URL may say in this way that there is none. */
static bool is_absent(const struct http_work *work, int status)
{
    return work->base.call == ISSUER_FIND && (status == 404 || status == 410) &&
           work->request->used & 1u << ISSUER_PUT_NAME;
}

static void on_fetched(struct fetch *fetch, const struct fetch_answer *fetched)
{
    struct http_work *work = container_of(fetch, struct http_work, fetch);
    struct issuer_result result = {.answer.retry_after_us = fetched->retry_after_us};
    struct issuer_doc doc = {.root = NULL};
    bool is_under_way = false;
    int err = fetched->err ? 0 : issuer_doc_read(&doc, fetched->body);

    if (fetched->err) {
        issuer_result_unanswered(&result, fetched->err, fetched->why);
        result.answer.may_exist &= work->base.call == ISSUER_CREATE;
    } else if (err == ERR_NOMEM) {
        issuer_result_fail(&result, err, NULL);
        result.answer.may_exist = work->base.call == ISSUER_CREATE;
    } else if (is_absent(work, fetched->status)) {
        issuer_result_fail(&result, ERR_NOTFOUND, "there is no key of that name");
    } else if (issuer_status_is_done(fetched->status, doc.root, work->base.call, &result)) {
        if (work->base.call == ISSUER_CREATE)
            read_created(work, doc.root, &result);
        else if (work->base.call == ISSUER_FIND)
            is_under_way = read_list(work, doc.root, &result);
    }
    issuer_doc_fini(&doc);
    if (!is_under_way)
        finish(work, &result);
}

/* ---- calls ---- */

static struct issuer_work *work_new(struct issuer *issuer)
{
    struct http_work *work = mem_zalloc(1, sizeof(*work));

    (void)issuer;
    if (!work)
        return NULL;
    work->fetch.on_done = on_fetched;
    buf_init(&work->cursor, CURSOR_MAX_BYTES);
    return &work->base;
}

static void work_free(struct issuer_work *base)
{
    struct http_work *work = container_of(base, struct http_work, base);

    fetch_cancel(&work->fetch);
    issuer_message_fini(&work->message);
    buf_fini(&work->cursor);
    mem_free(work->name);
    mem_free(work->id);
    secret_unref(&work->current_key);
    mem_free(work);
}

static void write_times(struct http_work *work)
{
    uint64_t wall_us = loop_wall_us(work->base.issuer->options.loop);
    char text[RFC3339_BYTES];

    issuer_write_time(wall_us, work->time);
    datetime_write_rfc3339(wall_us + issuer_of(work)->life_us, text);
    memcpy(work->expires, text, sizeof(work->expires) - 1);
    work->expires[sizeof(work->expires) - 1] = 'Z';
}

static int begin(struct issuer_work *base, const struct issuer_subject *subject,
                 const char **ret_why)
{
    struct http_work *work = container_of(base, struct http_work, base);
    const struct http_issuer *issuer = issuer_of(work);

    work->request = base->call == ISSUER_CREATE ? &issuer->create
                    : base->call == ISSUER_FIND ? &issuer->list
                                                : &issuer->revoke;
    work->name = mem_strdup(subject->name.ptr, subject->name.len);
    if (!work->name)
        return ERR_NOMEM;
    if (subject->id.len) {
        work->id = mem_strdup(subject->id.ptr, subject->id.len);
        if (!work->id)
            return ERR_NOMEM;
    }
    if (subject->current_key)
        work->current_key = secret_ref(subject->current_key);
    write_times(work);
    return send(work, ret_why);
}

/* ---- life ---- */

static void http_free(struct issuer *base)
{
    struct http_issuer *issuer = container_of(base, struct http_issuer, base);
    char *texts[] = {issuer->created.key, issuer->created.id,     issuer->created.expires,
                     issuer->listed.id,   issuer->listed.expires, issuer->items,
                     issuer->item_name,   issuer->parameter,      issuer->cursor,
                     issuer->more};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        mem_free(texts[i]);
    issuer_template_fini(&issuer->create);
    issuer_template_fini(&issuer->revoke);
    issuer_template_fini(&issuer->list);
    mem_free(issuer);
}

static const struct issuer_ops ops = {
    .work_new = work_new, .begin = begin, .work_free = work_free, .free = http_free};

/* A pointer that is empty stays NULL. */
static int keep_pointer(char **kept, struct span pointer, const char *what, char *why)
{
    if (!pointer.len)
        return 0;
    if (!issuer_pointer_is_sound(pointer))
        return issuer_complain(why, ERR_SYNTAX, "%s: this is no JSON pointer", what);
    *kept = mem_strdup(pointer.ptr, pointer.len);
    return *kept ? 0 : ERR_NOMEM;
}

static int keep_pointers(struct http_issuer *issuer, const struct issuer_http_settings *settings,
                         char *why)
{
    const struct {
        char **kept;
        struct span pointer;
        const char *what;
    } pointers[] = {
        {&issuer->created.key, settings->key, "key"},
        {&issuer->created.id, settings->id, "id"},
        {&issuer->created.expires, settings->expires, "expires"},
        {&issuer->items, settings->items, "items"},
        {&issuer->item_name, settings->item_name, "name of a list's item"},
        {&issuer->listed.id, settings->item_id, "id of a list's item"},
        {&issuer->listed.expires, settings->item_expires, "expires of a list's item"},
        {&issuer->cursor, settings->paging.cursor, "cursor of a list"},
        {&issuer->more, settings->paging.more, "more of a list"},
    };
    int err = 0;

    for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]) && !err; i++)
        err = keep_pointer(pointers[i].kept, pointers[i].pointer, pointers[i].what, why);
    if (!err && settings->paging.parameter.len) {
        issuer->parameter =
            mem_strdup(settings->paging.parameter.ptr, settings->paging.parameter.len);
        err = issuer->parameter ? 0 : ERR_NOMEM;
    }
    issuer->is_count = settings->paging.is_count;
    return err;
}

static int keep_requests(struct http_issuer *issuer, const struct issuer_http_settings *settings,
                         char *why)
{
    int err = issuer_template_init(&issuer->create, &settings->create, "POST", "create", why);

    if (!err)
        err = issuer_template_init(&issuer->revoke, &settings->revoke, "DELETE", "revoke", why);
    if (!err)
        err = issuer_template_init(&issuer->list, &settings->list, "GET", "list", why);
    return err;
}

/* What each request can do without the other. */
static int check(const struct http_issuer *issuer, char *why)
{
    const unsigned id = 1u << ISSUER_PUT_ID;

    if (!issuer->create.url)
        return issuer_complain(why, ERR_SYNTAX, "create: its url is missing");
    if ((issuer->create.used | issuer->list.used) & id)
        return issuer_complain(why, ERR_SYNTAX, "{id} is known when a key is revoked, not before");
    if (issuer->create.used & 1u << ISSUER_PUT_EXPIRES && !issuer->life_us)
        return issuer_complain(why, ERR_SYNTAX, "{expires} needs a life that is asked for");
    if (issuer->revoke.used & id && !issuer->created.id)
        return issuer_complain(why, ERR_SYNTAX,
                               "revoke needs {id}, and create does not say where the id stands");
    if (issuer->list.url && !issuer->item_name)
        return issuer_complain(why, ERR_SYNTAX,
                               "list: it does not say where an item's name stands");
    if (issuer->list.url && issuer->revoke.used & id && !issuer->listed.id)
        return issuer_complain(why, ERR_SYNTAX, "list: it does not say where an item's id stands");
    return 0;
}

int issuer_http_new(const struct issuer_options *options, const struct issuer_settings *settings,
                    char *why, struct issuer **ret_issuer)
{
    struct http_issuer *issuer = mem_zalloc(1, sizeof(*issuer));
    int err;

    if (!issuer)
        return ERR_NOMEM;
    issuer_init(&issuer->base, &ops, options, settings);
    issuer->life_us = settings->life_us;
    err = keep_requests(issuer, &settings->http, why);
    if (!err)
        err = keep_pointers(issuer, &settings->http, why);
    if (!err)
        err = check(issuer, why);
    if (err) {
        http_free(&issuer->base);
        return err;
    }
    issuer->base.traits.can_revoke = issuer->revoke.url != NULL;
    issuer->base.traits.can_find = issuer->list.url != NULL;
    *ret_issuer = &issuer->base;
    return 0;
}

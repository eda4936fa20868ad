#include "admin/lookup.h"

#include <string.h>

#include "admin/lookup_inner.h"
#include "admin/refusal.h"
#include "admin/route.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/percent.h"

struct store *lookup_store(const struct lookup *lookup)
{
    const struct page_view view = lookup->lookups->view(lookup->lookups->owner);

    return view.admin->store ? view.admin->store(view.admin->owner) : NULL;
}

/* ---- the end ---- */

static void lookup_free(struct lookup *lookup)
{
    store_cancel(&lookup->ask);
    list_remove(&lookup->link);
    buf_fini(&lookup->page.body);
    mem_free(lookup);
}

static void answer(struct lookup *lookup, const struct failure_row *refusal)
{
    struct lookups *lookups = lookup->lookups;
    struct http_server_conn *conn = lookup->conn;
    struct page page = lookup->page;

    buf_init(&lookup->page.body, 0); /* the page's is gone from here */
    lookup_free(lookup);
    if (refusal)
        buf_fini(&page.body);
    lookups->answer(lookups->owner, conn, refusal, &page);
}

static const struct failure_row *refusal_of(int err)
{
    return refusal_row(err == ERR_RANGE ? REFUSAL_BAD_QUERY : REFUSAL_STORE_TROUBLE);
}

static void on_done(struct store_ask *ask, const struct store_answer *told)
{
    struct lookup *lookup = container_of(ask, struct lookup, ask);
    const struct failure_row *refusal;

    lookup->is_asking_again = false;
    refusal = lookup->kind->end(lookup, told);
    if (!lookup->is_asking_again || refusal)
        answer(lookup, refusal);
}

/* ---- the beginning ---- */

/* False where it is longer than any name. */
static bool take_text(struct lookup *lookup, size_t place, struct span text, struct span *ret_text)
{
    if (text.len > LOOKUP_NAME_BYTES)
        return false;
    *ret_text = span_of(lookup->texts[place], percent_read(text, lookup->texts[place]));
    return true;
}

static bool take_limit(struct lookup *lookup, struct span text)
{
    uint64_t limit;

    if (span_to_u64(text, &limit) || limit < 1 || limit > STORE_MAX_ROWS)
        return false;
    lookup->limit = (size_t)limit;
    return true;
}

static bool take_parameter(struct lookup *lookup, struct span name, struct span value)
{
    if (span_is_equal(name, SPAN("provider")))
        return take_text(lookup, 0, value, &lookup->provider);
    if (span_is_equal(name, SPAN("key")))
        return take_text(lookup, 1, value, &lookup->key);
    if (span_is_equal(name, SPAN("before")))
        return span_to_u64(value, &lookup->before) == 0;
    return span_is_equal(name, SPAN("limit")) && take_limit(lookup, value);
}

/* "a=b&c=d" (application/x-www-form-urlencoded); false where one is unknown, or has no such value.
 */
static bool take_query(struct lookup *lookup, struct span query)
{
    struct span pair;

    while (span_next_token(&query, '&', &pair)) {
        size_t len = span_find_byte(pair, '=');

        if (!pair.len)
            continue;
        if (len == SIZE_MAX ||
            !take_parameter(lookup, span_of(pair.ptr, len), span_skip(pair, len + 1)))
            return false;
    }
    return !lookup->key.len || lookup->provider.len;
}

static void begin(struct lookup *lookup)
{
    struct store *store = lookup_store(lookup);
    const struct store_answer none = {.err = ERR_NOTFOUND};
    int err = store ? lookup->kind->begin(lookup, store) : ERR_NOTFOUND;

    if (!err)
        return;
    if (lookup->kind->does_without)
        answer(lookup, lookup->kind->end(lookup, &none));
    else
        answer(lookup, store ? refusal_of(err) : refusal_row(REFUSAL_NO_STORE));
}

void lookup_begin(struct lookups *lookups, struct http_server_conn *conn,
                  const struct lookup_kind *kind, const struct admin_subject *subject,
                  struct span query)
{
    struct lookup *lookup = mem_zalloc(1, sizeof(*lookup));

    if (!lookup) {
        lookups->answer(lookups->owner, conn, refusal_row(REFUSAL_STORE_TROUBLE), NULL);
        return;
    }
    lookup->lookups = lookups;
    lookup->conn = conn;
    lookup->kind = kind;
    lookup->ask.on_done = on_done;
    lookup->limit = LOOKUP_LIMIT;
    lookup->page = (struct page){.status = 200, .type = "application/json"};
    buf_init(&lookup->page.body, PAGE_MAX_BYTES);
    json_writer_init(&lookup->writer, &lookup->page.body);
    list_push_back(&lookups->all, &lookup->link);
    if (!take_query(lookup, query) || !take_text(lookup, 2, subject->name, &lookup->name))
        answer(lookup, refusal_row(REFUSAL_BAD_QUERY));
    else
        begin(lookup);
}

void lookup_drop(struct lookups *lookups, const struct http_server_conn *conn)
{
    list_for_each_safe (link, &lookups->all) {
        struct lookup *lookup = container_of(link, struct lookup, link);

        if (lookup->conn == conn)
            lookup_free(lookup);
    }
}

void lookups_end(struct lookups *lookups)
{
    list_for_each_safe (link, &lookups->all)
        lookup_free(container_of(link, struct lookup, link));
}

#include "store/audit.h"

#include "base/err.h"
#include "store/op.h"
#include "store/text.h"

struct add_op {
    struct store_op op;
    struct audit_line line;
};

struct page_op {
    struct store_op op;
    struct audit_page page;
};

struct prune_op {
    struct store_op op;
    uint64_t before_wall_us;
};

/* ---- adding ---- */

static int run_add(struct sql *sql, struct store_op *op)
{
    const struct audit_line *line = &container_of(op, struct add_op, op)->line;
    struct sql_query query =
        sql_ask(sql, "INSERT INTO audit (at_us, actor, origin, action, provider, key_name, "
                     "result, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");

    sql_bind_u64(&query, line->at_wall_us);
    sql_bind_text(&query, line->actor);
    sql_bind_text(&query, line->origin);
    sql_bind_text(&query, line->action);
    sql_bind_text(&query, line->provider);
    sql_bind_text(&query, line->key);
    sql_bind_text(&query, line->result);
    sql_bind_text(&query, line->detail);
    sql_next(&query);
    op->count = query.err ? 0 : 1;
    return sql_end(&query);
}

static const struct store_op_kind add_kind = {.is_write = true, .run = run_add};

static bool is_sound(const struct audit_line *line)
{
    return line->actor.len && text_is_word(line->action) && text_is_word(line->result) &&
           (line->provider.len || !line->key.len);
}

int audit_add(struct store *store, struct store_ask *ask, const struct audit_line *line)
{
    struct add_op *add = store_op_new(sizeof(*add), &add_kind);
    struct store_op *op = add ? &add->op : NULL;
    bool is_good = is_sound(line);

    if (add && is_good) {
        add->line = *line;
        add->line.actor = store_op_keep_foreign(op, line->actor);
        add->line.origin = store_op_keep_foreign(op, line->origin);
        add->line.action = store_op_keep(op, line->action);
        add->line.provider = store_op_keep_foreign(op, line->provider);
        add->line.key = store_op_keep_foreign(op, line->key);
        add->line.result = store_op_keep(op, line->result);
        add->line.detail = store_op_keep_reason(op, line->detail);
    }
    return store_submit(store, ask, op, is_good);
}

/* ---- listing ---- */

#define AUDIT_SELECT                                                                               \
    "SELECT seq, at_us, actor, origin, action, provider, key_name, result, detail FROM audit "

static struct sql_query ask_page(struct sql *sql, const struct audit_page *page)
{
    struct sql_query query;

    if (page->key.len)
        query = sql_ask(sql, AUDIT_SELECT "WHERE provider = ? AND key_name = ? AND seq < ? "
                                          "ORDER BY seq DESC LIMIT ?");
    else if (page->provider.len)
        query = sql_ask(sql, AUDIT_SELECT "WHERE provider = ? AND seq < ? "
                                          "ORDER BY seq DESC LIMIT ?");
    else
        query = sql_ask(sql, AUDIT_SELECT "WHERE seq < ? ORDER BY seq DESC LIMIT ?");
    if (page->provider.len)
        sql_bind_text(&query, page->provider);
    if (page->key.len)
        sql_bind_text(&query, page->key);
    sql_bind_u64(&query, page->before_seq ? page->before_seq : UINT64_MAX);
    sql_bind_u64(&query, page->limit);
    return query;
}

static int run_list(struct sql *sql, struct store_op *op)
{
    const struct audit_page *page = &container_of(op, struct page_op, op)->page;
    struct audit_line *lines = store_op_alloc(op, page->limit, sizeof(*lines));
    struct sql_query query = ask_page(sql, page);

    if (!lines && !query.err)
        query.err = ERR_NOMEM;
    op->rows = lines;
    while (lines && op->count < page->limit && sql_next(&query)) {
        struct audit_line *line = &lines[op->count++];

        line->seq = sql_u64(&query, 0);
        line->at_wall_us = sql_u64(&query, 1);
        line->actor = store_op_column(op, &query, 2);
        line->origin = store_op_column(op, &query, 3);
        line->action = store_op_column(op, &query, 4);
        line->provider = store_op_column(op, &query, 5);
        line->key = store_op_column(op, &query, 6);
        line->result = store_op_column(op, &query, 7);
        line->detail = store_op_column(op, &query, 8);
    }
    return sql_end(&query);
}

static const struct store_op_kind list_kind = {.is_write = false, .run = run_list};

int audit_list(struct store *store, struct store_ask *ask, const struct audit_page *page)
{
    struct page_op *list = store_op_new(sizeof(*list), &list_kind);
    struct store_op *op = list ? &list->op : NULL;
    bool is_good =
        page->limit >= 1 && page->limit <= STORE_MAX_ROWS && (page->provider.len || !page->key.len);

    if (list) {
        list->page = *page;
        list->page.provider = store_op_keep_foreign(op, page->provider);
        list->page.key = store_op_keep_foreign(op, page->key);
    }
    return store_submit(store, ask, op, is_good);
}

/* ---- pruning ---- */

static int run_prune(struct sql *sql, struct store_op *op)
{
    struct prune_op *prune = container_of(op, struct prune_op, op);
    struct sql_query query = sql_ask(sql, "DELETE FROM audit WHERE at_us < ?");

    sql_bind_u64(&query, prune->before_wall_us);
    sql_next(&query);
    op->count = query.err ? 0 : sql_changes(sql);
    return sql_end(&query);
}

static const struct store_op_kind prune_kind = {.is_write = true, .run = run_prune};

int audit_prune(struct store *store, struct store_ask *ask, uint64_t before_wall_us)
{
    struct prune_op *prune = store_op_new(sizeof(*prune), &prune_kind);

    if (prune)
        prune->before_wall_us = before_wall_us;
    return store_submit(store, ask, prune ? &prune->op : NULL, true);
}

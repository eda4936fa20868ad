#include "store/meta.h"

#include "base/err.h"
#include "store/op.h"
#include "store/text.h"

struct meta_op {
    struct store_op op;
    struct meta_value value;
};

static int insert(struct sql *sql, struct store_op *op, const char *text)
{
    const struct meta_value *value = &container_of(op, struct meta_op, op)->value;
    struct sql_query query = sql_ask(sql, text);

    sql_bind_text(&query, value->name);
    sql_bind_text(&query, value->value);
    sql_bind_u64(&query, value->changed_wall_us);
    sql_next(&query);
    op->count = query.err ? 0 : 1;
    return sql_end(&query);
}

static int run_set(struct sql *sql, struct store_op *op)
{
    return insert(sql, op,
                  "INSERT OR REPLACE INTO meta (name, value, changed_us) VALUES (?, ?, ?)");
}

static int run_set_once(struct sql *sql, struct store_op *op)
{
    return insert(sql, op, "INSERT INTO meta (name, value, changed_us) VALUES (?, ?, ?)");
}

static int run_get(struct sql *sql, struct store_op *op)
{
    struct span name = container_of(op, struct meta_op, op)->value.name;
    struct sql_query query =
        sql_ask(sql, "SELECT name, value, changed_us FROM meta WHERE name = ?");
    struct meta_value *told = store_op_alloc(op, 1, sizeof(*told));

    sql_bind_text(&query, name);
    if (!told && !query.err)
        query.err = ERR_NOMEM;
    op->rows = told;
    if (told && sql_next(&query)) {
        told->name = store_op_column(op, &query, 0);
        told->value = store_op_column(op, &query, 1);
        told->changed_wall_us = sql_u64(&query, 2);
        op->count = 1;
    }
    return sql_end(&query) || op->count ? query.err : ERR_NOTFOUND;
}

static const struct store_op_kind set_kind = {.is_write = true, .run = run_set};
static const struct store_op_kind set_once_kind = {.is_write = true, .run = run_set_once};
static const struct store_op_kind get_kind = {.is_write = false, .run = run_get};

static int submit(struct store *store, struct store_ask *ask, const struct store_op_kind *kind,
                  struct span name, struct span value)
{
    struct meta_op *meta = store_op_new(sizeof(*meta), kind);
    struct store_op *op = meta ? &meta->op : NULL;

    if (meta)
        meta->value = (struct meta_value){.name = store_op_keep(op, name),
                                          .value = store_op_keep(op, value),
                                          .changed_wall_us = store_wall_us(store)};
    return store_submit(store, ask, op, text_is_word(name) && text_is_value(value));
}

int meta_set(struct store *store, struct store_ask *ask, struct span name, struct span value)
{
    return submit(store, ask, &set_kind, name, value);
}

int meta_set_once(struct store *store, struct store_ask *ask, struct span name, struct span value)
{
    return submit(store, ask, &set_once_kind, name, value);
}

int meta_get(struct store *store, struct store_ask *ask, struct span name)
{
    return submit(store, ask, &get_kind, name, SPAN(""));
}

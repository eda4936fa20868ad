#include "store/totals.h"

#include <string.h>

#include "base/err.h"
#include "store/op.h"
#include "store/text.h"

struct put_op {
    struct store_op op;
    struct total *totals;
    size_t count;
    uint64_t wall_us;
};

struct load_op {
    struct store_op op;
    struct span kind;
    uint64_t start_wall_us[TOTALS_STARTS];
};

struct prune_op {
    struct store_op op;
    uint64_t wall_us;
};

/* ---- writing ---- */

static int put_one(struct sql *sql, const struct total *total, uint64_t wall_us)
{
    struct sql_query query =
        sql_ask(sql, "INSERT INTO totals (kind, name, period, start_us, sum, changed_us) "
                     "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (kind, name, period, start_us) "
                     "DO UPDATE SET sum = excluded.sum, changed_us = excluded.changed_us");

    sql_bind_text(&query, total->kind);
    sql_bind_text(&query, total->name);
    sql_bind_text(&query, total->period);
    sql_bind_u64(&query, total->start_wall_us);
    sql_bind_u64(&query, total->sum);
    sql_bind_u64(&query, wall_us);
    sql_next(&query);
    return sql_end(&query);
}

static int run_put(struct sql *sql, struct store_op *op)
{
    const struct put_op *put = container_of(op, struct put_op, op);
    int err = 0;

    for (size_t i = 0; !err && i < put->count; i++)
        err = put_one(sql, &put->totals[i], put->wall_us);
    op->count = err ? 0 : put->count;
    return err;
}

static const struct store_op_kind put_kind = {.is_write = true, .run = run_put};

static bool is_sound(const struct total *totals, size_t count)
{
    if (count == 0 || count > TOTALS_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!text_is_word(totals[i].kind) || !text_is_word(totals[i].period) ||
            !totals[i].name.len || !text_is_id_or_none(totals[i].name))
            return false;
    return true;
}

int totals_put(struct store *store, struct store_ask *ask, const struct total *totals, size_t count)
{
    struct put_op *put = store_op_new(sizeof(*put), &put_kind);
    bool is_good = is_sound(totals, count);

    if (!put || !is_good)
        return store_submit(store, ask, put ? &put->op : NULL, is_good);
    put->wall_us = store_wall_us(store);
    put->totals = store_op_alloc(&put->op, count, sizeof(*put->totals));
    put->count = put->totals ? count : 0;
    for (size_t i = 0; i < put->count; i++) {
        put->totals[i] = totals[i];
        put->totals[i].kind = store_op_keep(&put->op, totals[i].kind);
        put->totals[i].name = store_op_keep(&put->op, totals[i].name);
        put->totals[i].period = store_op_keep(&put->op, totals[i].period);
    }
    return store_submit(store, ask, &put->op, true);
}

/* ---- reading ---- */

#define OF_THESE "FROM totals WHERE kind = ? AND start_us IN (?, ?, ?, ?)"

static void bind(struct sql_query *query, const struct load_op *load)
{
    sql_bind_text(query, load->kind);
    for (int i = 0; i < TOTALS_STARTS; i++)
        sql_bind_u64(query, load->start_wall_us[i]);
}

static int count_rows(struct sql *sql, const struct load_op *load, size_t *ret_count)
{
    struct sql_query query = sql_ask(sql, "SELECT count(*) " OF_THESE);

    bind(&query, load);
    *ret_count = sql_next(&query) ? (size_t)sql_u64(&query, 0) : 0;
    return sql_end(&query);
}

static int run_load(struct sql *sql, struct store_op *op)
{
    const struct load_op *load = container_of(op, struct load_op, op);
    struct sql_query query;
    struct total *totals;
    size_t count = 0;
    int err = count_rows(sql, load, &count);

    if (err || count == 0)
        return err;
    count = count < TOTALS_MAX_LOADED ? count : TOTALS_MAX_LOADED;
    totals = store_op_alloc(op, count, sizeof(*totals));
    if (!totals)
        return ERR_NOMEM;
    op->rows = totals;
    query = sql_ask(sql, "SELECT name, period, start_us, sum " OF_THESE
                         " ORDER BY name, period, start_us");
    bind(&query, load);
    while (op->count < count && sql_next(&query)) {
        struct total *total = &totals[op->count++];

        total->kind = load->kind;
        total->name = store_op_column(op, &query, 0);
        total->period = store_op_column(op, &query, 1);
        total->start_wall_us = sql_u64(&query, 2);
        total->sum = sql_u64(&query, 3);
    }
    return sql_end(&query);
}

static const struct store_op_kind load_kind = {.is_write = false, .run = run_load};

int totals_load(struct store *store, struct store_ask *ask, struct span kind,
                const uint64_t start_wall_us[TOTALS_STARTS])
{
    struct load_op *load = store_op_new(sizeof(*load), &load_kind);

    if (load) {
        load->kind = store_op_keep(&load->op, kind);
        memcpy(load->start_wall_us, start_wall_us, sizeof(load->start_wall_us));
    }
    return store_submit(store, ask, load ? &load->op : NULL, text_is_word(kind));
}

/* ---- forgetting ---- */

static int run_prune(struct sql *sql, struct store_op *op)
{
    struct sql_query query = sql_ask(sql, "DELETE FROM totals WHERE start_us < ?");

    sql_bind_u64(&query, container_of(op, struct prune_op, op)->wall_us);
    sql_next(&query);
    op->count = query.err ? 0 : sql_changes(sql);
    return sql_end(&query);
}

static const struct store_op_kind prune_kind = {.is_write = true, .run = run_prune};

int totals_prune(struct store *store, struct store_ask *ask, uint64_t before_wall_us)
{
    struct prune_op *prune = store_op_new(sizeof(*prune), &prune_kind);

    if (prune)
        prune->wall_us = before_wall_us;
    return store_submit(store, ask, prune ? &prune->op : NULL, true);
}

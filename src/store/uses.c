#include "store/uses.h"

#include "base/err.h"
#include "store/op.h"
#include "store/text.h"

/* The numbers of a row, in the order of its columns. */
#define NUMBERS                                                                                    \
    "requests, input_tokens, cached_tokens, output_tokens, reasoning_tokens, "                     \
    "cost_nanousd, unpriced"
enum { NUMBERS_COUNT = 7 };

struct put_op {
    struct store_op op;
    struct use_row *rows;
    size_t count;
    uint64_t wall_us;
};

struct period_op {
    struct store_op op;
    struct span period;
    uint64_t wall_us;
};

static uint64_t *number_at(struct use_row *row, int at)
{
    uint64_t *const numbers[NUMBERS_COUNT] = {
        &row->requests,         &row->input_tokens, &row->cached_tokens, &row->output_tokens,
        &row->reasoning_tokens, &row->cost_nanousd, &row->unpriced};

    return numbers[at];
}

/* ---- writing ---- */

static int put_one(struct sql *sql, struct use_row *row, uint64_t wall_us)
{
    struct sql_query query =
        sql_ask(sql, "INSERT OR REPLACE INTO uses (kind, name, period, start_us, " NUMBERS
                     ", changed_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");

    sql_bind_text(&query, row->kind);
    sql_bind_text(&query, row->name);
    sql_bind_text(&query, row->period);
    sql_bind_u64(&query, row->start_wall_us);
    for (int i = 0; i < NUMBERS_COUNT; i++)
        sql_bind_u64(&query, *number_at(row, i));
    sql_bind_u64(&query, wall_us);
    sql_next(&query);
    return sql_end(&query);
}

static int run_put(struct sql *sql, struct store_op *op)
{
    const struct put_op *put = container_of(op, struct put_op, op);
    int err = 0;

    for (size_t i = 0; !err && i < put->count; i++)
        err = put_one(sql, &put->rows[i], put->wall_us);
    op->count = err ? 0 : put->count;
    return err;
}

static const struct store_op_kind put_kind = {.is_write = true, .run = run_put};

static bool is_sound(const struct use_row *rows, size_t count)
{
    if (count == 0 || count > USES_ROWS_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!text_is_word(rows[i].kind) || !text_is_word(rows[i].period) || !rows[i].name.len ||
            !text_is_id_or_none(rows[i].name))
            return false;
    return true;
}

int uses_put(struct store *store, struct store_ask *ask, const struct use_row *rows, size_t count)
{
    struct put_op *put = store_op_new(sizeof(*put), &put_kind);
    bool is_good = is_sound(rows, count);

    if (!put || !is_good)
        return store_submit(store, ask, put ? &put->op : NULL, is_good);
    put->wall_us = store_wall_us(store);
    put->rows = store_op_alloc(&put->op, count, sizeof(*put->rows));
    put->count = put->rows ? count : 0;
    for (size_t i = 0; i < put->count; i++) {
        put->rows[i] = rows[i];
        put->rows[i].kind = store_op_keep(&put->op, rows[i].kind);
        put->rows[i].name = store_op_keep(&put->op, rows[i].name);
        put->rows[i].period = store_op_keep(&put->op, rows[i].period);
    }
    return store_submit(store, ask, &put->op, true);
}

/* ---- reading ---- */

static int count_rows(struct sql *sql, const struct period_op *load, size_t *ret_count)
{
    struct sql_query query =
        sql_ask(sql, "SELECT count(*) FROM uses WHERE period = ? AND start_us = ?");

    sql_bind_text(&query, load->period);
    sql_bind_u64(&query, load->wall_us);
    *ret_count = sql_next(&query) ? (size_t)sql_u64(&query, 0) : 0;
    return sql_end(&query);
}

static void read_row(struct store_op *op, struct sql_query *query, const struct period_op *load,
                     struct use_row *row)
{
    row->kind = store_op_column(op, query, 0);
    row->name = store_op_column(op, query, 1);
    row->period = load->period;
    row->start_wall_us = load->wall_us;
    for (int i = 0; i < NUMBERS_COUNT; i++)
        *number_at(row, i) = sql_u64(query, 2 + i);
}

static int run_load(struct sql *sql, struct store_op *op)
{
    const struct period_op *load = container_of(op, struct period_op, op);
    struct sql_query query;
    struct use_row *rows;
    size_t count = 0;
    int err = count_rows(sql, load, &count);

    if (err || count == 0)
        return err;
    count = count < USES_ROWS_LOADED ? count : USES_ROWS_LOADED;
    rows = store_op_alloc(op, count, sizeof(*rows));
    if (!rows)
        return ERR_NOMEM;
    op->rows = rows;
    query = sql_ask(sql, "SELECT kind, name, " NUMBERS
                         " FROM uses WHERE period = ? AND start_us = ? ORDER BY kind, name");
    sql_bind_text(&query, load->period);
    sql_bind_u64(&query, load->wall_us);
    while (op->count < count && sql_next(&query))
        read_row(op, &query, load, &rows[op->count++]);
    return sql_end(&query);
}

static const struct store_op_kind load_kind = {.is_write = false, .run = run_load};

static int submit(struct store *store, struct store_ask *ask, const struct store_op_kind *kind,
                  struct span period, uint64_t wall_us)
{
    struct period_op *op = store_op_new(sizeof(*op), kind);

    if (op) {
        op->period = store_op_keep(&op->op, period);
        op->wall_us = wall_us;
    }
    return store_submit(store, ask, op ? &op->op : NULL, text_is_word(period));
}

int uses_load(struct store *store, struct store_ask *ask, struct span period,
              uint64_t start_wall_us)
{
    return submit(store, ask, &load_kind, period, start_wall_us);
}

/* ---- forgetting ---- */

static int run_prune(struct sql *sql, struct store_op *op)
{
    const struct period_op *prune = container_of(op, struct period_op, op);
    struct sql_query query = sql_ask(sql, "DELETE FROM uses WHERE period = ? AND start_us < ?");

    sql_bind_text(&query, prune->period);
    sql_bind_u64(&query, prune->wall_us);
    sql_next(&query);
    op->count = query.err ? 0 : sql_changes(sql);
    return sql_end(&query);
}

static const struct store_op_kind prune_kind = {.is_write = true, .run = run_prune};

int uses_prune(struct store *store, struct store_ask *ask, struct span period,
               uint64_t before_wall_us)
{
    return submit(store, ask, &prune_kind, period, before_wall_us);
}

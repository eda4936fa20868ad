#include "store/migrations.h"

#include "base/err.h"
#include "store/op.h"
#include "store/text.h"

struct put_op {
    struct store_op op;
    struct migration_row row;
    uint64_t at_wall_us;
};

struct read_op {
    struct store_op op;
    struct span model;
    size_t limit;
};

/* ---- writing ---- */

static int add_move(struct sql *sql, struct span from, const struct put_op *put)
{
    struct sql_query query =
        sql_ask(sql, "INSERT INTO migration_moves (model, run, at_us, from_state, to_state, "
                     "share_ppm, reason) VALUES (?, ?, ?, ?, ?, ?, ?)");

    sql_bind_text(&query, put->row.model);
    sql_bind_u64(&query, put->row.run);
    sql_bind_u64(&query, put->at_wall_us);
    sql_bind_text(&query, from);
    sql_bind_text(&query, put->row.state);
    sql_bind_u64(&query, put->row.share_ppm);
    sql_bind_text(&query, put->row.reason);
    sql_next(&query);
    return sql_end(&query);
}

static int drop_moves(struct sql *sql, struct span model)
{
    struct sql_query query =
        sql_ask(sql, "DELETE FROM migration_moves WHERE model = ?1 AND seq <= (SELECT seq FROM "
                     "migration_moves WHERE model = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)");

    sql_bind_text(&query, model);
    sql_bind_u64(&query, MIGRATION_MOVES_KEPT);
    sql_next(&query);
    return sql_end(&query);
}

/* The line of history that a write needs. */
static int note_move(struct sql *sql, const struct put_op *put)
{
    struct sql_query query =
        sql_ask(sql, "SELECT state, run, share_ppm FROM migrations WHERE model = ?");
    int err = 0;

    sql_bind_text(&query, put->row.model);
    if (!sql_next(&query))
        err = add_move(sql, SPAN(""), put);
    else if (!span_is_equal(sql_text(&query, 0), put->row.state) ||
             sql_u64(&query, 1) != put->row.run || sql_u32(&query, 2) != put->row.share_ppm)
        err = add_move(sql, sql_text(&query, 0), put);
    if (sql_end(&query))
        return query.err;
    return err ? err : drop_moves(sql, put->row.model);
}

static int run_put(struct sql *sql, struct store_op *op)
{
    const struct put_op *put = container_of(op, struct put_op, op);
    const struct migration_row *row = &put->row;
    struct sql_query query;
    int err = note_move(sql, put);

    if (err)
        return err;
    query = sql_ask(sql, "INSERT OR REPLACE INTO migrations (model, from_target, to_target, state, "
                         "run, share_ppm, reason, note, old_side, new_side, changed_us) "
                         "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    sql_bind_text(&query, row->model);
    sql_bind_text(&query, row->from);
    sql_bind_text(&query, row->to);
    sql_bind_text(&query, row->state);
    sql_bind_u64(&query, row->run);
    sql_bind_u64(&query, row->share_ppm);
    sql_bind_text(&query, row->reason);
    sql_bind_text(&query, row->note);
    sql_bind_text(&query, row->old_side);
    sql_bind_text(&query, row->new_side);
    sql_bind_u64(&query, put->at_wall_us);
    sql_next(&query);
    op->count = query.err ? 0 : 1;
    return sql_end(&query);
}

static const struct store_op_kind put_kind = {.is_write = true, .run = run_put};

static bool is_side(struct span text)
{
    return text.len > 0 && text_is_id_or_none(text);
}

static bool is_sound(const struct migration_row *row)
{
    return text_is_name(row->model) && is_side(row->from) && is_side(row->to) &&
           text_is_word(row->state) && text_is_note(row->note) && text_is_note(row->old_side) &&
           text_is_note(row->new_side);
}

int migrations_put(struct store *store, struct store_ask *ask, const struct migration_row *row,
                   uint64_t at_wall_us)
{
    struct put_op *put = store_op_new(sizeof(*put), &put_kind);
    struct store_op *op = put ? &put->op : NULL;
    bool is_good = is_sound(row);

    if (put && is_good) {
        put->at_wall_us = at_wall_us;
        put->row = *row;
        put->row.model = store_op_keep(op, row->model);
        put->row.from = store_op_keep(op, row->from);
        put->row.to = store_op_keep(op, row->to);
        put->row.state = store_op_keep(op, row->state);
        put->row.reason = store_op_keep_reason(op, row->reason);
        put->row.note = store_op_keep(op, row->note);
        put->row.old_side = store_op_keep(op, row->old_side);
        put->row.new_side = store_op_keep(op, row->new_side);
    }
    return store_submit(store, ask, op, is_good);
}

/* ---- reading ---- */

static int run_find(struct sql *sql, struct store_op *op)
{
    struct read_op *find = container_of(op, struct read_op, op);
    struct sql_query query =
        sql_ask(sql, "SELECT model, from_target, to_target, state, run, share_ppm, reason, note, "
                     "old_side, new_side, changed_us FROM migrations WHERE model = ?");
    struct migration_row *row = store_op_alloc(op, 1, sizeof(*row));
    int err;

    sql_bind_text(&query, find->model);
    if (!row && !query.err)
        query.err = ERR_NOMEM;
    op->rows = row;
    if (row && sql_next(&query)) {
        op->count = 1;
        row->model = store_op_column(op, &query, 0);
        row->from = store_op_column(op, &query, 1);
        row->to = store_op_column(op, &query, 2);
        row->state = store_op_column(op, &query, 3);
        row->run = sql_u64(&query, 4);
        row->share_ppm = sql_u32(&query, 5);
        row->reason = store_op_column(op, &query, 6);
        row->note = store_op_column(op, &query, 7);
        row->old_side = store_op_column(op, &query, 8);
        row->new_side = store_op_column(op, &query, 9);
        row->changed_wall_us = sql_u64(&query, 10);
    }
    err = sql_end(&query);
    return err || op->count ? err : ERR_NOTFOUND;
}

static int run_history(struct sql *sql, struct store_op *op)
{
    struct read_op *history = container_of(op, struct read_op, op);
    struct sql_query query =
        sql_ask(sql, "SELECT seq, at_us, run, from_state, to_state, share_ppm, reason "
                     "FROM migration_moves WHERE model = ? ORDER BY seq DESC LIMIT ?");
    struct migration_move *moves = store_op_alloc(op, history->limit, sizeof(*moves));

    sql_bind_text(&query, history->model);
    sql_bind_u64(&query, history->limit);
    if (!moves && !query.err)
        query.err = ERR_NOMEM;
    op->rows = moves;
    while (moves && op->count < history->limit && sql_next(&query)) {
        struct migration_move *move = &moves[op->count++];

        move->seq = sql_u64(&query, 0);
        move->at_wall_us = sql_u64(&query, 1);
        move->run = sql_u64(&query, 2);
        move->from = store_op_column(op, &query, 3);
        move->to = store_op_column(op, &query, 4);
        move->share_ppm = sql_u32(&query, 5);
        move->reason = store_op_column(op, &query, 6);
    }
    return sql_end(&query);
}

static const struct store_op_kind find_kind = {.is_write = false, .run = run_find};
static const struct store_op_kind history_kind = {.is_write = false, .run = run_history};

static int submit_read(struct store *store, struct store_ask *ask, const struct store_op_kind *kind,
                       struct span model, size_t limit)
{
    struct read_op *read = store_op_new(sizeof(*read), kind);
    struct store_op *op = read ? &read->op : NULL;

    if (read) {
        read->model = store_op_keep(op, model);
        read->limit = limit;
    }
    return store_submit(store, ask, op,
                        text_is_name(model) && limit >= 1 && limit <= STORE_MAX_ROWS);
}

int migrations_find(struct store *store, struct store_ask *ask, struct span model)
{
    return submit_read(store, ask, &find_kind, model, 1);
}

int migrations_history(struct store *store, struct store_ask *ask, struct span model, size_t limit)
{
    return submit_read(store, ask, &history_kind, model, limit);
}

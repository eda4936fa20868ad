#include "store/rotations.h"

#include "base/err.h"
#include "store/op.h"
#include "store/text.h"

struct row_op {
    struct store_op op;
    struct rotation_row row;
    uint64_t at_wall_us;
};

struct page_op {
    struct store_op op;
    struct rotations_page page;
    struct span id;
};

struct prune_op {
    struct store_op op;
    uint64_t before_wall_us;
};

/* ---- writing ---- */

static int add_move(struct sql *sql, uint64_t rotation, struct span from,
                    const struct rotation_row *row, uint64_t at_wall_us)
{
    struct sql_query query =
        sql_ask(sql, "INSERT INTO rotation_moves (rotation, at_us, from_state, to_state, step, "
                     "reason) VALUES (?, ?, ?, ?, ?, ?)");

    sql_bind_u64(&query, rotation);
    sql_bind_u64(&query, at_wall_us);
    sql_bind_text(&query, from);
    sql_bind_text(&query, row->state);
    sql_bind_u64(&query, row->step);
    sql_bind_text(&query, row->reason);
    sql_next(&query);
    return sql_end(&query);
}

static int run_add(struct sql *sql, struct store_op *op)
{
    const struct rotation_row *row = &container_of(op, struct row_op, op)->row;
    struct sql_query query =
        sql_ask(sql, "INSERT INTO rotations (id, provider, cause, started_us, predecessor, "
                     "successor, predecessor_id, successor_id, state, step, until_us, ended_us, "
                     "reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    int err;

    sql_bind_text(&query, row->id);
    sql_bind_text(&query, row->provider);
    sql_bind_text(&query, row->cause);
    sql_bind_u64(&query, row->started_wall_us);
    sql_bind_text(&query, row->predecessor);
    sql_bind_text(&query, row->successor);
    sql_bind_text(&query, row->predecessor_id);
    sql_bind_text(&query, row->successor_id);
    sql_bind_text(&query, row->state);
    sql_bind_u64(&query, row->step);
    sql_bind_u64(&query, row->until_wall_us);
    sql_bind_u64(&query, row->ended_wall_us);
    sql_bind_text(&query, row->reason);
    sql_next(&query);
    err = sql_end(&query);
    if (!err)
        err = add_move(sql, sql_inserted(sql), SPAN(""), row, row->started_wall_us);
    op->count = err ? 0 : 1;
    return err;
}

/* The line of history that an update needs; ERR_NOTFOUND where there is no such rotation. */
static int note_move(struct sql *sql, const struct rotation_row *row, uint64_t at_wall_us)
{
    struct sql_query query =
        sql_ask(sql, "SELECT seq, state, step, reason FROM rotations WHERE id = ?");
    int err = 0;

    sql_bind_text(&query, row->id);
    if (!sql_next(&query))
        err = ERR_NOTFOUND;
    else if (!span_is_equal(sql_text(&query, 1), row->state) || sql_u32(&query, 2) != row->step ||
             !span_is_equal(sql_text(&query, 3), row->reason))
        err = add_move(sql, sql_u64(&query, 0), sql_text(&query, 1), row, at_wall_us);
    return sql_end(&query) ? query.err : err;
}

static int run_update(struct sql *sql, struct store_op *op)
{
    const struct row_op *update = container_of(op, struct row_op, op);
    const struct rotation_row *row = &update->row;
    struct sql_query query;
    int err = note_move(sql, row, update->at_wall_us);

    if (err)
        return err;
    query = sql_ask(sql, "UPDATE rotations SET predecessor = ?, successor = ?, "
                         "predecessor_id = ?, successor_id = ?, state = ?, step = ?, "
                         "until_us = ?, ended_us = ?, reason = ? WHERE id = ?");
    sql_bind_text(&query, row->predecessor);
    sql_bind_text(&query, row->successor);
    sql_bind_text(&query, row->predecessor_id);
    sql_bind_text(&query, row->successor_id);
    sql_bind_text(&query, row->state);
    sql_bind_u64(&query, row->step);
    sql_bind_u64(&query, row->until_wall_us);
    sql_bind_u64(&query, row->ended_wall_us);
    sql_bind_text(&query, row->reason);
    sql_bind_text(&query, row->id);
    sql_next(&query);
    op->count = query.err ? 0 : 1;
    return sql_end(&query);
}

static const struct store_op_kind add_kind = {.is_write = true, .run = run_add};
static const struct store_op_kind update_kind = {.is_write = true, .run = run_update};

static bool is_sound(const struct rotation_row *row)
{
    return text_is_name(row->id) && text_is_name(row->provider) &&
           text_is_name_or_none(row->predecessor) && text_is_name_or_none(row->successor) &&
           text_is_id_or_none(row->predecessor_id) && text_is_id_or_none(row->successor_id) &&
           text_is_word(row->cause) && text_is_word(row->state) && row->started_wall_us > 0;
}

static int submit_row(struct store *store, struct store_ask *ask, const struct store_op_kind *kind,
                      const struct rotation_row *row, uint64_t at_wall_us)
{
    struct row_op *put = store_op_new(sizeof(*put), kind);
    struct store_op *op = put ? &put->op : NULL;
    bool is_good = is_sound(row);

    if (put && is_good) {
        put->at_wall_us = at_wall_us;
        put->row = *row;
        put->row.id = store_op_keep(op, row->id);
        put->row.provider = store_op_keep(op, row->provider);
        put->row.predecessor = store_op_keep(op, row->predecessor);
        put->row.successor = store_op_keep(op, row->successor);
        put->row.predecessor_id = store_op_keep(op, row->predecessor_id);
        put->row.successor_id = store_op_keep(op, row->successor_id);
        put->row.cause = store_op_keep(op, row->cause);
        put->row.state = store_op_keep(op, row->state);
        put->row.reason = store_op_keep_reason(op, row->reason);
    }
    return store_submit(store, ask, op, is_good);
}

int rotations_add(struct store *store, struct store_ask *ask, const struct rotation_row *row)
{
    return submit_row(store, ask, &add_kind, row, row->started_wall_us);
}

int rotations_update(struct store *store, struct store_ask *ask, const struct rotation_row *row,
                     uint64_t at_wall_us)
{
    return submit_row(store, ask, &update_kind, row, at_wall_us);
}

/* ---- reading ---- */

#define ROTATION_COLUMNS                                                                           \
    "seq, id, provider, predecessor, successor, predecessor_id, successor_id, cause, state, "      \
    "reason, step, started_us, until_us, ended_us"

static void read_row(struct store_op *op, struct sql_query *query, struct rotation_row *row)
{
    row->seq = sql_u64(query, 0);
    row->id = store_op_column(op, query, 1);
    row->provider = store_op_column(op, query, 2);
    row->predecessor = store_op_column(op, query, 3);
    row->successor = store_op_column(op, query, 4);
    row->predecessor_id = store_op_column(op, query, 5);
    row->successor_id = store_op_column(op, query, 6);
    row->cause = store_op_column(op, query, 7);
    row->state = store_op_column(op, query, 8);
    row->reason = store_op_column(op, query, 9);
    row->step = sql_u32(query, 10);
    row->started_wall_us = sql_u64(query, 11);
    row->until_wall_us = sql_u64(query, 12);
    row->ended_wall_us = sql_u64(query, 13);
}

static int read_rows(struct store_op *op, struct sql_query *query, size_t limit)
{
    struct rotation_row *rows = store_op_alloc(op, limit, sizeof(*rows));

    if (!rows && !query->err)
        query->err = ERR_NOMEM;
    op->rows = rows;
    while (rows && op->count < limit && sql_next(query))
        read_row(op, query, &rows[op->count++]);
    return sql_end(query);
}

static int run_list(struct sql *sql, struct store_op *op)
{
    const struct rotations_page *page = &container_of(op, struct page_op, op)->page;
    struct sql_query query;

    if (page->provider.len) {
        query = sql_ask(sql, "SELECT " ROTATION_COLUMNS " FROM rotations WHERE provider = ? AND "
                             "seq < ? AND (? = 0 OR ended_us = 0) ORDER BY seq DESC LIMIT ?");
        sql_bind_text(&query, page->provider);
    } else {
        query = sql_ask(sql, "SELECT " ROTATION_COLUMNS " FROM rotations WHERE seq < ? AND "
                             "(? = 0 OR ended_us = 0) ORDER BY seq DESC LIMIT ?");
    }
    sql_bind_u64(&query, page->before_seq ? page->before_seq : UINT64_MAX);
    sql_bind_u64(&query, page->is_open);
    sql_bind_u64(&query, page->limit);
    return read_rows(op, &query, page->limit);
}

static int run_find(struct sql *sql, struct store_op *op)
{
    struct page_op *find = container_of(op, struct page_op, op);
    struct sql_query query =
        sql_ask(sql, "SELECT " ROTATION_COLUMNS " FROM rotations WHERE id = ?");
    int err;

    sql_bind_text(&query, find->id);
    err = read_rows(op, &query, 1);
    return err || op->count ? err : ERR_NOTFOUND;
}

static int run_history(struct sql *sql, struct store_op *op)
{
    struct page_op *history = container_of(op, struct page_op, op);
    struct sql_query query =
        sql_ask(sql, "SELECT m.seq, m.at_us, m.from_state, m.to_state, m.step, m.reason "
                     "FROM rotation_moves AS m JOIN rotations AS r ON r.seq = m.rotation "
                     "WHERE r.id = ? AND m.seq > ? ORDER BY m.seq LIMIT ?");
    struct rotation_move *moves = store_op_alloc(op, history->page.limit, sizeof(*moves));

    sql_bind_text(&query, history->id);
    sql_bind_u64(&query, history->page.before_seq);
    sql_bind_u64(&query, history->page.limit);
    if (!moves && !query.err)
        query.err = ERR_NOMEM;
    op->rows = moves;
    while (moves && op->count < history->page.limit && sql_next(&query)) {
        struct rotation_move *move = &moves[op->count++];

        move->seq = sql_u64(&query, 0);
        move->at_wall_us = sql_u64(&query, 1);
        move->from = store_op_column(op, &query, 2);
        move->to = store_op_column(op, &query, 3);
        move->step = sql_u32(&query, 4);
        move->reason = store_op_column(op, &query, 5);
    }
    return sql_end(&query);
}

static const struct store_op_kind list_kind = {.is_write = false, .run = run_list};
static const struct store_op_kind find_kind = {.is_write = false, .run = run_find};
static const struct store_op_kind history_kind = {.is_write = false, .run = run_history};

static int submit_page(struct store *store, struct store_ask *ask, const struct store_op_kind *kind,
                       const struct rotations_page *page, struct span id)
{
    struct page_op *read = store_op_new(sizeof(*read), kind);
    struct store_op *op = read ? &read->op : NULL;
    bool is_good = page->limit >= 1 && page->limit <= STORE_MAX_ROWS;

    if (read) {
        read->page = *page;
        read->page.provider = store_op_keep(op, page->provider);
        read->id = store_op_keep(op, id);
    }
    return store_submit(store, ask, op, is_good);
}

int rotations_list(struct store *store, struct store_ask *ask, const struct rotations_page *page)
{
    return submit_page(store, ask, &list_kind, page, SPAN(""));
}

int rotations_find(struct store *store, struct store_ask *ask, struct span id)
{
    return submit_page(store, ask, &find_kind, &(struct rotations_page){.limit = 1}, id);
}

int rotations_history(struct store *store, struct store_ask *ask, struct span id,
                      uint64_t after_seq, size_t limit)
{
    const struct rotations_page page = {.before_seq = after_seq, .limit = limit};

    return submit_page(store, ask, &history_kind, &page, id);
}

/* ---- pruning ---- */

static int run_prune(struct sql *sql, struct store_op *op)
{
    struct prune_op *prune = container_of(op, struct prune_op, op);
    struct sql_query query =
        sql_ask(sql, "DELETE FROM rotations WHERE ended_us > 0 AND ended_us < ? AND seq IN "
                     "(SELECT seq FROM (SELECT seq, row_number() OVER (PARTITION BY provider "
                     "ORDER BY seq DESC) AS place FROM rotations) WHERE place > ?)");

    sql_bind_u64(&query, prune->before_wall_us);
    sql_bind_u64(&query, ROTATIONS_KEPT);
    sql_next(&query);
    op->count = query.err ? 0 : sql_changes(sql);
    return sql_end(&query);
}

static const struct store_op_kind prune_kind = {.is_write = true, .run = run_prune};

int rotations_prune(struct store *store, struct store_ask *ask, uint64_t before_wall_us)
{
    struct prune_op *prune = store_op_new(sizeof(*prune), &prune_kind);

    if (prune)
        prune->before_wall_us = before_wall_us;
    return store_submit(store, ask, prune ? &prune->op : NULL, true);
}

#include "store/client_keys.h"

#include <string.h>

#include "base/err.h"
#include "store/op.h"
#include "store/text.h"

struct put_op {
    struct store_op op;
    struct client_key_row row;
};

struct forget_op {
    struct store_op op;
    struct span id;
};

/* ---- writing ---- */

static int put_row(struct sql *sql, const struct client_key_row *row)
{
    struct sql_query query = sql_ask(
        sql, "INSERT INTO client_keys (id, name, class, digest, rpm, tpm, concurrent, burst, "
             "created_us, expires_us, revoked_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
             "ON CONFLICT (id) DO UPDATE SET name = excluded.name, class = excluded.class, "
             "digest = excluded.digest, rpm = excluded.rpm, tpm = excluded.tpm, "
             "concurrent = excluded.concurrent, burst = excluded.burst, "
             "created_us = excluded.created_us, expires_us = excluded.expires_us, "
             "revoked_us = excluded.revoked_us");

    sql_bind_text(&query, row->id);
    sql_bind_text(&query, row->name);
    sql_bind_text(&query, row->class_name);
    sql_bind_bytes(&query, span_of((const char *)row->sha256, sizeof(row->sha256)));
    sql_bind_u64(&query, row->rpm);
    sql_bind_u64(&query, row->tpm);
    sql_bind_u64(&query, row->concurrent);
    sql_bind_u64(&query, row->burst);
    sql_bind_u64(&query, row->created_wall_us);
    sql_bind_u64(&query, row->expires_wall_us);
    sql_bind_u64(&query, row->revoked_wall_us);
    sql_next(&query);
    return sql_end(&query);
}

static int drop_models(struct sql *sql, struct span id)
{
    struct sql_query query = sql_ask(sql, "DELETE FROM client_key_models WHERE id = ?");

    sql_bind_text(&query, id);
    sql_next(&query);
    return sql_end(&query);
}

static int add_model(struct sql *sql, struct span id, size_t place, struct span model)
{
    struct sql_query query =
        sql_ask(sql, "INSERT INTO client_key_models (id, place, model) VALUES (?, ?, ?)");

    sql_bind_text(&query, id);
    sql_bind_u64(&query, place);
    sql_bind_text(&query, model);
    sql_next(&query);
    return sql_end(&query);
}

static int run_put(struct sql *sql, struct store_op *op)
{
    const struct client_key_row *row = &container_of(op, struct put_op, op)->row;
    int err = put_row(sql, row);

    if (!err)
        err = drop_models(sql, row->id);
    for (size_t i = 0; !err && i < row->model_count; i++)
        err = add_model(sql, row->id, i, row->models[i]);
    op->count = err ? 0 : 1;
    return err;
}

static const struct store_op_kind put_kind = {.is_write = true, .run = run_put};

static bool is_sound(const struct client_key_row *row)
{
    if (!text_is_name(row->id) || !text_is_name(row->name) || !text_is_name(row->class_name) ||
        row->model_count > CLIENT_KEYS_MAX_MODELS)
        return false;
    for (size_t i = 0; i < row->model_count; i++)
        if (!text_is_name(row->models[i]))
            return false;
    return true;
}

static void keep_row(struct store_op *op, const struct client_key_row *from,
                     struct client_key_row *to)
{
    struct span *models = store_op_alloc(op, from->model_count, sizeof(*models));

    *to = *from;
    to->id = store_op_keep(op, from->id);
    to->name = store_op_keep(op, from->name);
    to->class_name = store_op_keep(op, from->class_name);
    to->models = models;
    for (size_t i = 0; models && i < from->model_count; i++)
        models[i] = store_op_keep(op, from->models[i]);
}

int client_keys_put(struct store *store, struct store_ask *ask, const struct client_key_row *row)
{
    struct put_op *put = store_op_new(sizeof(*put), &put_kind);
    bool is_good = is_sound(row);

    if (put && is_good)
        keep_row(&put->op, row, &put->row);
    return store_submit(store, ask, put ? &put->op : NULL, is_good);
}

/* ---- forgetting ---- */

static int run_forget(struct sql *sql, struct store_op *op)
{
    struct sql_query query = sql_ask(sql, "DELETE FROM client_keys WHERE id = ?");

    sql_bind_text(&query, container_of(op, struct forget_op, op)->id);
    sql_next(&query);
    op->count = query.err ? 0 : sql_changes(sql);
    return sql_end(&query);
}

static const struct store_op_kind forget_kind = {.is_write = true, .run = run_forget};

int client_keys_forget(struct store *store, struct store_ask *ask, struct span id)
{
    struct forget_op *forget = store_op_new(sizeof(*forget), &forget_kind);

    if (forget)
        forget->id = store_op_keep(&forget->op, id);
    return store_submit(store, ask, forget ? &forget->op : NULL, text_is_name(id));
}

/* ---- loading ---- */

static int count_rows(struct sql *sql, const char *text, size_t *ret_count)
{
    struct sql_query query = sql_ask(sql, text);

    *ret_count = sql_next(&query) ? (size_t)sql_u64(&query, 0) : 0;
    return sql_end(&query);
}

static void read_row(struct store_op *op, struct sql_query *query, struct client_key_row *row)
{
    struct span sha256;

    row->id = store_op_column(op, query, 0);
    row->name = store_op_column(op, query, 1);
    row->class_name = store_op_column(op, query, 2);
    sha256 = sql_text(query, 3);
    memcpy(row->sha256, sha256.ptr,
           sha256.len < sizeof(row->sha256) ? sha256.len : sizeof(row->sha256));
    row->rpm = sql_u64(query, 4);
    row->tpm = sql_u64(query, 5);
    row->concurrent = sql_u64(query, 6);
    row->burst = sql_u64(query, 7);
    row->created_wall_us = sql_u64(query, 8);
    row->expires_wall_us = sql_u64(query, 9);
    row->revoked_wall_us = sql_u64(query, 10);
}

static int read_rows(struct sql *sql, struct store_op *op, struct client_key_row *rows, size_t room)
{
    struct sql_query query =
        sql_ask(sql, "SELECT id, name, class, digest, rpm, tpm, concurrent, burst, created_us, "
                     "expires_us, revoked_us FROM client_keys ORDER BY created_us DESC, id DESC "
                     "LIMIT ?");

    sql_bind_u64(&query, room);
    while (op->count < room && sql_next(&query))
        read_row(op, &query, &rows[op->count++]);
    return sql_end(&query);
}

/* The newest were read; they are told oldest first. */
static void turn_around(struct client_key_row *rows, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct client_key_row row = rows[i];

        rows[i] = rows[count - 1 - i];
        rows[count - 1 - i] = row;
    }
}

/* Those of one key stand side by side in one array for all. */
static int read_models(struct sql *sql, struct client_key_row *row, struct store_op *op,
                       struct span *models, size_t room, size_t *at)
{
    struct sql_query query =
        sql_ask(sql, "SELECT model FROM client_key_models WHERE id = ? ORDER BY place");

    row->models = models + *at;
    sql_bind_text(&query, row->id);
    while (*at < room && sql_next(&query)) {
        models[(*at)++] = store_op_column(op, &query, 0);
        row->model_count++;
    }
    return sql_end(&query);
}

static int run_load(struct sql *sql, struct store_op *op)
{
    struct client_key_row *rows = NULL;
    size_t count = 0, model_count = 0, at = 0;
    struct span *models = NULL;
    int err = count_rows(sql, "SELECT count(*) FROM client_keys", &count);

    if (!err)
        err = count_rows(sql, "SELECT count(*) FROM client_key_models", &model_count);
    if (err || count == 0)
        return err;
    count = count < CLIENT_KEYS_MAX ? count : CLIENT_KEYS_MAX;
    rows = store_op_alloc(op, count, sizeof(*rows));
    models = store_op_alloc(op, model_count, sizeof(*models));
    if (!rows || (model_count && !models))
        return ERR_NOMEM;
    op->rows = rows;
    err = read_rows(sql, op, rows, count);
    turn_around(rows, op->count);
    for (size_t i = 0; !err && model_count && i < op->count; i++)
        err = read_models(sql, &rows[i], op, models, model_count, &at);
    return err;
}

static const struct store_op_kind load_kind = {.is_write = false, .run = run_load};

int client_keys_load(struct store *store, struct store_ask *ask)
{
    return store_submit(store, ask, store_op_new(sizeof(struct store_op), &load_kind), true);
}

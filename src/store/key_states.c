#include "store/key_states.h"

#include <string.h>

#include "base/err.h"
#include "store/op.h"
#include "store/text.h"

struct put_op {
    struct store_op op;
    struct key_state *states;
    size_t count;
    uint64_t wall_us;
};

struct forget_op {
    struct store_op op;
    const uint8_t (*identities)[STORE_IDENTITY_BYTES];
    size_t count;
};

static struct span identity_of(const struct key_state *state)
{
    return span_of((const char *)state->identity, sizeof(state->identity));
}

/* ---- writing ---- */

/* Whether the row was new, or other than what was kept. */
static int put_row(struct sql *sql, const struct key_state *state, uint64_t wall_us,
                   bool *ret_is_changed)
{
    struct sql_query query = sql_ask(
        sql, "INSERT INTO key_states (identity, provider, name, wish, health, weight_milli, "
             "said_milli, until_us, failures, breaker, breaker_until_us, changed_us) "
             "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
             "ON CONFLICT (identity) DO UPDATE SET provider = excluded.provider, "
             "name = excluded.name, wish = excluded.wish, health = excluded.health, "
             "weight_milli = excluded.weight_milli, said_milli = excluded.said_milli, "
             "until_us = excluded.until_us, "
             "failures = excluded.failures, breaker = excluded.breaker, "
             "breaker_until_us = excluded.breaker_until_us, changed_us = excluded.changed_us "
             "WHERE (provider, name, wish, health, weight_milli, said_milli, until_us, failures, "
             "breaker, "
             "breaker_until_us) IS NOT (excluded.provider, excluded.name, excluded.wish, "
             "excluded.health, excluded.weight_milli, excluded.said_milli, excluded.until_us, "
             "excluded.failures, "
             "excluded.breaker, excluded.breaker_until_us)");

    sql_bind_bytes(&query, identity_of(state));
    sql_bind_text(&query, state->provider);
    sql_bind_text(&query, state->name);
    sql_bind_text(&query, state->wish);
    sql_bind_text(&query, state->health);
    sql_bind_u64(&query, state->weight_milli);
    sql_bind_u64(&query, state->said_milli);
    sql_bind_u64(&query, state->until_wall_us);
    sql_bind_u64(&query, state->failures);
    sql_bind_text(&query, state->breaker);
    sql_bind_u64(&query, state->breaker_until_wall_us);
    sql_bind_u64(&query, wall_us);
    sql_next(&query);
    *ret_is_changed = !query.err && sql_changes(sql) > 0;
    return sql_end(&query);
}

/* The place of that model among those of the key; their number where it is none of them. */
static size_t find_aside(const struct key_state *state, struct span model)
{
    size_t place = 0;

    while (place < state->aside_count && !span_is_equal(state->asides[place].model, model))
        place++;
    return place;
}

/* Whether what is kept of the key's models is what its state says. */
static int compare_asides(struct sql *sql, const struct key_state *state, bool *ret_is_same)
{
    struct sql_query query =
        sql_ask(sql, "SELECT model, state, until_us FROM key_asides WHERE identity = ?");
    size_t same = 0, kept = 0;

    sql_bind_bytes(&query, identity_of(state));
    while (sql_next(&query)) {
        size_t place = find_aside(state, sql_text(&query, 0));

        kept++;
        same += place < state->aside_count &&
                span_is_equal(sql_text(&query, 1), state->asides[place].state) &&
                sql_u64(&query, 2) == state->asides[place].until_wall_us;
    }
    *ret_is_same = same == kept && same == state->aside_count;
    return sql_end(&query);
}

static int drop_asides(struct sql *sql, const struct key_state *state)
{
    struct sql_query query = sql_ask(sql, "DELETE FROM key_asides WHERE identity = ?");

    sql_bind_bytes(&query, identity_of(state));
    sql_next(&query);
    return sql_end(&query);
}

static int add_aside(struct sql *sql, const struct key_state *state,
                     const struct key_state_aside *aside)
{
    struct sql_query query = sql_ask(sql, "INSERT INTO key_asides (identity, model, "
                                          "state, until_us) VALUES (?, ?, ?, ?)");

    sql_bind_bytes(&query, identity_of(state));
    sql_bind_text(&query, aside->model);
    sql_bind_text(&query, aside->state);
    sql_bind_u64(&query, aside->until_wall_us);
    sql_next(&query);
    return sql_end(&query);
}

static int put_asides(struct sql *sql, const struct key_state *state, uint64_t wall_us,
                      bool *ret_is_changed)
{
    struct sql_query query;
    bool is_same;
    int err = compare_asides(sql, state, &is_same);

    *ret_is_changed = !err && !is_same;
    if (err || is_same)
        return err;
    err = drop_asides(sql, state);
    for (size_t i = 0; !err && i < state->aside_count; i++)
        err = add_aside(sql, state, &state->asides[i]);
    if (err)
        return err;
    query = sql_ask(sql, "UPDATE key_states SET changed_us = ? WHERE identity = ?");
    sql_bind_u64(&query, wall_us);
    sql_bind_bytes(&query, identity_of(state));
    sql_next(&query);
    return sql_end(&query);
}

static int run_put(struct sql *sql, struct store_op *op)
{
    struct put_op *put = container_of(op, struct put_op, op);
    int err = 0;

    for (size_t i = 0; !err && i < put->count; i++) {
        bool is_row_new = false, are_asides_new = false;

        err = put_row(sql, &put->states[i], put->wall_us, &is_row_new);
        if (!err)
            err = put_asides(sql, &put->states[i], put->wall_us, &are_asides_new);
        op->count += is_row_new || are_asides_new;
    }
    return err;
}

static const struct store_op_kind put_kind = {.is_write = true, .run = run_put};

static bool is_sound(const struct key_state *state)
{
    if (!text_is_name(state->provider) || !text_is_name(state->name) ||
        !text_is_word(state->wish) || !text_is_word(state->health) ||
        !text_is_word(state->breaker) || state->aside_count > KEY_STATE_MAX_ASIDES)
        return false;
    for (size_t i = 0; i < state->aside_count; i++)
        if (!text_is_word(state->asides[i].state))
            return false;
    return true;
}

/* One that is named twice, once its name was made fit, is kept once: as it stands last. */
static void keep_asides(struct store_op *op, const struct key_state *from, struct key_state *to)
{
    struct key_state_aside *asides = store_op_alloc(op, from->aside_count, sizeof(*asides));

    to->asides = asides;
    to->aside_count = 0;
    for (size_t i = 0; asides && i < from->aside_count; i++) {
        struct span model = store_op_keep_foreign(op, from->asides[i].model);
        size_t place = find_aside(to, model);

        if (!model.len)
            continue;
        asides[place] =
            (struct key_state_aside){.model = model,
                                     .state = store_op_keep(op, from->asides[i].state),
                                     .until_wall_us = sql_kept(from->asides[i].until_wall_us)};
        to->aside_count += place == to->aside_count;
    }
}

static void keep_state(struct store_op *op, const struct key_state *from, struct key_state *to)
{
    *to = *from;
    to->provider = store_op_keep(op, from->provider);
    to->name = store_op_keep(op, from->name);
    to->wish = store_op_keep(op, from->wish);
    to->health = store_op_keep(op, from->health);
    to->breaker = store_op_keep(op, from->breaker);
    keep_asides(op, from, to);
}

int key_states_put(struct store *store, struct store_ask *ask, const struct key_state *states,
                   size_t count)
{
    struct put_op *put = store_op_new(sizeof(*put), &put_kind);
    bool are_sound = count <= KEY_STATES_MAX;

    for (size_t i = 0; are_sound && i < count; i++)
        are_sound = is_sound(&states[i]);
    if (put && are_sound) {
        put->wall_us = store_wall_us(store);
        put->states = store_op_alloc(&put->op, count, sizeof(*put->states));
        put->count = put->states ? count : 0;
        for (size_t i = 0; i < put->count && !put->op.err; i++)
            keep_state(&put->op, &states[i], &put->states[i]);
    }
    return store_submit(store, ask, put ? &put->op : NULL, are_sound);
}

/* ---- forgetting ---- */

static int run_forget(struct sql *sql, struct store_op *op)
{
    struct forget_op *forget = container_of(op, struct forget_op, op);
    int err = 0;

    for (size_t i = 0; !err && i < forget->count; i++) {
        struct sql_query query = sql_ask(sql, "DELETE FROM key_states WHERE identity = ?");

        sql_bind_bytes(&query, span_of((const char *)forget->identities[i], STORE_IDENTITY_BYTES));
        sql_next(&query);
        op->count += query.err ? 0 : sql_changes(sql);
        err = sql_end(&query);
    }
    return err;
}

static const struct store_op_kind forget_kind = {.is_write = true, .run = run_forget};

int key_states_forget(struct store *store, struct store_ask *ask,
                      const uint8_t (*identities)[STORE_IDENTITY_BYTES], size_t count)
{
    struct forget_op *forget = store_op_new(sizeof(*forget), &forget_kind);
    bool are_sound = count <= KEY_STATES_MAX;
    uint8_t *copies = NULL;

    if (forget && are_sound)
        copies = store_op_alloc(&forget->op, count, STORE_IDENTITY_BYTES);
    if (copies) {
        memcpy(copies, identities, count * STORE_IDENTITY_BYTES);
        forget->identities = (const uint8_t(*)[STORE_IDENTITY_BYTES])copies;
        forget->count = count;
    }
    return store_submit(store, ask, forget ? &forget->op : NULL, are_sound);
}

/* ---- loading ---- */

static int count_rows(struct sql *sql, const char *text, size_t *ret_count)
{
    struct sql_query query = sql_ask(sql, text);

    *ret_count = sql_next(&query) ? (size_t)sql_u64(&query, 0) : 0;
    return sql_end(&query);
}

static void read_state(struct store_op *op, struct sql_query *query, struct key_state *state)
{
    struct span identity = sql_text(query, 0);

    memcpy(state->identity, identity.ptr,
           identity.len < sizeof(state->identity) ? identity.len : sizeof(state->identity));
    state->provider = store_op_column(op, query, 1);
    state->name = store_op_column(op, query, 2);
    state->wish = store_op_column(op, query, 3);
    state->health = store_op_column(op, query, 4);
    state->weight_milli = sql_u32(query, 5);
    state->said_milli = sql_u32(query, 6);
    state->until_wall_us = sql_u64(query, 7);
    state->failures = sql_u32(query, 8);
    state->breaker = store_op_column(op, query, 9);
    state->breaker_until_wall_us = sql_u64(query, 10);
    state->changed_wall_us = sql_u64(query, 11);
}

static int read_states(struct sql *sql, struct store_op *op, struct key_state *states, size_t room)
{
    struct sql_query query = sql_ask(
        sql, "SELECT identity, provider, name, wish, health, weight_milli, said_milli, until_us, "
             "failures, breaker, breaker_until_us, changed_us FROM key_states ORDER BY identity");

    while (op->count < room && sql_next(&query))
        read_state(op, &query, &states[op->count++]);
    return sql_end(&query);
}

/* Both come in the order of the identities, so that one walk beside the other finds whose they are;
 * a key's stand side by side in one array for all. */
static int read_asides(struct sql *sql, struct store_op *op, struct key_state *states,
                       struct key_state_aside *asides, size_t room)
{
    struct sql_query query = sql_ask(
        sql, "SELECT identity, model, state, until_us FROM key_asides ORDER BY identity, model");
    size_t at = 0;

    for (size_t i = 0; i < room && sql_next(&query); i++) {
        struct span identity = sql_text(&query, 0);

        while (at < op->count && !span_is_equal(identity_of(&states[at]), identity))
            at++;
        if (at == op->count)
            break;
        asides[i].model = store_op_column(op, &query, 1);
        asides[i].state = store_op_column(op, &query, 2);
        asides[i].until_wall_us = sql_u64(&query, 3);
        if (states[at].aside_count++ == 0)
            states[at].asides = &asides[i];
    }
    return sql_end(&query);
}

static int run_load(struct sql *sql, struct store_op *op)
{
    size_t count = 0, aside_count = 0;
    struct key_state *states = NULL;
    struct key_state_aside *asides = NULL;
    int err = count_rows(sql, "SELECT count(*) FROM key_states", &count);

    if (!err)
        err = count_rows(sql, "SELECT count(*) FROM key_asides", &aside_count);
    if (err || count == 0)
        return err;
    states = store_op_alloc(op, count, sizeof(*states));
    asides = store_op_alloc(op, aside_count, sizeof(*asides));
    if (!states || (aside_count && !asides))
        return ERR_NOMEM;
    op->rows = states;
    err = read_states(sql, op, states, count);
    return err ? err : read_asides(sql, op, states, asides, aside_count);
}

static const struct store_op_kind load_kind = {.is_write = false, .run = run_load};

int key_states_load(struct store *store, struct store_ask *ask)
{
    return store_submit(store, ask, store_op_new(sizeof(struct store_op), &load_kind), true);
}

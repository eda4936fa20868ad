/* No column can take a secret. Whoever adds one that could has to come by here. */
#include "stage.h"

#include <sqlite3.h>

#include "base/secret.h"
#include "store/audit.h"
#include "store/key_states.h"
#include "store/meta.h"
#include "store/rotations.h"

/* Every column with its kind: n: a number; d: a digest of 32 bytes; w: a word; t: a name or reason;
 * m: numbers by name.
 * A name may be of a model, a key or an address; none of what a credential, a token or a header is
 * called. */
static const char *const columns[] = {
    "audit.action w",
    "audit.actor t",
    "audit.at_us n",
    "audit.detail t",
    "audit.key_name t",
    "audit.origin t",
    "audit.provider t",
    "audit.result w",
    "audit.seq n",
    "client_key_models.id t",
    "client_key_models.model t",
    "client_key_models.place n",
    "client_keys.burst n",
    "client_keys.class t",
    "client_keys.concurrent n",
    "client_keys.created_us n",
    "client_keys.digest d",
    "client_keys.expires_us n",
    "client_keys.id t",
    "client_keys.name t",
    "client_keys.revoked_us n",
    "client_keys.rpm n",
    "client_keys.tpm n",
    "key_asides.identity d",
    "key_asides.model t",
    "key_asides.state w",
    "key_asides.until_us n",
    "key_states.breaker w",
    "key_states.breaker_until_us n",
    "key_states.changed_us n",
    "key_states.failures n",
    "key_states.health w",
    "key_states.identity d",
    "key_states.name t",
    "key_states.provider t",
    "key_states.said_milli n",
    "key_states.until_us n",
    "key_states.weight_milli n",
    "key_states.wish w",
    "meta.changed_us n",
    "meta.name w",
    "meta.value t",
    "migration_moves.at_us n",
    "migration_moves.from_state w",
    "migration_moves.model t",
    "migration_moves.reason t",
    "migration_moves.run n",
    "migration_moves.seq n",
    "migration_moves.share_ppm n",
    "migration_moves.to_state w",
    "migrations.changed_us n",
    "migrations.from_target t",
    "migrations.model t",
    "migrations.new_side m",
    "migrations.note m",
    "migrations.old_side m",
    "migrations.reason t",
    "migrations.run n",
    "migrations.share_ppm n",
    "migrations.state w",
    "migrations.to_target t",
    "rotation_moves.at_us n",
    "rotation_moves.from_state w",
    "rotation_moves.reason t",
    "rotation_moves.rotation n",
    "rotation_moves.seq n",
    "rotation_moves.step n",
    "rotation_moves.to_state w",
    "rotations.cause w",
    "rotations.ended_us n",
    "rotations.id t",
    "rotations.predecessor t",
    "rotations.predecessor_id t",
    "rotations.provider t",
    "rotations.reason t",
    "rotations.seq n",
    "rotations.started_us n",
    "rotations.state w",
    "rotations.step n",
    "rotations.successor t",
    "rotations.successor_id t",
    "rotations.until_us n",
    "totals.changed_us n",
    "totals.kind w",
    "totals.name t",
    "totals.period w",
    "totals.start_us n",
    "totals.sum n",
    "uses.cached_tokens n",
    "uses.changed_us n",
    "uses.cost_nanousd n",
    "uses.input_tokens n",
    "uses.kind w",
    "uses.name t",
    "uses.output_tokens n",
    "uses.period w",
    "uses.reasoning_tokens n",
    "uses.requests n",
    "uses.start_us n",
    "uses.unpriced n",
};

enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static void open_made(struct stage *stage)
{
    stage_open(stage);
    stage_begin(stage, NULL);
    assert_int_equal(meta_set(stage->store, NULL, SPAN("a"), SPAN("b")), 0);
    stage_settle(stage);
}

static void the_columns_are_these(void **state)
{
    static const char statement[] =
        "SELECT t.name || '.' || c.name || ' ' || CASE WHEN c.type = 'INTEGER' THEN 'n' "
        "WHEN c.type = 'BLOB' AND instr(t.sql, 'CHECK (length(' || c.name || ') = 32)') THEN 'd' "
        "WHEN c.type = 'TEXT' AND instr(t.sql, c.name || ' NOT GLOB ''*[^a-z_]*''') THEN 'w' "
        "WHEN c.type = 'TEXT' AND instr(t.sql, 'CHECK (length(CAST(' || c.name || ' AS BLOB))') "
        "THEN 't' WHEN c.type = 'TEXT' AND "
        "instr(t.sql, c.name || ' NOT GLOB ''*[^a-z0-9_=:;,./ -]*''') THEN 'm' "
        "ELSE 'anything' END "
        "FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c "
        "WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY 1";
    sqlite3_stmt *stmt;
    struct stage stage;
    sqlite3 *conn;
    int count = 0;

    open_made(&stage);
    conn = stage_connect(stage.path);
    assert_int_equal(sqlite3_prepare_v2(conn, statement, -1, &stmt, NULL), SQLITE_OK);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const char *column = (const char *)sqlite3_column_text(stmt, 0);

        if (count >= COLUMNS || strcmp(column, columns[count]) != 0)
            fail_msg("unexpected: %s", column);
        count++;
    }
    assert_int_equal(count, COLUMNS);
    sqlite3_finalize(stmt);
    assert_int_equal(stage_number(conn, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' "
                                        "AND name NOT LIKE 'sqlite_%' AND sql NOT LIKE "
                                        "'%STRICT%'"),
                     0);
    sqlite3_close(conn);
    stage_close(&stage);
}

/* Nothing that a matter takes has a place for one. */
#define IS_SECRET(member)                                                                          \
    _Generic((member), struct secret * : 1, const struct secret * : 1, char * : 1, void * : 1,     \
             const void * : 1, default : 0)

static void no_type_takes_a_secret(void **state)
{
    const struct key_state key = {0};
    const struct rotation_row row = {0};
    const struct audit_line line = {0};

    assert_int_equal(IS_SECRET(key.name) + IS_SECRET(key.identity[0]) + IS_SECRET(key.health), 0);
    assert_int_equal(IS_SECRET(row.successor) + IS_SECRET(row.successor_id), 0);
    assert_int_equal(IS_SECRET(line.key) + IS_SECRET(line.detail), 0);
}

/* What SQLite itself says to one who writes past us. */
static void expect_refused(sqlite3 *conn, const char *statement)
{
    if (sqlite3_exec(conn, statement, NULL, NULL, NULL) != SQLITE_CONSTRAINT)
        fail_msg("went through: %s", statement);
}

static void a_secret_by_mistake_has_nowhere_to_go(void **state)
{
    static const char secret[] = "sk-proj-AbCdEf0123456789-this-is-a-secret";
    static char token[4000]; /* one that was exchanged, a PEM, a credentials file */
    struct key_state key = {.provider = SPAN("p"),
                            .name = SPAN("k"),
                            .wish = span_from_text(secret),
                            .health = SPAN("new"),
                            .breaker = SPAN("closed")};
    struct reply reply = {0};
    struct stage stage;
    sqlite3 *conn;

    memset(token, 'A', sizeof(token));
    open_made(&stage);
    assert_int_equal(key_states_put(stage.store, reply_for(&reply), &key, 1), ERR_RANGE);
    key.wish = SPAN("enabled");
    key.health = span_from_text(secret);
    assert_int_equal(key_states_put(stage.store, reply_for(&reply), &key, 1), ERR_RANGE);
    key.health = SPAN("new");
    key.name = span_of(token, sizeof(token));
    assert_int_equal(key_states_put(stage.store, reply_for(&reply), &key, 1), ERR_RANGE);
    assert_int_equal(meta_set(stage.store, reply_for(&reply), span_from_text(secret), SPAN("")),
                     ERR_RANGE);

    conn = stage_connect(stage.path);
    expect_refused(conn, "INSERT INTO key_states VALUES ('sk-proj-AbCdEf0123456789', 'p', 'k', "
                         "'enabled', 'new', 0, 0, 0, 0, 'closed', 0, 0)");
    expect_refused(conn, "INSERT INTO key_states VALUES (CAST('sk-proj-AbCdEf0123456789' AS BLOB), "
                         "'p', 'k', 'enabled', 'new', 0, 0, 0, 0, 'closed', 0, 0)");
    expect_refused(conn, "INSERT INTO key_states VALUES (zeroblob(32), 'p', 'k', 'sk-proj', 'new', "
                         "0, 0, 0, 0, 'closed', 0, 0)");
    expect_refused(conn, "INSERT INTO key_states VALUES (zeroblob(32), 'p', "
                         "hex(randomblob(200)), 'enabled', 'new', 0, 0, 0, 0, 'closed', 0, 0)");
    expect_refused(conn, "INSERT INTO audit VALUES (9, 'sk-proj', 'a', '', 'b', '', '', 'c', '')");
    sqlite3_close(conn);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_columns_are_these),
        cmocka_unit_test(no_type_takes_a_secret),
        cmocka_unit_test(a_secret_by_mistake_has_nowhere_to_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

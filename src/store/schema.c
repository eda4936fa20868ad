#include "store/database.h"

/*
 * What is kept, by version. Rules for what comes next:
 * - A migration that was released stays as it is; a change is a further one, with a dump of the
 *   version before in tests/store/.
 * - No column can take a secret: a column is a number, a digest of 32 bytes, a word (small letters
 *   and "_" alone), a text of bounded length, which is a name or a reason, or a note: numbers by
 *   name, without capital letters. The tests hold the schema to that.
 * - Times are microseconds since the Unix epoch; 0 stands for none.
 */

/* Tables read as tables: clang-format would run them together. */
/* clang-format off */
#define WORD(column)                                                                               \
    column " TEXT NOT NULL CHECK (length(" column ") BETWEEN 1 AND 32"                             \
           " AND " column " NOT GLOB '*[^a-z_]*'),\n"
#define WORD_OR_NONE(column)                                                                       \
    column " TEXT NOT NULL CHECK (length(" column ") <= 32"                                        \
           " AND " column " NOT GLOB '*[^a-z_]*'),\n"
#define NAME(column)                                                                               \
    column " TEXT NOT NULL CHECK (length(CAST(" column " AS BLOB)) BETWEEN 1 AND 256),\n"
#define NAME_OR_NONE(column)                                                                       \
    column " TEXT NOT NULL CHECK (length(CAST(" column " AS BLOB)) <= 256),\n"
#define ID_OR_NONE(column)                                                                         \
    column " TEXT NOT NULL CHECK (length(CAST(" column " AS BLOB)) <= 520),\n"
#define REASON(column)                                                                             \
    column " TEXT NOT NULL CHECK (length(CAST(" column " AS BLOB)) <= 512),\n"
#define ID(column)                                                                                 \
    column " TEXT NOT NULL CHECK (length(CAST(" column " AS BLOB)) BETWEEN 1 AND 520),\n"
#define NOTE(column)                                                                               \
    column " TEXT NOT NULL CHECK (length(" column ") <= 65536"                                     \
           " AND " column " NOT GLOB '*[^a-z0-9_=:;,./ -]*'),\n"
#define NUMBER(column) column " INTEGER NOT NULL CHECK (" column " >= 0),\n"
#define DIGEST(column) column " BLOB NOT NULL CHECK (length(" column ") = 32),\n"

static const char version_1[] =
    /* key_states.h */
    "CREATE TABLE key_states (\n"
    DIGEST("identity")
    NAME("provider")
    NAME("name")
    WORD("wish")
    WORD("health")
    NUMBER("weight_milli")
    NUMBER("said_milli")
    NUMBER("until_us")
    NUMBER("failures")
    WORD("breaker")
    NUMBER("breaker_until_us")
    NUMBER("changed_us")
    "PRIMARY KEY (identity)) STRICT, WITHOUT ROWID;\n"

    "CREATE TABLE key_asides (\n"
    DIGEST("identity")
    NAME("model")
    WORD("state")
    NUMBER("until_us")
    "PRIMARY KEY (identity, model),\n"
    "FOREIGN KEY (identity) REFERENCES key_states ON DELETE CASCADE) STRICT, WITHOUT ROWID;\n"

    /* rotations.h: seq is the order in which they began, whatever the clock said */
    "CREATE TABLE rotations (\n"
    "seq INTEGER PRIMARY KEY AUTOINCREMENT,\n"
    NAME("id")
    NAME("provider")
    NAME_OR_NONE("predecessor")
    NAME_OR_NONE("successor")
    ID_OR_NONE("predecessor_id")
    ID_OR_NONE("successor_id")
    WORD("cause")
    WORD("state")
    NUMBER("step")
    NUMBER("started_us")
    NUMBER("until_us")
    NUMBER("ended_us")
    REASON("reason")
    "UNIQUE (id)) STRICT;\n"
    "CREATE INDEX rotations_by_provider ON rotations (provider, seq);\n"

    "CREATE TABLE rotation_moves (\n"
    "seq INTEGER PRIMARY KEY AUTOINCREMENT,\n"
    NUMBER("rotation")
    NUMBER("at_us")
    WORD_OR_NONE("from_state")
    WORD("to_state")
    NUMBER("step")
    REASON("reason")
    "FOREIGN KEY (rotation) REFERENCES rotations (seq) ON DELETE CASCADE) STRICT;\n"
    "CREATE INDEX rotation_moves_by_rotation ON rotation_moves (rotation, seq);\n"

    /* audit.h */
    "CREATE TABLE audit (\n"
    "seq INTEGER PRIMARY KEY AUTOINCREMENT,\n"
    NUMBER("at_us")
    NAME("actor")
    NAME_OR_NONE("origin")
    WORD("action")
    NAME_OR_NONE("provider")
    NAME_OR_NONE("key_name")
    WORD("result")
    REASON("detail")
    "CHECK (key_name = '' OR provider <> '')) STRICT;\n"
    "CREATE INDEX audit_by_provider ON audit (provider, seq);\n"
    "CREATE INDEX audit_by_key ON audit (provider, key_name, seq);\n"

    /* meta.h */
    "CREATE TABLE meta (\n"
    WORD("name")
    REASON("value")
    NUMBER("changed_us")
    "PRIMARY KEY (name)) STRICT, WITHOUT ROWID;\n";

static const char version_2[] =
    /* client_keys.h */
    "CREATE TABLE client_keys (\n"
    NAME("id")
    NAME("name")
    NAME("class")
    DIGEST("digest")
    NUMBER("rpm")
    NUMBER("tpm")
    NUMBER("concurrent")
    NUMBER("burst")
    NUMBER("created_us")
    NUMBER("expires_us")
    NUMBER("revoked_us")
    "UNIQUE (digest),\n"
    "PRIMARY KEY (id)) STRICT, WITHOUT ROWID;\n"

    "CREATE TABLE client_key_models (\n"
    NAME("id")
    NUMBER("place")
    NAME("model")
    "PRIMARY KEY (id, place),\n"
    "FOREIGN KEY (id) REFERENCES client_keys ON DELETE CASCADE) STRICT, WITHOUT ROWID;\n";

static const char version_3[] =
    /* migrations.h */
    "CREATE TABLE migrations (\n"
    NAME("model")
    ID("from_target")
    ID("to_target")
    WORD("state")
    NUMBER("run")
    NUMBER("share_ppm")
    REASON("reason")
    NOTE("note")
    NOTE("old_side")
    NOTE("new_side")
    NUMBER("changed_us")
    "PRIMARY KEY (model)) STRICT, WITHOUT ROWID;\n"

    "CREATE TABLE migration_moves (\n"
    "seq INTEGER PRIMARY KEY AUTOINCREMENT,\n"
    NAME("model")
    NUMBER("run")
    NUMBER("at_us")
    WORD_OR_NONE("from_state")
    WORD("to_state")
    NUMBER("share_ppm")
    REASON("reason")
    "CHECK (run >= 0)) STRICT;\n"
    "CREATE INDEX migration_moves_by_model ON migration_moves (model, seq);\n";

static const char version_4[] =
    /* totals.h */
    "CREATE TABLE totals (\n"
    WORD("kind")
    ID("name")
    WORD("period")
    NUMBER("start_us")
    NUMBER("sum")
    NUMBER("changed_us")
    "PRIMARY KEY (kind, name, period, start_us)) STRICT, WITHOUT ROWID;\n";

static const char version_5[] =
    /* uses.h: read by period, hence the order of the primary key */
    "CREATE TABLE uses (\n"
    WORD("kind")
    ID("name")
    WORD("period")
    NUMBER("start_us")
    NUMBER("requests")
    NUMBER("input_tokens")
    NUMBER("cached_tokens")
    NUMBER("output_tokens")
    NUMBER("reasoning_tokens")
    NUMBER("cost_nanousd")
    NUMBER("unpriced")
    NUMBER("changed_us")
    "PRIMARY KEY (period, start_us, kind, name)) STRICT, WITHOUT ROWID;\n";

/* clang-format on */

static const struct migration migrations[] = {
    {.text = version_1},
    {.text = version_2},
    {.text = version_3},
    {.text = version_4},
    {.text = version_5},
};

const struct schema store_schema = {migrations, sizeof(migrations) / sizeof(migrations[0])};

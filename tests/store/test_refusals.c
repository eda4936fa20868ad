/* Files that are not for this program: told apart, refused, and left as they are. Older ones are
 * brought up to date. */
#include "stage.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "disk.h"
#include "store/audit.h"
#include "store/database.h"
#include "store/key_states.h"
#include "store/meta.h"
#include "store/rotations.h"

/* A sound file of ours, with something in it. */
static void make_file(struct stage *stage)
{
    const struct audit_line line = {
        .at_wall_us = 1, .actor = SPAN("ops"), .action = SPAN("rotate"), .result = SPAN("done")};

    stage_begin(stage, NULL);
    for (int i = 0; i < 400; i++)
        assert_int_equal(audit_add(stage->store, NULL, &line), 0);
    stage_end(stage);
}

/* Reads and writes are both answered with that error and words, the file is what it was, and the
 * trouble is told once. */
static void expect_refusal(struct stage *stage, int err, const char *words)
{
    struct reply write = {0}, read = {0}, late = {0};
    size_t len, len_after;
    char *before = stage_read(stage->path, &len), *after;

    stage_begin(stage, NULL);
    assert_int_equal(meta_set(stage->store, reply_for(&write), SPAN("a"), SPAN("b")), 0);
    assert_int_equal(meta_get(stage->store, reply_for(&read), SPAN("a")), 0);
    assert_int_equal(stage_await(stage, &write), err);
    assert_int_equal(stage_await(stage, &read), err);
    if (!strstr(write.why, words))
        fail_msg("'%s' is not in: %s", words, write.why);
    assert_non_null(strstr(write.why, stage->folder)); /* which file it is */
    /* Asked again at once it answers the same; later it looks again. */
    assert_int_equal(meta_get(stage->store, reply_for(&late), SPAN("a")), 0);
    assert_int_equal(stage_await(stage, &late), err);
    stage_pass(stage, 6 * US_PER_SEC);
    assert_int_equal(meta_get(stage->store, reply_for(&late), SPAN("a")), 0);
    assert_int_equal(stage_await(stage, &late), err);
    assert_int_equal(stage->tellings, 1);
    assert_int_equal(stage->told.err, err);
    assert_false(stage->told.is_keeping);
    assert_false(store_health(stage->store)->is_open);
    assert_int_equal(store_health(stage->store)->refused, 4);
    assert_int_equal(meta_set(stage->store, NULL, SPAN("a"), SPAN("b")), 0);
    assert_int_equal(store_flush(stage->store), err);
    assert_int_equal(store_health(stage->store)->queued, 1); /* to be told by the next turn */
    stage_settle(stage);
    assert_int_equal(store_health(stage->store)->queued, 0);
    stage_end(stage);
    after = stage_read(stage->path, &len_after);
    assert_int_equal(len, len_after);
    if (before)
        assert_memory_equal(before, after, len);
    free(before);
    free(after);
}

static void a_newer_version_s_file(void **state)
{
    struct stage stage;

    stage_open(&stage);
    make_file(&stage);
    stage_execute(stage.path, "PRAGMA user_version = 99; CREATE TABLE later (x)");
    expect_refusal(&stage, ERR_UNSUPPORTED, "its schema is 99, and this one knows up to 5");
    stage_close(&stage);
}

static void another_program_s_database(void **state)
{
    struct stage stage;

    stage_open(&stage);
    stage_execute(stage.path, "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
    expect_refusal(&stage, ERR_EXISTS, "another program's database");
    unlink(stage.path);
    stage_execute(stage.path, "PRAGMA application_id = 7; PRAGMA user_version = 1");
    expect_refusal(&stage, ERR_EXISTS, "another program's database");
    stage_close(&stage);
}

/* Its journal is its own to take up. */
static void another_program_s_journal(void **state)
{
    struct stage stage;
    char name[112], *before, *after;
    size_t len, len_after;
    sqlite3 *conn;

    stage_open(&stage);
    snprintf(name, sizeof(name), "%s-wal", stage.path);
    conn = stage_connect(stage.path);
    assert_int_equal(
        sqlite3_exec(conn, "PRAGMA journal_mode = WAL; CREATE TABLE theirs (x)", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_db_config(conn, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_close(conn);
    before = stage_read(name, &len);
    assert_true(len > 0);
    expect_refusal(&stage, ERR_EXISTS, "another program's database");
    after = stage_read(name, &len_after);
    assert_int_equal(len, len_after);
    assert_memory_equal(before, after, len);
    free(before);
    free(after);
    stage_close(&stage);
}

static void a_file_of_something_else(void **state)
{
    static const char text[] = "server:\n  listen: 127.0.0.1:8080\n";
    char *much = malloc(100000);
    struct stage stage;

    stage_open(&stage);
    stage_write(stage.path, text, sizeof(text) - 1);
    expect_refusal(&stage, ERR_EXISTS, "is no SQLite database");
    memset(much, 'x', 100000);
    stage_write(stage.path, much, 100000);
    expect_refusal(&stage, ERR_EXISTS, "is no SQLite database");
    stage_write(stage.path, "SQLite format 3", 16);
    expect_refusal(&stage, ERR_EXISTS, "is no SQLite database");
    free(much);
    stage_close(&stage);
}

/* Wherever it was cut. */
static void a_file_that_was_cut(void **state)
{
    struct stage stage;
    char *bytes;
    size_t len;

    stage_open(&stage);
    make_file(&stage);
    bytes = stage_read(stage.path, &len);
    assert_true(len > 40000);
    for (size_t cut = 600; cut < len; cut += cut < 8192 ? 1731 : 4096) {
        size_t aligned = cut / 4096 * 4096;

        stage_write(stage.path, bytes, cut);
        expect_refusal(&stage, ERR_SYNTAX, stage.path);
        if (aligned && cut < 20000) {
            stage_write(stage.path, bytes, aligned);
            expect_refusal(&stage, ERR_SYNTAX, stage.path);
        }
    }
    free(bytes);
    stage_close(&stage);
}

static void a_file_that_was_damaged(void **state)
{
    struct stage stage;
    char *bytes;
    size_t len;

    stage_open(&stage);
    make_file(&stage);
    bytes = stage_read(stage.path, &len);
    for (size_t page = 4096; page < len; page += 4096) {
        char *copy = malloc(len);

        memcpy(copy, bytes, len);
        memset(copy + page, 0x5a, 64);
        stage_write(stage.path, copy, len);
        expect_refusal(&stage, ERR_SYNTAX, stage.path);
        free(copy);
    }
    free(bytes);
    stage_close(&stage);
}

static void a_journal_without_its_database(void **state)
{
    char name[112];
    struct stage stage;

    stage_open(&stage);
    snprintf(name, sizeof(name), "%s-wal", stage.path);
    stage_write(stage.path, "", 0);
    stage_write(name, "precious", 8);
    expect_refusal(&stage, ERR_SYNTAX, "the database itself is lost");
    assert_int_equal(access(name, F_OK), 0);
    stage_close(&stage);
}

static void a_place_that_cannot_be_written(void **state)
{
    struct stage stage;

    stage_open(&stage);
    assert_int_equal(mkdir(stage.path, 0700), 0);
    stage_begin(&stage, NULL);
    {
        struct reply reply = {0};

        assert_int_equal(
            stage_done(&stage, &reply, meta_get(stage.store, reply_for(&reply), SPAN("a"))),
            ERR_IO);
        assert_non_null(strstr(reply.why, "directory"));
    }
    stage_end(&stage);
    rmdir(stage.path);
    assert_int_equal(mkfifo(stage.path, 0600), 0);
    stage_begin(&stage, NULL);
    {
        struct reply reply = {0};

        assert_int_equal(
            stage_done(&stage, &reply, meta_get(stage.store, reply_for(&reply), SPAN("a"))),
            ERR_EXISTS);
    }
    stage_end(&stage);
    unlink(stage.path);
    snprintf(stage.path, sizeof(stage.path), "%s/no/such/folder.db", stage.folder);
    expect_refusal(&stage, ERR_NOTFOUND, "No such file or directory");
    stage_close(&stage);
}

/* As a user who may not: a superuser may everything. */
static int ask_as_nobody(struct stage *stage)
{
    struct reply reply = {0};

    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return 0;
    stage_begin(stage, NULL);
    return meta_set(stage->store, reply_for(&reply), SPAN("a"), SPAN("b")) == 0 &&
                   stage_await(stage, &reply) == ERR_DENIED && strstr(reply.why, stage->path) &&
                   strstr(reply.why, "Permission denied")
               ? 0
               : 1;
}

static void expect_denial(struct stage *stage)
{
    int status;
    pid_t child;

    fflush(NULL);
    child = fork();
    if (child == 0)
        _exit(ask_as_nobody(stage));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_folder_or_file_that_may_not_be_written(void **state)
{
    struct stage stage;

    stage_open(&stage);
    assert_int_equal(chmod(stage.folder, 0555), 0);
    expect_denial(&stage);
    assert_int_equal(access(stage.path, F_OK), -1);
    assert_int_equal(chmod(stage.folder, 0755), 0);
    make_file(&stage);
    assert_int_equal(chmod(stage.path, 0444), 0);
    expect_denial(&stage);
    stage_close(&stage);
}

static void once_mended_it_is_opened(void **state)
{
    struct reply reply = {0};
    struct stage stage;

    stage_open(&stage);
    stage_write(stage.path, "nonsense", 8);
    stage_begin(&stage, NULL);
    stage_done(&stage, &reply, meta_set(stage.store, reply_for(&reply), SPAN("a"), SPAN("b")));
    assert_int_equal(reply.err, ERR_EXISTS);
    unlink(stage.path); /* the operator moved it away */
    stage_pass(&stage, 6 * US_PER_SEC);
    stage_done(&stage, &reply, meta_set(stage.store, reply_for(&reply), SPAN("a"), SPAN("b")));
    assert_int_equal(reply.err, 0);
    assert_int_equal(stage.tellings, 2);
    assert_int_equal(stage.told.err, 0);
    assert_true(store_health(stage.store)->is_open);
    stage_close(&stage);
}

/* ---- versions ---- */

/* A later program's schema: each step may use what those before it made. */
static int count_audit(struct sql *sql)
{
    struct sql_query query = sql_ask(sql, "SELECT count(*) FROM audit");
    uint64_t count = sql_next(&query) ? sql_u64(&query, 0) : 0;
    int err = sql_end(&query);

    if (err)
        return err;
    query = sql_ask(sql, "INSERT INTO usage (audits) VALUES (?)");
    sql_bind_u64(&query, count);
    sql_next(&query);
    return sql_end(&query);
}

static int fail_always(struct sql *sql)
{
    return sql_fail(sql, SQL_TROUBLE, ERR_IO, "this step fails");
}

static void read_dump(struct stage *stage, int version)
{
    char name[512], *text;
    size_t len;

    snprintf(name, sizeof(name), "%s/tests/store/version_%d.sql", getenv("BW_SOURCE_ROOT"),
             version);
    text = stage_read(name, &len);
    assert_non_null(text);
    stage_execute(stage->path, text);
    free(text);
}

static int64_t number_in(const struct stage *stage, const char *statement)
{
    struct sqlite3 *conn = stage_connect(stage->path);
    int64_t number = stage_number(conn, statement);

    sqlite3_close(conn);
    return number;
}

static void look_at_main(const struct store_answer *answer, void *owner)
{
    const struct key_state *key = key_states_told(answer);

    assert_int_equal(answer->count, 2);
    assert_true(span_is_equal(key->name, SPAN("main")));
    assert_int_equal(key->aside_count, 1);
    *(int *)owner += 1;
}

static void look_at_old_rotation(const struct store_answer *answer, void *owner)
{
    const struct rotation_row *row = rotations_told(answer);

    assert_true(span_is_equal(row->successor_id, SPAN("key_2")));
    assert_true(span_is_equal(row->state, SPAN("draining")));
    *(int *)owner += 1;
}

/* What every version wrote is read by this one. */
static void older_versions_are_brought_up_to_date(void **state)
{
    for (int version = 1; version <= (int)store_schema.count; version++) {
        int looks = 0;
        struct reply keys = {.look = look_at_main, .owner = &looks};
        struct reply rotation = {.look = look_at_old_rotation, .owner = &looks};
        struct reply move = {0};
        struct stage stage;

        stage_open(&stage);
        read_dump(&stage, version);
        stage_begin(&stage, NULL);
        assert_int_equal(stage_done(&stage, &keys, key_states_load(stage.store, reply_for(&keys))),
                         0);
        assert_int_equal(stage_done(&stage, &rotation,
                                    rotations_find(stage.store, reply_for(&rotation), SPAN("r1"))),
                         0);
        assert_int_equal(
            stage_done(&stage, &move,
                       rotations_history(stage.store, reply_for(&move), SPAN("r1"), 0, 10)),
            0);
        assert_int_equal(move.count, 2);
        assert_int_equal(looks, 2);
        stage_end(&stage);
        assert_int_equal(number_in(&stage, "PRAGMA user_version"), store_schema.count);
        stage_close(&stage);
    }
}

/* The dump of the newest is what this program makes. */
static void the_newest_dump_is_this_program_s_schema(void **state)
{
    static const char statement[] = "SELECT sum(length(sql)) + 1000000 * count(*) FROM "
                                    "sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE "
                                    "'sqlite_%'";
    struct stage dumped, made;

    stage_open(&dumped);
    read_dump(&dumped, (int)store_schema.count);
    stage_open(&made);
    make_file(&made);
    assert_int_equal(number_in(&made, statement), number_in(&dumped, statement));
    assert_int_equal(number_in(&made, "PRAGMA application_id"), DATABASE_APPLICATION);
    assert_int_equal(number_in(&dumped, "PRAGMA application_id"), DATABASE_APPLICATION);
    stage_close(&made);
    stage_close(&dumped);
}

static void migrations_follow_on_one_another(void **state)
{
    const struct migration later[] = {
        store_schema.migrations[0],
        store_schema.migrations[1],
        store_schema.migrations[2],
        store_schema.migrations[3],
        store_schema.migrations[4],
        {.text = "CREATE TABLE usage (audits INTEGER NOT NULL) STRICT"},
        {.text = "ALTER TABLE meta ADD COLUMN note TEXT NOT NULL DEFAULT ''", .run = count_audit},
    };
    const struct schema schema = {later, 7};
    struct reply reply = {0};
    struct stage stage;

    stage_open(&stage);
    make_file(&stage);
    stage_begin(&stage, &schema);
    assert_int_equal(
        stage_done(&stage, &reply, meta_set(stage.store, reply_for(&reply), SPAN("a"), SPAN("b"))),
        0);
    stage_end(&stage);
    assert_int_equal(number_in(&stage, "PRAGMA user_version"), 7);
    assert_int_equal(number_in(&stage, "SELECT audits FROM usage"), 400);
    assert_int_equal(number_in(&stage, "SELECT length(note) FROM meta"), 0);
    expect_refusal(&stage, ERR_UNSUPPORTED, "its schema is 7"); /* there is no way back */
    stage_close(&stage);
}

static void a_migration_that_fails_leaves_the_version_before(void **state)
{
    const struct migration later[] = {
        store_schema.migrations[0],
        store_schema.migrations[1],
        store_schema.migrations[2],
        store_schema.migrations[3],
        store_schema.migrations[4],
        {.text = "CREATE TABLE usage (audits INTEGER NOT NULL) STRICT"},
        {.text = "DROP TABLE audit; CREATE TABLE half (x)", .run = fail_always},
    };
    const struct schema schema = {later, 7};
    struct reply reply = {0};
    struct stage stage;

    stage_open(&stage);
    make_file(&stage);
    stage_begin(&stage, &schema);
    assert_int_equal(
        stage_done(&stage, &reply, meta_set(stage.store, reply_for(&reply), SPAN("a"), SPAN("b"))),
        ERR_IO);
    assert_non_null(strstr(reply.why, "this step fails"));
    stage_end(&stage);
    assert_int_equal(number_in(&stage, "PRAGMA user_version"), 6);
    assert_int_equal(number_in(&stage, "SELECT count(*) FROM audit"), 400);
    assert_int_equal(number_in(&stage, "SELECT count(*) FROM half"), -1);
    stage_close(&stage);
}

/* A disk that is full as the file is made: it is made later. */
static void a_file_that_could_not_be_made_is_made_later(void **state)
{
    struct reply reply = {0};
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    disk_set(DISK_FULL);
    assert_int_equal(
        stage_done(&stage, &reply, meta_set(stage.store, reply_for(&reply), SPAN("a"), SPAN("b"))),
        ERR_FULL);
    disk_set(DISK_FINE);
    stage_pass(&stage, 6 * US_PER_SEC);
    assert_int_equal(
        stage_done(&stage, &reply, meta_set(stage.store, reply_for(&reply), SPAN("a"), SPAN("b"))),
        0);
    stage_close(&stage);
}

static int set_up(void **state)
{
    disk_install();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_or_file_that_may_not_be_written), /* forks: before any thread */
        cmocka_unit_test(a_newer_version_s_file),
        cmocka_unit_test(another_program_s_database),
        cmocka_unit_test(another_program_s_journal),
        cmocka_unit_test(a_file_of_something_else),
        cmocka_unit_test(a_file_that_was_cut),
        cmocka_unit_test(a_file_that_was_damaged),
        cmocka_unit_test(a_journal_without_its_database),
        cmocka_unit_test(a_place_that_cannot_be_written),
        cmocka_unit_test(once_mended_it_is_opened),
        cmocka_unit_test(older_versions_are_brought_up_to_date),
        cmocka_unit_test(the_newest_dump_is_this_program_s_schema),
        cmocka_unit_test(migrations_follow_on_one_another),
        cmocka_unit_test(a_migration_that_fails_leaves_the_version_before),
        cmocka_unit_test(a_file_that_could_not_be_made_is_made_later),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}

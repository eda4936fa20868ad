#include "store/database.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

/* https://www.sqlite.org/fileformat.html, 1.3: no database is shorter than its smallest page. */
enum { SMALLEST_BYTES = 512, MAGIC_BYTES = 16, BUSY_MS = 2000, PATH_BYTES = 4096 };

static bool is_in_memory(const char *path)
{
    return strcmp(path, ":memory:") == 0;
}

/* ---- the file, before SQLite sees it ---- */

static int fail_errno(struct sql *sql, const char *what, const char *path)
{
    int number = errno;
    char words[128];

    return sql_fail(sql, SQL_TROUBLE, err_from_errno(number), "%s %s: %s", what, path,
                    strerror_r(number, words, sizeof(words)));
}

/* A new file's name must last as its contents do. */
static void sync_folder(const char *path)
{
    char folder[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    int fd;

    if (len >= sizeof(folder))
        return;
    snprintf(folder, sizeof(folder), "%.*s", len ? (int)len : 1, len ? path : slash ? "/" : ".");
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd); /* some file systems know no such thing; the file is there all the same */
    close(fd);
}

/* SQLite takes a file of no length for a new database, and would throw away the journal of the one
 * that stood there. */
static int check_orphan(struct sql *sql, const char *path)
{
    char name[PATH_BYTES];
    struct stat status;

    snprintf(name, sizeof(name), "%s-wal", path);
    if (stat(name, &status) != 0 || status.st_size == 0)
        return 0;
    return sql_fail(sql, SQL_BROKEN, ERR_SYNTAX,
                    "%s is empty, and its journal %s-wal is not: the database itself is lost", path,
                    path);
}

static int check_contents(struct sql *sql, const char *path, int fd, bool *ret_is_new)
{
    struct stat status;
    char magic[MAGIC_BYTES];

    if (fstat(fd, &status) != 0)
        return fail_errno(sql, "cannot look at", path);
    if (!S_ISREG(status.st_mode))
        return sql_fail(sql, SQL_BROKEN, ERR_EXISTS, "%s is no plain file", path);
    *ret_is_new = status.st_size == 0;
    if (status.st_size == 0)
        return check_orphan(sql, path);
    if (pread(fd, magic, sizeof(magic), 0) < 0)
        return fail_errno(sql, "cannot read", path);
    if (status.st_size < SMALLEST_BYTES || memcmp(magic, "SQLite format 3", MAGIC_BYTES) != 0)
        return sql_fail(sql, SQL_BROKEN, ERR_EXISTS,
                        "%s is no SQLite database (another file, or a damaged one)", path);
    return 0;
}

/* Two processes that each keep what they know of the same keys would undo each other's work, which
 * SQLite's own locks allow. This one does not touch those: they are fcntl's. */
static int lock_file(struct sql *sql, const char *path, int fd)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return sql_fail(sql, SQL_TROUBLE, ERR_AGAIN, "%s is in use by another process", path);
    return fail_errno(sql, "cannot lock", path);
}

/* Makes the file where there is none: SQLite would let everybody read it. */
static int check_file(struct sql *sql, const char *path)
{
    bool is_new = false;
    int fd, err;

    if (strlen(path) + sizeof("-wal") > PATH_BYTES)
        return sql_fail(sql, SQL_TROUBLE, ERR_RANGE, "the path is too long");
    /* Not to wait for the other end of a pipe that stands there. */
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd < 0)
        return fail_errno(sql, "cannot open", path);
    sql->is_locked = true;
    sql->lock_fd = fd;
    err = check_contents(sql, path, fd, &is_new);
    if (!err)
        err = lock_file(sql, path, fd);
    if (!err && is_new)
        sync_folder(path);
    return err;
}

/* ---- what SQLite finds in it ---- */

static int read_number(struct sql *sql, const char *text, uint64_t *ret_number)
{
    struct sql_query query = sql_ask(sql, text);

    if (sql_next(&query))
        *ret_number = sql_u64(&query, 0);
    return sql_end(&query);
}

static int check_owner(struct sql *sql, const char *path)
{
    uint64_t application = 0, things = 0;
    int err = read_number(sql, "PRAGMA application_id", &application);

    if (!err)
        err = read_number(sql, "SELECT count(*) FROM sqlite_schema", &things);
    if (err || application == DATABASE_APPLICATION || (application == 0 && things == 0))
        return err;
    return sql_fail(sql, SQL_BROKEN, ERR_EXISTS, "%s is another program's database", path);
}

static int check_version(struct sql *sql, const char *path, const struct schema *schema)
{
    uint64_t version = 0;
    int err = read_number(sql, "PRAGMA user_version", &version);

    if (err || version <= schema->count)
        return err;
    return sql_fail(sql, SQL_BROKEN, ERR_UNSUPPORTED,
                    "%s was made by a newer version of this program: its schema is %llu, and this "
                    "one knows up to %zu",
                    path, (unsigned long long)version, schema->count);
}

static int check_soundness(struct sql *sql, const char *path)
{
    struct sql_query query = sql_ask(sql, "PRAGMA quick_check(1)");
    int err = 0;

    if (sql_next(&query) && !span_is_equal(sql_text(&query, 0), SPAN("ok")))
        err = sql_fail(sql, SQL_BROKEN, ERR_SYNTAX, "%s is damaged: %.*s", path,
                       SPAN_ARG(sql_text(&query, 0)));
    return sql_end(&query) ? query.err : err;
}

/* A writer that is killed loses nothing it has told of, nor does the machine that loses power:
 * synchronous = FULL makes each commit wait for the disk. */
static int set_up(struct sql *sql, const char *path)
{
    struct sql_query query = sql_ask(sql, "PRAGMA journal_mode = WAL");
    bool is_wal = sql_next(&query) && span_is_equal(sql_text(&query, 0), SPAN("wal"));
    int err = sql_end(&query);

    if (!err && !is_wal && !is_in_memory(path))
        err = sql_fail(sql, SQL_TROUBLE, ERR_DENIED,
                       "%s stands on a file system that cannot hold a write-ahead log", path);
    if (!err)
        err = sql_do(sql, "PRAGMA synchronous = FULL");
    if (!err)
        err = sql_do(sql, "PRAGMA foreign_keys = ON");
    if (!err)
        err = sql_do(sql, "PRAGMA temp_store = MEMORY");
    if (!err)
        err = sql_do(sql, "PRAGMA journal_size_limit = 4194304");
    return err;
}

/* ---- the schema ---- */

static int run_text(struct sql *sql, const char *text)
{
    int code = sqlite3_exec(sql->conn, text, NULL, NULL, NULL);

    return code == SQLITE_OK ? 0 : sql_note(sql, sqlite3_extended_errcode(sql->conn));
}

/* The step from that version to the next, with the note of it. */
static int step(struct sql *sql, const struct migration *migration, size_t version)
{
    char note[96];
    int err = 0;

    if (migration->text)
        err = run_text(sql, migration->text);
    if (!err && migration->run)
        err = migration->run(sql);
    snprintf(note, sizeof(note), "PRAGMA application_id = %d; PRAGMA user_version = %zu",
             DATABASE_APPLICATION, version + 1);
    return err ? err : run_text(sql, note);
}

/* One step, or none where all is done, which another process may have seen to meanwhile. */
static int migrate_once(struct sql *sql, const char *path, const struct schema *schema,
                        bool *ret_is_done)
{
    uint64_t version = 0;
    int err = sql_do(sql, "BEGIN IMMEDIATE");

    if (err)
        return err;
    err = read_number(sql, "PRAGMA user_version", &version);
    *ret_is_done = version >= schema->count;
    if (!err && version > schema->count)
        err = check_version(sql, path, schema);
    if (!err && !*ret_is_done)
        err = step(sql, &schema->migrations[version], (size_t)version);
    if (!err)
        err = sql_do(sql, "COMMIT");
    if (err && !sqlite3_get_autocommit(sql->conn))
        sqlite3_exec(sql->conn, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

static int migrate(struct sql *sql, const char *path, const struct schema *schema)
{
    bool is_done = false;
    int err = 0;

    while (!err && !is_done)
        err = migrate_once(sql, path, schema, &is_done);
    return err;
}

/* ---- opening and closing ---- */

static int connect(struct sql *sql, const char *path)
{
    int code = sqlite3_open_v2(path, &sql->conn,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                                   SQLITE_OPEN_EXRESCODE,
                               NULL);

    if (code != SQLITE_OK)
        return sql_note(sql, code);
    sqlite3_busy_timeout(sql->conn, BUSY_MS);
    /* A prepared file must not make us run its own functions, or write its own schema. Nor is
     * anything written into one that is refused: by default the last to close a database moves its
     * journal into it. */
    sqlite3_db_config(sql->conn, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(sql->conn, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(sql->conn, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return 0;
}

/* SQLite's own words name no file. */
static void give_up(struct sql *sql, const char *path)
{
    char words[SQL_WORDS_BYTES];

    database_close(sql);
    if (strstr(sql->why, path))
        return;
    memcpy(words, sql->why, sizeof(words));
    snprintf(sql->why, sizeof(sql->why), "cannot use %.100s: %.120s", path, words);
}

int database_open(struct sql *sql, const char *path, const struct schema *schema)
{
    int err;

    sql_clear(sql);
    err = is_in_memory(path) ? 0 : check_file(sql, path);
    if (!err)
        err = connect(sql, path);
    if (!err)
        err = check_owner(sql, path);
    if (!err)
        err = check_version(sql, path, schema);
    if (!err)
        err = check_soundness(sql, path);
    if (!err)
        err = set_up(sql, path);
    if (!err)
        err = migrate(sql, path, schema);
    if (!err)
        sqlite3_db_config(sql->conn, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    else
        give_up(sql, path);
    return err;
}

void database_close(struct sql *sql)
{
    sql_forget(sql);
    sqlite3_close(sql->conn);
    sql->conn = NULL;
    /* Last: closing any descriptor of the file drops the locks that SQLite has on it. */
    if (sql->is_locked)
        close(sql->lock_fd);
    sql->is_locked = false;
}

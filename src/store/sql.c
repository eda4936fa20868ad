#include "store/sql.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/bug.h"
#include "base/err.h"

void sql_clear(struct sql *sql)
{
    sql->fault = SQL_FINE;
    sql->err = 0;
    sql->why[0] = '\0';
}

int sql_fail(struct sql *sql, enum sql_fault fault, int err, const char *format, ...)
{
    va_list args;

    if (fault <= sql->fault)
        return err;
    sql->fault = fault;
    sql->err = err;
    va_start(args, format);
    vsnprintf(sql->why, sizeof(sql->why), format, args);
    va_end(args);
    return err;
}

static int refuse(struct sql *sql, int code)
{
    int err = ERR_RANGE;

    if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY)
        err = ERR_EXISTS;
    else if (code == SQLITE_CONSTRAINT_FOREIGNKEY)
        err = ERR_NOTFOUND;
    return sql_fail(sql, SQL_REFUSED, err, "%s", sqlite3_errmsg(sql->conn));
}

static int trouble(struct sql *sql, int err, int code)
{
    return sql_fail(sql, SQL_TROUBLE, err, "%s (SQLite's code %d)", sqlite3_errstr(code), code);
}

int sql_note(struct sql *sql, int code)
{
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
        return refuse(sql, code);
    case SQLITE_FULL:
        return trouble(sql, ERR_FULL, code);
    case SQLITE_NOMEM:
        return trouble(sql, ERR_NOMEM, code);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return trouble(sql, ERR_AGAIN, code);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return trouble(sql, ERR_DENIED, code);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return sql_fail(sql, SQL_BROKEN, ERR_SYNTAX, "%s", sqlite3_errstr(code));
    case SQLITE_ERROR: /* tables are not as we made them */
        return sql_fail(sql, SQL_BROKEN, ERR_SYNTAX, "%s", sqlite3_errmsg(sql->conn));
    default: /* style: SQLite's codes are no enum, and later versions have more */
        return trouble(sql, ERR_IO, code);
    }
}

void sql_forget(struct sql *sql)
{
    for (size_t i = 0; i < sql->count; i++)
        sqlite3_finalize(sql->statements[i].stmt);
    sql->count = 0;
}

static struct sqlite3_stmt *find_prepared(const struct sql *sql, const char *text)
{
    for (size_t i = 0; i < sql->count; i++)
        if (sql->statements[i].text == text)
            return sql->statements[i].stmt;
    return NULL;
}

struct sql_query sql_ask(struct sql *sql, const char *text)
{
    struct sql_query query = {.sql = sql, .stmt = find_prepared(sql, text)};
    int code;

    if (query.stmt)
        return query;
    bug_fatal_unless(sql->count < SQL_MAX_STATEMENTS);
    code = sqlite3_prepare_v3(sql->conn, text, -1, SQLITE_PREPARE_PERSISTENT, &query.stmt, NULL);
    if (code != SQLITE_OK) {
        query.err = sql_note(sql, code);
        return query;
    }
    sql->statements[sql->count].text = text;
    sql->statements[sql->count++].stmt = query.stmt;
    return query;
}

static void note_bound(struct sql_query *query, int code)
{
    if (code != SQLITE_OK)
        query->err = sql_note(query->sql, code);
}

void sql_bind_u64(struct sql_query *query, uint64_t value)
{
    if (!query->err)
        note_bound(query,
                   sqlite3_bind_int64(query->stmt, ++query->place, (sqlite3_int64)sql_kept(value)));
}

void sql_bind_text(struct sql_query *query, struct span text)
{
    /* SQLite takes a NULL pointer for NULL, which no column allows. */
    if (!query->err)
        note_bound(query, sqlite3_bind_text64(query->stmt, ++query->place, text.len ? text.ptr : "",
                                              text.len, SQLITE_STATIC, SQLITE_UTF8));
}

void sql_bind_bytes(struct sql_query *query, struct span bytes)
{
    if (!query->err)
        note_bound(query,
                   sqlite3_bind_blob64(query->stmt, ++query->place, bytes.len ? bytes.ptr : "",
                                       bytes.len, SQLITE_STATIC));
}

bool sql_next(struct sql_query *query)
{
    int code;

    if (query->err)
        return false;
    code = sqlite3_step(query->stmt);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        query->err = sql_note(query->sql, sqlite3_extended_errcode(query->sql->conn));
    return code == SQLITE_ROW;
}

uint64_t sql_u64(struct sql_query *query, int column)
{
    sqlite3_int64 value = sqlite3_column_int64(query->stmt, column);

    return value < 0 ? 0 : (uint64_t)value;
}

uint32_t sql_u32(struct sql_query *query, int column)
{
    uint64_t value = sql_u64(query, column);

    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

struct span sql_text(struct sql_query *query, int column)
{
    /* In this order: the bytes are made first, and then counted. */
    const char *bytes = sqlite3_column_blob(query->stmt, column);

    return span_of(bytes ? bytes : "",
                   bytes ? (size_t)sqlite3_column_bytes(query->stmt, column) : 0);
}

int sql_end(struct sql_query *query)
{
    if (query->stmt) {
        sqlite3_reset(query->stmt);
        sqlite3_clear_bindings(query->stmt);
    }
    query->stmt = NULL;
    return query->err;
}

int sql_do(struct sql *sql, const char *text)
{
    struct sql_query query = sql_ask(sql, text);

    while (sql_next(&query))
        ; /* what it tells is of no use */
    return sql_end(&query);
}

size_t sql_changes(const struct sql *sql)
{
    return (size_t)sqlite3_changes64(sql->conn);
}

uint64_t sql_inserted(const struct sql *sql)
{
    return (uint64_t)sqlite3_last_insert_rowid(sql->conn);
}

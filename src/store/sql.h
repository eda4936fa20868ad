/*
 * A connection to SQLite and statements on it, so that the matters of store/ read as what they ask
 * rather than as calls of a library: errors stay with the statement until its end, and are told
 * apart by what follows from them. Internal to store/: no SQL stands elsewhere. The writer's
 * thread.
 */
#ifndef STORE_SQL_H
#define STORE_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct sqlite3;
struct sqlite3_stmt;

enum { SQL_MAX_STATEMENTS = 64, SQL_WORDS_BYTES = 256 };

/* What a failure means for everything else. */
enum sql_fault {
    SQL_FINE,
    SQL_REFUSED, /* this statement alone: a constraint */
    SQL_TROUBLE, /* the disk, memory or another process: the same may work later */
    SQL_BROKEN,  /* the database is no sound one */
};

/* Embedded in its owner; zeroed before its first use. */
struct sql {
    struct sqlite3 *conn; /* NULL: not open */
    enum sql_fault fault; /* the gravest since sql_clear */
    int err;              /* enum err of that one */
    char why[SQL_WORDS_BYTES];
    bool is_locked; /* against other processes, by lock_fd */
    int lock_fd;
    struct {
        const char *text;
        struct sqlite3_stmt *stmt;
    } statements[SQL_MAX_STATEMENTS]; /* prepared once, found by where their text stands */
    size_t count;
};

/* One statement under way, on the stack of who asks it. */
struct sql_query {
    struct sql *sql;
    struct sqlite3_stmt *stmt;
    int place; /* of the value bound last, from 1 */
    int err;   /* the first failure; nothing is done after it */
};

/* Forgets failures before the next piece of work. */
void sql_clear(struct sql *sql);

/* Notes a failure that is no statement's: returns err. */
int sql_fail(struct sql *sql, enum sql_fault fault, int err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Notes what SQLite says of its last call: returns the enum err that it stands for. */
int sql_note(struct sql *sql, int code);

/* Finalizes all statements. */
void sql_forget(struct sql *sql);

/* Begins a statement; `text` is constant and known by its address. End it with sql_end. */
struct sql_query sql_ask(struct sql *sql, const char *text);

/* What a number is read as once it was written: SQLite's end at INT64_MAX. */
static inline uint64_t sql_kept(uint64_t number)
{
    return number < INT64_MAX ? number : INT64_MAX;
}

/* The values of its parameters, in their order. Texts are borrowed until sql_end. Numbers are kept
 * as sql_kept says. */
void sql_bind_u64(struct sql_query *query, uint64_t value);
void sql_bind_text(struct sql_query *query, struct span text);
void sql_bind_bytes(struct sql_query *query, struct span bytes);

/* Goes on to the first row, or the next: false at the end and on failure. */
bool sql_next(struct sql_query *query);

/* Of that row; column from 0. Texts are borrowed until the next. A negative number reads 0. */
uint64_t sql_u64(struct sql_query *query, int column);
uint32_t sql_u32(struct sql_query *query, int column);
struct span sql_text(struct sql_query *query, int column);

/* 0, or its first failure. */
int sql_end(struct sql_query *query);

/* A statement without parameters or rows: 0 or its failure. */
int sql_do(struct sql *sql, const char *text);

/* Rows that the last statement changed, and the number of the row it inserted. */
size_t sql_changes(const struct sql *sql);
uint64_t sql_inserted(const struct sql *sql);

#endif

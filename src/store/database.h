/*
 * The file of the store: opened, judged and brought to this program's schema. A file that is not
 * ours, newer than this program, corrupt or cut is refused and left as it stands; nothing is ever
 * written over it. Internal to store/. The writer's thread.
 */
#ifndef STORE_DATABASE_H
#define STORE_DATABASE_H

#include <stddef.h>

#include "store/sql.h"

/* "bway": what PRAGMA application_id says of ours. */
enum { DATABASE_APPLICATION = 0x62776179 };

/* One step of the schema, from the version of its place to the next: a text of statements, or a
 * function where statements do not do. Each runs in a transaction of its own, which also notes the
 * version reached. One that was ever released never changes. */
struct migration {
    const char *text; /* NULL: none */
    int (*run)(struct sql *sql);
};

struct schema {
    const struct migration *migrations;
    size_t count; /* the version that they lead to: PRAGMA user_version */
};

/* This program's. */
extern const struct schema store_schema;

/* Opens the file, which it makes (mode 0600) where there is none, or ":memory:". 0, with sql->conn;
 * else nothing is open, sql->why says what is wrong, and the error is ERR_EXISTS (another program's
 * file), ERR_UNSUPPORTED (a newer version's), ERR_SYNTAX (corrupt or cut), ERR_DENIED, ERR_NOTFOUND
 * (its folder), ERR_NOMEM, ERR_FULL, ERR_AGAIN (another process holds it) or ERR_IO. */
int database_open(struct sql *sql, const char *path, const struct schema *schema);

/* Harmless on one that is not open. */
void database_close(struct sql *sql);

#endif

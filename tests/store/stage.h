/*
 * A store in a folder of its own, on a loop whose time is virtual: an hour of retries costs
 * nothing. The writer is a real thread, so that while it works the world's time must count.
 */
#ifndef TESTS_STORE_STAGE_H
#define TESTS_STORE_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "io/loop.h"
#include "store/store.h"

struct schema;
struct sqlite3;

#define STAGE_START (1000 * US_PER_SEC)

struct stage {
    char folder[64], path[96];
    struct loop *loop;
    struct store *store;
    int tellings; /* of the health */
    struct store_health told;
};

/* What came of an ask. */
struct reply {
    struct store_ask ask;
    void (*look)(const struct store_answer *answer, void *owner); /* at its rows; or NULL */
    void *owner;
    int calls;
    int err;
    char why[STORE_WORDS_BYTES];
    size_t count;
};

/* A new folder, and no store yet. */
void stage_open(struct stage *stage);

/* The store in it (NULL: this program's schema), and its end. */
void stage_begin(struct stage *stage, const struct schema *schema);
void stage_end(struct stage *stage);

/* All ends; the folder goes with what is in it. */
void stage_close(struct stage *stage);

/* For an ask: &reply->ask, with on_done set, as nothing had been asked before. */
struct store_ask *reply_for(struct reply *reply);

/* Plays until it was told: its error. */
int stage_await(struct stage *stage, struct reply *reply);

/* begun is what the call that asked returned: 0, then the same. */
int stage_done(struct stage *stage, struct reply *reply, int begun);

/* Plays until nothing is under way. */
void stage_settle(struct stage *stage);

/* One turn. */
void stage_turn(struct stage *stage);

/* Lets that much virtual time pass. */
void stage_pass(struct stage *stage, uint64_t us);

/* The file itself, past the store. The number that a statement gives, or -1 where it fails; and one
 * that must do. */
struct sqlite3 *stage_connect(const char *path);
int64_t stage_number(struct sqlite3 *conn, const char *statement);
void stage_execute(const char *path, const char *statements);

/* The whole of a file; *ret_len SIZE_MAX where there is none. Free it. */
char *stage_read(const char *path, size_t *ret_len);
void stage_write(const char *path, const void *bytes, size_t len);

#endif

#include "store/writer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "store/database.h"
#include "store/op.h"

struct writer {
    pthread_t thread;
    char *path;
    const struct schema *schema;
    int told_fd;
    bool is_busy; /* the loop's thread's */
    pthread_mutex_t lock;
    pthread_cond_t news; /* something under the lock has changed */
    /* Under the lock. */
    struct batch *asked, *done;
    bool is_ending;
    /* The thread's own. */
    struct sql sql;
};

/* ---- on the thread ---- */

/* In a place of its own where it writes, so that its failure takes back nothing else. Whether the
 * batch can go on. */
static bool run_op(struct sql *sql, struct store_op *op)
{
    sql_clear(sql);
    op->rows = NULL;
    op->count = 0;
    op->why[0] = '\0';
    op->err = op->kind->is_write ? sql_do(sql, "SAVEPOINT op") : 0;
    if (!op->err)
        op->err = op->kind->run(sql, op);
    if (op->err)
        snprintf(op->why, sizeof(op->why), "%s", sql->err ? sql->why : err_text(op->err));
    if (sql->fault >= SQL_TROUBLE)
        return false;
    if (op->kind->is_write && op->err)
        sql_do(sql, "ROLLBACK TO op");
    if (op->kind->is_write)
        sql_do(sql, "RELEASE op");
    return sql->fault < SQL_TROUBLE;
}

static int run_transaction(struct sql *sql, struct batch *batch)
{
    bool goes_on;

    sql_clear(sql);
    goes_on = sql_do(sql, batch->writes ? "BEGIN IMMEDIATE" : "BEGIN") == 0;
    list_for_each (link, &batch->ops) {
        if (!goes_on)
            break;
        goes_on = run_op(sql, container_of(link, struct store_op, link));
    }
    if (goes_on) {
        sql_clear(sql);
        goes_on = sql_do(sql, "COMMIT") == 0;
    }
    /* SQLite itself takes everything back after some failures. */
    if (!goes_on && !sqlite3_get_autocommit(sql->conn))
        sqlite3_exec(sql->conn, "ROLLBACK", NULL, NULL, NULL);
    return goes_on ? 0 : sql->err;
}

static void run_batch(struct writer *writer, struct batch *batch)
{
    struct sql *sql = &writer->sql;

    batch->verdict = BATCH_SHUT;
    batch->err = sql->conn ? 0 : database_open(sql, writer->path, writer->schema);
    if (!batch->err) {
        batch->err = run_transaction(sql, batch);
        batch->verdict = BATCH_TROUBLE;
    }
    if (!batch->err)
        batch->verdict = BATCH_DONE;
    snprintf(batch->why, sizeof(batch->why), "%s", batch->err ? sql->why : "");
    if (batch->verdict == BATCH_TROUBLE && sql->fault == SQL_BROKEN) {
        /* Not to add to the damage: it is looked through when it is opened again. */
        batch->verdict = BATCH_SHUT;
        sqlite3_db_config(sql->conn, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        database_close(sql);
    }
}

static struct batch *wait_for_batch(struct writer *writer)
{
    struct batch *batch;

    pthread_mutex_lock(&writer->lock);
    while (!writer->asked && !writer->is_ending)
        pthread_cond_wait(&writer->news, &writer->lock);
    batch = writer->asked;
    writer->asked = NULL;
    pthread_mutex_unlock(&writer->lock);
    return batch;
}

static void tell(struct writer *writer, struct batch *batch)
{
    uint64_t one = 1;

    pthread_mutex_lock(&writer->lock);
    writer->done = batch;
    pthread_cond_signal(&writer->news);
    pthread_mutex_unlock(&writer->lock);
    /* Fails only where the counter is full, and then it is readable. */
    while (write(writer->told_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

static void *run(void *arg)
{
    struct writer *writer = arg;
    struct batch *batch;

    while ((batch = wait_for_batch(writer))) {
        run_batch(writer, batch);
        tell(writer, batch);
    }
    database_close(&writer->sql);
    return NULL;
}

/* ---- on the loop's thread ---- */

static int start(struct writer *writer)
{
    sigset_t all, old;
    int failed;

    /* Signals are for the loops; a write past the limit of a file's size gives an error, not a
     * signal that ends the process. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    failed = pthread_create(&writer->thread, NULL, run, writer);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failed ? ERR_NOMEM : 0;
}

struct writer *writer_new(const char *path, const struct schema *schema, int told_fd)
{
    struct writer *writer = mem_zalloc(1, sizeof(*writer));

    if (!writer)
        return NULL;
    writer->schema = schema;
    writer->told_fd = told_fd;
    writer->path = mem_strdup(path, strlen(path));
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->news, NULL);
    if (writer->path && start(writer) == 0)
        return writer;
    pthread_mutex_destroy(&writer->lock);
    pthread_cond_destroy(&writer->news);
    mem_free(writer->path);
    mem_free(writer);
    return NULL;
}

void writer_free(struct writer **place)
{
    struct writer *writer = *place;

    *place = NULL;
    if (!writer)
        return;
    pthread_mutex_lock(&writer->lock);
    writer->is_ending = true;
    pthread_cond_signal(&writer->news);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);
    pthread_mutex_destroy(&writer->lock);
    pthread_cond_destroy(&writer->news);
    mem_free(writer->path);
    mem_free(writer);
}

bool writer_is_busy(const struct writer *writer)
{
    return writer->is_busy;
}

void writer_hand(struct writer *writer, struct batch *batch)
{
    writer->is_busy = true;
    pthread_mutex_lock(&writer->lock);
    writer->asked = batch;
    pthread_cond_signal(&writer->news);
    pthread_mutex_unlock(&writer->lock);
}

struct batch *writer_take(struct writer *writer, bool is_to_wait)
{
    struct batch *batch;

    if (!writer->is_busy)
        return NULL;
    pthread_mutex_lock(&writer->lock);
    while (is_to_wait && !writer->done)
        pthread_cond_wait(&writer->news, &writer->lock);
    batch = writer->done;
    writer->done = NULL;
    pthread_mutex_unlock(&writer->lock);
    if (batch)
        writer->is_busy = false;
    return batch;
}

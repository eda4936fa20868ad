#include "store/store.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/err.h"
#include "store/database.h"
#include "store/op.h"
#include "store/store_body.h"
#include "store/writer.h"

/* One transaction's: enough to share the wait for the disk, and soon over. */
enum { BATCH_MAX_OPS = 256 };

#define FIRST_PAUSE_US   US_PER_SEC
#define LONGEST_PAUSE_US (30 * US_PER_SEC)
#define REOPEN_US        (5 * US_PER_SEC)

struct store {
    struct store_options options;
    const struct schema *schema;
    char *path;
    struct store_health health;
    struct list queue; /* in order of coming; those of the batch are in none */
    struct list done;  /* to be told */
    struct batch batch;
    struct writer *writer; /* NULL: not needed yet */
    struct loop_fd told;   /* of the writer: an eventfd; fd -1: none yet */
    struct loop_task start;
    struct loop_task tell;
    struct loop_timer retry;
    uint64_t pause_us; /* the last one; 0: no trouble */
    bool is_retry_due;
    uint64_t shut_until_us; /* until then, opening is not tried again */
};

/* ---- health ---- */

static void tell_health(struct store *store)
{
    if (store->options.on_health)
        store->options.on_health(store->options.owner, &store->health);
}

static void note_failure(struct store *store, int err, const char *why, bool is_keeping)
{
    struct store_health *health = &store->health;
    bool is_news = !health->err || health->is_keeping != is_keeping;

    if (!health->err)
        health->since_wall_us = loop_wall_us(store->options.loop);
    health->err = err;
    health->is_keeping = is_keeping;
    snprintf(health->why, sizeof(health->why), "%s", why);
    if (is_news)
        tell_health(store);
}

static void note_success(struct store *store)
{
    struct store_health *health = &store->health;
    bool is_news = health->err != 0;

    health->err = 0;
    health->is_keeping = false;
    health->why[0] = '\0';
    health->since_wall_us = 0;
    store->pause_us = 0;
    loop_timer_clear(&store->retry);
    if (is_news)
        tell_health(store);
}

/* ---- the end of an ask ---- */

static void forget(struct store *store, struct store_op *op)
{
    store->health.queued--;
    store->health.held_bytes -= op->held_bytes;
    if (op->ask)
        op->ask->op = NULL;
    store_op_free(&op);
}

static void tell_one(struct store *store, struct store_op *op)
{
    struct store_ask *ask = op->ask;
    const struct store_answer answer = {
        .err = op->err, .why = op->why, .rows = op->count ? op->rows : NULL, .count = op->count};

    /* Unbound before, so that it may be begun anew, and freed behind, as the answer is borrowed. */
    if (ask)
        ask->op = NULL;
    op->ask = NULL;
    if (ask && ask->on_done)
        ask->on_done(ask, &answer);
    forget(store, op);
}

static void tell_all(struct loop_task *task)
{
    struct store *store = container_of(task, struct store, tell);
    struct list *link;

    while ((link = list_pop_front(&store->done)))
        tell_one(store, container_of(link, struct store_op, link));
}

/* ---- what came back from the writer ---- */

static void finish(struct store *store, struct list *ops)
{
    struct list *link;

    while ((link = list_pop_front(ops)))
        list_push_back(&store->done, link);
    loop_defer(store->options.loop, &store->tell);
}

static void finish_with(struct store *store, struct list *ops, int err, const char *why)
{
    list_for_each (link, ops) {
        struct store_op *op = container_of(link, struct store_op, link);

        op->err = err;
        op->count = 0;
        snprintf(op->why, sizeof(op->why), "%s", why);
        store->health.refused++;
    }
    finish(store, ops);
}

static void put_back(struct store *store, struct list *ops)
{
    while (!list_is_empty(ops)) {
        struct list *last = ops->prev;

        list_remove(last);
        list_push_front(&store->queue, last);
    }
}

/* Writes wait for better times; reads of the same batch are asked again without them. */
static void settle_trouble(struct store *store, struct batch *batch)
{
    uint64_t now_us = loop_now_us(store->options.loop);

    if (batch->writes == 0) {
        finish_with(store, &batch->ops, batch->err, batch->why);
        return;
    }
    put_back(store, &batch->ops);
    store->pause_us = store->pause_us ? store->pause_us * 2 : FIRST_PAUSE_US;
    if (store->pause_us > LONGEST_PAUSE_US)
        store->pause_us = LONGEST_PAUSE_US;
    /* Its place is reserved: it cannot fail. */
    bug_fatal_unless(loop_timer_set(&store->retry, now_us + store->pause_us) == 0);
    note_failure(store, batch->err, batch->why, true);
}

static void settle(struct store *store, struct batch *batch)
{
    store->health.is_open = batch->verdict != BATCH_SHUT;
    switch (batch->verdict) {
    case BATCH_DONE:
        store->health.written += batch->writes;
        if (batch->writes || !store->health.is_keeping)
            note_success(store);
        finish(store, &batch->ops);
        break;
    case BATCH_TROUBLE:
        settle_trouble(store, batch);
        break;
    case BATCH_SHUT:
        store->shut_until_us = loop_now_us(store->options.loop) + REOPEN_US;
        store->pause_us = 0;
        loop_timer_clear(&store->retry);
        finish_with(store, &batch->ops, batch->err, batch->why);
        note_failure(store, batch->err, batch->why, false);
        break;
    }
}

/* ---- what goes to the writer ---- */

/* In order; while writes wait for better times, reads alone. */
static void gather(struct store *store, struct batch *batch)
{
    bool are_writes_to_wait = store->pause_us && !store->is_retry_due;
    size_t count = 0;

    list_init(&batch->ops);
    batch->writes = 0;
    list_for_each_safe (link, &store->queue) {
        struct store_op *op = container_of(link, struct store_op, link);

        if (are_writes_to_wait && op->kind->is_write)
            continue;
        list_remove(link);
        list_push_back(&batch->ops, link);
        batch->writes += op->kind->is_write;
        if (++count == BATCH_MAX_OPS)
            break;
    }
    store->is_retry_due = false;
}

static void on_told(struct loop_fd *fd, unsigned ready);

static int start_writer(struct store *store)
{
    if (store->writer)
        return 0;
    if (store->told.fd < 0) {
        store->told.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        store->told.on_ready = on_told;
        if (store->told.fd < 0)
            return ERR_NOMEM;
        if (loop_add(store->options.loop, &store->told, false) != 0) {
            close(store->told.fd);
            store->told.fd = -1;
            return ERR_NOMEM;
        }
    }
    store->writer = writer_new(store->path, store->schema, store->told.fd);
    return store->writer ? 0 : ERR_NOMEM;
}

/* Nothing can be asked of it now. */
static bool is_shut(const struct store *store)
{
    return store->health.err && !store->health.is_open &&
           loop_now_us(store->options.loop) < store->shut_until_us;
}

static void pump(struct store *store)
{
    if (list_is_empty(&store->queue))
        return;
    if (is_shut(store)) {
        finish_with(store, &store->queue, store->health.err, store->health.why);
        return;
    }
    if (start_writer(store) != 0) {
        store->shut_until_us = loop_now_us(store->options.loop) + REOPEN_US;
        finish_with(store, &store->queue, ERR_NOMEM, "no memory or thread for the store's writer");
        note_failure(store, ERR_NOMEM, "no memory or thread for the store's writer", false);
        return;
    }
    if (writer_is_busy(store->writer))
        return;
    gather(store, &store->batch);
    if (!list_is_empty(&store->batch.ops))
        writer_hand(store->writer, &store->batch);
}

static void on_start(struct loop_task *task)
{
    pump(container_of(task, struct store, start));
}

static void on_retry(struct loop_timer *timer)
{
    struct store *store = container_of(timer, struct store, retry);

    store->is_retry_due = true;
    pump(store);
}

static void on_told(struct loop_fd *fd, unsigned ready)
{
    struct store *store = container_of(fd, struct store, told);
    struct batch *batch;
    uint64_t count;

    (void)ready;
    while (read(fd->fd, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
    batch = store->writer ? writer_take(store->writer, false) : NULL;
    if (!batch)
        return; /* store_flush has taken it */
    settle(store, batch);
    pump(store);
}

/* ---- asking ---- */

uint64_t store_wall_us(const struct store *store)
{
    return loop_wall_us(store->options.loop);
}

static int check_room(const struct store *store, const struct store_op *op)
{
    if (store->health.queued >= STORE_MAX_QUEUED)
        return ERR_FULL;
    return op->arena.held > STORE_MAX_BYTES - store->health.held_bytes ? ERR_FULL : 0;
}

int store_submit(struct store *store, struct store_ask *ask, struct store_op *op, bool is_sound)
{
    int err = op ? op->err : ERR_NOMEM;

    if (!is_sound)
        err = ERR_RANGE;
    if (!err)
        err = check_room(store, op);
    if (err) {
        store_op_free(&op);
        return err;
    }
    op->ask = ask;
    if (ask) {
        bug_fatal_unless(!ask->op);
        ask->op = op;
    }
    op->held_bytes = op->arena.held;
    store->health.queued++;
    store->health.held_bytes += op->held_bytes;
    list_push_back(&store->queue, &op->link);
    loop_defer(store->options.loop, &store->start);
    return 0;
}

void store_cancel(struct store_ask *ask)
{
    struct store_op *op = ask->op;

    if (!op)
        return;
    ask->op = NULL;
    op->ask = NULL;
}

/* ---- the store ---- */

struct store *store_new_with(const struct store_options *options, const struct schema *schema)
{
    struct store *store = mem_zalloc(1, sizeof(*store));

    if (!store)
        return NULL;
    store->options = *options;
    store->schema = schema;
    store->told.fd = -1;
    list_init(&store->queue);
    list_init(&store->done);
    list_init(&store->batch.ops);
    loop_task_init(&store->start, on_start);
    loop_task_init(&store->tell, tell_all);
    loop_timer_init(&store->retry, options->loop, on_retry);
    store->path = mem_strdup(options->path, strlen(options->path));
    if (!store->path || loop_timer_reserve(&store->retry) != 0) {
        loop_timer_fini(&store->retry);
        mem_free(store->path);
        MEM_CLEAR(store);
    }
    return store;
}

struct store *store_new(const struct store_options *options)
{
    return store_new_with(options, &store_schema);
}

/* Each write once, be it in trouble or not: a second failure ends it. */
int store_flush(struct store *store)
{
    struct batch *batch;

    store->is_retry_due = true;
    pump(store);
    while (store->writer && (batch = writer_take(store->writer, true))) {
        settle(store, batch);
        pump(store);
    }
    return store->health.err;
}

bool store_await(struct store *store, uint64_t most_us)
{
    uint64_t end_us = clock_now_us() + most_us;

    pump(store);
    while (store->writer && writer_is_busy(store->writer)) {
        uint64_t now_us = clock_now_us();
        struct pollfd told = {.fd = store->told.fd, .events = POLLIN};

        if (now_us >= end_us)
            return false;
        if (poll(&told, 1, (int)((end_us - now_us + US_PER_MS - 1) / US_PER_MS)) > 0)
            on_told(&store->told, 0);
    }
    loop_task_cancel(&store->tell);
    tell_all(&store->tell);
    return true;
}

static void forget_all(struct store *store, struct list *ops)
{
    struct list *link;

    while ((link = list_pop_front(ops)))
        forget(store, container_of(link, struct store_op, link));
}

void store_free(struct store **place)
{
    struct store *store = *place;

    *place = NULL;
    if (!store)
        return;
    store_flush(store);
    writer_free(&store->writer);
    if (store->told.fd >= 0) {
        loop_remove(store->options.loop, &store->told);
        close(store->told.fd);
    }
    loop_task_cancel(&store->start);
    loop_task_cancel(&store->tell);
    loop_timer_fini(&store->retry);
    forget_all(store, &store->queue);
    forget_all(store, &store->done);
    mem_free(store->path);
    mem_free(store);
}

bool store_is_idle(const struct store *store)
{
    return (!store->writer || !writer_is_busy(store->writer)) && list_is_empty(&store->done) &&
           (list_is_empty(&store->queue) || store->pause_us);
}

const struct store_health *store_health(const struct store *store)
{
    return &store->health;
}

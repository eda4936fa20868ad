#include "obs/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/datetime.h"
#include "base/err.h"
#include "obs/line.h"
#include "obs/log_line.h"
#include "obs/log_writer.h"
#include "obs/ring.h"

enum { STOP_WAIT_MS = 2000 };

struct log_ring {
    struct log *log;
    struct ring ring;
    struct line_clock clock;
    struct log_ring *next; /* of all rings of the log; set before it is published */
    struct {
        atomic_uint_fast64_t dropped; /* the ring's owner alone writes it */
    } shared;
};

struct log {
    struct log_writer writer;
    uint64_t (*wall_us)(void);
    size_t ring_bytes;
    uint64_t reported_dropped; /* the helper thread's: the loss that a line has told */

    /* Guards `common`, and the adding of rings; no other lock but the writer's is taken inside. A
     * worker may wait here for as long as another thread needs to format one line. */
    pthread_mutex_t lock;
    struct log_ring *common; /* for program lines of any thread */

    /* The options, each read alone; and the head of the list of rings, which only grows: release
     * and acquire, so that a ring is complete when it is seen. */
    struct {
        atomic_int level;
        atomic_int format;
        atomic_bool has_access;
        _Atomic(struct log_ring *) rings;
    } shared;
};

static void set_options(struct log *log, const struct log_options *options)
{
    atomic_store_explicit(&log->shared.level, options->level, memory_order_relaxed);
    atomic_store_explicit(&log->shared.format, options->format, memory_order_relaxed);
    atomic_store_explicit(&log->shared.has_access, options->has_access, memory_order_relaxed);
}

static enum log_format format_of(const struct log *log)
{
    return (enum log_format)atomic_load_explicit(&log->shared.format, memory_order_relaxed);
}

static void count_dropped(struct log_ring *ring)
{
    uint64_t dropped = atomic_load_explicit(&ring->shared.dropped, memory_order_relaxed);

    atomic_store_explicit(&ring->shared.dropped, dropped + 1, memory_order_relaxed);
}

/* On the helper thread. */
static void report_loss(void *context)
{
    struct log *log = context;
    uint64_t dropped = log_dropped(log), added = dropped - log->reported_dropped;

    log->reported_dropped = dropped;
    if (added)
        log_write(log, LOG_LEVEL_WARNING, "log lines dropped", LOG_UINT("lines", added));
}

/* On the helper thread. */
static void report_open_failed(void *context, const char *file, int err)
{
    log_write(context, LOG_LEVEL_ERROR, "log file cannot be opened; the old one stays",
              LOG_TEXT("file", file), LOG_TEXT("error", err_text(err)));
}

static void ring_free(struct log_ring *ring)
{
    ring_fini(&ring->ring);
    mem_free(ring);
}

/* The caller holds the lock, or is the only thread. */
static struct log_ring *ring_add(struct log *log)
{
    struct log_ring *ring = mem_zalloc(1, sizeof(*ring));

    if (!ring)
        return NULL;
    ring->log = log;
    if (ring_init(&ring->ring, log->ring_bytes) || log_writer_add(&log->writer, &ring->ring)) {
        ring_free(ring);
        return NULL;
    }
    ring->next = atomic_load_explicit(&log->shared.rings, memory_order_relaxed);
    atomic_store_explicit(&log->shared.rings, ring, memory_order_release);
    return ring;
}

int log_new(const struct log_options *options, struct log **ret_log)
{
    struct log *log = mem_zalloc(1, sizeof(*log));
    struct log_writer_events events = {report_loss, report_open_failed, log};
    int err;

    if (!log)
        return ERR_NOMEM;
    log->wall_us = options->wall_us ? options->wall_us : clock_wall_us;
    log->ring_bytes = options->ring_bytes ? options->ring_bytes : LOG_RING_BYTES;
    pthread_mutex_init(&log->lock, NULL);
    set_options(log, options);
    err = log_writer_start(&log->writer, options->file, &events);
    if (err) {
        pthread_mutex_destroy(&log->lock);
        mem_free(log);
        return err;
    }
    log->common = ring_add(log);
    if (!log->common) {
        log_free(&log);
        return ERR_NOMEM;
    }
    *ret_log = log;
    return 0;
}

void log_free(struct log **log)
{
    struct log *l = *log;
    struct log_ring *ring, *next;

    *log = NULL;
    /* What a stuck helper thread still uses is left to the end of the process. */
    if (!l || log_writer_stop(&l->writer, STOP_WAIT_MS))
        return;
    for (ring = atomic_load(&l->shared.rings); ring; ring = next) {
        next = ring->next;
        ring_free(ring);
    }
    pthread_mutex_destroy(&l->lock);
    mem_free(l);
}

int log_reconfigure(struct log *log, const struct log_options *options)
{
    int err = log_writer_open(&log->writer, true, options->file);

    if (!err)
        set_options(log, options);
    return err;
}

void log_reopen(struct log *log)
{
    /* Without another file there is nothing to allocate, and nothing to fail. */
    (void)log_writer_open(&log->writer, false, NULL);
}

bool log_is_on(const struct log *log, enum log_level level)
{
    return log && (int)level <= atomic_load_explicit(&log->shared.level, memory_order_relaxed);
}

static size_t collect_fields(va_list args, const struct log_field **fields)
{
    const struct log_field *field;
    size_t count = 0;

    while ((field = va_arg(args, const struct log_field *)) && count < LOG_MAX_FIELDS)
        fields[count++] = field;
    return count;
}

void log_emit(struct log *log, enum log_level level, const char *message, ...)
{
    const struct log_field *fields[LOG_MAX_FIELDS];
    struct log_line line = {.level = level, .message = message, .fields = fields};
    va_list args;
    char *out;

    va_start(args, message);
    line.field_count = collect_fields(args, fields);
    va_end(args);
    pthread_mutex_lock(&log->lock);
    out = log_ring_reserve(log->common, LOG_LINE_BYTES);
    if (out) {
        line.time = line_clock_text(&log->common->clock, log->wall_us());
        ring_commit(&log->common->ring, (size_t)(log_line_put(out, format_of(log), &line) - out));
    }
    pthread_mutex_unlock(&log->lock);
    /* Program lines are few, and people wait for them. */
    log_writer_wake(&log->writer);
}

uint64_t log_dropped(const struct log *log)
{
    uint64_t dropped = log_writer_lost(&log->writer);
    const struct log_ring *ring = atomic_load_explicit(&log->shared.rings, memory_order_acquire);

    for (; ring; ring = ring->next)
        dropped += atomic_load_explicit(&ring->shared.dropped, memory_order_relaxed);
    return dropped;
}

struct log_ring *log_ring_new(struct log *log)
{
    struct log_ring *ring;

    pthread_mutex_lock(&log->lock);
    ring = ring_add(log);
    pthread_mutex_unlock(&log->lock);
    return ring;
}

bool log_ring_has_access(const struct log_ring *ring)
{
    return atomic_load_explicit(&ring->log->shared.has_access, memory_order_relaxed);
}

enum log_format log_ring_format(const struct log_ring *ring)
{
    return format_of(ring->log);
}

char *log_ring_reserve(struct log_ring *ring, size_t max_len)
{
    char *out = ring_reserve(&ring->ring, max_len);

    if (!out)
        count_dropped(ring);
    return out;
}

void log_ring_commit(struct log_ring *ring, size_t len)
{
    ring_commit(&ring->ring, len);
    log_writer_hint(&ring->log->writer, log_writer_is_filling(&ring->ring));
}

const char *log_ring_time(struct log_ring *ring, uint64_t wall_us)
{
    return line_clock_text(&ring->clock, wall_us);
}

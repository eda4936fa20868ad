/*
 * The helper thread of a log: it takes lines out of rings and writes them to the destination in
 * long writes. It sleeps while there is little to do, and who commits a line seldom has to wake it.
 * Embedded in its log. The control thread calls everything here but log_writer_hint,
 * log_writer_wake and log_writer_lost, which are any thread's.
 */
#ifndef OBS_LOG_WRITER_H
#define OBS_LOG_WRITER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "obs/ring.h"

enum { LOG_WRITER_MAX_RINGS = 1025 };

/* What the helper thread is doing. */
enum log_writer_sleep {
    LOG_WRITER_AWAKE, /* it looks at every ring before it sleeps */
    LOG_WRITER_NAP,   /* it looks again within 50 ms: worth waking only for a ring that fills */
    LOG_WRITER_SLEEP, /* nothing came for a second: the next line wakes it */
};

/* What the helper thread tells its log, on the helper thread. It may commit lines. */
struct log_writer_events {
    void (*on_written)(void *context); /* lines have reached the destination */
    void (*on_open_failed)(void *context, const char *file, int err);
    void *context;
};

struct log_writer {
    struct log_writer_events events;
    pthread_t thread;
    int wake_fd;
    int done_fd; /* written once by the helper thread, when it leaves */
    int fd;      /* the helper's: the destination */
    bool is_cut; /* the helper's: a write failed inside a line */

    pthread_mutex_t lock; /* guards file and has_to_open; held for a copy, and innermost */
    char *file;           /* NULL: stderr */
    bool has_to_open;

    /* Rings are only ever added: one is stored before the count that covers it, with release.
     * `sleep` is a hint: see log_writer_hint. The others are a flag and a count that stand alone.
     */
    struct {
        _Atomic(struct ring *) rings[LOG_WRITER_MAX_RINGS];
        atomic_size_t ring_count;
        atomic_int sleep;
        atomic_bool is_stopping;
        atomic_uint_fast64_t lost; /* lines that the destination did not take */
    } shared;
};

/* Opens the file (NULL: stderr) and starts the helper thread: 0, ERR_NOMEM, ERR_IO, or what opening
 * ended with. After an error there is nothing to stop. */
int log_writer_start(struct log_writer *writer, const char *file,
                     const struct log_writer_events *events);

/* Writes out all rings and ends the helper thread. Nobody commits lines any more. ERR_TIMEOUT where
 * the destination takes nothing for wait_ms (a pipe that nobody reads): the helper thread is then
 * still at it, and the writer and its rings must be left to it until the process ends. */
int log_writer_stop(struct log_writer *writer, int wait_ms);

/* Another file, or the same one anew (is_changed false, file ignored): the helper thread opens it
 * soon, and keeps the old one where that fails. 0 or ERR_NOMEM. */
int log_writer_open(struct log_writer *writer, bool is_changed, const char *file);

/* Takes a ring in, which must live until log_writer_stop: 0 or ERR_FULL. Any thread, one at a time.
 */
int log_writer_add(struct log_writer *writer, struct ring *ring);

/* Wakes the helper thread if it sleeps. */
void log_writer_wake(struct log_writer *writer);

/* Told after each committed line: wakes the helper thread where it must. The load is relaxed and
 * may be early: a line committed in the moment in which the helper falls into LOG_WRITER_SLEEP then
 * waits for the next line, or for the end of that sleep, a second at most. */
static inline void log_writer_hint(struct log_writer *writer, bool is_filling)
{
    int sleep = atomic_load_explicit(&writer->shared.sleep, memory_order_relaxed);

    if (sleep == LOG_WRITER_SLEEP || (sleep == LOG_WRITER_NAP && is_filling))
        log_writer_wake(writer);
}

/* Whether a ring is full enough for its helper to be woken. */
static inline bool log_writer_is_filling(const struct ring *ring)
{
    size_t quarter = ring->size / 4;

    return ring_fill(ring) >= (quarter < RING_REWIND_BYTES ? quarter : RING_REWIND_BYTES);
}

/* Lines that the destination did not take. */
uint64_t log_writer_lost(const struct log_writer *writer);

#endif

#include "obs/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"

enum { NAP_MS = 50, NAPS_BEFORE_SLEEP = 20, SLEEP_MS = 1000, FILE_MODE = 0640 };

/* Runs taken from one ring before the others have their turn: it may wrap around once. */
enum { RUNS_PER_RING = 2 };

/* At once: file systems with large folios take pages for a larger write that nobody had used for
 * long, or ever, and these cost a virtual machine several times the copy. */
enum { PIECE_BYTES = 32768 };

static int open_destination(const char *file, int *ret_fd)
{
    int fd = STDERR_FILENO;

    if (file) {
        fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, FILE_MODE);
        if (fd < 0)
            return err_from_errno(errno);
    }
    *ret_fd = fd;
    return 0;
}

static void close_destination(int fd)
{
    if (fd >= 0 && fd != STDERR_FILENO)
        close(fd);
}

static void reset_event(int fd)
{
    uint64_t count;

    /* Nonblocking: there may be nothing to take. */
    if (read(fd, &count, sizeof(count)) < 0)
        return;
}

static void raise_event(int fd)
{
    uint64_t one = 1;

    /* It can fail only where the event is raised already. */
    if (write(fd, &one, sizeof(one)) < 0)
        return;
}

static void wait_for_event(int fd, int wait_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    if (poll(&ready, 1, wait_ms) > 0)
        reset_event(fd);
}

/* Whole lines, which then stay whole beside those of another process that appends to the file. */
static size_t piece_of(struct span lines)
{
    const char *end = memrchr(lines.ptr, '\n', PIECE_BYTES);

    return end ? (size_t)(end + 1 - lines.ptr) : PIECE_BYTES;
}

/* write(2), waiting where the destination is nonblocking and full. */
static ssize_t write_or_wait(int fd, struct span bytes)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    ssize_t written;

    if (bytes.len > PIECE_BYTES)
        bytes.len = piece_of(bytes);
    while ((written = write(fd, bytes.ptr, bytes.len)) < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            poll(&ready, 1, -1);
        else if (errno != EINTR)
            break;
    }
    return written;
}

static int write_all(struct log_writer *writer, struct span *rest)
{
    while (rest->len) {
        ssize_t written = write_or_wait(writer->fd, *rest);

        if (written < 0)
            return ERR_IO;
        *rest = span_skip(*rest, (size_t)written);
    }
    return 0;
}

static uint64_t count_lines(struct span text)
{
    uint64_t lines = 0;

    for (size_t at; (at = span_find_byte(text, '\n')) != SIZE_MAX; lines++)
        text = span_skip(text, at + 1);
    return lines;
}

/* Whole lines. What the destination does not take is lost: it is no use to keep it and lose what
 * comes after it instead. */
static int write_lines(struct log_writer *writer, struct span lines)
{
    struct span rest = lines, end = SPAN("\n");
    int err = writer->is_cut ? write_all(writer, &end) : 0;

    writer->is_cut = writer->is_cut && err;
    if (!err)
        err = write_all(writer, &rest);
    if (err) {
        writer->is_cut = writer->is_cut || (rest.ptr > lines.ptr && rest.ptr[-1] != '\n');
        atomic_fetch_add_explicit(&writer->shared.lost, count_lines(rest), memory_order_relaxed);
    }
    return err;
}

/* How many rings had lines; *ret_err tells whether the destination failed. */
static size_t write_rings(struct log_writer *writer, int *ret_err)
{
    size_t count = atomic_load_explicit(&writer->shared.ring_count, memory_order_acquire);
    size_t busy = 0;

    *ret_err = 0;
    for (size_t i = 0; i < count; i++) {
        struct ring *ring = atomic_load_explicit(&writer->shared.rings[i], memory_order_relaxed);
        struct span run = ring_peek(ring);

        busy += run.len > 0;
        for (int runs = 0; run.len && runs < RUNS_PER_RING; runs++) {
            int err = write_lines(writer, run);

            *ret_err = *ret_err ? *ret_err : err;
            ring_consume(ring, run.len);
            run = ring_peek(ring);
        }
    }
    return busy;
}

static bool is_any_ring(struct log_writer *writer, bool (*claim)(const struct ring *))
{
    size_t count = atomic_load_explicit(&writer->shared.ring_count, memory_order_acquire);

    for (size_t i = 0; i < count; i++)
        if (claim(atomic_load_explicit(&writer->shared.rings[i], memory_order_relaxed)))
            return true;
    return false;
}

static bool has_lines(const struct ring *ring)
{
    return ring_fill(ring) > 0;
}

static bool is_stopping(struct log_writer *writer)
{
    return atomic_load_explicit(&writer->shared.is_stopping, memory_order_acquire);
}

/* Sleeps until there may be something to do. It tells so before it looks at the rings once more, so
 * that whoever commits a line after that look sees it, but for the moment that log_writer_hint
 * speaks of. */
static void rest(struct log_writer *writer, int empty_passes)
{
    bool is_long = empty_passes >= NAPS_BEFORE_SLEEP;

    atomic_exchange(&writer->shared.sleep, is_long ? LOG_WRITER_SLEEP : LOG_WRITER_NAP);
    if (!is_stopping(writer) && !is_any_ring(writer, is_long ? has_lines : log_writer_is_filling))
        wait_for_event(writer->wake_fd, is_long ? SLEEP_MS : NAP_MS);
    atomic_store(&writer->shared.sleep, LOG_WRITER_AWAKE);
}

static void open_if_asked(struct log_writer *writer)
{
    char *file = NULL;
    int fd = -1, err = 0;
    bool has_to_open;

    pthread_mutex_lock(&writer->lock);
    has_to_open = writer->has_to_open;
    writer->has_to_open = false;
    if (has_to_open && writer->file) {
        file = mem_strdup(writer->file, strlen(writer->file));
        err = file ? 0 : ERR_NOMEM;
    }
    pthread_mutex_unlock(&writer->lock);
    if (!has_to_open)
        return;
    if (!err)
        err = open_destination(file, &fd);
    if (err) {
        writer->events.on_open_failed(writer->events.context, file ? file : "", err);
    } else {
        close_destination(writer->fd);
        writer->fd = fd;
        writer->is_cut = false;
    }
    mem_free(file);
}

static void *run(void *argument)
{
    struct log_writer *writer = argument;
    struct sched_param param = {0};
    int empty_passes = 0;

    /* When it wakes it takes no core from a worker that is at work. Where that is refused, it may.
     */
    (void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &param);

    for (;;) {
        bool is_last = is_stopping(writer);
        size_t busy;
        int err;

        open_if_asked(writer);
        busy = write_rings(writer, &err);
        if (busy && !err)
            writer->events.on_written(writer->events.context);
        if (is_last && !busy)
            break;
        empty_passes = busy ? 0 : empty_passes + 1;
        if (!is_last)
            rest(writer, empty_passes);
    }
    raise_event(writer->done_fd);
    return NULL;
}

/* With all signals blocked, so that those of the process reach the threads that wait for them, and
 * a closed pipe is an error of write(2). */
static int start_thread(struct log_writer *writer)
{
    sigset_t all, old;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    failed = pthread_create(&writer->thread, NULL, run, writer);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failed ? ERR_NOMEM : 0;
}

static void release(struct log_writer *writer)
{
    close_destination(writer->fd);
    if (writer->wake_fd >= 0)
        close(writer->wake_fd);
    if (writer->done_fd >= 0)
        close(writer->done_fd);
    MEM_CLEAR(writer->file);
    pthread_mutex_destroy(&writer->lock);
}

int log_writer_start(struct log_writer *writer, const char *file,
                     const struct log_writer_events *events)
{
    int err;

    *writer = (struct log_writer){.events = *events, .fd = -1};
    pthread_mutex_init(&writer->lock, NULL);
    writer->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    writer->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    err = writer->wake_fd < 0 || writer->done_fd < 0 ? ERR_IO : 0;
    if (!err)
        err = open_destination(file, &writer->fd);
    if (!err && file) {
        writer->file = mem_strdup(file, strlen(file));
        err = writer->file ? 0 : ERR_NOMEM;
    }
    if (!err)
        err = start_thread(writer);
    if (err)
        release(writer);
    return err;
}

int log_writer_stop(struct log_writer *writer, int wait_ms)
{
    struct pollfd done = {.fd = writer->done_fd, .events = POLLIN};

    atomic_store_explicit(&writer->shared.is_stopping, true, memory_order_release);
    raise_event(writer->wake_fd);
    if (poll(&done, 1, wait_ms) <= 0)
        return ERR_TIMEOUT;
    pthread_join(writer->thread, NULL);
    release(writer);
    return 0;
}

int log_writer_open(struct log_writer *writer, bool is_changed, const char *file)
{
    char *copy = NULL;

    if (is_changed && file) {
        copy = mem_strdup(file, strlen(file));
        if (!copy)
            return ERR_NOMEM;
    }
    pthread_mutex_lock(&writer->lock);
    if (is_changed) {
        mem_free(writer->file);
        writer->file = copy;
    }
    writer->has_to_open = true;
    pthread_mutex_unlock(&writer->lock);
    raise_event(writer->wake_fd);
    return 0;
}

int log_writer_add(struct log_writer *writer, struct ring *ring)
{
    size_t count = atomic_load_explicit(&writer->shared.ring_count, memory_order_relaxed);

    if (count == LOG_WRITER_MAX_RINGS)
        return ERR_FULL;
    atomic_store_explicit(&writer->shared.rings[count], ring, memory_order_relaxed);
    atomic_store_explicit(&writer->shared.ring_count, count + 1, memory_order_release);
    return 0;
}

void log_writer_wake(struct log_writer *writer)
{
    if (atomic_exchange(&writer->shared.sleep, LOG_WRITER_AWAKE) != LOG_WRITER_AWAKE)
        raise_event(writer->wake_fd);
}

uint64_t log_writer_lost(const struct log_writer *writer)
{
    return atomic_load_explicit(&writer->shared.lost, memory_order_relaxed);
}

/*
 * The log: what the program has to say (a level, a message, named values), and one line for each
 * exchange (obs/access.h), as JSON or text, to stderr or a file. Nobody who logs ever waits for the
 * disk: a line is formatted into a ring, and a helper thread of the log's own writes the rings out.
 * What finds its ring full is dropped and counted, and a line says how many were.
 *
 * Made by the control thread before any other thread uses it, and freed after all of them have
 * ended. log_write, log_is_on and log_dropped may be called by any thread; a log_ring belongs to
 * the one thread that asked for it; the rest belongs to the control thread.
 */
#ifndef OBS_LOG_H
#define OBS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct log;
struct log_ring;

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_JSON, LOG_FORMAT_TEXT };

enum {
    LOG_LINE_BYTES = 8192, /* of a program line; a longer text is cut */
    LOG_MAX_FIELDS = 16,
    LOG_RING_BYTES = 1024 * 1024, /* default of log_options.ring_bytes */
    LOG_MAX_RINGS = 1024,
};

struct log_options {
    enum log_level level; /* the most talkative level that is still written */
    enum log_format format;
    bool has_access;           /* a line for each exchange */
    const char *file;          /* NULL: stderr */
    size_t ring_bytes;         /* of each ring, a power of two; 0: LOG_RING_BYTES */
    uint64_t (*wall_us)(void); /* NULL: clock_wall_us; a test's own clock */
};

/* A named value of a program line. */
struct log_field {
    const char *name; /* a short literal in snake_case: it is not escaped */
    enum log_field_kind { LOG_FIELD_TEXT, LOG_FIELD_INT, LOG_FIELD_UINT, LOG_FIELD_BOOL } kind;
    union {
        struct span text;
        int64_t i;
        uint64_t u;
        bool b;
    } value;
};

#define LOG_FIELD_(...)        (&(const struct log_field){__VA_ARGS__})
#define LOG_SPAN(name, span)   LOG_FIELD_((name), LOG_FIELD_TEXT, {.text = (span)})
#define LOG_TEXT(name, text_)  LOG_FIELD_((name), LOG_FIELD_TEXT, {.text = span_from_text(text_)})
#define LOG_INT(name, number)  LOG_FIELD_((name), LOG_FIELD_INT, {.i = (number)})
#define LOG_UINT(name, number) LOG_FIELD_((name), LOG_FIELD_UINT, {.u = (number)})
#define LOG_BOOL(name, truth)  LOG_FIELD_((name), LOG_FIELD_BOOL, {.b = (truth)})

/* Opens the destination and starts the helper thread. options->file is copied. 0, ERR_NOMEM, or
 * what opening the file ended with (ERR_NOTFOUND, ERR_DENIED, ERR_IO). */
int log_new(const struct log_options *options, struct log **ret_log);

/* Writes out what stands in the rings, ends the helper thread and frees the log and its rings. It
 * is held up for two seconds at most: a destination that takes nothing for so long loses the lines,
 * and keeps the memory until the process ends. Accepts NULL. */
void log_free(struct log **log);

/* The options of a reloaded configuration; ring_bytes and wall_us stay as they are. A file that
 * cannot be opened leaves the old one in use, and an error line there says so. 0 or ERR_NOMEM. */
int log_reconfigure(struct log *log, const struct log_options *options);

/* Has the file opened anew after its rotation; the helper thread does it soon. */
void log_reopen(struct log *log);

/* Whether a line of this level would be written. A NULL log writes none. */
bool log_is_on(const struct log *log, enum log_level level);

/*
 * One program line: a constant phrase, then what varies as fields, which may be none. Fields are
 * not evaluated where the level is off.
 *
 *     log_write(log, LOG_LEVEL_WARNING, "key set aside", LOG_SPAN("key", name), LOG_UINT("ms",
 * ms));
 */
#define log_write(log, level, ...)                                                                 \
    (log_is_on((log), (level))                                                                     \
         ? log_emit((log), (level), __VA_ARGS__, (const struct log_field *)NULL)                   \
         : (void)0)

/* What log_write expands to: message, then const struct log_field * up to a NULL, at most
 * LOG_MAX_FIELDS. */
void log_emit(struct log *log, enum log_level level, const char *message, ...)
    __attribute__((sentinel));

/* Lines lost so far: rings that were full, and a destination that failed. */
uint64_t log_dropped(const struct log *log);

/* A ring for the calling thread's lines, owned by the log and gone with it. NULL without memory or
 * above LOG_MAX_RINGS. */
struct log_ring *log_ring_new(struct log *log);

/* Whether lines for exchanges are wanted, and in which format. */
bool log_ring_has_access(const struct log_ring *ring);
enum log_format log_ring_format(const struct log_ring *ring);

/* A place for a line of at most max_len bytes, its newline included, valid until log_ring_commit;
 * NULL where the ring has no room: the line is then counted as dropped. */
char *log_ring_reserve(struct log_ring *ring, size_t max_len);

/* Hands over the first len bytes of the place: one whole line. No system call, unless the ring has
 * just passed a quarter of its size or the helper thread has slept for long. */
void log_ring_commit(struct log_ring *ring, size_t len);

/* wall_us as RFC 3339 with milliseconds: RFC3339_BYTES, valid until the next call. Cheap: the
 * second is kept from the call before. */
const char *log_ring_time(struct log_ring *ring, uint64_t wall_us);

#endif

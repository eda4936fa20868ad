/*
 * A program of the operator's, run once: no shell, an environment of its own, a few bytes on its
 * standard input, its output bounded, its time too. Its pipes and its end (a pidfd) stand in the
 * loop, so that nothing waits. Embedded in its owner; the control thread.
 *
 * It leads a process group of its own. Whatever is left of that when the program ends, or its time
 * is up, is killed: nobody would read what it writes. No descriptor of ours is left open in it.
 */
#ifndef ROTATION_PROGRAM_H
#define ROTATION_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/span.h"
#include "io/loop.h"

enum {
    PROGRAM_INPUT_MAX_BYTES = 4096, /* what any pipe holds without a reader: PIPE_BUF */
    PROGRAM_OUTPUT_MAX_BYTES = 64 << 10,
    PROGRAM_WORDS_MAX_BYTES = 4096, /* of its standard error; the rest is read and dropped */
};

struct program_ask {
    const char *const *argv;        /* a whole path first; ends with NULL */
    const char *const *environment; /* "NAME=value"; ends with NULL */
    struct span input;
    uint64_t timeout_us;
};

/* How it ended; borrowed for the call. */
struct program_end {
    int err;  /* 0: by itself; ERR_TIMEOUT; ERR_FULL: it wrote too much; both times it was killed */
    int code; /* its exit code, where signal is 0 */
    int signal;         /* that ended it */
    struct span output; /* in memory that is wiped */
    struct span words;  /* the beginning of what it wrote to its standard error */
};

/* One run. Zeroed before its first use. */
struct program {
    struct loop *loop; /* NULL: not under way */
    /* Called once, never before program_begin has returned; the program may then be run anew. */
    void (*on_done)(struct program *program, const struct program_end *end);
    pid_t pid;
    struct loop_fd ended, output, words;
    struct loop_timer timer;
    struct buf told, complaint;
    int err; /* it was killed for that */
};

/* Starts it. 0, or nothing is under way: ERR_NOTFOUND, ERR_DENIED or another that tells why it
 * cannot be started; ERR_RANGE (input); ERR_FULL (descriptors); ERR_NOMEM. */
int program_begin(struct program *program, struct loop *loop, const struct program_ask *ask);

/* Kills it, untold. Harmless where it is not under way. */
void program_cancel(struct program *program);

#endif

/*
 * What loading a configuration asks of the system: variables and files. A table of functions, so
 * that a test needs neither. Used while loading only, by the thread that loads.
 */
#ifndef CONF_SYSTEM_H
#define CONF_SYSTEM_H

#include <stddef.h>

#include "base/buf.h"

struct conf_system {
    void *ctx;
    /* The value of an environment variable, or NULL; borrowed until the next call. */
    const char *(*variable)(void *ctx, const char *name);
    /* Appends the whole file: 0, ERR_NOTFOUND, ERR_DENIED, ERR_IO, ERR_UNSUPPORTED (a folder),
     * ERR_FULL (larger than the buffer's maximum) or ERR_NOMEM. Takes all the room first, so that
     * the bytes of a secret are never moved. */
    int (*read_file)(void *ctx, const char *path, struct buf *out);
    /* Appends the names of the plain files in a folder, each with a NUL behind it, in any order,
     * without those that start with '.': 0 or as read_file. */
    int (*list_folder)(void *ctx, const char *path, struct buf *out);
};

/* The process's own environment and files. */
extern const struct conf_system conf_system_process;

#endif

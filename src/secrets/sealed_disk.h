/*
 * A file that is read whole and replaced whole, so that there always is one: the new one is on the
 * disk before it takes the old one's place, and a file that somebody else has changed meanwhile is
 * not replaced. These calls wait for the disk: at the start of the program, or on a helper thread.
 */
#ifndef SECRETS_SEALED_DISK_H
#define SECRETS_SEALED_DISK_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "base/buf.h"
#include "secrets/secret_store.h"

/* By which a file is known again. */
struct sealed_identity {
    bool is_there;
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec changed;
};

/* Appends the content, and tells which file that was. 0; ERR_NOTFOUND; ERR_DENIED, ERR_IO,
 * ERR_FULL, ERR_NOMEM. With an error, `why` (SECRET_WORDS_BYTES) says it. */
int sealed_disk_read(const char *path, struct buf *out, struct sealed_identity *ret_seen,
                     char *why);

/* Puts a file with those bytes, for its owner alone, in the place of the one that was seen, which
 * becomes the new one. ERR_DENIED, too, where another stands there by now. After ERR_IO of the
 * folder the new one stands there, and may be gone after a crash; else the old one does. */
int sealed_disk_replace(const char *path, struct span bytes, struct sealed_identity *seen,
                        char *why);

#endif

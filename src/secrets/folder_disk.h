/*
 * Entries as files below a folder: what secrets/folder_store.h does on the disk. It waits for that,
 * so it runs on a helper thread; nothing is shared but the place that is passed.
 *
 * A folder that Kubernetes mounts is swapped as a whole: its "..data" is a link to the folder that
 * holds the files of now, and another one takes that name. All that is read of one place comes out
 * of one such folder.
 */
#ifndef SECRETS_FOLDER_DISK_H
#define SECRETS_FOLDER_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "secrets/secret_store.h"

struct folder_place {
    const char *path; /* the folder's, borrowed */
    int root, base;   /* base: where files are read; "..data" of a mounted folder, else the root */
    bool is_mounted;
};

/* 0, or an error with `why` (SECRET_WORDS_BYTES). */
int folder_place_open(struct folder_place *place, const char *path, char *why);
void folder_place_close(struct folder_place *place);

/* Whether the place is that of now: else what was not found may stand in the next. */
bool folder_place_is_current(const struct folder_place *place);

/* Appends the entry in the file of that name (a path below the folder): a JSON object as it stands
 * there, or a key alone, without one newline at its end. 0, *ret_version 0 where there is none;
 * ERR_SYNTAX: neither; ERR_DENIED, ERR_IO, ERR_NOMEM. `out` is a secret buffer. */
int folder_read(const struct folder_place *place, const char *name, struct buf *out,
                uint64_t *ret_version, char *why);

/* Puts it in the file's place, on the disk when this returns. 0 and its version; ERR_EXISTS;
 * ERR_UNSUPPORTED: a mounted folder; ERR_DENIED, ERR_IO, ... */
int folder_write(const struct folder_place *place, const char *name, struct span text,
                 uint64_t expected, uint64_t *ret_version, char *why);

/* The same without a file in the end. */
int folder_remove(const struct folder_place *place, const char *name, uint64_t expected, char *why);

/* Appends the names right below `name` ("": the folder itself), as secret_answer.names has them. */
int folder_list(const struct folder_place *place, const char *name, struct buf *out, char *why);

#endif

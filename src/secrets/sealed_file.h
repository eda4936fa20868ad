/*
 * The store that needs nobody else: all entries in one sealed file beside the configuration
 * (secrets/sealed.h), and in locked memory while it is open. The file is written whole: a new one
 * beside it, on the disk before it takes the old one's place, so that there always is a whole one.
 * A helper thread does that; changes that come meanwhile are put together into the next. What is
 * read is always what the disk has. Control thread.
 *
 * Meant for one process at a time: a file that somebody else has changed since is not written over,
 * and the change is refused.
 */
#ifndef SECRETS_SEALED_FILE_H
#define SECRETS_SEALED_FILE_H

#include "io/helpers.h"
#include "secrets/secret_store.h"

enum { SEALED_FILE_MAX_ENTRIES = 65536, SEALED_FILE_MAX_BYTES = 256 << 20 };

struct sealed_file_options {
    struct loop *loop;
    struct helpers *helpers;
    struct secret_arena *secrets; /* of all entries, and the key */
    const char *path;             /* "/etc/bellwether/bellwether.sealed"; copied */
    const char *key_path;         /* "/etc/bellwether/bellwether.key"; copied */
};

/* Opens and reads it at once, which waits for the disk: for the start of the program. Where there
 * is no file yet the store is empty; the file, and the key where there is none, are made by the
 * first change. 0; ERR_NOTFOUND: there is a file, and no key for it; what seal_key_read and
 * sealed_open end with; ERR_PROTO: what is sealed is no such store. With an error, `why`
 * (SECRET_WORDS_BYTES) says it, and the file is left as it is. */
int sealed_file_open(const struct sealed_file_options *options, struct secret_store **ret_store,
                     char *why);

#endif

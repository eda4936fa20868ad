/*
 * Secrets in files: each entry one file below a folder, as an operator keeps them or Kubernetes,
 * Docker and systemd mount them; or one file alone. A file holds an entry's JSON object, or only a
 * key: {"api_key":"<the key>"}. Names that begin with a '.' are none of its entries. Changes are
 * heard of by inotify, and looked for now and then besides, as not every file system tells. The
 * disk is asked by helper threads; the rest is the control thread's.
 *
 * Versions are those of contents. An expected one is compared before the file is written; only
 * other processes can come in between.
 */
#ifndef SECRETS_FOLDER_STORE_H
#define SECRETS_FOLDER_STORE_H

#include "io/helpers.h"
#include "secrets/secret_store.h"

/* Under which the entry of a store of one file stands. */
#define FOLDER_STORE_FILE "key"

struct folder_store_options {
    struct loop *loop;
    struct helpers *helpers;
    const char *path; /* of the folder, or of the file; copied */
    bool is_file;
    uint64_t poll_us; /* between two looks at what is watched; 0: 30 s */
};

/* NULL without memory or descriptors. A folder that is not there is told by each ask. */
struct secret_store *folder_store_new(const struct folder_store_options *options);

#endif

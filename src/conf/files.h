/*
 * What tells whether a file, or the names in a folder, are others than a load found: digests. They
 * wait for the disk, as loads do; any thread.
 */
#ifndef CONF_FILES_H
#define CONF_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "conf/config.h"
#include "conf/system.h"

/* Of a content; of sorted names. All zero stands for what cannot be read. */
void conf_content_digest(struct span content, uint8_t ret_digest[CONF_SHA256_BYTES]);
void conf_names_digest(const char *const *names, size_t count,
                       uint8_t ret_digest[CONF_SHA256_BYTES]);

/* The names of a listing (conf_system.list_folder), sorted, into `names`, which has room for as
 * many as there are NULs. */
void conf_names_sort(const struct buf *listing, const char **names, size_t count);
size_t conf_names_count(const struct buf *listing);

/* Of what is there now. 0 or ERR_NOMEM. */
int conf_file_digest(const struct conf_system *system, const char *path, bool is_folder,
                     uint8_t ret_digest[CONF_SHA256_BYTES]);

#endif

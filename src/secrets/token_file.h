/*
 * The file that proves who asks: a short-lived token that the platform writes and replaces, such as
 * a projected service-account token of Kubernetes. Read anew for each exchange. Any thread that may
 * read a small local file.
 */
#ifndef SECRETS_TOKEN_FILE_H
#define SECRETS_TOKEN_FILE_H

#include "base/buf.h"

/* Appends the file's content, without white space at its end; `out` is a secret buffer, whose
 * maximum bounds what is read. Never waits for a writer. 0; ERR_NOTFOUND, ERR_DENIED, ERR_IO,
 * ERR_UNSUPPORTED (no plain file), ERR_FULL, ERR_NOMEM. */
int token_file_read(const char *path, struct buf *out);

#endif

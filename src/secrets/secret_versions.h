/*
 * The versions of an entry, gathered from wherever a store tells of them, and written as
 * secret_answer.names has them. Belongs to who gathers them; one thread.
 */
#ifndef SECRETS_SECRET_VERSIONS_H
#define SECRETS_SECRET_VERSIONS_H

#include "base/buf.h"
#include "base/span.h"

struct secret_version {
    uint64_t rank; /* the greatest is the newest */
    size_t at;     /* in the order in which they were told */
    size_t len;    /* of the line */
    char *line;
};

struct secret_versions {
    struct secret_version *items;
    size_t count, cap, bytes;
};

/* Adds one; a name that none can have is left out. wall_us: when it was made; 0: not known. 0,
 * ERR_FULL (SECRET_LIST_MAX_BYTES in all) or ERR_NOMEM. */
int secret_versions_add(struct secret_versions *versions, struct span name, uint64_t wall_us,
                        uint64_t rank);

/* Sorts, those of equal rank in the order in which they were told, and appends them: 0, ERR_FULL or
 * ERR_NOMEM. */
int secret_versions_write(struct secret_versions *versions, struct buf *out);

void secret_versions_fini(struct secret_versions *versions);

#endif

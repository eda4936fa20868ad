/*
 * Small named values of the installation itself: its id, when it was last backed up, and such. The
 * thread of the loop.
 */
#ifndef STORE_META_H
#define STORE_META_H

#include <stdint.h>

#include "store/store.h"

struct meta_value {
    struct span name;  /* a word: 1 to 32 small letters and "_" */
    struct span value; /* up to 512 bytes without control characters; may be empty */
    uint64_t changed_wall_us;
};

/* Sets it, in place of what it was. A value that is too long is no reason to cut it: ERR_RANGE. */
int meta_set(struct store *store, struct store_ask *ask, struct span name, struct span value);

/* The same, where there is none yet. The answer: ERR_EXISTS where there is. */
int meta_set_once(struct store *store, struct store_ask *ask, struct span name, struct span value);

/* One value (meta_told). The answer: ERR_NOTFOUND. */
int meta_get(struct store *store, struct store_ask *ask, struct span name);

static inline const struct meta_value *meta_told(const struct store_answer *answer)
{
    return answer->rows;
}

#endif

/*
 * A store of another schema than this program's: for the tests, which play older and newer
 * versions. The thread of the loop.
 */
#ifndef STORE_STORE_BODY_H
#define STORE_STORE_BODY_H

#include "store/store.h"

struct schema;

/* As store_new. */
struct store *store_new_with(const struct store_options *options, const struct schema *schema);

#endif

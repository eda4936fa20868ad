/*
 * Names of header fields as small numbers, from tables/fields.def. Constant; any thread.
 */
#ifndef HTTP_FIELD_H
#define HTTP_FIELD_H

#include <stdint.h>

#include "base/span.h"

enum field_id {
    FIELD_OTHER, /* a name that nobody looks for */
#define FIELD(id, name) FIELD_##id,
#include "tables/fields.def"
#undef FIELD
    FIELD_COUNT,
};

/* A set of ids fits one word. */
#define FIELD_BIT(id) (UINT64_C(1) << FIELD_##id)
_Static_assert(FIELD_COUNT <= 64, "a set of field ids is one word");

/* The id of a name in any case. */
enum field_id field_id_of(struct span name);

#endif

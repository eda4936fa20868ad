/*
 * Whether two texts say the same as JSON: objects without regard to the order of their names,
 * numbers by their value (1 is 1.0). Only an object or an array counts as JSON here: a bare number
 * or word is as well plain text. Pure; any thread.
 */
#ifndef SHADOW_JSON_SAME_H
#define SHADOW_JSON_SAME_H

#include "base/arena.h"
#include "base/span.h"

enum json_same {
    JSON_SAME_NEITHER, /* neither text is JSON */
    JSON_SAME_ONE,     /* one of them alone is */
    JSON_SAME_EQUAL,
    JSON_SAME_DIFFERENT,
    JSON_SAME_UNKNOWN, /* without memory, or too large or too deep to be read */
};

/* A tree is read within so many bytes of memory, which bounds the time as well. */
enum { JSON_SAME_TREE_BYTES = 8 << 20 };

/* What it needs beyond the trees comes from the arena. Of an object with a name twice each stands
 * for itself. */
enum json_same json_same(struct span a, struct span b, struct arena *arena);

#endif

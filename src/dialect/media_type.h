/*
 * What kind of thing a run of bytes is: by its magic number first, for servers are often wrong, and
 * by the Content-Type it came with where it has none. Pure; any thread.
 */
#ifndef DIALECT_MEDIA_TYPE_H
#define DIALECT_MEDIA_TYPE_H

#include "base/span.h"

enum {
    MEDIA_TYPE_BYTES = 64, /* with a NUL */
    MEDIA_HEAD_BYTES = 16, /* of a file, that tell what it is */
};

/* The media type of what begins with `head` (its first MEDIA_HEAD_BYTES, or all of it) and was
 * served as content_type (a field's value, parameters and all; empty: not told), in lower case and
 * with a NUL. Images, sounds and films are known by their bytes alone: where those say nothing, a
 * type of that kind is not believed. Empty: not known. */
void media_type_find(struct span head, struct span content_type, char ret_type[MEDIA_TYPE_BYTES]);

#endif

/*
 * How a conversation begins: the same for each of its turns, and mostly another for each
 * conversation. For whoever wants all turns to meet the same prompt cache. Pure; any thread.
 */
#ifndef DIALECT_PROMPT_START_H
#define DIALECT_PROMPT_START_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum {
    PROMPT_START_BYTES = 64 << 10, /* of a body that are looked at: some tens of microseconds */
    PROMPT_TEXT_BYTES = 1024,      /* of a prompt that is one text */
};

enum { PROMPT_RANGES_MAX = 7 };

/* Parts of the body, by offsets: from the first byte to behind the last. */
struct prompt_start {
    struct {
        uint64_t start, end;
    } ranges[PROMPT_RANGES_MAX];
    size_t count; /* 0: it has no prompt */
};

/* What a body of any form begins its conversation with: the system's text, as far as it stands
 * apart, and all up to the end of the first message of the user; of a prompt that is no list its
 * first bytes. Where no such message stands within PROMPT_START_BYTES, the messages up to there.
 * The body is given in pieces, and has been found to be JSON. */
void prompt_start_find(const struct span *pieces, size_t count, struct prompt_start *ret_start);

#endif

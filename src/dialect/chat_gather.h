/*
 * Gathers the events of an answer into a whole one, for writers of whole answers. Owned by whoever
 * relays; one thread. Pure.
 */
#ifndef DIALECT_CHAT_GATHER_H
#define DIALECT_CHAT_GATHER_H

#include "dialect/chat_answer.h"

enum { CHAT_GATHER_MAX_BYTES = 64 << 20 }; /* of one answer's texts */

struct chat_gather;

/* In the arena, which the texts of the answer then fill. NULL without memory. */
struct chat_gather *chat_gather_new(struct arena *arena);

/* Where a reader puts its events. */
struct chat_sink *chat_gather_sink(struct chat_gather *gather);

/* What came together: 0 and the answer, borrowed from the gatherer; ERR_NOMEM or ERR_FULL where not
 * all could be kept; ERR_EOF where END has not come. */
int chat_gather_answer(struct chat_gather *gather, const struct chat_answer **ret_answer);

#endif

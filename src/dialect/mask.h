/*
 * What of a provider's message is nobody else's business: parts of keys, the ids of organisations,
 * projects and workspaces. Clients of the gateway hold none of these. Pure; any thread.
 */
#ifndef DIALECT_MASK_H
#define DIALECT_MASK_H

#include <stddef.h>

#include "base/span.h"

/* text itself where there is nothing to hide, and else a copy in out with stars in the place of it,
 * cut at a whole character where cap bytes do not hold all. What is hidden is known by its
 * prefix ("sk-", "org-", "AIza", …) followed by what looks drawn at random, or by three stars
 * within a word: a key that the provider itself has shortened. */
struct span mask_ids(struct span text, char *out, size_t cap);

#endif

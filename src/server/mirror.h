/*
 * The rotations of keys as they are told of later: a row for each in the durable store, with the
 * moves of its keys, and a line of the audit trail for each step. Nothing is done because of them:
 * what rotation acts on stands in the secret store. The control thread's.
 */
#ifndef SERVER_MIRROR_H
#define SERVER_MIRROR_H

#include "rotation/rotation.h"
#include "store/store.h"

/* A key has taken a step: what becomes of that in the rotation that made it, or that replaces it.
 * What the store does not take is left out. */
void mirror_news(struct store *store, struct span provider, const struct life *life,
                 const struct rotation_news *news);

#endif

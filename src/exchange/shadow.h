/*
 * A shadow: an exchange without a client. Of a model that has `shadow:`, a share of exchanges is
 * drawn; when the real one is over and its client has all of its answer, the same body goes to
 * another target, and the two answers are compared (shadow/compare) and counted (shadow/board).
 * Nothing of it is ever sent to anybody.
 *
 * It can neither slow nor fail a real exchange:
 *   - it begins after its own real exchange has ended, which pays for being drawn with a copy of
 * the answer's bytes, up to SHADOW_KEPT_BYTES, and takes no part in anything else;
 *   - telling the body anew and comparing is done by helper threads;
 *   - it takes a key, a place and a connection only where there are plenty (keypool_select_spare),
 *     waits for nothing, is tried once, and is dropped when a real exchange of this worker has to
 *     wait for what it holds;
 *   - its body counts against a budget of its own, so that no request is refused for it;
 *   - what comes of it is told neither of the key nor of the endpoint: a target that fails, fails
 *     its shadows alone, and is left alone by them for a while.
 *
 * The one thing that it does take is the key's rate at its provider: it counts in the key's limits,
 * of which it leaves half to real exchanges. One worker's; the helper's while a job is away.
 */
#ifndef EXCHANGE_SHADOW_H
#define EXCHANGE_SHADOW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

struct endpoint_pool;
struct exchange;
struct exchange_host;
struct plan_shadow;
struct provider;
struct shadow;

enum {
    SHADOWS_AT_ONCE = 64, /* of a worker, from the draw on */
    SHADOW_BODY_BYTES = 256 << 10,
    SHADOW_KEPT_BYTES = 256 << 10, /* of each answer */
    SHADOW_BODIES_BYTES = 8 << 20, /* of all that are under way, for each worker */
};

/* A worker's. Embedded in the host. */
struct shadows {
    struct list under_way; /* those that have begun */
    size_t count;          /* with those that were drawn */
};

void shadows_init(struct shadows *shadows);

/* ---- what happens to the real exchange; each is called where x->shadow is set, but the first ----
 */

/* It has its plan, and the model has a shadow: draws, and sets x->shadow where it was drawn. */
void shadow_draw(struct exchange *x, const struct plan_shadow *plan);

/* An attempt begins: what was heard of the one before is forgotten. */
void shadow_note_attempt(struct exchange *x);

/* One read's worth of its answer, as the provider sent it. */
void shadow_hear(struct exchange *x, const char *data, size_t len);

/* Its body is of no more use to it: taken over. */
void shadow_take_body(struct exchange *x);

/* All is over and booked: the shadow goes its own way, or ends. Sets x->shadow to NULL. */
void shadow_follow(struct exchange *x);

/* ---- who comes first ---- */

/* A real exchange waits for a key of the provider, or for a connection of the pool: shadows that
 * hold one are dropped. */
void shadows_yield_keys(struct exchange_host *host, const struct provider *provider);
void shadows_yield_connections(struct exchange_host *host, const struct endpoint_pool *pool);

/* All are dropped: the host ends. Harmless where there are none. */
void shadows_drop(struct exchange_host *host);

#endif

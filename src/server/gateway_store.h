/*
 * The durable store of a running gateway: opened at its start, given what is known of keys, what
 * rotation does and what is ordered, closed at its end. Without one (`store: none`) all of it is
 * harmless. The control thread's.
 */
#ifndef SERVER_GATEWAY_STORE_H
#define SERVER_GATEWAY_STORE_H

#include "admin/admin.h"
#include "rotation/rotation.h"
#include "server/gateway.h"

/* Opens it and gives the keys of the snapshot back what was known of them, before any worker is
 * there. It is waited for only so long: then the gateway goes on, and what is read later is given
 * back later. 0 also where it cannot be used and nobody named it, which the log says; or an error,
 * with a text in ret_error (GATEWAY_ERROR_BYTES), where it is not ours, newer than this program or
 * damaged, or where the file names it and it cannot be opened. */
int gateway_open_store(struct gateway *gateway, char *ret_error);

/* The workers have stopped: what they changed is asked to be written. While the pools are there. */
void gateway_end_store(struct gateway *gateway);

/* Waits until it was tried to write all that is to be written, and closes. */
void gateway_close_store(struct gateway *gateway);

/* There may be other keys than before. */
void gateway_look_at_kept_keys(struct gateway *gateway);

/* A key under rotation has taken a step. */
void gateway_mirror_rotation(struct gateway *gateway, struct span provider,
                             const struct rotation_news *news);

/* What the admin address asks: see struct admin_options. */
struct store *gateway_store(void *owner);
void gateway_note_order(void *owner, const struct admin_order_note *note);

#endif

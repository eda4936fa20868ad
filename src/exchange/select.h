/*
 * What other steps, and the host, know of the choice of a key: that an exchange waits, where what
 * it tried is kept, and how a key goes back. One worker.
 */
#ifndef EXCHANGE_SELECT_H
#define EXCHANGE_SELECT_H

#include "exchange/exchange.h"

/* The exchange waits from now on, for a key or a connection; it waits no longer. Both are harmless
 * twice. */
void select_note_wait(struct exchange *x);
void select_note_wait_over(struct exchange *x);

/* Leaves the waiting room, if it stands in one. has_use: a grant on its way is used here. */
void select_leave_room(struct exchange *x, bool has_use);

/* Whether the plan has a target besides that one that is not excluded. */
bool select_has_other_target(const struct exchange *x, uint32_t target);

/* Gives back the key that was granted and not used. */
void select_give_back(struct exchange *x);

/* The room has let it go: something may be free now. */
void select_note_grant(struct exchange *x, const struct waiting_ticket *granted);

/* Where the keys that failed at that target are remembered. */
struct keypool_tried **select_tried(struct exchange *x, uint32_t target);

#endif

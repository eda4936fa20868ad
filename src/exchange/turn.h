/*
 * An exchange's turn in its class: the step admit asks for it, the exchange waits for it where the
 * class's bulkhead (limits/bulkhead.h) is full or its windows are shut, and gives its place back as
 * it ends. With its turn it takes a request and its estimated tokens of the class's limits, of
 * which what it did not use comes back as it ends. While it waits its windows are asked anew as
 * they change (exchange/window_watch.h): what stands in line as the last one closes is held again,
 * unless its time is near. The limits of its client and its model are taken before it asks, not
 * behind the wait: who is over them is told at once and displaces nobody, one client's `concurrent`
 * bounds what it has in the queue, and no turn is lost on one that is refused then.
 *
 * Each function belongs to the exchange's worker.
 */
#ifndef EXCHANGE_TURN_H
#define EXCHANGE_TURN_H

#include "exchange/exchange.h"

enum turn { TURN_HERE, TURN_LATER, TURN_REFUSED };

/* On the wall's clock, when it goes on as far as the windows of its class tell: as it came, as the
 * next one opens, or with its wait nearly over. Before there is a plan: what timeouts.total of a
 * provider leaves of the wait is not known yet. */
uint64_t turn_opens_wall_us(const struct exchange *x);

/* Asks for a turn, once; with TURN_REFUSED the exchange was refused. */
enum turn turn_begin(struct exchange *x);

/* Woken: TURN_HERE where its turn has come. */
enum turn turn_go_on(struct exchange *x);

/* Parks until it comes. */
struct move turn_park(struct exchange *x);

/* Leaves the queue, or gives back its place and what it took of the class's limits, but for so many
 * tokens (0: unknown, the estimate stands); harmless where it has neither. */
void turn_leave(struct exchange *x, uint64_t tokens);

/* Whether it took tokens of its class's limits; before it leaves. */
bool turn_counts_tokens(const struct exchange *x);

/* window_watch's: of one that waits, whether it is held. */
void turn_look_at_windows(struct list *link);

/* Of this worker: those that were granted a place go on, `max` of them at most. How many did. */
size_t turn_look(struct exchange_host *host, size_t max);

/* After other rules came into force, and when a limit has room again: who may run goes on. */
void turn_grant(struct exchange_host *host);

#endif

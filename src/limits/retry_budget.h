/*
 * Retries as a share of first tries: a bad minute of a provider must not become twice the load. At
 * most share_ppm of the exchanges of the last 10 s may be tried again, and never fewer than three
 * a second are allowed. One for all workers: first tries are counted by each worker alone and
 * summed when somebody wants to retry; a retry is one shared write. Any thread.
 *
 * Hedges (a second attempt beside a slow one) are a share of the same exchanges, counted apart.
 * They are nobody's last hope, so there is no floor: of fewer than 1 / share_ppm exchanges in 10 s
 * none is hedged.
 */
#ifndef LIMITS_RETRY_BUDGET_H
#define LIMITS_RETRY_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define RETRY_BUDGET_WINDOW_US UINT64_C(10000000)

enum { RETRY_BUDGET_FLOOR = 30 }; /* retries in a window that are always allowed: 3 a second */

struct retry_budget;

/* For that many workers; NULL without memory. */
struct retry_budget *retry_budget_new(uint32_t workers);
void retry_budget_free(struct retry_budget **budget);

/* An exchange of this worker made its first try. */
void retry_budget_note(struct retry_budget *budget, uint32_t worker, uint64_t now_us);

/* True, and counted, where one more retry is within the share. */
bool retry_budget_take(struct retry_budget *budget, uint32_t share_ppm, uint64_t now_us);

/* True where one more hedge is within the share; nothing is written. */
bool retry_budget_has_hedge(const struct retry_budget *budget, uint32_t share_ppm, uint64_t now_us);

/* The same, and counted. Workers that ask at the very same time may each be let through. */
bool retry_budget_take_hedge(struct retry_budget *budget, uint32_t share_ppm, uint64_t now_us);

#endif

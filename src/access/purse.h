/*
 * What one client, or all clients of one budget pool, may spend. Workers add what exchanges have
 * cost and ask, before a request is sent on its way, whether it is spent: two or three plain reads,
 * and one write an exchange of a client that has a budget. Whoever keeps the periods of the
 * calendar (ledger/budget.h) says up to which sum, and until when. A purse is found by name in a
 * book that outlives configurations, so that a reload keeps what was spent. Any thread may add and
 * ask; the book belongs to whoever loads configurations.
 */
#ifndef ACCESS_PURSE_H
#define ACCESS_PURSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct purse;
struct purse_book;

enum purse_kind { PURSE_CLIENT, PURSE_POOL };

/* NULL without memory. */
struct purse_book *purse_book_new(void);

/* Every reference must be gone. */
void purse_book_free(struct purse_book **book);

/* The purse of that kind and name, made open and empty where there is none; with a reference. 0,
 * ERR_NOMEM or ERR_FULL. */
int purse_book_get(struct purse_book *book, enum purse_kind kind, struct span name,
                   struct purse **ret_purse);

/* Accepts a pointer to NULL. The purse leaves the book with its last reference. */
void purse_unref(struct purse **place);

/* An exchange has cost that much, in thousand-millionths of a dollar. */
void purse_add(struct purse *purse, uint64_t nanousd);

/* All that was added since it was made: it only grows, and stands still at PURSE_MOST, which is
 * four thousand million dollars. */
#define PURSE_MOST (UINT64_C(1) << 62)
uint64_t purse_spent(const struct purse *purse);

/* It is spent where purse_spent has come to `ceiling`, until that time; the ceiling may lie below
 * what was ever added, as far as below zero: it comes round then. From `until_us` on it is open,
 * whatever was spent: the next period has begun, and the next ceiling is about to be told. */
void purse_set(struct purse *purse, uint64_t ceiling, uint64_t until_us);

/* Spent: true, with how long it will be so, in microseconds. purse may be NULL: false. */
bool purse_is_spent(const struct purse *purse, uint64_t now_us, uint64_t *ret_wait_us);

#endif

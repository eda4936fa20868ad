/*
 * The sums of what was used, by key, client, model and provider: of the day and the month at hand
 * (of the calendar, in UTC) and since the beginning. Bounded: names past the most are "other".
 * Whoever owns them adds what was used, writes down what has changed, and gives back what was
 * written down before. Pure: the time is an argument. One thread.
 */
#ifndef LEDGER_BOOKS_H
#define LEDGER_BOOKS_H

#include <stdbool.h>

#include "base/list.h"
#include "base/roll.h"
#include "ledger/use.h"

enum books_kind { BOOKS_KEY, BOOKS_CLIENT, BOOKS_MODEL, BOOKS_PROVIDER, BOOKS_KINDS };
enum books_period { BOOKS_DAY, BOOKS_MONTH, BOOKS_ALL, BOOKS_PERIODS };

enum { BOOKS_MAX = 16384 /* names of each kind */, BOOKS_NAME_BYTES = 520 };

/* One name. */
struct books_row {
    struct roll_record record; /* of a key, "PROVIDER/KEY" */
    enum books_kind kind;
    struct use sums[BOOKS_PERIODS];
    struct list changed; /* in books.changed, or in no list */
};

struct books {
    struct roll rows[BOOKS_KINDS];    /* struct books_row, by name */
    struct list changed;              /* rows that have changed since they were taken from it */
    uint64_t start_us[BOOKS_PERIODS]; /* of each period; 0 of the last */
    struct use whole[BOOKS_PERIODS];  /* of everything, each exchange once */
};

void books_init(struct books *books, uint64_t wall_us);
void books_fini(struct books *books);

const char *books_kind_word(enum books_kind kind);       /* "key" */
const char *books_period_word(enum books_period period); /* "day" */

/* The moment lies in a later day than the one at hand: what has changed is to be written down, and
 * then books_turn begins the new one. A clock that is set back begins none. */
bool books_is_over(const struct books *books, uint64_t wall_us);
void books_turn(struct books *books, uint64_t wall_us);

void books_add(struct books *books, const struct use_of *of, const struct use *use);

/* That much was written down before, of the period that began then: it counts where that is the one
 * at hand. */
void books_give_back(struct books *books, enum books_kind kind, struct span name,
                     enum books_period period, uint64_t start_us, const struct use *use);

/* A row that has changed, taken from the list of these; NULL: none has. */
struct books_row *books_take_changed(struct books *books);

/* It was not written down after all. */
void books_put_back(struct books *books, struct books_row *row);

#endif

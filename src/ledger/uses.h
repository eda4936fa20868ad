/*
 * What the exchanges of one worker have used since it was last collected, by client, model,
 * provider and key together, so that an exchange pays for one look-up and writes nothing that is
 * shared. There are two pages: the worker notes on one, and hands it over when it is asked to,
 * about once a second; the control thread reads it and gives it back.
 */
#ifndef LEDGER_USES_H
#define LEDGER_USES_H

#include <stdbool.h>

#include "ledger/use.h"

/* Between two collections; what finds no room is told of nobody ("other"). */
enum { USES_MAX = 4096, USES_NAME_BYTES = 1024 };

struct uses;

/* NULL without memory. */
struct uses *uses_new(void);

/* Accepts a pointer to NULL. */
void uses_free(struct uses **place);

/* The worker. The texts are copied. */
void uses_note(struct uses *uses, const struct use_of *of, const struct use *use);

/* The worker: what was noted may be collected, unless what it handed over before was not yet. */
void uses_hand_over(struct uses *uses);

/* Any thread: something was noted, and not handed over. */
bool uses_has_more(const struct uses *uses);

/* The control thread: tells all that was handed over, and forgets it. */
void uses_collect(struct uses *uses,
                  void (*tell)(void *owner, const struct use_of *of, const struct use *use),
                  void *owner);

#endif

/*
 * What has happened lately, as plain values with numbers: key states, breakers, steps of rotations,
 * reloads, alerts. Whoever sees something notes it, on any thread; the last ones are kept, and
 * whoever tells them goes on from the number that it told last. No secret stands in one.
 *
 * One for a process; the owner frees it when nobody can note any more. Noting takes a lock for as
 * long as a record takes to copy, and no memory; a journal that is NULL takes nothing.
 */
#ifndef ALERTS_JOURNAL_H
#define ALERTS_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alerts/alert.h"
#include "base/span.h"
#include "io/loop.h"

enum event_kind {
#define EVENT(symbol, name, state, meaning) EVENT_##symbol,
#include "tables/events.def"
#undef EVENT
    EVENT_KINDS,
};

/* "rotation", ... */
const char *event_kind_text(enum event_kind kind);

/* Something happened; texts that are longer than a record's are cut, empty ones are absent. */
struct happening {
    enum event_kind kind;
    struct span provider; /* empty: the gateway itself */
    struct span key, endpoint, region, model;
    struct span state, reason;
    struct span replaces;   /* of a key under rotation */
    uint64_t rotation;      /* its number; 0: none */
    uint64_t wall_us;       /* when; microseconds since the Unix epoch */
    uint64_t until_wall_us; /* 0: no time */
    bool is_over;           /* of an alert that lasts */
    bool was_used;          /* of a key's state: it used to work; not told */
};

enum { JOURNAL_URL_BYTES = 256, JOURNAL_STATE_BYTES = 32 }; /* each with a NUL */

struct journal_record {
    uint64_t id;
    enum event_kind kind;
    char provider[ALERT_NAME_BYTES], key[ALERT_NAME_BYTES], replaces[ALERT_NAME_BYTES];
    char region[ALERT_NAME_BYTES], model[ALERT_NAME_BYTES];
    char endpoint[JOURNAL_URL_BYTES];
    char state[JOURNAL_STATE_BYTES];
    char reason[ALERT_REASON_BYTES];
    uint64_t rotation, wall_us, until_wall_us;
    bool is_over, was_used;
};

struct journal;

/* Keeps so many of the last ones. before: the first number is the next; numbers of one process are
 * above all of earlier ones where it is the time in microseconds. NULL without memory. */
struct journal *journal_new(size_t capacity, uint64_t before);

/* Accepts a pointer to NULL. */
void journal_free(struct journal **place);

/* Any thread. */
void journal_note(struct journal *journal, const struct happening *happening);

/* on_news is called on the loop's thread, soon after something was noted, once for all that was
 * noted until then. NULL: nobody listens any more; the loop must turn once more before the journal
 * is freed. The loop's thread. */
void journal_listen(struct journal *journal, struct loop *loop, void (*on_news)(void *owner),
                    void *owner);

/* Of the last one; of none: the number before the first. Any thread. */
uint64_t journal_last(struct journal *journal);

enum { JOURNAL_MISSED_UNKNOWN = -1 };

/* The first record behind that number: false where there is none. *ret_missed: how many between the
 * two are not kept any more, JOURNAL_MISSED_UNKNOWN where the number is not of this journal. Any
 * thread. */
bool journal_next(struct journal *journal, uint64_t after, struct journal_record *ret_record,
                  int64_t *ret_missed);

#endif

/*
 * Holds a reader of answers to the promises of dialect/chat_answer.h: a sink that looks at each
 * event, notes the first promise that it breaks, and hands the event on. For tests and fuzz
 * targets of every dialect. Owned by the test; one thread.
 *
 *     struct promise *promise = promise_new(NULL);
 *     reader->sink = &promise->sink;
 *     ...
 *     assert_null(promise_broken(promise));
 *     promise_free(&promise);
 */
#ifndef TESTS_DIALECT_PROMISE_H
#define TESTS_DIALECT_PROMISE_H

#include "dialect/chat_answer.h"

enum { PROMISE_CALLS_MAX = 1024 }; /* calls of one choice; more are a broken promise too */

struct promise_choice {
    bool has_begun; /* anything was told of it */
    bool has_finish;
    unsigned calls;                             /* begun so far */
    unsigned char has_ended[PROMISE_CALLS_MAX]; /* of those */
};

struct promise {
    struct chat_sink sink;  /* the reader's */
    struct chat_sink *next; /* hears every event as well; NULL: nobody */
    size_t events;
    bool has_start, has_end, has_error;
    struct dialect_usage usage; /* the last that was told */
    struct promise_choice choices[CHAT_CHOICES_MAX];
    char broken[200]; /* "": none */
};

/* NULL without memory. */
struct promise *promise_new(struct chat_sink *next);
void promise_free(struct promise **promise);

/* The first promise that was broken, in words, with the number of its event (from 1) and its kind;
 * NULL where all were kept. */
const char *promise_broken(const struct promise *promise);

/* "CALL_BEGIN" and the like. */
const char *promise_kind_text(enum chat_event_kind kind);

#endif

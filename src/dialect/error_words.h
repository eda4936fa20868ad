/*
 * How an error is worded in the dialect that the client speaks: the gateway's own (a row of
 * failures.def), and a provider's told again, whatever dialect that one speaks. Table:
 * tables/errors.def. Ids and parts of keys in a message are masked (dialect/mask). Pure; any
 * thread.
 */
#ifndef DIALECT_ERROR_WORDS_H
#define DIALECT_ERROR_WORDS_H

#include <stdint.h>

#include "base/span.h"
#include "dialect/dialect.h"
#include "dialect/failure.h"

/* An error of the gateway's own. */
struct error_ours {
    const struct failure_row *row;
    struct span message;    /* empty: the row's own */
    struct span param;      /* the field that is wrong; empty: none */
    struct span request_id; /* Anthropic's errors carry it; empty: none */
    uint64_t wait_us; /* until it is worth another try, for Google's RetryInfo; 0: not known */
};

/* A provider's error. */
struct error_told {
    enum dialect_id upstream;
    int status; /* HTTP status of its answer; 200 for an error inside a success or a stream */
    const struct dialect_error *error; /* NULL: nothing is known of it */
    struct span request_id;            /* as above: the gateway's own id */
    uint64_t wait_us;
};

enum { ERROR_TEXT_MAX = 1024 };

/* An error as one dialect words it. Never moved: message may lie in text. Borrows from what it was
 * made of. */
struct error_words {
    int status;
    struct span type;  /* Google's status word; empty: none */
    struct span code;  /* OpenAI's code, Anthropic's details.error_code, the reason of Google's
                          ErrorInfo; empty: none */
    struct span param; /* empty: none */
    struct span message;
    struct span request_id;
    uint64_t wait_us;
    char text[ERROR_TEXT_MAX];
};

/* The HTTP status by which the client's dialect answers one of the gateway's own failures, given
 * the row's: 503 is 529 to Anthropic's clients, 401 is 400 to Google's, and so on. What may be
 * retried, and Retry-After, go by the row. */
int error_status(enum dialect_id client, int status);

/* The same for a provider's error: its own status within one dialect; else what dialect/outcome
 * makes of it. A key that is refused or unpaid upstream is never told as the client's own: there is
 * no 401 and no 402. */
int error_status_told(enum dialect_id client, const struct error_told *told);

/* The words themselves, for a writer with a shape of its own (the events of OpenAI's Responses). */
void error_words_ours(enum dialect_id client, const struct error_ours *ours,
                      struct error_words *ret_words);
void error_words_told(enum dialect_id client, const struct error_told *told,
                      struct error_words *ret_words);

/* The same as a dialect_error in the client's words, for the writers of streams: what they then
 * tell again within that dialect (upstream the client's own, status 200) is what is written here.
 * Errors of a provider's stream are so told once, and those of the gateway's own in their own
 * words. */
void error_from_ours(enum dialect_id client, const struct error_ours *ours,
                     struct dialect_error *ret_error);
void error_from_told(enum dialect_id client, const struct error_told *told,
                     struct dialect_error *ret_error);

#endif

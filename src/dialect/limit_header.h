/*
 * Headers that tell of a limit: "x-ratelimit-reset-tokens", "x-rate-limit-reset",
 * "anthropic-ratelimit-input-tokens-remaining", … Pure; any thread.
 */
#ifndef DIALECT_LIMIT_HEADER_H
#define DIALECT_LIMIT_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "dialect/dialect.h"

/* What a limit header is about, by the words of its name. */
struct limit_header {
    char what;      /* 'l'imit, 'r'emaining, 't'ime of reset, or 0: it is none */
    char kind;      /* 'r'equests, 't'okens, or 0 */
    char side;      /* of tokens: 'i'nput, 'o'utput, or 0: both */
    bool is_apart;  /* of a priority tier: beside the limit that all requests share */
    size_t what_at; /* where that word stands */
    size_t what_len;
};

struct limit_header limit_header_read(struct span name);

/* Whether a header of that name may tell of a limit, or of whose limits they are. Cheap for those
 * that do not. */
bool limit_header_matters(struct span name);

/* A count, which may have thousands commas. */
bool limit_header_count(struct span text, uint64_t *ret_count);

enum limits_kind {
    LIMITS_REQUESTS,
    LIMITS_TOKENS, /* of prompt and answer */
    LIMITS_INPUT,
    LIMITS_OUTPUT,
    LIMITS_KINDS,
};

/* What an answer's headers tell of the limits of its key and model. */
struct limits_told {
    struct {
        uint64_t limit; /* 0: not told */
        uint64_t remaining;
        uint64_t reset_us;  /* from now; 0: not told, or past */
        bool is_whole;      /* the reset is told in whole seconds */
        uint64_t window_us; /* how long its windows last; 0: not told */
    } items[LIMITS_KINDS];
    bool is_refused;     /* by an answer that refuses for its rate; set by the caller */
    struct span account; /* the organisation that they belong to; empty: not told. Borrowed */
};

/* A limit counts where both it and what remains are told; of two of one kind (a project's beside
 * its organisation's) the one with less remaining. True where any is told. */
bool limits_told_read(const struct dialect_header *headers, size_t count, uint64_t wall_us,
                      struct limits_told *ret_told);

/* What a refusal says of a minute's limit that it met (Google's QuotaFailure with its RetryInfo):
 * nothing of it is left until that time. False where it says none, or where the limit of a day was
 * met too, whose end the time then is. */
bool limits_told_by_error(const struct dialect_error *error, struct limits_told *ret_told);

#endif

/*
 * The limits of one client or one model: requests and tokens a minute by GCRA, and how many are
 * under way. A limiter is found by name in a book that outlives configurations, so that a reload
 * keeps what has been used; its numbers are atomics and change under the feet of those who use it.
 * Any thread may admit; the book belongs to whoever loads configurations.
 */
#ifndef ACCESS_LIMITER_H
#define ACCESS_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "conf/config.h"

struct limiter;
struct limiter_book;

/* LIMITER_CLASS: in readings alone; a class's limits are its bulkhead's, and stand in no book. */
enum limiter_kind { LIMITER_CLIENT, LIMITER_MODEL, LIMITER_CLASS };

/* NULL without memory. */
struct limiter_book *limiter_book_new(void);

/* Every reference must be gone. */
void limiter_book_free(struct limiter_book **book);

/* The limiter of that kind and name: made with these limits where there is none; else one that has
 * counted already, to which these limits apply from limiter_book_commit on. With a reference;
 * *ret_limiter is NULL where the limits are all 0. 0 or ERR_NOMEM. */
int limiter_book_get(struct limiter_book *book, enum limiter_kind kind, struct span name,
                     const struct conf_limits *limits, struct limiter **ret_limiter);

/* The limits asked for since the last call apply, or (is_refused) are forgotten. */
void limiter_book_commit(struct limiter_book *book, bool is_refused);

/* Leaves the book with its last reference. The thread that loads. */
void limiter_unref(struct limiter **place);

/* Which limit is meant. */
enum limiter_what { LIMITER_NONE, LIMITER_REQUESTS, LIMITER_TOKENS, LIMITER_CONCURRENT };

/* One limit as it stands: what X-RateLimit-* say. */
struct limiter_reading {
    enum limiter_what what; /* LIMITER_NONE: there is no limit to tell of */
    enum limiter_kind kind;
    uint64_t limit;     /* as configured: a minute, or at once */
    uint64_t remaining; /* that would pass now */
    uint64_t reset_us;  /* from now until nothing is used */
};

/* What an exchange holds of its limits until it ends. Embedded in the exchange; private. */
struct admission {
    struct limiter *limiters[2]; /* client's, model's; NULL where there is none */
    uint64_t tokens;
    uint64_t taken[2]; /* of them, at each */
    uint64_t since_us;
    bool has_place[2];      /* under way at each, where that is limited */
    uint32_t shared_writes; /* read-modify-writes of shared words, from its beginning on */
};

struct admission_verdict {
    bool is_admitted;
    uint64_t wait_us; /* where not: until it would be; for LIMITER_CONCURRENT about, by how long
                         exchanges have taken of late */
    struct limiter_reading nearest; /* the one that refused, else the one nearest to refusing */
};

/* Admits an exchange of about `tokens` under both limits (each may be NULL) or under none; a
 * refusal writes nothing that is shared, but in a race for what is left. With is_admitted,
 * admission_end must follow. */
struct admission_verdict admission_begin(struct admission *admission, struct limiter *client,
                                         struct limiter *model, uint64_t tokens, uint64_t now_us);

/* Whether one of the limits that admitted it is of tokens. */
bool admission_counts_tokens(const struct admission *admission);

/* The exchange is over: `tokens` were really used (0: unknown, the estimate stands). Nothing where
 * nothing is held. */
void admission_end(struct admission *admission, uint64_t tokens, uint64_t now_us);

/* The exchange is not to be, for another reason: as if it had never asked. Instead of
 * admission_end, at the moment of the admission. */
void admission_cancel(struct admission *admission, uint64_t now_us);

#endif

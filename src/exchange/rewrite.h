/*
 * A request's body told anew for one target: all that it takes and all that comes of it, apart from
 * the exchange, so that the work can be done where the exchange is not: a small body's at once, a
 * large one's on a helper thread (exchange/rewrite_errand). Filled by way.c; what it points to is
 * used by nobody else during rewrite_run. Any thread, one at a time.
 */
#ifndef EXCHANGE_REWRITE_H
#define EXCHANGE_REWRITE_H

#include "base/buf.h"
#include "dialect/translate.h"
#include "upstream/body.h"

/* What a conversation in its provider's own form brings back of what models thought. */
enum thoughts {
    THOUGHTS_UNKNOWN,
    THOUGHTS_OWN,
    THOUGHTS_FOREIGN, /* some were signed for another provider's */
};

struct rewrite {
    struct translate_facts facts; /* of the client's request */
    struct chat_target target;
    enum form form;                  /* in which the target is asked */
    const struct body *body;         /* the client's; NULL: it was given back */
    enum thoughts thoughts;          /* in it: looked for where that matters */
    struct translation *translation; /* of it; NULL: it was not read so far */
    struct arena_pool *arenas;       /* for a translation that is made */
    struct body_lease *lease;        /* for the body that is written */
    struct buf *told;                /* where that is built: empty, and left with what it holds */
    struct chat_drops *drops;        /* what was left out of it; NULL: made where needed ... */
    struct arena *arena;             /* ... in this */
    struct body *written;            /* NULL: the client's own bytes will do */
};

/* Whether a target that is asked in the client's own form may have to be told its body anew. */
bool rewrite_is_thinkable(enum form form, uint32_t quirks, enum thoughts thoughts);

/* Writes the body where the client's own bytes will not do: 0 with rewrite->written; ERR_SYNTAX
 * with *ret_refusal where the target cannot be told this request; ERR_AGAIN where media must be
 * fetched first (media_fetch); ERR_FULL or ERR_NOMEM. What was found out of the body stays in any
 * case. */
int rewrite_run(struct rewrite *rewrite, struct chat_refusal *ret_refusal);

#endif

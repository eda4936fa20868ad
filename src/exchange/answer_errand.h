/*
 * A large answer that is one object, read and told in the client's form away from its worker. It
 * takes the provider's bytes along, and what was read of the request, which answers are told by.
 */
#ifndef EXCHANGE_ANSWER_ERRAND_H
#define EXCHANGE_ANSWER_ERRAND_H

#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "dialect/translate.h"
#include "dialect/translator.h"
#include "exchange/away.h"

struct answer_errand {
    struct away away;
    struct translator_plan plan;
    struct translation *translation; /* of the request; NULL: it was not read */
    struct arena arena;              /* the translator's */
    struct translator *translator;   /* NULL without memory */
    struct buf whole;                /* as it came */
    struct span body;                /* of that, what is read */
    struct buf told;                 /* in the client's form, where it is told */
    size_t max_bytes;                /* of memory for reading it */
    int err;                         /* of translator_answer */
    char texts[];                    /* of the plan */
};

#endif

/*
 * A credential at work: asks for a token, and for the next one well before it ends, one exchange at
 * a time, as secrets/token_schedule.h says. Belongs to the control thread, whose loop it uses; the
 * owner is told what came of each try and logs it.
 */
#ifndef SECRETS_TOKEN_SOURCE_H
#define SECRETS_TOKEN_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/secret.h"
#include "io/loop.h"
#include "secrets/credential.h"
#include "secrets/fetch.h"

struct token_source;

struct token_source_ops {
    /* A token, borrowed, to be used until then (on the loop's clock). is_news: the try before this
     * one failed, or there was none. */
    void (*on_token)(void *owner, const struct secret *token, uint64_t until_us, bool is_news);
    /* None came. why: in words that hold no secret; is_news: they are others than last time. */
    void (*on_failure)(void *owner, const char *why, bool is_news);
};

struct token_source_options {
    struct loop *loop;
    struct fetcher *fetcher;
    struct secret_arena *secrets;
    const struct credential *credential; /* copied */
    const struct token_source_ops *ops;
};

/* Made, and still. NULL without memory. */
struct token_source *token_source_new(const struct token_source_options *options);

/* Accepts NULL. What is under way ends untold. Not from a callback of its own. */
void token_source_free(struct token_source **source);

/* Who is told from now on; asks at once, if it never did. Cannot fail. */
void token_source_start(struct token_source *source, void *owner);

/* The last token was refused: another one is wanted. */
void token_source_want(struct token_source *source);

#endif

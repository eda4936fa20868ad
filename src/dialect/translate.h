/*
 * A request on its way from one dialect to another: read into the neutral form once, written for
 * each target that is tried. The body's tree and all that was made of it live in the translation,
 * which the exchange holds until its end, for the answer is written with a look at what was asked.
 * One thread at a time (a large body is translated on a helper thread). Pure.
 */
#ifndef DIALECT_TRANSLATE_H
#define DIALECT_TRANSLATE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"
#include "dialect/chat_answer.h"
#include "dialect/embed.h"
#include "dialect/media.h"
#include "dialect/parameters.h"

/* Memory for the tree and what is made of it, for each byte of the body, and a little more. */
enum { TRANSLATE_MEMORY_RATIO = 12, TRANSLATE_MEMORY_BASE = 256 << 10 };

struct translation;

/* What stands in a request beside its body. */
struct translate_facts {
    enum form form;
    struct span model; /* of the path; empty: the body names it */
    bool is_streaming; /* by the path */
    bool is_array;     /* Gemini's stream without alt=sse */
};

/* Reads a body as a tree: 0 and *ret_translation; ERR_SYNTAX with *ret_refusal, also where what it
 * comes to goes beyond the bound (FAILURE_BODY_TOO_LARGE); ERR_NOMEM. Neither the body nor the
 * model of the facts need outlive the call; the pool must outlive the translation. */
int translate_open(const struct translate_facts *facts, struct span body, struct arena_pool *pool,
                   struct translation **ret_translation, struct chat_refusal *ret_refusal);

/* The tree's root; lives as long as the translation. */
const yyjson_val *translation_root(const struct translation *translation);

/* Reads the tree into the neutral form, once: a second call does nothing. Errors as above; after
 * one the translation is good for nothing but translate_free. */
int translate_understand(struct translation *translation, struct chat_refusal *ret_refusal);

/* Both. Errors as above. */
int translate_read(const struct translate_facts *facts, struct span body, struct arena_pool *pool,
                   struct translation **ret_translation, struct chat_refusal *ret_refusal);

/* Takes memory from that pool from now on, and gives all of it back there, what it has already,
 * too: before another thread gets it. */
void translation_use_pool(struct translation *translation, struct arena_pool *pool);

/* Accepts a pointer to NULL. */
void translate_free(struct translation **place);

/* What was understood: a conversation, or, of a form for embeddings, texts; NULL where it is the
 * other.
 */
const struct chat *translation_chat(const struct translation *translation);
const struct embed *translation_embed(const struct translation *translation);

/* Sees to it that media by URL stand as bytes where such a target (quirks: enum quirk) looks up no
 * URLs: as media_settle, ERR_AGAIN where some must be fetched first and be given to
 * translation_media, which is NULL before. */
int translate_media(struct translation *translation, enum form form, uint32_t quirks,
                    struct chat_refusal *ret_refusal);
struct media *translation_media(const struct translation *translation);

/* Appends the body in that form, of the same purpose: 0; ERR_SYNTAX with *ret_refusal,
 * as above; ERR_UNSUPPORTED where nobody is asked in that form; ERR_FULL or ERR_NOMEM. ret_drops
 * says what was left out. */
int translate_write(struct translation *translation, enum form form,
                    const struct chat_target *target, struct buf *out, struct chat_drops *ret_drops,
                    struct chat_refusal *ret_refusal);

#endif

/*
 * An answer on its way: read in the form in which the provider gave it, looked at (what did it use,
 * is it whole, does it carry an error), and written in the client's form; or only looked at, where
 * the bytes themselves pass. Made for one attempt, in its arena; one thread. Pure.
 */
#ifndef DIALECT_TRANSLATOR_H
#define DIALECT_TRANSLATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"
#include "dialect/chat_answer.h"
#include "dialect/embed.h"
#include "dialect/form.h"
#include "dialect/sse.h"

struct translator;

struct translator_plan {
    enum form from;  /* the provider's */
    enum form to;    /* the client's; FORM_COUNT: nothing is written */
    struct buf *out; /* where the client's bytes are appended; NULL where nothing is written */
    struct chat_frame frame;   /* where something is written; copied */
    unsigned choices;          /* asked for */
    uint64_t seed;             /* random: for ids */
    const struct embed *embed; /* what was asked for, of a form for embeddings */
    bool is_streaming;         /* the client wants events, also where the provider answers whole */
};

/* NULL without memory, or where a form has no reader or writer. The arena outlives it. */
struct translator *translator_new(struct arena *arena, const struct translator_plan *plan);

/* Gives back what the writer holds beyond the arena. Accepts a pointer to NULL. */
void translator_fini(struct translator **place);

/* What an event of a stream came to. */
enum translator_verdict {
    TRANSLATOR_PING, /* says only that somebody is there */
    TRANSLATOR_CHUNK,
    TRANSLATOR_ERROR,   /* translator_error says which */
    TRANSLATOR_DONE,    /* the provider's terminal event */
    TRANSLATOR_GARBAGE, /* no event of that form */
};

enum translator_verdict translator_take(struct translator *translator,
                                        const struct sse_event *event);

/* The stream ended: what its form lacks of a terminal event is told now, where it is whole. */
void translator_end(struct translator *translator);

/* A whole answer (strict JSON, read within max_bytes of memory): 0 with the client's body (its
 * events, where it wants a stream) appended; ERR_SYNTAX where it is no answer of that form;
 * ERR_FULL or ERR_NOMEM. With 0, translator_error may still say that it carries an error: then
 * nothing was appended. */
int translator_answer(struct translator *translator, struct span body, size_t max_bytes);

/* Ends a stream that began well with an error, which is told in the client's words already
 * (error_from_ours). */
void translator_fail(struct translator *translator, const struct dialect_error *error);

/* The answer is whole: its end was told. */
bool translator_is_over(const struct translator *translator);

/* Every choice that was asked for, or that began, has its finish reason. */
bool translator_is_finished(const struct translator *translator);

/* The error that was told, or NULL. */
const struct dialect_error *translator_error(const struct translator *translator);

/* What it used: as told, or estimated from the text with prompt_tokens as given. */
void translator_usage(const struct translator *translator, uint64_t prompt_tokens,
                      struct dialect_usage *ret_usage);

#endif

/*
 * The forms of a request: a dialect's paths, each with a body, an answer and a stream of its own.
 * One row each of tables/forms.def. Constant; any thread.
 */
#ifndef DIALECT_FORM_H
#define DIALECT_FORM_H

#include "base/span.h"
#include "dialect/dialect.h"

enum form {
#define FORM(id, name, dialect, purpose, path, meaning) FORM_##id,
#include "tables/forms.def"
#undef FORM
    FORM_COUNT,
};

/* What a form is for. */
enum form_purpose {
    PURPOSE_CONVERSE, /* messages in, a turn out */
    PURPOSE_EMBED,    /* texts in, vectors out */
    PURPOSE_MEASURE,  /* a conversation in, its tokens out */
};

struct form_row {
    struct span name;
    struct span path; /* behind the base URL, or behind the model where that stands in the path */
    enum dialect_id dialect;
    enum form_purpose purpose;
};

/* The row; form is below FORM_COUNT. */
const struct form_row *form_row(enum form form);

/* The form in which a provider of that dialect serves a purpose; FORM_COUNT where it does not:
 * embeddings at Anthropic, counting at OpenAI. */
enum form form_for(enum dialect_id dialect, enum form_purpose purpose);

/* In which form a provider of that dialect is asked for what a client asks for in `form`: the same
 * where it is of that dialect, else the one with the same purpose: FORM_CHAT, FORM_MESSAGES,
 * FORM_GENERATE, FORM_EMBEDDINGS, FORM_EMBED_BATCH, FORM_COUNT_TOKENS, FORM_MEASURE. FORM_COUNT
 * where the dialect has none (embeddings at Anthropic, counting at OpenAI). */
enum form form_at(enum dialect_id dialect, enum form form);

#endif

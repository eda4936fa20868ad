/*
 * Embeddings in neutral form: texts in, vectors out. Each dialect reads and writes its own bodies.
 * A request and an answer borrow from the tree that they were read from (numbers as they are
 * spelled: json_tree_read_raw) and from an arena. One thread. Pure.
 */
#ifndef DIALECT_EMBED_H
#define DIALECT_EMBED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"
#include "dialect/chat.h"
#include "dialect/dialect.h"
#include "dialect/form.h"
#include "dialect/parameters.h"
#include "json/tree.h"

enum {
    EMBED_INPUTS_MAX = 16384,
    EMBED_DIMENSIONS_MAX = 65536, /* of one vector */
    EMBED_BATCH_MAX = 100,        /* texts that Gemini takes in one request */
};

/* What one vector is wanted of: a text, or the tokens of one. */
struct embed_input {
    struct span text;
    const yyjson_val *tokens; /* a list of numbers; NULL: a text */
};

struct embed {
    enum form form;    /* it was read from */
    struct span model; /* as the client named it */
    struct embed_input *inputs;
    size_t count;
    bool is_list;       /* the client gave a list, if only of one */
    bool is_base64;     /* vectors are wanted as Base64 of floats (32 bits, little-endian) */
    int64_t dimensions; /* 0: as many as the model gives */
    struct span task;   /* what they are for, in Gemini's words; empty: not said */
    struct span title;  /* of a document; empty: none */
    struct span user;   /* who asks; empty: not said */
};

/* One vector: numbers as they are spelled, or Base64. */
struct embed_vector {
    const yyjson_val *values; /* a list of numbers; NULL: base64 */
    struct span base64;
};

struct embed_answer {
    struct span model;
    struct embed_vector *vectors; /* in the order of the inputs */
    size_t count;
    struct dialect_usage usage;
};

/* What a reader of requests works with. */
struct embed_reading {
    struct arena *arena;
    struct embed *embed; /* zeroed; form set, and model where the path says it */
    struct chat_refusal *refusal;
    struct chat_drops *drops; /* members that nobody knows */
};

/* What a writer of requests works with. */
struct embed_writing {
    const struct embed *embed;
    struct span model; /* its name at the provider */
    struct buf *out;
    struct chat_drops *drops;
    struct chat_refusal *refusal;
};

/* What an answer says beside the vectors. */
struct embed_frame {
    const struct embed *embed; /* what was asked */
    struct span model;         /* the target's, where the provider names none */
    uint64_t prompt_tokens;    /* estimated, where the provider tells no usage */
};

struct embed_ops {
    /* 0; ERR_SYNTAX with the refusal noted; ERR_NOMEM. */
    int (*read_request)(struct embed_reading *reading, const yyjson_val *root);

    /* 0; ERR_SYNTAX with the refusal noted; ERR_FULL or ERR_NOMEM. */
    int (*write_request)(struct embed_writing *writing);

    /* 0; ERR_SYNTAX where it is no answer of this form; ERR_NOMEM. */
    int (*read_answer)(struct arena *arena, const yyjson_val *root,
                       struct embed_answer *ret_answer);

    /* 0; ERR_SYNTAX where a vector is none; ERR_FULL or ERR_NOMEM. */
    int (*write_answer)(struct buf *out, const struct embed_frame *frame,
                        const struct embed_answer *answer);
};

/* The form's; NULL where it holds no embeddings. */
const struct embed_ops *embed_ops(enum form form);

extern const struct embed_ops openai_embed_ops, gemini_embed_ops, gemini_embed_batch_ops;

/* Appends the vector as a list of numbers, or as Base64 in quotes, whichever way it came: 0;
 * ERR_SYNTAX where it holds anything but numbers; ERR_FULL or ERR_NOMEM. */
int embed_write_values(struct buf *out, const struct embed_vector *vector);
int embed_write_base64(struct buf *out, const struct embed_vector *vector);

#endif

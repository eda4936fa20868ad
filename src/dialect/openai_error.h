/*
 * Errors and lists in OpenAI's dialect: reading what providers call an error, in all the shapes
 * that "compatible" ones send, and writing our own answers. Pure; any thread.
 */
#ifndef DIALECT_OPENAI_ERROR_H
#define DIALECT_OPENAI_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "dialect/dialect.h"
#include "dialect/failure.h"

enum { OPENAI_ERROR_BODY_MAX = 65536 }; /* of a longer body only the status is read */

/* What the body of an error answer says: `error` as object or string, the flat shapes of Mistral
 * and vLLM, `detail` as text or list, an array around it, numbers as codes. Never fails: what
 * cannot be read leaves the fields empty and is_json false. */
void openai_error_read(struct span body, struct dialect_error *ret_error);

/* The same for the value that an `error` member has, as it is spelled: an object or a string. */
void openai_error_read_member(struct span value, struct dialect_error *ret_error);

/* True where a 400 or 422 speaks of stream_options or include_usage: the provider does not know
 * them. */
bool openai_error_names_stream_options(const struct dialect_error *error);

/* Appends {"error":{"message","type","param","code"}}; an empty message means the row's own, an
 * empty param null. 0, ERR_FULL or ERR_NOMEM. */
int openai_write_error(struct buf *buf, const struct failure_row *row, struct span message,
                       struct span param);

/* The same as an event of a stream: "data: {…}" and a blank line. */
int openai_write_error_event(struct buf *buf, const struct failure_row *row, struct span message,
                             struct span param);

/* A provider's error told again as an event of a stream, in OpenAI's shape. */
int openai_write_error_told(struct buf *buf, const struct dialect_error *error);

struct openai_model {
    struct span id;
    struct span owned_by;
    uint64_t created_s; /* Unix seconds */
};

/* Appends one model object. */
int openai_write_model(struct buf *buf, const struct openai_model *model);

/* Appends {"object":"list","data":[…]}. */
int openai_write_models(struct buf *buf, const struct openai_model *models, size_t count);

#endif

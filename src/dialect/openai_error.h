/*
 * Errors in OpenAI's dialect: dialect/error_read and error_write by the names of those who speak
 * this one dialect only. Pure; any thread.
 */
#ifndef DIALECT_OPENAI_ERROR_H
#define DIALECT_OPENAI_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "dialect/dialect.h"
#include "dialect/error_read.h"
#include "dialect/failure.h"

enum { OPENAI_ERROR_BODY_MAX = ERROR_BODY_MAX };

/* error_read. */
static inline void openai_error_read(struct span body, struct dialect_error *ret_error)
{
    error_read(body, ret_error);
}

/* error_read_member. */
static inline void openai_error_read_member(struct span value, struct dialect_error *ret_error)
{
    error_read_member(value, ret_error);
}

/* True where a 400 or 422 speaks of stream_options or include_usage: the provider does not know
 * them. */
bool openai_error_names_stream_options(const struct dialect_error *error);

/* Appends {"error":{"message","type","param","code"}}; an empty message means the row's own, an
 * empty param null. 0, ERR_FULL or ERR_NOMEM. */
int openai_write_error(struct buf *buf, const struct failure_row *row, struct span message,
                       struct span param);

#endif

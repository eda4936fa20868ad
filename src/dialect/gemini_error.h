/*
 * Errors in Gemini's dialect: {"error":{"code","message","status","details"}}, bare, or in an
 * array. Pure; any thread.
 */
#ifndef DIALECT_GEMINI_ERROR_H
#define DIALECT_GEMINI_ERROR_H

#include "base/buf.h"
#include "base/span.h"
#include "dialect/dialect.h"
#include "json/tree.h"

/* What the `error` member of a tree says: the message; code and status, the HTTP status that it
 * tells; type, Google's word ("RESOURCE_EXHAUSTED"); detail, the reason of an ErrorInfo
 * ("API_KEY_INVALID"). Never fails. */
void gemini_error_read_member(const yyjson_val *error, struct dialect_error *ret_error);

/* Google's word for an HTTP status: "INVALID_ARGUMENT" and the like. */
struct span gemini_error_word(int status);

/* Appends {"error":{"code":STATUS,"message":…,"status":…}}: 0, ERR_FULL or ERR_NOMEM. */
int gemini_write_error(struct buf *buf, int status, struct span message);

#endif

/*
 * Reading what providers call an error. One reader takes every shape: a compatible server may
 * answer in the words of whatever stands behind it, a proxy before a provider in its own, and a
 * stream in mid-answer tells the same objects. What the words mean is dialect/outcome's matter.
 * Pure; any thread.
 */
#ifndef DIALECT_ERROR_READ_H
#define DIALECT_ERROR_READ_H

#include "base/span.h"
#include "dialect/dialect.h"

enum { ERROR_BODY_MAX = 65536 }; /* a longer body is not read: is_json stays false */

/* What a body or an event's data says: OpenAI's `error` as object or string (also Azure's numbers
 * as strings, vLLM's as numbers, OpenRouter's metadata), Anthropic's with its details, Google's
 * with its status word and typed details (google.rpc: ErrorInfo, QuotaFailure, RetryInfo,
 * BadRequest), the flat ones of Mistral, Azure's gateway and AWS, FastAPI's `detail`, lists around
 * or of errors, and errors quoted as text inside another one. Never fails: what cannot be read
 * leaves the fields empty and is_json false. */
void error_read(struct span body, struct dialect_error *ret_error);

/* The same for the value that an `error` member has, as it is spelled: an object or a string. */
void error_read_member(struct span value, struct dialect_error *ret_error);

#endif

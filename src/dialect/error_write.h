/*
 * Errors written in the dialect that the client speaks, in the words of dialect/error_words: as the
 * body of an answer, or as the last event of a stream. Pure; any thread.
 */
#ifndef DIALECT_ERROR_WRITE_H
#define DIALECT_ERROR_WRITE_H

#include "base/buf.h"
#include "dialect/dialect.h"
#include "dialect/error_words.h"

/* Appends the body of an answer:
 *   OpenAI     {"error":{"message","type","param","code"}}
 *   Anthropic  {"type":"error","error":{"type","message"},"request_id"}
 *   Google     {"error":{"code","message","status","details"}}
 * 0, ERR_FULL or ERR_NOMEM. */
int error_write(struct buf *buf, enum dialect_id client, const struct error_ours *ours);
int error_write_told(struct buf *buf, enum dialect_id client, const struct error_told *told);

/* Appends the same as the last event of a stream of server-sent events, with its blank line.
 * Anthropic's has a name, as its clients drop events without one. (A stream of Google's that is no
 * event stream is one JSON array, in which the plain body is an item.) Google's is told twice, as
 * an event and behind it bare, without a line's end, as its servers do: its client for Node passes
 * an event with an error over, and ends as if all were well. Errors as above. */
int error_write_event(struct buf *buf, enum dialect_id client, const struct error_ours *ours);
int error_write_event_told(struct buf *buf, enum dialect_id client, const struct error_told *told);

#endif

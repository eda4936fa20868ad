/*
 * Anthropic's dialect: the Messages API and its token counting, both ways. What reads and writes
 * messages is reached through form_ops (dialect/chat_answer.h); here stands the rest. Pure; any
 * thread.
 */
#ifndef DIALECT_ANTHROPIC_H
#define DIALECT_ANTHROPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "json/tree.h"

/* Appends the answer of count_tokens, {"input_tokens":…}: 0, ERR_FULL or ERR_NOMEM. */
int anthropic_write_count(struct buf *buf, uint64_t tokens);

/* The number that such an answer (a tree that was read raw) tells: 0, or ERR_SYNTAX where it tells
 * none. */
int anthropic_read_count(const yyjson_val *root, uint64_t *ret_tokens);

/* True where a request of this dialect holds signatures of thoughts that other providers made: its
 * bytes may then not pass to Anthropic as they are, which would refuse them; read and written, it
 * is rid of them. Quick: a search of the body, that may find what only looks like one. */
bool anthropic_has_foreign_signature(struct span body);

#endif

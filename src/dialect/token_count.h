/*
 * The answers to questions for the number of a conversation's tokens: Anthropic's
 * {"input_tokens":…} and Gemini's {"totalTokens":…}. Pure; any thread.
 */
#ifndef DIALECT_TOKEN_COUNT_H
#define DIALECT_TOKEN_COUNT_H

#include <stdint.h>

#include "base/buf.h"
#include "dialect/form.h"
#include "json/tree.h"

/* Appends the answer in that form (of PURPOSE_MEASURE): 0, ERR_FULL or ERR_NOMEM. */
int token_count_write(struct buf *buf, enum form form, uint64_t tokens);

/* 0, or ERR_SYNTAX where it is no answer of that form. */
int token_count_read(enum form form, const yyjson_val *root, uint64_t *ret_tokens);

#endif

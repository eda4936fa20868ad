/*
 * What OpenAI answers when it is asked for the use of its keys, read without trust: the list of a
 * project's keys, and a page of usage (platform.openai.com, Administration: Project API keys,
 * Usage). No state; any thread.
 */
#ifndef ROTATION_USAGE_ANSWER_H
#define ROTATION_USAGE_ANSWER_H

#include <stdint.h>

#include <yyjson.h>

#include "base/span.h"

/* Who is told; the spans are borrowed for the call. */
struct usage_ops {
    /* There is a key of that id, of that service account (empty: of a user). */
    void (*on_key)(void *owner, struct span id, struct span account);
    /* The key of that id was used so often, in the span of time that began then (Unix). */
    void (*on_use)(void *owner, struct span id, uint64_t start_s, uint64_t requests,
                   uint64_t tokens);
};

/* The answer's root: 0, or ERR_PROTO where it is none such; what came before was told all the same.
 */
int usage_read_keys(const yyjson_val *root, const struct usage_ops *ops, void *owner);
int usage_read_uses(const yyjson_val *root, const struct usage_ops *ops, void *owner);

/* Where the answer says how the next page is called, at that member; empty: it is the last one. */
struct span usage_read_next(const yyjson_val *root, const char *member);

#endif

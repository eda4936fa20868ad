/*
 * What the mock upstream says: a chat completion of about 0.7 KB, the parts of a streamed one, a
 * list of models, refusals; and what it says in Anthropic's dialect. All are rendered once, head
 * and body together, so that an answer costs the mock one send.
 *
 * Shapes: OpenAI's API reference, "Create chat completion" and "The chat completion chunk object".
 */
#ifndef BENCH_ANSWERS_H
#define BENCH_ANSWERS_H

#include "messages.h"
#include "render.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct answers {
    struct bytes chat;
    struct bytes models;
    struct bytes not_found;
    struct bytes failure;
    struct stream_parts plain;
    struct stream_parts with_usage; /* for a request that asked for include_usage */
    struct messages messages;
};

struct answers_options {
    size_t events; /* content events of a stream, the role's and the finish reason's among them: at
                      least 2 */
    int fail_status;         /* 429 or a 5xx */
    bool with_limit_headers; /* the six x-ratelimit-* fields that the provider sends */
};

/* Renders all of them. The memory is held until the process ends. */
void answers_init(struct answers *answers, const struct answers_options *options);

/* Writes the time into a word event: 19 digits. Nothing where it has no place for it. */
void answers_stamp(struct stream_parts *parts, uint64_t now_ns);

/* A JSON answer with status 200 for what is made at the time; `body` is copied. The caller frees
 * ret's bytes. */
struct bytes answers_json(const char *body);

#endif

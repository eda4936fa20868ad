/*
 * What the mock upstream says where it is asked in Anthropic's dialect: a message, the parts of a
 * streamed one, a refusal. The model says the very words that it says in OpenAI's dialect, so that
 * the two can be held against each other.
 *
 * Shapes and the order of events: Anthropic's API reference, "Messages" and "Streaming Messages".
 */
#ifndef BENCH_MESSAGES_H
#define BENCH_MESSAGES_H

#include "render.h"

struct messages {
    struct bytes message;
    struct bytes failure;
    struct stream_parts stream;
};

/* `text_bytes` of words in a message, `events` as in struct answers_options. The memory is held
 * until the process ends. */
void messages_init(struct messages *messages, size_t text_bytes, size_t events, int fail_status);

#endif

/*
 * One HTTP/1.1 request as the mock upstream understands it: which of its few answers it asks for.
 *
 * Only bodies with a Content-Length are known, as nginx and the gateway send them upstream. The
 * body is searched for its flags and not parsed: the mock must cost less than any proxy.
 */
#ifndef BENCH_REQUEST_H
#define BENCH_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

enum request_kind {
    REQUEST_CHAT,     /* OpenAI's */
    REQUEST_MESSAGES, /* Anthropic's */
    REQUEST_MODELS,
    REQUEST_STATS,
    REQUEST_OTHER,
};

struct request {
    enum request_kind kind;
    size_t size; /* head and body together */
    bool wants_stream;
    bool wants_usage;
};

/* Reads the request that begins at `bytes`. False while it is not here whole. */
bool request_read(const char *bytes, size_t size, struct request *ret_request);

#endif

/*
 * A stream in OpenAI's dialect: what each event is, and whether the stream came to its proper end.
 * An ordinary chunk is looked over once, without parsing it; only one that speaks of usage, an end
 * or an error is read. Owned by the attempt; one thread. Pure.
 */
#ifndef DIALECT_OPENAI_STREAM_H
#define DIALECT_OPENAI_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "dialect/dialect.h"
#include "dialect/openai_answer.h"
#include "dialect/sse.h"

enum openai_event {
    OPENAI_EVENT_PING, /* a comment or the like: says only that somebody is there */
    OPENAI_EVENT_CHUNK,
    OPENAI_EVENT_USAGE, /* the extra chunk: usage and no choices */
    OPENAI_EVENT_ERROR,
    OPENAI_EVENT_DONE,    /* [DONE] */
    OPENAI_EVENT_GARBAGE, /* data that is no JSON object */
};

enum openai_ending {
    OPENAI_ENDED,      /* by its terminal event */
    OPENAI_NEEDS_DONE, /* every choice has its finish reason: the terminal event is to be added */
    OPENAI_CUT,        /* neither: the upstream broke off */
};

struct openai_stream {
    unsigned choices; /* that were asked for */
    struct openai_choices finished;
    struct dialect_usage usage; /* the last that was told */
    uint64_t text_bytes;        /* of content, as spelled, seen so far */
    uint64_t chunks;            /* ordinary chunks */
    bool has_done;
    bool has_error;
};

/* A stream of `choices` choices (1 to REQUEST_CHOICES_MAX). */
void openai_stream_init(struct openai_stream *stream, unsigned choices);

/* What the event is; notes what it tells. The first chunk of a stream is read whole, so that
 * garbage is known before anything is sent. With OPENAI_EVENT_ERROR ret_error says what went wrong.
 */
enum openai_event openai_stream_take(struct openai_stream *stream, const struct sse_event *event,
                                     struct dialect_error *ret_error);

/* How it stands if the stream ended here. */
enum openai_ending openai_stream_ending(const struct openai_stream *stream);

/* What it used: as told, or estimated from the text with prompt_tokens as given. */
void openai_stream_usage(const struct openai_stream *stream, uint64_t prompt_tokens,
                         struct dialect_usage *ret_usage);

/* "data: [DONE]" with its blank line. */
struct span openai_stream_done(void);

#endif

/*
 * The neutral form of an answer: whole, or as it comes. A dialect's reader tells an answer as
 * events; a dialect's writer tells events to a client, or gathers them into a whole answer and
 * writes that. Texts are borrowed: in an event until the call returns, in a whole answer from its
 * tree and arena. One thread. Pure.
 *
 * What readers promise, and writers may rely on, whatever a provider sends:
 *   START comes first (but for PING and ERROR), once. TEXT, THINKING, REFUSAL and MEDIA are never
 *   empty. CALL_BEGIN names its call once, with an id (invented where the provider gave none) and a
 *   name; calls of a choice are counted from 0 by `call`. CALL_ARGS follow it, and CALL_END comes
 * once for each call before its choice's FINISH; between two calls of a choice they may come in
 * turns. SIGNATURE follows what it signs: the thought told last, or the call where is_call is set
 * (after its CALL_BEGIN), or the text. FINISH comes once for each choice. USAGE may come several
 * times: the last one counts. END comes once, last of all, where the provider said that the answer
 * is over; after ERROR comes nothing. Nothing follows END.
 */
#ifndef DIALECT_CHAT_ANSWER_H
#define DIALECT_CHAT_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "dialect/chat.h"
#include "dialect/dialect.h"
#include "dialect/sse.h"

enum chat_finish {
    CHAT_FINISH_NONE, /* not told yet */
    CHAT_FINISH_STOP,
    CHAT_FINISH_STOP_SEQUENCE, /* `text` is the one that was met; empty: not told */
    CHAT_FINISH_LENGTH,
    CHAT_FINISH_CONTEXT, /* the model's window is full */
    CHAT_FINISH_CALLS,
    CHAT_FINISH_FILTER,  /* a filter held the answer back; `text` may say why */
    CHAT_FINISH_REFUSAL, /* the model refused; `text` may say why */
    CHAT_FINISH_PAUSE,   /* the provider would go on if it were sent back */
    CHAT_FINISH_ERROR,   /* the provider failed: told as an error where nothing was written */
};

/* One of the tokens of an answer with its likelihood. */
struct chat_logprob {
    struct span token;
    double logprob;
    bool has_bytes;
    struct span bytes; /* the token as bytes, where they are told */
    struct chat_logprob *top;
    size_t top_count;
};

enum chat_event_kind {
    CHAT_EVENT_START, /* id, name: the model; created_s */
    CHAT_EVENT_TEXT,
    CHAT_EVENT_THINKING,
    CHAT_EVENT_REDACTED, /* text: a thought as opaque data, whole */
    CHAT_EVENT_SIGNATURE,
    CHAT_EVENT_REFUSAL,
    CHAT_EVENT_MEDIA, /* media, of part_kind: an image or a sound, whole */
    CHAT_EVENT_CALL_BEGIN,
    CHAT_EVENT_CALL_ARGS, /* text: a piece of the arguments (of the input, where it is custom) */
    CHAT_EVENT_CALL_END,
    CHAT_EVENT_LOGPROBS, /* of the text told last */
    CHAT_EVENT_FINISH,
    CHAT_EVENT_USAGE,
    CHAT_EVENT_PING,
    CHAT_EVENT_ERROR,
    CHAT_EVENT_END,
};

struct chat_event {
    enum chat_event_kind kind;
    unsigned choice; /* below CHAT_CHOICES_MAX */
    unsigned call;   /* CALL_*, SIGNATURE of a call: which of the choice's calls, from 0 */
    bool is_call;    /* SIGNATURE */
    bool is_custom;  /* CALL_BEGIN */
    enum chat_finish finish;
    enum dialect_id signer;        /* SIGNATURE, REDACTED */
    enum chat_part_kind part_kind; /* MEDIA */
    struct span text, id, name;
    uint64_t created_s;
    const struct chat_media *media;
    const struct chat_logprob *logprobs;
    size_t logprob_count;
    const struct dialect_usage *usage;
    const struct dialect_error *error;
};

/* Who hears events. */
struct chat_sink {
    void (*put)(struct chat_sink *sink, const struct chat_event *event);
};

/* --- a whole answer --- */

struct chat_choice {
    unsigned index;
    struct chat_part *parts; /* TEXT, THINKING, REDACTED, REFUSAL, CALL, IMAGE, AUDIO, in their
                                order; neighbours of one kind that are one text stand as one */
    size_t part_count;
    enum chat_finish finish;
    struct span finish_text;
    struct chat_logprob *logprobs;
    size_t logprob_count;
};

struct chat_answer {
    struct span id, model;
    uint64_t created_s;          /* Unix seconds; 0: not told */
    struct chat_choice *choices; /* by rising index */
    size_t choice_count;
    struct dialect_usage usage;
};

/* What a writer says of itself in an answer. */
struct chat_frame {
    const struct chat *chat;  /* what was asked; outlives the writer */
    struct span request_id;   /* of the exchange: ids are made of it where the provider gave none */
    struct span model;        /* the target's, where the provider names none */
    uint64_t created_s;       /* now, where the provider tells no time */
    uint64_t prompt_tokens;   /* estimated: for events that tell usage before the provider does */
    enum dialect_id upstream; /* in whose words errors come: the client's own, by the translator */
};

/* --- a form's readers and writers --- */

/* Tells an answer's events. Lives in an arena; `size` bytes of it, zeroed, are the form's own. */
struct chat_reader {
    struct chat_sink *sink;
    struct arena *arena;
    uint64_t seed;    /* for ids that are invented: unlike for every answer */
    unsigned choices; /* asked for */
    /* What was asked; NULL where that is not known. By it a reader undoes what its dialect's writer
     * of requests had to do: names of tools that the provider does not take, custom tools. */
    const struct chat *chat;
};

/* Writes events. Likewise. */
struct chat_writer {
    const struct chat_frame *frame;
    struct buf *out; /* what it appends to; its err is looked at by the owner */
    struct arena *arena;
};

/* For what a provider is asked. */
struct chat_target {
    struct span model;   /* its name at the provider */
    uint32_t quirks;     /* of enum quirk, dialect/quirks.h */
    bool is_usage_asked; /* OpenAI's stream_options.include_usage */
};

struct chat_writing {
    const struct chat *chat;
    const struct chat_target *target;
    struct buf *out;
    struct arena *arena; /* for what it makes on the way */
    struct chat_drops *drops;
    struct chat_refusal *refusal;
};

struct form_ops {
    /* Reads a request's body: 0; ERR_SYNTAX with the refusal noted; ERR_NOMEM. NULL: no client
     * sends this form. */
    int (*read_request)(struct chat_reading *reading, const yyjson_val *root);

    /* Appends the body for the target: 0; ERR_SYNTAX with the refusal noted, where it cannot be
     * told; ERR_FULL or ERR_NOMEM. parameters_fit was called before. NULL: no provider is asked in
     * this form but by passing bytes through. */
    int (*write_request)(struct chat_writing *writing);

    /* One event of a stream: tells what it holds. 0, or ERR_SYNTAX where it is no event of this
     * form (then nothing was told of it). Unknown kinds are passed over. */
    size_t reader_size;
    int (*read_event)(struct chat_reader *reader, const struct sse_event *event);

    /* The stream ended: tells END where the form has no terminal event and all choices that began
     * have their FINISH (CALL_ENDs and the like first); else nothing. */
    void (*read_end)(struct chat_reader *reader);

    /* A whole answer, already a tree: tells it as events, END included (or ERROR). 0, or
     * ERR_SYNTAX. */
    int (*read_answer)(struct chat_reader *reader, const yyjson_val *root);

    /* Writes an event of a stream for the client. */
    size_t writer_size;
    void (*write_event)(struct chat_writer *writer, const struct chat_event *event);
    void (*writer_fini)(struct chat_writer *writer); /* NULL: nothing to give back */

    /* Appends the whole answer. 0, ERR_FULL or ERR_NOMEM are in out->err. */
    void (*write_answer)(struct chat_writer *writer, const struct chat_answer *answer);
};

/* Never NULL; members may be. */
const struct form_ops *form_ops(enum form form);

extern const struct form_ops openai_chat_ops, openai_completions_ops, openai_responses_ops,
    anthropic_messages_ops, anthropic_count_ops, gemini_generate_ops, gemini_measure_ops;

#endif

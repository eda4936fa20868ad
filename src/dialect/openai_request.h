/*
 * A request in OpenAI's dialect, read as its bytes arrive: which model, streamed or not, how large;
 * and the few edits that a pass-through needs, all else staying byte for byte. Owned by the
 * exchange and never moved; one thread. Pure. The scanner that reads it is lent until the end of
 * the body: it is large, and what it leaves behind is small.
 */
#ifndef DIALECT_OPENAI_REQUEST_H
#define DIALECT_OPENAI_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "dialect/dialect.h"
#include "dialect/failure.h"
#include "json/scan.h"

enum openai_endpoint {
    OPENAI_CHAT,        /* POST /chat/completions */
    OPENAI_COMPLETIONS, /* POST /completions */
    OPENAI_EMBEDDINGS,  /* POST /embeddings */
    OPENAI_ENDPOINT_COUNT,
};

enum openai_field {
    OPENAI_MODEL,
    OPENAI_STREAM,
    OPENAI_STREAM_OPTIONS,
    OPENAI_N,
    OPENAI_BEST_OF, /* of completions: choices that are written, to return `n` of them */
    OPENAI_MAX_TOKENS,
    OPENAI_MAX_COMPLETION_TOKENS,
    OPENAI_TOOLS,
    OPENAI_CONTENT,       /* messages, prompt or input */
    OPENAI_INCLUDE_USAGE, /* inside stream_options */
    OPENAI_FIELD_COUNT,
};

enum {
    OPENAI_DEPTH_MAX = 256, /* nesting of a request */
    OPENAI_MODEL_MAX = 256, /* bytes of a model's name; a longer one is cut, and served by nobody */
    OPENAI_CHOICES_MAX = 128,
};

struct openai_request {
    enum openai_endpoint endpoint;
    struct json_scan *scan; /* borrowed */
    /* As the scanner has left it; from openai_request_finish on. */
    struct json_seen seen[OPENAI_FIELD_COUNT];
    uint64_t root_start;
    uint64_t text_chars, text_bytes, text_numbers;
    bool root_is_empty;
    char model[OPENAI_MODEL_MAX];
};

/* Ready for the first piece, read by that scanner until openai_request_finish returns 0. */
void openai_request_init(struct openai_request *request, enum openai_endpoint endpoint,
                         struct json_scan *scan);

/* The next piece of the body: 0, or ERR_SYNTAX once the request must be refused. */
int openai_request_feed(struct openai_request *request, struct span piece);

/* The body is whole: 0 or ERR_SYNTAX. After 0 the scanner is free for others, and all below can be
 * asked. */
int openai_request_finish(struct openai_request *request);

/* Why a request is refused: the row, the field it names (empty where none), and a message for the
 * client. */
struct openai_refusal {
    enum failure failure;
    struct span param;
    char message[256];
};

/* After feed or finish said ERR_SYNTAX, while the scanner is still there. */
void openai_request_refusal(const struct openai_request *request,
                            struct openai_refusal *ret_refusal);

/* The model asked for, unescaped; empty (NULL ptr) where there is none or it is null. */
struct span openai_request_model(const struct openai_request *request);

bool openai_request_is_streaming(const struct openai_request *request);

/* The client itself asked for the usage chunk. */
bool openai_request_wants_usage(const struct openai_request *request);

/* Choices asked for (`n`): 1 to OPENAI_CHOICES_MAX. */
unsigned openai_request_choices(const struct openai_request *request);

/* Most tokens that the answer may have, by max_completion_tokens or max_tokens, in all choices that
 * are written for it (`n` or `best_of`); 0: not told. */
uint64_t openai_request_max_tokens(const struct openai_request *request);

/* Characters of the messages' text (prompt, input); without images, names and the like. */
uint64_t openai_request_text_chars(const struct openai_request *request);

/* Tokens of the prompt, guessed from its text and its tools. */
uint64_t openai_request_estimate_tokens(const struct openai_request *request);

enum { OPENAI_EDITS_MAX = 2 };

struct openai_edits {
    struct dialect_edit at[OPENAI_EDITS_MAX]; /* by rising offset, none overlapping */
    size_t count;
    char text[4 * OPENAI_MODEL_MAX]; /* what `insert` points to, in part */
};

/* What must change on the way upstream: the model's name (an empty one: stays as it is), and
 * stream_options.include_usage set to true where ask_usage says so and the request is streamed. 0,
 * or ERR_FULL where the name is too long. ret_edits must not be moved afterwards. */
int openai_request_edit(const struct openai_request *request, struct span model, bool ask_usage,
                        struct openai_edits *ret_edits);

/* Length of a body of body_len bytes after the edits. */
uint64_t openai_edits_length(const struct openai_edits *edits, uint64_t body_len);

#endif

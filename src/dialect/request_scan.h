/*
 * A request of any form, read as its bytes arrive: which model, streamed or not, how large;
 * and the few edits that a pass-through needs, all else staying byte for byte. Owned by the
 * exchange and never moved; one thread. Pure. The scanner that reads it is lent until the end of
 * the body: it is large, and what it leaves behind is small.
 */
#ifndef DIALECT_REQUEST_SCAN_H
#define DIALECT_REQUEST_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "dialect/dialect.h"
#include "dialect/failure.h"
#include "dialect/form.h"
#include "json/scan.h"

/* What matters of a body, whatever it is called in its form. */
enum request_field {
    REQUEST_MODEL,
    REQUEST_STREAM,
    REQUEST_OPTIONS, /* stream_options, or Gemini's generationConfig */
    REQUEST_N,
    REQUEST_BEST_OF, /* of completions: choices that are written, to return `n` of them */
    REQUEST_MAX_TOKENS,
    REQUEST_MAX_COMPLETION_TOKENS,
    REQUEST_TOOLS,
    REQUEST_FUNCTIONS, /* what chats called tools before */
    REQUEST_CONTENT,   /* messages, prompt, input or contents */
    REQUEST_SYSTEM,    /* what stands apart from them: system, instructions, systemInstruction */
    REQUEST_CACHE_KEY, /* prompt_cache_key */
    REQUEST_USER,
    REQUEST_METADATA,
    REQUEST_FORMAT,        /* of the answer: response_format, text or output_config */
    REQUEST_INCLUDE_USAGE, /* inside stream_options */
    REQUEST_INNER_N,       /* inside generationConfig */
    REQUEST_INNER_MAX,
    REQUEST_USER_ID,      /* inside metadata */
    REQUEST_INNER_FORMAT, /* inside text or output_config */
    REQUEST_MEDIA_TYPE,   /* Gemini's mimeType, wherever media stand */
    REQUEST_FIELD_COUNT,
};

/* What a request shows of itself by the mere names that stand in it; looked for where a
 * configuration wants to know (request_scan_look_for_signs). */
enum request_sign {
    REQUEST_HAS_IMAGE, /* or a document */
    REQUEST_HAS_AUDIO,
    REQUEST_HAS_SCHEMA, /* that the answer must follow */
    /* Of media that are told by their type: until request_scan_finish makes of these the first two.
     */
    REQUEST_HAS_MEDIA,
    REQUEST_NAMES_SOUND,
    REQUEST_NAMES_SIGHT,
    REQUEST_SETS_MAX_TOKENS,
    REQUEST_SETS_TEMPERATURE,
    REQUEST_SETS_TOP_P,
    REQUEST_SETS_TOP_K,
    REQUEST_SETS_SEED,
    REQUEST_SETS_PRESENCE_PENALTY,
    REQUEST_SETS_FREQUENCY_PENALTY,
    REQUEST_SETS_EFFORT,
};

enum {
    REQUEST_DEPTH_MAX = 256, /* nesting of a request */
    REQUEST_MODEL_MAX =
        256, /* bytes of a model's name; a longer one is cut, and served by nobody */
    REQUEST_CHOICES_MAX = 128,
    REQUEST_TYPE_MAX = 16, /* bytes of a medium's type that are looked at */
};

struct request_scan {
    enum form form;
    struct json_scan *scan; /* borrowed */
    /* As the scanner has left it; from request_scan_finish on. */
    struct json_seen seen[REQUEST_FIELD_COUNT];
    uint64_t root_start;
    uint64_t text_bytes, text_chars, text_numbers, media;
    uint64_t signs; /* a bit of each enum request_sign */
    bool root_is_empty;
    bool has_kinds;
    struct json_kinds kinds; /* with has_kinds */
    char model[REQUEST_MODEL_MAX];
    char media_type[REQUEST_TYPE_MAX];
};

/* Ready for the first piece, read by that scanner until request_scan_finish returns 0. */
void request_scan_init(struct request_scan *request, enum form form, struct json_scan *scan);

/* The text is to be counted by kinds too, which costs a little. Before the first piece. */
void request_scan_count_kinds(struct request_scan *request);

/* Before the first piece: the body is looked through for signs too. */
void request_scan_look_for_signs(struct request_scan *request);

/* The next piece of the body: 0, or ERR_SYNTAX once the request must be refused. */
int request_scan_feed(struct request_scan *request, struct span piece);

/* The body is whole: 0 or ERR_SYNTAX. After 0 the scanner is free for others, and all below can be
 * asked. */
int request_scan_finish(struct request_scan *request);

/* Why a request is refused: the row, the field it names (empty where none), and a message for the
 * client. */
struct request_refusal {
    enum failure failure;
    struct span param;
    char message[256];
};

/* After feed or finish said ERR_SYNTAX, while the scanner is still there. */
void request_scan_refusal(const struct request_scan *request, struct request_refusal *ret_refusal);

/* The model that the body asks for, unescaped; empty (NULL ptr) where there is none or it is null.
 */
struct span request_scan_model(const struct request_scan *request);

bool request_scan_is_streaming(const struct request_scan *request);

/* The client itself asked for the usage chunk. */
bool request_scan_wants_usage(const struct request_scan *request);

/* Choices asked for (`n`): 1 to REQUEST_CHOICES_MAX. */
unsigned request_scan_choices(const struct request_scan *request);

/* Most tokens that the answer may have, by max_completion_tokens or max_tokens, in all choices that
 * are written for it (`n` or `best_of`); 0: not told. */
uint64_t request_scan_max_tokens(const struct request_scan *request);

/* The same in each choice: what a model must be able to write. */
uint64_t request_scan_max_tokens_each(const struct request_scan *request);

/* Choices that are written, returned or not: 1 to REQUEST_CHOICES_MAX. */
unsigned request_scan_written(const struct request_scan *request);

static inline bool request_scan_has(const struct request_scan *request, enum request_sign sign)
{
    return request->signs >> sign & 1;
}

/* Tools are offered, by their old name too. */
bool request_scan_has_tools(const struct request_scan *request);

/* Tokens of the prompt, guessed from the bytes of its text and its tools. */
uint64_t request_scan_estimate_tokens(const struct request_scan *request);

/* What a better guess is made from: the text by kinds (NULL where they were not counted), and what
 * else a provider's model reads. */
struct request_text {
    const struct json_kinds *kinds;
    uint64_t numbers;    /* tokens given as such */
    uint64_t tool_bytes; /* of the tools, as they are spelled */
    uint64_t media;      /* pictures, sounds, files */
};

struct request_text request_scan_text(const struct request_scan *request);

enum { REQUEST_EDITS_MAX = 2 };

struct request_edits {
    struct dialect_edit at[REQUEST_EDITS_MAX]; /* by rising offset, none overlapping */
    size_t count;
    char text[4 * REQUEST_MODEL_MAX]; /* what `insert` points to, in part */
};

/* What must change on the way upstream: the model's name (an empty one: stays as it is), and
 * stream_options.include_usage set to true where ask_usage says so and the request is streamed. 0,
 * or ERR_FULL where the name is too long. ret_edits must not be moved afterwards. */
int request_scan_edit(const struct request_scan *request, struct span model, bool ask_usage,
                      struct request_edits *ret_edits);

#endif

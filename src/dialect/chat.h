/*
 * The neutral form of a conversation: what a request asks for, in no provider's words. Each dialect
 * reads its own body into it and writes its own body from it; none knows the others. All of it
 * lives in one arena and borrows texts from the tree of the body that it was read from (numbers of
 * that tree stand as they are spelled: JSON_TREE_RAW_NUMBERS), so that it lives as long as both.
 * One thread. Pure.
 *
 * What a turn is made of: a message holds parts. Roles: a result of a tool stands in a message of
 * CHAT_USER or CHAT_TOOL, as it came; writers gather what their dialect wants together.
 */
#ifndef DIALECT_CHAT_H
#define DIALECT_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/span.h"
#include "dialect/dialect.h"
#include "dialect/failure.h"
#include "dialect/form.h"
#include "json/tree.h"

enum {
    CHAT_PARTS_MAX = 1 << 20, /* of all messages together */
    CHAT_TOOLS_MAX = 16384,
    CHAT_STOPS_MAX = 64,
    CHAT_CHOICES_MAX = 128,
};

enum chat_role { CHAT_SYSTEM, CHAT_DEVELOPER, CHAT_USER, CHAT_ASSISTANT, CHAT_TOOL };

enum chat_part_kind {
    CHAT_PART_TEXT,     /* text */
    CHAT_PART_REFUSAL,  /* text: the model's own words for refusing */
    CHAT_PART_IMAGE,    /* media */
    CHAT_PART_AUDIO,    /* media */
    CHAT_PART_DOCUMENT, /* media; text: its title, id: its context (Anthropic) */
    CHAT_PART_VIDEO,    /* media */
    CHAT_PART_THINKING, /* text, signature */
    CHAT_PART_REDACTED, /* text: opaque data in place of a thought */
    CHAT_PART_CALL,     /* id, name, text: the arguments; signature */
    CHAT_PART_RESULT,   /* id of its call, name where it is told; parts */
};

/* How long a provider should keep what stands up to here. */
enum chat_cache { CHAT_CACHE_NONE, CHAT_CACHE_SHORT /* minutes */, CHAT_CACHE_LONG /* an hour */ };

/* Where the bytes of an image, a sound or a document are. */
enum chat_source {
    CHAT_SOURCE_DATA, /* here: base64 of the usual alphabet */
    CHAT_SOURCE_TEXT, /* here: plain text */
    CHAT_SOURCE_URL,  /* elsewhere: http or https */
    CHAT_SOURCE_FILE, /* with the provider: an id of its own, or Gemini's fileUri */
};

struct chat_media {
    enum chat_source source;
    struct span type;   /* media type, "image/png"; empty: not told */
    struct span data;   /* by source: base64, text, URL, id */
    struct span name;   /* of a file; empty: none */
    struct span detail; /* "low", "high", "auto" as OpenAI says it; empty: none */
};

struct chat_part {
    enum chat_part_kind kind;
    enum chat_cache cache;
    enum dialect_id signer; /* whose signature or redacted thought it is */
    bool is_custom;         /* CALL: of a custom tool, the text is no JSON */
    bool is_error;          /* RESULT */
    struct span text;
    struct span signature; /* opaque; empty: none */
    struct span id, name;
    struct chat_media media;
    struct chat_part *parts; /* RESULT: what it brought */
    size_t part_count;
};

struct chat_message {
    enum chat_role role;
    struct span name; /* of the speaker; empty: none */
    struct chat_part *parts;
    size_t part_count;
};

enum chat_tool_kind {
    CHAT_TOOL_FUNCTION,
    CHAT_TOOL_CUSTOM, /* takes free text */
    CHAT_TOOL_OWN,    /* one that the provider runs itself: name says which; of no use elsewhere */
};

enum chat_maybe { CHAT_NOT_SAID, CHAT_NO, CHAT_YES };

struct chat_tool {
    enum chat_tool_kind kind;
    enum chat_cache cache;
    enum chat_maybe strict;
    struct span name;
    struct span description;
    const yyjson_val *schema; /* JSON Schema of the arguments (an object); NULL: takes none */
    const yyjson_val *format; /* CUSTOM: OpenAI's format; NULL: text */
    const yyjson_val *whole;  /* as it stands in the request */
};

enum chat_choice_kind {
    CHAT_CHOICE_NOT_SAID,
    CHAT_CHOICE_AUTO,
    CHAT_CHOICE_NONE,
    CHAT_CHOICE_ANY,       /* one at least */
    CHAT_CHOICE_ONE,       /* names[0] */
    CHAT_CHOICE_SOME_AUTO, /* if any, one of names */
    CHAT_CHOICE_SOME_ANY,  /* one at least, of names */
};

enum chat_format_kind {
    CHAT_FORMAT_TEXT,
    CHAT_FORMAT_JSON,   /* any JSON object */
    CHAT_FORMAT_SCHEMA, /* JSON that fits the schema */
    CHAT_FORMAT_ENUM,   /* Gemini's text/x.enum: one of the schema's words */
};

struct chat_format {
    enum chat_format_kind kind;
    struct span name; /* empty: none */
    struct span description;
    const yyjson_val *schema;
    enum chat_maybe strict;
};

/* How hard to think, in OpenAI's words, and what of it to show. */
enum chat_effort {
    CHAT_EFFORT_NOT_SAID,
    CHAT_EFFORT_NONE,
    CHAT_EFFORT_MINIMAL,
    CHAT_EFFORT_LOW,
    CHAT_EFFORT_MEDIUM,
    CHAT_EFFORT_HIGH,
    CHAT_EFFORT_XHIGH,
    CHAT_EFFORT_MAX,
};

struct chat_thinking {
    enum chat_effort effort;
    int64_t budget;       /* tokens; 0: not said */
    bool is_adaptive;     /* the model decides how much */
    enum chat_maybe show; /* the thoughts, or a summary of them, in the answer */
};

enum chat_parameter {
#define PARAMETER(id, ...) CHAT_##id##_PARAM,
#include "tables/parameters.def"
#undef PARAMETER
    CHAT_PARAMS,
};

/* A member of the body that no row of the table has. */
struct chat_unknown {
    struct span name;        /* as X-Bellwether-Dropped-Params tells it */
    const yyjson_val *value; /* of a member of the body itself; NULL: it stands further inside */
};

struct chat {
    enum form form;    /* it was read from */
    struct span model; /* as the client named it */
    bool is_streaming;
    bool wants_usage; /* of a stream: the client asked for it to be told */
    bool is_array;    /* Gemini's stream as one JSON array, without alt=sse */

    struct chat_message *messages; /* system messages where they stood */
    size_t message_count;
    struct chat_tool *tools;
    size_t tool_count;
    enum chat_choice_kind choice;
    struct span *choice_names;
    size_t choice_name_count;
    enum chat_maybe parallel_calls; /* may there be several calls in one turn */

    int64_t max_tokens; /* 0: not said */
    struct span *stops;
    size_t stop_count;
    struct chat_format format;
    struct chat_thinking thinking;
    struct span user; /* who asks, opaque; empty: not said */

    /* Every other parameter, as it stands in the request; NULL: absent, null or idle. Those that
     * have a place above stand here too, for their names in messages. */
    const yyjson_val *params[CHAT_PARAMS];
    struct chat_unknown *unknown; /* in the order of the body */
    size_t unknown_count;
    const yyjson_val *root; /* of the request */
};

/* Why a conversation is refused: always the client's fault, a 4xx. */
struct chat_refusal {
    enum failure failure;
    char param[128]; /* "messages[3].content[0].image_url"; "" where none */
    char message[384];
};

/* No refusal so far; its texts are empty, not cleared. */
static inline void chat_refusal_init(struct chat_refusal *refusal, enum failure failure)
{
    refusal->failure = failure;
    refusal->param[0] = 0;
    refusal->message[0] = 0;
}

/* Notes a refusal; the first one wins. Returns ERR_SYNTAX, for `return`. param may be NULL. */
int chat_refuse(struct chat_refusal *refusal, enum failure failure, const char *param,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* --- for readers --- */

/* What a reader works with. */
struct chat_reading {
    struct arena *arena; /* of all that it makes */
    struct chat
        *chat; /* zeroed; form, model, is_streaming and is_array set where the path says them */
    struct chat_refusal *refusal;
    size_t part_count; /* made so far */
};

/* `count` zeroed parts or messages; NULL with a refusal noted where there are too many, or without
 * memory. */
struct chat_part *chat_parts_new(struct chat_reading *reading, size_t count);
struct chat_message *chat_messages_new(struct chat_reading *reading, size_t count);

/* Room in chat->choice_names for `count` of them, none so far: 0, ERR_SYNTAX with a refusal noted
 * where there are more than CHAT_TOOLS_MAX, or ERR_NOMEM. */
int chat_choice_names_new(struct chat_reading *reading, size_t count);

/* The choice of that one tool (CHAT_CHOICE_ONE): 0 or ERR_NOMEM. */
int chat_choose_one(struct chat_reading *reading, struct span name);

/* The stops of a list of strings (of one string, where no list stands there) into the chat: 0;
 * ERR_RANGE where there are more than CHAT_STOPS_MAX; ERR_SYNTAX where one, that of stop_count, is
 * no string; ERR_NOMEM. No refusal is noted: the caller has the words of its dialect. */
int chat_read_stops(struct chat_reading *reading, const yyjson_val *value);

/* A value's JSON as text in the arena; NULL ptr without memory. */
struct span chat_json_text(struct arena *arena, const yyjson_val *value);

/* The word of OpenAI's for an effort; CHAT_EFFORT_NOT_SAID where it is none of them, which has the
 * empty one. */
enum chat_effort chat_effort_of(struct span word);
struct span chat_effort_word(enum chat_effort effort);

/* What a budget of tokens comes to, for those who think by words. */
enum chat_effort chat_effort_of_budget(int64_t budget);

/* A data URL (RFC 2397) taken apart: true and media (source DATA, type, data), or false where it is
 * none, is not base64, or names no type. Letters in any case. */
bool chat_read_data_url(struct span url, struct chat_media *ret_media);

/* True for http:// and https://. */
bool chat_is_web_url(struct span url);

/* --- for writers --- */

/* The call that a result answers: the last one before message `until` with that id, or NULL. */
const struct chat_part *chat_find_call(const struct chat *chat, size_t until, struct span id);

/* The tool of that name, or NULL. */
const struct chat_tool *chat_find_tool(const struct chat *chat, struct span name);

/* True where the message speaks for the system. */
static inline bool chat_is_system(const struct chat_message *message)
{
    return message->role == CHAT_SYSTEM || message->role == CHAT_DEVELOPER;
}

/* Whether any of the parts is of that kind. */
bool chat_has_kind(const struct chat_part *parts, size_t count, enum chat_part_kind kind);

/* The texts of the parts of some kinds (a bit 1 << kind for each) side by side, in `arena` where
 * there are several; empty (NULL ptr) without memory. */
struct span chat_text_of(const struct chat_part *parts, size_t count, unsigned kinds,
                         struct arena *arena);

/* What the parts say in plain text: the same of TEXT and REFUSAL. */
struct span chat_plain_text(const struct chat_part *parts, size_t count, struct arena *arena);

/* An id fit for `^[A-Za-z0-9_-]+$` and at most `max` bytes: the id itself where it is fit, else one
 * derived from it, always the same one ("call_" and a hash). In `arena`; NULL ptr without memory.
 */
struct span chat_fit_id(struct span id, size_t max, struct arena *arena);

/* An id of an answer in another dialect's look: `prefix` and what stands behind the known prefix of
 * `id` ("msg_", "chatcmpl-", "resp_", …). In `arena`. */
struct span chat_rename_id(struct span id, struct span prefix, struct arena *arena);

#endif

/*
 * What the files of Anthropic's dialect share: the reserved tool, signatures of other providers'
 * thoughts, and where in a request something stands. Private to src/dialect/anthropic_*.c. Pure.
 */
#ifndef DIALECT_ANTHROPIC_INNER_H
#define DIALECT_ANTHROPIC_INNER_H

#include "dialect/anthropic.h"
#include "dialect/chat_answer.h"
#include "dialect/parameters.h"
#include "json/write.h"

enum {
    ANTHROPIC_ID_MAX = 64,            /* bytes of a tool_use id that is written */
    ANTHROPIC_CALLS_MAX = 1024,       /* of one answer */
    ANTHROPIC_TEXT_MAX = 64 << 20,    /* of one value written on the way */
    ANTHROPIC_PENDING_MAX = 16 << 20, /* of a stream: blocks that wait for their turn */
};

/* yyjson's accessors take a plain pointer and only read. */
static inline yyjson_val *anthropic_plain(const yyjson_val *value)
{
    return (yyjson_val *)(uintptr_t)value;
}

/* --- the reserved tool --- */

/* On models that cannot be given a schema for their answer, the answer is the input of this tool,
 * which they are made to call. Its name is how the reader of the answer knows it. */
static inline struct span anthropic_json_tool(void)
{
    return SPAN("bellwether_json");
}

/* --- signatures --- */

/* Takes a signature apart as a client sends it: what its signer made, and whose it is. Those of
 * other dialects carry their name, "gemini#…", so that they never reach Anthropic; "unsigned#"
 * stands for none at all. */
struct span anthropic_read_signature(struct span told, enum dialect_id *ret_signer);

/* Appends a signature or a redacted thought as a JSON string; an empty one as "unsigned#". */
void anthropic_write_signature(struct buf *out, enum dialect_id signer, struct span signature);

/* --- places in a request, for messages --- */

struct anthropic_place {
    const struct anthropic_place *up; /* NULL: the body itself */
    const char *list;
    size_t index;
};

/* Notes a refusal of what stands at the place, or of its member (NULL: all of it). */
int anthropic_refuse(struct chat_refusal *refusal, enum failure failure,
                     const struct anthropic_place *place, const char *member, const char *message);

/* --- reading a request --- */

/* All of `system` and `messages`; the tools and tool_choice: 0, or ERR_SYNTAX with the refusal
 * noted, or ERR_NOMEM. */
int anthropic_read_messages(struct chat_reading *reading, const yyjson_val *root);
int anthropic_read_tools(struct chat_reading *reading, const yyjson_val *root);

/* Why there are no parts or messages: too many of them, as noted, or no memory. */
int anthropic_no_room(const struct chat_reading *reading);

/* Content: a string or a list of blocks. Results stand only in messages. */
int anthropic_read_content(struct chat_reading *reading, const struct anthropic_place *place,
                           const yyjson_val *content, struct chat_part **ret_parts,
                           size_t *ret_count);

/* `cache_control` of a block or a tool. */
enum chat_cache anthropic_read_cache(const yyjson_val *object);

/* The value as JSON text in the arena; its ptr is NULL where there is no memory. */
struct span anthropic_json_text(struct arena *arena, const yyjson_val *value);

/* --- writing a request --- */

/* What the writer of a request works with. */
struct anthropic_writing {
    struct chat_writing *of;
    struct json_writer json;
    const struct claude *claude; /* what the model can do */
    bool is_own;                 /* the request was read in a form of this dialect */
    bool is_count;               /* a body of count_tokens */
    bool has_json_tool;          /* see anthropic_json_tool */
    bool thinks;                 /* thinking is switched on */
    int64_t budget;              /* of thinking, in tokens; 0: it has none */
    int64_t max_tokens;
    size_t lead;                  /* messages of the system that come first */
    const struct chat_part *tail; /* the last part of a last message of the assistant's */
};

/* Each appends its members of the body: 0, or ERR_SYNTAX with the refusal noted, or ERR_NOMEM. */
int anthropic_write_messages(struct anthropic_writing *writing);
int anthropic_write_tools(struct anthropic_writing *writing);
void anthropic_write_sampling(struct anthropic_writing *writing);
int anthropic_write_output(struct anthropic_writing *writing);

/* Whether the answer is forced to be a call, which rules out thinking. */
bool anthropic_forces_call(const struct anthropic_writing *writing);

/* Decides max_tokens, and whether the model thinks and how much, before anything is written. */
void anthropic_settle_thinking(struct anthropic_writing *writing);

/* Where a part stands in the neutral form, for refusals. */
struct anthropic_spot {
    size_t message, part;
    bool is_assistant, is_in_result;
};

/* One block of content that is no thought of somebody else's and no empty text: 0, or ERR_SYNTAX
 * with the refusal noted, or ERR_NOMEM. */
int anthropic_write_block(struct anthropic_writing *writing, const struct anthropic_spot *spot,
                          const struct chat_part *part);

/* False where there is nothing to write: a thought that Anthropic did not sign, an empty text. */
bool anthropic_is_writable(const struct chat_part *part);

/* Refuses what stands at the spot. */
int anthropic_refuse_part(struct anthropic_writing *writing, const struct anthropic_spot *spot,
                          const char *message);

/* A JSON Schema of an object, which is what this API asks for: with the type where it is not said,
 * and of Google's subset of OpenAPI what it means. NULL: of an object without members. */
void anthropic_write_schema(struct anthropic_writing *writing, const yyjson_val *schema,
                            bool is_openapi);

/* `cache_control`, where there is one. */
void anthropic_write_cache(struct json_writer *json, enum chat_cache cache);

/* --- both --- */

/* White space only, or nothing. */
bool anthropic_is_blank(struct span text);

/* Arguments as the object that `input` must be: as they stand where they are one, {} where they are
 * empty, {"input":…} of a custom tool, else {"_raw":…}. */
void anthropic_write_input(struct buf *out, struct span arguments, bool is_custom);

/* --- usage and errors --- */

/* What a provider told so far; each of its messages replaces what it names. */
struct anthropic_usage {
    uint64_t input, cache_read, cache_write, cache_write_long, output, thinking;
    bool is_known;
};

/* Takes a `usage` object over what is known; anything else changes nothing. */
void anthropic_take_usage(struct anthropic_usage *usage, const yyjson_val *object);

/* In the neutral form. */
struct dialect_usage anthropic_usage(const struct anthropic_usage *usage);

/* Appends {"input_tokens":…,…} as in an answer, with what only whole answers tell where is_whole.
 */
void anthropic_write_usage(struct buf *out, const struct dialect_usage *usage, bool is_whole);

/* {"type":"error","error":{…}}: what it says. */
void anthropic_take_error(const yyjson_val *root, struct dialect_error *ret_error);

/* Appends the frame `event: error`. */
void anthropic_write_error_event(struct buf *out, const struct dialect_error *error);

/* The word for a finish, and the other way round. */
struct span anthropic_stop_reason(enum chat_finish finish, bool has_stop_text, bool has_calls);
enum chat_finish anthropic_read_stop_reason(struct span word);

/* Appends `"stop_reason":…,"stop_sequence":…`, and `"stop_details":…` of a refusal, or always where
 * is_whole. */
void anthropic_write_stop(struct buf *out, enum chat_finish finish, struct span text,
                          bool has_calls, bool is_whole);

/* What of its thoughts the client wants to see. */
enum anthropic_thoughts {
    ANTHROPIC_THOUGHTS_NONE,
    ANTHROPIC_THOUGHTS_SIGNED, /* blocks with their signatures, without text */
    ANTHROPIC_THOUGHTS_SHOWN,
};

enum anthropic_thoughts anthropic_thoughts(const struct chat *chat);

/* --- reading answers: shared by streams and whole ones, dialect/anthropic_answer_read.c --- */

enum { ANTHROPIC_FINISH_TEXT_MAX = 1024 };

/* A tool_use block of an answer that is being read. */
struct anthropic_call {
    int64_t index; /* of its block */
    bool is_json;  /* the reserved tool: its input is the answer */
    bool has_whole_input, has_args, has_ended;
};

struct anthropic_reader {
    struct chat_reader base;
    bool has_started, is_over;
    enum chat_finish finish;
    char finish_text[ANTHROPIC_FINISH_TEXT_MAX];
    uint16_t finish_text_len;
    struct anthropic_usage usage;
    struct anthropic_call *calls; /* by their neutral number; in the arena, of doubling size */
    unsigned call_count, call_room;
    unsigned told_calls; /* of those: not the reserved tool */
};

#endif

/*
 * What the files of OpenAI's chat completions share among themselves: pieces of reading and writing
 * requests, and the state of reading an answer. For openai_chat_*.c and openai_completions.c alone;
 * one thread. Pure.
 */
#ifndef DIALECT_OPENAI_CHAT_INNER_H
#define DIALECT_OPENAI_CHAT_INNER_H

#include "dialect/chat_answer.h"
#include "dialect/parameters.h"
#include "dialect/quirks.h"
#include "json/write.h"

static inline bool openai_is_word(const yyjson_val *value, const char *word)
{
    return span_is_equal(json_tree_text(value), span_from_text(word));
}

/* --- reading requests --- */

enum { OPENAI_PLACE_BYTES = 128 };

/* Where in a body something stands; spelled ("messages[3].content[0]") only for a refusal. */
struct openai_place {
    const struct openai_place *up; /* NULL: the body itself */
    const char *name;              /* of a member; NULL: an item */
    size_t index;
};

/* The place of a member, or of an item; they live to the end of the block. */
#define OPENAI_IN(up, name)    (&(const struct openai_place){(up), (name), 0})
#define OPENAI_ITEM(up, index) (&(const struct openai_place){(up), NULL, (index)})

/* Refusals in OpenAI's words: each returns ERR_SYNTAX. `wanted` is "a string" and the like; `why` a
 * clause. */
int openai_refuse_type(struct chat_reading *reading, const struct openai_place *place,
                       const char *wanted, const yyjson_val *value);
int openai_refuse_absent(struct chat_reading *reading, const struct openai_place *place);
int openai_refuse_value(struct chat_reading *reading, const struct openai_place *place,
                        const char *why);

/* What could not be allocated: a refusal that was noted, or a lack. ERR_SYNTAX or ERR_NOMEM. */
int openai_no_parts(const struct chat_reading *reading);

/* A member of the body that is no plain parameter, and who reads it: 0, ERR_SYNTAX or ERR_NOMEM. */
struct openai_member {
    struct span name;
    int (*read)(struct chat_reading *reading, const yyjson_val *value);
};

/* Reads all members of a body: those of the list, then parameters; the rest is noted as unknown. */
int openai_read_body(struct chat_reading *reading, const yyjson_val *root,
                     const struct openai_member *members, size_t count);

/* Members of the body; each 0, ERR_SYNTAX with the refusal noted, or ERR_NOMEM. */
int openai_read_model(struct chat_reading *reading, const yyjson_val *value);
int openai_read_stream(struct chat_reading *reading, const yyjson_val *value);
int openai_read_stream_options(struct chat_reading *reading, const yyjson_val *value);
int openai_read_messages(struct chat_reading *reading, const yyjson_val *value);
int openai_read_tools(struct chat_reading *reading, const yyjson_val *value);
int openai_read_functions(struct chat_reading *reading, const yyjson_val *value);
int openai_read_tool_choice(struct chat_reading *reading, const yyjson_val *value);
int openai_read_function_call(struct chat_reading *reading, const yyjson_val *value);

/* What was taken as parameters and has a place of its own in struct chat: the most tokens, stops,
 * who asks, thinking and the shape of the answer. */
int openai_read_settings(struct chat_reading *reading);

/* As dialect/chat_answer.h asks of a form. */
int openai_chat_read_request(struct chat_reading *reading, const yyjson_val *root);

/* The parts of a message's content (a string, an array of parts, null) put at `parts`, which has
 * room for openai_content_room of it; *ret_count of them. */
size_t openai_content_room(const yyjson_val *content);
int openai_read_content(struct chat_reading *reading, const yyjson_val *content,
                        const struct openai_place *place, struct chat_part *parts,
                        size_t *ret_count);

/* `cache_control` or `prompt_cache_breakpoint` of a part or tool. */
enum chat_cache openai_read_cache(const yyjson_val *value);

/* --- writing requests --- */

/* The body's messages, from the neutral form. */
int openai_write_messages(struct chat_writing *writing, struct json_writer *json);

/* An image, a sound, a video or a file: what stands in no text. */
bool openai_is_media(const struct chat_part *part);

/* A part of a user's message; `message` for refusals. Nothing of results, calls and thoughts. 0, or
 * ERR_SYNTAX with the refusal noted. */
int openai_write_part(struct chat_writing *writing, struct json_writer *json,
                      const struct chat_part *part, size_t message);

/* Notes that OpenAI cannot be told `what`: ERR_SYNTAX. */
int openai_refuse_part(struct chat_writing *writing, size_t message, const char *what);

/* "messages[3]", for refusals. Returns place. */
const char *openai_message_place(size_t message, char place[32]);

static inline bool openai_has_quirk(const struct chat_writing *writing, enum quirk quirk)
{
    return (writing->target->quirks & (uint32_t)quirk) != 0;
}

/* The value of image_url.url, file_data and the like: the URL, or "data:TYPE;base64,DATA". */
void openai_write_media_url(struct json_writer *json, const struct chat_media *media);

/* The members of a call, with that text as its arguments or input. */
void openai_write_call(struct json_writer *json, const struct chat_part *part, struct span text);

/* Members that carry what must come back: a call's signature, and signed thoughts. Nothing where
 * there is none. */
void openai_write_thought_signature(struct json_writer *json, const struct chat_part *part);
void openai_write_thinking_blocks(struct json_writer *json, const struct chat_part *parts,
                                  size_t count);

/* --- quirks --- */

/* What becomes of a member of the body. */
enum openai_touch {
    OPENAI_KEEP,
    OPENAI_RENAME,
    OPENAI_EDIT,      /* told in another way */
    OPENAI_LEAVE_OUT, /* asks for nothing, or nothing that the client would miss */
    OPENAI_DROP,      /* left out, and the client is told */
    OPENAI_REFUSE,
};

struct openai_touched {
    enum openai_touch touch;
    struct span name; /* under which it is written */
};

struct openai_touched openai_touch(const yyjson_val *root, struct span name,
                                   const yyjson_val *value, uint32_t quirks);

bool openai_touches_messages(const yyjson_val *list, uint32_t quirks);
bool openai_touches_message(const yyjson_val *message, uint32_t quirks);
bool openai_touches_part(const yyjson_val *part, uint32_t quirks);

/* A message of the assistant's must stand before this one, which follows a tool's. */
bool openai_needs_bridge(const yyjson_val *message, bool is_after_tool, uint32_t quirks);

/* The message has calls and not the thought that led to them. */
bool openai_lacks_thought(const yyjson_val *message, uint32_t quirks);

/* The members of messages that a strict provider knows; marks for caches, which it does not. */
bool openai_knows_member(struct span role, struct span name);
bool openai_is_mark(struct span name);

/* The URL of an image part, in either shape; empty where it is none. */
struct span openai_image_url(const yyjson_val *part);

/* tool_choice names a part of the tools; it demands a call. */
bool openai_is_subset(const yyjson_val *choice);
bool openai_is_forced(const yyjson_val *root);

/* The id of a call as the provider takes it: nine letters and digits where it must be (the id
 * itself where it is so already), else the id. In `arena`; NULL ptr without memory. */
struct span openai_call_id(struct span id, uint32_t quirks, struct arena *arena);

/* The effort that such a provider knows, nearest to the one that was asked for. */
enum chat_effort openai_effort_for(enum chat_effort effort, uint32_t quirks);

/* A body on its way. */
struct openai_rewriting {
    struct chat_writing *writing;
    const yyjson_val *root;
    uint32_t quirks;
    struct json_writer json;
};

void openai_copy_member(struct openai_rewriting *rewriting, struct span name,
                        const yyjson_val *value);

/* The member `messages`: 0, ERR_SYNTAX with the refusal noted, or ERR_NOMEM. */
int openai_rewrite_messages(struct openai_rewriting *rewriting, const yyjson_val *list);

/* Appends a body of OpenAI's own, `root`, as such a provider takes it: 0, ERR_SYNTAX with the
 * refusal noted, ERR_FULL or ERR_NOMEM. */
int openai_rewrite(struct chat_writing *writing, const yyjson_val *root);

/* --- reading answers --- */

/* One call of a choice as it comes in. */
struct openai_call {
    int64_t index;    /* the provider's */
    uint64_t id_hash; /* of the last id it was told under; 0: none yet */
    unsigned ordinal; /* ours, valid once it has begun */
    bool has_begun, has_ended, is_custom;
    /* Whether its arguments so far are one whole JSON object. */
    bool is_in_string, is_escaped, is_complete;
    uint32_t depth;
    struct span id; /* kept until it begins, like what follows */
    struct span early;
    size_t early_cap;
};

struct openai_choice {
    struct openai_call *calls;
    unsigned call_count, call_cap, begun;
    bool has_finish, has_refusal;
    bool has_thought; /* words of one were told, without a signature so far */
};

struct openai_reader {
    struct chat_reader base;
    struct openai_choice *choices[CHAT_CHOICES_MAX]; /* NULL: not begun */
    unsigned invented;                               /* ids made so far */
    bool has_start, is_over;
};

/* One event told to the sink. */
void openai_tell(struct openai_reader *reader, const struct chat_event *event);
void openai_tell_text(struct openai_reader *reader, enum chat_event_kind kind, unsigned choice,
                      struct span text);

/* Tells what went wrong; nothing is told behind it. */
void openai_tell_failure(struct openai_reader *reader, struct span message);

/* A `delta` or a `message`: what it holds of text, thought, refusal, media and calls. */
void openai_take_message(struct openai_reader *reader, unsigned choice, const yyjson_val *message);
void openai_take_calls(struct openai_reader *reader, unsigned choice, const yyjson_val *message);

/* Ends the calls of a choice that are still open. False where one was never named: told as an
 * error. */
bool openai_end_calls(struct openai_reader *reader, unsigned choice);

void openai_take_logprobs(struct openai_reader *reader, unsigned choice, const yyjson_val *value);

/* True where `usage` holds any number. */
bool openai_read_usage(const yyjson_val *usage, struct dialect_usage *ret_usage);

/* As dialect/chat_answer.h asks of a form. */
int openai_chat_read_event(struct chat_reader *base, const struct sse_event *event);
void openai_chat_read_end(struct chat_reader *base);
int openai_chat_read_answer(struct chat_reader *base, const yyjson_val *root);

/* --- writing answers --- */

/* A call of a custom tool that was begun. */
struct openai_custom {
    struct openai_custom *next;
    unsigned choice, call;
};

/* The state of writing a stream; also of completions, which say less. */
struct openai_writer {
    struct chat_writer base;
    /* What stands in each chunk before the choices, and behind them. */
    struct span head, tail;
    struct buf thought; /* words of the thought at hand, for the block that its signature ends */
    struct dialect_usage usage;
    uint64_t text_bytes;
    uint64_t begun[CHAT_CHOICES_MAX / 64], refused[CHAT_CHOICES_MAX / 64];
    struct openai_custom *customs;
    bool is_ready; /* the thought's buffer was made */
    bool is_legacy;
};

/* What is told as used: the provider's numbers, or an estimate. */
struct dialect_usage openai_told_usage(const struct openai_writer *writer);

/* A provider's error as the last event of a stream; no terminal event follows it. */
void openai_write_told(const struct chat_writer *writer, const struct dialect_error *error);

void openai_chat_write_event(struct chat_writer *base, const struct chat_event *event);
void openai_chat_writer_fini(struct chat_writer *base);
void openai_chat_write_answer(struct chat_writer *writer, const struct chat_answer *answer);

/* A whole answer: what `write_choice` says of each choice, and around it the members that chats and
 * completions have in common. `object` names the one or the other. */
void openai_write_object(struct chat_writer *writer, const struct chat_answer *answer,
                         const char *object, struct span id_prefix,
                         void (*write_choice)(struct chat_writer *, struct json_writer *,
                                              const struct chat_choice *));

/* Likewise of a request. */
int openai_chat_write_request(struct chat_writing *writing);

void openai_write_usage(struct json_writer *json, const struct dialect_usage *usage);
void openai_write_logprobs(struct json_writer *json, const struct chat_logprob *logprobs,
                           size_t count);

/* The word for why a choice ended. */
struct span openai_finish_word(enum chat_finish finish, bool has_refusal, bool is_legacy);

/* The client asked in the old way, by `functions`. */
bool openai_is_legacy(const struct chat *chat);

/* The id of an answer to this client: the provider's in our look, else made of the exchange's. */
struct span openai_answer_id(const struct chat_writer *writer, struct span id, struct span prefix);

#endif

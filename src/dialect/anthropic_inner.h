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
int anthropic_write_output(struct anthropic_writing *writing);

/* Whether the answer has to be the input of the reserved tool: its model knows no schemas, and no
 * call of another tool is asked for. */
bool anthropic_needs_json_tool(const struct anthropic_writing *writing);

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

/* The same for an image and for a document. */
int anthropic_write_image(struct anthropic_writing *writing, const struct anthropic_spot *spot,
                          const struct chat_part *part);
int anthropic_write_document(struct anthropic_writing *writing, const struct anthropic_spot *spot,
                             const struct chat_part *part);

/* False where there is nothing to write: a thought that Anthropic did not sign, an empty text. */
bool anthropic_is_writable(const struct chat_part *part);

/* Refuses what stands at the spot. */
int anthropic_refuse_part(struct anthropic_writing *writing, const struct anthropic_spot *spot,
                          const char *message);

/* The JSON Schema of an object, which is what this API asks for: with the type where it is not
 * said. NULL: of an object without members. */
void anthropic_write_schema(struct anthropic_writing *writing, const yyjson_val *schema);

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

/* The finish that a stop_reason stands for; CHAT_FINISH_NONE for an empty word. */
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

/* --- reading answers, whole and as streams: anthropic_answer_read.c --- */

enum { ANTHROPIC_FINISH_TEXT_MAX = 1024 };

/* A tool_use block of an answer. */
struct anthropic_call {
    int64_t index;   /* of its block */
    unsigned number; /* among the calls that are told */
    bool is_json;    /* the reserved tool: its input is the answer's text */
    bool is_custom;  /* its input is gathered, and told as the text that it holds */
    bool has_whole_input, has_args, has_ended;
    struct span gathered; /* in the arena */
    size_t gathered_cap;
};

struct anthropic_reader {
    struct chat_reader base;
    bool has_started, is_over;
    enum chat_finish finish;
    char finish_text[ANTHROPIC_FINISH_TEXT_MAX];
    uint16_t finish_text_len;
    struct anthropic_usage usage;
    struct anthropic_call *calls; /* in the order of their blocks; in the arena */
    unsigned call_count, call_cap;
    unsigned told_calls; /* of those: but for the reserved tool's */
};

/* Tells an event, unless the answer is over. */
void anthropic_tell(struct anthropic_reader *reader, const struct chat_event *event);

/* Tells a piece of text of that kind, unless it is empty. */
void anthropic_tell_text(struct anthropic_reader *reader, enum chat_event_kind kind,
                         struct span text);

/* Tells the signature of the thought told last, unless it is empty. */
void anthropic_tell_signature(struct anthropic_reader *reader, struct span signature);

/* The beginning, where it was not told yet: id and model of `message`, which may be NULL. */
void anthropic_tell_start(struct anthropic_reader *reader, const yyjson_val *message);

/* A block as it begins, or whole: its texts, or its call, which then stays open for its input. */
void anthropic_tell_block(struct anthropic_reader *reader, int64_t index, const yyjson_val *block);

/* More of a call's input; its end. The index is its block's; unknown ones are passed over. */
void anthropic_tell_input(struct anthropic_reader *reader, int64_t index, struct span piece);
void anthropic_tell_call_end(struct anthropic_reader *reader, int64_t index);

/* Takes stop_reason and what belongs to it, of a whole answer or of a message_delta's delta. */
void anthropic_take_stop(struct anthropic_reader *reader, const yyjson_val *object);

/* Takes a usage object and tells what is known by now. */
void anthropic_tell_usage(struct anthropic_reader *reader, const yyjson_val *usage);

/* Ends the calls that are open, and tells FINISH and END. */
void anthropic_tell_end(struct anthropic_reader *reader);

/* For form_ops; errors as there. */
int anthropic_read_event(struct chat_reader *base, const struct sse_event *event);
void anthropic_read_end(struct chat_reader *base);
/* Likewise. */
int anthropic_read_answer(struct chat_reader *base, const yyjson_val *root);

/* --- writing answers --- */

enum anthropic_kind {
    KIND_NONE,
    KIND_TEXT,
    KIND_THINKING,
    KIND_REDACTED,
    KIND_CALL,
};

/* A block of a stream that is being written: the open one, or one that waits. */
struct anthropic_block {
    struct anthropic_block *next;
    enum anthropic_kind kind;
    unsigned call;
    bool is_custom, has_ended, is_signed;
    enum dialect_id signer;
    struct span id, name, signature; /* in the arena */
    struct buf text;                 /* of one that waits */
};

struct anthropic_writer {
    struct chat_writer base;
    enum anthropic_thoughts thoughts;
    bool has_started, is_over, has_calls;
    bool is_start_due; /* of the open call: its signature may come with the next event */
    struct anthropic_block open;
    unsigned index; /* of the open block, or of the next */
    struct anthropic_block *first, *last;
    size_t waiting_bytes;
    enum chat_finish finish;
    char finish_text[ANTHROPIC_FINISH_TEXT_MAX];
    uint16_t finish_text_len;
    struct dialect_usage usage;
    uint64_t text_bytes;
};

/* Pieces of a stream's frames, and whole frames: deltas of the open block, and where blocks begin
 * and end. A call's beginning waits for its signature until anything else is told of it. */
void anthropic_put(struct anthropic_writer *writer, struct span text);
void anthropic_put_string(struct anthropic_writer *writer, struct span text);
void anthropic_put_text(struct anthropic_writer *writer, struct span text);
void anthropic_put_thought(struct anthropic_writer *writer, struct span text);
void anthropic_put_args(struct anthropic_writer *writer, struct span text);
void anthropic_put_signature(struct anthropic_writer *writer, enum dialect_id signer,
                             struct span signature);
void anthropic_open_block(struct anthropic_writer *writer, const struct anthropic_block *block);
void anthropic_settle_call(struct anthropic_writer *writer);
void anthropic_close_block(struct anthropic_writer *writer);

/* Ends the stream with an error of the gateway's own. */
void anthropic_fail(struct anthropic_writer *writer, struct span message);

/* A block at the end of the queue; NULL, with the stream failed, where there is no room. */
struct anthropic_block *anthropic_add_block(struct anthropic_writer *writer,
                                            enum anthropic_kind kind);

/* The last one, where it is of that kind and not signed yet, or a new one; NULL as above. */
struct anthropic_block *anthropic_last_waiting(struct anthropic_writer *writer,
                                               enum anthropic_kind kind);

/* The call that waits, or NULL. */
struct anthropic_block *anthropic_find_waiting(struct anthropic_writer *writer, unsigned call);

/* More text of a block that waits; too much of it fails the stream. */
void anthropic_add_text(struct anthropic_writer *writer, struct anthropic_block *block,
                        struct span text);

/* The open call has ended: writes what waited, up to a call that goes on. */
void anthropic_flush_waiting(struct anthropic_writer *writer);

/* For form_ops. */
void anthropic_write_event(struct chat_writer *base, const struct chat_event *event);
void anthropic_writer_fini(struct chat_writer *base);
void anthropic_write_answer(struct chat_writer *writer, const struct chat_answer *answer);

/* Appends an image as a text that shows it; false where that cannot be, or without room. */
bool anthropic_write_image_text(struct buf *out, const struct chat_media *media);

/* For form_ops; errors as there. */
int anthropic_read_request(struct chat_reading *reading, const yyjson_val *root);
int anthropic_write_request(struct chat_writing *of);

#endif

/*
 * What the files of OpenAI's Responses API (reference: openai.md 8) share: the seal by which a
 * thought's signature travels through a client, the items of an answer as the writer keeps them,
 * and the pieces of the request's reader. No one else includes it. One thread. Pure.
 */
#ifndef DIALECT_OPENAI_RESPONSES_INNER_H
#define DIALECT_OPENAI_RESPONSES_INNER_H

#include "base/buf.h"
#include "dialect/chat.h"
#include "dialect/chat_answer.h"
#include "dialect/error_write.h"

enum {
    /* Text that a streamed answer may hold for its last events, which tell all of it again, as it
     * is spelled in JSON; a longer one ends with an error event. */
    RESPONSES_KEEP_MAX = 8 << 20,
    RESPONSES_ITEMS_MAX = 4096, /* of one answer */
    RESPONSES_CALLS_MAX = 1024, /* of one answer, read */
};

/* --- the seal (openai_responses_seal.c) --- */

/* What another provider signed, told to a client as the encrypted_content of a reasoning item:
 *
 *     <dialect>#thought#<signature>#<text>     dialect "none": there is no signature
 *     <dialect>#redacted#<data>
 *     <dialect>#call#<signature>#<id of the call>
 *
 * The text stands there where the client was not shown it: what was signed goes back as it came.
 * OpenAI's own encrypted_content has no '#'. */
enum seal_kind { SEAL_NONE, SEAL_THOUGHT, SEAL_REDACTED, SEAL_CALL };

struct seal {
    enum seal_kind kind;
    enum dialect_id signer;
    struct span signature; /* empty: none */
    struct span text;      /* THOUGHT: the thought; REDACTED: the data; CALL: the call's id */
};

/* False where it is no seal. Borrows. */
bool seal_read(struct span text, struct seal *ret_seal);

/* Appends the seal as a JSON string; its texts are already as they are spelled inside of one. */
void seal_write(struct buf *out, const struct seal *seal);

/* True where a signature can stand in a seal. */
bool seal_can_hold(struct span signature);

/* --- the answer being written --- */

enum responses_item_kind {
    ITEM_MESSAGE,
    ITEM_REASONING,
    ITEM_FUNCTION,
    ITEM_CUSTOM,
    ITEM_IMAGE,
};

/* A text that grows: a part of a message, a summary, or the arguments of a call. */
struct responses_part {
    struct responses_part *next;
    unsigned index;
    bool is_refusal;
    struct buf text;     /* as it is spelled inside a JSON string */
    struct buf logprobs; /* likewise: the inside of an array */
};

struct responses_item {
    struct responses_item *next;
    enum responses_item_kind kind;
    unsigned index; /* output_index */
    unsigned call;  /* FUNCTION, CUSTOM: chat_event.call */
    bool is_done;
    bool is_cut;                  /* done, and not whole */
    struct span id;               /* "msg_…", "rs_…", "fc_…", "ctc_…", "ig_…" */
    struct span call_id, name;    /* FUNCTION, CUSTOM */
    struct responses_part *parts; /* MESSAGE: contents; REASONING: summaries; calls: one */
    struct responses_part *last;
    /* What a REASONING item seals, and whose it is; a call's is told in an item behind it. */
    enum seal_kind seal;
    enum dialect_id signer;
    struct buf signature; /* as it is spelled inside a JSON string (a call's: as it came) */
    struct buf sealed;    /* the data of REDACTED, the call's id of CALL: likewise */
    struct buf image;     /* IMAGE: base64 */
    struct span type;     /* IMAGE: "png" */
};

struct responses_writer {
    struct chat_writer base;
    struct responses_item *items, *last;
    struct responses_item *open; /* the message or thought that grows; calls grow beside it */
    struct responses_item *call; /* the one that was looked for last */
    size_t item_count;
    struct span id, item_base, model;
    uint64_t created_s;
    uint64_t sequence; /* number of the next event */
    uint64_t text_bytes;
    size_t kept, keep_max;
    enum chat_finish finish;
    bool has_refusal; /* the model said why not */
    struct dialect_usage usage;
    struct buf held;     /* text whose logprobs may come next */
    bool has_begun;      /* response.created is written */
    bool is_over;        /* its last event is written */
    bool is_quiet;       /* a whole answer: items are made, no events written */
    bool wants_summary;  /* the client asked to see thoughts */
    bool wants_seals;    /* include: reasoning.encrypted_content */
    bool wants_logprobs; /* include: message.output_text.logprobs */
};

/* --- the response object (openai_responses_object.c) --- */

enum responses_status {
    RESPONSES_IN_PROGRESS,
    RESPONSES_COMPLETED,
    RESPONSES_INCOMPLETE,
    RESPONSES_FAILED,
};

/* Appends the object; error is told where the status is FAILED. */
void responses_object_write(struct responses_writer *writer, enum responses_status status,
                            const struct error_words *error);

/* Which status the answer has that ended as the writer noted. */
enum responses_status responses_status(const struct responses_writer *writer);

/* True where the request's `include` names it. */
bool responses_includes(const struct chat *chat, struct span name);

/* --- its items (openai_responses_item.c) --- */

/* Appends the item as it stands. */
void responses_item_write(const struct responses_writer *writer, const struct responses_item *item);

/* Appends a part of a message as it stands. */
void responses_part_write(struct buf *out, const struct responses_part *part);

/* Appends the inside of an array of logprobs. */
void responses_logprobs_write(struct buf *out, const struct chat_logprob *logprobs, size_t count);

/* --- its events (openai_responses_frames.c): nothing is written where the writer is quiet --- */

void responses_tell_response(struct responses_writer *writer, struct span type,
                             enum responses_status status, const struct error_words *error);
void responses_tell_error(struct responses_writer *writer, const struct error_words *error);
void responses_tell_item(struct responses_writer *writer, struct span type,
                         const struct responses_item *item);
/* A piece of text behind `from` of the part's; logprobs: those of the piece, the inside of an
 * array. */
void responses_tell_delta(struct responses_writer *writer, const struct responses_item *item,
                          const struct responses_part *part, size_t from, struct span logprobs);
void responses_tell_part(struct responses_writer *writer, const struct responses_item *item,
                         const struct responses_part *part);
void responses_tell_part_done(struct responses_writer *writer, const struct responses_item *item,
                              const struct responses_part *part);

/* --- what the writer keeps (openai_responses_writer.c) --- */

/* Appends text as it is spelled inside a JSON string. False where it cannot be kept: the answer has
 * then ended with an error. */
bool responses_keep(struct responses_writer *writer, struct buf *kept, struct span text);

/* The next part of an item, or NULL where the answer has ended with an error. */
struct responses_part *responses_add_part(struct responses_writer *writer,
                                          struct responses_item *item, bool is_refusal);

/* Likewise the next item of the output; it is not told yet. */
struct responses_item *responses_add_item(struct responses_writer *writer,
                                          enum responses_item_kind kind);

void responses_tell_added(struct responses_writer *writer, const struct responses_item *item);
void responses_end_item(struct responses_writer *writer, struct responses_item *item, bool is_cut);

/* Messages and thoughts come one after another: ends the one that grows, if any. */
void responses_close_open(struct responses_writer *writer, bool is_cut);

/* The one that grows, of that kind: a new one where another grows, or none. NULL where the answer
 * has ended with an error. */
struct responses_item *responses_open_item(struct responses_writer *writer,
                                           enum responses_item_kind kind);

/* Tells that there is a response: by the START, or by what came instead. */
void responses_begin_answer(struct responses_writer *writer, const struct chat_event *event);

/* Ends the answer with an error, once: the provider's, or one of the gateway's own. */
void responses_end_with(struct responses_writer *writer, const struct dialect_error *error);
void responses_fail(struct responses_writer *writer, struct span message);

/* --- the writers (openai_responses_write.c, _write_answer.c) --- */

void responses_write_event(struct chat_writer *base, const struct chat_event *event);
void responses_write_answer(struct chat_writer *base, const struct chat_answer *answer);
void responses_writer_fini(struct chat_writer *base);

/* --- the request (openai_responses_request.c, _input.c, _parts.c, _tools.c) --- */

/* As form_ops.read_request; so are those below, of a part of it: 0, ERR_SYNTAX with the refusal
 * noted, or ERR_NOMEM. */
int responses_read_request(struct chat_reading *reading, const yyjson_val *root);

/* `input`: a text, or items; instructions: NULL, or the system's message before them. */
int responses_read_input(struct chat_reading *reading, const yyjson_val *value,
                         const yyjson_val *instructions);

/* A text or its parts; `param` is their place, for refusals. */
int responses_read_content(struct chat_reading *reading, const yyjson_val *content,
                           const char *param, struct chat_part **ret_parts, size_t *ret_count);

/* The lists `tools` and `tool_choice`; neither is NULL. */
int responses_read_tools(struct chat_reading *reading, const yyjson_val *tools);
int responses_read_tool_choice(struct chat_reading *reading, const yyjson_val *choice);

/* --- an answer of a provider (openai_responses_read.c, _read_item.c) --- */

struct responses_call {
    struct responses_call *next;
    unsigned index;   /* output_index */
    unsigned ordinal; /* chat_event.call */
    bool has_args, has_end;
};

struct responses_reader {
    struct chat_reader base;
    struct responses_call *calls; /* the last one first */
    unsigned call_count;
    unsigned index; /* output_index of the item at hand */
    bool has_told;  /* of it: its text came in pieces, or it is done */
    bool has_summary;
    bool has_start, has_items, is_over;
};

/* As form_ops.read_event, .read_answer and .read_end. */
int responses_read_event(struct chat_reader *base, const struct sse_event *event);
int responses_read_answer(struct chat_reader *base, const yyjson_val *root);
void responses_read_end(struct chat_reader *reader);

/* Tells one event. */
void responses_tell(struct responses_reader *reader, struct chat_event event);

/* START, once: from the response object, or invented where there is none. */
void responses_start(struct responses_reader *reader, const yyjson_val *response);

/* What comes next is of the item at that place of the output. */
void responses_turn_to(struct responses_reader *reader, unsigned index);

/* An item began; it is done: what of it was not told yet is told. */
void responses_read_item_begin(struct responses_reader *reader, const yyjson_val *item,
                               unsigned index);
void responses_read_item_end(struct responses_reader *reader, const yyjson_val *item,
                             unsigned index);
/* The call that stands at that place of the output, or NULL. */
struct responses_call *responses_call_at(struct responses_reader *reader, unsigned index);
void responses_tell_args(struct responses_reader *reader, struct responses_call *call,
                         struct span text);

/* All items of a whole response. */
void responses_read_output(struct responses_reader *reader, const yyjson_val *response);

/* What comes last: calls' ends, FINISH, USAGE, END; or ERROR where the response failed. */
void responses_finish(struct responses_reader *reader, const yyjson_val *response);

#endif

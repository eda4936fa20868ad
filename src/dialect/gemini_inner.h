/*
 * What the files of Gemini's dialect share and nobody else needs: names in both spellings, names of
 * functions, schemas, signatures. Any thread. Pure.
 */
#ifndef DIALECT_GEMINI_INNER_H
#define DIALECT_GEMINI_INNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dialect/chat.h"
#include "dialect/chat_answer.h"
#include "dialect/gemini_calls.h"
#include "dialect/gemini_models.h"
#include "dialect/parameters.h"
#include "json/scan.h"
#include "json/write.h"

enum {
    GEMINI_NAME_MAX = 64,       /* of a function */
    GEMINI_FIELD_MAX = 64,      /* of a member's name in camelCase */
    GEMINI_CALLS_MAX = 1024,    /* of one choice */
    GEMINI_STOPS_MAX = 5,       /* stopSequences */
    GEMINI_SCHEMA_NODES = 8192, /* what $refs may grow a schema to */

    /* Levels of a schema that are told in other words, each of which takes two of the writer's. */
    GEMINI_SCHEMA_DEPTH = JSON_WRITE_DEPTH_MAX / 2 - 2,
};

/* True where the client speaks this dialect itself: what it said can stand as it said it. */
static inline bool gemini_is_own(const struct chat *chat)
{
    return chat->form == FORM_GENERATE || chat->form == FORM_MEASURE;
}

/* --- names of members: camelCase, or snake_case on input --- */

/* The member in either spelling; NULL where there is none, it is null, or value is no object. */
const yyjson_val *gemini_member(const yyjson_val *value, const char *camel_name);

/* The member's text, likewise. */
struct span gemini_string(const yyjson_val *value, const char *camel_name);

/* A number, or one as a string as int64 are spelled: true and the number. */
bool gemini_int(const yyjson_val *value, int64_t *ret_number);

/* The name in camelCase: itself, or in `buffer`; too long a one stays as it is. */
struct span gemini_camel(struct span name, char buffer[GEMINI_FIELD_MAX]);

/* --- writing --- */

/* True where the text is one JSON object and nothing else. */
bool gemini_is_object(struct span text);

/* The arguments of a call as Gemini wants them, an object: as they are spelled; {} where there are
 * none; {"_raw":"…"} around what is no object; {"input":"…"} around the text of a custom tool. */
void gemini_write_args(struct buf *buf, struct span args, bool is_custom);

/* JSON that is made on the way, read into the arena; NULL without memory. */
const yyjson_val *gemini_arena_json(struct arena *arena, struct span text);

/* --- names of functions --- */

/* A name that Gemini takes: the same, or one made of it, always the same one. `made` holds it. */
struct span gemini_fit_name(struct span name, char made[GEMINI_NAME_MAX]);

/* The tool that was declared by that name; NULL where there is none, or chat is NULL. */
const struct chat_tool *gemini_tool_named(const struct chat *chat, struct span name);

/* --- schemas --- */

/* Google's Schema (types in capitals, nullable, numbers as strings) as JSON Schema, in the arena.
 * NULL without memory. */
const yyjson_val *gemini_schema_read(struct arena *arena, const yyjson_val *schema);

/* Appends a JSON Schema as Google's Schema, for models that know no other: 0; ERR_RANGE where it
 * grows too large; else what out remembers. */
int gemini_schema_write(struct buf *out, const yyjson_val *schema);

/* An object without properties: Google's Schema refuses it. */
bool gemini_schema_is_empty(const yyjson_val *schema);

/* --- signatures --- */

/* What stands in thoughtSignature: Gemini's own as it is, another provider's marked as such, so
 * that it comes back to whom it belongs. */
void gemini_write_signature(struct buf *out, const struct chat_part *part);

/* Reads it: sets the part's signature and signer; a redacted thought makes it REDACTED. */
void gemini_read_signature(struct arena *arena, struct span text, struct chat_part *part);

/* --- requests --- */

/* Where the reading of contents stands. */
struct gemini_contents {
    struct chat_reading *reading;
    yyjson_val **items;              /* the contents of the body */
    size_t count, at, part_at;       /* of them; indices in the body */
    const char *place;               /* "contents" or "systemInstruction" */
    const struct chat_message *turn; /* the model's last */
    struct gemini_calls *calls;      /* in it; NULL until the first result */
};

/* Appends the parts of one content to the message, which has room for them. */
int gemini_read_parts(struct gemini_contents *contents, const yyjson_val *content,
                      struct chat_message *message);

/* Reads contents and systemInstruction into the messages. */
int gemini_read_contents(struct chat_reading *reading, const yyjson_val *system,
                         const yyjson_val *list);

/* Reads tools and toolConfig. */
int gemini_read_tools(struct chat_reading *reading, const yyjson_val *tools,
                      const yyjson_val *config);

/* Reads one whole request from its object. */
int gemini_read_request(struct chat_reading *reading, const yyjson_val *root);

/* The members of a request, into an object that is open. */
int gemini_write_request_members(struct chat_writing *writing, struct json_writer *writer);
int gemini_write_contents(struct chat_writing *writing, struct json_writer *writer);
int gemini_write_tools(struct chat_writing *writing, struct json_writer *writer);
int gemini_write_config(struct chat_writing *writing, struct json_writer *writer);

/* The JSON of a format's or a tool's schema: as it is where the model knows JSON Schema, else
 * Google's. `json_name` and `google_name` are the members. */
int gemini_write_schema(struct chat_writing *writing, struct json_writer *writer,
                        const char *json_name, const char *google_name, const yyjson_val *schema);

/* One part with bytes or a place of them: {"inlineData":{…}} and the like, without the braces. */
void gemini_write_media(struct json_writer *writer, const struct chat_media *media);

/* Where messages stand in the client's body: "messages", "input", "contents". */
const char *gemini_messages_name(const struct chat *chat);

/* --- answers --- */

/* The arguments of a call that come in pieces, each with its place (Vertex's partialArgs). */
struct gemini_partial;

struct gemini_partial *gemini_partial_new(struct arena *arena);

/* Adds the items of partialArgs: 0; ERR_FULL where it is too much; ERR_NOMEM. */
int gemini_partial_add(struct gemini_partial *partial, const yyjson_val *list);

/* Appends the object that came together. */
void gemini_partial_write(const struct gemini_partial *partial, struct buf *out);

/* {"promptTokenCount":…}: usageMetadata as this dialect counts. */
void gemini_write_usage(struct buf *out, const struct dialect_usage *usage);

/* Reads it: false where it tells no count. */
bool gemini_read_usage(const yyjson_val *value, struct dialect_usage *ret_usage);

/* "STOP" and the like; empty for CHAT_FINISH_NONE. */
struct span gemini_finish_text(enum chat_finish finish);

/* The members "logprobsResult" and "avgLogprobs" of a candidate, each with its comma before it. */
void gemini_write_logprobs(struct buf *out, const struct chat_logprob *logprobs, size_t count);

/* The pieces of gemini_generate_ops: contracts and errors as struct form_ops says. */
int gemini_read_event(struct chat_reader *base, const struct sse_event *event);
void gemini_read_end(struct chat_reader *base);
int gemini_read_answer(struct chat_reader *base, const yyjson_val *root);
void gemini_write_event(struct chat_writer *base, const struct chat_event *event);
void gemini_writer_fini(struct chat_writer *base);
void gemini_write_answer(struct chat_writer *writer, const struct chat_answer *answer);

#endif

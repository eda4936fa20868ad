/*
 * The parameters of requests as a table (tables/parameters.def): their names in every form, and
 * what becomes of each on the way to another dialect. Constant; any thread. Pure.
 */
#ifndef DIALECT_PARAMETERS_H
#define DIALECT_PARAMETERS_H

#include "base/buf.h"
#include "dialect/chat.h"

enum parameter_fate {
    PARAMETER_WRITE,
    PARAMETER_CODE,
    PARAMETER_DROP,
    PARAMETER_REFUSE,
};

struct parameter_row {
    uint8_t types;                 /* JSON_* bits of json/scan.h */
    struct span names[FORM_COUNT]; /* empty: none in that form */
    struct span idle;              /* values that ask for nothing, apart by '|' */
    uint8_t fates[DIALECT_COUNT];  /* enum parameter_fate, by the dialect written */
};

/* The row; parameter is below CHAT_PARAMS. */
const struct parameter_row *parameter_row(enum chat_parameter parameter);

/* Its name in the form of the chat, for messages and headers: the last part of a dotted one whole.
 */
struct span parameter_name(const struct chat *chat, enum chat_parameter parameter);

/* Takes one member of a request's object into chat->params where the form knows it under that name
 * (`prefix` is "" for the body itself, "generationConfig." for what stands in that). True where it
 * is known; *ret_err is then 0, or ERR_SYNTAX with the refusal noted where its type is wrong. */
bool parameter_take(struct chat_reading *reading, struct span prefix, struct span name,
                    const yyjson_val *value, int *ret_err);

/* Notes a member that no row knows. Without memory it is not noted. */
void parameter_note_unknown(struct chat_reading *reading, struct span prefix, struct span name,
                            const yyjson_val *value);

/* What was left out, for X-Bellwether-Dropped-Params: names apart by ", ", each once, cut where it
 * is full. */
struct chat_drops {
    char text[512];
    size_t len;
};

/* Notes one name; for writers too, whose model or provider does not know a parameter. */
void chat_drop(struct chat_drops *drops, struct span name);

/* Whether the conversation can be told in that dialect at all: notes a refusal for the first
 * parameter of REFUSE, and drops those of DROP and the unknown ones. 0 or ERR_SYNTAX. */
int parameters_fit(const struct chat *chat, enum dialect_id dialect, struct chat_drops *drops,
                   struct chat_refusal *refusal);

#endif

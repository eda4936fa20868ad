/*
 * An answer as a provider gave it, bytes that were kept as they came, read into what can be
 * compared: the text, the calls of tools, how it ended, what it used. Done after the event, off the
 * road, so that the real exchange pays for nothing but keeping the bytes. Pure; any thread.
 */
#ifndef SHADOW_ANSWER_H
#define SHADOW_ANSWER_H

#include <stdbool.h>

#include "base/arena.h"
#include "dialect/chat_answer.h"
#include "dialect/form.h"

enum { SHADOW_CALLS_MAX = 64 };

/* What is read. */
struct shadow_raw {
    enum form form;   /* one that shadow_can_read */
    bool is_stream;   /* server-sent events */
    struct span body; /* all of it */
    /* What was asked, to undo what the request's writer had to do with names of tools; NULL: that
     * is not known. */
    const struct chat *chat;
    uint64_t prompt_tokens; /* estimated */
};

struct shadow_call {
    struct span name, arguments;
};

/* Of the first choice. Texts stand in the arena. */
struct shadow_answer {
    struct span text; /* all that the client would read, refusals included; thoughts are left out */
    struct shadow_call calls[SHADOW_CALLS_MAX];
    size_t call_count; /* beyond the maximum only counted */
    enum chat_finish finish;
    struct dialect_usage usage; /* as told, or estimated */
};

/* Whether answers of that form can be read at all. */
bool shadow_can_read(enum form form);

/* 0; ERR_SYNTAX where it is no whole and good answer of that form (an error told inside a success
 * is none); ERR_NOMEM or ERR_FULL. */
int shadow_answer_read(const struct shadow_raw *raw, struct arena *arena,
                       struct shadow_answer *ret_answer);

#endif

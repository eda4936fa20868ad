/*
 * Where the writing of a stream of Gemini's stands. Made for one attempt, in its arena, but for the
 * arguments of open calls, which gemini_writer_fini gives back; one thread. Pure.
 */
#ifndef DIALECT_GEMINI_STREAM_WRITE_H
#define DIALECT_GEMINI_STREAM_WRITE_H

#include "dialect/gemini_inner.h"

/* A call whose arguments still come. */
struct gemini_open_call {
    unsigned choice, call;
    bool is_custom;
    struct buf text; /* id, name, signature and arguments, one behind the other */
    size_t id_len, name_len, signature_len;
    enum dialect_id signer;
};

struct gemini_writer {
    struct chat_writer base;
    struct span tail; /* what ends every event: model and id of the answer */
    struct dialect_usage usage;
    struct gemini_open_call *calls;
    size_t call_count, call_cap;
    size_t held;
    bool has_written; /* an event */
    bool is_over;
    unsigned choice_end;
    struct {
        uint8_t finish; /* enum chat_finish */
        bool is_thinking;
        struct span why;
    } choices[CHAT_CHOICES_MAX];
};

#endif

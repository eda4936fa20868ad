/*
 * What the two files share that read answers of Gemini: where a reading stands. One per attempt, in
 * its arena; one thread. Pure.
 */
#ifndef DIALECT_GEMINI_STREAM_READ_H
#define DIALECT_GEMINI_STREAM_READ_H

#include "dialect/gemini_inner.h"

enum {
    GEMINI_TREE_RATIO = 16,          /* bytes of a tree for each of its text */
    GEMINI_LOGPROBS_MAX = 64 * 1024, /* tokens and alternatives of one piece */
};

struct gemini_choice {
    unsigned calls; /* begun */
    bool has_begun, has_text, has_thought;
    enum chat_finish finish;     /* the last one told */
    struct span why;             /* in words, where it is a filter or a failure */
    struct gemini_partial *open; /* the last call, where its arguments still come */
};

struct gemini_reader {
    struct chat_reader base;
    bool has_begun; /* START was told */
    bool is_over;   /* END or ERROR was */
    unsigned choice_end;
    struct chat_logprob *logprobs; /* of one piece; grows with the largest */
    size_t logprob_cap;
    struct gemini_choice choices[CHAT_CHOICES_MAX];
};

/* Tells an event, unless the answer is over. */
void gemini_tell(struct gemini_reader *reader, const struct chat_event *event);

/* Tells that the provider's answer cannot be told. */
void gemini_tell_failure(struct gemini_reader *reader, struct span message);

/* Tells one part of a choice. */
void gemini_take_part(struct gemini_reader *reader, unsigned choice, const yyjson_val *part);

/* Tells logprobsResult; NULL: nothing. */
void gemini_take_logprobs(struct gemini_reader *reader, unsigned choice, const yyjson_val *result);

/* Ends the call whose arguments still come, if there is one. */
void gemini_close_call(struct gemini_reader *reader, unsigned choice);

#endif

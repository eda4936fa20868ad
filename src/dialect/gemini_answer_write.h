/*
 * What whole answers and streams of Gemini's dialect have in common when they are written. Any
 * thread. Pure.
 */
#ifndef DIALECT_GEMINI_ANSWER_WRITE_H
#define DIALECT_GEMINI_ANSWER_WRITE_H

#include "dialect/gemini_inner.h"

/* True where the client asked to see thoughts. */
bool gemini_shows_thoughts(const struct chat_frame *frame);

/* Appends one part of an answer. */
void gemini_write_answer_part(struct buf *out, const struct chat_part *part);

/* Appends ,"finishReason":… and, where `why` says more, ,"finishMessage":… */
void gemini_write_finish(struct buf *out, enum chat_finish finish, struct span why);

/* Appends ,"modelVersion":…,"responseId":…} : the end of a response; the frame says what the
 * provider does not. */
void gemini_write_answer_tail(struct buf *out, const struct chat_frame *frame, struct span model,
                              struct span id);

#endif

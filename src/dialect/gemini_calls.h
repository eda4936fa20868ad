/*
 * Which call of the model's last turn a result answers. Nearly always results stand in the order of
 * the calls; where they do not, the calls are found through hashes of their ids and names, so that
 * a turn of many thousand calls takes no longer for each. In the arena of the request; one thread.
 * Pure.
 */
#ifndef DIALECT_GEMINI_CALLS_H
#define DIALECT_GEMINI_CALLS_H

#include "base/arena.h"
#include "dialect/chat.h"

struct gemini_calls;

/* For the calls among the turn's parts, which outlive it. NULL without memory. */
struct gemini_calls *gemini_calls_new(struct arena *arena, const struct chat_message *turn);

/* The call that a result answers, which is answered from now on: the one of that id (the last, if
 * there are several), else the first of that name that has no answer yet. NULL where there is none,
 * or without memory. */
const struct chat_part *gemini_calls_take(struct gemini_calls *calls, struct span id,
                                          struct span name);

#endif

/*
 * Answers in fuzz targets, as streams of events or whole: told by a translator to its end, and read
 * by a reader that is held to the promises of dialect/chat_answer.h. One thread.
 */
#ifndef FUZZ_STREAM_H
#define FUZZ_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "dialect/form.h"
#include "dialect/translator.h"

enum { STREAM_FORMS = 5 };

/* Those in which a client may hear an answer. */
extern const enum form stream_forms[STREAM_FORMS];

/* Tells the stream to its end, read in two pieces that meet at `cut` (text.len: in one), and what
 * lacks its end is ended with an error. */
void stream_tell(struct translator *translator, struct span text, size_t cut);

/* Makes a translator by the plan, tells it the stream or the whole answer, and is rid of it. */
void stream_translate(const struct translator_plan *plan, struct span text, bool is_whole);

/* The form's reader keeps its promises, whatever the stream is. One that is ours, written by the
 * form's own writer, it also reads without complaint, and to an end. */
void stream_hold(enum form form, struct span text, bool is_ours);

#endif

/*
 * Gemini's dialect: what others ask of it beside its readers and writers (dialect/chat_answer.h).
 * Pure; any thread.
 */
#ifndef DIALECT_GEMINI_H
#define DIALECT_GEMINI_H

#include <stdbool.h>

#include "base/span.h"

/* Whether the body of a request brings back what another provider has signed, marked as the
 * answers' writer marks it: Gemini would refuse it. Text that only looks so is no harm: what is
 * then read and written again says the same. */
bool gemini_has_foreign_signature(struct span body);

#endif

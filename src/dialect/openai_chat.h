/*
 * OpenAI's chat completions beside what dialect/chat_answer.h asks of every form: which bodies a
 * provider that calls itself compatible would not take as they are. Pure; any thread.
 */
#ifndef DIALECT_OPENAI_CHAT_H
#define DIALECT_OPENAI_CHAT_H

#include <stdbool.h>
#include <stdint.h>

#include "json/tree.h"

/* May any of the quirks (enum quirk) touch a body at all? Some only say what a provider knows
 * beyond OpenAI: nothing is taken from a body for them. */
bool openai_has_rewrites(uint32_t quirks);

/* Does any of the quirks touch this very body, of an OpenAI client? Where it does not,
 * its bytes may pass; else openai_chat_ops.write_request tells it again, with all that no quirk
 * touches as it stands. A body that is no object needs none. */
bool openai_chat_needs_rewrite(const yyjson_val *root, uint32_t quirks);

#endif

/*
 * What a model of Anthropic's can do, by its name: rows of tables/claude.def. Constant; any thread.
 */
#ifndef DIALECT_CLAUDE_H
#define DIALECT_CLAUDE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum claude_thinking { CLAUDE_THINKING_NONE, CLAUDE_THINKING_BUDGET, CLAUDE_THINKING_ADAPTIVE };

enum claude_sampling { CLAUDE_SAMPLING_FREE, CLAUDE_SAMPLING_EITHER, CLAUDE_SAMPLING_REFUSED };

struct claude {
    struct span pattern;
    int64_t max_output; /* tokens */
    enum claude_thinking thinking;
    bool always_thinks;
    enum claude_sampling sampling;
    bool knows_xhigh;
    bool is_structured;
    bool may_force; /* a tool */
    bool may_prefill;
};

/* The first row that fits; never NULL. */
const struct claude *claude_find(struct span model);

#endif

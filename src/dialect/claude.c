#include "dialect/claude.h"

static const struct claude rows[] = {
#define CLAUDE(pattern, max_output, thinking, always_thinks, sampling, effort_xhigh, structured,   \
               forced_choice, prefill)                                                             \
    {SPAN_INIT(pattern),                                                                           \
     max_output,                                                                                   \
     CLAUDE_THINKING_##thinking,                                                                   \
     always_thinks,                                                                                \
     CLAUDE_SAMPLING_##sampling,                                                                   \
     effort_xhigh,                                                                                 \
     structured,                                                                                   \
     forced_choice,                                                                                \
     prefill},
#include "tables/claude.def"
#undef CLAUDE
};

const struct claude *claude_find(struct span model)
{
    const struct claude *row = rows;
    size_t at = span_find(model, SPAN("claude-"));

    if (at != SIZE_MAX)
        model = span_skip(model, at);
    /* The last row fits every name. */
    while (row < &rows[sizeof(rows) / sizeof(rows[0]) - 1] && !span_matches(model, row->pattern))
        row++;
    return row;
}

/* Which readers and writers each form has. */
#include "base/bug.h"
#include "dialect/chat_answer.h"

const struct form_ops *form_ops(enum form form)
{
    static const struct form_ops none = {.read_request = NULL};
    static const struct form_ops *const ops[FORM_COUNT] = {
        [FORM_CHAT] = &openai_chat_ops,
        [FORM_COMPLETIONS] = &openai_completions_ops,
        [FORM_RESPONSES] = &openai_responses_ops,
        [FORM_MESSAGES] = &anthropic_messages_ops,
        [FORM_COUNT_TOKENS] = &anthropic_count_ops,
        [FORM_GENERATE] = &gemini_generate_ops,
        [FORM_MEASURE] = &gemini_measure_ops,
    };

    bug_fatal_unless((unsigned)form < FORM_COUNT);
    return ops[form] ? ops[form] : &none;
}

#include "sim/dialect.h"

/* In the order in which they are asked whether a request is theirs; the last one's is what nobody
 * knows. */
const struct sim_dialect *const sim_dialects[] = {
    &sim_anthropic, &sim_gemini,    &sim_azure,  &sim_azure_responses,
    &sim_deepseek,  &sim_responses, &sim_openai, NULL,
};

struct span sim_credential_bearer(const struct http_head *head)
{
    struct span value = http_head_find(head, SPAN("authorization"));

    if (value.len < 7 || !span_is_equal_nocase(span_of(value.ptr, 7), SPAN("Bearer ")))
        return (struct span){0};
    return span_trim(span_skip(value, 7));
}

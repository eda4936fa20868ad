/* The wire format of OpenAI's Responses, at OpenAI's path and at Azure's. */
#include "sim/responses.h"

#include "sim/azure.h"
#include "sim/openai.h"

static bool match(const struct http_head *head, struct sim_route *ret_route)
{
    struct span query, path = http_head_path(head, &query);

    *ret_route = (struct sim_route){.op = SIM_OP_CHAT, .form = SIM_OPENAI_PLAIN};
    return head->method == METHOD_POST && span_is_equal(path, SPAN("/v1/responses"));
}

static bool match_azure(const struct http_head *head, struct sim_route *ret_route)
{
    struct span query, path = http_head_path(head, &query);
    bool is_old = span_is_equal(path, SPAN("/openai/responses")) && sim_azure_has_version(query);

    *ret_route = (struct sim_route){.op = SIM_OP_CHAT, .form = SIM_OPENAI_AZURE};
    return head->method == METHOD_POST &&
           (is_old || span_is_equal(path, SPAN("/openai/v1/responses")));
}

const struct sim_dialect sim_responses = {
    .name = "responses",
    .comment = SPAN_INIT(": keep-alive\n\n"),
    .match = match,
    .credential = sim_credential_bearer,
    .parse = sim_responses_parse,
    .write_failure = sim_openai_write_failure,
    .write_failure_event = sim_responses_write_failure_event,
    .write_fields = sim_openai_write_fields,
    .write_answer = sim_responses_write_answer,
    .write_event = sim_responses_write_event,
};

const struct sim_dialect sim_azure_responses = {
    .name = "azure-responses",
    .comment = SPAN_INIT(": keep-alive\n\n"),
    .match = match_azure,
    .credential = sim_azure_credential,
    .parse = sim_responses_parse,
    .write_failure = sim_azure_write_failure,
    .write_failure_event = sim_responses_write_failure_event,
    .write_fields = sim_azure_write_fields,
    .write_answer = sim_responses_write_answer,
    .write_event = sim_responses_write_event,
};

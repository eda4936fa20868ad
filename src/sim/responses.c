/* The wire format of OpenAI's Responses, at OpenAI's path and at Azure's. */
#include "sim/responses.h"

#include "sim/azure.h"
#include "sim/openai.h"

static bool match_path(const struct http_head *head, struct span wanted, unsigned form,
                       struct sim_route *ret_route)
{
    struct span query, path = http_head_path(head, &query);

    *ret_route = (struct sim_route){.op = SIM_OP_CHAT, .form = form};
    return head->method == METHOD_POST && span_is_equal(path, wanted);
}

static bool match(const struct http_head *head, struct sim_route *ret_route)
{
    return match_path(head, SPAN("/v1/responses"), SIM_OPENAI_PLAIN, ret_route);
}

static bool match_azure(const struct http_head *head, struct sim_route *ret_route)
{
    return match_path(head, SPAN("/openai/v1/responses"), SIM_OPENAI_AZURE, ret_route);
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

/* OpenAI's wire format: chat completions, legacy completions, embeddings and models, as its API
 * reference describes them and its answers look. */
#include "sim/openai.h"

static bool match(const struct http_head *head, struct sim_route *ret_route)
{
    struct span query, path = http_head_path(head, &query);
    bool is_post = head->method == METHOD_POST;

    *ret_route = (struct sim_route){.op = SIM_OP_CHAT};
    if (span_is_equal(path, SPAN("/v1/chat/completions")))
        return is_post;
    if (span_is_equal(path, SPAN("/v1/completions"))) {
        ret_route->op = SIM_OP_COMPLETION;
        return is_post;
    }
    if (span_is_equal(path, SPAN("/v1/embeddings"))) {
        ret_route->op = SIM_OP_EMBEDDING;
        return is_post;
    }
    if (head->method != METHOD_GET)
        return false;
    ret_route->op = SIM_OP_MODELS;
    if (span_is_equal(path, SPAN("/v1/models")))
        return true;
    ret_route->op = SIM_OP_MODEL;
    if (!span_has_prefix(path, SPAN("/v1/models/")))
        return false;
    ret_route->model = span_skip(path, sizeof("/v1/models/") - 1);
    return ret_route->model.len > 0;
}

const struct sim_dialect sim_openai = {
    .name = "openai",
    .comment = {": keep-alive\n\n", 14},
    .match = match,
    .credential = sim_credential_bearer,
    .parse = sim_openai_parse,
    .write_failure = sim_openai_write_failure,
    .write_failure_event = sim_openai_write_failure_event,
    .write_fields = sim_openai_write_fields,
    .write_answer = sim_openai_write_answer,
    .write_event = sim_openai_write_event,
    .write_embeddings = sim_openai_write_embeddings,
    .write_models = sim_openai_write_models,
    .write_model = sim_openai_write_model,
};

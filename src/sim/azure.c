/* Azure's wire format: OpenAI's, with a deployment in the path or a path of its own, another head
 * and errors of its own. */
#include "sim/azure.h"
#include "sim/openai.h"

/* What follows the prefix, or ptr NULL where it does not stand. */
static struct span behind(struct span path, struct span prefix)
{
    return span_has_prefix(path, prefix) ? span_skip(path, prefix.len) : (struct span){0};
}

static bool match_verb(struct span verb, struct sim_route *route)
{
    route->op = SIM_OP_CHAT;
    if (span_is_equal(verb, SPAN("chat/completions")))
        return true;
    route->op = SIM_OP_COMPLETION;
    if (span_is_equal(verb, SPAN("completions")))
        return true;
    route->op = SIM_OP_EMBEDDING;
    return span_is_equal(verb, SPAN("embeddings"));
}

bool sim_azure_has_version(struct span query)
{
    struct span item;

    while (span_next_token(&query, '&', &item))
        if (span_has_prefix(item, SPAN("api-version=")) && item.len > sizeof("api-version=") - 1)
            return true;
    return false;
}

/* DEPLOYMENT/chat/completions?api-version=...: without a version there is nothing. */
static bool match_deployment(struct span rest, struct span query, struct sim_route *route)
{
    size_t slash = span_find_byte(rest, '/');

    if (slash == SIZE_MAX || slash == 0 || !sim_azure_has_version(query))
        return false;
    route->model = span_of(rest.ptr, slash);
    return match_verb(span_skip(rest, slash + 1), route);
}

static bool match_models(struct span rest, struct sim_route *route)
{
    route->op = SIM_OP_MODELS;
    if (span_is_equal(rest, SPAN("models")))
        return true;
    route->op = SIM_OP_MODEL;
    route->model = behind(rest, SPAN("models/"));
    return route->model.len > 0;
}

static bool match(const struct http_head *head, struct sim_route *ret_route)
{
    struct span query, path = http_head_path(head, &query);
    struct span deployment = behind(path, SPAN("/openai/deployments/"));
    struct span rest = behind(path, SPAN("/openai/v1/"));

    *ret_route = (struct sim_route){.form = SIM_OPENAI_AZURE};
    if (deployment.ptr)
        return head->method == METHOD_POST && match_deployment(deployment, query, ret_route);
    /* What belongs to no deployment stands beside them. */
    if (!rest.ptr && sim_azure_has_version(query))
        return head->method == METHOD_GET &&
               match_models(behind(path, SPAN("/openai/")), ret_route);
    if (!rest.ptr)
        return false;
    return head->method == METHOD_POST  ? match_verb(rest, ret_route)
           : head->method == METHOD_GET ? match_models(rest, ret_route)
                                        : false;
}

struct span sim_azure_credential(const struct http_head *head)
{
    struct span key = http_head_find(head, SPAN("api-key"));

    return key.len ? key : sim_credential_bearer(head);
}

const struct sim_dialect sim_azure = {
    .name = "azure",
    .comment = SPAN_INIT(": keep-alive\n\n"),
    .prefix = SPAN_INIT("/openai/"),
    .match = match,
    .credential = sim_azure_credential,
    .parse = sim_openai_parse,
    .write_failure = sim_azure_write_failure,
    .write_failure_event = sim_azure_write_failure_event,
    .write_fields = sim_azure_write_fields,
    .write_answer = sim_openai_write_answer,
    .write_event = sim_openai_write_event,
    .write_embeddings = sim_openai_write_embeddings,
    .write_models = sim_openai_write_models,
    .write_model = sim_openai_write_model,
};

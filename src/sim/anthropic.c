/* Anthropic's wire format: messages, their tokens and models. */
#include "sim/anthropic.h"

#include "json/write.h"

static enum sim_anthropic_form form_of(const struct http_head *head)
{
    struct span version = http_head_find(head, SPAN("anthropic-version"));

    if (!version.ptr)
        return SIM_ANTHROPIC_UNVERSIONED;
    if (span_is_equal(version, SPAN("2023-06-01")))
        return SIM_ANTHROPIC_2023;
    return span_is_equal(version, SPAN("2026-10-21")) ? SIM_ANTHROPIC_2026
                                                      : SIM_ANTHROPIC_MISVERSIONED;
}

/* Paths that OpenAI has as well are told apart by the head. */
static bool is_addressed(const struct http_head *head)
{
    return http_head_find(head, SPAN("x-api-key")).ptr ||
           http_head_find(head, SPAN("anthropic-version")).ptr;
}

static bool match(const struct http_head *head, struct sim_route *ret_route)
{
    struct span query, path = http_head_path(head, &query);
    bool is_post = head->method == METHOD_POST;

    *ret_route = (struct sim_route){.op = SIM_OP_CHAT, .form = form_of(head)};
    if (span_is_equal(path, SPAN("/v1/messages")))
        return is_post;
    if (span_is_equal(path, SPAN("/v1/messages/count_tokens"))) {
        ret_route->op = SIM_OP_TOKENS;
        return is_post;
    }
    if (head->method != METHOD_GET || !is_addressed(head))
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

static struct span credential(const struct http_head *head)
{
    struct span key = http_head_find(head, SPAN("x-api-key"));

    return key.len ? key : sim_credential_bearer(head);
}

static void write_model(struct span model, struct buf *body)
{
    buf_append_span(body, SPAN("{\"type\":\"model\",\"id\":"));
    json_write_string(body, model);
    buf_append_span(body, SPAN(",\"display_name\":"));
    json_write_string(body, model);
    buf_append_span(body, SPAN(",\"created_at\":\"2025-09-29T00:00:00Z\",\"max_input_tokens\":"
                               "200000,\"max_tokens\":64000,\"lifecycle\":\"active\","
                               "\"deprecated_at\":null,\"retires_at\":null}"));
}

static void write_id(const struct span *models, size_t count, size_t i, struct buf *body)
{
    if (count)
        json_write_string(body, models[i]);
    else
        buf_append_span(body, SPAN("null"));
}

static void write_models(const struct span *models, size_t count, struct buf *body)
{
    buf_append_span(body, SPAN("{\"data\":["));
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_append_byte(body, ',');
        write_model(models[i], body);
    }
    buf_append_span(body, SPAN("],\"has_more\":false,\"first_id\":"));
    write_id(models, count, 0, body);
    buf_append_span(body, SPAN(",\"last_id\":"));
    write_id(models, count, count - 1, body);
    buf_append_byte(body, '}');
}

static void write_tokens(const struct sim_ask *ask, struct buf *body)
{
    buf_printf(body, "{\"input_tokens\":%llu}", (unsigned long long)ask->prompt_tokens);
}

const struct sim_dialect sim_anthropic = {
    .name = "anthropic",
    .comment = SPAN_INIT("event: ping\ndata: {\"type\": \"ping\"}\n\n"),
    .prefix = SPAN_INIT("/v1/messages"),
    .match = match,
    .credential = credential,
    .parse = sim_anthropic_parse,
    .write_failure = sim_anthropic_write_failure,
    .write_failure_event = sim_anthropic_write_failure_event,
    .write_fields = sim_anthropic_write_fields,
    .write_answer = sim_anthropic_write_answer,
    .write_event = sim_anthropic_write_event,
    .write_models = write_models,
    .write_model = write_model,
    .write_tokens = write_tokens,
};

/* Gemini's wire format: contents generated and counted, embeddings and models. */
#include "sim/gemini.h"

#include "json/write.h"

/* The value of a parameter of the query, or ptr NULL. */
static struct span query_value(struct span query, struct span name)
{
    struct span item;

    while (span_next_token(&query, '&', &item)) {
        size_t equals = span_find_byte(item, '=');

        if (equals != SIZE_MAX && span_is_equal(span_of(item.ptr, equals), name))
            return span_skip(item, equals + 1);
    }
    return (struct span){0};
}

static bool match_verb(struct span verb, struct span query, struct sim_route *route)
{
    route->op = SIM_OP_CHAT;
    if (span_is_equal(verb, SPAN("generateContent")))
        return true;
    if (span_is_equal(verb, SPAN("streamGenerateContent"))) {
        bool is_sse = span_is_equal(query_value(query, SPAN("alt")), SPAN("sse"));

        route->is_streaming = true;
        route->form = is_sse ? SIM_GEMINI_SSE : SIM_GEMINI_ARRAY;
        return true;
    }
    route->op = SIM_OP_TOKENS;
    if (span_is_equal(verb, SPAN("countTokens")))
        return true;
    route->op = SIM_OP_EMBEDDING;
    if (span_is_equal(verb, SPAN("embedContent")))
        return true;
    route->form = SIM_GEMINI_BATCH;
    return span_is_equal(verb, SPAN("batchEmbedContents"));
}

/* What stands behind the list of models, or ptr NULL for another path. OpenAI's list is at /v1 too:
 * a GET is told apart by its key. */
static struct span behind_models(const struct http_head *head, struct span path, struct span query)
{
    bool is_keyed =
        http_head_find(head, SPAN("x-goog-api-key")).ptr || query_value(query, SPAN("key")).ptr;

    if (span_has_prefix(path, SPAN("/v1beta/models")))
        return span_skip(path, sizeof("/v1beta/models") - 1);
    if (span_has_prefix(path, SPAN("/v1/models")) && (head->method == METHOD_POST || is_keyed))
        return span_skip(path, sizeof("/v1/models") - 1);
    return (struct span){0};
}

static bool match(const struct http_head *head, struct sim_route *ret_route)
{
    struct span query, path = http_head_path(head, &query);
    struct span name = behind_models(head, path, query);
    size_t colon;

    *ret_route = (struct sim_route){.op = SIM_OP_MODELS};
    if (!name.ptr)
        return false;
    if (name.len == 0)
        return head->method == METHOD_GET;
    if (name.ptr[0] != '/' || name.len == 1)
        return false;
    name = ret_route->model = span_skip(name, 1);
    if (head->method == METHOD_GET) {
        ret_route->op = SIM_OP_MODEL;
        return true;
    }
    colon = span_find_byte(name, ':');
    if (head->method != METHOD_POST || colon == SIZE_MAX || colon == 0)
        return false;
    ret_route->model.len = colon;
    return match_verb(span_skip(name, colon + 1), query, ret_route);
}

static struct span credential(const struct http_head *head)
{
    struct span query, key = http_head_find(head, SPAN("x-goog-api-key"));

    if (key.len)
        return key;
    http_head_path(head, &query);
    key = query_value(query, SPAN("key"));
    return key.len ? key : sim_credential_bearer(head);
}

static void write_embeddings(const struct sim_ask *ask, const struct sim_stamp *stamp,
                             struct buf *body)
{
    bool is_batch = stamp->form == SIM_GEMINI_BATCH;

    buf_append_span(body, is_batch ? SPAN("{\"embeddings\":[") : SPAN("{\"embedding\":"));
    for (size_t i = 0; i < ask->text_count; i++) {
        buf_append_span(body, i ? SPAN(",{\"values\":") : SPAN("{\"values\":"));
        sim_embedding_write(ask->texts[i].hash, ask->dimensions, body);
        buf_append_byte(body, '}');
    }
    buf_append_span(body, is_batch ? SPAN("]}") : SPAN("}"));
}

static void write_model(struct span model, struct buf *body)
{
    struct buf name;

    buf_init(&name, SIM_MAX_ECHO_BYTES);
    buf_printf(&name, "models/%.*s", SPAN_ARG(model));
    buf_append_span(body, SPAN("{\"name\":"));
    json_write_string(body, buf_span(&name));
    buf_fini(&name);
    buf_append_span(body, SPAN(",\"version\":\"001\",\"displayName\":"));
    json_write_string(body, model);
    buf_append_span(body, SPAN(",\"inputTokenLimit\":1048576,\"outputTokenLimit\":65536,"
                               "\"supportedGenerationMethods\":[\"generateContent\","
                               "\"countTokens\",\"embedContent\"],\"temperature\":1,"
                               "\"maxTemperature\":2,\"topP\":0.95,\"topK\":64}"));
}

static void write_models(const struct span *models, size_t count, struct buf *body)
{
    buf_append_span(body, SPAN("{\"models\":["));
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_append_byte(body, ',');
        write_model(models[i], body);
    }
    buf_append_span(body, SPAN("]}"));
}

static void write_tokens(const struct sim_ask *ask, struct buf *body)
{
    unsigned long long count = ask->prompt_tokens;

    buf_printf(body,
               "{\"totalTokens\":%llu,\"promptTokensDetails\":[{\"modality\":\"TEXT\","
               "\"tokenCount\":%llu}]}",
               count, count);
}

const struct sim_dialect sim_gemini = {
    .name = "gemini",
    .comment = SPAN_INIT("\r\n"),
    .prefix = SPAN_INIT("/v1beta/"),
    .match = match,
    .credential = credential,
    .parse = sim_gemini_parse,
    .write_failure = sim_gemini_write_failure,
    .write_failure_event = sim_gemini_write_failure_event,
    .write_fields = sim_gemini_write_fields,
    .write_answer = sim_gemini_write_answer,
    .write_event = sim_gemini_write_event,
    .write_embeddings = write_embeddings,
    .write_models = write_models,
    .write_model = write_model,
    .write_tokens = write_tokens,
};

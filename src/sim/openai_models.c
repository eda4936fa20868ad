/* OpenAI's wire format: embeddings and lists of models. */
#include "base/base64.h"
#include "json/write.h"
#include "sim/openai.h"

/* Little-endian floats. */
static void write_packed(const struct sim_ask *ask, uint64_t hash, struct buf *out)
{
    unsigned char bytes[4 * SIM_MAX_DIMENSIONS];
    uint64_t state = 0;

    for (unsigned j = 0; j < ask->dimensions; j++) {
        float value = sim_embedding_next(hash, j, &state);
        uint32_t bits;

        memcpy(&bits, &value, sizeof(bits));
        for (int k = 0; k < 4; k++)
            bytes[4 * j + (unsigned)k] = (unsigned char)(bits >> 8 * k);
    }
    buf_append_byte(out, '"');
    base64_write(out, span_of((const char *)bytes, (size_t)4 * ask->dimensions));
    buf_append_byte(out, '"');
}

void sim_openai_write_embeddings(const struct sim_ask *ask, const struct sim_stamp *stamp,
                                 struct buf *body)
{
    buf_append_span(body, SPAN("{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; i < ask->text_count; i++) {
        buf_printf(body, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i ? "," : "",
                   i);
        if (ask->is_base64)
            write_packed(ask, ask->texts[i].hash, body);
        else
            sim_embedding_write(ask->texts[i].hash, ask->dimensions, body);
        buf_append_byte(body, '}');
    }
    buf_append_span(body, SPAN("],\"model\":"));
    json_write_string(body, ask->model);
    if (stamp->has_usage)
        buf_printf(body, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}",
                   (unsigned long long)ask->prompt_tokens, (unsigned long long)ask->prompt_tokens);
    buf_append_byte(body, '}');
}

void sim_openai_write_model(struct span model, struct buf *body)
{
    buf_append_span(body, SPAN("{\"id\":"));
    json_write_string(body, model);
    buf_append_span(body, SPAN(",\"object\":\"model\",\"created\":1686935002,\"owned_by\":"
                               "\"system\",\"shutdown_date\":null}"));
}

void sim_openai_write_models(const struct span *models, size_t count, struct buf *body)
{
    buf_append_span(body, SPAN("{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_append_byte(body, ',');
        sim_openai_write_model(models[i], body);
    }
    buf_append_span(body, SPAN("]}"));
}

#include "dialect/model_write.h"

#include "base/datetime.h"
#include "json/write.h"

static void write_openai(struct json_writer *writer, const struct model_entry *model)
{
    json_member_string(writer, "id", model->id);
    json_member_text(writer, "object", "model");
    json_member_uint(writer, "created", model->created_s);
    json_member_string(writer, "owned_by", model->owned_by);
}

static void write_anthropic(struct json_writer *writer, const struct model_entry *model)
{
    char created[RFC3339_BYTES];

    datetime_write_rfc3339(model->created_s * UINT64_C(1000000), created);
    json_member_text(writer, "type", "model");
    json_member_string(writer, "id", model->id);
    json_member_string(writer, "display_name", model->id);
    json_member_string(writer, "created_at", span_of(created, sizeof(created)));
}

static void write_gemini(struct json_writer *writer, const struct model_entry *model)
{
    static const char *const methods[] = {"generateContent", "countTokens", "embedContent",
                                          "batchEmbedContents"};
    char name[MODEL_ID_MAX + 8] = "models/";
    size_t len = model->id.len < MODEL_ID_MAX ? model->id.len : MODEL_ID_MAX;

    memcpy(name + 7, model->id.ptr, len);
    json_member_string(writer, "name", span_of(name, len + 7));
    json_member_text(writer, "version", "");
    json_member_string(writer, "displayName", model->id);
    json_name(writer, "supportedGenerationMethods");
    json_begin_array(writer);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        json_text(writer, methods[i]);
    json_end_array(writer);
}

int model_write(struct buf *buf, enum dialect_id dialect, const struct model_entry *model)
{
    static void (*const writers[DIALECT_COUNT])(
        struct json_writer *, const struct model_entry *) = {write_openai, write_anthropic,
                                                             write_gemini};
    struct json_writer writer;

    json_writer_init(&writer, buf);
    json_begin_object(&writer);
    writers[dialect](&writer, model);
    json_end_object(&writer);
    return buf->err;
}

void model_writer_begin(struct model_writer *writer, struct buf *buf, enum dialect_id dialect)
{
    static const struct span heads[DIALECT_COUNT] = {SPAN_INIT("{\"object\":\"list\",\"data\":["),
                                                     SPAN_INIT("{\"data\":["),
                                                     SPAN_INIT("{\"models\":[")};

    *writer = (struct model_writer){.buf = buf, .dialect = dialect};
    buf_append_span(buf, heads[dialect]);
}

void model_writer_add(struct model_writer *writer, const struct model_entry *model)
{
    if (writer->count++)
        buf_append_byte(writer->buf, ',');
    else
        writer->first = model->id;
    writer->last = model->id;
    model_write(writer->buf, writer->dialect, model);
}

static void end_anthropic(struct model_writer *writer)
{
    struct buf *buf = writer->buf;

    buf_append_span(buf, SPAN("],\"has_more\":false,\"first_id\":"));
    if (writer->count) {
        json_write_string(buf, writer->first);
        buf_append_span(buf, SPAN(",\"last_id\":"));
        json_write_string(buf, writer->last);
    } else {
        buf_append_span(buf, SPAN("null,\"last_id\":null"));
    }
    buf_append_span(buf, SPAN("}"));
}

void model_writer_end(struct model_writer *writer)
{
    if (writer->dialect == DIALECT_ANTHROPIC)
        end_anthropic(writer);
    else
        buf_append_span(writer->buf, SPAN("]}"));
}

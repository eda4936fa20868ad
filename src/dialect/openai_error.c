#include "dialect/openai_error.h"

#include "dialect/error_write.h"
#include "json/write.h"

bool openai_error_names_stream_options(const struct dialect_error *error)
{
    const struct span names[] = {SPAN("stream_options"), SPAN("include_usage")};

    for (size_t i = 0; i < 2; i++) {
        if (span_find(dialect_error_message(error), names[i]) != SIZE_MAX ||
            span_find(dialect_error_param(error), names[i]) != SIZE_MAX)
            return true;
    }
    return false;
}

int openai_write_error(struct buf *buf, const struct failure_row *row, struct span message,
                       struct span param)
{
    const struct error_ours ours = {.row = row, .message = message, .param = param};

    return error_write(buf, DIALECT_OPENAI, &ours);
}

int openai_write_error_event(struct buf *buf, const struct failure_row *row, struct span message,
                             struct span param)
{
    const struct error_ours ours = {.row = row, .message = message, .param = param};

    return error_write_event(buf, DIALECT_OPENAI, &ours);
}

int openai_write_error_told(struct buf *buf, const struct dialect_error *error)
{
    const struct error_told told = {.upstream = DIALECT_OPENAI, .status = 200, .error = error};

    return error_write_event_told(buf, DIALECT_OPENAI, &told);
}

static void write_model(struct json_writer *writer, const struct openai_model *model)
{
    json_begin_object(writer);
    json_member_string(writer, "id", model->id);
    json_member_text(writer, "object", "model");
    json_member_uint(writer, "created", model->created_s);
    json_member_string(writer, "owned_by", model->owned_by);
    json_end_object(writer);
}

int openai_write_model(struct buf *buf, const struct openai_model *model)
{
    struct json_writer writer;

    json_writer_init(&writer, buf);
    write_model(&writer, model);
    return buf->err;
}

int openai_write_models(struct buf *buf, const struct openai_model *models, size_t count)
{
    struct json_writer writer;

    json_writer_init(&writer, buf);
    json_begin_object(&writer);
    json_member_text(&writer, "object", "list");
    json_name(&writer, "data");
    json_begin_array(&writer);
    for (size_t i = 0; i < count; i++)
        write_model(&writer, &models[i]);
    json_end_array(&writer);
    json_end_object(&writer);
    return buf->err;
}

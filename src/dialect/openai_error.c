#include "dialect/openai_error.h"

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

static void write_error_object(struct buf *buf, struct span message, struct span type,
                               struct span param, struct span code)
{
    struct json_writer writer;

    json_writer_init(&writer, buf);
    json_begin_object(&writer);
    json_name(&writer, "error");
    json_begin_object(&writer);
    json_member_string(&writer, "message", message);
    json_name(&writer, "type");
    type.len ? json_string(&writer, type) : json_null(&writer);
    json_name(&writer, "param");
    param.len ? json_string(&writer, param) : json_null(&writer);
    json_name(&writer, "code");
    code.len ? json_string(&writer, code) : json_null(&writer);
    json_end_object(&writer);
    json_end_object(&writer);
}

int openai_write_error(struct buf *buf, const struct failure_row *row, struct span message,
                       struct span param)
{
    write_error_object(buf, message.len ? message : span_from_text(row->message),
                       span_from_text(row->type), param, span_from_text(row->code));
    return buf->err;
}

int openai_write_error_event(struct buf *buf, const struct failure_row *row, struct span message,
                             struct span param)
{
    (void)buf_append_span(buf, SPAN("data: "));
    (void)openai_write_error(buf, row, message, param);
    (void)buf_append_span(buf, SPAN("\n\n"));
    return buf->err;
}

int openai_write_error_told(struct buf *buf, const struct dialect_error *error)
{
    struct span message = dialect_error_message(error);

    (void)buf_append_span(buf, SPAN("data: "));
    write_error_object(buf, message.len ? message : SPAN("The provider reported an error."),
                       dialect_error_type(error), dialect_error_param(error),
                       dialect_error_code(error));
    (void)buf_append_span(buf, SPAN("\n\n"));
    return buf->err;
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

#include "dialect/openai_error.h"

#include <stdio.h>

#include "json/tree.h"
#include "json/write.h"

enum { TREE_MAX = 4 * 1024 * 1024 };

#define KEEP(error, field, text)                                                                   \
    ((error)->field##_len = dialect_keep((error)->field, sizeof((error)->field), (text)))

static void take_status(struct dialect_error *error, int64_t number)
{
    if (number >= 100 && number <= 599)
        error->status = (int)number;
}

/* A code may be a word, a number, or a number as a word; from 100 to 599 it is an HTTP status. */
static void take_code(struct dialect_error *error, yyjson_val *code)
{
    char digits[24];
    uint64_t number;

    if (yyjson_is_str(code)) {
        KEEP(error, code, json_tree_text(code));
        if (span_to_u64(json_tree_text(code), &number) == 0 && number <= 599)
            take_status(error, (int64_t)number);
    } else if (yyjson_is_int(code)) {
        int64_t value = yyjson_get_sint(code);

        KEEP(error, code,
             span_of(digits, (size_t)snprintf(digits, sizeof(digits), "%lld", (long long)value)));
        take_status(error, value);
    }
}

/* `status` is a number (Azure) or a word (Gemini's skin). */
static void take_status_member(struct dialect_error *error, yyjson_val *status)
{
    if (yyjson_is_int(status))
        take_status(error, yyjson_get_sint(status));
    else if (yyjson_is_str(status) && !error->detail_len)
        KEEP(error, detail, json_tree_text(status));
}

/* FastAPI's `detail`: a text, or a list of complaints of which the first says enough. */
static void take_detail(struct dialect_error *error, yyjson_val *detail)
{
    if (yyjson_is_arr(detail))
        detail = yyjson_arr_get_first(detail);
    if (yyjson_is_str(detail)) {
        KEEP(error, message, json_tree_text(detail));
        return;
    }
    if (!yyjson_is_obj(detail))
        return;
    KEEP(error, message, json_tree_string(detail, "msg"));
    KEEP(error, type, json_tree_string(detail, "type"));
    KEEP(error, param, json_tree_text(yyjson_arr_get_last(yyjson_obj_get(detail, "loc"))));
}

/* The members by which an error is told, wherever its object stands. */
static void take_object(struct dialect_error *error, yyjson_val *object)
{
    yyjson_val *message = yyjson_obj_get(object, "message");
    yyjson_val *metadata = yyjson_obj_get(object, "metadata");

    if (yyjson_is_str(yyjson_obj_get(object, "type")))
        KEEP(error, type, json_tree_string(object, "type"));
    KEEP(error, param, json_tree_string(object, "param"));
    if (yyjson_is_str(message))
        KEEP(error, message, json_tree_text(message));
    else if (yyjson_is_obj(message)) /* Mistral puts FastAPI's complaints there */
        take_detail(error, yyjson_obj_get(message, "detail"));
    take_code(error, yyjson_obj_get(object, "code"));
    if (yyjson_is_str(yyjson_obj_get(metadata, "error_type")))
        KEEP(error, detail, json_tree_string(metadata, "error_type"));
    else
        KEEP(error, detail, json_tree_string(yyjson_obj_get(object, "innererror"), "code"));
    take_status_member(error, yyjson_obj_get(object, "status"));
    take_status_member(error, yyjson_obj_get(object, "raw_status_code"));
    take_status_member(error, yyjson_obj_get(object, "statusCode"));
}

static void take_body(struct dialect_error *error, yyjson_val *root)
{
    yyjson_val *inner;

    if (yyjson_is_arr(root))
        root = yyjson_arr_get_first(root);
    inner = yyjson_obj_get(root, "error");
    if (yyjson_is_obj(inner)) {
        take_object(error, inner);
        return;
    }
    take_object(error, root);
    if (yyjson_is_str(inner))
        KEEP(error, message, json_tree_text(inner));
    else if (!error->message_len)
        take_detail(error, yyjson_obj_get(root, "detail"));
}

void openai_error_read(struct span body, struct dialect_error *ret_error)
{
    struct json_tree tree;

    *ret_error = (struct dialect_error){.is_empty = body.len == 0};
    if (body.len == 0 || body.len > OPENAI_ERROR_BODY_MAX)
        return;
    if (json_tree_read(&tree, body, TREE_MAX) == 0) {
        ret_error->is_json = true;
        take_body(ret_error, yyjson_doc_get_root(tree.doc));
    }
    json_tree_fini(&tree);
}

void openai_error_read_member(struct span value, struct dialect_error *ret_error)
{
    struct json_tree tree;

    /* It was scanned already: what does not read now was cut by its capture. */
    *ret_error = (struct dialect_error){.is_json = true};
    if (json_tree_read(&tree, value, TREE_MAX) == 0) {
        yyjson_val *root = yyjson_doc_get_root(tree.doc);

        if (yyjson_is_str(root))
            KEEP(ret_error, message, json_tree_text(root));
        else
            take_object(ret_error, root);
    }
    json_tree_fini(&tree);
}

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

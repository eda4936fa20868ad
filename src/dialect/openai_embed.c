/* OpenAI's /embeddings. */
#include "base/decimal.h"
#include "base/err.h"
#include "dialect/embed.h"
#include "json/write.h"

/* --- requests --- */

static int refuse(struct embed_reading *reading, const char *param, const char *what)
{
    return chat_refuse(reading->refusal, FAILURE_FIELD_VALUE, param, "Invalid '%s': %s.", param,
                       what);
}

static bool is_tokens(yyjson_val *value)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(value);
    yyjson_val *item;

    if (yyjson_arr_size(value) == 0)
        return false;
    while ((item = yyjson_arr_iter_next(&items))) {
        if (!json_tree_number(item).ptr)
            return false;
    }
    return true;
}

static int read_input(struct embed_reading *reading, yyjson_val *value)
{
    struct embed *embed = reading->embed;
    struct embed_input *input = &embed->inputs[embed->count++];

    if (yyjson_is_str(value))
        input->text = json_tree_text(value);
    else if (is_tokens(value))
        input->tokens = value;
    else
        return refuse(reading, "input", "expected a string, or a list of strings or of tokens");
    return 0;
}

static int read_inputs(struct embed_reading *reading, yyjson_val *value)
{
    struct embed *embed = reading->embed;
    yyjson_arr_iter items = yyjson_arr_iter_with(value);
    yyjson_val *item;
    size_t count;
    int err = 0;

    embed->is_list = yyjson_is_arr(value) && !is_tokens(value);
    count = embed->is_list ? yyjson_arr_size(value) : 1;
    if (!value || count == 0 || count > EMBED_INPUTS_MAX)
        return refuse(reading, "input", "expected at least one text, and not too many");
    embed->inputs = arena_zalloc(reading->arena, count * sizeof(*embed->inputs));
    if (!embed->inputs)
        return ERR_NOMEM;
    if (!embed->is_list)
        return read_input(reading, value);
    while (!err && (item = yyjson_arr_iter_next(&items)))
        err = read_input(reading, item);
    return err;
}

static int read_member(struct embed_reading *reading, struct span name, yyjson_val *value)
{
    struct embed *embed = reading->embed;

    if (span_is_equal(name, SPAN("input")) || yyjson_is_null(value))
        return 0;
    if (span_is_equal(name, SPAN("model"))) {
        if (embed->model.len == 0)
            embed->model = json_tree_text(value);
    } else if (span_is_equal(name, SPAN("encoding_format"))) {
        embed->is_base64 = span_is_equal(json_tree_text(value), SPAN("base64"));
        if (!embed->is_base64 && !span_is_equal(json_tree_text(value), SPAN("float")))
            return refuse(reading, "encoding_format", "expected 'float' or 'base64'");
    } else if (span_is_equal(name, SPAN("dimensions"))) {
        if (!json_tree_int(value, &embed->dimensions) || embed->dimensions < 1 ||
            embed->dimensions > EMBED_DIMENSIONS_MAX)
            return refuse(reading, "dimensions", "expected a number from 1 on");
    } else if (span_is_equal(name, SPAN("user"))) {
        embed->user = json_tree_text(value);
    } else {
        chat_drop(reading->drops, name);
    }
    return 0;
}

static int read_request(struct embed_reading *reading, const yyjson_val *root)
{
    yyjson_obj_iter members = yyjson_obj_iter_with(json_tree_plain(root));
    yyjson_val *name;
    int err = read_inputs(reading, json_tree_plain(json_tree_member(root, "input")));

    while (!err && (name = yyjson_obj_iter_next(&members)))
        err = read_member(reading, json_tree_text(name), yyjson_obj_iter_get_val(name));
    return err;
}

static void write_input(struct json_writer *writer, const struct embed_input *input)
{
    if (input->tokens)
        json_value(writer, input->tokens);
    else
        json_string(writer, input->text);
}

static int write_request(struct embed_writing *writing)
{
    const struct embed *embed = writing->embed;
    struct json_writer writer;

    json_writer_init(&writer, writing->out);
    json_begin_object(&writer);
    json_member_string(&writer, "model", writing->model);
    json_name(&writer, "input");
    if (embed->is_list)
        json_begin_array(&writer);
    for (size_t i = 0; i < embed->count; i++)
        write_input(&writer, &embed->inputs[i]);
    if (embed->is_list)
        json_end_array(&writer);
    json_member_text(&writer, "encoding_format", embed->is_base64 ? "base64" : "float");
    if (embed->dimensions)
        json_member_int(&writer, "dimensions", embed->dimensions);
    if (embed->user.len)
        json_member_string(&writer, "user", embed->user);
    json_end_object(&writer);
    /* It knows neither: the vectors are of use for any task. */
    if (embed->task.len)
        chat_drop(writing->drops, SPAN("taskType"));
    if (embed->title.len)
        chat_drop(writing->drops, SPAN("title"));
    return writing->out->err;
}

/* --- answers --- */

static void read_usage(const yyjson_val *value, struct dialect_usage *ret_usage)
{
    int64_t prompt = 0, total = 0;

    *ret_usage = (struct dialect_usage){.is_known = false};
    if (!json_tree_int(json_tree_member(value, "prompt_tokens"), &prompt) || prompt < 0)
        return;
    if (!json_tree_int(json_tree_member(value, "total_tokens"), &total) || total < prompt)
        total = prompt;
    ret_usage->prompt_tokens = (uint64_t)prompt;
    ret_usage->total_tokens = (uint64_t)total;
    ret_usage->is_known = true;
}

/* Items name their place; one that names none has that where it stands. */
static int read_vector(struct embed_answer *answer, size_t at, const yyjson_val *item)
{
    const yyjson_val *vector = json_tree_member(item, "embedding");
    int64_t index = (int64_t)at;
    struct embed_vector *place;

    (void)json_tree_int(json_tree_member(item, "index"), &index);
    if (index < 0 || (uint64_t)index >= answer->count)
        return ERR_SYNTAX;
    place = &answer->vectors[index];
    if (place->values || place->base64.ptr)
        return ERR_SYNTAX;
    place->base64 = json_tree_text(vector);
    place->values = yyjson_is_arr(json_tree_plain(vector)) ? vector : NULL;
    return place->values || place->base64.ptr ? 0 : ERR_SYNTAX;
}

static int read_answer(struct arena *arena, const yyjson_val *root, struct embed_answer *ret_answer)
{
    yyjson_val *data = json_tree_plain(json_tree_member(root, "data")), *item;
    yyjson_arr_iter items = yyjson_arr_iter_with(data);
    struct embed_answer answer = {.model = json_tree_string(root, "model"),
                                  .count = yyjson_arr_size(data)};
    size_t at = 0;
    int err = 0;

    if (!yyjson_is_arr(data) || answer.count == 0)
        return ERR_SYNTAX;
    answer.vectors = arena_zalloc(arena, answer.count * sizeof(*answer.vectors));
    if (!answer.vectors)
        return ERR_NOMEM;
    while (!err && (item = yyjson_arr_iter_next(&items)))
        err = read_vector(&answer, at++, item);
    read_usage(json_tree_member(root, "usage"), &answer.usage);
    if (!err)
        *ret_answer = answer;
    return err;
}

static int write_vector(struct buf *out, const struct embed_frame *frame,
                        const struct embed_vector *vector, size_t index)
{
    int err;

    (void)buf_append_span(out, index ? SPAN(",") : SPAN(""));
    (void)buf_append_span(out, SPAN("{\"object\":\"embedding\",\"index\":"));
    (void)decimal_append(out, index);
    (void)buf_append_span(out, SPAN(",\"embedding\":"));
    err =
        frame->embed->is_base64 ? embed_write_base64(out, vector) : embed_write_values(out, vector);
    (void)buf_append_byte(out, '}');
    return err;
}

static int write_answer(struct buf *out, const struct embed_frame *frame,
                        const struct embed_answer *answer)
{
    uint64_t prompt = answer->usage.is_known ? answer->usage.prompt_tokens : frame->prompt_tokens;
    struct json_writer writer;
    int err = 0;

    (void)buf_append_span(out, SPAN("{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; !err && i < answer->count; i++)
        err = write_vector(out, frame, &answer->vectors[i], i);
    if (err)
        return err;
    (void)buf_append_span(out, SPAN("],\"model\":"));
    (void)json_write_string(out, answer->model.len ? answer->model : frame->model);
    (void)buf_append_span(out, SPAN(",\"usage\":"));
    json_writer_init(&writer, out);
    json_begin_object(&writer);
    json_member_uint(&writer, "prompt_tokens", prompt);
    json_member_uint(&writer, "total_tokens", prompt);
    json_end_object(&writer);
    return buf_append_byte(out, '}');
}

const struct embed_ops openai_embed_ops = {
    .read_request = read_request,
    .write_request = write_request,
    .read_answer = read_answer,
    .write_answer = write_answer,
};

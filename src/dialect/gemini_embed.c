/* Gemini's embedContent and batchEmbedContents: one text, and up to 100 in one request. */
#include <stdio.h>

#include "base/err.h"
#include "dialect/embed.h"
#include "dialect/gemini_inner.h"

/* --- requests --- */

static int refuse(struct embed_reading *reading, const char *param, const char *what)
{
    return chat_refuse(reading->refusal, FAILURE_FIELD_VALUE, param, "Invalid value at '%s': %s.",
                       param, what);
}

/* The texts of the parts, side by side. */
static int read_content(struct embed_reading *reading, const yyjson_val *content)
{
    struct embed_input *input = &reading->embed->inputs[reading->embed->count++];
    yyjson_val *parts = json_tree_plain(json_tree_member(content, "parts")), *item;
    yyjson_arr_iter items = yyjson_arr_iter_with(parts);
    size_t len = 0;
    char *joined;

    if (yyjson_arr_size(parts) == 0)
        return refuse(reading, "content", "a content with parts is expected");
    while ((item = yyjson_arr_iter_next(&items))) {
        struct span text = json_tree_string(item, "text");

        if (!text.ptr)
            return refuse(reading, "content.parts", "only texts can be embedded here");
        input->text = text;
        len += text.len;
    }
    if (yyjson_arr_size(parts) == 1)
        return 0;
    joined = arena_alloc(reading->arena, len + 1);
    if (!joined)
        return ERR_NOMEM;
    input->text = span_of(joined, len);
    items = yyjson_arr_iter_with(parts);
    while ((item = yyjson_arr_iter_next(&items))) {
        struct span text = json_tree_string(item, "text");

        memcpy(joined, text.ptr, text.len);
        joined += text.len;
    }
    return 0;
}

/* What all texts share, as the first says it. */
static int read_settings(struct embed_reading *reading, const yyjson_val *request)
{
    struct embed *embed = reading->embed;
    const yyjson_val *dimensions = gemini_member(request, "outputDimensionality");

    if (dimensions && (!gemini_int(dimensions, &embed->dimensions) || embed->dimensions < 1 ||
                       embed->dimensions > EMBED_DIMENSIONS_MAX))
        return refuse(reading, "outputDimensionality", "a number from 1 on is expected");
    embed->task = gemini_string(request, "taskType");
    embed->title = json_tree_string(request, "title");
    if (embed->model.len == 0)
        embed->model = gemini_model_bare(json_tree_string(request, "model"));
    return 0;
}

static int read_one(struct embed_reading *reading, const yyjson_val *root)
{
    int err;

    reading->embed->inputs = arena_zalloc(reading->arena, sizeof(*reading->embed->inputs));
    if (!reading->embed->inputs)
        return ERR_NOMEM;
    err = read_content(reading, json_tree_member(root, "content"));
    return err ? err : read_settings(reading, root);
}

/* One request to another provider has one number of dimensions for all. */
static int read_alike(struct embed_reading *reading, const yyjson_val *request)
{
    struct embed first = *reading->embed;
    int err = read_settings(reading, request);

    if (err)
        return err;
    if (first.dimensions != reading->embed->dimensions ||
        !span_is_equal(first.task, reading->embed->task))
        return refuse(reading, "requests",
                      "all must ask for the same outputDimensionality and taskType");
    return 0;
}

static int read_batch(struct embed_reading *reading, const yyjson_val *root)
{
    yyjson_val *requests = json_tree_plain(json_tree_member(root, "requests")), *item;
    yyjson_arr_iter items = yyjson_arr_iter_with(requests);
    struct embed *embed = reading->embed;
    int err = 0;

    embed->is_list = true;
    if (yyjson_arr_size(requests) == 0 || yyjson_arr_size(requests) > EMBED_INPUTS_MAX)
        return refuse(reading, "requests", "a list of requests is expected");
    embed->inputs =
        arena_zalloc(reading->arena, yyjson_arr_size(requests) * sizeof(*embed->inputs));
    if (!embed->inputs)
        return ERR_NOMEM;
    while (!err && (item = yyjson_arr_iter_next(&items))) {
        err = read_content(reading, json_tree_member(item, "content"));
        if (!err)
            err = embed->count == 1 ? read_settings(reading, item) : read_alike(reading, item);
    }
    return err;
}

static void write_text(struct json_writer *writer, const struct embed_writing *writing,
                       const struct embed_input *input)
{
    const struct embed *embed = writing->embed;
    struct span model = gemini_model_bare(writing->model);
    char name[256];
    int len = snprintf(name, sizeof(name), "models/%.*s", SPAN_ARG(model));

    json_begin_object(writer);
    json_member_string(writer, "model",
                       (size_t)len < sizeof(name) ? span_of(name, (size_t)len) : writing->model);
    json_name(writer, "content");
    json_begin_object(writer);
    json_name(writer, "parts");
    json_begin_array(writer);
    json_begin_object(writer);
    json_member_string(writer, "text", input->text);
    json_end_object(writer);
    json_end_array(writer);
    json_end_object(writer);
    if (embed->task.len)
        json_member_string(writer, "taskType", embed->task);
    if (embed->title.len)
        json_member_string(writer, "title", embed->title);
    if (embed->dimensions)
        json_member_int(writer, "outputDimensionality", embed->dimensions);
    json_end_object(writer);
}

static int fit(struct embed_writing *writing)
{
    const struct embed *embed = writing->embed;
    const char *param = embed->form == FORM_EMBEDDINGS ? "input" : "requests";

    if (embed->count > EMBED_BATCH_MAX)
        return chat_refuse(writing->refusal, FAILURE_UNSUPPORTED, param,
                           "Invalid '%s': Gemini, which serves this model, takes at most %d texts "
                           "in one request, and here are %zu.",
                           param, EMBED_BATCH_MAX, embed->count);
    for (size_t i = 0; i < embed->count; i++) {
        if (embed->inputs[i].tokens)
            return chat_refuse(writing->refusal, FAILURE_UNSUPPORTED, param,
                               "Invalid '%s': Gemini, which serves this model, takes texts, not "
                               "tokens of another provider's.",
                               param);
    }
    if (embed->user.len)
        chat_drop(writing->drops, SPAN("user"));
    return 0;
}

static int write_one(struct embed_writing *writing)
{
    struct json_writer writer;
    int err = fit(writing);

    if (err)
        return err;
    json_writer_init(&writer, writing->out);
    write_text(&writer, writing, &writing->embed->inputs[0]);
    return writing->out->err;
}

static int write_batch(struct embed_writing *writing)
{
    struct json_writer writer;
    int err = fit(writing);

    if (err)
        return err;
    json_writer_init(&writer, writing->out);
    json_begin_object(&writer);
    json_name(&writer, "requests");
    json_begin_array(&writer);
    for (size_t i = 0; i < writing->embed->count; i++)
        write_text(&writer, writing, &writing->embed->inputs[i]);
    json_end_array(&writer);
    json_end_object(&writer);
    return writing->out->err;
}

/* --- answers --- */

static int read_vector(const yyjson_val *value, struct embed_vector *ret_vector)
{
    ret_vector->values = json_tree_member(value, "values");
    return yyjson_is_arr(json_tree_plain(ret_vector->values)) ? 0 : ERR_SYNTAX;
}

/* Older servers tell no usage. */
static void read_usage(const yyjson_val *root, struct embed_answer *answer)
{
    struct dialect_usage usage;

    if (gemini_read_usage(json_tree_member(root, "usageMetadata"), &usage))
        answer->usage = usage;
}

static int read_one_answer(struct arena *arena, const yyjson_val *root,
                           struct embed_answer *ret_answer)
{
    struct embed_answer answer = {.count = 1};
    int err;

    answer.vectors = arena_zalloc(arena, sizeof(*answer.vectors));
    if (!answer.vectors)
        return ERR_NOMEM;
    err = read_vector(json_tree_member(root, "embedding"), answer.vectors);
    read_usage(root, &answer);
    if (!err)
        *ret_answer = answer;
    return err;
}

static int read_batch_answer(struct arena *arena, const yyjson_val *root,
                             struct embed_answer *ret_answer)
{
    yyjson_val *list = json_tree_plain(json_tree_member(root, "embeddings")), *item;
    yyjson_arr_iter items = yyjson_arr_iter_with(list);
    struct embed_answer answer = {.count = 0};
    int err = 0;

    if (yyjson_arr_size(list) == 0)
        return ERR_SYNTAX;
    answer.vectors = arena_zalloc(arena, yyjson_arr_size(list) * sizeof(*answer.vectors));
    if (!answer.vectors)
        return ERR_NOMEM;
    while (!err && (item = yyjson_arr_iter_next(&items)))
        err = read_vector(item, &answer.vectors[answer.count++]);
    read_usage(root, &answer);
    if (!err)
        *ret_answer = answer;
    return err;
}

static int write_vector(struct buf *out, const struct embed_vector *vector)
{
    int err;

    (void)buf_append_span(out, SPAN("{\"values\":"));
    err = embed_write_values(out, vector);
    (void)buf_append_byte(out, '}');
    return err ? err : out->err;
}

/* Where the provider told what it used. */
static int write_tail(struct buf *out, const struct embed_answer *answer)
{
    if (answer->usage.is_known) {
        (void)buf_append_span(out, SPAN(",\"usageMetadata\":"));
        gemini_write_usage(out, &answer->usage);
    }
    return buf_append_byte(out, '}');
}

static int write_one_answer(struct buf *out, const struct embed_frame *frame,
                            const struct embed_answer *answer)
{
    int err;

    (void)frame;
    if (answer->count != 1)
        return ERR_SYNTAX;
    (void)buf_append_span(out, SPAN("{\"embedding\":"));
    err = write_vector(out, &answer->vectors[0]);
    return err ? err : write_tail(out, answer);
}

static int write_batch_answer(struct buf *out, const struct embed_frame *frame,
                              const struct embed_answer *answer)
{
    int err = 0;

    (void)frame;
    (void)buf_append_span(out, SPAN("{\"embeddings\":["));
    for (size_t i = 0; !err && i < answer->count; i++) {
        if (i)
            (void)buf_append_byte(out, ',');
        err = write_vector(out, &answer->vectors[i]);
    }
    (void)buf_append_byte(out, ']');
    return err ? err : write_tail(out, answer);
}

const struct embed_ops gemini_embed_ops = {
    .read_request = read_one,
    .write_request = write_one,
    .read_answer = read_one_answer,
    .write_answer = write_one_answer,
};

const struct embed_ops gemini_embed_batch_ops = {
    .read_request = read_batch,
    .write_request = write_batch,
    .read_answer = read_batch_answer,
    .write_answer = write_batch_answer,
};

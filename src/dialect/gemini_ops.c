/* The forms of Gemini's dialect that hold a conversation: to answer it, and to count it. */
#include "base/err.h"
#include "dialect/gemini_stream_read.h"
#include "dialect/gemini_stream_write.h"

/* --- generateContent --- */

static int write_generate(struct chat_writing *writing)
{
    struct json_writer writer;
    int err;

    json_writer_init(&writer, writing->out);
    json_begin_object(&writer);
    err = gemini_write_request_members(writing, &writer);
    if (!err)
        json_end_object(&writer);
    return err ? err : writing->out->err;
}

/* --- countTokens --- */

/* {"contents":[…]}, or all of a request in generateContentRequest. */
static int read_measure(struct chat_reading *reading, const yyjson_val *root)
{
    const yyjson_val *whole = gemini_member(root, "generateContentRequest");

    return gemini_read_request(reading, whole ? whole : root);
}

/* The whole request, so that what the system says and tools are counted too; it repeats the model.
 */
static int write_measure(struct chat_writing *writing)
{
    struct span model = gemini_model_bare(writing->target->model);
    struct json_writer writer;
    struct span name = arena_printf(writing->arena, "models/%.*s", SPAN_ARG(model));
    int err;

    if (!name.ptr)
        return ERR_NOMEM;
    json_writer_init(&writer, writing->out);
    json_begin_object(&writer);
    json_name(&writer, "generateContentRequest");
    json_begin_object(&writer);
    json_member_string(&writer, "model", name);
    err = gemini_write_request_members(writing, &writer);
    if (err)
        return err;
    json_end_object(&writer);
    json_end_object(&writer);
    return writing->out->err;
}

const struct form_ops gemini_generate_ops = {
    .read_request = gemini_read_request,
    .write_request = write_generate,
    .reader_size = sizeof(struct gemini_reader),
    .read_event = gemini_read_event,
    .read_end = gemini_read_end,
    .read_answer = gemini_read_answer,
    .writer_size = sizeof(struct gemini_writer),
    .write_event = gemini_write_event,
    .writer_fini = gemini_writer_fini,
    .write_answer = gemini_write_answer,
};

/* Its answers are dialect/token_count's matter. */
const struct form_ops gemini_measure_ops = {
    .read_request = read_measure,
    .write_request = write_measure,
};

/*
 * What providers answer in OpenAI's Responses API, as streams and whole: looked at as it passes,
 * and told to a Responses client again, who sees frames that are whole, numbered from 0, whatever
 * came. The first byte says whether it is a stream, and what the client asked for.
 */
#include "fuzz.h"

#include "dialect/translate.h"
#include "stream.h"

enum { OUT_MAX = 64 << 20, MEMORY_MAX = 256 << 20 };

static const struct span requests[] = {
    SPAN_INIT("{\"model\":\"m\",\"stream\":true,\"input\":\"a\"}"),
    SPAN_INIT("{\"model\":\"m\",\"stream\":true,\"input\":\"a\",\"reasoning\":{\"summary\":"
              "\"auto\"},\"include\":[\"reasoning.encrypted_content\","
              "\"message.output_text.logprobs\"]}"),
};

static void check_frame(const struct sse_event *event, int64_t wanted)
{
    struct json_tree tree;
    const yyjson_val *root;
    int64_t number = -1;

    must(json_tree_read_raw(&tree, event->data, MEMORY_MAX) == 0);
    root = yyjson_doc_get_root(tree.doc);
    must(span_is_equal(json_tree_string(root, "type"), event->name));
    must(json_tree_int(json_tree_member(root, "sequence_number"), &number) && number == wanted);
    json_tree_fini(&tree);
}

static void check_stream(struct span out)
{
    struct sse_event event;
    int64_t count = 0;
    struct sse sse;

    sse_init(&sse);
    while (sse_next(&sse, out, &event)) {
        out = span_skip(out, event.raw.len);
        if (event.kind == SSE_DATA)
            check_frame(&event, count++);
    }
    must(out.len == 0);
}

static void tell_whole(struct translator *translator, struct span text, const struct buf *out)
{
    if (translator_answer(translator, text, MEMORY_MAX) == 0 && out->len > 0)
        must_be_json(buf_span(out));
}

static void tell(const struct chat *chat, struct arena_pool *pool, struct span text, bool is_stream)
{
    struct translator_plan plan = {
        .from = FORM_RESPONSES, .to = FORM_RESPONSES, .choices = 1, .seed = 1};
    struct translator *translator;
    struct arena arena;
    struct buf out;

    arena_init(&arena, pool, MEMORY_MAX);
    buf_init(&out, OUT_MAX);
    plan.out = &out;
    plan.is_streaming = is_stream;
    plan.frame = (struct chat_frame){.chat = chat, .request_id = SPAN("r"), .model = SPAN("m")};
    translator = translator_new(&arena, &plan);
    must(translator != NULL);
    if (is_stream)
        stream_tell(translator, text, text.len);
    else
        tell_whole(translator, text, &out);
    if (is_stream && !out.err)
        check_stream(buf_span(&out));
    translator_fini(&translator);
    buf_fini(&out);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct translate_facts facts = {.form = FORM_RESPONSES};
    struct translation *translation;
    struct chat_refusal refusal;
    struct arena_pool pool;

    if (size == 0)
        return 0;
    arena_pool_init(&pool, 4);
    must(translate_read(&facts, requests[data[0] / 2 % 2], &pool, &translation, &refusal) == 0);
    tell(translation_chat(translation), &pool, span_of((const char *)data + 1, size - 1),
         data[0] % 2);
    translate_free(&translation);
    arena_pool_fini(&pool);
    return 0;
}

/*
 * What providers of Anthropic's dialect answer, as streams and whole, told to clients of every
 * dialect. The first byte says which client, and whether it is a stream. What comes out is JSON,
 * and a stream is cut anywhere without making a difference.
 */
#include "fuzz.h"

#include "dialect/translate.h"
#include "stream.h"

enum { OUT_MAX = 16 << 20, MEMORY_MAX = 64 << 20 };

/* What the client asked for. */
struct client {
    enum form form;
    struct span request;
};

static const struct client clients[] = {
    {FORM_CHAT, SPAN_INIT("{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\","
                          "\"content\":\"a\"}],\"tools\":[{\"type\":\"custom\",\"custom\":"
                          "{\"name\":\"sh\"}}]}")},
    {FORM_MESSAGES, SPAN_INIT("{\"model\":\"m\",\"stream\":true,\"max_tokens\":9000,\"thinking\":"
                              "{\"type\":\"enabled\",\"budget_tokens\":2000},\"messages\":[{"
                              "\"role\":\"user\",\"content\":\"a\"}]}")},
    {FORM_GENERATE, SPAN_INIT("{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"}]}]}")},
    {FORM_RESPONSES, SPAN_INIT("{\"model\":\"m\",\"stream\":true,\"input\":\"a\"}")},
};

static struct translation *ask(const struct client *client, struct arena_pool *pool)
{
    const struct translate_facts facts = {
        .form = client->form, .model = SPAN("m"), .is_streaming = true};
    struct translation *translation = NULL;
    struct chat_refusal refusal;

    must(translate_read(&facts, client->request, pool, &translation, &refusal) == 0);
    return translation;
}

static void check_stream(struct span out)
{
    struct sse_event event;
    struct sse sse;

    sse_init(&sse);
    while (sse_next(&sse, out, &event)) {
        out = span_skip(out, event.raw.len);
        if (event.kind == SSE_DATA && !span_is_equal(event.data, SPAN("[DONE]")))
            must_be_json(event.data);
    }
    /* An error is told to Google's clients once more, bare. */
    if (out.len)
        must_be_json(out);
}

static void tell(const struct client *client, struct span text, size_t cut, bool is_stream,
                 struct buf *out)
{
    struct arena_pool pool;
    struct translation *translation;
    struct translator *translator;
    struct translator_plan plan = {
        .from = FORM_MESSAGES, .to = client->form, .out = out, .choices = 1, .seed = 1};
    struct arena arena;

    arena_pool_init(&pool, 4);
    arena_init(&arena, &pool, MEMORY_MAX);
    translation = ask(client, &pool);
    plan.frame = (struct chat_frame){.chat = translation_chat(translation),
                                     .request_id = SPAN("req_1"),
                                     .model = SPAN("m"),
                                     .created_s = 1};
    translator = translator_new(&arena, &plan);
    must(translator != NULL);
    if (is_stream)
        stream_tell(translator, text, cut);
    else if (translator_answer(translator, text, MEMORY_MAX) == 0 && out->len)
        must_be_json(buf_span(out));
    translator_fini(&translator);
    translate_free(&translation);
    arena_fini(&arena);
    arena_pool_fini(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of((const char *)data + 1, size - 1);
    const struct client *client;
    struct buf out, again;
    bool is_stream;

    if (size < 2)
        return 0;
    client = &clients[data[0] % 4];
    is_stream = data[0] & 4;
    buf_init(&out, OUT_MAX);
    buf_init(&again, OUT_MAX);
    tell(client, text, text.len, is_stream, &out);
    if (is_stream) {
        check_stream(buf_span(&out));
        tell(client, text, (unsigned)(data[0] >> 3) % (text.len + 1), true, &again);
        must(span_is_equal(buf_span(&out), buf_span(&again)));
    }
    buf_fini(&out);
    buf_fini(&again);
    return 0;
}

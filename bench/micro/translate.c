/*
 * What translation costs, piece by piece and for each pair of dialects, in nanoseconds: the best of
 * many rounds. A request of 1 KB is read and written, an answer of 700 bytes is told anew, and so
 * is one event of a stream.
 *
 *   micro-translate [FROM TO [ROUNDS]]   one pair alone, "chat messages", for a profiler
 *
 * Links src/, as all of bench/micro does.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "dialect/sse.h"
#include "dialect/translate.h"
#include "dialect/translator.h"

enum { ROUNDS = 30, CALLS = 2000, BODY_MAX = 1 << 20, EVENTS_MAX = 8 };

#define WORDS                                                                                      \
    "You are a careful assistant. Summarise the following report in three sentences, name the "    \
    "numbers that matter, and say what should be done next. "
#define TEXT WORDS WORDS WORDS WORDS WORDS WORDS
#define SAID WORDS WORDS WORDS
#define CHUNK                                                                                      \
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1736150400,"
#define CHOICE CHUNK "\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":"
#define RESPONSE                                                                                   \
    "\"response\":{\"id\":\"resp_1\",\"created_at\":1736150400,\"model\":\"m\",\"output\":[]"

/* A form: its requests, its answers, a stream's beginning and one event of it. */
struct sample {
    enum form form;
    const char *request, *answer;
    const char *opening[EVENTS_MAX];
    const char *event;
};

/* clang-format off */
static const struct sample samples[] = {
    {FORM_CHAT,
     "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"Answer briefly.\"},{\"role\":\"user\",\"content\":\""
     TEXT "\"}],\"temperature\":0.7,\"max_tokens\":256}",
     "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1736150400,\"model\":\"m\",\"choices\":[{\"index\":0,"
     "\"message\":{\"role\":\"assistant\",\"content\":\"" SAID "\",\"refusal\":null},\"logprobs\":null,"
     "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":214,\"completion_tokens\":48,\"total_tokens\":262}}",
     {CHOICE "{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"},
     CHOICE "{\"content\":\" relays\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"},
    {FORM_MESSAGES,
     "{\"model\":\"m\",\"system\":\"Answer briefly.\",\"messages\":[{\"role\":\"user\",\"content\":\"" TEXT "\"}],"
     "\"temperature\":0.7,\"max_tokens\":256}",
     "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[{\"type\":\"text\",\"text\":\""
     SAID "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":214,\"output_tokens\":48}}",
     {"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\","
      "\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":214,\"output_tokens\":1}}}\n\n",
      "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\","
      "\"text\":\"\"}}\n\n"},
     "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
     "\"text\":\" relays\"}}\n\n"},
    {FORM_GENERATE,
     "{\"systemInstruction\":{\"parts\":[{\"text\":\"Answer briefly.\"}]},\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\""
     TEXT "\"}]}],\"generationConfig\":{\"temperature\":0.7,\"maxOutputTokens\":256}}",
     "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"" SAID "\"}]},\"finishReason\":\"STOP\","
     "\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":214,\"candidatesTokenCount\":48,\"totalTokenCount\":262},"
     "\"modelVersion\":\"m\",\"responseId\":\"r1\"}",
     {NULL},
     "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\" relays\"}]},\"index\":0}],"
     "\"usageMetadata\":{\"promptTokenCount\":214,\"totalTokenCount\":214},\"modelVersion\":\"m\",\"responseId\":\"r1\"}\n\n"},
    {FORM_RESPONSES,
     "{\"model\":\"m\",\"instructions\":\"Answer briefly.\",\"input\":\"" TEXT "\",\"temperature\":0.7,"
     "\"max_output_tokens\":256}",
     "{\"id\":\"resp_1\",\"object\":\"response\",\"created_at\":1736150400,\"status\":\"completed\",\"model\":\"m\",\"output\":["
     "{\"type\":\"message\",\"id\":\"msg_1\",\"role\":\"assistant\",\"status\":\"completed\",\"content\":[{\"type\":"
     "\"output_text\",\"text\":\"" SAID "\",\"annotations\":[]}]}],\"usage\":{\"input_tokens\":214,\"output_tokens\":48,"
     "\"total_tokens\":262}}",
     {"event: response.created\ndata: {\"type\":\"response.created\"," RESPONSE "},\"sequence_number\":0}\n\n",
      "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{"
      "\"type\":\"message\",\"id\":\"msg_1\",\"role\":\"assistant\",\"content\":[]},\"sequence_number\":1}\n\n"},
     "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":0,"
     "\"content_index\":0,\"item_id\":\"msg_1\",\"delta\":\" relays\",\"sequence_number\":4}\n\n"},
};
/* clang-format on */

enum { SAMPLES = sizeof(samples) / sizeof(samples[0]) };

/* One pair at work: the client speaks `client`, the provider `provider`. */
struct work {
    const struct sample *client, *provider;
    struct arena_pool pool;
    struct arena arena;
    struct translation *asked;
    struct translator *stream;
    struct sse_event event;
    struct buf out;
};

static void must(bool claim)
{
    if (!claim)
        abort();
}

static struct translation *read_request(struct work *work)
{
    struct translate_facts facts = {.form = work->client->form, .model = SPAN("m")};
    struct translation *asked = NULL;
    struct chat_refusal refusal;

    must(translate_read(&facts, span_from_text(work->client->request), &work->pool, &asked,
                        &refusal) == 0);
    return asked;
}

static void run_read(struct work *work)
{
    struct translation *asked = read_request(work);

    translate_free(&asked);
}

static void run_write(struct work *work)
{
    struct chat_target target = {.model = SPAN("claude-sonnet-4-5")};
    struct chat_refusal refusal;
    struct chat_drops drops;

    must(translate_write(work->asked, work->provider->form, &target, &work->out, &drops,
                         &refusal) == 0);
    buf_clear(&work->out);
}

static struct translator *make_translator(struct work *work, struct arena *arena, bool is_streaming)
{
    struct translator_plan plan = {
        .from = work->provider->form,
        .to = work->client->form,
        .out = &work->out,
        .choices = 1,
        .seed = 1,
        .is_streaming = is_streaming,
        .frame = {.chat = translation_chat(work->asked),
                  .request_id = SPAN("req-1"),
                  .model = SPAN("m"),
                  .created_s = 1736150400},
    };
    struct translator *translator = translator_new(arena, &plan);

    must(translator != NULL);
    return translator;
}

static void run_answer(struct work *work)
{
    struct translator *translator;
    struct arena arena;

    arena_init(&arena, &work->pool, BODY_MAX);
    translator = make_translator(work, &arena, false);
    must(translator_answer(translator, span_from_text(work->provider->answer), BODY_MAX) == 0);
    must(work->out.len > 0);
    translator_fini(&translator);
    arena_fini(&arena);
    buf_clear(&work->out);
}

static void take(struct work *work, const char *text)
{
    struct sse sse;

    sse_init(&sse);
    must(sse_next(&sse, span_from_text(text), &work->event));
    (void)translator_take(work->stream, &work->event);
    must(!translator_error(work->stream));
    buf_clear(&work->out);
}

static void run_event(struct work *work)
{
    must(translator_take(work->stream, &work->event) == TRANSLATOR_CHUNK);
    must(work->out.len > 0);
    buf_clear(&work->out);
}

static double measure(void (*run)(struct work *), struct work *work, int rounds)
{
    uint64_t best = UINT64_MAX;

    for (int round = 0; round < rounds; round++) {
        uint64_t start = clock_now_ns(), took;

        for (int i = 0; i < CALLS; i++)
            run(work);
        took = clock_now_ns() - start;
        best = took < best ? took : best;
    }
    return (double)best / CALLS;
}

static void measure_pair(const struct sample *client, const struct sample *provider, int rounds)
{
    struct work work = {.client = client, .provider = provider};
    double read, write, answer, event;

    arena_pool_init(&work.pool, 16);
    arena_init(&work.arena, &work.pool, BODY_MAX);
    buf_init(&work.out, BODY_MAX);
    work.asked = read_request(&work);
    work.stream = make_translator(&work, &work.arena, true);
    for (int i = 0; provider->opening[i]; i++)
        take(&work, provider->opening[i]);
    take(&work, provider->event);
    read = measure(run_read, &work, rounds);
    /* Some forms are asked of nobody but by passing bytes through. */
    write = form_ops(provider->form)->write_request ? measure(run_write, &work, rounds) : 0;
    answer = measure(run_answer, &work, rounds);
    event = measure(run_event, &work, rounds);
    printf("%-10.*s %-10.*s %9.0f %9.0f %9.0f %9.0f\n", SPAN_ARG(form_row(client->form)->name),
           SPAN_ARG(form_row(provider->form)->name), read, write, answer, event);
    translator_fini(&work.stream);
    translate_free(&work.asked);
    arena_fini(&work.arena);
    arena_pool_fini(&work.pool);
    buf_fini(&work.out);
}

static bool is_wanted(const struct sample *sample, const char *name)
{
    return !name || span_is_equal(form_row(sample->form)->name, span_from_text(name));
}

int main(int argc, char **argv)
{
    const char *from = argc > 2 ? argv[1] : NULL, *to = argc > 2 ? argv[2] : NULL;
    int rounds = argc > 3 ? (int)strtoul(argv[3], NULL, 10) : ROUNDS;

    printf("%-10s %-10s %9s %9s %9s %9s   (ns)\n", "client", "provider", "read", "write", "answer",
           "event");
    for (size_t i = 0; i < SAMPLES; i++) {
        for (size_t k = 0; k < SAMPLES; k++) {
            if (i != k && is_wanted(&samples[i], from) && is_wanted(&samples[k], to))
                measure_pair(&samples[i], &samples[k], rounds);
        }
    }
    return 0;
}

/*
 * What the dialect costs, piece by piece, in nanoseconds: the best of many rounds. Unlike the rest
 * of bench/ it links src/, for it measures functions and not the program.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "dialect/openai_error.h"
#include "dialect/request_scan.h"
#include "dialect/openai_stream.h"
#include "dialect/outcome.h"
#include "dialect/sse.h"

enum { ROUNDS = 30, CALLS = 5000, BURST_CHUNKS = 50 };

#define CHUNK                                                                                      \
    "data: {\"id\":\"chatcmpl-BxQ3vZ6yq1nYt0aWc\",\"object\":\"chat.completion.chunk\","           \
    "\"created\":1763600001,\"model\":\"gpt-4.1-mini\",\"choices\":[{\"index\":0,"                 \
    "\"delta\":{\"content\":\" Hello\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"
#define USAGE                                                                                      \
    "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11,"                  \
    "\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"                          \
    "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0}}"

struct work {
    struct buf request, answer, burst;
    struct sse_event chunk, usage;
    struct openai_stream stream;
    struct json_scan scan;
    struct request_scan parsed;
};

static void must(bool claim)
{
    if (!claim)
        abort();
}

static void read_request(struct work *work)
{
    request_scan_init(&work->parsed, FORM_CHAT, &work->scan);
    (void)request_scan_feed(&work->parsed, buf_span(&work->request));
    must(request_scan_finish(&work->parsed) == 0);
}

static void edit_request(struct work *work)
{
    struct request_edits edits;

    must(request_scan_edit(&work->parsed, SPAN("gpt-4.1-mini"), true, &edits) == 0);
}

static void read_answer(struct work *work)
{
    struct openai_answer answer;
    struct dialect_usage usage;

    openai_answer_init(&answer);
    (void)openai_answer_feed(&answer, buf_span(&work->answer));
    must(openai_answer_finish(&answer) == 0);
    openai_answer_usage(&answer, &usage);
    must(usage.is_known);
}

static void split_burst(struct work *work)
{
    struct span rest = buf_span(&work->burst);
    struct sse_event event;
    struct sse sse;

    sse_init(&sse);
    while (sse_next(&sse, rest, &event))
        rest = span_skip(rest, event.raw.len);
    must(rest.len == 0);
}

static void take_chunk(struct work *work)
{
    struct dialect_error error;

    must(openai_stream_take(&work->stream, &work->chunk, &error) == OPENAI_EVENT_CHUNK);
}

static void take_usage(struct work *work)
{
    struct dialect_error error;

    must(openai_stream_take(&work->stream, &work->usage, &error) == OPENAI_EVENT_USAGE);
}

static void judge_error(struct work *work)
{
    struct dialect_error error;
    struct outcome_answer answer = {.status = 429, .error = &error};

    (void)work;
    openai_error_read(
        SPAN("{\"error\":{\"message\":\"Rate limit reached for gpt-4.1 in organization "
             "org-1 on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. "
             "Please try again in 2s.\",\"type\":\"tokens\",\"param\":null,\"code\":"
             "\"rate_limit_exceeded\"}}"),
        &error);
    must(outcome_classify(&answer)->outcome == OUTCOME_ACCOUNT_LIMITED);
}

static void measure(const char *name, void (*run)(struct work *), struct work *work, size_t bytes)
{
    uint64_t best = UINT64_MAX;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = clock_now_ns(), took;

        for (int i = 0; i < CALLS; i++)
            run(work);
        took = clock_now_ns() - start;
        best = took < best ? took : best;
    }
    printf("%-34s %6zu bytes %9.1f ns  %6.3f ns/byte\n", name, bytes, (double)best / CALLS,
           bytes ? (double)best / CALLS / (double)bytes : 0);
}

static void fill(struct buf *buf, size_t upto)
{
    while (buf->len < upto)
        (void)buf_append_span(buf, SPAN("The quick brown fox jumps over the lazy dog. "));
}

static void arrange(struct work *work)
{
    struct sse sse;

    buf_init(&work->request, 1 << 16);
    buf_init(&work->answer, 1 << 16);
    buf_init(&work->burst, 1 << 16);
    (void)buf_append_span(&work->request, SPAN("{\"model\":\"gpt-4.1\",\"messages\":[{\"role\":"
                                               "\"user\",\"content\":\""));
    fill(&work->request, 930);
    (void)buf_append_span(&work->request,
                          SPAN("\"}],\"stream\":true,\"temperature\":0.7,\"max_tokens\":256}"));
    (void)buf_append_span(&work->answer,
                          SPAN("{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"choices\":"
                               "[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\""));
    fill(&work->answer, 400);
    (void)buf_append_span(&work->answer, SPAN("\"},\"finish_reason\":\"stop\"}]," USAGE "}"));
    for (int i = 0; i < BURST_CHUNKS; i++)
        (void)buf_append_span(&work->burst, SPAN(CHUNK));
    must(!work->request.err && !work->answer.err && !work->burst.err);
    sse_init(&sse);
    must(sse_next(&sse, SPAN(CHUNK), &work->chunk));
    must(sse_next(&sse, SPAN("data: {\"choices\":[]," USAGE "}\n\n"), &work->usage));
    openai_stream_init(&work->stream, 1);
    take_chunk(work);
}

int main(void)
{
    static struct work work;

    arrange(&work);
    measure("request, read", read_request, &work, work.request.len);
    measure("request, edited", edit_request, &work, 0);
    measure("answer, read", read_answer, &work, work.answer.len);
    measure("50 chunks, split", split_burst, &work, work.burst.len);
    measure("ordinary chunk, classified", take_chunk, &work, work.chunk.data.len);
    measure("usage chunk, classified", take_usage, &work, work.usage.data.len);
    measure("429, read and judged", judge_error, &work, 0);
    buf_fini(&work.request);
    buf_fini(&work.answer);
    buf_fini(&work.burst);
    return 0;
}

#include "answers.h"
#include "common.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CHAT_BODY_BYTES 700
#define STAMP_DIGITS    19

#define ID "\"id\":\"chatcmpl-9sQ4mF2kXyT7bLw0aVn8ZcRd1eHg\""
#define SERVED                                                                                     \
    "openai-processing-ms: 412\r\nopenai-version: 2020-10-01\r\n"                                  \
    "x-request-id: req_5f1c7a90d2b84e3f9a6c1d0e7b52f8a4\r\n"
#define LIMITS                                                                                     \
    "x-ratelimit-limit-requests: 5000\r\nx-ratelimit-limit-tokens: 2000000\r\n"                    \
    "x-ratelimit-remaining-requests: 4999\r\nx-ratelimit-remaining-tokens: 1999600\r\n"            \
    "x-ratelimit-reset-requests: 12ms\r\nx-ratelimit-reset-tokens: 11ms\r\n"
#define USAGE                                                                                      \
    "\"usage\":{\"prompt_tokens\":214,\"completion_tokens\":48,\"total_tokens\":262,"              \
    "\"prompt_tokens_details\":{\"cached_tokens\":0}}"

struct bytes answers_json(const char *body)
{
    struct bytes answer = {0};
    render(&answer, RENDER_HEAD "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
           strlen(body), body);
    return answer;
}

static struct bytes chat_answer(const struct answers_options *options, size_t *ret_text_bytes)
{
    static const char before[] =
        "{" ID ",\"object\":\"chat.completion\",\"created\":1736150400,\"model\":\"bench-model\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"";
    static const char after[] =
        "\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}]," USAGE
        ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_44709d6fcb\"}";
    struct bytes answer = {0};
    *ret_text_bytes = CHAT_BODY_BYTES - strlen(before) - strlen(after);
    render(&answer,
           RENDER_HEAD "Content-Type: application/json\r\nContent-Length: %d\r\n" SERVED "%s\r\n",
           CHAT_BODY_BYTES, options->with_limit_headers ? LIMITS : "");
    render(&answer, "%s", before);
    render_words(&answer, *ret_text_bytes);
    render(&answer, "%s", after);
    return answer;
}

/* One event as a chunk of its own. `delta` and `finish` are JSON. */
static struct bytes event_chunk(const char *delta, const char *finish, bool with_usage)
{
    struct bytes event = {0}, chunk = {0};
    render(&event,
           "data: {" ID ",\"object\":\"chat.completion.chunk\",\"created\":1736150400,"
           "\"model\":\"bench-model\",\"service_tier\":\"default\","
           "\"system_fingerprint\":\"fp_%0*d\",\"choices\":[{\"index\":0,\"delta\":%s,"
           "\"logprobs\":null,\"finish_reason\":%s}]%s}\n\n",
           STAMP_DIGITS, 0, delta, finish, with_usage ? ",\"usage\":null" : "");
    render_chunk(&chunk, &event);
    free(event.at);
    return chunk;
}

static struct bytes usage_chunk(void)
{
    struct bytes event = {0}, chunk = {0};
    render(&event, "data: {" ID ",\"object\":\"chat.completion.chunk\",\"created\":1736150400,"
                   "\"model\":\"bench-model\",\"service_tier\":\"default\","
                   "\"system_fingerprint\":\"fp_44709d6fcb\",\"choices\":[]," USAGE "}\n\n");
    render_chunk(&chunk, &event);
    free(event.at);
    return chunk;
}

static void stream_init(struct stream_parts *parts, const struct answers_options *options,
                        bool with_usage)
{
    struct bytes role = event_chunk("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}",
                                    "null", with_usage);
    render(&parts->opening,
           RENDER_HEAD
           "Content-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
           "Transfer-Encoding: chunked\r\n" SERVED "%s\r\n",
           options->with_limit_headers ? LIMITS : "");
    render_bytes(&parts->opening, &role);
    parts->word = event_chunk("{\"content\":\" relays\"}", "null", with_usage);
    parts->stamp_at = (size_t)(strstr(parts->word.at, "\"fp_") + 4 - parts->word.at);
    parts->ending = event_chunk("{}", "\"stop\"", with_usage);
    if (with_usage) {
        struct bytes usage = usage_chunk();
        render_bytes(&parts->ending, &usage);
        free(usage.at);
    }
    render(&parts->ending, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
    render_whole(parts, options->events - 2);
    free(role.at);
}

void answers_init(struct answers *answers, const struct answers_options *options)
{
    static const char refusal[] = "{\"error\":{\"message\":\"%s\",\"type\":\"%s\",\"param\":null,"
                                  "\"code\":%s}}";
    bool is_limit = options->fail_status == 429;
    size_t text_bytes;
    struct bytes body = {0};
    *answers = (struct answers){0};
    answers->chat = chat_answer(options, &text_bytes);
    messages_init(&answers->messages, text_bytes, options->events, options->fail_status);
    answers->models = answers_json("{\"object\":\"list\",\"data\":[]}");
    render(&body, refusal, "No such path on the mock upstream.", "invalid_request_error", "null");
    render(&answers->not_found,
           "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n"
           "Content-Length: %zu\r\n\r\n%s",
           body.size, body.at);
    body.size = 0;
    render(&body, refusal, is_limit ? "Rate limit reached for requests" : "The server had an error",
           is_limit ? "requests" : "server_error", is_limit ? "\"rate_limit_exceeded\"" : "null");
    render(&answers->failure,
           "HTTP/1.1 %d Failed\r\nContent-Type: application/json\r\n" SERVED
           "%sContent-Length: %zu\r\n\r\n%s",
           options->fail_status, is_limit ? "retry-after-ms: 20\r\n" : "", body.size, body.at);
    free(body.at);
    stream_init(&answers->plain, options, false);
    stream_init(&answers->with_usage, options, true);
}

void answers_stamp(struct stream_parts *parts, uint64_t now_ns)
{
    char *digits = parts->word.at + parts->stamp_at;
    if (parts->stamp_at == 0)
        return;
    for (int i = STAMP_DIGITS - 1; i >= 0; i--) {
        digits[i] = (char)('0' + now_ns % 10);
        now_ns /= 10;
    }
}

#include "messages.h"

#include <stdbool.h>
#include <stdlib.h>

#define ID "\"id\":\"msg_013Zva2CMHLNnXjNJJKqJ2EF\""
#define SERVED                                                                                     \
    "request-id: req_011CSHoEeqs5C35K2UUqR7Fy\r\n"                                                 \
    "anthropic-organization-id: 7c1f0e5a-9d3b-4286-8b0e-5b8e21c7f0a9\r\n"
#define INPUT "\"input_tokens\":214,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0"

static struct bytes whole_message(size_t text_bytes)
{
    struct bytes body = {0}, answer = {0};
    render(&body, "{\"model\":\"bench-model\"," ID ",\"type\":\"message\",\"role\":\"assistant\","
                  "\"content\":[{\"type\":\"text\",\"text\":\"");
    render_words(&body, text_bytes);
    render(&body, "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{" INPUT
                  ",\"output_tokens\":48,\"service_tier\":\"standard\"}}");
    render(&answer,
           RENDER_HEAD "Content-Type: application/json\r\nContent-Length: %zu\r\n" SERVED "\r\n%s",
           body.size, body.at);
    free(body.at);
    return answer;
}

/* An event as a chunk of its own; `rest` follows the type in its object. */
static void add_event(struct bytes *stream, const char *type, const char *rest)
{
    struct bytes event = {0};
    render(&event, "event: %s\ndata: {\"type\":\"%s\"%s}\n\n", type, type, rest);
    render_chunk(stream, &event);
    free(event.at);
}

static void stream_init(struct stream_parts *parts, size_t events)
{
    render(&parts->opening,
           RENDER_HEAD "Content-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache"
                       "\r\nTransfer-Encoding: chunked\r\n" SERVED "\r\n");
    add_event(&parts->opening, "message_start",
              ",\"message\":{\"model\":\"bench-model\"," ID ",\"type\":\"message\","
              "\"role\":\"assistant\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,"
              "\"usage\":{" INPUT ",\"output_tokens\":1,\"service_tier\":\"standard\"}}");
    add_event(&parts->opening, "content_block_start",
              ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}");
    add_event(&parts->opening, "ping", "");
    add_event(&parts->word, "content_block_delta",
              ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" relays\"}");
    add_event(&parts->ending, "content_block_stop", ",\"index\":0");
    add_event(&parts->ending, "message_delta",
              ",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},"
              "\"usage\":{" INPUT ",\"output_tokens\":48}");
    add_event(&parts->ending, "message_stop", "");
    render(&parts->ending, "0\r\n\r\n");
    render_whole(parts, events - 2);
}

void messages_init(struct messages *messages, size_t text_bytes, size_t events, int fail_status)
{
    bool is_limit = fail_status == 429;
    struct bytes body = {0};
    *messages = (struct messages){0};
    messages->message = whole_message(text_bytes);
    stream_init(&messages->stream, events);
    render(&body, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"%s\"}}",
           is_limit ? "rate_limit_error" : "api_error",
           is_limit ? "This request would exceed your rate limit." : "Internal server error");
    render(&messages->failure,
           "HTTP/1.1 %d Failed\r\nContent-Type: application/json\r\n" SERVED
           "%sContent-Length: %zu\r\n\r\n%s",
           fail_status, is_limit ? "retry-after: 1\r\n" : "", body.size, body.at);
    free(body.at);
}

#include "road.h"

#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/alloc.h"

enum { HEARD_MAX = 64 << 20 };

/* --- the client's side --- */

int road_connect(struct road *road)
{
    struct addr peer = {.len = 0};
    int fds[2];

    assert_int_equal(addr_parse(SPAN("192.0.2.7:4711"), &peer), 0);
    wire_pair(fds);
    if (http_server_accept(&road->server, fds[0], &peer) == 0) {
        metrics_add(road->host.metrics, road->host.series.connections, 1);
        metrics_add(road->host.metrics, road->host.series.connections_total, 1);
    }
    wire_settle(road->loop);
    return fds[1];
}

void road_post(struct road *road, int client, const char *path, const char *lines, const char *body)
{
    struct buf text;

    buf_init(&text, HEARD_MAX);
    buf_printf(&text, "POST %s HTTP/1.1\r\nHost: gw\r\n%sContent-Length: %zu\r\n\r\n", path, lines,
               strlen(body));
    buf_append(&text, body, strlen(body));
    assert_int_equal(text.err, 0);
    wire_write(road->loop, client, text.data, text.len);
    buf_fini(&text);
    wire_settle(road->loop);
}

void road_chat(struct road *road, int client)
{
    road_post(road, client, "/v1/chat/completions", "",
              "{\"model\":\"up/m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}");
}

void road_chat_stream(struct road *road, int client)
{
    road_post(road, client, "/v1/chat/completions", "",
              "{\"model\":\"up/m\",\"stream\":true,\"messages\":[{\"role\":\"user\","
              "\"content\":\"Hello\"}]}");
}

/* Strict: a size line of hexadecimal digits alone, CRLF behind each chunk, no trailer. True once
 * the last chunk is there. */
static bool take_chunks(struct road_answer *answer, struct span rest, size_t *used)
{
    struct span begin = rest;

    for (;;) {
        size_t line = span_find(rest, SPAN("\r\n")), len = 0;

        if (line == SIZE_MAX)
            return false;
        assert_in_range(line, 1, 8);
        for (size_t i = 0; i < line; i++) {
            const char *digit = strchr("0123456789abcdef", rest.ptr[i]);

            assert_non_null(digit);
            len = len * 16 + (size_t)(digit - "0123456789abcdef");
        }
        rest = span_skip(rest, line + 2);
        buf_append(&answer->body, rest.ptr, len < rest.len ? len : rest.len);
        if (rest.len < len + 2)
            return false;
        assert_memory_equal(rest.ptr + len, "\r\n", 2);
        rest = span_skip(rest, len + 2);
        if (len == 0) {
            *used = begin.len - rest.len;
            return true;
        }
    }
}

static void take_length(struct road_answer *answer, struct span rest, size_t *used)
{
    size_t len = strtoul(road_field(answer, "content-length"), NULL, 10);

    *used = len < rest.len ? len : rest.len;
    buf_append(&answer->body, rest.ptr, *used);
    answer->is_whole = *used == len;
}

void road_read_answer(struct span text, struct road_answer *answer)
{
    size_t head = span_find(text, SPAN("\r\n\r\n")), used = 0;

    memset(answer, 0, sizeof(*answer));
    buf_init(&answer->body, HEARD_MAX);
    if (head == SIZE_MAX)
        return;
    head += 4;
    assert_true(head < sizeof(answer->head));
    assert_true(span_has_prefix(text, SPAN("HTTP/1.1 ")));
    memcpy(answer->head, text.ptr, head);
    answer->status = (int)strtol(answer->head + 9, NULL, 10);
    assert_in_range(answer->status, 200, 599);
    if (!strcmp(road_field(answer, "transfer-encoding"), "chunked")) {
        assert_string_equal(road_field(answer, "content-length"), "");
        answer->is_chunked = true;
        answer->is_whole = take_chunks(answer, span_skip(text, head), &used);
    } else {
        assert_string_not_equal(road_field(answer, "content-length"), "");
        take_length(answer, span_skip(text, head), &used);
    }
    assert_int_equal(answer->body.err, 0);
    answer->used = head + used;
}

void road_hear(struct road *road, int client, struct road_answer *answer)
{
    struct buf heard;
    enum wire_end end;
    size_t len;

    buf_init(&heard, HEARD_MAX);
    do {
        len = heard.len;
        wire_settle(road->loop);
        end = wire_read(client, &heard);
    } while (heard.len != len);
    road_read_answer(buf_span(&heard), answer);
    /* One answer at most, and nothing behind it. */
    assert_int_equal(answer->used, answer->is_whole ? heard.len : answer->used);
    answer->end = end;
    buf_fini(&heard);
}

void road_answer_free(struct road_answer *answer)
{
    buf_fini(&answer->body);
}

const char *road_field(const struct road_answer *answer, const char *name)
{
    static char value[1024];
    size_t len = strlen(name);

    for (const char *line = strstr(answer->head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        const char *end = strstr(line + 2, "\r\n");

        if (end && !strncasecmp(line + 2, name, len) && line[2 + len] == ':') {
            snprintf(value, sizeof(value), "%.*s", (int)(end - line - 4 - (ptrdiff_t)len),
                     line + 4 + len);
            return value;
        }
    }
    return "";
}

const char *road_body(struct road_answer *answer)
{
    return buf_text(&answer->body);
}

void road_expect(struct road *road, int client, int status, const char *body)
{
    struct road_answer answer;

    road_hear(road, client, &answer);
    if (answer.status != status)
        print_message("%s%s\n", answer.head, road_body(&answer));
    assert_int_equal(answer.status, status);
    assert_true(answer.is_whole);
    if (body)
        assert_string_equal(road_body(&answer), body);
    road_answer_free(&answer);
}

void road_expect_error(struct road *road, int client, int status, const char *code)
{
    struct road_answer answer;
    char member[128];

    road_hear(road, client, &answer);
    snprintf(member, sizeof(member), "\"code\":\"%s\"", code);
    if (answer.status != status || !strstr(road_body(&answer), member))
        print_message("%s%s\n", answer.head, road_body(&answer));
    assert_int_equal(answer.status, status);
    assert_true(answer.is_whole);
    assert_non_null(strstr(road_body(&answer), member));
    assert_string_equal(road_field(&answer, "content-type"), "application/json");
    if (status == 429 || status == 503) {
        assert_string_not_equal(road_field(&answer, "retry-after"), "");
        assert_string_not_equal(road_field(&answer, "retry-after-ms"), "");
    }
    road_answer_free(&answer);
}

void road_expect_silence(struct road *road, int client)
{
    struct buf heard;

    buf_init(&heard, HEARD_MAX);
    wire_settle(road->loop);
    assert_int_equal(wire_read(client, &heard), WIRE_OPEN);
    assert_int_equal(heard.len, 0);
    buf_fini(&heard);
}

/* --- the upstream's side --- */

int road_try_accept(struct road *road, char name)
{
    wire_settle(road->loop);
    return accept4(road->upstreams[name - 'a'].listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int road_accept(struct road *road, char name)
{
    int fd = road_try_accept(road, name);

    assert_true(fd >= 0);
    wire_settle(road->loop);
    return fd;
}

char *road_request(struct road *road, int upstream)
{
    enum wire_end end;
    char *heard = wire_hear(road->loop, upstream, &end);

    assert_int_equal(end, WIRE_OPEN);
    return heard;
}

/* What the gateway said on it; NULL where it said nothing. */
static char *heard_on(struct road *road, int upstream)
{
    char *heard = wire_hear(road->loop, upstream, NULL);

    if (*heard)
        return heard;
    mem_free(heard);
    return NULL;
}

int road_attempt(struct road *road, char name, int upstream, char **ret_request)
{
    *ret_request = upstream >= 0 ? heard_on(road, upstream) : NULL;
    if (*ret_request)
        return upstream;
    if (upstream >= 0)
        close(upstream);
    upstream = road_accept(road, name);
    *ret_request = heard_on(road, upstream);
    assert_non_null(*ret_request);
    return upstream;
}

int road_attempt_with(struct road *road, char name, int upstream, const char *key)
{
    char *heard, line[128];

    upstream = road_attempt(road, name, upstream, &heard);
    snprintf(line, sizeof(line), "\r\nAuthorization: Bearer %s\r\n", key);
    if (!strstr(heard, line))
        print_message("%s\n", heard);
    assert_non_null(strstr(heard, line));
    mem_free(heard);
    return upstream;
}

void road_expect_no_attempt(struct road *road, char name, int upstream)
{
    char *heard = upstream >= 0 ? heard_on(road, upstream) : NULL;

    assert_null(heard);
    assert_int_equal(road_try_accept(road, name), -1);
}

void road_take(struct road *road, int upstream)
{
    char *heard = road_request(road, upstream);

    assert_int_equal(strncmp(heard, "POST /v1/", 9), 0);
    mem_free(heard);
}

void road_reply(struct road *road, int upstream, int status, const char *lines, const char *body)
{
    struct buf text;

    buf_init(&text, HEARD_MAX);
    buf_printf(
        &text,
        "HTTP/1.1 %d Word\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n",
        status, lines, strlen(body));
    buf_append(&text, body, strlen(body));
    assert_int_equal(text.err, 0);
    wire_write(road->loop, upstream, text.data, text.len);
    buf_fini(&text);
    wire_settle(road->loop);
}

void road_reply_ok(struct road *road, int upstream)
{
    road_reply(road, upstream, 200, "", road_ok);
}

void road_stream_head(struct road *road, int upstream)
{
    wire_say(road->loop, upstream,
             "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
             "Transfer-Encoding: chunked\r\n\r\n");
}

void road_stream(struct road *road, int upstream, const char *events)
{
    struct buf text;

    buf_init(&text, HEARD_MAX);
    buf_printf(&text, "%zx\r\n%s\r\n", strlen(events), events);
    wire_write(road->loop, upstream, text.data, text.len);
    buf_fini(&text);
    wire_settle(road->loop);
}

void road_stream_end(struct road *road, int upstream)
{
    wire_say(road->loop, upstream, "0\r\n\r\n");
}

void road_expect_closed(struct road *road, int upstream)
{
    struct buf heard;

    buf_init(&heard, HEARD_MAX);
    wire_settle(road->loop);
    assert_int_not_equal(wire_read(upstream, &heard), WIRE_OPEN);
    buf_fini(&heard);
}

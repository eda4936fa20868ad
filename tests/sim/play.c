#include "play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/err.h"

/* A Tuesday in November 2023; the wall clock starts with the virtual one. */
static const uint64_t START_US = 1700000000ull * 1000000;
static const uint64_t HOUR_US = 3600ull * 1000000;

const char play_chat[] = "/v1/chat/completions";
const char play_plain[] =
    "{\"model\": \"gpt-4.1\", \"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}";

void play_begin(struct play *play, const char *scenario)
{
    struct sim_options options = {.listen = SPAN("127.0.0.1:0"),
                                  .scenario = span_from_text(scenario)};
    struct buf complaints;

    buf_init(&complaints, 65536);
    play->loop = loop_new_virtual(START_US);
    assert_non_null(play->loop);
    if (sim_new(play->loop, &options, &complaints, &play->sim))
        fail_msg("%s", buf_text(&complaints));
    buf_fini(&complaints);
}

void play_begin_faulty(struct play *play, const char *settings, const char *faults)
{
    struct buf scenario;

    buf_init(&scenario, 65536);
    buf_printf(&scenario, "defaults: {%sfaults: [%s]}", settings, faults);
    play_begin(play, buf_text(&scenario));
    buf_fini(&scenario);
}

void play_end(struct play *play)
{
    sim_free(&play->sim);
    loop_free(&play->loop);
}

void play_wait(struct play *play, uint64_t us)
{
    uint64_t until_us = loop_now_us(play->loop) + us;

    while (loop_now_us(play->loop) < until_us)
        assert_int_equal(loop_turn(play->loop, until_us - loop_now_us(play->loop)), 0);
}

static void on_ready(struct loop_fd *fd, unsigned ready)
{
    struct caller *caller = container_of(fd, struct caller, fd);
    char piece[65536];
    ssize_t len;

    (void)ready;
    while (caller->end == CALLER_OPEN) {
        len = recv(fd->fd, piece, sizeof(piece), MSG_DONTWAIT);
        if (len > 0) {
            assert_int_equal(buf_append(&caller->got, piece, (size_t)len), 0);
            caller->last_us = loop_now_us(caller->play->loop);
            if (!caller->reads++)
                caller->first_us = caller->last_us;
        } else if (len == 0) {
            caller->end = CALLER_EOF;
        } else if (errno == EAGAIN) {
            return;
        } else {
            caller->end = CALLER_RESET;
        }
    }
}

void caller_open(struct caller *caller, struct play *play)
{
    const struct addr *addr = sim_addr(play->sim);

    *caller = (struct caller){.play = play, .began_us = loop_now_us(play->loop)};
    buf_init(&caller->got, 256 << 20);
    caller->fd = (struct loop_fd){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                                  .on_ready = on_ready};
    assert_int_equal(connect(caller->fd.fd, (const struct sockaddr *)&addr->storage, addr->len), 0);
    assert_int_equal(loop_add(play->loop, &caller->fd, false), 0);
}

void caller_send(struct caller *caller, const char *text)
{
    size_t len = strlen(text), at = 0;

    while (at < len) {
        ssize_t sent = send(caller->fd.fd, text + at, len - at, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent > 0)
            at += (size_t)sent;
        else if (errno == EAGAIN)
            loop_turn(caller->play->loop, 1000);
        else
            return; /* the simulator cut the connection: the test will see */
    }
}

void caller_post(struct caller *caller, const char *path, const char *key, const char *headers,
                 const char *body)
{
    struct buf out;

    buf_init(&out, 128 << 20);
    caller->began_us = loop_now_us(caller->play->loop);
    buf_printf(&out, "%s %s HTTP/1.1\r\nHost: sim\r\n", body ? "POST" : "GET", path);
    if (key[0])
        buf_printf(&out, "Authorization: Bearer %s\r\n", key);
    if (body)
        buf_printf(&out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
    buf_printf(&out, "%s\r\n", headers);
    if (body)
        buf_append(&out, body, strlen(body));
    caller_send(caller, buf_text(&out));
    buf_fini(&out);
}

void caller_close(struct caller *caller)
{
    loop_remove(caller->play->loop, &caller->fd);
    close(caller->fd.fd);
    buf_fini(&caller->got);
}

const char *reply_header(const struct reply *reply, const char *name)
{
    static char value[1024];
    size_t len = strlen(name);

    for (const char *line = strstr(reply->head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        const char *end = strstr(line + 2, "\r\n");

        if (!strncasecmp(line + 2, name, len) && line[2 + len] == ':' && end) {
            snprintf(value, sizeof(value), "%.*s", (int)(end - line - 4 - (ptrdiff_t)len),
                     line + 4 + len);
            return value;
        }
    }
    return "";
}

bool reply_has(const struct reply *reply, const char *text)
{
    return span_find(buf_span(&reply->body), span_from_text(text)) != SIZE_MAX;
}

/* True once the last chunk was seen. */
static bool take_chunks(struct reply *reply, struct span rest)
{
    for (;;) {
        size_t line = span_find(rest, SPAN("\r\n"));
        size_t len;

        if (line == SIZE_MAX)
            return false;
        len = strtoul(rest.ptr, NULL, 16);
        rest = span_skip(rest, line + 2);
        if (len == 0)
            return rest.len >= 2;
        buf_append(&reply->body, rest.ptr, len < rest.len ? len : rest.len);
        if (rest.len < len + 2)
            return false;
        rest = span_skip(rest, len + 2);
    }
}

static void read_reply(const struct caller *caller, struct reply *reply)
{
    struct span got = buf_span(&caller->got);
    size_t end;

    reply->status = 0;
    reply->is_whole = false;
    buf_clear(&reply->body);
    if (span_has_prefix(got, SPAN("HTTP/1.1 100 ")))
        got = span_skip(got, span_find(got, SPAN("\r\n\r\n")) + 4);
    end = span_find(got, SPAN("\r\n\r\n"));
    if (end == SIZE_MAX || !span_has_prefix(got, SPAN("HTTP/1.1 ")))
        return;
    assert_true(end + 4 < sizeof(reply->head));
    memcpy(reply->head, got.ptr, end + 4);
    reply->head[end + 4] = '\0';
    reply->status = (int)strtol(reply->head + 9, NULL, 10);
    got = span_skip(got, end + 4);
    if (!strcmp(reply_header(reply, "transfer-encoding"), "chunked")) {
        reply->is_whole = take_chunks(reply, got);
    } else {
        buf_append_span(&reply->body, got);
        reply->is_whole = got.len >= strtoul(reply_header(reply, "content-length"), NULL, 10);
    }
}

void caller_await(struct caller *caller, uint64_t max_us, struct reply *reply)
{
    uint64_t until_us = loop_now_us(caller->play->loop) + max_us;

    *reply = (struct reply){0};
    buf_init(&reply->body, 256 << 20);
    for (;;) {
        uint64_t now_us = loop_now_us(caller->play->loop);
        size_t before = caller->got.len;

        if (caller->end != CALLER_OPEN || now_us >= until_us)
            break;
        assert_int_equal(loop_turn(caller->play->loop, until_us - now_us), 0);
        if (caller->got.len != before)
            read_reply(caller, reply);
        if (reply->is_whole)
            break;
    }
    read_reply(caller, reply);
    reply->end = caller->end;
    reply->reads = caller->reads;
    reply->took_us = caller->last_us - caller->began_us;
    reply->first_byte_us = caller->first_us - caller->began_us;
}

void reply_free(struct reply *reply)
{
    buf_fini(&reply->body);
}

void play_post(struct play *play, const char *path, const char *key, const char *body,
               struct reply *reply)
{
    struct caller caller;

    caller_open(&caller, play);
    caller_post(&caller, path, key, "", body);
    caller_await(&caller, HOUR_US, reply);
    caller_close(&caller);
}

void play_get(struct play *play, const char *path, const char *key, struct reply *reply)
{
    play_post(play, path, key, NULL, reply);
}

void play_set(struct play *play, const char *key, const char *yaml)
{
    struct buf complaints;

    buf_init(&complaints, 65536);
    if (sim_set_key(play->sim, span_from_text(key), span_from_text(yaml), &complaints))
        fail_msg("%s", buf_text(&complaints));
    buf_fini(&complaints);
}

uint64_t play_count(struct play *play, const char *key, const char *name)
{
    struct buf out;
    char wanted[64];
    uint64_t count;
    const char *at;

    buf_init(&out, 1 << 20);
    assert_int_equal(sim_write_key_stats(play->sim, span_from_text(key), &out), 0);
    snprintf(wanted, sizeof(wanted), "\"%s\":", name);
    at = strstr(buf_text(&out), wanted);
    assert_non_null(at);
    count = strtoull(at + strlen(wanted), NULL, 10);
    buf_fini(&out);
    return count;
}

void caller_chat(struct caller *caller, struct play *play, const char *body)
{
    caller_open(caller, play);
    caller_post(caller, play_chat, "sk-1", "", body);
}

void caller_finish(struct caller *caller, uint64_t max_us, struct reply *reply)
{
    caller_await(caller, max_us, reply);
    caller_close(caller);
}

int play_ask(struct play *play, const char *key)
{
    struct reply reply;
    int status;

    play_post(play, play_chat, key, play_plain, &reply);
    status = reply.status;
    reply_free(&reply);
    return status;
}

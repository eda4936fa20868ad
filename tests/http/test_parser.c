/* Every message is parsed whole, cut in two at each byte, byte by byte, and with its bytes moved
 * at each cut: what the parser tells must be the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "http/parser.h"

/* What the parser told, as text: one line a head, body pieces joined. */
struct story {
    struct buf text;
    bool is_in_body;
};

static void tell_head(struct story *story, const struct http_head *head, bool is_response)
{
    if (is_response)
        buf_printf(&story->text, "%d", head->status);
    else
        buf_printf(&story->text, "%s %.*s", http_method_name(head->method), SPAN_ARG(head->target));
    buf_printf(&story->text, " 1.%u", head->minor);
    if (head->is_chunked)
        buf_printf(&story->text, " chunked");
    if (head->has_length)
        buf_printf(&story->text, " length=%llu", (unsigned long long)head->length);
    buf_printf(&story->text, "%s%s", head->is_keep_alive ? "" : " close",
               head->is_expecting_continue ? " expect" : "");
    for (size_t i = 0; i < head->field_count; i++)
        buf_printf(&story->text, " [%.*s=%.*s]", SPAN_ARG(head->fields[i].name),
                   SPAN_ARG(head->fields[i].value));
    buf_printf(&story->text, "\n");
}

struct play {
    struct http_parser parser;
    struct http_head scratch, own;
    struct story story;
    char *copy; /* of the head under way, where the play moves it */
    bool is_over;
};

/* Gives one read's bytes; they stay valid until the play's end. */
static void give(struct play *play, const char *data, size_t len)
{
    while (!play->is_over) {
        size_t used;
        enum http_event event = http_parser_run(&play->parser, &play->scratch, data, len, &used);

        data += used;
        len -= used;
        if (event == HTTP_EVENT_BODY) {
            if (!play->story.is_in_body)
                buf_printf(&play->story.text, "body ");
            play->story.is_in_body = true;
            buf_append_span(&play->story.text, play->parser.body);
            continue;
        }
        if (event == HTTP_EVENT_MORE)
            return;
        if (play->story.is_in_body)
            buf_printf(&play->story.text, "\n");
        play->story.is_in_body = false;
        if (event == HTTP_EVENT_HEAD) {
            tell_head(&play->story, play->parser.head, play->parser.is_response);
            /* Nothing may write to it any more. */
            memset(play->parser.head, 0xee, sizeof(struct http_head));
        } else if (event == HTTP_EVENT_END) {
            buf_printf(&play->story.text, "end\n");
            http_parser_reset(&play->parser);
        } else {
            buf_printf(&play->story.text, "bad %d\n", (int)play->parser.problem);
            play->is_over = true;
        }
    }
}

static void end_input(struct play *play)
{
    enum http_event event = play->is_over ? HTTP_EVENT_MORE : http_parser_finish(&play->parser);

    if (play->story.is_in_body)
        buf_printf(&play->story.text, "\n");
    if (event == HTTP_EVENT_END)
        buf_printf(&play->story.text, "end at the end\n");
    else if (event == HTTP_EVENT_BAD)
        buf_printf(&play->story.text, "cut\n");
}

static void begin(struct play *play, bool is_response)
{
    *play = (struct play){.is_over = false};
    buf_init(&play->story.text, 1 << 20);
    http_parser_init(&play->parser, is_response);
}

static char *end(struct play *play)
{
    size_t len;

    end_input(play);
    buf_append_byte(&play->story.text, '\0');
    assert_int_equal(play->story.text.err, 0);
    free(play->copy);
    return buf_take(&play->story.text, &len);
}

static char *tell_whole(const char *input, size_t len, bool is_response)
{
    struct play play;

    begin(&play, is_response);
    give(&play, input, len);
    return end(&play);
}

static char *tell_cut(const char *input, size_t len, size_t cut, bool is_response)
{
    struct play play;
    size_t at, rest = len - cut;

    begin(&play, is_response);
    give(&play, input, cut);
    if (!play.is_over && play.parser.is_in_head && play.parser.start) {
        /* As a connection does: the head so far goes elsewhere, the rest follows it there. */
        at = play.parser.head_bytes;
        play.copy = malloc(at + rest + 1);
        memcpy(play.copy, play.parser.start, at);
        memcpy(play.copy + at, input + cut, rest);
        http_parser_moved(&play.parser, &play.own, play.parser.start, play.copy);
        memset(&play.scratch, 0xee, sizeof(play.scratch));
        give(&play, play.copy + at, rest);
    } else {
        give(&play, input + cut, rest);
    }
    return end(&play);
}

static char *tell_bytewise(const char *input, size_t len, bool is_response)
{
    struct play play;

    begin(&play, is_response);
    for (size_t i = 0; i < len; i++)
        give(&play, input + i, 1);
    return end(&play);
}

static void expect_bytes(const char *input, size_t len, bool is_response, const char *story)
{
    char *told = tell_whole(input, len, is_response);

    if (strcmp(told, story) != 0)
        print_error("input:\n%.300s\n", input);
    assert_string_equal(told, story);
    free(told);
    told = tell_bytewise(input, len, is_response);
    assert_string_equal(told, story);
    free(told);
    for (size_t cut = 0; cut <= len && len < 2000; cut++) {
        told = tell_cut(input, len, cut, is_response);
        if (strcmp(told, story) != 0)
            print_error("cut at %zu of:\n%s\n", cut, input);
        assert_string_equal(told, story);
        free(told);
    }
}

static void expect_request(const char *input, const char *story)
{
    expect_bytes(input, strlen(input), false, story);
}

static void expect_answer(const char *input, const char *story)
{
    expect_bytes(input, strlen(input), true, story);
}

/* A request of one line more than a sound one. */
static void expect_bad_line(const char *line, enum http_problem problem)
{
    char input[256], story[32];

    snprintf(input, sizeof(input), "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\nhello", line);
    snprintf(story, sizeof(story), "bad %d\n", (int)problem);
    expect_request(input, story);
}

static void test_requests(void **state)
{
    expect_request(
        "GET /v1/models?x=1 HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nX-Blank: \t v \t \r\n\r\n",
        "GET /v1/models?x=1 1.1 [Host=a] [X-Empty=] [X-Blank=v]\nend\n");
    expect_request("GET / HTTP/1.1\r\nHost: a\r\nA:\r\nB:\r\nC: \r\nD: d\r\n\r\n",
                   "GET / 1.1 [Host=a] [A=] [B=] [C=] [D=d]\nend\n");
    expect_request("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
                   "GET /b HTTP/1.1\r\nHost: b\r\n\r\n",
                   "POST /a 1.1 length=5 [Host=a] [Content-Length=5]\nbody hello\nend\n"
                   "GET /b 1.1 [Host=b]\nend\n");
    expect_request("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n",
                   "GET / 1.1 [Host=a]\nend\ncut\n");
    expect_request("GET / HTTP/1.0\r\n\r\n", "GET / 1.0 close\nend\n");
    expect_request("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n",
                   "GET / 1.1 close [Host=a] [Connection=x, Close]\nend\n");
    expect_request(
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
        "POST / 1.1 length=1 expect [Host=a] [Expect=100-Continue] [Content-Length=1]\n"
        "cut\n");
    expect_request("GET / HTTP/1.1\r\nHo", "cut\n");
}

static void test_methods(void **state)
{
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    char input[128], story[64];

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        snprintf(input, sizeof(input), "%s / HTTP/1.1\r\nHost: a\r\n\r\n", known[i]);
        snprintf(story, sizeof(story), "%s / 1.1 [Host=a]\nend\n", known[i]);
        expect_request(input, story);
    }
    expect_request("CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok",
                   "OTHER a:1 1.1 length=2 [Host=a] [Content-Length=2]\nbody ok\nend\n");
    /* Upgrade is not taken: the next request is read as one. */
    expect_request("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
                   "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
                   "GET / 1.1 [Host=a] [Connection=Upgrade] [Upgrade=h2c]\nend\n"
                   "GET /2 1.1 [Host=a]\nend\n");
}

static void test_chunked_requests(void **state)
{
#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
#define STORY   "POST / 1.1 chunked [Host=a] [Transfer-Encoding=Chunked]\n"
    expect_request(CHUNKED
                   "5\r\nhello\r\n0006\r\n world\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: b\r\n\r\n",
                   STORY "body hello world\nend\nGET /b 1.1 [Host=b]\nend\n");
    expect_request(CHUNKED "A;ext=\"v\"\r\n0123456789\r\n0\r\n\r\n",
                   STORY "body 0123456789\nend\n");
    expect_request(CHUNKED "0\r\n\r\n", STORY "end\n");
    /* Trailers are dropped, not taken for fields. */
    expect_request(CHUNKED "1\r\nx\r\n0\r\nHost: b\r\nX: y\r\n\r\n"
                           "GET /b HTTP/1.1\r\nHost: b\r\n\r\n",
                   STORY "body x\nend\nGET /b 1.1 [Host=b]\nend\n");
    expect_request(CHUNKED "0\r\nContent-Length: 9\r\n\r\n", STORY "bad 2\n");
#define FRAMING STORY "bad 2\n"
    expect_request(CHUNKED "x\r\n", FRAMING);
    expect_request(CHUNKED "+5\r\nhello", FRAMING);
    expect_request(CHUNKED "-5\r\nhello", FRAMING);
    expect_request(CHUNKED "0x5\r\nhello", FRAMING);
    expect_request(CHUNKED " 5\r\nhello", FRAMING);
    expect_request(CHUNKED "5 \r\nhello", FRAMING);
    expect_request(CHUNKED "5\nhello", FRAMING);
    expect_request(CHUNKED "5\rhello", FRAMING);
    expect_request(CHUNKED "\r\nhello", FRAMING);
    expect_request(CHUNKED ";x\r\nhello", FRAMING);
    expect_request(CHUNKED "10000000000000000\r\nhello", FRAMING);
    expect_request(CHUNKED "5\r\nhelloX\r\n0\r\n\r\n", STORY "body hello\nbad 2\n");
    expect_request(CHUNKED "5\r\nhello\n0\r\n\r\n", STORY "body hello\nbad 2\n");
    expect_request(CHUNKED "5\r\nhello0\r\n\r\n", STORY "body hello\nbad 2\n");
    expect_request(CHUNKED "0\n\n", FRAMING);
    expect_request(CHUNKED "0\r\nA : b\r\n\r\n", FRAMING);
    expect_request(CHUNKED "0\r\nA: b\nC: d\r\n\r\n", FRAMING);
    expect_request(CHUNKED "0\r\nA: b\r\n folded\r\n\r\n", FRAMING);
    expect_request(CHUNKED "5;a\nb\r\nhello", FRAMING);
    expect_request(CHUNKED "5\r\nhel", STORY "body hel\ncut\n");
}

static void test_smuggling(void **state)
{
    expect_bad_line("Content-Length: 5\r\nTransfer-Encoding: chunked", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Transfer-Encoding: chunked\r\nContent-Length: 5", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Content-Length: 5\r\nContent-Length: 5", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Content-Length: 5\r\nContent-Length: 6", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Content-Length: 5, 5", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Content-Length: +5", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Content-Length: -5", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Content-Length: 0x5", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Content-Length: 5 5", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Content-Length: five", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Content-Length:", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Content-Length: ", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Content-Length: 18446744073709551616", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Transfer-Encoding: gzip", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Transfer-Encoding: identity", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Transfer-Encoding: gzip, chunked", HTTP_PROBLEM_CODING);
    expect_bad_line("Transfer-Encoding: chunked, chunked", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Transfer-Encoding: chunked, identity", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Transfer-Encoding: xchunked", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Transfer-Encoding: \"chunked\"", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Transfer-Encoding:", HTTP_PROBLEM_FRAMING);
    expect_bad_line("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                    HTTP_PROBLEM_FRAMING);
    expect_bad_line("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
                    HTTP_PROBLEM_FRAMING);
    expect_bad_line("Transfer-Encoding : chunked", HTTP_PROBLEM_SYNTAX);
    expect_bad_line("Transfer-Encoding\t: chunked", HTTP_PROBLEM_SYNTAX);
    expect_bad_line("Transfer-Encoding:\r\n chunked", HTTP_PROBLEM_SYNTAX);
    expect_bad_line("Transfer-Encoding:\x0b"
                    "chunked",
                    HTTP_PROBLEM_SYNTAX);
    expect_bad_line("X:\r\n folded", HTTP_PROBLEM_SYNTAX);
    expect_bad_line("X:\nY: b", HTTP_PROBLEM_SYNTAX);
    expect_bad_line("X: a\r\n folded: b", HTTP_PROBLEM_SYNTAX);
    expect_bad_line("X: a\r\n\tfolded", HTTP_PROBLEM_SYNTAX);
    expect_bad_line("X: a\nY: b", HTTP_PROBLEM_SYNTAX);
    expect_bad_line("X: a\rY: b", HTTP_PROBLEM_SYNTAX);
    expect_bad_line("X: a\x01", HTTP_PROBLEM_SYNTAX);
    expect_bad_line(": v", HTTP_PROBLEM_SYNTAX);
    expect_bad_line("no colon", HTTP_PROBLEM_SYNTAX);
    expect_bad_line("(x): v", HTTP_PROBLEM_SYNTAX);
    expect_bad_line("Host: b", HTTP_PROBLEM_HOST);
    expect_bad_line("Expect: 200-ok", HTTP_PROBLEM_EXPECTATION);
    expect_request("GET / HTTP/1.1\r\n\r\n", "bad 8\n");
    expect_request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "bad 2\n");
}

static void test_start_lines(void **state)
{
    expect_request("GET / HTTP/1.2\r\nHost: a\r\n\r\n", "bad 5\n");
    expect_request("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "bad 5\n");
    expect_request("GET / HTTP/0.9\r\nHost: a\r\n\r\n", "bad 5\n");
    expect_request("GET / HTTP/11\r\nHost: a\r\n\r\n", "bad 1\n");
    expect_request("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "bad 5\n");
    expect_request("GET /\r\n\r\n", "bad 5\n");
    expect_request("GET / RTSP/1.0\r\nHost: a\r\n\r\n", "bad 1\n");
    expect_request("FETCH / HTTP/1.1\r\nHost: a\r\n\r\n", "bad 1\n");
    expect_request("get / HTTP/1.1\r\nHost: a\r\n\r\n", "bad 1\n");
    expect_request("GET  HTTP/1.1\r\nHost: a\r\n\r\n", "bad 1\n");
    expect_request("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "bad 1\n");
    expect_request("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "bad 1\n");
    expect_request("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "bad 1\n");
    expect_request("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "bad 1\n");
    expect_request("GET / http/1.1\r\nHost: a\r\n\r\n", "bad 1\n");
    expect_request("GET / HTTP/1.1\nHost: a\r\n\r\n", "bad 1\n");
    expect_request("GET / HTTP/1.1\r\nHost: a\r\n\n", "bad 1\n");
    expect_request("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "bad 1\n");
    expect_request("\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "bad 1\n");
    expect_request("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "bad 1\n");
    expect_request("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", "bad 1\n");
    expect_request("HTTP/1.1 200 OK\r\n\r\n", "bad 1\n");
}

static void test_nul_bytes(void **state)
{
    static const char in_value[] = "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n";
    static const char in_name[] = "GET / HTTP/1.1\r\nHost: a\r\nX\0: ab\r\n\r\n";
    static const char in_target[] = "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n";

    expect_bytes(in_value, sizeof(in_value) - 1, false, "bad 1\n");
    expect_bytes(in_name, sizeof(in_name) - 1, false, "bad 1\n");
    expect_bytes(in_target, sizeof(in_target) - 1, false, "bad 1\n");
}

/* A head with `fields` fields besides Host, padded to `len` bytes in all (0: not). */
static void build_head(struct buf *head, size_t target_len, size_t fields, size_t len)
{
    buf_init(head, 1 << 20);
    buf_printf(head, "GET /");
    for (size_t i = 1; i < target_len; i++)
        buf_append_byte(head, 'x');
    buf_printf(head, " HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 0; i < fields; i++)
        buf_printf(head, "X: y\r\n");
    if (len) {
        buf_printf(head, "P: ");
        while (head->len < len - 4)
            buf_append_byte(head, 'p');
        buf_printf(head, "\r\n");
    }
    buf_printf(head, "\r\n");
}

static char *judge_head(size_t target_len, size_t fields, size_t len)
{
    struct buf head;
    char *whole, *bytewise;

    build_head(&head, target_len, fields, len);
    whole = tell_whole(head.data, head.len, false);
    bytewise = tell_bytewise(head.data, head.len, false);
    assert_string_equal(whole, bytewise);
    buf_fini(&head);
    free(bytewise);
    /* The end of the story is what counts. */
    memmove(whole, whole + (strlen(whole) > 6 ? strlen(whole) - 6 : 0), 7);
    return whole;
}

static void expect_limit(size_t target_len, size_t fields, size_t len, const char *tail)
{
    char *told = judge_head(target_len, fields, len);

    assert_non_null(strstr(told, tail));
    free(told);
}

static void test_limits(void **state)
{
    expect_limit(HTTP_MAX_TARGET_BYTES, 0, 0, "end\n");
    expect_limit(HTTP_MAX_TARGET_BYTES + 1, 0, 0, "bad 4\n");
    expect_limit(1, HTTP_MAX_FIELDS - 1, 0, "end\n");
    expect_limit(1, HTTP_MAX_FIELDS, 0, "bad 3\n");
    expect_limit(1, 0, HTTP_MAX_HEAD_BYTES, "end\n");
    expect_limit(1, 0, HTTP_MAX_HEAD_BYTES + 1, "bad 3\n");
    expect_limit(1, 0, HTTP_MAX_HEAD_BYTES + 5000, "bad 3\n");
}

/* A chunk extension, or a trailer, of so many bytes. */
static void expect_frame(const char *before, size_t len, const char *after, const char *tail)
{
    struct buf text;
    char *whole, *bytewise;

    buf_init(&text, 1 << 20);
    buf_printf(&text, CHUNKED "%s", before);
    for (size_t i = 0; i < len; i++)
        buf_append_byte(&text, 'e');
    buf_printf(&text, "%s", after);
    whole = tell_whole(text.data, text.len, false);
    bytewise = tell_bytewise(text.data, text.len, false);
    assert_string_equal(whole, bytewise);
    assert_non_null(strstr(whole, tail));
    free(whole);
    free(bytewise);
    buf_fini(&text);
}

static void test_endless_frames(void **state)
{
    expect_frame("1;", HTTP_MAX_FRAME_BYTES - 4, "\r\nx\r\n0\r\n\r\n", "body x\nend\n");
    expect_frame("1;", HTTP_MAX_FRAME_BYTES, "\r\nx\r\n0\r\n\r\n", "bad 2\n");
    expect_frame("0\r\nA: ", HTTP_MAX_FRAME_BYTES - 11, "\r\n\r\n", "end\n");
    expect_frame("0\r\nA: ", HTTP_MAX_FRAME_BYTES, "\r\n\r\n", "bad 2\n");
}

static void test_answers(void **state)
{
    expect_answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
                  "200 1.1 length=2 [Content-Length=2]\nbody hi\nend\n");
    expect_answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
                  "100 1.1\nend\n204 1.1\nend\n");
    expect_answer(
        "HTTP/1.1 199 Odd\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 204 No Content\r\n"
        "Transfer-Encoding: chunked\r\n\r\nHTTP/1.1 304 Not Modified\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "199 1.1 chunked [Transfer-Encoding=chunked]\nend\n"
        "204 1.1 chunked [Transfer-Encoding=chunked]\nend\n"
        "304 1.1 chunked [Transfer-Encoding=chunked]\nend\nbad 1\n");
    expect_answer("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
                  "304 1.1 length=9 [Content-Length=9]\nend\n");
    expect_answer("HTTP/1.1 200 OK\r\n\r\nto the end",
                  "200 1.1 close\nbody to the end\nend at the end\n");
    expect_answer("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
                  "200 1.0 length=0 [Connection=keep-alive] [Content-Length=0]\nend\n");
    expect_answer("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
                  "200 1.1 length=0 [Content-Length=0]\nend\n");
    expect_answer(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n",
        "200 1.1 chunked [Transfer-Encoding=chunked]\nbody hi\nend\n");
    expect_answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
                  "200 1.1 length=5 [Content-Length=5]\nbody hel\ncut\n");
    expect_answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "bad 2\n");
    expect_answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
                  "bad 2\n");
    expect_answer("HTTP/2 200\r\n\r\n", "bad 5\n");
    expect_answer("SSH-2.0-OpenSSH_9.2\r\n", "bad 1\n");
    expect_answer("HTTP/1.1 20 OK\r\n\r\n", "bad 1\n");
    expect_answer("HTTP/1.1 2000 OK\r\n\r\n", "bad 1\n");
}

static void test_answer_to_head(void **state)
{
    static const char input[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    struct http_parser parser;
    struct http_head head;
    size_t used;

    http_parser_init(&parser, true);
    parser.is_to_head_request = true;
    assert_int_equal(http_parser_run(&parser, &head, input, sizeof(input) - 1, &used),
                     HTTP_EVENT_HEAD);
    assert_int_equal(head.length, 5);
    assert_int_equal(http_parser_run(&parser, &head, input + used, 0, &used), HTTP_EVENT_END);
}

static void test_paths(void **state)
{
    static const char *const rows[][3] = {
        {"/a/b?c=d?e", "/a/b", "c=d?e"},
        {"/a", "/a", ""},
        {"http://h:80/a?b", "/a", "b"},
        {"https://h", "/", ""},
        {"*", "*", ""},
        {"/x?u=http://y/z", "/x", "u=http://y/z"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_head head = {.target = span_from_text(rows[i][0])};
        struct span query, path = http_head_path(&head, &query);

        assert_true(span_is_equal(path, span_from_text(rows[i][1])));
        assert_true(span_is_equal(query, span_from_text(rows[i][2])));
    }
}

static void test_problems_have_words(void **state)
{
    for (int i = 0; i <= HTTP_PROBLEM_HOST; i++)
        assert_true(strlen(http_problem_text((enum http_problem)i)) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_chunked_requests),
        cmocka_unit_test(test_smuggling),
        cmocka_unit_test(test_start_lines),
        cmocka_unit_test(test_nul_bytes),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_endless_frames),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_answer_to_head),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_problems_have_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

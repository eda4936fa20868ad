/* Which heads are plain, and what is read of them. That llhttp reads the same in them is what
 * test_parser and fuzz_http see: cut into pieces, each head goes through llhttp. */
#include <setjmp.h>
#include <ctype.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "http/plain_head.h"

#define REQUEST "POST /v1/chat/completions HTTP/1.1\r\n"
#define HOST    "Host: a\r\n"
#define ANSWER  "HTTP/1.1 200 OK\r\n"
#define LENGTH  "Content-Length: 7\r\n"

/* From a block of its own, so that a byte too far is found. */
static size_t read_head(const char *text, bool is_response, struct http_head *head)
{
    size_t len = strlen(text);
    char *bytes = malloc(len);
    size_t used;

    assert_non_null(bytes);
    memcpy(bytes, text, len);
    used = plain_head_read(span_of(bytes, len), is_response, head);
    free(bytes);
    return used;
}

static void test_a_request(void **state)
{
    static const char text[] =
        "POST /v1/chat/completions?a=b HTTP/1.1\r\n"
        "Host: 127.0.0.1:8080\r\n"
        "Authorization:   Bearer sk-1  \r\n"
        "Connection: Keep-Alive\r\n"
        "X-Empty:\r\n"
        "x-a-name-of-more-than-sixteen-bytes: a value of more than sixteen\r\n"
        "Content-Length: 12\r\n"
        "\r\n{\"model\":1}\n";
    struct http_head head;
    size_t len = plain_head_read(SPAN(text), false, &head);

    assert_int_equal(len, strstr(text, "\r\n\r\n") + 4 - text);
    assert_int_equal(head.method, METHOD_POST);
    assert_true(span_is_equal(head.target, SPAN("/v1/chat/completions?a=b")));
    assert_int_equal(head.minor, 1);
    assert_true(head.is_keep_alive && head.has_length && !head.is_chunked);
    assert_int_equal(head.length, 12);
    assert_int_equal(head.field_count, 6);
    assert_true(span_is_equal(http_head_get(&head, FIELD_HOST), SPAN("127.0.0.1:8080")));
    assert_true(span_is_equal(http_head_get(&head, FIELD_AUTHORIZATION), SPAN("Bearer sk-1")));
    assert_true(span_is_equal(head.fields[3].name, SPAN("X-Empty")));
    assert_non_null(head.fields[3].value.ptr);
    assert_int_equal(head.fields[3].value.len, 0);
    assert_true(span_is_equal(head.fields[4].name, SPAN("x-a-name-of-more-than-sixteen-bytes")));
    assert_true(span_is_equal(head.fields[4].value, SPAN("a value of more than sixteen")));
}

static void test_an_answer(void **state)
{
    static const char text[] = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 3\r\n"
                               "content-length: 123456789012345678\r\n\r\n";
    struct http_head head;

    assert_int_equal(plain_head_read(SPAN(text), true, &head), sizeof(text) - 1);
    assert_int_equal(head.status, 429);
    assert_true(head.length == UINT64_C(123456789012345678));
    assert_true(span_is_equal(http_head_get(&head, FIELD_RETRY_AFTER), SPAN("3")));
    assert_int_equal(head.fields[0].id, FIELD_RETRY_AFTER);
}

static void test_plain_ones(void **state)
{
    static const struct {
        const char *text;
        bool is_response;
    } rows[] = {
        {"GET / HTTP/1.1\r\n" HOST "\r\n", false},
        {"HEAD /a HTTP/1.1\r\n" HOST "\r\n", false},
        {"PUT /a HTTP/1.1\r\n" HOST "\r\n", false},
        {"PATCH /a HTTP/1.1\r\n" HOST "\r\n", false},
        {"DELETE /a#b?c HTTP/1.1\r\n" HOST "\r\n", false},
        {REQUEST HOST LENGTH "\r\n", false},
        {REQUEST "Host:\r\n\r\n", false},
        {REQUEST "Host: a b\r\n\r\n", false},
        {ANSWER LENGTH "\r\n", true},
        {ANSWER LENGTH "host: a\r\n\r\n", true},
        {"HTTP/1.1 500 \r\n" LENGTH "\r\n", true},
        {"HTTP/1.1 999 !~\r\n" LENGTH "\r\n", true},
    };
    struct http_head head;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = strlen(rows[i].text);

        assert_int_equal(read_head(rows[i].text, rows[i].is_response, &head), len);
        /* What is not whole is none, wherever it ends. */
        for (size_t part = 0; part < len; part++) {
            char *cut = strndup(rows[i].text, part);

            assert_int_equal(read_head(cut, rows[i].is_response, &head), 0);
            free(cut);
        }
    }
}

static void test_declined_requests(void **state)
{
    static const char *const texts[] = {
        "\r\n" REQUEST HOST "\r\n",
        " " REQUEST HOST "\r\n",
        "post /a HTTP/1.1\r\n" HOST "\r\n",
        "BREW /a HTTP/1.1\r\n" HOST "\r\n",
        "OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
        "GET http://a/ HTTP/1.1\r\n" HOST "\r\n",
        "GET  /a HTTP/1.1\r\n" HOST "\r\n",
        "GET /a  HTTP/1.1\r\n" HOST "\r\n",
        "GET /a b HTTP/1.1\r\n" HOST "\r\n",
        "GET /a\tHTTP/1.1\r\n" HOST "\r\n",
        "GET /\x7f HTTP/1.1\r\n" HOST "\r\n",
        "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n",
        "GET / HTTP/1.0\r\n" HOST "\r\n",
        "GET / HTTP/1.1 \r\n" HOST "\r\n",
        "GET / HTTP/1.1\n" HOST "\r\n",
        "GET HTTP/1.1\r\n" HOST "\r\n",
        REQUEST "\r\n",
        REQUEST HOST HOST "\r\n",
        REQUEST HOST "\n",
        REQUEST HOST "\rX",
        REQUEST HOST "A: b\n\r\n",
        REQUEST HOST "A: b\rc\r\n\r\n",
        REQUEST HOST "A: b\r\n c\r\n\r\n",
        REQUEST HOST "A : b\r\n\r\n",
        REQUEST HOST ": b\r\n\r\n",
        REQUEST HOST "A\r\n\r\n",
        REQUEST HOST "A_b: c\r\n\r\n", /* allowed, but no usual name */
        REQUEST HOST "A\xc3: c\r\n\r\n",
        REQUEST HOST "A: \tb\r\n\r\n",
        REQUEST HOST "A: b\tc\r\n\r\n",
        REQUEST HOST "A: \x01\r\n\r\n",
        REQUEST HOST "A: \x7f\r\n\r\n",
        REQUEST HOST "A: \xff\r\n\r\n",
        REQUEST HOST "A: 0123456789abcdef\x80\r\n\r\n",
        REQUEST HOST LENGTH LENGTH "\r\n",
        REQUEST HOST "Content-Length:\r\n\r\n",
        REQUEST HOST "Content-Length: +1\r\n\r\n",
        REQUEST HOST "Content-Length: 1, 1\r\n\r\n",
        REQUEST HOST "Content-Length: 1 1\r\n\r\n",
        REQUEST HOST "Content-Length: 0x1\r\n\r\n",
        REQUEST HOST "Content-Length: 1234567890123456789\r\n\r\n",
        REQUEST HOST "Transfer-Encoding: chunked\r\n\r\n",
        REQUEST HOST LENGTH "Transfer-Encoding: chunked\r\n\r\n",
        REQUEST HOST "Connection: close\r\n\r\n",
        REQUEST HOST "Connection: keep-alive, te\r\n\r\n",
        REQUEST HOST "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        REQUEST HOST "Upgrade: h2c\r\n\r\n",
        REQUEST HOST "Proxy-Connection: close\r\n\r\n",
        REQUEST HOST "Expect: 100-continue\r\n\r\n",
    };
    struct http_head head;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (read_head(texts[i], false, &head))
            fail_msg("not plain: %s", texts[i]);
    }
}

static void test_declined_answers(void **state)
{
    static const char *const texts[] = {
        "HTTP/1.0 200 OK\r\n" LENGTH "\r\n",
        "HTTP/2 200 OK\r\n" LENGTH "\r\n",
        "HTTP/1.1  200 OK\r\n" LENGTH "\r\n",
        "HTTP/1.1 20 OK\r\n" LENGTH "\r\n",
        "HTTP/1.1 2000 OK\r\n" LENGTH "\r\n",
        "HTTP/1.1 2x0 OK\r\n" LENGTH "\r\n",
        "HTTP/1.1 200\r\n" LENGTH "\r\n",
        "HTTP/1.1 200 O\tK\r\n" LENGTH "\r\n",
        "HTTP/1.1 100 Continue\r\n" LENGTH "\r\n",
        "HTTP/1.1 199 Early\r\n" LENGTH "\r\n",
        "HTTP/1.1 204 No Content\r\n" LENGTH "\r\n",
        "HTTP/1.1 304 Not Modified\r\n" LENGTH "\r\n",
        ANSWER "\r\n", /* it goes on until the connection ends */
        ANSWER "Transfer-Encoding: chunked\r\n\r\n",
        ANSWER LENGTH "Connection: close\r\n\r\n",
    };
    struct http_head head;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (read_head(texts[i], true, &head))
            fail_msg("not plain: %s", texts[i]);
    }
}

static size_t read_fields(size_t count, struct http_head *head)
{
    char text[4096] = REQUEST HOST;
    size_t len = strlen(text);

    for (size_t i = 1; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "a: b\r\n");
    snprintf(text + len, sizeof(text) - len, "\r\n");
    return read_head(text, false, head);
}

static bool is_taken(const char *format, const char *run)
{
    struct http_head head;
    char text[512];

    snprintf(text, sizeof(text), format, run);
    return read_head(text, false, &head) == strlen(text);
}

/* At every place of the blocks that are looked at together. */
static void test_every_byte_of_names_and_values(void **state)
{
    for (size_t at = 0; at < 40; at++) {
        char run[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

        for (unsigned byte = 1; byte < 256; byte++) {
            bool is_of_name = byte == '-' || (byte < 0x80 && isalnum((int)byte));

            run[at] = (char)byte;
            assert_true(is_taken(REQUEST HOST "X: %s\r\n\r\n", run) ==
                        (byte >= ' ' && byte <= '~'));
            /* A colon ends a name, if it is not its first byte. */
            assert_true(is_taken(REQUEST HOST "%s: a\r\n\r\n", run) ==
                        (is_of_name || (byte == ':' && at > 0)));
        }
    }
}

static void test_as_many_fields_as_a_head_holds(void **state)
{
    struct http_head head;

    assert_int_not_equal(read_fields(HTTP_MAX_FIELDS, &head), 0);
    assert_int_equal(head.field_count, HTTP_MAX_FIELDS);
    assert_int_equal(read_fields(HTTP_MAX_FIELDS + 1, &head), 0);
}

static void test_long_targets(void **state)
{
    static char text[HTTP_MAX_TARGET_BYTES + 100];
    struct http_head head;

    for (size_t len = HTTP_MAX_TARGET_BYTES; len <= HTTP_MAX_TARGET_BYTES + 1; len++) {
        memset(text, 'a', sizeof(text));
        memcpy(text, "GET /", 5);
        snprintf(text + 4 + len, 100, " HTTP/1.1\r\n" HOST "\r\n");
        assert_int_equal(read_head(text, false, &head) != 0, len == HTTP_MAX_TARGET_BYTES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request),
        cmocka_unit_test(test_an_answer),
        cmocka_unit_test(test_plain_ones),
        cmocka_unit_test(test_declined_requests),
        cmocka_unit_test(test_declined_answers),
        cmocka_unit_test(test_every_byte_of_names_and_values),
        cmocka_unit_test(test_as_many_fields_as_a_head_holds),
        cmocka_unit_test(test_long_targets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

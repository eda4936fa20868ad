/* The client's side against a server played by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"
#include "http/client.h"
#include "../io/wire.h"

enum { BIG = 3 << 20 };

/* What the client told, as text, and what the owner does about it. */
struct play {
    struct loop *loop;
    struct http_client client;
    struct http_head scratch;
    struct addr addr;
    int listener, server;
    struct buf story;
    size_t data_bytes;
    bool is_in_data, is_quiet; /* big bodies are counted, not told */
    bool closes_on_open, closes_on_head, closes_on_data, pauses_on_head;
    size_t to_send; /* bytes of request body still to be given on room */
};

static struct play *play_of(struct http_client *client)
{
    return container_of(client, struct play, client);
}

static void tell(struct play *play, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(struct play *play, const char *format, ...)
{
    va_list args;

    if (play->is_in_data)
        assert_int_equal(buf_append_byte(&play->story, '\n'), 0);
    play->is_in_data = false;
    va_start(args, format);
    assert_int_equal(buf_vprintf(&play->story, format, args), 0);
    va_end(args);
}

static void on_open(struct http_client *client)
{
    tell(play_of(client), "open\n");
    if (play_of(client)->closes_on_open)
        http_client_close(client);
}

static void on_head(struct http_client *client, const struct http_head *head)
{
    struct play *play = play_of(client);

    if (play->closes_on_head)
        http_client_close(client);
    if (play->pauses_on_head)
        http_client_pause(client);
    /* The head is looked at after the close on purpose: it is valid during the callback. */
    tell(play, "head %d", head->status);
    for (size_t i = 0; i < head->field_count; i++)
        tell(play, " %.*s=%.*s", SPAN_ARG(head->fields[i].name), SPAN_ARG(head->fields[i].value));
    tell(play, "\n");
}

static void on_data(struct http_client *client, char *data, size_t len, bool is_last)
{
    struct play *play = play_of(client);

    if (!play->is_in_data && len && !play->is_quiet)
        tell(play, "data ");
    play->data_bytes += len;
    if (len && !play->is_quiet) {
        play->is_in_data = true;
        assert_int_equal(buf_append(&play->story, data, len), 0);
    }
    memset(data, 'x', len); /* the callee may */
    if (is_last)
        tell(play, "last%s\n", http_client_is_reusable(client) ? " reusable" : "");
    if (play->closes_on_data || (is_last && !http_client_is_reusable(client)))
        http_client_close(client);
}

static void give_more(struct play *play)
{
    static char chunk[65536];

    while (play->to_send && conn_pending(&play->client.conn) == 0) {
        size_t len = play->to_send < sizeof(chunk) ? play->to_send : sizeof(chunk);
        struct iovec iov = {chunk, len};

        play->to_send -= len;
        if (http_client_send(&play->client, &iov, 1, play->to_send == 0))
            return;
    }
}

static void on_room(struct http_client *client)
{
    give_more(play_of(client));
}

static void on_fail(struct http_client *client, int err)
{
    struct play *play = play_of(client);

    assert_true(conn_is_closed(&client->conn));
    tell(play, "fail: %s%s%s\n", err_text(err), client->tls_error[0] ? ": " : "",
         client->tls_error);
}

static const struct http_client_ops ops = {
    .on_open = on_open,
    .on_head = on_head,
    .on_data = on_data,
    .on_room = on_room,
    .on_fail = on_fail,
};

static void begin(struct play *play, bool is_unix)
{
    *play = (struct play){.listener = wire_listen(is_unix, &play->addr), .server = -1};
    play->addr.len = sizeof(play->addr.storage);
    assert_int_equal(
        getsockname(play->listener, (struct sockaddr *)&play->addr.storage, &play->addr.len), 0);
    play->loop = loop_new_virtual(1000000);
    assert_non_null(play->loop);
    buf_init(&play->story, 65536);
    assert_int_equal(buf_reserve(&play->story, 65536), 0);
}

static void open_client(struct play *play)
{
    assert_int_equal(http_client_connect(&play->client, play->loop, &play->addr, NULL,
                                         span_of(NULL, 0), &play->scratch, &ops),
                     0);
    play->server = wire_accept(play->listener);
    wire_settle(play->loop);
}

static void ask(struct play *play, const char *request, bool is_head_method)
{
    struct iovec iov = {(void *)(uintptr_t)request, strlen(request)};

    http_client_begin(&play->client, is_head_method);
    assert_int_equal(http_client_send(&play->client, &iov, 1, true), 0);
    wire_settle(play->loop);
}

static void expect(struct play *play, const char *story)
{
    wire_settle(play->loop);
    if (play->is_in_data)
        tell(play, "%s", "");
    assert_string_equal(play->story.len ? buf_text(&play->story) : "", story);
    buf_clear(&play->story);
}

static void end(struct play *play)
{
    http_client_close(&play->client);
    if (play->server >= 0)
        close(play->server);
    close(play->listener);
    loop_free(&play->loop);
    buf_fini(&play->story);
}

/* A play that has asked "GET / …" on an open connection. */
static void begin_asked(struct play *play)
{
    begin(play, true);
    open_client(play);
    ask(play, "GET / HTTP/1.1\r\n\r\n", false);
    wire_expect(play->loop, play->server, "GET / HTTP/1.1\r\n\r\n", WIRE_OPEN);
    expect(play, "open\n");
}

static void test_one_after_another(void **state)
{
    struct play play;

    begin_asked(&play);
    wire_say(play.loop, play.server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n\r\nhi");
    expect(&play, "head 200 Content-Length=2 A=b\ndata hi\nlast reusable\n");
    ask(&play, "GET /2 HTTP/1.1\r\n\r\n", false);
    wire_say(play.loop, play.server, "HTTP/1.1 204 No Content\r\n\r\n");
    expect(&play, "head 204\nlast reusable\n");
    ask(&play, "HEAD /3 HTTP/1.1\r\n\r\n", true);
    wire_say(play.loop, play.server, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    expect(&play, "head 200 Content-Length=5\nlast reusable\n");
    ask(&play, "GET /4 HTTP/1.1\r\n\r\n", false);
    wire_say(play.loop, play.server,
             "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    expect(&play, "head 200 Connection=close Content-Length=0\nlast\n");
    end(&play);
}

struct answer {
    const char *bytes;
    const char *story;
    bool is_ended; /* the server closes behind it */
};

static const struct answer answers[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
     "head 200 Content-Length=5 X=y\ndata hello\nlast reusable\n", false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x\r\nlo\r\n0\r\nT: "
     "u\r\n\r\n",
     "head 200 Transfer-Encoding=chunked\ndata hello\nlast reusable\n", false},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
     "head 200 Content-Length=2\ndata ok\nlast reusable\n", false},
    {"HTTP/1.1 429 Too Many\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
     "head 429 Retry-After=1 Content-Length=0\nlast reusable\n", false},
    {"HTTP/1.1 200 OK\r\n\r\nuntil the end", "head 200\ndata until the end\nlast\n", true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
     "head 200 Content-Length=9\ndata short\nfail: connection reset\n", true},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
     "head 200 Transfer-Encoding=chunked\ndata hello\nfail: connection reset\n", true},
    {"HTTP/1.1 200 OK\r\nContent-Le", "fail: connection reset\n", true},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "fail: protocol violation\n", false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
     "fail: protocol violation\n", false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\n",
     "head 200 Transfer-Encoding=chunked\ndata hi\nfail: protocol violation\n", false},
};

static void test_every_cut(void **state)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        const struct answer *answer = &answers[i];

        for (size_t cut = 0; cut <= strlen(answer->bytes); cut++) {
            struct play play;

            begin_asked(&play);
            wire_write(play.loop, play.server, answer->bytes, cut);
            wire_settle(play.loop);
            wire_say(play.loop, play.server, answer->bytes + cut);
            if (answer->is_ended)
                shutdown(play.server, SHUT_WR);
            expect(&play, answer->story);
            end(&play);
        }
    }
}

/* An end that comes with the bytes, in one event. */
static void test_end_with_the_answer(void **state)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct play play;

        if (!answers[i].is_ended)
            continue;
        begin_asked(&play);
        assert_true(send(play.server, answers[i].bytes, strlen(answers[i].bytes), 0) > 0);
        close(play.server);
        play.server = -1;
        expect(&play, answers[i].story);
        end(&play);
    }
}

static void test_answer_and_close_is_not_reusable(void **state)
{
    struct play play;

    begin_asked(&play);
    assert_true(send(play.server, answers[0].bytes, strlen(answers[0].bytes), 0) > 0);
    close(play.server);
    play.server = -1;
    expect(&play, "head 200 Content-Length=5 X=y\ndata hello\nlast\n");
    end(&play);
}

static void test_bytes_that_nobody_asked_for(void **state)
{
    struct play play;

    begin_asked(&play);
    wire_say(play.loop, play.server, "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
    expect(&play, "head 204\nlast\n");
    end(&play);

    begin_asked(&play);
    wire_say(play.loop, play.server, "HTTP/1.1 204 No Content\r\n\r\n");
    expect(&play, "head 204\nlast reusable\n");
    wire_say(play.loop, play.server, "HTTP/1.1 408 Request Timeout\r\n\r\n");
    expect(&play, "fail: protocol violation\n");
    end(&play);
}

static void test_idle_end(void **state)
{
    struct play play;

    begin_asked(&play);
    wire_say(play.loop, play.server, "HTTP/1.1 204 No Content\r\n\r\n");
    close(play.server);
    play.server = -1;
    expect(&play, "head 204\nlast reusable\nfail: closed by the peer\n");
    assert_false(http_client_is_reusable(&play.client));
    end(&play);
}

static void test_gone_before_a_byte(void **state)
{
    struct play play;

    begin_asked(&play);
    close(play.server);
    play.server = -1;
    expect(&play, "fail: closed by the peer\n");
    assert_false(play.client.has_byte);
    end(&play);
}

static void test_resets(void **state)
{
    struct play play;

    begin(&play, false);
    open_client(&play);
    ask(&play, "GET / HTTP/1.1\r\n\r\n", false);
    wire_reset(play.server);
    play.server = -1;
    expect(&play, "open\nfail: connection reset\n");
    assert_false(play.client.has_byte);
    end(&play);

    begin(&play, false);
    open_client(&play);
    ask(&play, "GET / HTTP/1.1\r\n\r\n", false);
    wire_say(play.loop, play.server, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    wire_reset(play.server);
    play.server = -1;
    expect(&play, "open\nhead 200 Content-Length=5\ndata hel\nfail: connection reset\n");
    assert_true(play.client.has_byte);
    end(&play);
}

static void test_refused(void **state)
{
    struct play play;
    int err;

    begin(&play, false);
    close(play.listener);
    err = http_client_connect(&play.client, play.loop, &play.addr, NULL, span_of(NULL, 0),
                              &play.scratch, &ops);
    if (err)
        assert_int_equal(err, ERR_REFUSED);
    else
        expect(&play, "fail: connection refused\n");
    play.listener = wire_listen(true, &play.addr);
    end(&play);
}

/* The server says no and closes while most of the request is still ours: its answer is shown. */
static void check_early_answer(bool gives_on)
{
    struct play play;

    begin(&play, false);
    open_client(&play);
    http_client_begin(&play.client, false);
    play.to_send = 16 * BIG; /* more than the kernel takes in */
    give_more(&play);
    assert_true(conn_pending(&play.client.conn) > 0);
    if (!gives_on)
        play.to_send = 0;
    wire_settle(play.loop);
    assert_true(send(play.server, "HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno", 40, 0) == 40);
    close(play.server); /* unread bytes: this resets the connection */
    play.server = -1;
    if (gives_on) {
        /* Before the loop has seen anything, the owner goes on: its write breaks. */
        struct iovec iov = {(void *)(uintptr_t) "x", 1};

        buf_fini(&play.client.conn.out);
        (void)http_client_send(&play.client, &iov, 1, true); /* it is told now or later */
        play.to_send = 0;
    }
    expect(&play, "open\nhead 413 Content-Length=2\ndata no\nlast\n");
    end(&play);
}

static void test_early_answer(void **state)
{
    check_early_answer(false);
    check_early_answer(true);
}

static void test_early_answer_on_a_healthy_connection(void **state)
{
    struct play play;

    begin(&play, true);
    open_client(&play);
    http_client_begin(&play.client, false);
    play.to_send = BIG;
    give_more(&play);
    wire_say(play.loop, play.server, "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n");
    expect(&play, "open\nhead 401 Content-Length=0\nlast\n");
    assert_false(http_client_is_reusable(&play.client));
    end(&play);
}

/* No event comes of our own limit: the failure is told all the same, and not before send returns.
 */
static void test_too_much_at_once(void **state)
{
    static char lump[CONN_OUT_MAX + (8 << 20)];
    struct iovec iov = {lump, sizeof(lump)};
    struct play play;

    begin(&play, true);
    open_client(&play);
    http_client_begin(&play.client, false);
    assert_int_equal(http_client_send(&play.client, &iov, 1, true), ERR_FULL);
    assert_string_equal(buf_text(&play.story), "open\n");
    expect(&play, "open\nfail: limit reached\n");
    end(&play);
}

static void test_big_request(void **state)
{
    struct play play;
    enum wire_end wire_end;
    char *heard;

    begin(&play, true);
    open_client(&play);
    http_client_begin(&play.client, false);
    play.to_send = BIG;
    give_more(&play);
    /* No more than one piece beyond what the socket takes is kept. */
    assert_in_range(conn_pending(&play.client.conn), 1, 65536);
    assert_true(play.to_send > BIG / 2);
    heard = wire_hear(play.loop, play.server, &wire_end);
    mem_free(heard);
    assert_int_equal(play.to_send, 0);
    assert_int_equal(conn_pending(&play.client.conn), 0);
    assert_null(play.client.conn.out.data);
    wire_say(play.loop, play.server, "HTTP/1.1 204 No Content\r\n\r\n");
    expect(&play, "open\nhead 204\nlast reusable\n");
    end(&play);
}

static void test_pause(void **state)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 3145728\r\n\r\n";
    static char body[65536];
    struct play play;
    size_t sent = 0, at_pause;
    ssize_t n;

    begin_asked(&play);
    play.is_quiet = play.pauses_on_head = true;
    wire_say(play.loop, play.server, head);
    while ((n = send(play.server, body, sizeof(body), 0)) > 0)
        sent += (size_t)n;
    wire_settle(play.loop);
    at_pause = play.data_bytes;
    assert_int_equal(at_pause, 0);
    assert_true(sent < BIG); /* it is the server that waits */
    http_client_resume(&play.client);
    wire_settle(play.loop);
    assert_int_equal(play.data_bytes, sent);
    while (sent < BIG) {
        size_t len = BIG - sent < sizeof(body) ? BIG - sent : sizeof(body);

        wire_write(play.loop, play.server, body, len);
        sent += len;
    }
    expect(&play, "head 200 Content-Length=3145728\nlast reusable\n");
    assert_int_equal(play.data_bytes, BIG);
    end(&play);
}

/* The end comes while the owner does not read: it is found after the bytes before it. */
static void test_end_while_paused(void **state)
{
    struct play play;

    begin_asked(&play);
    http_client_pause(&play.client);
    wire_say(play.loop, play.server, "HTTP/1.1 200 OK\r\n\r\nsome bytes");
    close(play.server);
    play.server = -1;
    expect(&play, "");
    http_client_resume(&play.client);
    expect(&play, "head 200\ndata some bytes\nlast\n");
    end(&play);
}

static void test_closing_in_callbacks(void **state)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    struct play play;

    begin(&play, true);
    play.closes_on_open = true;
    open_client(&play);
    expect(&play, "open\n");
    end(&play);
    for (size_t cut = 0; cut < sizeof(answer); cut++) {
        begin_asked(&play);
        play.closes_on_head = true;
        wire_write(play.loop, play.server, answer, cut);
        wire_settle(play.loop);
        wire_say(play.loop, play.server, answer + cut);
        expect(&play, "head 200 Content-Length=5\n");
        end(&play);

        begin_asked(&play);
        play.closes_on_data = true;
        wire_write(play.loop, play.server, answer, cut);
        wire_settle(play.loop);
        wire_say(play.loop, play.server, answer + cut);
        wire_settle(play.loop);
        assert_non_null(strstr(buf_text(&play.story), "head 200 Content-Length=5\ndata h"));
        assert_null(strstr(buf_text(&play.story), "fail"));
        end(&play);
    }
}

/* Everything that allocates fails once, at each place: nothing leaks, nothing is told twice. */
static void test_without_memory(void **state)
{
    if (!wire_can_fail())
        skip();
    for (long after = 0;; after++) {
        struct play play;
        bool is_over;
        int err;

        begin(&play, true);
        mem_fail_after(after);
        err = http_client_connect(&play.client, play.loop, &play.addr, NULL, span_of(NULL, 0),
                                  &play.scratch, &ops);
        if (!err) {
            play.is_quiet = true;
            play.server = wire_accept(play.listener);
            http_client_begin(&play.client, false);
            play.to_send = 1 << 20;
            loop_turn(play.loop, 0);
            give_more(&play);
            loop_turn(play.loop, 0);
            send(play.server, "HTTP/1.1 200 OK\r\nContent-", 25, MSG_NOSIGNAL);
            loop_turn(play.loop, 0);
            send(play.server, "Length: 2\r\n\r\nhi", 15, MSG_NOSIGNAL);
            for (int i = 0; i < 10; i++)
                loop_turn(play.loop, 0);
        }
        is_over = mem_fail_is_pending();
        mem_fail_after(-1);
        end(&play);
        if (is_over)
            break;
        assert_in_range(after, 0, 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_after_another),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_end_with_the_answer),
        cmocka_unit_test(test_answer_and_close_is_not_reusable),
        cmocka_unit_test(test_bytes_that_nobody_asked_for),
        cmocka_unit_test(test_idle_end),
        cmocka_unit_test(test_gone_before_a_byte),
        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_early_answer_on_a_healthy_connection),
        cmocka_unit_test(test_too_much_at_once),
        cmocka_unit_test(test_big_request),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_end_while_paused),
        cmocka_unit_test(test_closing_in_callbacks),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

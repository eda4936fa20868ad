/* Our client against our server, plain and over TLS: big bodies both ways, keep-alive, and what the
 * client is told where TLS fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/err.h"
#include "house.h"
#include "http/client.h"
#include "../io/certs.h"
#include "../io/wire.h"

enum { BIG = 3 << 20 };

struct caller {
    struct http_client client;
    struct http_head scratch;
    struct house house;
    struct certs certs;
    struct tls_context *client_tls;
    struct addr addr;
    int listener;
    size_t to_send, got;
    int status, err, answers;
    char why[TLS_ERROR_BYTES];
};

static struct caller *caller_of(struct http_client *client)
{
    return container_of(client, struct caller, client);
}

static void give(struct caller *caller)
{
    static char piece[40000];

    while (caller->to_send && conn_pending(&caller->client.conn) == 0) {
        size_t len = caller->to_send < sizeof(piece) ? caller->to_send : sizeof(piece);
        struct iovec iov = {piece, len};

        caller->to_send -= len;
        assert_int_equal(http_client_send(&caller->client, &iov, 1, caller->to_send == 0), 0);
    }
}

static void ask(struct caller *caller, const char *path, size_t body)
{
    char head[200];
    struct iovec iov = {head, 0};

    iov.iov_len = (size_t)snprintf(
        head, sizeof(head), "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
        path, body);
    caller->got = 0;
    caller->to_send = body;
    http_client_begin(&caller->client, false);
    assert_int_equal(http_client_send(&caller->client, &iov, 1, body == 0), 0);
    give(caller);
}

static void on_open(struct http_client *client)
{
    caller_of(client)->status = -1;
}

static void on_head(struct http_client *client, const struct http_head *head)
{
    caller_of(client)->status = head->status;
}

static void on_data(struct http_client *client, char *data, size_t len, bool is_last)
{
    (void)data;
    caller_of(client)->got += len;
    caller_of(client)->answers += is_last;
    if (is_last && !http_client_is_reusable(client))
        http_client_close(client);
}

static void on_room(struct http_client *client)
{
    give(caller_of(client));
}

static void on_fail(struct http_client *client, int err)
{
    caller_of(client)->err = err;
    snprintf(caller_of(client)->why, TLS_ERROR_BYTES, "%s", client->tls_error);
}

static const struct http_client_ops ops = {
    .on_open = on_open,
    .on_head = on_head,
    .on_data = on_data,
    .on_room = on_room,
    .on_fail = on_fail,
};

static void begin(struct caller *caller, bool is_tls)
{
    *caller = (struct caller){.err = 0};
    house_begin(&caller->house);
    caller->listener = wire_listen(true, &caller->addr);
    certs_make(&caller->certs);
    if (is_tls) {
        struct tls_server_options server = {caller->certs.server, caller->certs.server_key};
        struct tls_client_options client = {.ca_path = caller->certs.ca};
        char error[TLS_ERROR_BYTES];

        assert_int_equal(tls_server_context_new(&server, error, &caller->house.server.tls), 0);
        assert_int_equal(tls_client_context_new(&client, error, &caller->client_tls), 0);
    }
}

static void call(struct caller *caller, const char *name)
{
    assert_int_equal(http_client_connect(&caller->client, caller->house.loop, &caller->addr,
                                         caller->client_tls, span_from_text(name), &caller->scratch,
                                         &ops),
                     0);
    assert_int_equal(
        http_server_accept(&caller->house.server, wire_accept(caller->listener), &caller->addr), 0);
    wire_settle(caller->house.loop);
}

static void await(struct caller *caller, int answers)
{
    for (int i = 0; i < 5000 && caller->answers < answers && !caller->err; i++)
        assert_int_equal(loop_turn(caller->house.loop, 0), 0);
    assert_int_equal(caller->answers, answers);
}

static void end(struct caller *caller)
{
    struct tls_context *server_tls = caller->house.server.tls;

    http_client_close(&caller->client);
    wire_settle(caller->house.loop);
    house_end(&caller->house);
    tls_context_unref(&server_tls);
    tls_context_unref(&caller->client_tls);
    certs_remove(&caller->certs);
    close(caller->listener);
}

static void check_talk(bool is_tls)
{
    struct caller caller;

    begin(&caller, is_tls);
    call(&caller, "localhost");
    assert_int_equal(caller.status, -1);
    ask(&caller, "/echo", BIG);
    await(&caller, 1);
    assert_int_equal(caller.status, 200);
    assert_int_equal(caller.got, BIG + 5);
    ask(&caller, "/chunks", 10);
    await(&caller, 2);
    assert_int_equal(caller.got, 3 + 12 + 5);
    ask(&caller, "/big", 0);
    await(&caller, 3);
    assert_int_equal(caller.got, caller.house.big_bytes);
    assert_true(http_client_is_reusable(&caller.client));
    assert_int_equal(caller.house.server.conn_count, 1);
    /* The server goes: the idle connection is told. */
    http_server_close_idle(&caller.house.server);
    wire_settle(caller.house.loop);
    assert_int_equal(caller.err, is_tls ? ERR_RESET : ERR_EOF);
    end(&caller);
}

static void test_plain(void **state)
{
    check_talk(false);
}

static void test_tls(void **state)
{
    check_talk(true);
}

static void test_tls_resumes(void **state)
{
    struct caller caller;

    begin(&caller, true);
    for (int i = 0; i < 3; i++) {
        call(&caller, "localhost");
        ask(&caller, "/echo", 1);
        await(&caller, i + 1);
        assert_int_equal(conn_is_resumed(&caller.client.conn), i > 0);
        http_client_close(&caller.client);
        wire_settle(caller.house.loop);
        assert_int_equal(caller.house.server.conn_count, 0);
    }
    end(&caller);
}

static void test_tls_failure_has_words(void **state)
{
    struct caller caller;

    begin(&caller, true);
    call(&caller, "example.org");
    assert_int_equal(caller.err, ERR_TLS);
    assert_non_null(strstr(caller.why, "ostname mismatch"));
    assert_int_equal(caller.house.server.conn_count, 0);
    end(&caller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_tls_resumes),
        cmocka_unit_test(test_tls_failure_has_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

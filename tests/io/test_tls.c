/* TLS on both sides of a connection, over a wire played by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <pthread.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"
#include "talk.h"
#include "wire.h"

static void test_talking(void **state)
{
    struct talk talk;

    talk_begin(&talk);
    talk_meet(&talk, "localhost");
    assert_true(talk.client.is_open && talk.server.is_open);
    end_say(&talk.client, "hello");
    end_say(&talk.server, "welcome");
    talk_converse(&talk, SIZE_MAX);
    end_expect_heard(&talk.server, "hello");
    end_expect_heard(&talk.client, "welcome");
    end_say(&talk.client, "and so on");
    talk_converse(&talk, SIZE_MAX);
    end_expect_heard(&talk.server, "and so on");
    assert_null(talk.client.conn.out.data);
    talk_end(&talk);
}

static void test_any_cut(void **state)
{
    for (size_t most = 1; most < 1400; most = most * 3 / 2 + 1) {
        struct talk talk;

        talk_begin(&talk);
        talk_connect_client(&talk, "localhost");
        talk_accept_server(&talk);
        talk_converse(&talk, most);
        assert_true(talk.client.is_open && talk.server.is_open);
        end_say(&talk.client, "hello");
        end_say(&talk.server, "welcome");
        talk_converse(&talk, most);
        end_expect_heard(&talk.server, "hello");
        end_expect_heard(&talk.client, "welcome");
        conn_shutdown(&talk.client.conn);
        talk_converse(&talk, most);
        assert_int_equal(talk.server.err, ERR_EOF);
        talk_end(&talk);
    }
}

/* The last flight of the handshake, data and the end in one event. */
static void test_everything_at_once(void **state)
{
    struct talk talk;

    talk_begin(&talk);
    talk_connect_client(&talk, "localhost");
    talk_accept_server(&talk);
    for (int i = 0; i < 10 && !talk.client.is_open; i++) {
        wire_settle(talk.loop);
        if (talk_carry(&talk.to_client, &talk.to_server, SIZE_MAX))
            wire_settle(talk.loop);
        talk_carry(&talk.to_server, &talk.to_client, SIZE_MAX);
        loop_turn(talk.loop, 0);
    }
    assert_true(talk.client.is_open && !talk.server.is_open);
    end_say(&talk.client, "hello");
    conn_shutdown(&talk.client.conn);
    while (talk_carry(&talk.to_client, &talk.to_server, SIZE_MAX)) {
    }
    wire_settle(talk.loop);
    assert_true(talk.server.is_open);
    end_expect_heard(&talk.server, "hello");
    assert_int_equal(talk.server.err, ERR_EOF);
    talk_end(&talk);
}

static void test_big_transfers(void **state)
{
    enum { BIG = 6 << 20 };
    struct talk talk;

    talk_begin(&talk);
    talk_connect_client(&talk, "localhost");
    talk_accept_server(&talk);
    talk.client.to_send = talk.server.to_send = BIG;
    talk.server.is_reading_paused = true;
    talk_converse(&talk, SIZE_MAX);
    /* The server does not read: the client waits, and keeps no more than one piece. */
    assert_int_equal(talk.server.in.len, 0);
    assert_true(talk.client.to_send > BIG / 2);
    assert_in_range(talk.client.most_pending, 1, 40000);
    talk.server.is_reading_paused = false;
    end_take(&talk.server);
    talk_converse(&talk, 50000);
    assert_int_equal(talk.server.in.len, BIG);
    assert_int_equal(talk.client.in.len, BIG);
    talk_end(&talk);
}

/* --- ends --- */

static void test_close_notify(void **state)
{
    struct talk talk;

    talk_begin(&talk);
    talk_meet(&talk, "localhost");
    end_say(&talk.server, "bye");
    conn_shutdown(&talk.server.conn);
    talk_converse(&talk, SIZE_MAX);
    end_expect_heard(&talk.client, "bye");
    assert_int_equal(talk.client.err, ERR_EOF);
    /* Our own direction still stands. */
    end_say(&talk.client, "good bye");
    talk_converse(&talk, SIZE_MAX);
    end_expect_heard(&talk.server, "good bye");
    talk_end(&talk);
}

static void test_cut_without_close_notify(void **state)
{
    struct talk talk;

    talk_begin(&talk);
    talk_meet(&talk, "localhost");
    end_say(&talk.server, "half of i");
    talk_converse(&talk, SIZE_MAX);
    talk_hang_up(&talk.to_client);
    wire_settle(talk.loop);
    end_expect_heard(&talk.client, "half of i");
    assert_int_equal(talk.client.err, ERR_RESET);
    talk_end(&talk);
}

static void test_forged_record(void **state)
{
    struct talk talk;

    talk_begin(&talk);
    talk_meet(&talk, "localhost");
    end_say(&talk.client, "true");
    talk_converse(&talk, SIZE_MAX);
    wire_write(talk.loop, talk.to_server,
               "\x17\x03\x03\x00\x20"
               "forged record of thirty-two bytes",
               37);
    wire_settle(talk.loop);
    end_expect_heard(&talk.server, "true");
    assert_int_equal(talk.server.err, ERR_TLS);
    assert_true(strlen(talk.server.why) > 0);
    talk_end(&talk);
}

static void test_plain_bytes(void **state)
{
    struct talk talk;

    talk_begin(&talk);
    talk_accept_server(&talk);
    wire_say(talk.loop, talk.to_server, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(talk.server.err, ERR_TLS);
    assert_false(talk.server.is_open);
    talk_part(&talk);
    talk_connect_client(&talk, "localhost");
    wire_say(talk.loop, talk.to_client, "HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_int_equal(talk.client.err, ERR_TLS);
    talk_end(&talk);
}

static void test_leaving_in_the_handshake(void **state)
{
    struct talk talk;

    talk_begin(&talk);
    talk_connect_client(&talk, "localhost");
    talk_accept_server(&talk);
    wire_settle(talk.loop);
    talk_hang_up(&talk.to_client);
    talk_hang_up(&talk.to_server);
    wire_settle(talk.loop);
    assert_int_equal(talk.client.err, ERR_RESET);
    assert_int_equal(talk.server.err, ERR_RESET);
    talk_end(&talk);
}

/* --- threads --- */

enum { THREADS = 4, MEETINGS = 15 };

/* A worker of its own that shares the contexts, and with them the session to resume. */
static void *meet_often(void *arg)
{
    const struct talk *shared = arg;
    struct talk talk = {.to_client = -1, .to_server = -1};

    talk.client_tls = tls_context_ref(shared->client_tls);
    talk.server_tls = tls_context_ref(shared->server_tls);
    talk.loop = loop_new_virtual(1000000);
    talk.listener = wire_listen(true, &talk.addr);
    for (int i = 0; i < MEETINGS; i++) {
        talk_meet(&talk, "localhost");
        end_say(&talk.client, "hello");
        end_say(&talk.server, "welcome");
        talk_converse(&talk, SIZE_MAX);
        end_expect_heard(&talk.server, "hello");
        end_expect_heard(&talk.client, "welcome");
        talk_part(&talk);
    }
    close(talk.listener);
    loop_free(&talk.loop);
    tls_context_unref(&talk.server_tls);
    tls_context_unref(&talk.client_tls);
    return NULL;
}

static void test_shared_by_threads(void **state)
{
    pthread_t threads[THREADS];
    struct talk talk;

    talk_begin(&talk);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, meet_often, &talk), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    talk_end(&talk);
}

/* --- without memory --- */

/* A handshake and a greeting, as far as they come. */
static void meet_without_memory(struct talk *talk)
{
    struct iovec iov = {(void *)(uintptr_t) "hello", 5};
    struct buf client_in, server_in;
    int fds[2];

    end_init(&talk->client);
    end_init(&talk->server);
    buf_init(&client_in, 1 << 16);
    server_in = client_in;
    assert_int_equal(buf_reserve(&client_in, 1 << 16), 0);
    assert_int_equal(buf_reserve(&server_in, 1 << 16), 0);
    talk->client.in = client_in;
    talk->server.in = server_in;
    wire_pair(fds);
    talk->to_server = fds[1];
    mem_fail_after(talk->fail_after);
    if (conn_connect(&talk->client.conn, talk->loop, &talk->addr, talk->client_tls,
                     SPAN("localhost"), &talk_ops) == 0)
        talk->to_client = wire_accept(talk->listener);
    (void)conn_accept(&talk->server.conn, talk->loop, fds[0], talk->server_tls, &talk_ops);
    talk_converse(talk, 700);
    if (talk->client.is_open && !talk->client.err)
        (void)conn_send(&talk->client.conn, &iov, 1);
    talk_converse(talk, 700);
}

static void test_without_memory(void **state)
{
    struct talk talk;
    bool is_over = false;

    if (!wire_can_fail())
        skip();
    talk_begin(&talk);
    while (!is_over) {
        meet_without_memory(&talk);
        is_over = mem_fail_is_pending();
        mem_fail_after(-1);
        if (is_over)
            end_expect_heard(&talk.server, "hello");
        talk_part(&talk);
        close(talk.listener); /* with a connection that nobody took, perhaps */
        talk.listener = wire_listen(true, &talk.addr);
        assert_in_range(++talk.fail_after, 0, 1000);
    }
    talk_end(&talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_talking),
        cmocka_unit_test(test_any_cut),
        cmocka_unit_test(test_everything_at_once),
        cmocka_unit_test(test_big_transfers),
        cmocka_unit_test(test_close_notify),
        cmocka_unit_test(test_cut_without_close_notify),
        cmocka_unit_test(test_forged_record),
        cmocka_unit_test(test_plain_bytes),
        cmocka_unit_test(test_leaving_in_the_handshake),
        cmocka_unit_test(test_shared_by_threads),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

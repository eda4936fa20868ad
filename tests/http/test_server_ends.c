/* How connections end: clients that leave, lingering, draining, and callbacks that
 * close. On virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "house.h"
#include "../io/wire.h"

#define OK(length) "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: " length "\r\n"
#define BAD                                                                                        \
    "HTTP/1.1 400 Bad Request\r\nDate: D\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbad"
#define GET(path)  "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path) "POST " path " HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"

static void begin(struct house *house)
{
    house_begin(house);
    house_connect(house);
}

static void leave(struct house *house)
{
    close(house->hand);
    house->hand = -1;
    wire_settle(house->loop);
}

/* --- lingering --- */

static void test_lingering_ends_with_the_client(void **state)
{
    struct house house;

    begin(&house);
    house_say(&house, "GET\r\n\r\n");
    house_expect_end(&house, BAD);
    house_say(&house, "still talking");
    assert_int_equal(house.server.conn_count, 1);
    leave(&house);
    house_expect_story(&house, "bad 0 1\nclosed\n");
    house_end(&house);
}

static void test_lingering_ends_after_two_seconds(void **state)
{
    struct house house;

    begin(&house);
    house_say(&house, "GET\r\n\r\n");
    house_expect_end(&house, BAD);
    for (int i = 0; i < 19; i++) {
        wire_pass(house.loop, 100000);
        house_say(&house, "still talking");
    }
    assert_int_equal(house.server.conn_count, 1);
    wire_pass(house.loop, 200000);
    assert_int_equal(house.server.conn_count, 0);
    house_end(&house);
}

static void test_lingering_ends_after_a_mebibyte(void **state)
{
    static char piece[65536];
    struct house house;
    size_t sent = 0;

    begin(&house);
    house_say(&house, "GET\r\n\r\n");
    house_expect_end(&house, BAD);
    while (house.server.conn_count && sent < 16 << 20) {
        wire_write(house.loop, house.hand, piece, sizeof(piece));
        sent += sizeof(piece);
        wire_settle(house.loop);
    }
    assert_in_range(sent, (1 << 20) - 65536, (1 << 20) + (1 << 19));
    house_end(&house);
}

/* Over TCP a close with bytes unread resets the connection, and the answer is lost: the client must
 * get it although it sends on all the time. */
static void test_the_answer_survives(void **state)
{
    static char piece[65536];
    struct house house;
    enum wire_end end;
    char *heard;

    house_begin(&house);
    house_connect_tcp(&house);
    house_say(
        &house,
        "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 800000\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 12; i++)
        wire_write(house.loop, house.hand, piece, sizeof(piece));
    heard = wire_hear(house.loop, house.hand, &end);
    assert_int_equal(end, WIRE_EOF);
    assert_non_null(strstr(heard, "401 Unauthorized"));
    mem_free(heard);
    house_end(&house);
}

/* --- clients that leave --- */

static void test_leaving(void **state)
{
    static const char *const rows[][2] = {
        {"", "closed\n"},
        {"GET /ec", "closed\n"},
        {POST("/echo") "hel", "head POST /echo\ngone: closed by the peer\nclosed\n"},
        {GET("/hold"), "head GET /hold\nend\ngone: connection reset\nclosed\n"},
        {GET("/echo"), "head GET /echo\nend\nclosed\n"},
        {GET("/big"), "head GET /big\nend\ngone: connection reset\nclosed\n"},
        {POST("/slow") "he", "head POST /slow\ngone: connection reset\nclosed\n"},
        {POST("/drop") "hello", "head POST /drop\ngone: connection reset\nclosed\n"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct house house;

        begin(&house);
        house_say(&house, rows[i][0]);
        leave(&house);
        house_expect_story(&house, rows[i][1]);
        assert_int_equal(house.server.conn_count, 0);
        house_end(&house);

        /* The same with the request and the end in one event. */
        begin(&house);
        assert_true(send(house.hand, rows[i][0], strlen(rows[i][0]), 0) >= 0);
        leave(&house);
        wire_settle(house.loop);
        assert_int_equal(house.server.conn_count, 0);
        house_end(&house);
    }
}

static void test_reset_while_waiting(void **state)
{
    struct house house;

    house_begin(&house);
    house.server.is_half_close_answered = true;
    house_connect_tcp(&house);
    house_say(&house, GET("/hold"));
    assert_int_equal(shutdown(house.hand, SHUT_WR), 0);
    house_expect_story(&house, "head GET /hold\nend\n");
    wire_reset(house.hand);
    house.hand = -1;
    house_expect_story(&house, "gone: connection reset\nclosed\n");
    house_end(&house);
}

static void test_half_close_aborts(void **state)
{
    struct house house;

    begin(&house);
    house_say(&house, GET("/hold"));
    assert_int_equal(shutdown(house.hand, SHUT_WR), 0);
    house_expect_story(&house, "head GET /hold\nend\ngone: closed by the peer\nclosed\n");
    house_end(&house);
}

static void test_half_close_is_answered(void **state)
{
    struct house house;

    begin(&house);
    house.server.is_half_close_answered = true;
    house_say(&house, GET("/hold") GET("/hold?2") GET("/echo"));
    assert_int_equal(shutdown(house.hand, SHUT_WR), 0);
    wire_settle(house.loop);
    house_answer(&house, "one");
    wire_settle(house.loop);
    house_answer(&house, "two");
    house_expect_end(&house, OK("3") "\r\none" OK("3") "\r\ntwo" OK("4") "\r\nGET ");
    house_expect_story(&house, "head GET /hold\nend\nhead GET /hold?2\nend\n"
                               "head GET /echo\nend\nclosed\n");
    house_end(&house);
}

static void test_half_close_behind_a_cut_body(void **state)
{
    struct house house;

    begin(&house);
    house.server.is_half_close_answered = true;
    house_say(&house, POST("/echo") "hel");
    assert_int_equal(shutdown(house.hand, SHUT_WR), 0);
    house_expect_story(&house, "head POST /echo\ngone: closed by the peer\nclosed\n");
    house_end(&house);
}

/* What was answered whole still reaches a client that has ended its side, in either policy. */
static void check_tail(bool is_answered)
{
    static char body[1 << 20];
    struct house house;
    enum wire_end end;
    char *heard;

    begin(&house);
    memset(body, 'x', sizeof(body) - 1);
    house.server.is_half_close_answered = is_answered;
    house_say(&house, GET("/hold"));
    house_answer(&house, body);
    assert_int_equal(shutdown(house.hand, SHUT_WR), 0);
    heard = wire_hear(house.loop, house.hand, &end);
    assert_int_equal(end, WIRE_EOF);
    assert_int_equal(strlen(strstr(heard, "\r\n\r\n")), sizeof(body) - 1 + 4);
    mem_free(heard);
    house_expect_story(&house, "head GET /hold\nend\nclosed\n");
    house_end(&house);
}

static void test_the_tail_reaches_a_half_closed_client(void **state)
{
    check_tail(false);
    check_tail(true);
}

/* --- closing --- */

static void test_draining(void **state)
{
    struct house house;
    int idle, waiting;

    begin(&house);
    house_say(&house, GET("/echo"));
    house_expect(&house, OK("4") "\r\nGET ");
    idle = house.hand;
    house.hand = -1;
    house_connect(&house);
    house_say(&house, GET("/hold"));
    waiting = house.hand;
    house.hand = -1;
    http_server_begin_closing(&house.server);
    wire_expect(house.loop, idle, "", WIRE_OPEN);
    house_answer(&house, "bye");
    wire_expect(house.loop, waiting, OK("3") "Connection: close\r\n\r\nbye", WIRE_EOF);
    wire_say(house.loop, idle, GET("/echo"));
    wire_expect(house.loop, idle, OK("4") "Connection: close\r\n\r\nGET ", WIRE_EOF);
    close(idle);
    close(waiting);
    wire_settle(house.loop);
    assert_int_equal(house.server.conn_count, 0);
    house_end(&house);
}

static void test_closing_idle_connections(void **state)
{
    struct house house;
    int idle;

    begin(&house);
    idle = house.hand;
    house.hand = -1;
    house_connect(&house);
    house_say(&house, GET("/hold"));
    http_server_close_idle(&house.server);
    wire_expect(house.loop, idle, "", WIRE_EOF);
    assert_int_equal(house.server.conn_count, 1);
    house_answer(&house, "ok");
    house_expect(&house, OK("2") "\r\nok");
    close(idle);
    house_end(&house);
}

static void test_server_that_ends(void **state)
{
    struct house house;

    begin(&house);
    house_say(&house, GET("/hold"));
    http_server_fini(&house.server);
    house_expect_story(&house, "head GET /hold\nend\ngone: cancelled\nclosed\n");
    house_expect_end(&house, "");
    house_end(&house);
}

static void test_aborting(void **state)
{
    static const char *const rows[][2] = {
        {POST("/abort-head") "hello" GET("/echo"), "head POST /abort-head\nclosed\n"},
        {POST("/abort-body") "hello" GET("/echo"), "head POST /abort-body\nclosed\n"},
        {POST("/abort-end") "hello" GET("/echo"), "head POST /abort-end\nend\nclosed\n"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t cut = 0; cut <= strlen(rows[i][0]); cut++) {
            struct house house;

            begin(&house);
            wire_write(house.loop, house.hand, rows[i][0], cut);
            wire_settle(house.loop);
            house_say(&house, rows[i][0] + cut);
            house_expect_story(&house, rows[i][1]);
            house_end(&house);
        }
    }
}

static void test_aborting_on_room_and_on_bad(void **state)
{
    struct house house;
    char *heard;

    begin(&house);
    house_say(&house, GET("/abort-room"));
    heard = wire_hear(house.loop, house.hand, NULL);
    assert_true(strlen(heard) < house.big_bytes);
    mem_free(heard);
    house_expect_story(&house, "head GET /abort-room\nend\nclosed\n");
    house_connect(&house);
    house.is_bad_early = true;
    house_say(&house, "nonsense\r\n\r\n");
    house_expect_story(&house, "bad 0 1\nclosed\n");
    house_expect_end(&house, "");
    house_end(&house);
}

/* Without a length, only a reset tells the client that the answer was cut. */
static void test_abort_without_a_length(void **state)
{
    struct http_answer head = {.status = 200, .length = HTTP_LENGTH_UNKNOWN};
    struct house house;
    struct buf heard;

    house_begin(&house);
    house_connect_tcp(&house);
    house_say(&house, "GET /hold HTTP/1.0\r\n\r\n");
    http_server_answer(house.conn, &head, SPAN("half of it"), false);
    wire_settle(house.loop);
    house_abort(&house);
    buf_init(&heard, 4096);
    assert_int_equal(wire_read(house.hand, &heard), WIRE_RESET);
    buf_fini(&heard);
    house_end(&house);
}

/* --- without memory --- */

static void talk_without_memory(struct house *house)
{
    struct addr peer = {.len = 0};
    int fds[2];

    wire_pair(fds);
    house->hand = fds[1];
    if (http_server_accept(&house->server, fds[0], &peer))
        return;
    loop_turn(house->loop, 0);
    send(house->hand, "POST /echo HTTP/1.1\r\nHo", 23, MSG_NOSIGNAL);
    loop_turn(house->loop, 0);
    send(house->hand,
         "st: a\r\nContent-Length: 5\r\n\r\nhelloGET /big HTTP/1.1\r\nHost: a\r\n\r\n"
         "GET /echo HTTP/1.1\r\n",
         80, MSG_NOSIGNAL);
    for (int i = 0; i < 40; i++) {
        char piece[65536];

        loop_turn(house->loop, 0);
        (void)!recv(house->hand, piece, sizeof(piece), 0);
    }
}

static void test_without_memory(void **state)
{
    if (!wire_can_fail())
        skip();
    for (long after = 0;; after++) {
        struct house house;
        bool is_over;

        house_begin(&house);
        house.big_bytes = 1 << 20;
        mem_fail_after(after);
        talk_without_memory(&house);
        is_over = mem_fail_is_pending();
        mem_fail_after(-1);
        house_end(&house);
        if (is_over)
            break;
        assert_in_range(after, 0, 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lingering_ends_with_the_client),
        cmocka_unit_test(test_lingering_ends_after_two_seconds),
        cmocka_unit_test(test_lingering_ends_after_a_mebibyte),
        cmocka_unit_test(test_the_answer_survives),
        cmocka_unit_test(test_leaving),
        cmocka_unit_test(test_reset_while_waiting),
        cmocka_unit_test(test_half_close_aborts),
        cmocka_unit_test(test_half_close_is_answered),
        cmocka_unit_test(test_half_close_behind_a_cut_body),
        cmocka_unit_test(test_the_tail_reaches_a_half_closed_client),
        cmocka_unit_test(test_draining),
        cmocka_unit_test(test_closing_idle_connections),
        cmocka_unit_test(test_server_that_ends),
        cmocka_unit_test(test_aborting),
        cmocka_unit_test(test_aborting_on_room_and_on_bad),
        cmocka_unit_test(test_abort_without_a_length),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

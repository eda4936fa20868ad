/* The server's side against a client played by hand: what each request becomes, wherever it is cut.
 * Time-outs, ends and backpressure are in test_server_ends.c. */
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

static void test_one_after_another(void **state)
{
    struct house house;

    house_begin(&house);
    house_connect(&house);
    house_say(&house, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    house_expect(&house, OK("4") "\r\nGET ");
    house_say(&house, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    house_expect(&house, OK("10") "\r\nPOST hello");
    house_expect_story(&house, "head GET /echo\nend\nhead POST /echo\nend\n");
    assert_int_equal(house.server.conn_count, 1);
    house_end(&house);
}

/* Requests and what is answered to them; is_closed: our side ends behind it. */
struct talk {
    const char *asked;
    const char *answered;
    bool is_closed;
};

static const struct talk talks[] = {
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
     "GET /chunks HTTP/1.1\r\nHost: a\r\n\r\n"
     "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: u\r\n\r\n"
     "HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\n\r\n",
     OK("10") "\r\nPOST hello"
              "HTTP/1.1 200 OK\r\nDate: D\r\nTransfer-Encoding: chunked\r\nX-Kind: chunks\r\n\r\n"
              "3\r\none\r\nc\r\nand a second\r\n5\r\nthree\r\n0\r\n\r\n" OK(
                  "12") "\r\nPOST abcdefg" OK("5") "\r\n"
                                                   "HTTP/1.1 204 No Content\r\nDate: D\r\n\r\n",
     false},
    {"GET /echo HTTP/1.0\r\n\r\n", OK("4") "Connection: close\r\n\r\nGET ", true},
    {"GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /echo HTTP/1.0\r\n\r\n",
     OK("4") "Connection: close\r\n\r\nGET ", true},
    {"GET /chunks HTTP/1.0\r\n\r\n",
     "HTTP/1.1 200 OK\r\nDate: D\r\nConnection: close\r\nX-Kind: chunks\r\n\r\noneand a "
     "secondthree",
     true},
    {"HEAD /chunks HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 200 OK\r\nDate: D\r\nTransfer-Encoding: chunked\r\nX-Kind: chunks\r\n\r\n", false},
    {"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /echo HTTP/1.1\r\nHost: "
     "a\r\n\r\n",
     OK("4") "Connection: close\r\n\r\nGET ", true},
    /* Refused at the head: the body is read and dropped, and the connection lives on. */
    {"POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
     "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 401 Unauthorized\r\nDate: D\r\nContent-Length: 2\r\n\r\nno" OK("4") "\r\nGET ",
     false},
    {"POST /now HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
     "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 401 Unauthorized\r\nDate: D\r\nContent-Length: 2\r\n\r\nno" OK("4") "\r\nGET ",
     false},
    {"POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
     "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n",
     OK("5") "\r\nearly" OK("4") "\r\nGET ", false},
    /* A body too large to be dropped: the answer says so. */
    {"POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\nhello",
     "HTTP/1.1 401 Unauthorized\r\nDate: D\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
     true},
    {"POST /continue HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
     "HTTP/1.1 100 Continue\r\n\r\n" OK("10") "\r\nPOST hello", false},
    {"POST /continue HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
     OK("10") "\r\nPOST hello", false},
    {"POST /continue HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
     OK("10") "Connection: close\r\n\r\nPOST hello", true},
    /* Refused while the client waits for 100: it may send the body or not, so nothing may follow.
     */
    {"POST /now HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
     "HTTP/1.1 401 Unauthorized\r\nDate: D\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
     true},
    {"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "", false},
    {"GET /echo HTTP/1.1\r\n\r\n", BAD, true},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: "
     "chunked\r\n\r\n0\r\n\r\n",
     BAD, true},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n", BAD,
     true},
    {"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n\x16\x03\x01garbage", OK("4") "\r\nGET " BAD, true},
    /* Answered already, then the body turns out to be malformed. */
    {"POST /now HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n",
     "HTTP/1.1 401 Unauthorized\r\nDate: D\r\nContent-Length: 2\r\n\r\nno", true},
};

static void check_talk(const struct talk *talk, size_t cut)
{
    struct house house;

    house_begin(&house);
    house_connect(&house);
    wire_write(house.loop, house.hand, talk->asked, cut);
    wire_settle(house.loop);
    house_say(&house, talk->asked + cut);
    wire_expect(house.loop, house.hand, talk->answered, talk->is_closed ? WIRE_EOF : WIRE_OPEN);
    assert_int_equal(house.server.conn_count, 1); /* lingering, or alive */
    if (talk->is_closed) {
        close(house.hand);
        house.hand = -1;
        wire_settle(house.loop);
        assert_int_equal(house.server.conn_count, 0);
    }
    house_end(&house);
}

static void test_every_cut(void **state)
{
    for (size_t i = 0; i < sizeof(talks) / sizeof(talks[0]); i++) {
        for (size_t cut = 0; cut <= strlen(talks[i].asked); cut++)
            check_talk(&talks[i], cut);
    }
}

static void test_byte_by_byte(void **state)
{
    for (size_t i = 0; i < sizeof(talks) / sizeof(talks[0]); i++) {
        struct house house;

        house_begin(&house);
        house_connect(&house);
        for (const char *at = talks[i].asked; *at; at++)
            wire_write(house.loop, house.hand, at, 1);
        wire_expect(house.loop, house.hand, talks[i].answered,
                    talks[i].is_closed ? WIRE_EOF : WIRE_OPEN);
        house_end(&house);
    }
}

static void test_pipelined_requests_wait_their_turn(void **state)
{
    struct house house;

    house_begin(&house);
    house_connect(&house);
    house_say(&house, "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
                      "GET /hold?2 HTTP/1.1\r\nHost: a\r\n\r\nGET /echo?3 HTTP/1.1\r\nHo");
    house_expect_story(&house, "head POST /hold\nend\n");
    house_say(&house, "st: a\r\n\r\n");
    house_expect_story(&house, "");
    house_answer(&house, "first");
    house_expect(&house, OK("5") "\r\nfirst");
    house_expect_story(&house, "head GET /hold?2\nend\n");
    house_answer(&house, "second");
    house_expect(&house, OK("6") "\r\nsecond" OK("4") "\r\nGET ");
    house_expect_story(&house, "head GET /echo?3\nend\n");
    house_end(&house);
}

/* A client that asks and asks but takes no answer is not read any further. */
static void test_pipelining_without_reading(void **state)
{
    static const char request[] = "GET /lump HTTP/1.1\r\nHost: a\r\n\r\n";
    struct house house;
    size_t most = 0;
    int asked = 0;

    house_begin(&house);
    house_connect(&house);
    house.big_bytes = 60000;
    while (asked < 1000 && send(house.hand, request, sizeof(request) - 1, 0) > 0) {
        asked++;
        wire_settle(house.loop);
        if (house.conn && http_server_pending(house.conn) > most)
            most = http_server_pending(house.conn);
        buf_clear(&house.story);
    }
    assert_in_range(most, 1, 65536);
    house_end(&house);
}

static void test_many_pipelined(void **state)
{
    static const char request[] = "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n";
    struct house house;
    struct buf heard;
    int asked = 0;

    house_begin(&house);
    house_connect(&house);
    buf_init(&heard, 1 << 24);
    while (asked < 20000) {
        wire_write(house.loop, house.hand, request, sizeof(request) - 1);
        asked++;
        buf_clear(&house.story);
        if (asked % 50 == 0)
            assert_int_equal(wire_read(house.hand, &heard), WIRE_OPEN);
    }
    wire_settle(house.loop);
    assert_int_equal(wire_read(house.hand, &heard), WIRE_OPEN);
    assert_int_equal(heard.len % 20000, 0);
    buf_fini(&heard);
    house_end(&house);
}

static void test_problems_reach_the_handler(void **state)
{
    static const struct {
        const char *request;
        const char *story;
    } rows[] = {
        {"GET /\x01 HTTP/1.1\r\n", "bad 0 1\nclosed\n"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n", "bad 0 2\nclosed\n"},
        {"GET / HTTP/1.3\r\n", "bad 0 5\nclosed\n"},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
         "bad 0 6\nclosed\n"},
        {"POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", "bad 0 7\nclosed\n"},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "bad 0 8\nclosed\n"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct house house;

        house_begin(&house);
        house_connect(&house);
        house_say(&house, rows[i].request);
        house_expect_end(&house, BAD);
        close(house.hand);
        house.hand = -1;
        house_expect_story(&house, rows[i].story);
        house_end(&house);
    }
}

/* Fields, or one field, or a target, until it is too much. */
static void test_giant_heads(void **state)
{
    static const struct {
        const char *begin, *more;
        const char *story;
    } rows[] = {
        {"GET /echo HTTP/1.1\r\nHost: a\r\n", "X: y\r\n", "bad 0 3\n"},
        {"GET /echo HTTP/1.1\r\nHost: a\r\nX: ", "0123456789", "bad 0 3\n"},
        {"GET /", "0123456789", "bad 0 4\n"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct house house;

        house_begin(&house);
        house_connect(&house);
        house_say(&house, rows[i].begin);
        for (int n = 0; n < 7000; n++)
            wire_write(house.loop, house.hand, rows[i].more, strlen(rows[i].more));
        house_expect_end(&house, BAD);
        house_expect_story(&house, rows[i].story);
        house_end(&house);
    }
}

static void test_pause_and_resume(void **state)
{
    static char piece[65536];
    struct house house;
    size_t sent = 0;
    char *heard;
    ssize_t n;

    house_begin(&house);
    house_connect(&house);
    house.is_quiet = true;
    house_say(&house, "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 3145728\r\n\r\n");
    while ((n = send(house.hand, piece, sizeof(piece), 0)) > 0)
        sent += (size_t)n;
    wire_settle(house.loop);
    assert_true(sent < 3145728 / 2); /* the client waits */
    assert_int_equal(send(house.hand, piece, 1, 0), -1);
    http_server_resume(house.conn);
    while (sent < 3145728) {
        size_t len = 3145728 - sent < sizeof(piece) ? 3145728 - sent : sizeof(piece);

        wire_write(house.loop, house.hand, piece, len);
        sent += len;
    }
    heard = wire_hear(house.loop, house.hand, NULL);
    assert_non_null(strstr(heard, "\r\n\r\nPOST "));
    mem_free(heard);
    house_expect_story(&house, "head POST /slow\nend\n");
    house_end(&house);
}

static void test_big_answer(void **state)
{
    struct house house;
    char *heard;

    house_begin(&house);
    house_connect(&house);
    house_say(&house, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_in_range(http_server_pending(house.conn), 1, 65536);
    heard = wire_hear(house.loop, house.hand, NULL);
    assert_non_null(strstr(heard, "Content-Length: 4194304\r\n\r\n"));
    mem_free(heard);
    assert_true(house.rooms > 10);
    house_say(&house, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    house_expect(&house, OK("4") "\r\nGET ");
    house_end(&house);
}

static void test_discarded_body(void **state)
{
    struct house house;

    house_begin(&house);
    house_connect(&house);
    house_say(&house, "POST /drop HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
    house_say(&house, "lo");
    house_expect_story(&house, "head POST /drop\n");
    house_answer(&house, "dropped");
    house_expect(&house, OK("7") "\r\ndropped");
    house_say(&house, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    house_expect(&house, OK("4") "\r\nGET ");
    house_end(&house);
}

/* Too much to drop: it waits in the socket, and the connection ends behind the answer. */
static void test_discarded_body_has_a_limit(void **state)
{
    static char piece[65536];
    struct house house;
    size_t sent = 0;
    ssize_t n;

    house_begin(&house);
    house_connect(&house);
    house_say(&house,
              "POST /drop HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n");
    for (int i = 0; i < 200; i++) {
        while ((n = send(house.hand, piece, sizeof(piece), 0)) > 0)
            sent += (size_t)n;
        wire_settle(house.loop);
    }
    assert_in_range(sent, 1 << 20, 3 << 20);
    house_answer(&house, "enough");
    house_expect_end(&house, OK("6") "Connection: close\r\n\r\nenough");
    house_end(&house);
}

static void test_virtual_date(void **state)
{
    struct house house;
    char *heard;

    house_begin(&house);
    house_connect(&house);
    house_say(&house, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    heard = wire_hear(house.loop, house.hand, NULL);
    assert_non_null(strstr(heard, "\r\nDate: Thu, 01 Jan 1970 00:00:01 GMT\r\n"));
    mem_free(heard);
    wire_pass(house.loop, 59000000);
    house_say(&house, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    heard = wire_hear(house.loop, house.hand, NULL);
    assert_non_null(strstr(heard, "\r\nDate: Thu, 01 Jan 1970 00:01:00 GMT\r\n"));
    mem_free(heard);
    house_end(&house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_after_another),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_pipelined_requests_wait_their_turn),
        cmocka_unit_test(test_pipelining_without_reading),
        cmocka_unit_test(test_many_pipelined),
        cmocka_unit_test(test_problems_reach_the_handler),
        cmocka_unit_test(test_giant_heads),
        cmocka_unit_test(test_pause_and_resume),
        cmocka_unit_test(test_big_answer),
        cmocka_unit_test(test_discarded_body),
        cmocka_unit_test(test_discarded_body_has_a_limit),
        cmocka_unit_test(test_virtual_date),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

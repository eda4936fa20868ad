/* Connections on which nothing happens, or too little. On virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "base/clock.h"
#include "house.h"
#include "../io/wire.h"

#define OK(length) "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: " length "\r\n"
#define LATE                                                                                       \
    "HTTP/1.1 408 Request Timeout\r\nDate: D\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbad"
#define GET(path)  "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path) "POST " path " HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"

static void begin(struct house *house)
{
    house_begin(house);
    house_connect(house);
}

static void pass(struct house *house, unsigned seconds)
{
    wire_pass(house->loop, seconds * US_PER_SEC);
}

static void test_silent_connection(void **state)
{
    struct house house;

    begin(&house);
    pass(&house, 9);
    house_expect(&house, "");
    pass(&house, 2);
    house_expect_end(&house, "");
    house_expect_story(&house, "closed\n");
    house_end(&house);
}

static void test_slow_head(void **state)
{
    struct house house;

    begin(&house);
    for (int i = 0; i < 9; i++) {
        house_say(&house, i ? "X: y\r\n" : "GET / HTTP/1.1\r\n");
        pass(&house, 1);
    }
    house_expect(&house, "");
    pass(&house, 2); /* each byte came in time; the head did not */
    house_expect_end(&house, LATE);
    house_expect_story(&house, "bad 1 0\n");
    house_end(&house);
}

static void test_slow_body(void **state)
{
    struct house house;

    begin(&house);
    house_say(&house, POST("/echo"));
    for (int i = 0; i < 4; i++) {
        pass(&house, 59); /* slow, but it goes on */
        house_say(&house, "x");
    }
    house_expect(&house, "");
    pass(&house, 61);
    house_expect_end(&house, LATE);
    house_expect_story(&house, "head POST /echo\nbad 2 0\n");
    house_end(&house);
}

static void test_paused_body_is_not_late(void **state)
{
    struct house house;

    begin(&house);
    house_say(&house, POST("/slow"));
    pass(&house, 500);
    http_server_resume(house.conn);
    pass(&house, 50);
    house_say(&house, "hello");
    house_expect(&house, OK("10") "\r\nPOST hello");
    house_end(&house);
}

static void test_body_late_after_the_answer(void **state)
{
    struct house house;

    begin(&house);
    house_say(&house, POST("/now"));
    house_expect(&house, "HTTP/1.1 401 Unauthorized\r\nDate: D\r\nContent-Length: 2\r\n\r\nno");
    pass(&house, 61);
    house_expect_end(&house, "");
    pass(&house, 3);
    house_expect_story(&house, "head POST /now\nclosed\n");
    house_end(&house);
}

static void test_waiting_has_no_limit(void **state)
{
    struct house house;

    begin(&house);
    house_say(&house, GET("/hold"));
    pass(&house, 100000);
    house_answer(&house, "at last");
    house_expect(&house, OK("7") "\r\nat last");
    house_end(&house);
}

static void test_idle(void **state)
{
    struct house house;

    begin(&house);
    house_say(&house, GET("/echo"));
    house_expect(&house, OK("4") "\r\nGET ");
    pass(&house, 74);
    house_say(&house, GET("/echo"));
    house_expect(&house, OK("4") "\r\nGET ");
    pass(&house, 74);
    assert_int_equal(house.server.conn_count, 1);
    pass(&house, 2);
    house_expect_end(&house, "");
    house_end(&house);
}

static void test_no_limits(void **state)
{
    struct house house;

    begin(&house);
    house.server.header_timeout_us = house.server.body_timeout_us = 0;
    house.server.write_timeout_us = house.server.idle_timeout_us = 0;
    house_connect(&house);
    house_say(&house, GET("/echo"));
    house_expect(&house, OK("4") "\r\nGET ");
    pass(&house, 1000);
    house_say(&house, POST("/echo"));
    pass(&house, 1000);
    house_say(&house, "hello");
    house_expect(&house, OK("10") "\r\nPOST hello");
    house_end(&house);
}

static void test_client_that_takes_nothing(void **state)
{
    struct house house;

    begin(&house);
    house_say(&house, GET("/big"));
    pass(&house, 59);
    house_expect_story(&house, "head GET /big\nend\n");
    pass(&house, 2);
    house_expect_story(&house, "gone: timed out\nclosed\n");
    house_end(&house);
}

static void test_client_that_takes_a_little(void **state)
{
    struct house house;
    char piece[65536];

    begin(&house);
    house_say(&house, GET("/big"));
    for (int i = 0; i < 40; i++) {
        pass(&house, 50);
        assert_true(recv(house.hand, piece, sizeof(piece), 0) > 0);
    }
    assert_int_equal(house.server.conn_count, 1);
    pass(&house, 120);
    house_expect_story(&house, "head GET /big\nend\ngone: timed out\nclosed\n");
    house_end(&house);
}

/* The answer was given whole, and the client takes none of it. */
static void test_nothing_of_the_tail_taken(void **state)
{
    struct house house;

    begin(&house);
    house.is_quiet = true;
    house.big_bytes = 1;
    house_say(&house, GET("/hold"));
    {
        static char body[1 << 20];

        memset(body, 'x', sizeof(body) - 1);
        house_answer(&house, body);
    }
    pass(&house, 59);
    assert_int_equal(house.server.conn_count, 1);
    pass(&house, 2);
    assert_int_equal(house.server.conn_count, 0);
    house_expect_story(&house, "head GET /hold\nend\nclosed\n");
    house_end(&house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silent_connection),
        cmocka_unit_test(test_slow_head),
        cmocka_unit_test(test_slow_body),
        cmocka_unit_test(test_paused_body_is_not_late),
        cmocka_unit_test(test_body_late_after_the_answer),
        cmocka_unit_test(test_waiting_has_no_limit),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_no_limits),
        cmocka_unit_test(test_client_that_takes_nothing),
        cmocka_unit_test(test_client_that_takes_a_little),
        cmocka_unit_test(test_nothing_of_the_tail_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

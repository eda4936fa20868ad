#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/err.h"
#include "io/addr.h"

static void test_round_trips(void **state)
{
    static const char *const texts[] = {"127.0.0.1:80", "0.0.0.0:0", "[::1]:65535",
                                        "[2001:db8::1]:443", "unix:/run/bellwether.sock"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char text[ADDR_TEXT_BYTES];
        struct addr addr;

        assert_int_equal(addr_parse(span_from_text(texts[i]), &addr), 0);
        addr_write(&addr, text);
        assert_string_equal(text, texts[i]);
    }
}

static void test_refusals(void **state)
{
    static const char *const texts[] = {"",
                                        "localhost:80",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "127.0.0.1:65536",
                                        "127.0.0.1:-1",
                                        "127.0.0.1:8x",
                                        ":80",
                                        "::1:80",
                                        "[::1]",
                                        "[::1:80",
                                        "[127.0.0.1]:80",
                                        "[]:80",
                                        "256.0.0.1:80",
                                        "127.0.0.1:80 ",
                                        "unix:",
                                        "1.2.3:80"};
    struct addr addr;
    char long_path[200];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(addr_parse(span_from_text(texts[i]), &addr), ERR_SYNTAX);
    memset(long_path, 'x', sizeof(long_path));
    memcpy(long_path, "unix:", 5);
    assert_int_equal(addr_parse(span_of(long_path, 5 + 107), &addr), 0);
    assert_int_equal(addr_parse(span_of(long_path, 5 + 108), &addr), ERR_SYNTAX);
}

static void test_kinds(void **state)
{
    static const struct {
        const char *text, *ip;
        bool is_loopback, is_unix;
        uint16_t port;
    } rows[] = {
        {"127.0.0.1:1", "127.0.0.1", true, false, 1},
        {"127.255.0.9:2", "127.255.0.9", true, false, 2},
        {"128.0.0.1:3", "128.0.0.1", false, false, 3},
        {"0.0.0.0:4", "0.0.0.0", false, false, 4},
        {"[::1]:5", "::1", true, false, 5},
        {"[::]:6", "::", false, false, 6},
        {"[::ffff:127.0.0.1]:7", "::ffff:127.0.0.1", true, false, 7},
        {"[::ffff:8.8.8.8]:8", "::ffff:8.8.8.8", false, false, 8},
        {"unix:/x", "unix", true, true, 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char ip[ADDR_TEXT_BYTES];
        struct addr addr;

        assert_int_equal(addr_parse(span_from_text(rows[i].text), &addr), 0);
        addr_write_ip(&addr, ip);
        assert_string_equal(ip, rows[i].ip);
        assert_int_equal(addr_is_loopback(&addr), rows[i].is_loopback);
        assert_int_equal(addr_is_unix(&addr), rows[i].is_unix);
        assert_int_equal(addr_port(&addr), rows[i].port);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_kinds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

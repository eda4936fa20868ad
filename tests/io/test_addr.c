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

/* The first and the last of each special network, and their neighbours. */
static void test_public(void **state)
{
    static const char *const inside[] = {
        "1.0.0.0",          "8.8.8.8",         "9.255.255.255",   "11.0.0.0",
        "100.63.255.255",   "100.128.0.0",     "126.255.255.255", "128.0.0.0",
        "168.63.129.15",    "168.63.129.17",   "169.253.255.255", "169.255.0.0",
        "172.15.255.255",   "172.32.0.0",      "192.0.1.0",       "192.0.3.0",
        "192.88.98.255",    "192.88.100.0",    "192.167.255.255", "192.169.0.0",
        "198.17.255.255",   "198.20.0.0",      "198.51.99.255",   "198.51.101.0",
        "203.0.112.255",    "203.0.114.0",     "223.255.255.255", "2000::",
        "2001:200::1",      "2001:4860::8888", "2001:db7::1",     "2001:db9::1",
        "2606:4700::1111",  "3ffe:ffff::1",    "3fff:1000::1",    "::ffff:8.8.8.8",
        "64:ff9b::808:808", "2002:808:808::1",
    };
    static const char *const outside[] = {
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.100.100.200",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "168.63.129.16",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.0",
        "192.0.0.255",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.255",
        "224.0.0.0",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "::808:808",
        "1fff:ffff::1",
        "2001::1",
        "2001:1ff::1",
        "2001:db8::1",
        "3fff::1",
        "3fff:fff::1",
        "4000::1",
        "5f00::1",
        "64:ff9b:1::1",
        "100::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::1",
        "2002:c0a8:101::1",
        "::ffff:0:a00:1",
    };
    struct addr addr;

    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        assert_int_equal(addr_from_ip(span_from_text(inside[i]), 80, &addr), 0);
        if (!addr_is_public(&addr))
            fail_msg("%s is public", inside[i]);
    }
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        assert_int_equal(addr_from_ip(span_from_text(outside[i]), 80, &addr), 0);
        if (addr_is_public(&addr))
            fail_msg("%s is not public", outside[i]);
    }
    assert_int_equal(addr_parse(SPAN("unix:/x"), &addr), 0);
    assert_false(addr_is_public(&addr));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_public),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

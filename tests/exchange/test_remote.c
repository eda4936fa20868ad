/* Whose request it was, behind proxies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "exchange/remote.h"

enum { NETWORKS = 2 };

static struct conf_network networks[NETWORKS];
static const char nobody[] = "the peer";

/* The remote of a request from the peer with these X-Forwarded-For fields. */
static const char *find(const char *peer, const char *first, const char *second)
{
    static char ip[INET6_ADDRSTRLEN];
    static struct http_head head;
    struct conf_networks trusted = {networks, NETWORKS};
    struct addr addr;

    assert_int_equal(conf_network_parse(SPAN("10.0.0.0/8"), &networks[0]), 0);
    assert_int_equal(conf_network_parse(SPAN("fd00::/8"), &networks[1]), 0);
    assert_int_equal(addr_parse(span_from_text(peer), &addr), 0);
    head.field_count = 3;
    head.fields[0].id = FIELD_X_FORWARDED_FOR;
    head.fields[0].value = span_from_text(first);
    head.fields[1].id = FIELD_HOST;
    head.fields[1].value = SPAN("9.9.9.9");
    head.fields[2].id = second ? FIELD_X_FORWARDED_FOR : FIELD_OTHER;
    head.fields[2].value = span_from_text(second);
    return remote_find(&trusted, &addr, &head, ip) ? ip : nobody;
}

static void test_trusted_peer(void **state)
{
    (void)state;
    assert_string_equal(find("10.1.1.1:80", "1.2.3.4", NULL), "1.2.3.4");
    assert_string_equal(find("[fd00::1]:80", "2001:db8::7", NULL), "2001:db8::7");
    assert_string_equal(find("10.1.1.1:80", "1.2.3.4:5678", NULL), "1.2.3.4");
    assert_string_equal(find("10.1.1.1:80", "[2001:db8::7]:443", NULL), "2001:db8::7");
}

/* What a client wrote itself stands further left than what a trusted proxy heard. */
static void test_nearest_untrusted(void **state)
{
    (void)state;
    assert_string_equal(find("10.1.1.1:80", "6.6.6.6, 1.2.3.4 , 10.2.2.2", NULL), "1.2.3.4");
    assert_string_equal(find("10.1.1.1:80", "6.6.6.6, 1.2.3.4", "10.2.2.2,10.3.3.3"), "1.2.3.4");
    assert_string_equal(find("10.1.1.1:80", "6.6.6.6", "1.2.3.4"), "1.2.3.4");
    assert_string_equal(find("10.1.1.1:80", "10.4.4.4, 10.2.2.2", NULL), "10.4.4.4");
}

static void test_not_believed(void **state)
{
    (void)state;
    assert_string_equal(find("11.1.1.1:80", "1.2.3.4", NULL), nobody);
    assert_string_equal(find("10.1.1.1:80", "unknown", NULL), nobody);
    assert_string_equal(find("10.1.1.1:80", "", NULL), nobody);
    assert_string_equal(find("10.1.1.1:80", "1.2.3.4, _hidden, 10.2.2.2", NULL), "10.2.2.2");
    assert_string_equal(find("10.1.1.1:80", "1.2.3.4, unix:/x", NULL), nobody);
    assert_string_equal(find("unix:/run/x", "1.2.3.4", NULL), nobody);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trusted_peer),
        cmocka_unit_test(test_nearest_untrusted),
        cmocka_unit_test(test_not_believed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "fake.h"

#include <stdio.h>

#include "conf/address.h"
#include "conf/names.h"
#include "conf/quote.h"
#include "conf/url.h"

static void addresses_are_read(void **state)
{
    static const struct {
        const char *text, *host, *path;
        uint16_t port;
        bool is_loopback;
    } rows[] = {
        {"127.0.0.1:8080", "127.0.0.1", "", 8080, true},
        {"127.9.9.9:0", "127.9.9.9", "", 0, true},
        {"0.0.0.0:80", "0.0.0.0", "", 80, false},
        {"[::1]:443", "::1", "", 443, true},
        {"[::]:443", "::", "", 443, false},
        {"[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", "", 1, true},
        {"localhost:65535", "localhost", "", 65535, true},
        {"LOCALHOST:1", "LOCALHOST", "", 1, true},
        {"gateway.example.com:80", "gateway.example.com", "", 80, false},
        {"unix:/run/b.sock", "", "/run/b.sock", 0, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conf_address address;

        assert_int_equal(conf_address_parse(span_from_text(rows[i].text), &address), 0);
        assert_span(address.host, rows[i].host);
        assert_span(address.path, rows[i].path);
        assert_int_equal(address.port, rows[i].port);
        assert_int_equal(address.is_unix, rows[i].path[0] != '\0');
        assert_int_equal(conf_address_is_loopback(&address), rows[i].is_loopback);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const texts[] = {
        "",           "8080",          ":8080",      "host",  "host:",       "host:x", "host:-1",
        "host:65536", "host:00080000", "::1:80",     "[::1]", "[::1]80",     "[]:80",  "[host]:80",
        "[::1:80",    "a b:80",        "host:80:80", "unix:", "http://a:80",
    };
    struct conf_address address;
    char path[200];

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(conf_address_parse(span_from_text(texts[i]), &address), ERR_SYNTAX);
    snprintf(path, sizeof(path), "unix:/%0150d", 0);
    assert_int_equal(conf_address_parse(span_of(path, 5 + 107), &address), 0);
    assert_int_equal(conf_address_parse(span_of(path, 5 + 108), &address), ERR_SYNTAX);
}

static void networks_hold_addresses(void **state)
{
    static const struct {
        const char *network;
        uint8_t address[16];
        bool is_inside;
    } rows[] = {
        {"10.0.0.0/8", {[10] = 0xff, 0xff, 10, 200, 3, 4}, true},
        {"10.0.0.0/8", {[10] = 0xff, 0xff, 11, 0, 0, 0}, false},
        {"192.168.1.128/25", {[10] = 0xff, 0xff, 192, 168, 1, 129}, true},
        {"192.168.1.128/25", {[10] = 0xff, 0xff, 192, 168, 1, 127}, false},
        {"1.2.3.4", {[10] = 0xff, 0xff, 1, 2, 3, 4}, true},
        {"1.2.3.4", {[10] = 0xff, 0xff, 1, 2, 3, 5}, false},
        {"0.0.0.0/0", {[10] = 0xff, 0xff, 9, 9, 9, 9}, true},
        {"0.0.0.0/0", {[0] = 0xfd, [15] = 1}, false},
        {"fd00::/8", {[0] = 0xfd, [15] = 1}, true},
        {"fd00::/8", {[0] = 0xfe, [15] = 1}, false},
        {"::/0", {[0] = 0xfe, [15] = 1}, true},
    };
    static const char *const wrong[] = {"",      "10.0.0.0/33", "::/129",   "host",
                                        "1.2.3", "1.2.3.4/",    "1.2.3.4/x"};
    struct conf_network network;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conf_networks networks = {&network, 1};

        assert_int_equal(conf_network_parse(span_from_text(rows[i].network), &network), 0);
        assert_int_equal(conf_networks_contain(&networks, rows[i].address), rows[i].is_inside);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(conf_network_parse(span_from_text(wrong[i]), &network), ERR_SYNTAX);
}

static void base_urls_are_taken_apart(void **state)
{
    static const struct {
        const char *text, *host, *authority, *path, *unix_path;
        uint16_t port;
        bool is_tls;
    } rows[] = {
        {"https://api.openai.com/v1", "api.openai.com", "api.openai.com", "/v1", "", 443, true},
        {"https://api.openai.com/v1/", "api.openai.com", "api.openai.com", "/v1", "", 443, true},
        {"http://127.0.0.1:9000", "127.0.0.1", "127.0.0.1:9000", "", "", 9000, false},
        {"http://host/", "host", "host", "", "", 80, false},
        {"http://[::1]:8000/a/b", "::1", "[::1]:8000", "/a/b", "", 8000, false},
        {"http://unix:/run/llm.sock:/v1", "localhost", "localhost", "/v1", "/run/llm.sock", 80,
         false},
        {"http://unix:/run/llm.sock", "localhost", "localhost", "", "/run/llm.sock", 80, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conf_url url;
        const char *why;

        assert_int_equal(conf_url_parse(span_from_text(rows[i].text), &url, &why), 0);
        assert_span(url.text, rows[i].text);
        assert_span(url.host, rows[i].host);
        assert_span(url.authority, rows[i].authority);
        assert_span(url.path, rows[i].path);
        assert_span(url.unix_path, rows[i].unix_path);
        assert_int_equal(url.port, rows[i].port);
        assert_int_equal(url.is_tls, rows[i].is_tls);
    }
}

static void what_is_no_base_url_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "host",
        "ftp://host",
        "https://",
        "https:///v1",
        "https://user:pw@host/v1",
        "https://host/v1?key=x",
        "https://host/v1#x",
        "https://host:0/",
        "https://host:99999/",
        "https://host:x/",
        "https://ho st/",
        "https://host/a b",
        "https://[::1/v1",
        "https://[zz]/v1",
        "https://[::1]x/v1",
        "http://unix:",
        "http://unix:run/x",
        "http://unix:/run/x:v1",
        "https://h\xc3\xb6st/",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct conf_url url;
        const char *why = NULL;

        assert_int_equal(conf_url_parse(span_from_text(texts[i]), &url, &why), ERR_SYNTAX);
        assert_non_null(why);
    }
}

static void names_are_those_that_go_into_paths_and_labels(void **state)
{
    (void)state;
    assert_true(conf_name_is_valid(SPAN("deepseek-1")));
    assert_true(conf_name_is_valid(SPAN("ops@example.com:web_2")));
    assert_false(conf_name_is_valid(SPAN("")));
    assert_false(conf_name_is_valid(SPAN("a/b")));
    assert_false(conf_name_is_valid(SPAN("a b")));
    assert_false(conf_name_is_valid(SPAN("a\"b")));
    assert_true(conf_model_is_valid(SPAN("meta/llama-3:free")));
    assert_false(conf_model_is_valid(SPAN("a b")));
    assert_false(conf_model_is_valid(SPAN("")));
    assert_true(conf_header_name_is_allowed(SPAN("X-Team")));
    assert_false(conf_header_name_is_allowed(SPAN("content-length")));
    assert_false(conf_header_name_is_allowed(SPAN("X Team")));
    assert_true(conf_field_name_is_allowed(SPAN("X-Trace")));
    assert_false(conf_field_name_is_allowed(SPAN("AUTHORIZATION")));
    assert_false(conf_field_name_is_allowed(SPAN("X-Forwarded-For")));
    assert_true(conf_header_name_is_secret(SPAN("X-Api-Key")));
    assert_false(conf_header_name_is_secret(SPAN("X-Team")));
}

static void what_may_be_a_secret_is_not_quoted(void **state)
{
    (void)state;
    assert_true(quote_is_safe(SPAN("round_robin")));
    assert_true(quote_is_safe(SPAN("claude-sonnet-4-5-20250929")));
    assert_true(quote_is_safe(SPAN("health_check_interval_seconds")));
    assert_true(quote_is_safe(SPAN("gpt-4.1")));
    assert_false(quote_is_safe(SPAN("sk-1")));
    assert_false(quote_is_safe(SPAN("Bearer sk-ant-x")));
    assert_false(quote_is_safe(SPAN("AIzaSy")));
    assert_false(quote_is_safe(SPAN("0123456789abcdef")));
    assert_false(quote_is_safe(SPAN("a\nb")));
    assert_false(
        quote_is_safe(SPAN("a-long-text-that-nobody-would-choose-for-the-name-of-anything-here")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(networks_hold_addresses),
        cmocka_unit_test(base_urls_are_taken_apart),
        cmocka_unit_test(what_is_no_base_url_is_refused),
        cmocka_unit_test(names_are_those_that_go_into_paths_and_labels),
        cmocka_unit_test(what_may_be_a_secret_is_not_quoted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

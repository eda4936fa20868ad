/* admin/guard: who may ask, with and without a token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "admin/guard.h"

static struct addr peer(const char *text)
{
    struct addr addr;

    assert_int_equal(addr_parse(span_from_text(text), &addr), 0);
    return addr;
}

/* The status that a request for target gets; fields: name, value, ..., NULL. */
static int ask(const char *target, const char *from, const struct secret *token,
               bool is_token_asked, const char *const *fields)
{
    static struct http_head head;
    const struct failure_row *refusal;
    static char room[1024]; /* a token is wiped where it stands */
    struct addr addr = peer(from);
    size_t used = 0;

    head = (struct http_head){.method = METHOD_GET, .target = span_from_text(target)};
    for (size_t i = 0; fields[i]; i += 2) {
        struct span value = span_of(room + used, strlen(fields[i + 1]));

        memcpy(room + used, fields[i + 1], value.len);
        used += value.len;
        head.fields[head.field_count++] = (struct http_field){span_from_text(fields[i]), value};
    }
    refusal = guard_refuse(&head, &addr, token, is_token_asked);
    return refusal ? refusal->status : 0;
}

static int ask_host(const char *host)
{
    const char *fields[] = {"Host", host, NULL};

    return ask("/metrics", "127.0.0.1:1", NULL, true, fields);
}

static void without_token_only_loopback_hosts_pass(void **state)
{
    static const char *const good[] = {
        "localhost",    "LocalHost:9090", "127.0.0.1",  "127.0.0.1:9090",
        "127.8.9.1:80", "[::1]",          "[::1]:9090", "[::ffff:127.0.0.1]",
    };
    static const char *const foreign[] = {
        "",
        "example.com",
        "example.com:9090",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "128.0.0.1",
        "0.0.0.0",
        "[::]",
        "[fe80::1]:9090",
        "::1",
        "localhos",
        "localhost2",
        "xlocalhost",
        "[::1",
        "[::1]x",
        "[::1]]",
        "[]",
        "127.1",
        "user@localhost",
        ":9090",
        "example.com#127.0.0.1",
        "127.0.0.1@example.com",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (ask_host(good[i]))
            fail_msg("%s is refused", good[i]);
    }
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        if (ask_host(foreign[i]) != 403)
            fail_msg("%s passes", foreign[i]);
    }
}

static void without_token_no_host_and_any_origin_are_refused(void **state)
{
    static const char *const none[] = {NULL};
    static const char *const origin[] = {"host", "localhost", "origin", "http://localhost", NULL};
    static const char *const null_origin[] = {"Host", "localhost", "Origin", "null", NULL};
    static const char *const empty_origin[] = {"Host", "localhost", "Origin", "", NULL};

    (void)state;
    assert_int_equal(ask("/metrics", "127.0.0.1:1", NULL, true, none), 403);
    assert_int_equal(ask("/metrics", "127.0.0.1:1", NULL, true, origin), 403);
    assert_int_equal(ask("/health", "127.0.0.1:1", NULL, false, origin), 403);
    assert_int_equal(ask("/metrics", "127.0.0.1:1", NULL, true, null_origin), 403);
    assert_int_equal(ask("/metrics", "127.0.0.1:1", NULL, true, empty_origin), 403);
    assert_int_equal(ask("/metrics", "unix:/x", NULL, true, origin), 403);
}

static void over_a_unix_socket_any_host_passes(void **state)
{
    static const char *const host[] = {"Host", "whatever", NULL};

    (void)state;
    assert_int_equal(ask("/metrics", "unix:/x", NULL, true, host), 0);
}

static void the_authority_of_an_absolute_target_counts(void **state)
{
    static const char *const host[] = {"Host", "localhost", NULL};
    static const char *const foreign[] = {"Host", "example.com", NULL};

    (void)state;
    assert_int_equal(ask("http://example.com/metrics", "127.0.0.1:1", NULL, true, host), 403);
    assert_int_equal(ask("http://localhost:9090/metrics", "127.0.0.1:1", NULL, true, foreign), 0);
    assert_int_equal(ask("http://localhost?x", "127.0.0.1:1", NULL, true, foreign), 0);
    assert_int_equal(ask("/metrics?u=http://localhost/", "127.0.0.1:1", NULL, true, foreign), 403);
}

static int ask_with(const struct secret *token, const char *authorization)
{
    const char *fields[] = {"Host", "gateway.example.com", "Authorization", authorization, NULL};

    return ask("/metrics", "192.0.2.1:1", token, true, fields);
}

static void with_token_it_alone_counts(void **state)
{
    static const char *const foreign[] = {"Host", "gateway.example.com", "Origin",
                                          "http://a.example", NULL};
    bool is_locked;
    struct secret_arena *arena = secret_arena_new(4096, &is_locked);
    struct secret *token;

    (void)state;
    assert_int_equal(secret_new(arena, SPAN("s3cret-token"), &token), 0);
    assert_int_equal(ask_with(token, "Bearer s3cret-token"), 0);
    assert_int_equal(ask_with(token, "bearer   s3cret-token"), 0);
    assert_int_equal(ask_with(token, "Bearer s3cret-tokem"), 401);
    assert_int_equal(ask_with(token, "Bearer s3cret-toke"), 401);
    assert_int_equal(ask_with(token, "Bearer s3cret-token2"), 401);
    assert_int_equal(ask_with(token, "Bearer "), 401);
    assert_int_equal(ask_with(token, "Bearer"), 401);
    assert_int_equal(ask_with(token, "Bearers3cret-token"), 401);
    assert_int_equal(ask_with(token, "Basic s3cret-token"), 401);
    assert_int_equal(ask_with(token, "s3cret-token"), 401);
    assert_int_equal(ask_with(token, ""), 401);
    assert_int_equal(ask("/metrics", "192.0.2.1:1", token, true, foreign), 401);
    assert_int_equal(ask("/health", "192.0.2.1:1", token, false, foreign), 0);
    secret_unref(&token);
    secret_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_token_only_loopback_hosts_pass),
        cmocka_unit_test(without_token_no_host_and_any_origin_are_refused),
        cmocka_unit_test(over_a_unix_socket_any_host_passes),
        cmocka_unit_test(the_authority_of_an_absolute_target_counts),
        cmocka_unit_test(with_token_it_alone_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Whom a client trusts by TLS, and whom it knows again; and files that no trust can be built on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/err.h"
#include "talk.h"

static void expect_refusal(struct talk *talk, const char *name, const char *why)
{
    talk_meet(talk, name);
    assert_false(talk->client.is_open);
    assert_int_equal(talk->client.err, ERR_TLS);
    if (!strstr(talk->client.why, why))
        print_error("said: %s\n", talk->client.why);
    assert_non_null(strstr(talk->client.why, why));
    assert_int_equal(talk->server.err, ERR_TLS); /* it got the alert */
    talk_part(talk);
}

static void expect_welcome(struct talk *talk, const char *name)
{
    talk_meet(talk, name);
    assert_int_equal(talk->client.err, 0);
    assert_true(talk->client.is_open && talk->server.is_open);
    talk_part(talk);
}

static void test_names(void **state)
{
    struct talk talk;

    talk_begin(&talk);
    expect_welcome(&talk, "localhost");
    expect_welcome(&talk, "localhost.");
    expect_welcome(&talk, "127.0.0.1");
    talk_end(&talk);
    /* A fresh context each: a resumed session is not verified again. */
    talk_begin(&talk);
    expect_refusal(&talk, "example.org", "ostname mismatch");
    expect_refusal(&talk, "127.0.0.2", "IP address mismatch");
    expect_refusal(&talk, "::1", "IP address mismatch");
    talk_end(&talk);
}

static void test_unknown_authority(void **state)
{
    struct talk talk;
    struct tls_client_options options;

    talk_begin(&talk);
    options = (struct tls_client_options){.ca_path = talk.certs.other_ca};
    talk_use_client_options(&talk, &options);
    expect_refusal(&talk, "localhost", "local issuer certificate");
    options = (struct tls_client_options){.ca_path = NULL};
    talk_use_client_options(&talk, &options);
    expect_refusal(&talk, "localhost", "local issuer certificate");
    talk_end(&talk);
}

static void test_unverified(void **state)
{
    struct tls_client_options options = {.is_unverified = true};
    struct talk talk;

    talk_begin(&talk);
    talk_use_client_options(&talk, &options);
    expect_welcome(&talk, "example.org");
    talk_end(&talk);
}

static void test_resumption(void **state)
{
    struct talk talk;

    talk_begin(&talk);
    talk_meet(&talk, "localhost");
    end_say(&talk.server, "x"); /* tickets come with the first bytes */
    talk_converse(&talk, SIZE_MAX);
    assert_false(conn_is_resumed(&talk.client.conn));
    talk_part(&talk);
    talk_meet(&talk, "localhost");
    assert_true(conn_is_resumed(&talk.client.conn));
    assert_true(conn_is_resumed(&talk.server.conn));
    talk_end(&talk);
}

/* --- files --- */

static void expect_bad_server(const char *certificate, const char *key, const char *why)
{
    struct tls_server_options options = {certificate, key};
    struct tls_context *context = NULL;
    char error[TLS_ERROR_BYTES] = "";

    assert_int_equal(tls_server_context_new(&options, error, &context), ERR_TLS);
    assert_null(context);
    if (!strstr(error, why))
        print_error("said: %s\n", error);
    assert_non_null(strstr(error, why));
    assert_null(strstr(error, "this is not"));
}

static void test_bad_files(void **state)
{
    struct tls_client_options options = {.ca_path = "/nonexistent.pem"};
    struct tls_context *context = NULL;
    char error[TLS_ERROR_BYTES] = "";
    struct certs certs;

    certs_make(&certs);
    expect_bad_server("/nonexistent.pem", certs.server_key, "certificate /nonexistent.pem: ");
    expect_bad_server(certs.nonsense, certs.server_key, "no start line");
    expect_bad_server(certs.server, "/nonexistent.key", "private key /nonexistent.key: ");
    expect_bad_server(certs.server, certs.client_key, "private key");
    assert_int_equal(tls_client_context_new(&options, error, &context), ERR_TLS);
    assert_non_null(strstr(error, "CA file /nonexistent.pem"));
    certs_remove(&certs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),      cmocka_unit_test(test_unknown_authority),
        cmocka_unit_test(test_unverified), cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_bad_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* TLS against OpenSSL itself, where what we sent must be seen from outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <cmocka.h>

#include "base/err.h"
#include "talk.h"
#include "wire.h"

enum { NAME_BYTES = 64 };

/* OpenSSL's own server on the hand's end. */
struct outside {
    SSL_CTX *ctx;
    SSL *ssl;
    char name[NAME_BYTES];
};

static int note_name(SSL *ssl, int *alert, void *arg)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert;
    snprintf(arg, NAME_BYTES, "%s", name ? name : "(none)");
    return SSL_TLSEXT_ERR_OK;
}

static int choose(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                  const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl, (void)arg;
    assert_int_equal(in_len, 9);
    assert_memory_equal(in, "\x08http/1.1", 9);
    *out = in + 1;
    *out_len = 8;
    return SSL_TLSEXT_ERR_OK;
}

static void begin_outside(struct outside *outside, struct talk *talk, bool wants_certificate)
{
    outside->ctx = SSL_CTX_new(TLS_server_method());
    snprintf(outside->name, NAME_BYTES, "(none)");
    SSL_CTX_use_certificate_chain_file(outside->ctx, talk->certs.server);
    SSL_CTX_use_PrivateKey_file(outside->ctx, talk->certs.server_key, SSL_FILETYPE_PEM);
    SSL_CTX_set_tlsext_servername_callback(outside->ctx, note_name);
    SSL_CTX_set_tlsext_servername_arg(outside->ctx, outside->name);
    SSL_CTX_set_alpn_select_cb(outside->ctx, choose, NULL);
    SSL_CTX_load_verify_file(outside->ctx, talk->certs.ca);
    if (wants_certificate)
        SSL_CTX_set_verify(outside->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    outside->ssl = SSL_new(outside->ctx);
    SSL_set_fd(outside->ssl, talk->to_client);
}

static int shake_hands(struct outside *outside, struct talk *talk)
{
    int result = 0;

    for (int i = 0; i < 10 && result != 1; i++) {
        wire_settle(talk->loop);
        ERR_clear_error();
        result = SSL_accept(outside->ssl);
        if (result != 1 && SSL_get_error(outside->ssl, result) != SSL_ERROR_WANT_READ)
            break;
    }
    wire_settle(talk->loop);
    return result;
}

static void end_outside(struct outside *outside)
{
    SSL_free(outside->ssl);
    SSL_CTX_free(outside->ctx);
}

static void test_what_a_server_sees(void **state)
{
    struct talk talk;
    struct outside outside;

    talk_begin(&talk);
    talk_connect_client(&talk, "localhost.");
    begin_outside(&outside, &talk, false);
    assert_int_equal(shake_hands(&outside, &talk), 1);
    assert_string_equal(outside.name, "localhost");
    assert_true(talk.client.is_open);
    end_outside(&outside);
    talk_part(&talk);
    talk_connect_client(&talk, "127.0.0.1");
    begin_outside(&outside, &talk, false);
    assert_int_equal(shake_hands(&outside, &talk), 1);
    assert_string_equal(outside.name, "(none)"); /* RFC 6066 3: no literal address */
    end_outside(&outside);
    talk_end(&talk);
}

static void test_client_certificate(void **state)
{
    struct tls_client_options options;
    struct talk talk;
    struct outside outside;
    X509 *shown;

    talk_begin(&talk);
    options = (struct tls_client_options){.ca_path = talk.certs.ca,
                                          .certificate_path = talk.certs.client,
                                          .private_key_path = talk.certs.client_key};
    talk_use_client_options(&talk, &options);
    talk_connect_client(&talk, "localhost");
    begin_outside(&outside, &talk, true);
    assert_int_equal(shake_hands(&outside, &talk), 1);
    shown = SSL_get1_peer_certificate(outside.ssl);
    assert_non_null(shown);
    X509_free(shown);
    end_outside(&outside);
    talk_end(&talk);
}

/* In TLS 1.3 the client believes in its handshake before the server refuses: it is told behind it.
 */
static void test_missing_client_certificate(void **state)
{
    struct talk talk;
    struct outside outside;

    talk_begin(&talk);
    talk_connect_client(&talk, "localhost");
    begin_outside(&outside, &talk, true);
    assert_int_equal(shake_hands(&outside, &talk), -1);
    assert_int_equal(talk.client.err, ERR_TLS);
    assert_non_null(strstr(talk.client.why, "certificate required"));
    end_outside(&outside);
    talk_end(&talk);
}

static SSL *outside_client(SSL_CTX *ctx, struct talk *talk, const char *protocols)
{
    SSL *ssl = SSL_new(ctx);

    talk_accept_server(talk);
    SSL_set_fd(ssl, talk->to_server);
    if (protocols)
        SSL_set_alpn_protos(ssl, (const unsigned char *)protocols, (unsigned)strlen(protocols));
    for (int i = 0; i < 5; i++) {
        SSL_connect(ssl);
        wire_settle(talk->loop);
    }
    return ssl;
}

static void test_alpn_of_clients(void **state)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    const unsigned char *chosen;
    unsigned len;
    struct talk talk;
    SSL *ssl;

    talk_begin(&talk);
    ssl = outside_client(ctx, &talk, "\x02h2\x08http/1.1");
    SSL_get0_alpn_selected(ssl, &chosen, &len);
    assert_int_equal(len, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    assert_true(talk.server.is_open);
    SSL_free(ssl);
    talk_part(&talk);
    ssl = outside_client(ctx, &talk, NULL);
    assert_true(talk.server.is_open);
    SSL_free(ssl);
    talk_part(&talk);
    ssl = outside_client(ctx, &talk, "\x02h2");
    assert_false(talk.server.is_open);
    assert_int_equal(talk.server.err, ERR_TLS);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    talk_end(&talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_server_sees),
        cmocka_unit_test(test_client_certificate),
        cmocka_unit_test(test_missing_client_certificate),
        cmocka_unit_test(test_alpn_of_clients),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

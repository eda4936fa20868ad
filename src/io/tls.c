#include "io/tls.h"

#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "io/tls_context.h"

const char *tls_first_reason(void)
{
    unsigned long code = ERR_peek_error();

    if (!code)
        return NULL;
    return ERR_SYSTEM_ERROR(code) ? strerrordesc_np(ERR_GET_REASON(code))
                                  : ERR_reason_error_string(code);
}

static int fail(char *ret_error, const char *what, const char *path)
{
    const char *reason = tls_first_reason();

    snprintf(ret_error, TLS_ERROR_BYTES, "%s %s: %s", what, path,
             reason ? reason : "cannot be used");
    ERR_clear_error();
    return ERR_TLS;
}

static const unsigned char alpn[] = "\x08http/1.1";

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl, (void)arg;
    if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_len, alpn, sizeof(alpn) - 1, in,
                              in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 3.2: no_application_protocol */
    return SSL_TLSEXT_ERR_OK;
}

static int keep_session(SSL *ssl, SSL_SESSION *fresh)
{
    struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION *old;

    pthread_mutex_lock(&context->lock);
    old = context->session;
    context->session = fresh;
    pthread_mutex_unlock(&context->lock);
    SSL_SESSION_free(old);
    return 1; /* the reference is ours */
}

static struct tls_context *context_new(bool is_server)
{
    struct tls_context *context = mem_zalloc(1, sizeof(*context));

    if (!context)
        return NULL;
    atomic_init(&context->refs, 1);
    pthread_mutex_init(&context->lock, NULL);
    context->is_server = is_server;
    context->ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    if (!context->ctx) {
        tls_context_unref(&context);
        return NULL;
    }
    SSL_CTX_set_app_data(context->ctx, context);
    SSL_CTX_set_min_proto_version(context->ctx, TLS1_2_VERSION);
    SSL_CTX_set_mode(context->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(context->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    return context;
}

static int load_pair(SSL_CTX *ctx, const char *certificate, const char *key, char *ret_error)
{
    if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1)
        return fail(ret_error, "certificate", certificate);
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return fail(ret_error, "private key", key);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return fail(ret_error, "private key (it does not belong to the certificate)", key);
    return 0;
}

int tls_server_context_new(const struct tls_server_options *options, char *ret_error,
                           struct tls_context **ret_context)
{
    struct tls_context *context = context_new(true);
    int err;

    if (!context)
        return ERR_NOMEM;
    ERR_clear_error();
    err = load_pair(context->ctx, options->certificate_path, options->private_key_path, ret_error);
    if (err) {
        tls_context_unref(&context);
        return err;
    }
    SSL_CTX_set_alpn_select_cb(context->ctx, choose_alpn, NULL);
    /* Resumption by tickets alone: the client keeps the state, one ticket a handshake. */
    SSL_CTX_set_session_cache_mode(context->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context->ctx, 1);
    SSL_CTX_set_session_id_context(context->ctx, (const unsigned char *)"bellwether", 10);
    *ret_context = context;
    return 0;
}

static int load_trust(SSL_CTX *ctx, const char *ca_path, char *ret_error)
{
    if (!ca_path)
        return SSL_CTX_set_default_verify_paths(ctx) == 1
                   ? 0
                   : fail(ret_error, "certificates", "of the system");
    return SSL_CTX_load_verify_file(ctx, ca_path) == 1 ? 0 : fail(ret_error, "CA file", ca_path);
}

int tls_client_context_new(const struct tls_client_options *options, char *ret_error,
                           struct tls_context **ret_context)
{
    struct tls_context *context = context_new(false);
    int err = 0;

    if (!context)
        return ERR_NOMEM;
    context->is_unverified = options->is_unverified;
    ERR_clear_error();
    if (!options->is_unverified)
        err = load_trust(context->ctx, options->ca_path, ret_error);
    if (!err && options->certificate_path)
        err = load_pair(context->ctx, options->certificate_path, options->private_key_path,
                        ret_error);
    if (err) {
        tls_context_unref(&context);
        return err;
    }
    SSL_CTX_set_verify(context->ctx, options->is_unverified ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                       NULL);
    SSL_CTX_set_alpn_protos(context->ctx, alpn, sizeof(alpn) - 1);
    SSL_CTX_set_session_cache_mode(context->ctx,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context->ctx, keep_session);
    *ret_context = context;
    return 0;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

void tls_context_unref(struct tls_context **context)
{
    struct tls_context *c = *context;

    *context = NULL;
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_SESSION_free(c->session);
    SSL_CTX_free(c->ctx);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

#include "io/tls_session.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <arpa/inet.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "io/tls_context.h"

struct tls_session {
    SSL *ssl;
    struct tls_context *context;
    struct buf *out; /* ciphertext to send; the connection's */
    struct span in;  /* ciphertext just read, not copied */
    struct buf held; /* ciphertext left over from an earlier read */
    bool is_ready;
    int ended;         /* how the input ended: ERR_EOF, ERR_TLS; 0: more may come */
    const char *error; /* why it failed, a static text of OpenSSL's or ours; NULL: it has not */
};

/* --- our BIO: reads from `in`, writes to `out` --- */

static int bio_read(BIO *bio, char *data, int len)
{
    struct tls_session *session = BIO_get_data(bio);
    size_t n = session->in.len < (size_t)len ? session->in.len : (size_t)len;

    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(data, session->in.ptr, n);
    session->in = span_skip(session->in, n);
    return (int)n;
}

static int bio_write(BIO *bio, const char *data, int len)
{
    struct tls_session *session = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    return buf_append(session->out, data, (size_t)len) ? -1 : len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

/* State at file scope, for OpenSSL wants the table of our functions on the heap and one for the
 * process: made once, never changed. */
static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static void make_method(void)
{
    method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "bellwether");
    if (!method)
        return;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
}

/* --- sessions --- */

static int name_peer(struct tls_session *session, struct span name)
{
    struct in6_addr ip;
    char text[256];
    bool is_ip;

    if (name.len && name.ptr[name.len - 1] == '.')
        name.len--; /* RFC 6066 3: the absolute form's dot is not sent */
    if (name.len == 0 || name.len >= sizeof(text))
        return ERR_TLS;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    is_ip = inet_pton(AF_INET, text, &ip) == 1 || inet_pton(AF_INET6, text, &ip) == 1;
    /* RFC 6066 3: no literal address in server_name. */
    if (!is_ip && SSL_set_tlsext_host_name(session->ssl, text) != 1)
        return ERR_TLS;
    if (session->context->is_unverified)
        return 0;
    if (is_ip)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session->ssl), text) == 1 ? 0 : ERR_TLS;
    return SSL_set1_host(session->ssl, text) == 1 ? 0 : ERR_TLS;
}

static void offer_resumption(struct tls_session *session)
{
    struct tls_context *context = session->context;

    pthread_mutex_lock(&context->lock);
    if (context->session)
        SSL_set_session(session->ssl, context->session);
    pthread_mutex_unlock(&context->lock);
}

int tls_session_new(struct tls_context *context, struct span server_name, struct buf *out,
                    struct tls_session **ret_session)
{
    struct tls_session *session = mem_zalloc(1, sizeof(*session));
    BIO *bio = NULL;
    int err = ERR_NOMEM;

    if (!session)
        return ERR_NOMEM;
    buf_init(&session->held, 1 << 20);
    session->out = out;
    session->context = tls_context_ref(context);
    session->ssl = SSL_new(context->ctx);
    pthread_once(&method_once, make_method);
    bio = session->ssl && method ? BIO_new(method) : NULL;
    if (!bio)
        goto out;
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    SSL_set_bio(session->ssl, bio, bio);
    if (context->is_server) {
        SSL_set_accept_state(session->ssl);
        err = 0;
    } else {
        SSL_set_connect_state(session->ssl);
        offer_resumption(session);
        err = name_peer(session, server_name);
    }
out:
    if (err)
        tls_session_free(&session);
    else
        *ret_session = session;
    return err;
}

void tls_session_free(struct tls_session **session)
{
    struct tls_session *s = *session;

    if (!s)
        return;
    if (s->ssl && s->is_ready)
        SSL_set_shutdown(s->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* keep it resumable */
    SSL_free(s->ssl);
    buf_fini(&s->held);
    tls_context_unref(&s->context);
    mem_free(s);
    *session = NULL;
}

static void note_error(struct tls_session *session)
{
    long verify = SSL_get_verify_result(session->ssl);
    const char *reason = tls_first_reason();

    if (verify != X509_V_OK && !session->context->is_unverified)
        reason = X509_verify_cert_error_string(verify);
    session->error = reason ? reason : "connection ended";
}

/* Others use OpenSSL on this thread, too, and SSL_get_error looks at the thread's queue of errors.
 * Emptying an empty queue takes as long as a small record. */
static void empty_errors(void)
{
    if (ERR_peek_error())
        ERR_clear_error();
}

/* What an SSL call that returned <= 0 means; the queue was empty before it. */
static int judge(struct tls_session *session, int result)
{
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return ERR_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return ERR_EOF;
    default:
        note_error(session);
        return ERR_TLS;
    }
}

void tls_session_feed(struct tls_session *session, struct span ciphertext)
{
    session->in = ciphertext;
}

/* Without read-ahead OpenSSL takes no more than one record from `in`; what it may keep is part of
 * one, of no use without more. */
bool tls_session_is_hungry(const struct tls_session *session)
{
    return session->in.len == 0 && SSL_pending(session->ssl) == 0;
}

int tls_session_hold(struct tls_session *session)
{
    struct buf kept = session->held;
    int err;

    if (session->in.len == 0) {
        buf_fini(&session->held);
        return 0;
    }
    if (kept.data && session->in.ptr >= kept.data && session->in.ptr < kept.data + kept.len)
        return 0; /* it stands there already */
    buf_init(&session->held, kept.max);
    err = buf_append_span(&session->held, session->in);
    session->in = buf_span(&session->held);
    buf_fini(&kept);
    return err;
}

int tls_session_handshake(struct tls_session *session)
{
    int result;

    if (session->is_ready)
        return 0;
    empty_errors();
    result = SSL_do_handshake(session->ssl);
    if (result != 1)
        return judge(session, result);
    session->is_ready = true;
    return 0;
}

int tls_session_read(struct tls_session *session, char *data, size_t cap, size_t *ret_len)
{
    size_t total = 0;
    int err = session->ended ? session->ended : ERR_AGAIN;

    while (!session->ended && total < cap && !tls_session_is_hungry(session)) {
        size_t n = 0;
        int result;

        empty_errors();
        result = SSL_read_ex(session->ssl, data + total, cap - total, &n);
        total += n;
        err = result == 1 ? 0 : judge(session, result);
        if (err)
            break;
    }
    if (err == ERR_EOF || err == ERR_TLS)
        session->ended = err; /* behind bytes it is told by the next read */
    if (total == 0)
        return err;
    *ret_len = total;
    return 0;
}

int tls_session_write(struct tls_session *session, struct span data)
{
    empty_errors();
    while (data.len) {
        size_t n = 0;
        int result = SSL_write_ex(session->ssl, data.ptr, data.len, &n);
        int err = result == 1 ? 0 : judge(session, result);

        if (err && session->out->err)
            return session->out->err;
        if (err)
            return err == ERR_AGAIN ? ERR_FULL : ERR_TLS;
        data = span_skip(data, n);
    }
    return 0;
}

void tls_session_end(struct tls_session *session)
{
    empty_errors();
    if (session->is_ready)
        SSL_shutdown(session->ssl);
}

bool tls_session_is_resumed(const struct tls_session *session)
{
    return SSL_session_reused(session->ssl) == 1;
}

const char *tls_session_error(const struct tls_session *session)
{
    return session->error ? session->error : "";
}

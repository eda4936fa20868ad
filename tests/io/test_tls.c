/* TLS on both sides of a connection, over a wire played by hand, and against OpenSSL itself where
 * what we sent must be seen from outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/sockios.h>
#include <unistd.h>
#include <pthread.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"
#include "certs.h"
#include "io/conn.h"
#include "wire.h"

/* One side of a connection. */
struct end {
    struct conn conn;
    struct buf in;
    int err; /* told by on_error, or what reading ended with */
    char why[TLS_ERROR_BYTES];
    bool is_open, is_reading_paused;
    size_t to_send; /* given as the socket takes it */
    size_t most_pending;
};

static struct end *end_of(struct conn *conn)
{
    return container_of(conn, struct end, conn);
}

static void note_words(struct end *end)
{
    snprintf(end->why, sizeof(end->why), "%s", conn_tls_error(&end->conn));
}

static void give(struct end *end)
{
    static char piece[30000];

    while (end->to_send && conn_pending(&end->conn) == 0) {
        size_t len = end->to_send < sizeof(piece) ? end->to_send : sizeof(piece);
        struct iovec iov[2] = {{piece, len / 2}, {piece, len - len / 2}};

        end->to_send -= len;
        assert_int_equal(conn_send(&end->conn, iov, 2), 0);
        if (conn_pending(&end->conn) > end->most_pending)
            end->most_pending = conn_pending(&end->conn);
    }
}

static void take(struct end *end)
{
    static char piece[20000];
    size_t len;
    int err = 0;

    while (!end->is_reading_paused &&
           (err = conn_read(&end->conn, piece, sizeof(piece), &len)) == 0)
        assert_int_equal(buf_append(&end->in, piece, len), 0);
    if (err && err != ERR_AGAIN && !end->err) {
        end->err = err;
        note_words(end);
    }
}

static void on_open(struct conn *conn)
{
    end_of(conn)->is_open = true;
    give(end_of(conn));
}

static void on_readable(struct conn *conn)
{
    take(end_of(conn));
}

static void on_drained(struct conn *conn)
{
    give(end_of(conn));
}

static void on_hangup(struct conn *conn)
{
    (void)conn;
}

static void on_error(struct conn *conn, int err)
{
    struct end *end = end_of(conn);

    end->err = err;
    note_words(end);
    conn_close(conn);
}

static const struct conn_ops ops = {
    .on_open = on_open,
    .on_readable = on_readable,
    .on_drained = on_drained,
    .on_hangup = on_hangup,
    .on_error = on_error,
};

/* A client and a server, and between them a hand that carries the bytes. */
struct talk {
    struct certs certs;
    struct loop *loop;
    struct tls_context *server_tls, *client_tls;
    struct end client, server;
    int listener, to_client, to_server; /* the hand's ends; -1 where it let go */
    struct addr addr;
    long fail_after;
};

static void begin(struct talk *talk)
{
    struct tls_server_options server_options;
    struct tls_client_options client_options;
    char error[TLS_ERROR_BYTES];

    *talk = (struct talk){.listener = -1, .to_client = -1, .to_server = -1};
    talk->client.conn.fd.fd = talk->server.conn.fd.fd = -1;
    certs_make(&talk->certs);
    server_options = (struct tls_server_options){talk->certs.server, talk->certs.server_key};
    client_options = (struct tls_client_options){.ca_path = talk->certs.ca};
    assert_int_equal(tls_server_context_new(&server_options, error, &talk->server_tls), 0);
    assert_int_equal(tls_client_context_new(&client_options, error, &talk->client_tls), 0);
    talk->loop = loop_new_virtual(1000000);
    talk->listener = wire_listen(true, &talk->addr);
}

static void use_client_options(struct talk *talk, const struct tls_client_options *options)
{
    char error[TLS_ERROR_BYTES];

    tls_context_unref(&talk->client_tls);
    assert_int_equal(tls_client_context_new(options, error, &talk->client_tls), 0);
}

static void hang_up(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void part(struct talk *talk)
{
    conn_close(&talk->client.conn);
    conn_close(&talk->server.conn);
    buf_fini(&talk->client.in);
    buf_fini(&talk->server.in);
    hang_up(&talk->to_client);
    hang_up(&talk->to_server);
}

static void end(struct talk *talk)
{
    part(talk);
    close(talk->listener);
    loop_free(&talk->loop);
    tls_context_unref(&talk->server_tls);
    tls_context_unref(&talk->client_tls);
    certs_remove(&talk->certs);
}

static void init_end(struct end *end)
{
    *end = (struct end){.err = 0};
    buf_init(&end->in, 1 << 26);
}

static void connect_client(struct talk *talk, const char *name)
{
    init_end(&talk->client);
    assert_int_equal(conn_connect(&talk->client.conn, talk->loop, &talk->addr, talk->client_tls,
                                  span_from_text(name), &ops),
                     0);
    talk->to_client = wire_accept(talk->listener);
}

static void accept_server(struct talk *talk)
{
    int fds[2];

    init_end(&talk->server);
    wire_pair(fds);
    talk->to_server = fds[1];
    assert_int_equal(conn_accept(&talk->server.conn, talk->loop, fds[0], talk->server_tls, &ops),
                     0);
}

/* How much the next one takes in at once. */
static size_t room(int fd)
{
    int unsent = 0;

    return ioctl(fd, SIOCOUTQ, &unsent) == 0 && unsent < 50000 ? 50000 : 0;
}

/* Carries up to `most` bytes from one side to the other; an end is carried too. */
static bool carry(int *from, int *to, size_t most)
{
    char bytes[65536];
    ssize_t n;

    if (*from < 0 || *to < 0)
        return false;
    most = most < room(*to) ? most : room(*to);
    if (most == 0)
        return false;
    n = recv(*from, bytes, most < sizeof(bytes) ? most : sizeof(bytes), 0);
    if (n == 0)
        shutdown(*to, SHUT_WR);
    if (n <= 0)
        return false;
    return send(*to, bytes, (size_t)n, MSG_NOSIGNAL) == n;
}

/* Until neither side has anything to say. */
static void converse(struct talk *talk, size_t most)
{
    bool has_moved = true;

    for (int quiet = 0; quiet < 3; quiet = has_moved ? 0 : quiet + 1) {
        loop_turn(talk->loop, 0);
        has_moved = carry(&talk->to_client, &talk->to_server, most);
        has_moved |= carry(&talk->to_server, &talk->to_client, most);
        loop_turn(talk->loop, 0);
    }
}

static void meet(struct talk *talk, const char *name)
{
    connect_client(talk, name);
    accept_server(talk);
    converse(talk, SIZE_MAX);
}

static void say(struct end *end, const char *text)
{
    struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};

    assert_int_equal(conn_send(&end->conn, &iov, 1), 0);
}

static void expect_heard(struct end *end, const char *text)
{
    assert_string_equal(end->in.len ? buf_text(&end->in) : "", text);
    buf_clear(&end->in);
}

static void test_talking(void **state)
{
    struct talk talk;

    begin(&talk);
    meet(&talk, "localhost");
    assert_true(talk.client.is_open && talk.server.is_open);
    say(&talk.client, "hello");
    say(&talk.server, "welcome");
    converse(&talk, SIZE_MAX);
    expect_heard(&talk.server, "hello");
    expect_heard(&talk.client, "welcome");
    say(&talk.client, "and so on");
    converse(&talk, SIZE_MAX);
    expect_heard(&talk.server, "and so on");
    assert_null(talk.client.conn.out.data);
    end(&talk);
}

static void test_any_cut(void **state)
{
    for (size_t most = 1; most < 1400; most = most * 3 / 2 + 1) {
        struct talk talk;

        begin(&talk);
        connect_client(&talk, "localhost");
        accept_server(&talk);
        converse(&talk, most);
        assert_true(talk.client.is_open && talk.server.is_open);
        say(&talk.client, "hello");
        say(&talk.server, "welcome");
        converse(&talk, most);
        expect_heard(&talk.server, "hello");
        expect_heard(&talk.client, "welcome");
        conn_shutdown(&talk.client.conn);
        converse(&talk, most);
        assert_int_equal(talk.server.err, ERR_EOF);
        end(&talk);
    }
}

/* The last flight of the handshake, data and the end in one event. */
static void test_everything_at_once(void **state)
{
    struct talk talk;

    begin(&talk);
    connect_client(&talk, "localhost");
    accept_server(&talk);
    for (int i = 0; i < 10 && !talk.client.is_open; i++) {
        wire_settle(talk.loop);
        if (carry(&talk.to_client, &talk.to_server, SIZE_MAX))
            wire_settle(talk.loop);
        carry(&talk.to_server, &talk.to_client, SIZE_MAX);
        loop_turn(talk.loop, 0);
    }
    assert_true(talk.client.is_open && !talk.server.is_open);
    say(&talk.client, "hello");
    conn_shutdown(&talk.client.conn);
    while (carry(&talk.to_client, &talk.to_server, SIZE_MAX)) {
    }
    wire_settle(talk.loop);
    assert_true(talk.server.is_open);
    expect_heard(&talk.server, "hello");
    assert_int_equal(talk.server.err, ERR_EOF);
    end(&talk);
}

static void test_big_transfers(void **state)
{
    enum { BIG = 6 << 20 };
    struct talk talk;

    begin(&talk);
    connect_client(&talk, "localhost");
    accept_server(&talk);
    talk.client.to_send = talk.server.to_send = BIG;
    talk.server.is_reading_paused = true;
    converse(&talk, SIZE_MAX);
    /* The server does not read: the client waits, and keeps no more than one piece. */
    assert_int_equal(talk.server.in.len, 0);
    assert_true(talk.client.to_send > BIG / 2);
    assert_in_range(talk.client.most_pending, 1, 40000);
    talk.server.is_reading_paused = false;
    take(&talk.server);
    converse(&talk, 50000);
    assert_int_equal(talk.server.in.len, BIG);
    assert_int_equal(talk.client.in.len, BIG);
    end(&talk);
}

/* --- who it is --- */

static void expect_refusal(struct talk *talk, const char *name, const char *why)
{
    meet(talk, name);
    assert_false(talk->client.is_open);
    assert_int_equal(talk->client.err, ERR_TLS);
    if (!strstr(talk->client.why, why))
        print_error("said: %s\n", talk->client.why);
    assert_non_null(strstr(talk->client.why, why));
    assert_int_equal(talk->server.err, ERR_TLS); /* it got the alert */
    part(talk);
}

static void expect_welcome(struct talk *talk, const char *name)
{
    meet(talk, name);
    assert_int_equal(talk->client.err, 0);
    assert_true(talk->client.is_open && talk->server.is_open);
    part(talk);
}

static void test_names(void **state)
{
    struct talk talk;

    begin(&talk);
    expect_welcome(&talk, "localhost");
    expect_welcome(&talk, "localhost.");
    expect_welcome(&talk, "127.0.0.1");
    end(&talk);
    /* A fresh context each: a resumed session is not verified again. */
    begin(&talk);
    expect_refusal(&talk, "example.org", "ostname mismatch");
    expect_refusal(&talk, "127.0.0.2", "IP address mismatch");
    expect_refusal(&talk, "::1", "IP address mismatch");
    end(&talk);
}

static void test_unknown_authority(void **state)
{
    struct talk talk;
    struct tls_client_options options;

    begin(&talk);
    options = (struct tls_client_options){.ca_path = talk.certs.other_ca};
    use_client_options(&talk, &options);
    expect_refusal(&talk, "localhost", "local issuer certificate");
    options = (struct tls_client_options){.ca_path = NULL};
    use_client_options(&talk, &options);
    expect_refusal(&talk, "localhost", "local issuer certificate");
    end(&talk);
}

static void test_unverified(void **state)
{
    struct tls_client_options options = {.is_unverified = true};
    struct talk talk;

    begin(&talk);
    use_client_options(&talk, &options);
    expect_welcome(&talk, "example.org");
    end(&talk);
}

static void test_resumption(void **state)
{
    struct talk talk;

    begin(&talk);
    meet(&talk, "localhost");
    say(&talk.server, "x"); /* tickets come with the first bytes */
    converse(&talk, SIZE_MAX);
    assert_false(conn_is_resumed(&talk.client.conn));
    part(&talk);
    meet(&talk, "localhost");
    assert_true(conn_is_resumed(&talk.client.conn));
    assert_true(conn_is_resumed(&talk.server.conn));
    end(&talk);
}

/* --- ends --- */

static void test_close_notify(void **state)
{
    struct talk talk;

    begin(&talk);
    meet(&talk, "localhost");
    say(&talk.server, "bye");
    conn_shutdown(&talk.server.conn);
    converse(&talk, SIZE_MAX);
    expect_heard(&talk.client, "bye");
    assert_int_equal(talk.client.err, ERR_EOF);
    /* Our own direction still stands. */
    say(&talk.client, "good bye");
    converse(&talk, SIZE_MAX);
    expect_heard(&talk.server, "good bye");
    end(&talk);
}

static void test_cut_without_close_notify(void **state)
{
    struct talk talk;

    begin(&talk);
    meet(&talk, "localhost");
    say(&talk.server, "half of i");
    converse(&talk, SIZE_MAX);
    hang_up(&talk.to_client);
    wire_settle(talk.loop);
    expect_heard(&talk.client, "half of i");
    assert_int_equal(talk.client.err, ERR_RESET);
    end(&talk);
}

static void test_forged_record(void **state)
{
    struct talk talk;

    begin(&talk);
    meet(&talk, "localhost");
    say(&talk.client, "true");
    converse(&talk, SIZE_MAX);
    wire_write(talk.loop, talk.to_server,
               "\x17\x03\x03\x00\x20"
               "forged record of thirty-two bytes",
               37);
    wire_settle(talk.loop);
    expect_heard(&talk.server, "true");
    assert_int_equal(talk.server.err, ERR_TLS);
    assert_true(strlen(talk.server.why) > 0);
    end(&talk);
}

static void test_plain_bytes(void **state)
{
    struct talk talk;

    begin(&talk);
    accept_server(&talk);
    wire_say(talk.loop, talk.to_server, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(talk.server.err, ERR_TLS);
    assert_false(talk.server.is_open);
    part(&talk);
    connect_client(&talk, "localhost");
    wire_say(talk.loop, talk.to_client, "HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_int_equal(talk.client.err, ERR_TLS);
    end(&talk);
}

static void test_leaving_in_the_handshake(void **state)
{
    struct talk talk;

    begin(&talk);
    connect_client(&talk, "localhost");
    accept_server(&talk);
    wire_settle(talk.loop);
    hang_up(&talk.to_client);
    hang_up(&talk.to_server);
    wire_settle(talk.loop);
    assert_int_equal(talk.client.err, ERR_RESET);
    assert_int_equal(talk.server.err, ERR_RESET);
    end(&talk);
}

/* --- seen from outside --- */

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

    begin(&talk);
    connect_client(&talk, "localhost.");
    begin_outside(&outside, &talk, false);
    assert_int_equal(shake_hands(&outside, &talk), 1);
    assert_string_equal(outside.name, "localhost");
    assert_true(talk.client.is_open);
    end_outside(&outside);
    part(&talk);
    connect_client(&talk, "127.0.0.1");
    begin_outside(&outside, &talk, false);
    assert_int_equal(shake_hands(&outside, &talk), 1);
    assert_string_equal(outside.name, "(none)"); /* RFC 6066 3: no literal address */
    end_outside(&outside);
    end(&talk);
}

static void test_client_certificate(void **state)
{
    struct tls_client_options options;
    struct talk talk;
    struct outside outside;
    X509 *shown;

    begin(&talk);
    options = (struct tls_client_options){.ca_path = talk.certs.ca,
                                          .certificate_path = talk.certs.client,
                                          .private_key_path = talk.certs.client_key};
    use_client_options(&talk, &options);
    connect_client(&talk, "localhost");
    begin_outside(&outside, &talk, true);
    assert_int_equal(shake_hands(&outside, &talk), 1);
    shown = SSL_get1_peer_certificate(outside.ssl);
    assert_non_null(shown);
    X509_free(shown);
    end_outside(&outside);
    end(&talk);
}

/* In TLS 1.3 the client believes in its handshake before the server refuses: it is told behind it.
 */
static void test_missing_client_certificate(void **state)
{
    struct talk talk;
    struct outside outside;

    begin(&talk);
    connect_client(&talk, "localhost");
    begin_outside(&outside, &talk, true);
    assert_int_equal(shake_hands(&outside, &talk), -1);
    assert_int_equal(talk.client.err, ERR_TLS);
    assert_non_null(strstr(talk.client.why, "certificate required"));
    end_outside(&outside);
    end(&talk);
}

static SSL *outside_client(SSL_CTX *ctx, struct talk *talk, const char *protocols)
{
    SSL *ssl = SSL_new(ctx);

    accept_server(talk);
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

    begin(&talk);
    ssl = outside_client(ctx, &talk, "\x02h2\x08http/1.1");
    SSL_get0_alpn_selected(ssl, &chosen, &len);
    assert_int_equal(len, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    assert_true(talk.server.is_open);
    SSL_free(ssl);
    part(&talk);
    ssl = outside_client(ctx, &talk, NULL);
    assert_true(talk.server.is_open);
    SSL_free(ssl);
    part(&talk);
    ssl = outside_client(ctx, &talk, "\x02h2");
    assert_false(talk.server.is_open);
    assert_int_equal(talk.server.err, ERR_TLS);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    end(&talk);
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

/* --- threads --- */

enum { THREADS = 4, MEETINGS = 15 };

/* A worker of its own that shares the contexts, and with them the session to resume. */
static void *meet_often(void *arg)
{
    const struct talk *shared = arg;
    struct talk talk = {.to_client = -1, .to_server = -1};

    talk.client_tls = tls_context_ref(shared->client_tls);
    talk.server_tls = tls_context_ref(shared->server_tls);
    talk.loop = loop_new_virtual(1000000);
    talk.listener = wire_listen(true, &talk.addr);
    for (int i = 0; i < MEETINGS; i++) {
        meet(&talk, "localhost");
        say(&talk.client, "hello");
        say(&talk.server, "welcome");
        converse(&talk, SIZE_MAX);
        expect_heard(&talk.server, "hello");
        expect_heard(&talk.client, "welcome");
        part(&talk);
    }
    close(talk.listener);
    loop_free(&talk.loop);
    tls_context_unref(&talk.server_tls);
    tls_context_unref(&talk.client_tls);
    return NULL;
}

static void test_shared_by_threads(void **state)
{
    pthread_t threads[THREADS];
    struct talk talk;

    begin(&talk);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, meet_often, &talk), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    end(&talk);
}

/* --- without memory --- */

/* A handshake and a greeting, as far as they come. */
static void meet_without_memory(struct talk *talk)
{
    struct iovec iov = {(void *)(uintptr_t) "hello", 5};
    struct buf client_in, server_in;
    int fds[2];

    init_end(&talk->client);
    init_end(&talk->server);
    buf_init(&client_in, 1 << 16);
    server_in = client_in;
    assert_int_equal(buf_reserve(&client_in, 1 << 16), 0);
    assert_int_equal(buf_reserve(&server_in, 1 << 16), 0);
    talk->client.in = client_in;
    talk->server.in = server_in;
    wire_pair(fds);
    talk->to_server = fds[1];
    mem_fail_after(talk->fail_after);
    if (conn_connect(&talk->client.conn, talk->loop, &talk->addr, talk->client_tls,
                     SPAN("localhost"), &ops) == 0)
        talk->to_client = wire_accept(talk->listener);
    (void)conn_accept(&talk->server.conn, talk->loop, fds[0], talk->server_tls, &ops);
    converse(talk, 700);
    if (talk->client.is_open && !talk->client.err)
        (void)conn_send(&talk->client.conn, &iov, 1);
    converse(talk, 700);
}

static void test_without_memory(void **state)
{
    struct talk talk;
    bool is_over = false;

    if (!wire_can_fail())
        skip();
    begin(&talk);
    while (!is_over) {
        meet_without_memory(&talk);
        is_over = mem_fail_is_pending();
        mem_fail_after(-1);
        if (is_over)
            expect_heard(&talk.server, "hello");
        part(&talk);
        close(talk.listener); /* with a connection that nobody took, perhaps */
        talk.listener = wire_listen(true, &talk.addr);
        assert_in_range(++talk.fail_after, 0, 1000);
    }
    end(&talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_talking),
        cmocka_unit_test(test_any_cut),
        cmocka_unit_test(test_everything_at_once),
        cmocka_unit_test(test_big_transfers),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_unknown_authority),
        cmocka_unit_test(test_unverified),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_close_notify),
        cmocka_unit_test(test_cut_without_close_notify),
        cmocka_unit_test(test_forged_record),
        cmocka_unit_test(test_plain_bytes),
        cmocka_unit_test(test_leaving_in_the_handshake),
        cmocka_unit_test(test_what_a_server_sees),
        cmocka_unit_test(test_client_certificate),
        cmocka_unit_test(test_missing_client_certificate),
        cmocka_unit_test(test_alpn_of_clients),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_shared_by_threads),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Fetches whose trust is not the system's, from a TLS server on this machine; and where a redirect
 * leads that is not followed. */
#include "../io/certs.h"
#include "issuer.h"

#include <openssl/ssl.h>
#include <signal.h>

#include "base/clock.h"
#include "base/err.h"
#include "secrets/fetch.h"

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

/* Answers each connection the same. */
struct tls_server {
    int listener;
    char url[64];
    SSL_CTX *context;
    pthread_t thread;
};

static void *serve(void *arg)
{
    struct tls_server *server = arg;
    char request[4096];
    int fd;

    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        SSL *ssl = SSL_new(server->context);

        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1 && SSL_read(ssl, request, sizeof(request)) > 0)
            SSL_write(ssl, ANSWER, sizeof(ANSWER) - 1);
        SSL_free(ssl);
        close(fd);
    }
    return NULL;
}

static void open_server(struct tls_server *server, const struct certs *certs)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const struct sigaction ignored = {.sa_handler = SIG_IGN};
    socklen_t len = sizeof(addr);

    assert_int_equal(sigaction(SIGPIPE, &ignored, NULL), 0);
    server->context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate_chain_file(server->context, certs->server), 1);
    assert_int_equal(
        SSL_CTX_use_PrivateKey_file(server->context, certs->server_key, SSL_FILETYPE_PEM), 1);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(server->listener, 8), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&addr, &len), 0);
    snprintf(server->url, sizeof(server->url), "https://127.0.0.1:%u/", ntohs(addr.sin_port));
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void close_server(struct tls_server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    SSL_CTX_free(server->context);
}

struct client {
    struct loop *loop;
    struct fetcher *fetcher;
    struct fetch fetch;
    bool is_done;
    int err, status;
    char why[FETCH_WORDS_BYTES], body[64], redirect[256];
};

static void on_done(struct fetch *fetch, const struct fetch_answer *answer)
{
    struct client *client = container_of(fetch, struct client, fetch);

    client->is_done = true;
    client->err = answer->err;
    client->status = answer->status;
    snprintf(client->why, sizeof(client->why), "%s", answer->err ? answer->why : "");
    snprintf(client->body, sizeof(client->body), "%.*s", SPAN_ARG(answer->body));
    snprintf(client->redirect, sizeof(client->redirect), "%s",
             answer->redirect ? answer->redirect : "");
}

static int ask(struct client *client, const char *method, const char *url, const char *ca_file)
{
    static const char *const no_fields[] = {NULL};
    uint64_t give_up_us = clock_now_us() + 30 * US_PER_SEC;
    struct fetch_ask question = {.url = url,
                                 .fields = no_fields,
                                 .method = method,
                                 .ca_file = ca_file,
                                 .connect_us = 10 * US_PER_SEC,
                                 .total_us = 20 * US_PER_SEC};

    memset(client, 0, sizeof(*client));
    client->loop = loop_new();
    client->fetcher = fetcher_new(client->loop);
    assert_non_null(client->fetcher);
    client->fetch.on_done = on_done;
    assert_int_equal(fetch_begin(&client->fetch, client->fetcher, &question), 0);
    while (!client->is_done && clock_now_us() < give_up_us)
        assert_int_equal(loop_turn(client->loop, 20 * US_PER_MS), 0);
    assert_true(client->is_done);
    fetcher_free(&client->fetcher);
    loop_free(&client->loop);
    return client->err;
}

static void an_authority_of_ones_own(void **state)
{
    struct tls_server server;
    struct client client;
    struct certs certs;

    (void)state;
    certs_make(&certs);
    open_server(&server, &certs);
    assert_int_equal(ask(&client, "GET", server.url, certs.ca), 0);
    assert_int_equal(client.status, 200);
    assert_string_equal(client.body, "hi");
    /* By others it is not known, the system's among them. */
    assert_int_equal(ask(&client, "GET", server.url, certs.other_ca), ERR_TLS);
    assert_true(client.why[0] != '\0');
    assert_int_equal(ask(&client, "GET", server.url, NULL), ERR_TLS);
    assert_int_equal(ask(&client, "GET", server.url, certs.nonsense), ERR_TLS);
    assert_int_equal(ask(&client, "GET", server.url, "/nowhere/ca.pem"), ERR_TLS);
    close_server(&server);
    certs_remove(&certs);
}

static void where_a_redirect_leads(void **state)
{
    static const char *const script[] = {
        "HTTP/1.1 307 X\r\nLocation: /v1/there?a=b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 X\r\nLocation: /v1/there\r\nContent-Length: 0\r\n\r\n", NULL};
    struct issuer issuer;
    struct client client;
    char url[64], there[96];

    (void)state;
    issuer_open(&issuer, script);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/v1/here", issuer.port);
    snprintf(there, sizeof(there), "http://127.0.0.1:%u/v1/there?a=b", issuer.port);
    assert_int_equal(ask(&client, "POST", url, NULL), 0);
    assert_int_equal(client.status, 307);
    assert_string_equal(client.redirect, there);
    assert_int_equal(ask(&client, "POST", url, NULL), 0);
    assert_int_equal(client.status, 200);
    assert_string_equal(client.redirect, "");
    issuer_close(&issuer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_authority_of_ones_own),
        cmocka_unit_test(where_a_redirect_leads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* TLS with an upstream that fails, and works again: what operators are told, and clients are not.
 */
#include "road.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "../io/certs.h"
#include "base/alloc.h"

/* An upstream that answers everything well, where TLS lets it. */
struct upstream {
    struct road road;
    struct certs certs;
    struct http_server server;
    struct tls_context *tls;
    int listener;
    struct addr addr;
    char yaml[1024];
};

static void on_head(struct http_server_conn *conn, const struct http_head *head)
{
    (void)conn, (void)head;
}

static void on_body(struct http_server_conn *conn, struct span data)
{
    (void)conn, (void)data;
}

static void on_end(struct http_server_conn *conn)
{
    struct http_answer answer = {.status = 200,
                                 .fields = SPAN("Content-Type: application/json\r\n"),
                                 .length = (int64_t)strlen(road_ok)};

    http_server_answer(conn, &answer, span_from_text(road_ok), true);
}

static void on_bad(struct http_server_conn *conn, enum http_bad bad, enum http_problem problem)
{
    struct http_answer answer = {.status = 400, .is_closing = true};

    (void)bad, (void)problem;
    http_server_answer(conn, &answer, span_of(NULL, 0), true);
}

static void on_gone(struct http_server_conn *conn, int err)
{
    (void)conn, (void)err;
}

static void on_room(struct http_server_conn *conn)
{
    (void)conn;
}

static const struct http_server_ops ops = {on_head, on_body, on_end, on_bad,
                                           on_gone, on_room, on_room};

/* The gateway trusts that authority's certificates alone. */
static void begin(struct upstream *up, bool is_trusted)
{
    struct tls_server_options options = {up->certs.server, up->certs.server_key};
    char error[TLS_ERROR_BYTES];

    memset(up, 0, sizeof(*up));
    certs_make(&up->certs);
    up->listener = wire_listen(false, &up->addr);
    assert_int_equal(wire_set_non_blocking(up->listener), 0);
    assert_int_equal(tls_server_context_new(&options, error, &up->tls), 0);
    snprintf(up->yaml, sizeof(up->yaml),
             "providers: {up: {kind: compatible, base_url: 'https://127.0.0.1:%u/v1',\n"
             "  health: {validate_new: false}, tls: {ca: %s},\n"
             "  keys: [{name: one, secret: key-one}]}}\n"
             "clients: {open: true}\nretry: {wait: 300ms}\n",
             addr_port(&up->addr), is_trusted ? up->certs.ca : up->certs.other_ca);
    road_begin(&up->road, up->yaml);
    assert_int_equal(http_server_init(&up->server, up->road.loop, &ops, up), 0);
    up->server.tls = up->tls;
}

static void end(struct upstream *up)
{
    close(up->listener);
    http_server_fini(&up->server);
    road_end(&up->road);
    tls_context_unref(&up->tls);
    certs_remove(&up->certs);
}

/* What is written is readable at once: no kernel's timer runs on virtual time. */
static void accept_one(struct upstream *up, int fd)
{
    int on = 1;

    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    assert_int_equal(wire_set_non_blocking(fd), 0);
    assert_int_equal(http_server_accept(&up->server, fd, &up->addr), 0);
    wire_settle(up->road.loop);
}

static void play(struct upstream *up, unsigned ms)
{
    for (unsigned i = 0; i < ms; i += 50) {
        int fd;

        wire_settle(up->road.loop);
        while ((fd = accept(up->listener, NULL, NULL)) >= 0)
            accept_one(up, fd);
        road_pass_ms(&up->road, 50);
    }
}

/* Asks so many times; each gets this status, and no word of certificates. */
static void ask(struct upstream *up, unsigned times, int status)
{
    int client = road_connect(&up->road);

    for (unsigned i = 0; i < times; i++) {
        struct road_answer answer;

        road_chat(&up->road, client);
        play(up, 500);
        road_hear(&up->road, client, &answer);
        if (answer.status != status)
            print_message("%s%s\n", answer.head, road_body(&answer));
        assert_int_equal(answer.status, status);
        assert_null(strstr(road_body(&answer), "certificate"));
        road_answer_free(&answer);
    }
    close(client);
}

/* However often it is tried: once, and why. */
static void test_unknown_authority(void **state)
{
    struct upstream up;
    char *log, line[256];

    (void)state;
    begin(&up, false);
    ask(&up, 4, 502);
    assert_in_range(road_attempts(&up.road, "tls_failed"), 4, 100);
    log = road_log(&up.road);
    snprintf(line, sizeof(line),
             "\"level\":\"warning\",\"message\":\"TLS with an endpoint fails\",\"provider\":\"up\","
             "\"endpoint\":\"https://127.0.0.1:%u/v1\","
             "\"reason\":\"unable to get local issuer certificate\"}",
             addr_port(&up.addr));
    assert_int_equal(road_count(log, line), 1);
    assert_int_equal(road_count(log, "TLS with an endpoint"), 1);
    mem_free(log);
    end(&up);
}

/* It speaks no TLS at all for a time; then it is well, and that is told as well. */
static void test_back(void **state)
{
    struct upstream up;
    const char *fails, *works;
    char *log;

    (void)state;
    begin(&up, true);
    up.server.tls = NULL;
    ask(&up, 2, 502);
    up.server.tls = up.tls;
    road_pass_ms(&up.road, 31000);
    ask(&up, 3, 200);
    log = road_log(&up.road);
    assert_int_equal(road_count(log, "\"message\":\"TLS with an endpoint fails\""), 1);
    assert_int_equal(road_count(log, "\"message\":\"TLS with an endpoint works again\""), 1);
    fails = strstr(log, "\"reason\":\"wrong version number\"");
    works = strstr(log, "works again");
    assert_non_null(fails);
    assert_true(fails < works);
    mem_free(log);
    end(&up);
}

static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    int c;

    assert_non_null(in);
    assert_non_null(out);
    while ((c = fgetc(in)) != EOF)
        fputc(c, out);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

/* The same file, of other content: a reload reads it, and nothing sooner. */
static void test_renewed_authority(void **state)
{
    struct upstream up;

    (void)state;
    begin(&up, false);
    ask(&up, 1, 502);
    copy_file(up.certs.ca, up.certs.other_ca);
    road_pass_ms(&up.road, 31000);
    ask(&up, 1, 502);
    road_reload(&up.road, up.yaml);
    ask(&up, 2, 200);
    end(&up);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_authority),
        cmocka_unit_test(test_back),
        cmocka_unit_test(test_renewed_authority),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

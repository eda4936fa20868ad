/* Large bodies on real threads: several workers share the helpers, and the gateway ends while they
 * are at work. */
#include "house.h"

#include "base/alloc.h"
#include "exchange/away.h"

enum { TEXT_BYTES = AWAY_LARGE_BYTES + 50000, CLIENTS = 6 };

static const char two_workers[] =
    "server: {listen: '127.0.0.1:0', workers: 2, shutdown_grace: 20s}\n"
    "admin: {listen: '127.0.0.1:0'}\n"
    "log: {level: error, access: false}\n"
    "providers: {up: {kind: compatible, base_url: 'http://127.0.0.1:%u/v1',\n"
    "  health: {validate_new: false}, keys: [{name: k1, secret: s1}, {name: k2, secret: s2}]}}\n"
    "models: {m: up/m}\n"
    "clients: {open: true}\n";

static const char no_grace[] =
    "server: {listen: '127.0.0.1:0', workers: 2, shutdown_grace: 1ms}\n"
    "admin: {listen: '127.0.0.1:0'}\n"
    "log: {level: error, access: false}\n"
    "providers: {up: {kind: compatible, base_url: 'http://127.0.0.1:%u/v1',\n"
    "  health: {validate_new: false}, keys: [{name: k1, secret: s1}]}}\n"
    "models: {m: up/m}\n"
    "clients: {open: true}\n";

struct client {
    pthread_t thread;
    int fd;
    unsigned number, asks, good;
    bool is_leaving; /* asks once, and does not wait */
};

/* A large body of Anthropic's form: false where the connection breaks. */
static bool ask(int fd, unsigned number)
{
    struct buf text;
    char head[128];
    bool is_sent;
    int len;

    buf_init(&text, HOUSE_REQUEST_BYTES);
    buf_printf(&text,
               "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":"
               "\"mark%ux",
               number);
    for (size_t i = 0; i < TEXT_BYTES; i++)
        buf_append_byte(&text, "lorem ipsum "[i % 12]);
    buf_printf(&text, "\"}]}");
    len =
        snprintf(head, sizeof(head),
                 "POST /v1/messages HTTP/1.1\r\nHost: gw\r\nContent-Length: %zu\r\n\r\n", text.len);
    is_sent = send(fd, head, (size_t)len, MSG_NOSIGNAL) == len &&
              send(fd, text.data, text.len, MSG_NOSIGNAL) == (ssize_t)text.len;
    buf_fini(&text);
    return is_sent;
}

/* Whether the answer comes whole, with the number in it. */
static bool hear(int fd, unsigned number)
{
    struct buf text;
    char piece[65536], mark[32];
    bool is_good = false;

    buf_init(&text, HOUSE_REQUEST_BYTES);
    snprintf(mark, sizeof(mark), "mark%ux", number);
    for (;;) {
        ssize_t n = recv(fd, piece, sizeof(piece), 0);
        const char *body, *length;

        if (n <= 0)
            break;
        buf_append(&text, piece, (size_t)n);
        body = strstr(buf_text(&text), "\r\n\r\n");
        length = strstr(buf_text(&text), "Content-Length: ");
        if (!body || !length || strlen(body + 4) < strtoul(length + 16, NULL, 10))
            continue;
        is_good = strncmp(text.data, "HTTP/1.1 200 ", 13) == 0 && strstr(body, mark);
        break;
    }
    buf_fini(&text);
    return is_good;
}

static void *visit(void *arg)
{
    struct client *client = arg;

    for (unsigned i = 0; i < client->asks; i++) {
        unsigned number = client->number * 1000 + i;

        if (!ask(client->fd, number) || client->is_leaving)
            break;
        client->good += hear(client->fd, number);
    }
    close(client->fd);
    return NULL;
}

static void send_clients(struct house *house, struct client *clients, unsigned asks,
                         bool is_leaving)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){
            .fd = house_connect(house), .number = i, .asks = asks, .is_leaving = is_leaving};
        assert_true(clients[i].fd >= 0);
        assert_int_equal(pthread_create(&clients[i].thread, NULL, visit, &clients[i]), 0);
    }
}

static unsigned await_clients(struct client *clients)
{
    unsigned good = 0;

    for (unsigned i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        good += clients[i].good;
    }
    return good;
}

static void test_traffic(void **state)
{
    struct house house;
    struct client clients[CLIENTS];

    (void)state;
    house_begin(&house, two_workers);
    assert_int_equal(house_open(&house), 0);
    send_clients(&house, clients, 4, false);
    assert_int_equal(await_clients(clients), 4 * CLIENTS);
    house_end(&house);
}

/* Those who leave are forgotten, and the others served, whose answers are large too. */
static void test_leaving(void **state)
{
    struct house house;
    struct client leaving[CLIENTS], clients[CLIENTS];

    (void)state;
    house_begin(&house, two_workers);
    house.blanks = TEXT_BYTES;
    assert_int_equal(house_open(&house), 0);
    send_clients(&house, leaving, 1, true);
    send_clients(&house, clients, 2, false);
    await_clients(leaving);
    assert_int_equal(await_clients(clients), 2 * CLIENTS);
    house_end(&house);
}

/* The end comes while bodies are with the helpers, and on their way back. */
static void test_ending(void **state)
{
    (void)state;
    for (unsigned delay_ms = 0; delay_ms < 12; delay_ms += 3) {
        struct house house;
        struct client clients[CLIENTS];

        house_begin(&house, no_grace);
        house.blanks = TEXT_BYTES;
        assert_int_equal(house_open(&house), 0);
        send_clients(&house, clients, 2, false);
        usleep(delay_ms * 1000);
        house_end(&house);
        await_clients(clients);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traffic),
        cmocka_unit_test(test_leaving),
        cmocka_unit_test(test_ending),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

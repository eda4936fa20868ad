#include "hedge_play.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/rand.h"
#include "road.h"

enum {
    CLIENTS = 256, /* of which one that is not busy asks next */
    CONNS = 512,
    PROMPT_TOKENS = 1000,
    PIECE_BYTES = 8192,
};

/* Times to the first token, but for those that are late: half are below the middle, and nineteen of
 * twenty below twice as much. */
static const double middle_us = 600000, spread = 0.42, late_times = 10;

static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    "88\r\n"
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{"
    "\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\n\r\n"
    "98\r\n"
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[],"
    "\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":300,\"total_tokens\":1300}}\n\n\r\n"
    "e\r\ndata: [DONE]\n\n\r\n"
    "0\r\n\r\n";

struct stage;

struct play_client {
    struct loop_fd fd;
    struct stage *stage;
    uint64_t asked_us; /* 0: it is not busy */
    bool has_heard;
    char last[5]; /* of the answer: its end is told by them */
};

/* A connection that the gateway has made. */
struct play_conn {
    struct loop_fd fd; /* fd.fd is -1: free */
    struct stage *stage;
    struct loop_timer timer;
    char in[PIECE_BYTES];
    size_t in_len;
};

struct stage {
    struct road road;
    /* Apart, so that hedging changes nothing about when clients come. */
    struct rand comings, delays;
    struct loop_fd listener;
    struct play_client clients[CLIENTS];
    struct play_conn conns[CONNS];
    size_t under_way;
    char *request;
    size_t request_len;
    struct hedge_answer result;
};

/* ---- the provider ---- */

static double draw_normal(struct rand *rand)
{
    double length = sqrt(-2 * log(1 - rand_unit(rand)));

    return length * cos(2 * acos(-1) * rand_unit(rand));
}

static uint64_t draw_first_us(struct rand *rand)
{
    double us = middle_us * exp(spread * draw_normal(rand));

    if (rand_below(rand, 1000) < HEDGE_PLAY_LATE_PERMILLE)
        us *= late_times;
    return (uint64_t)us;
}

static void drop_conn(struct play_conn *conn)
{
    if (conn->fd.fd < 0)
        return;
    loop_remove(conn->stage->road.loop, &conn->fd);
    loop_timer_fini(&conn->timer);
    close(conn->fd.fd);
    conn->fd.fd = -1;
}

static void on_answer_due(struct loop_timer *timer)
{
    struct play_conn *conn = container_of(timer, struct play_conn, timer);

    assert_int_equal(send(conn->fd.fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL),
                     sizeof(answer) - 1);
}

/* The requests are all alike but for their heads. */
static bool is_whole(const struct play_conn *conn)
{
    const char *end = conn->in_len ? strstr(conn->in, "\r\n\r\n") : NULL;
    const char *length = end ? strcasestr(conn->in, "\r\nContent-Length:") : NULL;

    if (!end)
        return false;
    assert_non_null(length);
    return conn->in_len ==
           (size_t)(end + 4 - conn->in) + strtoul(strchr(length, ':') + 1, NULL, 10);
}

static void on_conn_ready(struct loop_fd *fd, unsigned ready)
{
    struct play_conn *conn = container_of(fd, struct play_conn, fd);
    struct stage *stage = conn->stage;
    ssize_t n;

    (void)ready;
    while ((n = recv(fd->fd, conn->in + conn->in_len, sizeof(conn->in) - 1 - conn->in_len, 0)) > 0)
        conn->in_len += (size_t)n;
    if (n == 0 || errno != EAGAIN) {
        drop_conn(conn); /* it was cancelled, or has been idle for long */
        return;
    }
    conn->in[conn->in_len] = '\0';
    if (!is_whole(conn))
        return;
    conn->in_len = 0;
    stage->result.attempts++;
    assert_int_equal(
        loop_timer_set(&conn->timer, loop_now_us(stage->road.loop) + draw_first_us(&stage->delays)),
        0);
}

static struct play_conn *find_free_conn(struct stage *stage)
{
    struct play_conn *conn = stage->conns;

    while (conn < stage->conns + CONNS && conn->fd.fd >= 0)
        conn++;
    assert_true(conn < stage->conns + CONNS);
    return conn;
}

static void on_knock(struct loop_fd *listener, unsigned ready)
{
    struct stage *stage = container_of(listener, struct stage, listener);
    int fd;

    (void)ready;
    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct play_conn *conn = find_free_conn(stage);

        conn->fd = (struct loop_fd){.fd = fd, .on_ready = on_conn_ready};
        conn->stage = stage;
        conn->in_len = 0;
        loop_timer_init(&conn->timer, stage->road.loop, on_answer_due);
        assert_int_equal(loop_add(stage->road.loop, &conn->fd, false), 0);
    }
}

/* ---- the clients ---- */

static void note_first(struct play_client *client)
{
    struct hedge_answer *result = &client->stage->result;
    uint64_t took_us = loop_now_us(client->stage->road.loop) - client->asked_us;

    client->has_heard = true;
    result->firsts_ms[result->count++] = (uint32_t)(took_us / 1000);
}

/* Keeps the last bytes of what was heard so far. */
static void keep_last(struct play_client *client, const char *piece, size_t len)
{
    size_t most = sizeof(client->last), kept = len < most ? most - len : 0;

    memmove(client->last, client->last + most - kept, kept);
    memcpy(client->last + kept, piece + len - (most - kept), most - kept);
}

static void on_client_ready(struct loop_fd *fd, unsigned ready)
{
    struct play_client *client = container_of(fd, struct play_client, fd);
    char piece[PIECE_BYTES];
    ssize_t n;

    (void)ready;
    while ((n = recv(fd->fd, piece, sizeof(piece), 0)) > 0) {
        assert_true(client->asked_us != 0);
        if (!client->has_heard) {
            assert_memory_equal(piece, "HTTP/1.1 200 ", 13);
            note_first(client);
        }
        keep_last(client, piece, (size_t)n);
        if (memcmp(client->last, "0\r\n\r\n", sizeof(client->last)) == 0) {
            client->asked_us = 0;
            client->stage->under_way--;
        }
    }
    assert_true(n < 0 && errno == EAGAIN);
}

static void ask(struct stage *stage)
{
    struct play_client *client = stage->clients;

    while (client < stage->clients + CLIENTS && client->asked_us)
        client++;
    assert_true(client < stage->clients + CLIENTS);
    client->asked_us = loop_now_us(stage->road.loop);
    client->has_heard = false;
    memset(client->last, 0, sizeof(client->last));
    stage->under_way++;
    assert_int_equal(send(client->fd.fd, stage->request, stage->request_len, MSG_NOSIGNAL),
                     stage->request_len);
}

/* ---- the play ---- */

static void write_request(struct stage *stage)
{
    static const char begin[] = "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\","
                                "\"content\":\"";
    static const char sentence[] = "Tell me what the report says of each quarter. ";
    static const char end[] = "\"}]}";
    size_t text = (size_t)PROMPT_TOKENS * 4, size = text + 512;

    stage->request = malloc(size);
    assert_non_null(stage->request);
    stage->request_len = (size_t)snprintf(stage->request, size,
                                          "POST /v1/chat/completions HTTP/1.1\r\nHost: gw\r\n"
                                          "Content-Length: %zu\r\n\r\n%s",
                                          sizeof(begin) - 1 + text + sizeof(end) - 1, begin);
    for (size_t i = 0; i < text; i++)
        stage->request[stage->request_len++] = sentence[i % (sizeof(sentence) - 1)];
    memcpy(stage->request + stage->request_len, end, sizeof(end));
    stage->request_len += sizeof(end) - 1;
}

static void begin(struct stage *stage, const struct hedge_question *question)
{
    char yaml[1024];

    snprintf(yaml, sizeof(yaml),
             "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
             "  connections: {max: %d}, timeouts: {first_byte: 5m, total: 5m},\n"
             "  keys: [{secret: k1}, {secret: k2}, {secret: k3}, {secret: k4}]}}\n"
             "clients: {open: true}\nmodels: {m: up/m}\n"
             "server: {timeouts: {header: 24h, idle: 24h}}\n"
             "prices: {up/m: {input: 100000, output: 400000}}\n%s%s%s",
             CONNS, question->hedge ? "retry: {hedge: " : "",
             question->hedge ? question->hedge : "", question->hedge ? "}\n" : "");
    road_begin(&stage->road, yaml);
    rand_init(&stage->comings, question->seed);
    rand_init(&stage->delays, question->seed + 1000000);
    write_request(stage);
    stage->result.firsts_ms = calloc(question->exchanges, sizeof(*stage->result.firsts_ms));
    assert_non_null(stage->result.firsts_ms);
    stage->listener =
        (struct loop_fd){.fd = stage->road.upstreams[0].listener, .on_ready = on_knock};
    assert_int_equal(loop_add(stage->road.loop, &stage->listener, false), 0);
    for (size_t i = 0; i < CONNS; i++)
        stage->conns[i].fd.fd = -1;
    for (size_t i = 0; i < CLIENTS; i++) {
        stage->clients[i].stage = stage;
        stage->clients[i].fd =
            (struct loop_fd){.fd = road_connect(&stage->road), .on_ready = on_client_ready};
        assert_int_equal(loop_add(stage->road.loop, &stage->clients[i].fd, false), 0);
    }
}

static uint64_t hedges(struct stage *stage, const char *result)
{
    char line[128];

    snprintf(line, sizeof(line), "bellwether_hedges_total{provider=\"up\",result=\"%s\"}", result);
    return road_metric(&stage->road, line);
}

static void read_metrics(struct stage *stage)
{
    struct hedge_answer *result = &stage->result;

    result->won = hedges(stage, "won");
    result->lost = hedges(stage, "lost");
    result->failed = hedges(stage, "failed");
    result->no_budget = hedges(stage, "no_budget");
    result->no_key = hedges(stage, "no_key");
    result->no_connection = hedges(stage, "no_connection");
    result->cost_usd =
        road_metric(&stage->road, "bellwether_client_cost_usd_total{client=\"anonymous\"}");
}

static void end(struct stage *stage)
{
    loop_remove(stage->road.loop, &stage->listener);
    for (size_t i = 0; i < CLIENTS; i++) {
        loop_remove(stage->road.loop, &stage->clients[i].fd);
        close(stage->clients[i].fd.fd);
    }
    for (size_t i = 0; i < CONNS; i++)
        drop_conn(&stage->conns[i]);
    road_end(&stage->road);
    free(stage->request);
    free(stage);
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

struct hedge_answer hedge_play(const struct hedge_question *question)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    struct hedge_answer result;
    uint64_t next_us;

    assert_non_null(stage);
    begin(stage, question);
    next_us = loop_now_us(stage->road.loop);
    for (size_t i = 0; i < question->exchanges; i++) {
        double gap_us = -log(1 - rand_unit(&stage->comings)) * 1e6 / HEDGE_PLAY_A_SECOND;

        next_us += (uint64_t)gap_us;
        while (loop_now_us(stage->road.loop) < next_us)
            assert_int_equal(loop_turn(stage->road.loop, next_us - loop_now_us(stage->road.loop)),
                             0);
        ask(stage);
    }
    while (stage->under_way)
        assert_int_equal(loop_turn(stage->road.loop, 1000000), 0);
    wire_settle(stage->road.loop);
    read_metrics(stage);
    result = stage->result;
    assert_int_equal(result.count, question->exchanges);
    qsort(result.firsts_ms, result.count, sizeof(*result.firsts_ms), compare);
    end(stage);
    return result;
}

uint32_t hedge_quantile(const struct hedge_answer *of, uint64_t ppm)
{
    size_t at = (size_t)((double)ppm / 1e6 * (double)of->count);

    return of->firsts_ms[at < of->count ? at : of->count - 1];
}

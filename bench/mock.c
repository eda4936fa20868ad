/*
 * The mock upstream: a provider that answers at once, always the same, for less CPU time than any
 * proxy takes.
 *
 *   mock [--port P] [--tls CERTIFICATE KEY] [--events N] [--interval-us U]
 *        [--fail-status S] [--fail-every N] [--limit-headers]
 *
 * It prints {"port":P} when it listens, and serves until it is killed:
 *
 *   POST /v1/chat/completions   a completion, or a stream when the body has "stream":true: N events
 *                               in one burst, written at once; with --interval-us the role's event
 *                               at once and then one event every U microseconds, each stamped with
 *                               the time that it was written
 *   GET  /v1/models             an empty list
 *   GET  /bench/stats           what was seen since the last call, as JSON
 *
 * Every Nth chat request fails with S if so told. From the moment before that answer is written
 * until the next chat request arrives is kept as a failover: it holds for load that has one request
 * under way at a time.
 */
#include "answers.h"
#include "common.h"
#include "hist.h"
#include "pace.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES   (256 * 1024)
#define REQUEST_MAX  (8 * 1024 * 1024)
#define FOREVER_NS   (3600 * NS_PER_S)
#define GOLDEN_RATIO 0.61803398874989485

struct conn {
    struct pace_item pace; /* first: a due item is its connection */
    int fd;
    bool is_broken;
    SSL *tls;
    struct stream_parts *stream; /* NULL while none is under way */
    uint64_t words_left;
    struct bytes in;
    struct bytes out;
};

struct options {
    struct answers_options answers;
    uint16_t port;
    uint64_t interval_ns;
    uint64_t fail_every;
    const char *certificate;
    const char *private_key;
};

struct stats {
    uint64_t connections;
    uint64_t requests;
    uint64_t streams;
    uint64_t failures;
    uint64_t handshakes;
    uint64_t resumed;
    uint64_t events_skipped;
    struct hist failover;
};

struct mock {
    struct options options;
    struct answers answers;
    struct stats stats;
    struct pace pace;
    SSL_CTX *tls;
    int epoll_fd;
    int listen_fd;
    uint64_t open;
    uint64_t chats;
    uint64_t paced;
    uint64_t failed_ns; /* when the last failing answer was written; 0 once its successor came */
    uint64_t arrived_ns;
};

enum request_kind { REQUEST_CHAT, REQUEST_MODELS, REQUEST_STATS, REQUEST_OTHER };

struct request {
    enum request_kind kind;
    size_t size;
    bool wants_stream;
    bool wants_usage;
};

static char read_buffer[READ_BYTES];

static void close_conn(struct mock *mock, struct conn *conn)
{
    pace_remove(&mock->pace, &conn->pace);
    SSL_free(conn->tls);
    close(conn->fd);
    free(conn->in.at);
    free(conn->out.at);
    free(conn);
    mock->open--;
}

/* Sends what the connection takes: how many bytes, 0 when it is full, -1 when it is broken. */
static ptrdiff_t send_some(struct conn *conn, const char *bytes, size_t size)
{
    if (conn->tls != NULL) {
        int n = SSL_write(conn->tls, bytes, (int)size);
        if (n > 0)
            return n;
        int error = SSL_get_error(conn->tls, n);
        ERR_clear_error();
        return error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ ? 0 : -1;
    }
    ssize_t n = send(conn->fd, bytes, size, MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    return n;
}

static void flush(struct conn *conn)
{
    ptrdiff_t n = 1;
    while (conn->out.size > 0 && n > 0) {
        n = send_some(conn, conn->out.at, conn->out.size);
        if (n > 0) {
            conn->out.size -= (size_t)n;
            memmove(conn->out.at, conn->out.at + n, conn->out.size);
        }
    }
    if (n < 0)
        conn->is_broken = true;
}

static void keep(struct bytes *store, const char *bytes, size_t size)
{
    store->at = need_realloc(store->at, store->size + size);
    memcpy(store->at + store->size, bytes, size);
    store->size += size;
}

/* Sends the bytes, and keeps for later what the connection does not take now. */
static void say(struct conn *conn, const struct bytes *bytes)
{
    ptrdiff_t n = conn->out.size == 0 ? send_some(conn, bytes->at, bytes->size) : 0;
    if (n < 0) {
        conn->is_broken = true;
        return;
    }
    if ((size_t)n < bytes->size) {
        keep(&conn->out, bytes->at + n, bytes->size - (size_t)n);
        flush(conn);
    }
}

static bool has_flag(const char *body, size_t size, const char *name)
{
    size_t name_size = strlen(name);
    const char *at = memmem(body, size, name, name_size);
    if (at == NULL)
        return false;
    const char *end = body + size;
    for (at += name_size; at < end && (*at == ' ' || *at == ':');)
        at++;
    return end - at >= 4 && memcmp(at, "true", 4) == 0;
}

static bool has_path(const char *line, const char *line_end, const char *path)
{
    size_t size = strlen(path);
    const char *end = memmem(line, (size_t)(line_end - line), " HTTP/1.", 8);
    return end != NULL && end - line > (ptrdiff_t)size && memcmp(end - size, path, size) == 0;
}

static enum request_kind kind_of(const char *line, const char *line_end)
{
    if (line[0] == 'P' && has_path(line, line_end, "/chat/completions"))
        return REQUEST_CHAT;
    if (line[0] == 'G' && has_path(line, line_end, "/models"))
        return REQUEST_MODELS;
    if (line[0] == 'G' && has_path(line, line_end, "/bench/stats"))
        return REQUEST_STATS;
    return REQUEST_OTHER;
}

/* The value of Content-Length among the lines of a head, 0 if there is none. */
static size_t content_length(const char *line, const char *end)
{
    static const char name[] = "content-length:";
    while (line != NULL && line < end) {
        if ((line[0] | 0x20) == 'c' && strncasecmp(line, name, sizeof(name) - 1) == 0)
            return strtoul(line + sizeof(name) - 1, NULL, 10);
        line = memchr(line, '\n', (size_t)(end - line));
        line = line != NULL ? line + 1 : NULL;
    }
    return 0;
}

/* False while the request is not here whole. */
static bool read_request(const char *bytes, size_t size, struct request *ret_request)
{
    const char *end = memmem(bytes, size, "\r\n\r\n", 4);
    if (end == NULL)
        return false;
    size_t head = (size_t)(end + 4 - bytes);
    const char *line_end = memchr(bytes, '\r', head);
    size_t length = content_length(line_end + 2, end + 2);
    if (length > size - head)
        return false;
    *ret_request = (struct request){.kind = kind_of(bytes, line_end), .size = head + length};
    if (ret_request->kind == REQUEST_CHAT) {
        ret_request->wants_stream = has_flag(end + 4, length, "\"stream\"");
        ret_request->wants_usage = has_flag(end + 4, length, "\"include_usage\"");
    }
    return true;
}

static void say_stats(struct mock *mock, struct conn *conn)
{
    char *text = NULL;
    size_t size = 0;
    const struct stats *stats = &mock->stats;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        die("open_memstream");
    fprintf(out,
            "{\"open\":%" PRIu64 ",\"connections\":%" PRIu64 ",\"requests\":%" PRIu64
            ",\"streams\":%" PRIu64 ",\"failures\":%" PRIu64 ",\"handshakes\":%" PRIu64
            ",\"resumed\":%" PRIu64 ",\"events_skipped\":%" PRIu64 ",\"failover\":",
            mock->open, stats->connections, stats->requests, stats->streams, stats->failures,
            stats->handshakes, stats->resumed, stats->events_skipped);
    hist_print(&stats->failover, out);
    fputc('}', out);
    fclose(out);
    struct bytes answer = answers_json(text);
    say(conn, &answer);
    free(answer.at);
    free(text);
    mock->stats = (struct stats){0};
}

static void start_stream(struct mock *mock, struct conn *conn, bool wants_usage)
{
    struct stream_parts *parts = wants_usage ? &mock->answers.with_usage : &mock->answers.plain;
    mock->stats.streams++;
    if (mock->options.interval_ns == 0) {
        say(conn, &parts->whole);
        return;
    }
    /* Streams that began together must not beat together: each gets a phase of its own. */
    double phase = (double)++mock->paced * GOLDEN_RATIO;
    phase -= (double)(uint64_t)phase;
    conn->stream = parts;
    conn->words_left = mock->options.answers.events - 2;
    say(conn, &parts->opening);
    pace_set(&mock->pace, &conn->pace,
             now_ns() + (uint64_t)(phase * (double)mock->options.interval_ns));
}

static void answer_chat(struct mock *mock, struct conn *conn, const struct request *request)
{
    uint64_t every = mock->options.fail_every;
    if (mock->failed_ns != 0) {
        hist_add(&mock->stats.failover, mock->arrived_ns - mock->failed_ns);
        mock->failed_ns = 0;
    }
    if (every > 0 && ++mock->chats % every == 0) {
        mock->stats.failures++;
        mock->failed_ns = now_ns();
        say(conn, &mock->answers.failure);
    } else if (request->wants_stream) {
        start_stream(mock, conn, request->wants_usage);
    } else {
        say(conn, &mock->answers.chat);
    }
}

static void answer(struct mock *mock, struct conn *conn, const struct request *request)
{
    switch (request->kind) {
    case REQUEST_CHAT:
        mock->stats.requests++;
        answer_chat(mock, conn, request);
        break;
    case REQUEST_MODELS:
        say(conn, &mock->answers.models);
        break;
    case REQUEST_STATS:
        say_stats(mock, conn);
        break;
    case REQUEST_OTHER:
        say(conn, &mock->answers.not_found);
        break;
    }
}

/* Answers the whole requests at the front; returns how many bytes they were. What follows a stream
 * waits for its end. */
static size_t answer_all(struct mock *mock, struct conn *conn, const char *bytes, size_t size)
{
    size_t at = 0;
    struct request request;
    while (at < size && conn->stream == NULL && !conn->is_broken &&
           read_request(bytes + at, size - at, &request)) {
        at += request.size;
        answer(mock, conn, &request);
    }
    return at;
}

static void answer_kept(struct mock *mock, struct conn *conn)
{
    size_t taken = answer_all(mock, conn, conn->in.at, conn->in.size);
    conn->in.size -= taken;
    memmove(conn->in.at, conn->in.at + taken, conn->in.size);
}

static void take(struct mock *mock, struct conn *conn, size_t size)
{
    size_t taken = 0;
    if (conn->in.size == 0) {
        taken = answer_all(mock, conn, read_buffer, size);
        if (taken == size)
            return;
    }
    if (conn->in.size + size > REQUEST_MAX) {
        conn->is_broken = true;
        return;
    }
    bool is_fresh = conn->in.size == 0;
    keep(&conn->in, read_buffer + taken, size - taken);
    if (!is_fresh)
        answer_kept(mock, conn);
}

/* Reads once: how many bytes, 0 when there are none now, -1 at the end. */
static ptrdiff_t read_some(struct mock *mock, struct conn *conn)
{
    if (conn->tls == NULL) {
        ssize_t n = recv(conn->fd, read_buffer, READ_BYTES, 0);
        return n > 0 ? n : n < 0 && errno == EAGAIN ? 0 : -1;
    }
    bool was_open = SSL_is_init_finished(conn->tls);
    int n = SSL_read(conn->tls, read_buffer, READ_BYTES);
    if (!was_open && SSL_is_init_finished(conn->tls)) {
        mock->stats.handshakes++;
        mock->stats.resumed += SSL_session_reused(conn->tls) == 1;
    }
    if (n > 0)
        return n;
    int error = SSL_get_error(conn->tls, n);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void on_event(struct mock *mock, struct conn *conn, uint32_t events)
{
    if (mock->options.fail_every > 0)
        mock->arrived_ns = now_ns();
    if (conn->out.size > 0 && (events & EPOLLOUT) != 0)
        flush(conn);
    /* A plain read that did not fill the buffer left nothing behind, unless the other side has
     * closed. */
    bool is_closing = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    for (ptrdiff_t n = READ_BYTES; !conn->is_broken && n > 0;) {
        if (n < READ_BYTES && conn->tls == NULL && !is_closing)
            return;
        n = read_some(mock, conn);
        if (n > 0)
            take(mock, conn, (size_t)n);
        else if (n < 0)
            conn->is_broken = true;
    }
    if (conn->is_broken)
        close_conn(mock, conn);
}

static void accept_all(struct mock *mock)
{
    for (;;) {
        int fd = accept4(mock->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
            return;
        if (fd < 0)
            die("accept");
        struct conn *conn = need_zeroed(1, sizeof(*conn));
        conn->fd = fd;
        mock->open++;
        mock->stats.connections++;
        set_nodelay(fd);
        if (mock->tls != NULL) {
            conn->tls = SSL_new(mock->tls);
            if (conn->tls == NULL || SSL_set_fd(conn->tls, fd) != 1)
                die("SSL_new");
            SSL_set_accept_state(conn->tls);
        }
        watch_edge(mock->epoll_fd, fd, conn);
    }
}

/* Writes the next event of a stream that is due. */
static void say_word(struct mock *mock, struct conn *conn)
{
    struct stream_parts *parts = conn->stream;
    if (conn->is_broken) {
        pace_remove(&mock->pace, &conn->pace);
        return;
    }
    if (conn->words_left == 0) {
        pace_remove(&mock->pace, &conn->pace);
        conn->stream = NULL;
        say(conn, &parts->ending);
        answer_kept(mock, conn);
        return;
    }
    conn->words_left--;
    pace_set(&mock->pace, &conn->pace, conn->pace.due_ns + mock->options.interval_ns);
    /* A proxy that does not read loses events, so that the mock's memory stays bounded; the bench
     * reports it. */
    if (conn->out.size > 0) {
        mock->stats.events_skipped++;
        return;
    }
    answers_stamp(parts, now_ns());
    say(conn, &parts->word);
}

/* Writes all that is due; returns how long until the next is. */
static uint64_t run_paced(struct mock *mock)
{
    const struct pace_item *first = pace_find_first(&mock->pace);
    if (first == NULL)
        return FOREVER_NS;
    uint64_t now = now_ns();
    for (; first != NULL && first->due_ns <= now; first = pace_find_first(&mock->pace))
        say_word(mock, (struct conn *)first);
    return first != NULL ? first->due_ns - now : FOREVER_NS;
}

static void serve(struct mock *mock)
{
    struct epoll_event events[TURN_EVENTS];
    for (;;) {
        uint64_t wait_ns = run_paced(mock);
        struct timespec wait = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
                                .tv_nsec = (long)(wait_ns % NS_PER_S)};
        int count = epoll_pwait2(mock->epoll_fd, events, TURN_EVENTS, &wait, NULL);
        if (count < 0 && errno != EINTR)
            die("epoll_pwait2");
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                accept_all(mock);
            else
                on_event(mock, events[i].data.ptr, events[i].events);
        }
    }
}

static void tls_init(struct mock *mock)
{
    mock->tls = SSL_CTX_new(TLS_server_method());
    /* One version and one cipher, that of the big providers, so that no proxy gets a cheaper one.
     */
    if (mock->tls == NULL || SSL_CTX_set_min_proto_version(mock->tls, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(mock->tls, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_use_certificate_chain_file(mock->tls, mock->options.certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(mock->tls, mock->options.private_key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_set_session_id_context(mock->tls, (const unsigned char *)"bench", 5) != 1)
        die("TLS: %s", ERR_error_string(ERR_get_error(), NULL));
    SSL_CTX_set_mode(mock->tls,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static void read_options(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {
        {"port", required_argument, NULL, 'p'},
        {"tls", required_argument, NULL, 't'},
        {"events", required_argument, NULL, 'e'},
        {"interval-us", required_argument, NULL, 'i'},
        {"fail-status", required_argument, NULL, 's'},
        {"fail-every", required_argument, NULL, 'f'},
        {"limit-headers", no_argument, NULL, 'l'},
        {NULL, 0, NULL, 0},
    };
    *options = (struct options){.answers = {.events = 50, .fail_status = 500}};
    for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (name == 'p')
            options->port = (uint16_t)need_number("--port", optarg, 0, UINT16_MAX);
        else if (name == 't')
            options->certificate = optarg;
        else if (name == 'e')
            options->answers.events = need_number("--events", optarg, 2, 100000000);
        else if (name == 'i')
            options->interval_ns = need_number("--interval-us", optarg, 1, 3600000000) * NS_PER_US;
        else if (name == 's')
            options->answers.fail_status = (int)need_number("--fail-status", optarg, 400, 599);
        else if (name == 'f')
            options->fail_every = need_number("--fail-every", optarg, 1, UINT32_MAX);
        else if (name == 'l')
            options->answers.with_limit_headers = true;
        else
            exit(2);
    }
    /* --tls takes two words; getopt gives the first. */
    if (options->certificate != NULL && optind < argc)
        options->private_key = argv[optind++];
    errno = 0;
    if (optind != argc || (options->certificate != NULL && options->private_key == NULL))
        die("wrong arguments; see the top of mock.c");
}

int main(int argc, char **argv)
{
    struct mock *mock = need_zeroed(1, sizeof(*mock));
    read_options(&mock->options, argc, argv);
    raise_descriptor_limit();
    /* A paced stream of hours is written event by event, never whole. */
    struct answers_options answers = mock->options.answers;
    if (mock->options.interval_ns > 0)
        answers.events = 2;
    answers_init(&mock->answers, &answers);
    if (mock->options.certificate != NULL)
        tls_init(mock);
    uint16_t port;
    mock->listen_fd = listen_loopback(mock->options.port, &port);
    mock->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (mock->epoll_fd < 0)
        die("epoll_create1");
    watch_edge(mock->epoll_fd, mock->listen_fd, NULL);
    printf("{\"port\":%u}\n", port);
    fflush(stdout);
    serve(mock);
}

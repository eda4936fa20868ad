/*
 * The mock upstream: a provider that answers at once, always the same, for less CPU time than any
 * proxy takes.
 *
 *   mock [--port P] [--tls CERTIFICATE KEY] [--events N] [--interval-us U]
 *        [--fail-status S] [--fail-every N] [--limit-headers] [--two]
 *
 * It prints {"port":P} when it listens, and serves until it is killed. With --two it listens at a
 * second place as well, as another region would, and prints {"port":P,"second_port":Q}:
 *
 *   POST /v1/chat/completions   a completion, or a stream when the body has "stream":true: N events
 *                               in one burst, written at once; with --interval-us the role's event
 *                               at once and then one event every U microseconds, each stamped with
 *                               the time that it was written
 *   POST /v1/messages           the same in Anthropic's dialect; its events carry no stamp
 *   GET  /v1/models             an empty list
 *   GET  /bench/stats           what was seen since the last call, as JSON
 *
 * Every Nth chat request fails with S if so told. From the moment before that answer is written
 * until the next chat request arrives is kept as a failover: it holds for load that has one request
 * under way at a time. With --two those whose next request came to the same place are counted
 * apart, as failovers_here.
 */
#include "answers.h"
#include "common.h"
#include "hist.h"
#include "pace.h"
#include "peer.h"
#include "request.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
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
#define PLACES       2

struct conn {
    struct pace_item pace; /* first: a due item is its connection */
    struct peer peer;
    struct stream_parts *stream; /* NULL while none is under way */
    uint64_t words_left;
    struct bytes in; /* the part of a request that has come so far */
    unsigned place;  /* where it was accepted */
};

struct options {
    struct answers_options answers;
    uint16_t port;
    uint64_t interval_ns;
    uint64_t fail_every;
    bool has_second;
    const char *certificate;
    const char *private_key;
};

struct stats {
    uint64_t connections;
    uint64_t requests;
    uint64_t streams;
    uint64_t events; /* paced ones */
    uint64_t failures;
    struct peer_handshakes handshakes;
    uint64_t events_skipped;
    struct hist failover;
    uint64_t failovers_here;
};

struct mock {
    struct options options;
    struct answers answers;
    struct stats stats;
    struct pace pace;
    SSL_CTX *tls;
    int epoll_fd;
    int listen_fds[PLACES]; /* the second is -1 where there is one place */
    uint64_t open;
    uint64_t chats;
    uint64_t paced;
    uint64_t failed_ns; /* when the last failing answer was written; 0 once its successor came */
    unsigned failed_place;
    uint64_t arrived_ns;
};

static char read_buffer[READ_BYTES];

static void close_conn(struct mock *mock, struct conn *conn)
{
    pace_remove(&mock->pace, &conn->pace);
    peer_fini(&conn->peer);
    free(conn->in.at);
    free(conn);
    mock->open--;
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
            ",\"streams\":%" PRIu64 ",\"events\":%" PRIu64 ",\"failures\":%" PRIu64
            ",\"handshakes\":%" PRIu64 ",\"resumed\":%" PRIu64 ",\"events_skipped\":%" PRIu64
            ",\"failovers_here\":%" PRIu64 ",\"failover\":",
            mock->open, stats->connections, stats->requests, stats->streams, stats->events,
            stats->failures, stats->handshakes.done, stats->handshakes.resumed,
            stats->events_skipped, stats->failovers_here);
    hist_print(&stats->failover, out);
    fputc('}', out);
    fclose(out);
    struct bytes answer = answers_json(text);
    peer_say(&conn->peer, &answer);
    free(answer.at);
    free(text);
    mock->stats = (struct stats){0};
    mock->failed_ns = 0; /* its client may have ended: the next request is another one's */
}

static struct stream_parts *stream_for(struct answers *answers, const struct request *request)
{
    if (request->kind == REQUEST_MESSAGES)
        return &answers->messages.stream;
    return request->wants_usage ? &answers->with_usage : &answers->plain;
}

static void start_stream(struct mock *mock, struct conn *conn, struct stream_parts *parts)
{
    mock->stats.streams++;
    if (mock->options.interval_ns == 0) {
        peer_say(&conn->peer, &parts->whole);
        return;
    }
    /* Streams that began together must not beat together: each gets a phase of its own. */
    double phase = (double)++mock->paced * GOLDEN_RATIO;
    phase -= (double)(uint64_t)phase;
    conn->stream = parts;
    conn->words_left = mock->options.answers.events - 2;
    peer_say(&conn->peer, &parts->opening);
    pace_set(&mock->pace, &conn->pace,
             now_ns() + (uint64_t)(phase * (double)mock->options.interval_ns));
}

/* The first chat request after one that failed has come. */
static void note_failover(struct mock *mock, unsigned place)
{
    if (mock->options.has_second && place == mock->failed_place)
        mock->stats.failovers_here++;
    else
        hist_add(&mock->stats.failover, mock->arrived_ns - mock->failed_ns);
    mock->failed_ns = 0;
}

static void answer_chat(struct mock *mock, struct conn *conn, const struct request *request)
{
    struct answers *answers = &mock->answers;
    bool is_messages = request->kind == REQUEST_MESSAGES;
    uint64_t every = mock->options.fail_every;
    if (mock->failed_ns != 0)
        note_failover(mock, conn->place);
    if (every > 0 && ++mock->chats % every == 0) {
        mock->stats.failures++;
        mock->failed_place = conn->place;
        mock->failed_ns = now_ns();
        peer_say(&conn->peer, is_messages ? &answers->messages.failure : &answers->failure);
    } else if (request->wants_stream) {
        start_stream(mock, conn, stream_for(answers, request));
    } else {
        peer_say(&conn->peer, is_messages ? &answers->messages.message : &answers->chat);
    }
}

static void answer(struct mock *mock, struct conn *conn, const struct request *request)
{
    switch (request->kind) {
    case REQUEST_CHAT:
    case REQUEST_MESSAGES:
        mock->stats.requests++;
        answer_chat(mock, conn, request);
        break;
    case REQUEST_MODELS:
        peer_say(&conn->peer, &mock->answers.models);
        break;
    case REQUEST_STATS:
        say_stats(mock, conn);
        break;
    case REQUEST_OTHER:
        peer_say(&conn->peer, &mock->answers.not_found);
        break;
    }
}

/* Answers the whole requests at the front; returns how many bytes they were. What follows a stream
 * waits for its end. */
static size_t answer_all(struct mock *mock, struct conn *conn, const char *bytes, size_t size)
{
    size_t at = 0;
    struct request request;
    while (at < size && conn->stream == NULL && !conn->peer.is_broken &&
           request_read(bytes + at, size - at, &request)) {
        at += request.size;
        answer(mock, conn, &request);
    }
    return at;
}

static void answer_kept(struct mock *mock, struct conn *conn)
{
    size_t taken = conn->in.size > 0 ? answer_all(mock, conn, conn->in.at, conn->in.size) : 0;
    if (taken == 0)
        return;
    bytes_drop(&conn->in, taken);
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
        conn->peer.is_broken = true;
        return;
    }
    bool is_fresh = conn->in.size == 0;
    bytes_keep(&conn->in, read_buffer + taken, size - taken);
    if (!is_fresh)
        answer_kept(mock, conn);
}

static void on_event(struct mock *mock, struct conn *conn, uint32_t events)
{
    if (mock->options.fail_every > 0)
        mock->arrived_ns = now_ns();
    if (conn->peer.out.size > 0 && (events & EPOLLOUT) != 0)
        peer_flush(&conn->peer);
    /* A plain read that did not fill the buffer left nothing behind, unless the other side has
     * closed. */
    bool is_closing = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    size_t size = READ_BYTES;
    while (size == READ_BYTES || (size > 0 && (conn->peer.tls != NULL || is_closing))) {
        size = peer_read(&conn->peer, read_buffer, READ_BYTES, &mock->stats.handshakes);
        if (size > 0)
            take(mock, conn, size);
    }
    if (conn->peer.is_broken)
        close_conn(mock, conn);
}

static void accept_all_at(struct mock *mock, unsigned place)
{
    for (;;) {
        int fd = accept4(mock->listen_fds[place], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
            return;
        if (fd < 0)
            die("accept");
        struct conn *conn = need_zeroed(1, sizeof(*conn));
        conn->place = place;
        peer_init(&conn->peer, fd, mock->tls);
        mock->open++;
        mock->stats.connections++;
        set_nodelay(fd);
        watch_edge(mock->epoll_fd, fd, conn);
    }
}

static void accept_all(struct mock *mock)
{
    for (unsigned place = 0; place < PLACES && mock->listen_fds[place] >= 0; place++)
        accept_all_at(mock, place);
}

/* Writes the next event of a stream that is due. */
static void say_word(struct mock *mock, struct conn *conn)
{
    struct stream_parts *parts = conn->stream;
    if (conn->peer.is_broken) {
        pace_remove(&mock->pace, &conn->pace);
        return;
    }
    if (conn->words_left == 0) {
        pace_remove(&mock->pace, &conn->pace);
        conn->stream = NULL;
        peer_say(&conn->peer, &parts->ending);
        answer_kept(mock, conn);
        return;
    }
    conn->words_left--;
    pace_set(&mock->pace, &conn->pace, conn->pace.due_ns + mock->options.interval_ns);
    /* A proxy that does not read loses events, so that the mock's memory stays bounded; the bench
     * reports it. */
    if (conn->peer.out.size > 0) {
        mock->stats.events_skipped++;
        return;
    }
    mock->stats.events++;
    answers_stamp(parts, now_ns());
    peer_say(&conn->peer, &parts->word);
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
        {"two", no_argument, NULL, '2'},
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
        else if (name == '2')
            options->has_second = true;
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

static void listen_and_say(struct mock *mock)
{
    uint16_t port, second_port;
    mock->listen_fds[0] = listen_loopback(mock->options.port, &port);
    mock->listen_fds[1] = mock->options.has_second ? listen_loopback(0, &second_port) : -1;
    for (unsigned place = 0; place < PLACES && mock->listen_fds[place] >= 0; place++)
        watch_edge(mock->epoll_fd, mock->listen_fds[place], NULL);
    if (mock->options.has_second)
        printf("{\"port\":%u,\"second_port\":%u}\n", port, second_port);
    else
        printf("{\"port\":%u}\n", port);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct mock *mock = need_zeroed(1, sizeof(*mock));
    read_options(&mock->options, argc, argv);
    raise_descriptor_limit();
    /* OpenSSL writes without MSG_NOSIGNAL: a proxy that hangs up would end the mock. */
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    /* A paced stream of hours is written event by event, never whole. */
    struct answers_options answers = mock->options.answers;
    if (mock->options.interval_ns > 0)
        answers.events = 2;
    answers_init(&mock->answers, &answers);
    if (mock->options.certificate != NULL)
        mock->tls = peer_tls_new(mock->options.certificate, mock->options.private_key);
    mock->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (mock->epoll_fd < 0)
        die("epoll_create1");
    listen_and_say(mock);
    serve(mock);
}

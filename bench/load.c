/*
 * The load generator: N connections, each with one request under way, as fast as the other side
 * answers.
 *
 *   load --port P --requests FILE [--connections N] [--warm-up S] [--seconds S]
 *        [--watch NAME=PID,...]... [--cores 0,1] [--hold | --once]
 *
 * FILE holds one or more whole requests, head and body, which are taken in turn. Connections wait
 * with their second request until all of them have got a first byte; then the warm-up begins. After
 * it everything counted is set to zero; after the measured seconds one JSON line tells what was
 * done, how long each took, and the CPU time that the watched processes (and this one) used
 * meanwhile. With --hold each connection sends one request; when all have got a first byte it
 * prints {"open":N}, and keeps them open until its standard input ends.
 *
 * With --once all connections are made first; then each sends one request, all at once, and what is
 * told is how long that took until the last was answered. Nothing is sent again.
 *
 * An answer that is not a 200, is malformed, or a stream without its terminal event is an error:
 * counted, and its connection replaced.
 */
#include "common.h"
#include "cpu.h"
#include "hist.h"
#include "reply.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* At most this many connections wait for their first answer at a time, so that no listen queue
 * overflows. */
#define OPENING_MAX 128
#define OPENING_NS  (30 * NS_PER_S)
#define ONCE_NS     (300 * NS_PER_S)
#define READ_BYTES  (64 * 1024)

struct request {
    const char *bytes;
    size_t size;
};

struct conn {
    int fd;
    bool has_answered;
    size_t sent;
    uint64_t start_ns;
    const struct request *request;
    bool is_waiting; /* has its first answer, and waits for the others' */
    bool is_over;    /* --once: answered, or failed */
    struct reply reply;
};

struct options {
    uint16_t port;
    const char *requests;
    size_t connections;
    uint64_t warm_up_ns;
    uint64_t measured_ns;
    bool hold;
    bool once;
};

struct load {
    struct options options;
    int epoll_fd;
    struct conn *conns;
    size_t open;
    size_t opening;
    struct request *requests;
    size_t request_count;
    size_t next_request;
    bool is_ready; /* all connections have got a first byte */
    bool ends;
    uint64_t answers;
    uint64_t errors;
    uint64_t reconnects;
    int last_bad_status;
    struct reply_tally tally;
    struct hist latency;
    struct cpu_watch cpu;
};

static char read_buffer[READ_BYTES + 1];

static void load_requests(struct load *load)
{
    struct stat stat;
    int fd = open(load->options.requests, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0)
        die("%s", load->options.requests);
    size_t size = (size_t)stat.st_size;
    char *bytes = need_alloc(size + 1);
    if (read(fd, bytes, size) != (ssize_t)size)
        die("%s: short read", load->options.requests);
    close(fd);
    bytes[size] = '\0';
    for (char *at = bytes; at < bytes + size;) {
        char *end = strstr(at, "\r\n\r\n");
        char *length = strcasestr(at, "\r\ncontent-length:");
        errno = 0;
        if (end == NULL)
            die("%s: a request without an end of head", load->options.requests);
        size_t body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
        load->requests =
            need_realloc(load->requests, (load->request_count + 1) * sizeof(*load->requests));
        load->requests[load->request_count++] = (struct request){at, (size_t)(end + 4 - at) + body};
        at = end + 4 + body;
    }
    if (load->request_count == 0)
        die("%s: no request", load->options.requests);
}

static void send_rest(struct conn *conn)
{
    const struct request *request = conn->request;
    while (conn->sent < request->size) {
        ssize_t n =
            send(conn->fd, request->bytes + conn->sent, request->size - conn->sent, MSG_NOSIGNAL);
        /* Full, connecting or broken: the descriptor's next event tells which. */
        if (n < 0)
            return;
        conn->sent += (size_t)n;
    }
}

static void start_request(struct load *load, struct conn *conn, uint64_t now)
{
    conn->request = &load->requests[load->next_request];
    if (++load->next_request == load->request_count)
        load->next_request = 0;
    conn->sent = 0;
    conn->start_ns = now;
    reply_reset(&conn->reply);
    send_rest(conn);
}

static void open_conn(struct load *load, struct conn *conn)
{
    conn->fd = connect_loopback(load->options.port);
    conn->has_answered = false;
    load->opening++;
    watch_edge(load->epoll_fd, conn->fd, conn);
    start_request(load, conn, now_ns());
}

static void open_more(struct load *load)
{
    while (load->open < load->options.connections && load->opening < OPENING_MAX)
        open_conn(load, &load->conns[load->open++]);
}

static void reopen(struct load *load, struct conn *conn)
{
    if (!conn->has_answered)
        load->opening--;
    close(conn->fd);
    load->reconnects++;
    open_conn(load, conn);
}

static void fail(struct load *load, struct conn *conn)
{
    /* In the hold, connections that come back would hide what was lost. */
    errno = 0;
    if (load->options.hold)
        die("an answer ended or failed (status %d) while held open", conn->reply.status);
    load->errors++;
    if (load->answers == 0 && load->errors > 10 * load->options.connections + 100)
        die("nothing but errors; the last status was %d", load->last_bad_status);
    reopen(load, conn);
}

/* An answer is whole: counts it and sends the next request. False when its connection was replaced.
 */
static bool finish(struct load *load, struct conn *conn)
{
    if (!reply_is_good(&conn->reply)) {
        load->last_bad_status = conn->reply.status;
        fail(load, conn);
        return false;
    }
    load->answers++;
    hist_add(&load->latency, load->tally.now_ns - conn->start_ns);
    if (conn->reply.closes) {
        reopen(load, conn);
        return false;
    }
    conn->is_waiting = !load->is_ready;
    if (load->is_ready)
        start_request(load, conn, load->tally.now_ns);
    return true;
}

/* Takes one read's bytes. False when the connection was replaced. */
static bool take(struct load *load, struct conn *conn, size_t size)
{
    if (!conn->has_answered) {
        conn->has_answered = true;
        load->opening--;
    }
    ptrdiff_t taken = reply_feed(&conn->reply, read_buffer, size, &load->tally);
    /* One request is under way at a time: what follows its answer is nothing that was asked for. */
    bool is_done = conn->reply.state == REPLY_DONE;
    if (taken < 0 || (is_done && (size_t)taken < size)) {
        fail(load, conn);
        return false;
    }
    return !is_done || finish(load, conn);
}

static void on_event(struct load *load, struct conn *conn, uint32_t events)
{
    if (conn->sent < conn->request->size && (events & EPOLLOUT) != 0)
        send_rest(conn);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) == 0)
        return;
    for (;;) {
        ssize_t n = recv(conn->fd, read_buffer, READ_BYTES, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            fail(load, conn);
            return;
        }
        load->tally.now_ns = now_ns();
        /* A read that did not fill the buffer left nothing behind, unless the other side has
         * closed. */
        if (!take(load, conn, (size_t)n) || (n < READ_BYTES && (events & EPOLLRDHUP) == 0))
            return;
    }
}

static void turn(struct load *load, int timeout_ms)
{
    struct epoll_event events[TURN_EVENTS];
    int count = epoll_wait(load->epoll_fd, events, TURN_EVENTS, timeout_ms);
    if (count < 0 && errno != EINTR)
        die("epoll_wait");
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == NULL)
            load->ends = true;
        else
            on_event(load, events[i].data.ptr, events[i].events);
    }
    open_more(load);
}

static void run_until(struct load *load, uint64_t end_ns)
{
    for (uint64_t now = now_ns(); now < end_ns; now = now_ns())
        turn(load, (int)((end_ns - now) / 1000000) + 1);
}

static void print_result(struct load *load, const struct cpu_watch *before, uint64_t took_ns)
{
    printf("{\"seconds\":%.6f,\"connections\":%zu,\"answers\":%" PRIu64 ",\"events\":%" PRIu64
           ",\"body_bytes\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"reconnects\":%" PRIu64
           ",\"last_bad_status\":%d,\"latency\":",
           (double)took_ns / 1e9, load->open, load->answers, load->tally.events,
           load->tally.body_bytes, load->errors, load->reconnects, load->last_bad_status);
    hist_print(&load->latency, stdout);
    printf(",\"event_delay\":");
    hist_print(&load->tally.delay, stdout);
    printf(",\"cpu\":");
    cpu_watch_print(before, &load->cpu, stdout);
    printf("}\n");
}

/* Opens all connections and waits until each has got a first byte. */
static void run_opening(struct load *load)
{
    uint64_t end_ns = now_ns() + OPENING_NS;
    while (load->open < load->options.connections || load->opening > 0) {
        turn(load, 100);
        errno = 0;
        if (now_ns() > end_ns)
            die("only %zu of %zu connections got an answer", load->open - load->opening,
                load->options.connections);
    }
    load->is_ready = true;
}

static void run_measured(struct load *load)
{
    run_opening(load);
    for (size_t i = 0; i < load->open; i++) {
        if (load->conns[i].is_waiting)
            start_request(load, &load->conns[i], now_ns());
    }
    run_until(load, now_ns() + load->options.warm_up_ns);
    load->answers = load->errors = load->reconnects = 0;
    memset(&load->tally, 0, sizeof(load->tally));
    memset(&load->latency, 0, sizeof(load->latency));
    cpu_watch_read(&load->cpu);
    struct cpu_watch before = load->cpu;
    uint64_t start_ns = now_ns();
    run_until(load, start_ns + load->options.measured_ns);
    uint64_t end_ns = now_ns();
    cpu_watch_read(&load->cpu);
    print_result(load, &before, end_ns - start_ns);
}

static void run_hold(struct load *load)
{
    /* A pipe or /dev/null tells its end as an event; a regular file cannot be watched. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLHUP};
    if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0)
        die("--hold wants a pipe on its standard input");
    run_opening(load);
    printf("{\"open\":%zu}\n", load->open);
    fflush(stdout);
    while (!load->ends)
        turn(load, 1000);
}

/* --- all at once --- */

static void end_one(struct load *load, struct conn *conn, bool is_good)
{
    conn->is_over = true;
    load->answers += is_good;
    load->errors += !is_good;
    if (is_good)
        hist_add(&load->latency, now_ns() - conn->start_ns);
    else
        load->last_bad_status = conn->reply.status;
    close(conn->fd);
}

/* What came is taken; the end of the connection before the answer's is an error. */
static void on_answer_once(struct load *load, struct conn *conn, uint32_t events)
{
    if (conn->sent < conn->request->size && (events & EPOLLOUT) != 0)
        send_rest(conn);
    while (!conn->is_over) {
        ssize_t n = recv(conn->fd, read_buffer, READ_BYTES, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        load->tally.now_ns = now_ns();
        if (n <= 0 || reply_feed(&conn->reply, read_buffer, (size_t)n, &load->tally) < 0)
            end_one(load, conn, false);
        else if (conn->reply.state == REPLY_DONE)
            end_one(load, conn, reply_is_good(&conn->reply));
    }
}

static void connect_more(struct load *load)
{
    while (load->open < load->options.connections && load->opening < OPENING_MAX) {
        struct conn *conn = &load->conns[load->open++];
        conn->fd = connect_loopback(load->options.port);
        load->opening++;
        watch_edge(load->epoll_fd, conn->fd, conn);
    }
}

/* A connection tells that it is there by room for what is to be sent. */
static void on_connected(struct load *load, struct conn *conn, uint32_t events)
{
    errno = 0;
    if ((events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0)
        die("a connection was refused or closed before its request");
    load->opening -= !conn->has_answered;
    conn->has_answered = true;
}

static void turn_once(struct load *load, bool is_connecting)
{
    struct epoll_event events[TURN_EVENTS];
    int count = epoll_wait(load->epoll_fd, events, TURN_EVENTS, 100);
    if (count < 0 && errno != EINTR)
        die("epoll_wait");
    for (int i = 0; i < count; i++) {
        if (is_connecting)
            on_connected(load, events[i].data.ptr, events[i].events);
        else
            on_answer_once(load, events[i].data.ptr, events[i].events);
    }
}

static void run_once(struct load *load)
{
    for (connect_more(load); load->opening > 0; connect_more(load))
        turn_once(load, true);
    cpu_watch_read(&load->cpu);
    struct cpu_watch before = load->cpu;
    uint64_t start_ns = now_ns(), end_ns = start_ns + ONCE_NS;
    for (size_t i = 0; i < load->open; i++) {
        start_request(load, &load->conns[i], now_ns());
    }
    while (load->answers + load->errors < load->open && now_ns() < end_ns)
        turn_once(load, false);
    load->errors += load->open - load->answers - load->errors;
    end_ns = now_ns();
    cpu_watch_read(&load->cpu);
    print_result(load, &before, end_ns - start_ns);
}

static void read_options(struct load *load, int argc, char **argv)
{
    static const struct option names[] = {
        {"port", required_argument, NULL, 'p'},
        {"requests", required_argument, NULL, 'r'},
        {"connections", required_argument, NULL, 'n'},
        {"warm-up", required_argument, NULL, 'u'},
        {"seconds", required_argument, NULL, 's'},
        {"watch", required_argument, NULL, 'w'},
        {"cores", required_argument, NULL, 'c'},
        {"hold", no_argument, NULL, 'h'},
        {"once", no_argument, NULL, 'o'},
        {NULL, 0, NULL, 0},
    };
    struct options *options = &load->options;
    *options =
        (struct options){.connections = 1, .warm_up_ns = NS_PER_S / 2, .measured_ns = 2 * NS_PER_S};
    for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (name == 'p')
            options->port = (uint16_t)need_number("--port", optarg, 1, UINT16_MAX);
        else if (name == 'r')
            options->requests = optarg;
        else if (name == 'n')
            options->connections = need_number("--connections", optarg, 1, 60000);
        else if (name == 'u')
            options->warm_up_ns = need_seconds_ns("--warm-up", optarg);
        else if (name == 's')
            options->measured_ns = need_seconds_ns("--seconds", optarg);
        else if (name == 'w')
            cpu_watch_group(&load->cpu, optarg);
        else if (name == 'c')
            cpu_watch_cores(&load->cpu, optarg);
        else if (name == 'h')
            options->hold = true;
        else if (name == 'o')
            options->once = true;
        else
            exit(2);
    }
    errno = 0;
    if (optind != argc || options->port == 0 || options->requests == NULL)
        die("wants --port and --requests; see the top of load.c");
}

int main(int argc, char **argv)
{
    char self[32];
    struct load *load = need_zeroed(1, sizeof(*load));
    snprintf(self, sizeof(self), "load=%d", getpid());
    cpu_watch_group(&load->cpu, self);
    read_options(load, argc, argv);
    raise_descriptor_limit();
    load_requests(load);
    load->conns = need_zeroed(load->options.connections, sizeof(*load->conns));
    load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (load->epoll_fd < 0)
        die("epoll_create1");
    if (load->options.once) {
        run_once(load);
    } else {
        open_more(load);
        if (load->options.hold)
            run_hold(load);
        else
            run_measured(load);
    }
    close(load->epoll_fd);
    free((void *)load->requests[0].bytes);
    free(load->requests);
    free(load->conns);
    free(load);
    return 0;
}

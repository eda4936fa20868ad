/*
 * A strict double of a key API, on a thread of its own: each connection must bring the next request
 * of its script, to the byte where the script says so, and gets its answer. What differs is kept as
 * a complaint and refused. Plain sockets that block; it shares no code with what it tests.
 */
#ifndef TESTS_ROTATION_DOUBLE_H
#define TESTS_ROTATION_DOUBLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DOUBLE_BYTES = 131072, DOUBLE_FIELDS = 4 };

struct double_step {
    const char *line;                  /* "POST /v1/keys HTTP/1.1" */
    const char *fields[DOUBLE_FIELDS]; /* lines that must stand there */
    const char *body;                  /* exactly, or up to a '*' at its end; NULL: none */
    bool is_repeated;                  /* as often as it comes; the last of its script */
    const char *answer;                /* NULL: closes without a word; "wait": says nothing */
};

struct double_server {
    int listener;
    uint16_t port;
    pthread_t thread;
    const struct double_step *script; /* ends with line NULL */
    _Atomic int asked;
    char request[DOUBLE_BYTES]; /* the last whole one: read it between two */
    char complaint[DOUBLE_BYTES + 1024];
};

#define DOUBLE_JSON(status, body)                                                                  \
    "HTTP/1.1 " status "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" body

static inline bool double_read(struct double_server *server, int fd)
{
    size_t len = 0;

    for (;;) {
        ssize_t n = recv(fd, server->request + len, sizeof(server->request) - len - 1, 0);
        char *body, *length;

        if (n <= 0)
            return false;
        len += (size_t)n;
        server->request[len] = '\0';
        body = strstr(server->request, "\r\n\r\n");
        length = strstr(server->request, "Content-Length: ");
        if (body && (!length || length > body ||
                     len >= (size_t)(body + 4 - server->request) + strtoul(length + 16, NULL, 10)))
            return true;
    }
}

static inline void double_complain(struct double_server *server, const char *what,
                                   const char *wanted)
{
    if (!*server->complaint)
        snprintf(server->complaint, sizeof(server->complaint), "%s: wanted %s, got:\n%s", what,
                 wanted, server->request);
}

static inline bool double_is_body(const char *body, const char *wanted)
{
    size_t len = strlen(wanted);

    return len && wanted[len - 1] == '*' ? !strncmp(body, wanted, len - 1) : !strcmp(body, wanted);
}

static inline void double_check(struct double_server *server, const struct double_step *step)
{
    const char *body = strstr(server->request, "\r\n\r\n") + 4;
    char line[8192];

    if (!step->line) {
        double_complain(server, "one request too many", "none");
        return;
    }
    snprintf(line, sizeof(line), "%s\r\n", step->line);
    if (strncmp(server->request, line, strlen(line)) != 0)
        double_complain(server, "request line", step->line);
    for (size_t i = 0; i < DOUBLE_FIELDS && step->fields[i]; i++) {
        snprintf(line, sizeof(line), "\r\n%s\r\n", step->fields[i]);
        if (!strstr(server->request, line))
            double_complain(server, "field", step->fields[i]);
    }
    if (!double_is_body(body, step->body ? step->body : ""))
        double_complain(server, "body", step->body ? step->body : "none");
}

static inline void *double_run(void *arg)
{
    struct double_server *server = arg;
    const struct double_step *step = server->script;
    int fd;

    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        const char *answer;
        char rest;

        if (double_read(server, fd)) {
            atomic_fetch_add(&server->asked, 1);
            double_check(server, step);
            answer = *server->complaint ? "HTTP/1.1 418 Wrong\r\nConnection: close\r\n\r\n"
                                        : step->answer;
            if (answer && !strcmp(answer, "wait"))
                (void)!recv(fd, &rest, 1, 0);
            else if (answer)
                (void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
            step += step->line != NULL && !step->is_repeated;
        }
        close(fd);
    }
    return NULL;
}

static inline void double_open(struct double_server *server, const struct double_step *script)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);

    memset(server, 0, sizeof(*server));
    server->script = script;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(server->listener >= 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(server->listener, 64), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&addr, &len), 0);
    server->port = ntohs(addr.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, double_run, server), 0);
}

/* Clients must be gone. The whole script must have been played. */
static inline void double_close(struct double_server *server)
{
    size_t steps = 0;

    while (server->script[steps].line)
        steps++;
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    if (*server->complaint)
        fail_msg("%s", server->complaint);
    if (steps && server->script[steps - 1].is_repeated)
        assert_true((size_t)server->asked >= steps);
    else
        assert_int_equal(server->asked, steps);
}

#endif

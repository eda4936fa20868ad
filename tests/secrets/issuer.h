/*
 * A token server on a thread of its own: answers each connection as the next line of its script
 * says, and keeps what it was asked. Plain sockets that block; it shares no code with the client.
 */
#ifndef TESTS_SECRETS_ISSUER_H
#define TESTS_SECRETS_ISSUER_H

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

enum { ISSUER_BYTES = 131072 };

struct issuer {
    int listener;
    uint16_t port;
    pthread_t thread;
    const char *const
        *script;  /* whole answers; the last for ever; "" closes, "wait" says nothing */
    bool is_slow; /* byte by byte */
    _Atomic int asked;
    char request[ISSUER_BYTES]; /* the last whole one: read it between two */
};

/* The request with its body: false at the end of the connection. */
static inline bool issuer_read(struct issuer *issuer, int fd)
{
    size_t len = 0;

    for (;;) {
        ssize_t n = recv(fd, issuer->request + len, sizeof(issuer->request) - len - 1, 0);
        char *body, *length;

        if (n <= 0)
            return false;
        len += (size_t)n;
        issuer->request[len] = '\0';
        body = strstr(issuer->request, "\r\n\r\n");
        length = strstr(issuer->request, "Content-Length: ");
        if (body && length &&
            len >= (size_t)(body + 4 - issuer->request) + strtoul(length + 16, NULL, 10))
            return true;
    }
}

static inline void issuer_say(const struct issuer *issuer, int fd, const char *answer)
{
    size_t len = strlen(answer), step = issuer->is_slow ? 1 : len;

    for (size_t at = 0; at < len; at += step) {
        if (send(fd, answer + at, step, MSG_NOSIGNAL) < 0)
            return;
    }
}

static inline void *issuer_run(void *arg)
{
    struct issuer *issuer = arg;
    int fd;

    for (const char *const *line = issuer->script; (fd = accept(issuer->listener, NULL, NULL)) >= 0;
         close(fd)) {
        char rest;

        if (!issuer_read(issuer, fd))
            continue;
        atomic_fetch_add(&issuer->asked, 1);
        if (!strcmp(*line, "wait"))
            (void)!recv(fd, &rest, 1, 0);
        else
            issuer_say(issuer, fd, *line);
        line += line[1] != NULL;
    }
    return NULL;
}

static inline void issuer_open(struct issuer *issuer, const char *const *script)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);

    memset(issuer, 0, sizeof(*issuer));
    issuer->script = script;
    issuer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(issuer->listener >= 0);
    assert_int_equal(bind(issuer->listener, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(issuer->listener, 64), 0);
    assert_int_equal(getsockname(issuer->listener, (struct sockaddr *)&addr, &len), 0);
    issuer->port = ntohs(addr.sin_port);
    assert_int_equal(pthread_create(&issuer->thread, NULL, issuer_run, issuer), 0);
}

/* Clients must be gone. */
static inline void issuer_close(struct issuer *issuer)
{
    shutdown(issuer->listener, SHUT_RDWR);
    pthread_join(issuer->thread, NULL);
    close(issuer->listener);
}

#endif

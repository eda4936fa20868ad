#include "cli/call.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "io/addr.h"

enum { TIMEOUT_S = 3, HOST_BYTES = 320, PIECE_BYTES = 16384 };

/* --- a connection --- */

static int connect_to(const struct sockaddr *address, socklen_t len)
{
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), error;

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (connect(fd, address, len) == 0)
        return fd;
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* Each address of the name in turn. */
static int connect_by_name(const struct conf_address *target)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char host[HOST_BYTES], port[8];
    int fd = -1;

    snprintf(host, sizeof(host), "%.*s", SPAN_ARG(target->host));
    snprintf(port, sizeof(port), "%u", target->port);
    errno = EADDRNOTAVAIL;
    if (getaddrinfo(host, port, &hints, &found))
        return -1;
    for (struct addrinfo *at = found; at && fd < 0; at = at->ai_next)
        fd = connect_to(at->ai_addr, at->ai_addrlen);
    freeaddrinfo(found);
    return fd;
}

int call_open(const struct conf_address *target)
{
    struct addr addr;

    if (!target->is_unix)
        return connect_by_name(target);
    errno = ENAMETOOLONG;
    if (addr_parse(target->text, &addr))
        return -1;
    return connect_to((const struct sockaddr *)&addr.storage, addr.len);
}

/* --- a request --- */

static bool send_all(int fd, struct span text)
{
    while (text.len) {
        ssize_t n = send(fd, text.ptr, text.len, MSG_NOSIGNAL);

        if (n < 0)
            return false;
        text = span_skip(text, (size_t)n);
    }
    return true;
}

static bool send_request(int fd, const char *method, const char *path, const struct secret *token,
                         const char *body)
{
    struct buf request;
    bool is_sent;

    buf_init(&request, 64 << 10);
    request.is_secret = true;
    buf_printf(&request, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", method,
               path);
    if (token) {
        buf_append_span(&request, SPAN("Authorization: Bearer "));
        buf_append_span(&request, secret_reveal(token));
        buf_append_span(&request, SPAN("\r\n"));
    }
    buf_printf(&request, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
               strlen(body), body);
    if (request.err)
        errno = ENOMEM;
    is_sent = !request.err && send_all(fd, buf_span(&request));
    buf_fini(&request);
    return is_sent;
}

/* The gateway ends the connection behind its answer, whose length it has told. */
static int read_answer(int fd, struct buf *body)
{
    char piece[PIECE_BYTES];
    const char *end, *length;
    ssize_t n;
    size_t head;
    int status;

    while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
        buf_append(body, piece, (size_t)n);
    if (n < 0)
        return -1;
    errno = EPROTO;
    if (body->err || !span_has_prefix(buf_span(body), SPAN("HTTP/1.1 ")))
        return -1;
    status = (int)strtol(buf_text(body) + strlen("HTTP/1.1 "), NULL, 10);
    end = strstr(buf_text(body), "\r\n\r\n");
    length = strstr(buf_text(body), "Content-Length: ");
    if (!end || !length)
        return -1;
    head = (size_t)(end + 4 - buf_text(body));
    if (body->len - head != strtoul(length + strlen("Content-Length: "), NULL, 10))
        return -1;
    buf_drop_front(body, head);
    return status;
}

int call_ask(const struct conf_address *address, const char *method, const char *path,
             const struct secret *token, const char *body, struct buf *ret_body)
{
    int fd = call_open(address), status = -1, error;

    if (fd < 0)
        return -1;
    if (send_request(fd, method, path, token, body))
        status = read_answer(fd, ret_body);
    error = errno;
    close(fd);
    errno = error;
    return status;
}

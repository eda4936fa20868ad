/* bellwether healthcheck: one GET /ready, for containers without curl. It may block: it does
 * nothing else. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "io/addr.h"

enum { TIMEOUT_S = 3, ANSWER_BYTES = 256 };

static int fail(const char *address, const char *why)
{
    fprintf(stderr, "bellwether healthcheck: %s: %s\n", address, why);
    return COMMAND_FAILED;
}

static int ask(int fd, const struct addr *addr, char *answer)
{
    static const char request[] =
        "GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    size_t len = 0;
    ssize_t n;

    if (connect(fd, (const struct sockaddr *)&addr->storage, addr->len) ||
        send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
        return -1;
    while (len < ANSWER_BYTES - 1 && (n = recv(fd, answer + len, ANSWER_BYTES - 1 - len, 0)) > 0)
        len += (size_t)n;
    answer[len] = '\0';
    return len > 0 ? 0 : -1;
}

int command_healthcheck(int argc, char **argv)
{
    const char *address = "127.0.0.1:8080";
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    char answer[ANSWER_BYTES];
    struct addr addr;
    int fd, err;

    if (argc == 3 && strcmp(argv[1], "--address") == 0)
        address = argv[2];
    else if (argc != 1)
        return command_bad_usage("healthcheck", "takes --address HOST:PORT alone");
    if (addr_parse(span_from_text(address), &addr))
        return command_bad_usage("healthcheck", "the address must be IP:PORT or unix:/path");
    fd = socket(addr.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(address, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    err = ask(fd, &addr, answer);
    if (err)
        err = fail(address, strerror(errno));
    else if (strncmp(answer, "HTTP/1.1 200", 12) != 0)
        err = fail(address, "not ready");
    close(fd);
    return err ? COMMAND_FAILED : COMMAND_OK;
}

/* bellwether healthcheck: one GET /ready, for containers without curl. It may block: it does
 * nothing else. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/setup.h"
#include "conf/address.h"
#include "io/addr.h"

enum { TIMEOUT_S = 3, ANSWER_BYTES = 256, TARGET_BYTES = 320 };

static int fail(const char *target, const char *why)
{
    fprintf(stderr, "bellwether healthcheck: %s: %s\n", target, why);
    return COMMAND_FAILED;
}

/* --- whom to ask --- */

/* The admin address of a configuration, as text. */
static int read_target(const char *path, char *ret_target)
{
    struct config *config;
    struct setup setup;
    int err = setup_init(&setup);

    if (err)
        return err;
    err = setup_load(&setup, path, NULL, &config);
    if (!err) {
        snprintf(ret_target, TARGET_BYTES, "%.*s", SPAN_ARG(config->admin.listen.items[0].text));
        config_free(&config);
    }
    setup_fini(&setup);
    return err;
}

static int find_target(int argc, char **argv, char *ret_target)
{
    const char *path = getenv("CONFIG_PATH");

    snprintf(ret_target, TARGET_BYTES, "127.0.0.1:8080");
    if (argc == 3 && strcmp(argv[1], "--address") == 0) {
        snprintf(ret_target, TARGET_BYTES, "%s", argv[2]);
        return COMMAND_OK;
    }
    if (argc == 3 && strcmp(argv[1], "--config") == 0)
        path = argv[2];
    else if (argc != 1)
        return command_bad_usage("healthcheck", "takes --config FILE or --address ADDR alone");
    if (path && path[0] && read_target(path, ret_target))
        return COMMAND_FAILED;
    return COMMAND_OK;
}

/* --- asking --- */

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
    char host[TARGET_BYTES], port[8];
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

static int open_connection(const struct conf_address *target)
{
    struct addr addr;

    if (!target->is_unix)
        return connect_by_name(target);
    errno = ENAMETOOLONG;
    if (addr_parse(target->text, &addr))
        return -1;
    return connect_to((const struct sockaddr *)&addr.storage, addr.len);
}

static bool ask(int fd, char *answer)
{
    static const char request[] =
        "GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    size_t len = 0;
    ssize_t n;

    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
        return false;
    errno = ECONNRESET;
    while (len < ANSWER_BYTES - 1 && (n = recv(fd, answer + len, ANSWER_BYTES - 1 - len, 0)) > 0)
        len += (size_t)n;
    answer[len] = '\0';
    return len > 0;
}

int command_healthcheck(int argc, char **argv)
{
    char target[TARGET_BYTES], answer[ANSWER_BYTES];
    struct conf_address address;
    int status = find_target(argc, argv, target), fd;

    if (status)
        return status;
    if (conf_address_parse(span_from_text(target), &address))
        return command_bad_usage("healthcheck", "the address must be HOST:PORT or unix:/path");
    fd = open_connection(&address);
    if (fd < 0)
        return fail(target, strerror(errno));
    if (!ask(fd, answer))
        status = fail(target, strerror(errno));
    else if (strncmp(answer, "HTTP/1.1 200", 12) != 0)
        status = fail(target, "not ready");
    close(fd);
    return status;
}

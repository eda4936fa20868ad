/* bellwether healthcheck: one GET /ready, for containers without curl. It may block: it does
 * nothing else. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/call.h"
#include "cli/commands.h"
#include "cli/option.h"
#include "cli/setup.h"
#include "conf/address.h"

enum { ANSWER_BYTES = 256, TARGET_BYTES = 320 };

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
    setup.source.wish = CONF_WISH_ADMIN;
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
    const char *path = getenv("CONFIG_PATH"), *address = NULL;

    if (!option_take(&argc, argv, "--config", &path) ||
        !option_take(&argc, argv, "--address", &address) || argc > 1)
        return command_bad_usage("healthcheck", "takes --config FILE or --address ADDR alone");
    snprintf(ret_target, TARGET_BYTES, "%s", address ? address : "127.0.0.1:8080");
    if (address)
        return COMMAND_OK;
    if (path && path[0] && read_target(path, ret_target))
        return COMMAND_FAILED;
    return COMMAND_OK;
}

/* --- asking --- */

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
    fd = call_open(&address);
    if (fd < 0)
        return fail(target, strerror(errno));
    if (!ask(fd, answer))
        status = fail(target, strerror(errno));
    else if (strncmp(answer, "HTTP/1.1 200", 12) != 0)
        status = fail(target, "not ready");
    close(fd);
    return status;
}

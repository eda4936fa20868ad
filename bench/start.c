/*
 * How long a program takes from its start to its first answer.
 *
 *   start --port P --requests FILE -- PROGRAM [ARGUMENT]...
 *
 * The clock starts right before the program's process is made. Its port is tried every 200
 * microseconds until it accepts, the first request of FILE is sent, and sent again on anything but
 * a 200 (a gateway may first have to get its keys checked). Prints {"ms":...} with the time until
 * the last byte of the 200 was read, stops the program and waits for its end.
 */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "reply.h"

#define GIVE_UP_NS (20 * NS_PER_S)

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 200 * 1000}, NULL);
}

/* A blocking connection, or -1 while nobody listens. */
static int try_connect(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0)
        die("socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Sends the request on a connection of its own and reads the answer. False unless that was a 200.
 */
static bool ask(uint16_t port, const char *request, size_t size)
{
    static struct reply reply;
    static struct reply_tally tally;
    char buffer[16 * 1024];
    int fd = try_connect(port);
    if (fd < 0)
        return false;
    reply_reset(&reply);
    ssize_t n = send(fd, request, size, MSG_NOSIGNAL);
    while (n > 0 && reply.state != REPLY_DONE) {
        n = recv(fd, buffer, sizeof(buffer) - 1, 0);
        if (n > 0 && reply_feed(&reply, buffer, (size_t)n, &tally) < 0)
            n = -1;
    }
    close(fd);
    return n > 0 && reply_is_good(&reply);
}

static char *load_request(const char *path, size_t *ret_size)
{
    size_t room = 1024 * 1024;
    char *bytes = need_alloc(room);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, bytes, room) : -1;
    if (n <= 0)
        die("%s", path);
    close(fd);
    *ret_size = (size_t)n;
    return bytes;
}

static void stop(pid_t pid)
{
    int status;
    kill(pid, SIGTERM);
    for (int i = 0; i < 25000; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return;
        nap();
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

static pid_t spawn(char **command)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    /* Whatever ends this program ends what it started. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    execvp(command[0], command);
    die("%s", command[0]);
}

static double measure(uint16_t port, const char *requests, char **command)
{
    size_t size;
    int status;
    char *request = load_request(requests, &size);
    uint64_t start = now_ns();
    pid_t pid = spawn(command);
    if (pid < 0)
        die("fork");
    while (!ask(port, request, size)) {
        errno = 0;
        if (waitpid(pid, &status, WNOHANG) == pid)
            die("%s ended with status %d before it answered", command[0], status);
        if (now_ns() - start > GIVE_UP_NS) {
            stop(pid);
            die("%s gave no answer", command[0]);
        }
        nap();
    }
    double took_ms = (double)(now_ns() - start) / 1e6;
    stop(pid);
    free(request);
    return took_ms;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"port", required_argument, NULL, 'p'},
        {"requests", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    uint16_t port = 0;
    const char *requests = NULL;
    for (int name; (name = getopt_long(argc, argv, "+", names, NULL)) != -1;) {
        if (name == 'p')
            port = (uint16_t)need_number("--port", optarg, 1, UINT16_MAX);
        else if (name == 'r')
            requests = optarg;
        else
            exit(2);
    }
    errno = 0;
    if (port == 0 || requests == NULL || optind == argc)
        die("wants --port, --requests and a command; see the top of start.c");
    printf("{\"ms\":%.3f}\n", measure(port, requests, argv + optind));
    return 0;
}

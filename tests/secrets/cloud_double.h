/*
 * What the doubles of clouds share: a server on a thread of its own that takes one request after
 * another, each on a connection of its own, and has a handler answer it under the lock. It shares
 * no code with the client. What a test changes of a double, it changes while nothing is under way.
 */
#ifndef TESTS_SECRETS_CLOUD_DOUBLE_H
#define TESTS_SECRETS_CLOUD_DOUBLE_H

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
#include <time.h>
#include <unistd.h>
#include <yyjson.h>

enum { CD_BYTES = 1 << 20 };

struct cloud_double {
    int listener;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    void (*handle)(struct cloud_double *cd);
    /* How it is set up. */
    int busy; /* so many requests are answered by busy_answer */
    const char *busy_answer;
    const char *canned;    /* an answer to the next request, whole */
    atomic_bool is_silent; /* takes requests, and says nothing until it is no more */
    /* What it sees of a request. */
    int requests;
    char method[16], path[4096]; /* the path with its query */
    char request[CD_BYTES], head[CD_BYTES], body[CD_BYTES], answer[CD_BYTES];
    char first_fault[256]; /* what was wrong with a request that a right client never sends */
};

static inline void cd_say(struct cloud_double *cd, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline void cd_say(struct cloud_double *cd, int status, const char *format, ...)
{
    static char body[CD_BYTES / 2];
    va_list args;

    va_start(args, format);
    vsnprintf(body, sizeof(body), format, args);
    va_end(args);
    snprintf(cd->answer, sizeof(cd->answer),
             "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             status, strlen(body), body);
}

/* Remembered, so that a test fails by it. */
static inline void cd_fault(struct cloud_double *cd, const char *what)
{
    if (!*cd->first_fault)
        snprintf(cd->first_fault, sizeof(cd->first_fault), "%s: %.16s %.150s", what, cd->method,
                 cd->path);
}

static inline bool cd_read(struct cloud_double *cd, int fd)
{
    size_t len = 0;

    for (;;) {
        ssize_t n = recv(fd, cd->request + len, sizeof(cd->request) - len - 1, 0);
        char *body, *length;

        if (n <= 0)
            return false;
        len += (size_t)n;
        cd->request[len] = '\0';
        body = strstr(cd->request, "\r\n\r\n");
        if (!body)
            continue;
        length = strcasestr(cd->request, "\r\nContent-Length: ");
        if (!length || length > body ||
            len >= (size_t)(body + 4 - cd->request) + strtoul(length + 18, NULL, 10)) {
            snprintf(cd->body, sizeof(cd->body), "%s", body + 4);
            body[2] = '\0';
            snprintf(cd->head, sizeof(cd->head), "%s", cd->request);
            return true;
        }
    }
}

/* A header's value, in any case of its name, or "". */
static inline const char *cd_header(const struct cloud_double *cd, const char *name, char *value,
                                    size_t size)
{
    char line[160];
    const char *at;

    snprintf(line, sizeof(line), "\r\n%s: ", name);
    at = strcasestr(cd->head, line);
    value[0] = '\0';
    if (at)
        snprintf(value, size, "%.*s", (int)strcspn(at + strlen(line), "\r"), at + strlen(line));
    return value;
}

static inline bool cd_header_is(const struct cloud_double *cd, const char *name, const char *value)
{
    static char found[20000];

    return !strcmp(cd_header(cd, name, found, sizeof(found)), value);
}

/* Codes of %41 and the like. */
static inline void cd_decode(const char *text, size_t len, char *out, size_t size)
{
    size_t at = 0;

    for (size_t i = 0; i < len && at + 1 < size; i++) {
        unsigned value;

        if (text[i] == '%' && sscanf(text + i + 1, "%2x", &value) == 1) {
            out[at++] = (char)value;
            i += 2;
        } else {
            out[at++] = text[i] == '+' ? ' ' : text[i];
        }
    }
    out[at] = '\0';
}

/* A member of the query or of a form, decoded; false where there is none. */
static inline bool cd_member(const char *text, const char *name, char *value, size_t size)
{
    size_t len = strlen(name);

    for (const char *at = text; at && *at; at = strchr(at, '&') ? strchr(at, '&') + 1 : NULL) {
        if (strncmp(at, name, len) != 0 || at[len] != '=')
            continue;
        cd_decode(at + len + 1, strcspn(at + len + 1, "&"), value, size);
        return true;
    }
    value[0] = '\0';
    return false;
}

static inline const char *cd_query(const struct cloud_double *cd)
{
    const char *at = strchr(cd->path, '?');

    return at ? at + 1 : "";
}

/* A string as JSON has it. */
static inline const char *cd_quoted(const char *text, char *out, size_t size)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    char *json = yyjson_mut_val_write(yyjson_mut_str(doc, text), 0, NULL);

    snprintf(out, size, "%s", json);
    free(json);
    yyjson_mut_doc_free(doc);
    return out;
}

static inline void cd_answer(struct cloud_double *cd)
{
    cd->requests++;
    cd->answer[0] = '\0';
    if (sscanf(cd->head, "%15s %4095s HTTP/1.1", cd->method, cd->path) != 2) {
        cd_fault(cd, "no request");
    } else if (cd->canned) {
        snprintf(cd->answer, sizeof(cd->answer), "%s", cd->canned);
        cd->canned = NULL;
    } else if (cd->busy) {
        cd->busy--;
        snprintf(cd->answer, sizeof(cd->answer), "%s", cd->busy_answer);
    } else {
        cd->handle(cd);
    }
}

static inline void *cd_run(void *arg)
{
    struct cloud_double *cd = arg;
    int fd;

    while ((fd = accept(cd->listener, NULL, NULL)) >= 0) {
        if (cd_read(cd, fd)) {
            pthread_mutex_lock(&cd->lock);
            cd_answer(cd);
            pthread_mutex_unlock(&cd->lock);
            while (atomic_load(&cd->is_silent))
                usleep(500);
            (void)!send(fd, cd->answer, strlen(cd->answer), MSG_NOSIGNAL);
        }
        close(fd);
    }
    return NULL;
}

static inline void cd_open(struct cloud_double *cd, void (*handle)(struct cloud_double *cd))
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);

    cd->handle = handle;
    pthread_mutex_init(&cd->lock, NULL);
    cd->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(cd->listener >= 0);
    assert_int_equal(bind(cd->listener, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(cd->listener, 64), 0);
    assert_int_equal(getsockname(cd->listener, (struct sockaddr *)&addr, &len), 0);
    cd->port = ntohs(addr.sin_port);
    assert_int_equal(pthread_create(&cd->thread, NULL, cd_run, cd), 0);
}

/* Nobody answers there any more. Clients must be gone. */
static inline void cd_stop(struct cloud_double *cd)
{
    if (cd->listener < 0)
        return;
    shutdown(cd->listener, SHUT_RDWR);
    pthread_join(cd->thread, NULL);
    close(cd->listener);
    cd->listener = -1;
}

/* All requests were right. */
static inline void cd_close(struct cloud_double *cd)
{
    cd_stop(cd);
    pthread_mutex_destroy(&cd->lock);
    assert_string_equal(cd->first_fault, "");
}

/* ---- what a store's test begins with: a virtual loop that creeps while a server is asked ---- */

#include "secrets/fetch.h"
#include "store_play.h"

struct cloud_stage {
    struct play play;
    struct fetcher *fetcher;
    _Atomic uint64_t wall_us; /* of the loop's, for the double */
    char why[SECRET_WORDS_BYTES];
};

static inline void stage_turn(struct play *play)
{
    struct cloud_stage *stage = container_of(play, struct cloud_stage, play);
    bool is_idle = fetcher_is_idle(stage->fetcher);

    if (!is_idle)
        usleep(50);
    assert_int_equal(loop_turn(play->loop, is_idle ? 600 * US_PER_SEC : US_PER_MS), 0);
    atomic_store(&stage->wall_us, loop_wall_us(play->loop));
}

static inline void stage_open(struct cloud_stage *stage)
{
    memset(stage, 0, sizeof(*stage));
    play_open(&stage->play);
    loop_free(&stage->play.loop);
    stage->play.loop = loop_new_virtual(1000 * US_PER_SEC);
    assert_non_null(stage->play.loop);
    atomic_store(&stage->wall_us, loop_wall_us(stage->play.loop));
    stage->play.turn = stage_turn;
    stage->fetcher = fetcher_new(stage->play.loop);
    assert_non_null(stage->fetcher);
}

static inline void stage_close(struct cloud_stage *stage)
{
    play_close_store(&stage->play);
    fetcher_free(&stage->fetcher);
    play_close(&stage->play);
}

/* Lets that much time go by. */
static inline void stage_pass(struct cloud_stage *stage, uint64_t us)
{
    uint64_t until_us = loop_now_us(stage->play.loop) + us;

    while (loop_now_us(stage->play.loop) < until_us) {
        bool is_idle = fetcher_is_idle(stage->fetcher);
        uint64_t left_us = until_us - loop_now_us(stage->play.loop);

        if (!is_idle)
            usleep(50);
        assert_int_equal(loop_turn(stage->play.loop, is_idle ? left_us : US_PER_MS), 0);
        atomic_store(&stage->wall_us, loop_wall_us(stage->play.loop));
    }
}

static inline void stage_refused(struct cloud_stage *stage, int err, int expected, const char *why)
{
    assert_string_equal(stage->play.why, why);
    assert_int_equal(err, expected);
}

#endif

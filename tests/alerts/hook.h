/*
 * Strict doubles of what alerts are posted to, on a thread of their own: Slack's incoming webhooks,
 * which take {"text": ...} and nothing else, and a server that takes JSON. Each connection brings
 * one request, and gets the next answer of the script; what is wrong with a request is kept as a
 * complaint, and refused. Plain sockets that block; they share no code with what they test.
 */
#ifndef TESTS_ALERTS_HOOK_H
#define TESTS_ALERTS_HOOK_H

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
#include <yyjson.h>

enum { HOOK_BYTES = 262144 };

#define HOOK_PATH  "/services/T00000000/B11111111/sEcReT0123456789abcdefgh"
#define HOOK_TOKEN "sEcReT0123456789abcdefgh"

#define HOOK_SAYS(status, fields, body)                                                            \
    "HTTP/1.1 " status "\r\nContent-Type: text/html\r\n" fields "Connection: close\r\n\r\n" body
#define HOOK_OK HOOK_SAYS("200 OK", "", "ok")

struct hook {
    bool is_slack;
    int listener;
    uint16_t port;
    pthread_t thread;
    const char *const
        *script;              /* whole answers; the last for ever; "" closes, "wait" says nothing */
    _Atomic int asked, taken; /* of them, those answered by 200 */
    /* Between two requests only. */
    char request[HOOK_BYTES];
    char complaint[512];
    uint64_t alerts; /* that JSON told of, in requests answered by 200: in lines, and besides */
    uint64_t missed; /* that it told were */
};

static inline bool hook_read(struct hook *hook, int fd)
{
    size_t len = 0;

    for (;;) {
        ssize_t n = recv(fd, hook->request + len, sizeof(hook->request) - len - 1, 0);
        char *body, *length;

        if (n <= 0)
            return false;
        len += (size_t)n;
        hook->request[len] = '\0';
        body = strstr(hook->request, "\r\n\r\n");
        length = strstr(hook->request, "Content-Length: ");
        if (body && length && length < body &&
            len >= (size_t)(body + 4 - hook->request) + strtoul(length + 16, NULL, 10))
            return true;
    }
}

static inline const char *hook_body(const struct hook *hook)
{
    return strstr(hook->request, "\r\n\r\n") + 4;
}

static inline const char *hook_wrong_slack(yyjson_val *root)
{
    const char *text = yyjson_get_str(yyjson_obj_get(root, "text"));

    if (yyjson_obj_size(root) != 1 || !text)
        return "Slack takes a text alone";
    if (!*text)
        return "no_text";
    if (strlen(text) > 4000)
        return "the text is longer than Slack advises";
    if (strpbrk(text, "<>"))
        return "Slack's control characters are not escaped";
    return NULL;
}

static inline const char *hook_wrong_alert(yyjson_val *alert)
{
    static const char *const texts[] = {"kind", "severity", "state", "text", "at"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!yyjson_is_str(yyjson_obj_get(alert, texts[i])))
            return texts[i];
    }
    return yyjson_is_uint(yyjson_obj_get(alert, "count")) ? NULL : "count";
}

static inline const char *hook_wrong_json(yyjson_val *root)
{
    yyjson_val *alerts = yyjson_obj_get(root, "alerts"), *alert;
    yyjson_arr_iter at = yyjson_arr_iter_with(alerts);
    const char *wrong = NULL;

    if (!yyjson_is_arr(alerts) || yyjson_arr_size(alerts) > 20)
        return "alerts";
    if (!yyjson_is_str(yyjson_obj_get(root, "sent_at")))
        return "sent_at";
    if (!yyjson_is_uint(yyjson_obj_get(root, "more")) ||
        !yyjson_is_uint(yyjson_obj_get(root, "missed")))
        return "more, missed";
    while (!wrong && (alert = yyjson_arr_iter_next(&at)))
        wrong = hook_wrong_alert(alert);
    return wrong;
}

/* What is wrong with the request; NULL. */
static inline const char *hook_wrong(const struct hook *hook)
{
    const char *body = hook_body(hook);
    const char *type = strstr(hook->request, "\r\nContent-Type: application/json\r\n");
    yyjson_doc *doc;
    const char *wrong;

    if (strncmp(hook->request, "POST " HOOK_PATH " HTTP/1.1\r\n",
                strlen("POST " HOOK_PATH " HTTP/1.1\r\n")) != 0)
        return "request line";
    if (!type || type > body)
        return "Content-Type";
    if (strstr(hook->request, "\r\nExpect: "))
        return "Expect";
    doc = yyjson_read(body, strlen(body), 0);
    if (!doc)
        return "invalid_payload";
    wrong = hook->is_slack ? hook_wrong_slack(yyjson_doc_get_root(doc))
                           : hook_wrong_json(yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    return wrong;
}

/* It took them. */
static inline void hook_sum(struct hook *hook)
{
    const char *body = hook_body(hook);
    yyjson_doc *doc = yyjson_read(body, strlen(body), 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *alert;
    yyjson_arr_iter at = yyjson_arr_iter_with(yyjson_obj_get(root, "alerts"));

    hook->alerts += yyjson_get_uint(yyjson_obj_get(root, "more"));
    hook->missed += yyjson_get_uint(yyjson_obj_get(root, "missed"));
    while ((alert = yyjson_arr_iter_next(&at)))
        hook->alerts += yyjson_get_uint(yyjson_obj_get(alert, "count"));
    yyjson_doc_free(doc);
    atomic_fetch_add(&hook->taken, 1);
}

static inline void hook_answer(struct hook *hook, int fd, const char *line)
{
    const char *wrong = hook_wrong(hook);
    char rest;

    if (wrong) {
        snprintf(hook->complaint, sizeof(hook->complaint), "%s: %.400s", wrong, hook->request);
        line = HOOK_SAYS("400 Bad Request", "", "invalid_payload");
    }
    if (!strncmp(line, "HTTP/1.1 2", strlen("HTTP/1.1 2")))
        hook_sum(hook);
    atomic_fetch_add(&hook->asked, 1);
    if (!strcmp(line, "wait"))
        (void)!recv(fd, &rest, 1, 0);
    else
        (void)!send(fd, line, strlen(line), MSG_NOSIGNAL);
}

static inline void *hook_run(void *arg)
{
    struct hook *hook = arg;
    int fd;

    for (const char *const *line = hook->script; (fd = accept(hook->listener, NULL, NULL)) >= 0;
         close(fd)) {
        if (!hook_read(hook, fd))
            continue;
        hook_answer(hook, fd, *line);
        line += line[1] != NULL;
    }
    return NULL;
}

static inline void hook_open(struct hook *hook, bool is_slack, const char *const *script)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);

    memset(hook, 0, sizeof(*hook));
    hook->is_slack = is_slack;
    hook->script = script;
    hook->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(hook->listener >= 0);
    assert_int_equal(bind(hook->listener, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(hook->listener, 64), 0);
    assert_int_equal(getsockname(hook->listener, (struct sockaddr *)&addr, &len), 0);
    hook->port = ntohs(addr.sin_port);
    assert_int_equal(pthread_create(&hook->thread, NULL, hook_run, hook), 0);
}

/* Clients must be gone. */
static inline void hook_close(struct hook *hook)
{
    shutdown(hook->listener, SHUT_RDWR);
    pthread_join(hook->thread, NULL);
    close(hook->listener);
    if (*hook->complaint)
        fail_msg("%s", hook->complaint);
}

#endif

#include "cli/asker.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

enum { REQUEST_MAX_BYTES = 64 << 10, ANSWER_MAX_BYTES = 1 << 20 };

static struct asker *asker_of(struct http_client *client)
{
    return container_of(client, struct asker, client);
}

/* The answer is told from a clean stack. */
static void end(struct asker *asker, int err)
{
    asker->err = err;
    asker->is_asking = false;
    if (err) {
        asker->status = 0;
        http_client_close(&asker->client);
    }
    loop_defer(asker->loop, &asker->told);
}

static void send_request(struct asker *asker)
{
    struct iovec iov = {(void *)(uintptr_t)buf_text(&asker->request), asker->request.len};

    buf_clear(&asker->body);
    asker->status = 0;
    asker->key[0] = '\0';
    http_client_begin(&asker->client, false);
    /* What fails is told by on_fail. */
    (void)http_client_send(&asker->client, &iov, 1, true);
}

static void on_open(struct http_client *client)
{
    send_request(asker_of(client));
}

static void on_head(struct http_client *client, const struct http_head *head)
{
    struct asker *asker = asker_of(client);

    asker->status = head->status;
    snprintf(asker->key, sizeof(asker->key), "%.*s",
             SPAN_ARG(http_head_find(head, SPAN("x-bellwether-key"))));
}

static void on_data(struct http_client *client, char *data, size_t len, bool is_last)
{
    struct asker *asker = asker_of(client);

    if (buf_append(&asker->body, data, len))
        end(asker, asker->body.err);
    else if (is_last)
        end(asker, 0);
}

static void on_room(struct http_client *client)
{
    (void)client;
}

static void connect_anew(struct asker *asker);

static void on_fail(struct http_client *client, int err)
{
    struct asker *asker = asker_of(client);

    if (!asker->is_asking)
        return;
    if (asker->is_kept && !asker->status)
        connect_anew(asker);
    else
        end(asker, err);
}

static const struct http_client_ops ops = {
    .on_open = on_open,
    .on_head = on_head,
    .on_data = on_data,
    .on_room = on_room,
    .on_fail = on_fail,
};

static void connect_anew(struct asker *asker)
{
    int err;

    asker->is_kept = false;
    http_client_close(&asker->client);
    err = http_client_connect(&asker->client, asker->loop, &asker->addr, NULL, span_of(NULL, 0),
                              &asker->head, &ops);
    if (err)
        end(asker, err);
}

static void on_told(struct loop_task *task)
{
    struct asker *asker = container_of(task, struct asker, told);
    const struct asker_answer answer = {.status = asker->status,
                                        .err = asker->err,
                                        .key = span_from_text(asker->key),
                                        .body = buf_span(&asker->body)};

    asker->on_answer(asker, &answer);
}

void asker_init(struct asker *asker, struct loop *loop, const struct addr *addr,
                void (*on_answer)(struct asker *asker, const struct asker_answer *answer))
{
    memset(asker, 0, sizeof(*asker));
    asker->client.conn.fd.fd = -1;
    asker->loop = loop;
    asker->addr = *addr;
    asker->on_answer = on_answer;
    loop_task_init(&asker->told, on_told);
    buf_init(&asker->request, REQUEST_MAX_BYTES);
    buf_init(&asker->body, ANSWER_MAX_BYTES);
}

void asker_fini(struct asker *asker)
{
    if (!asker->loop)
        return;
    loop_task_cancel(&asker->told);
    http_client_close(&asker->client);
    buf_fini(&asker->request);
    buf_fini(&asker->body);
    asker->loop = NULL;
}

void asker_ask(struct asker *asker, const char *method, const char *path, const char *body)
{
    asker->is_asking = true;
    buf_clear(&asker->request);
    buf_printf(&asker->request,
               "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
               "Content-Length: %zu\r\n\r\n%s",
               method, path, strlen(body), body);
    if (asker->request.err) {
        end(asker, asker->request.err);
        return;
    }
    asker->is_kept = http_client_is_reusable(&asker->client);
    if (asker->is_kept)
        send_request(asker);
    else
        connect_anew(asker);
}

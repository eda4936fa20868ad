#include "cli/demo_talk.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "dialect/sse.h"
#include "http/client.h"
#include "json/tree.h"

enum { ANSWER_MAX_BYTES = 1 << 20, TIMEOUT_US = 15000000 };

/* Which request is under way. */
enum act { ACT_PLAIN, ACT_STREAM, ACT_OVER };

struct demo_talk {
    struct loop *loop;
    struct addr addr;
    void (*on_end)(void *owner, const char *why);
    void *owner;
    struct http_client client;
    struct http_head head;
    struct loop_timer timer;
    struct loop_task next; /* begins the next act, or ends, from a clean stack */
    struct buf answer;     /* a plain one whole, of a stream what is not shown yet */
    struct sse sse;
    enum act act;
    int status;   /* of the answer */
    char key[64]; /* that answered */
    const char *why;
};

const char demo_question[] =
    "{\"model\":\"gpt-4.1\",\"messages\":[{\"role\":\"user\",\"content\":\"Which key "
    "answers?\"}]}";

static const char streamed_question[] =
    "{\"model\":\"gpt-4.1\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":"
    "\"And now word by word, please.\"}]}";

static void go_on(struct demo_talk *talk)
{
    http_client_close(&talk->client);
    buf_clear(&talk->answer);
    talk->act++;
    loop_defer(talk->loop, &talk->next);
}

static void fail(struct demo_talk *talk, const char *why)
{
    talk->why = why;
    talk->act = ACT_STREAM;
    go_on(talk);
}

/* The text at choices[0].message.content, or .delta.content. */
static struct span content_of(const struct json_tree *tree, const char *part)
{
    yyjson_val *choice =
        yyjson_arr_get_first(yyjson_obj_get(yyjson_doc_get_root(tree->doc), "choices"));

    return json_tree_string(yyjson_obj_get(choice, part), "content");
}

static void show_content(struct span json, const char *part)
{
    struct json_tree tree;

    if (json_tree_read(&tree, json, ANSWER_MAX_BYTES) == 0)
        printf("%.*s", SPAN_ARG(content_of(&tree, part)));
    json_tree_fini(&tree);
    fflush(stdout);
}

static void show_events(struct demo_talk *talk)
{
    struct span rest = buf_span(&talk->answer);
    struct sse_event event;

    while (sse_next(&talk->sse, rest, &event)) {
        if (event.kind == SSE_DATA && !span_is_equal(event.data, SPAN("[DONE]")))
            show_content(event.data, "delta");
        rest = span_skip(rest, event.raw.len);
    }
    buf_drop_front(&talk->answer, talk->answer.len - rest.len);
}

static struct demo_talk *talk_of(struct http_client *client)
{
    return container_of(client, struct demo_talk, client);
}

static void on_open(struct http_client *client)
{
    struct demo_talk *talk = talk_of(client);
    const char *body = talk->act == ACT_PLAIN ? demo_question : streamed_question;
    char head[256], addr[ADDR_TEXT_BYTES];
    struct iovec iov[2];
    int len;

    addr_write(&talk->addr, addr);
    len = snprintf(
        head, sizeof(head),
        "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
        "Content-Length: %zu\r\n\r\n",
        addr, strlen(body));
    iov[0] = (struct iovec){head, (size_t)len};
    iov[1] = (struct iovec){(void *)(uintptr_t)body, strlen(body)};

    http_client_begin(client, false);
    if (http_client_send(client, iov, 2, true))
        fail(talk, "the request could not be sent");
}

static void on_head(struct http_client *client, const struct http_head *head)
{
    struct demo_talk *talk = talk_of(client);
    struct span key = http_head_find(head, SPAN("x-bellwether-key"));

    talk->status = head->status;
    snprintf(talk->key, sizeof(talk->key), "%.*s", SPAN_ARG(key));
    if (talk->act == ACT_STREAM)
        printf("\nstreamed, answered over key %s:\n  ", talk->key);
}

static void on_data(struct http_client *client, char *data, size_t len, bool is_last)
{
    struct demo_talk *talk = talk_of(client);

    if (buf_append(&talk->answer, data, len)) {
        fail(talk, "the answer is too large");
        return;
    }
    if (talk->status != 200 && is_last) {
        fprintf(stderr, "%.*s\n", SPAN_ARG(buf_span(&talk->answer)));
        fail(talk, "the gateway answered with an error");
        return;
    }
    if (talk->act == ACT_STREAM)
        show_events(talk);
    if (!is_last)
        return;
    if (talk->act == ACT_PLAIN) {
        printf("\nplain, answered over key %s:\n  ", talk->key);
        show_content(buf_span(&talk->answer), "message");
    }
    printf("\n");
    go_on(talk);
}

static void on_room(struct http_client *client)
{
    (void)client;
}

static void on_fail(struct http_client *client, int err)
{
    fail(talk_of(client), err_text(err));
}

static const struct http_client_ops ops = {
    .on_open = on_open,
    .on_head = on_head,
    .on_data = on_data,
    .on_room = on_room,
    .on_fail = on_fail,
};

static void begin(struct demo_talk *talk)
{
    sse_init(&talk->sse);
    if (loop_timer_set(&talk->timer, loop_now_us(talk->loop) + TIMEOUT_US))
        fail(talk, "out of memory");
    else if (http_client_connect(&talk->client, talk->loop, &talk->addr, NULL, span_of(NULL, 0),
                                 &talk->head, &ops))
        fail(talk, "the gateway cannot be reached");
}

static void on_next(struct loop_task *task)
{
    struct demo_talk *talk = container_of(task, struct demo_talk, next);

    if (talk->act != ACT_OVER) {
        begin(talk);
        return;
    }
    loop_timer_clear(&talk->timer);
    talk->on_end(talk->owner, talk->why);
}

static void on_timer(struct loop_timer *timer)
{
    fail(container_of(timer, struct demo_talk, timer), "no answer in time");
}

struct demo_talk *demo_talk_new(struct loop *loop, const struct addr *addr,
                                void (*on_end)(void *owner, const char *why), void *owner)
{
    struct demo_talk *talk = mem_zalloc(1, sizeof(*talk));

    if (!talk)
        return NULL;
    talk->loop = loop;
    talk->addr = *addr;
    talk->on_end = on_end;
    talk->owner = owner;
    talk->client.conn.fd.fd = -1;
    buf_init(&talk->answer, ANSWER_MAX_BYTES);
    loop_timer_init(&talk->timer, loop, on_timer);
    loop_task_init(&talk->next, on_next);
    loop_defer(loop, &talk->next);
    return talk;
}

void demo_talk_free(struct demo_talk **place)
{
    struct demo_talk *talk = *place;

    if (!talk)
        return;
    loop_task_cancel(&talk->next);
    loop_timer_fini(&talk->timer);
    http_client_close(&talk->client);
    buf_fini(&talk->answer);
    mem_free(talk);
    *place = NULL;
}

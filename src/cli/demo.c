/*
 * bellwether demo: a simulated provider and a gateway in front of it in one process, on free ports,
 * and two requests through them that anybody can repeat.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "cli/commands.h"
#include "cli/setup.h"
#include "cli/signals.h"
#include "dialect/sse.h"
#include "http/client.h"
#include "json/tree.h"
#include "server/gateway.h"
#include "sim/sim.h"

enum { ANSWER_MAX_BYTES = 1 << 20, TIMEOUT_US = 15000000 };

/* Which request is under way. */
enum act { ACT_PLAIN, ACT_STREAM, ACT_OVER };

struct demo {
    struct loop *loop;
    struct sim *sim;
    struct gateway *gateway;
    struct http_client client;
    struct http_head head;
    struct loop_timer timer;
    struct loop_task next; /* begins the next act from a clean stack */
    struct buf answer;     /* a plain one whole, of a stream what is not shown yet */
    struct sse sse;
    enum act act;
    int status; /* of the answer */
    bool is_once;
    bool has_failed;
    char key[64]; /* that answered */
    char gateway_addr[ADDR_TEXT_BYTES], admin_addr[ADDR_TEXT_BYTES];
};

static const char *const bodies[] = {
    [ACT_PLAIN] = "{\"model\":\"gpt-4.1\",\"messages\":[{\"role\":\"user\",\"content\":\"Which key "
                  "answers?\"}]}",
    [ACT_STREAM] =
        "{\"model\":\"gpt-4.1\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":"
        "\"And now word by word, please.\"}]}",
};

static void begin(struct demo *demo);

static void end(struct demo *demo, bool has_failed)
{
    http_client_close(&demo->client);
    demo->has_failed |= has_failed;
    loop_timer_clear(&demo->timer);
    if (demo->is_once || has_failed)
        gateway_shut_down(demo->gateway);
}

static void fail(struct demo *demo, const char *why)
{
    fprintf(stderr, "bellwether demo: %s\n", why);
    end(demo, true);
}

static void say_what_to_try(const struct demo *demo)
{
    printf("\nThe gateway listens on http://%s, its admin API on http://%s. Try:\n\n"
           "  curl http://%s/v1/chat/completions -H 'Content-Type: application/json' \\\n"
           "       -d '%s'\n\n"
           "  curl -s http://%s/v1/admin/keys\n"
           "  curl -s http://%s/metrics | grep requests_total\n\n",
           demo->gateway_addr, demo->admin_addr, demo->gateway_addr, bodies[ACT_PLAIN],
           demo->admin_addr, demo->admin_addr);
    if (!demo->is_once)
        printf("Ctrl-C ends it.\n");
    fflush(stdout);
}

static void go_on(struct demo *demo)
{
    http_client_close(&demo->client);
    buf_clear(&demo->answer);
    if (++demo->act != ACT_OVER) {
        loop_defer(demo->loop, &demo->next);
        return;
    }
    say_what_to_try(demo);
    end(demo, false);
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

static void show_events(struct demo *demo)
{
    struct span rest = buf_span(&demo->answer);
    struct sse_event event;

    while (sse_next(&demo->sse, rest, &event)) {
        if (event.kind == SSE_DATA && !span_is_equal(event.data, SPAN("[DONE]")))
            show_content(event.data, "delta");
        rest = span_skip(rest, event.raw.len);
    }
    buf_drop_front(&demo->answer, demo->answer.len - rest.len);
}

static struct demo *demo_of(struct http_client *client)
{
    return container_of(client, struct demo, client);
}

static void on_open(struct http_client *client)
{
    struct demo *demo = demo_of(client);
    const char *body = bodies[demo->act];
    char head[256];
    int len = snprintf(
        head, sizeof(head),
        "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
        "Content-Length: %zu\r\n\r\n",
        demo->gateway_addr, strlen(body));
    struct iovec iov[] = {{head, (size_t)len}, {(void *)(uintptr_t)body, strlen(body)}};

    http_client_begin(client, false);
    if (http_client_send(client, iov, 2, true))
        fail(demo, "the request could not be sent");
}

static void on_head(struct http_client *client, const struct http_head *head)
{
    struct demo *demo = demo_of(client);
    struct span key = http_head_find(head, SPAN("x-bellwether-key"));

    demo->status = head->status;
    snprintf(demo->key, sizeof(demo->key), "%.*s", SPAN_ARG(key));
    if (demo->act == ACT_STREAM)
        printf("\nstreamed, answered over key %s:\n  ", demo->key);
}

static void on_data(struct http_client *client, char *data, size_t len, bool is_last)
{
    struct demo *demo = demo_of(client);

    if (buf_append(&demo->answer, data, len)) {
        fail(demo, "the answer is too large");
        return;
    }
    if (demo->status != 200 && is_last) {
        fprintf(stderr, "%.*s\n", SPAN_ARG(buf_span(&demo->answer)));
        fail(demo, "the gateway answered with an error");
        return;
    }
    if (demo->act == ACT_STREAM)
        show_events(demo);
    if (!is_last)
        return;
    if (demo->act == ACT_PLAIN) {
        printf("\nplain, answered over key %s:\n  ", demo->key);
        show_content(buf_span(&demo->answer), "message");
    }
    printf("\n");
    go_on(demo);
}

static void on_room(struct http_client *client)
{
    (void)client;
}

static void on_fail(struct http_client *client, int err)
{
    fail(demo_of(client), err_text(err));
}

static const struct http_client_ops ops = {
    .on_open = on_open,
    .on_head = on_head,
    .on_data = on_data,
    .on_room = on_room,
    .on_fail = on_fail,
};

static void begin(struct demo *demo)
{
    const struct addr *addr = gateway_listen_addr(demo->gateway);

    sse_init(&demo->sse);
    loop_timer_set(&demo->timer, loop_now_us(demo->loop) + TIMEOUT_US);
    if (http_client_connect(&demo->client, demo->loop, addr, NULL, span_of(NULL, 0), &demo->head,
                            &ops))
        fail(demo, "the gateway cannot be reached");
}

static void on_next(struct loop_task *task)
{
    begin(container_of(task, struct demo, next));
}

static void on_timer(struct loop_timer *timer)
{
    fail(container_of(timer, struct demo, timer), "no answer in time");
}

static void on_signal(void *owner, int number)
{
    struct demo *demo = owner;

    if (demo->gateway && number != SIGHUP && number != SIGUSR1)
        gateway_shut_down(demo->gateway);
}

static int start_sim(struct demo *demo)
{
    struct sim_options options = {.listen = SPAN("127.0.0.1:0")};
    struct buf complaints;
    int err;

    buf_init(&complaints, 65536);
    err = sim_new(demo->loop, &options, &complaints, &demo->sim);
    if (err)
        fprintf(stderr, "%.*s", SPAN_ARG(buf_span(&complaints)));
    buf_fini(&complaints);
    return err;
}

static int start_gateway(struct demo *demo, struct setup *setup)
{
    struct gateway_options options = {.loop = demo->loop,
                                      .secrets = setup->secrets,
                                      .is_locked = true, /* nothing secret here */
                                      .source = &setup->source};
    char sim[ADDR_TEXT_BYTES], error[GATEWAY_ERROR_BYTES], text[1024];
    struct config *config;

    addr_write(sim_addr(demo->sim), sim);
    snprintf(
        text, sizeof(text),
        "server: {listen: 127.0.0.1:0, workers: 1, max_connections: 1000, shutdown_grace: 1s}\n"
        "admin: {listen: 127.0.0.1:0}\n"
        "clients: {open: true}\n"
        "providers:\n"
        "  sim:\n"
        "    kind: compatible\n"
        "    base_url: http://%s/v1\n"
        "    selection: round_robin\n"
        "    keys: [sk-demo-1, sk-demo-2, sk-demo-3]\n"
        "models: {gpt-4.1: sim/gpt-4.1}\n"
        "log: {level: warn, access: false}\n",
        sim);
    if (setup_load(setup, NULL, text, &config))
        return ERR_SYNTAX;
    if (gateway_new(&options, config, error, &demo->gateway)) {
        fprintf(stderr, "bellwether demo: %s\n", error);
        return ERR_IO;
    }
    addr_write(gateway_listen_addr(demo->gateway), demo->gateway_addr);
    addr_write(gateway_admin_addr(demo->gateway), demo->admin_addr);
    printf("a simulated provider listens on http://%s; the gateway in front of it, with three "
           "keys, on http://%s\n",
           sim, demo->gateway_addr);
    return 0;
}

static int run(struct demo *demo, struct setup *setup)
{
    int err = start_sim(demo);

    if (!err)
        err = start_gateway(demo, setup);
    if (!err) {
        begin(demo);
        err = loop_run(demo->loop);
    }
    http_client_close(&demo->client);
    gateway_free(&demo->gateway);
    sim_free(&demo->sim);
    return err || demo->has_failed ? COMMAND_FAILED : COMMAND_OK;
}

int command_demo(int argc, char **argv)
{
    struct demo *demo = mem_zalloc(1, sizeof(*demo));
    struct signals *signals = NULL;
    struct setup setup;
    int status = COMMAND_FAILED;

    if (argc > 2 || (argc == 2 && strcmp(argv[1], "--once") != 0)) {
        mem_free(demo);
        return command_bad_usage("demo", "takes --once alone");
    }
    if (!demo || setup_init(&setup)) {
        mem_free(demo);
        return COMMAND_FAILED;
    }
    demo->is_once = argc == 2;
    demo->client.conn.fd.fd = -1;
    buf_init(&demo->answer, ANSWER_MAX_BYTES);
    demo->loop = loop_new();
    if (demo->loop && signals_new(demo->loop, on_signal, demo, &signals) == 0) {
        loop_timer_init(&demo->timer, demo->loop, on_timer);
        loop_task_init(&demo->next, on_next);
        status = run(demo, &setup);
        loop_timer_fini(&demo->timer);
    }
    buf_fini(&demo->answer);
    signals_free(&signals);
    loop_free(&demo->loop);
    setup_fini(&setup);
    mem_free(demo);
    return status;
}

#include "road.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/err.h"
#include "conf/load.h"

enum { HEARD_MAX = 64 << 20 };

const char road_one_key[] =
    "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
    "  keys: [{name: one, secret: key-one}]}}\n"
    "clients: {open: true}\n";

const char road_ok[] =
    "{\"id\":\"c1\",\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":[{\"index\":0,"
    "\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"finish_reason\":\"stop\"}],"
    "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5,\"total_tokens\":8}}";
const char road_chunk[] =
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{"
    "\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n";
const char road_finish[] =
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{"
    "\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const char road_usage[] =
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[],"
    "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5,\"total_tokens\":8}}\n\n";
const char road_done[] = "data: [DONE]\n\n";

/* --- the configuration --- */

static const char *no_variable(void *ctx, const char *name)
{
    (void)ctx, (void)name;
    return NULL;
}

static int no_file(void *ctx, const char *path, struct buf *out)
{
    (void)ctx, (void)path, (void)out;
    return ERR_NOTFOUND;
}

static const struct conf_system no_system = {NULL, no_variable, no_file, no_file};

/* "@a" becomes the base URL of the upstream a. */
static void fill_in(const struct road *road, const char *yaml, struct buf *text)
{
    for (; *yaml; yaml++) {
        int number = yaml[1] - 'a';

        if (*yaml != '@' || number < 0 || number >= ROAD_UPSTREAMS) {
            buf_append_byte(text, *yaml);
            continue;
        }
        buf_printf(text, "http://unix:%s:/v1", road->upstreams[number].path);
        yaml++;
    }
}

static int load(struct road *road, const char *yaml, struct config **ret_config)
{
    struct conf_source source = {&no_system, road->secrets};
    struct complaints complaints;
    struct buf text, said;
    int err;

    buf_init(&text, 1 << 20);
    buf_init(&said, 1 << 20);
    fill_in(road, yaml, &text);
    complaints_init(&complaints);
    err = text.err;
    if (!err)
        err =
            config_load_text(&source, SPAN("road.yaml"), buf_span(&text), &complaints, ret_config);
    if (err == ERR_SYNTAX && complaints.count) {
        complaints_print(&complaints, &said);
        print_message("%s", buf_text(&said));
    }
    complaints_fini(&complaints);
    buf_fini(&said);
    buf_fini(&text);
    return err;
}

/* --- the host's calls --- */

static void on_mail(struct loop_task *task)
{
    struct road *road = container_of(task, struct road, mail);
    size_t count = road->grant_count;
    struct waiting_ticket tickets[ROAD_GRANTS];

    memcpy(tickets, road->grants, count * sizeof(tickets[0]));
    road->grant_count = 0;
    for (size_t i = 0; i < count; i++)
        exchange_host_wake(&road->host, tickets[i]);
}

static void on_grant(void *owner, struct waiting_ticket ticket)
{
    struct road *road = owner;

    assert_true(road->grant_count < ROAD_GRANTS);
    road->grants[road->grant_count++] = ticket;
    loop_defer(road->loop, &road->mail);
}

static void on_want_probe(void *owner, struct provider *provider)
{
    (void)provider;
    ((struct road *)owner)->probes_wanted++;
}

static void on_conn_closed(void *owner)
{
    ((struct road *)owner)->conns_closed++;
}

static const struct exchange_host_ops host_ops = {on_grant, on_want_probe, on_conn_closed};

/* --- the stage --- */

static uint64_t log_clock(void)
{
    return ROAD_START_US;
}

static void make_folder(struct road *road)
{
    snprintf(road->folder, sizeof(road->folder), "/tmp/bellwether-road-XXXXXX");
    assert_non_null(mkdtemp(road->folder));
    for (int i = 0; i < ROAD_UPSTREAMS; i++) {
        road->upstreams[i].listener = -1;
        snprintf(road->upstreams[i].path, sizeof(road->upstreams[i].path), "%s/%c", road->folder,
                 'a' + i);
    }
}

static void drop_folder(struct road *road)
{
    char path[128];

    for (int i = 0; i < ROAD_UPSTREAMS; i++)
        road_unlisten(road, (char)('a' + i));
    snprintf(path, sizeof(path), "%s/log", road->folder);
    unlink(path);
    rmdir(road->folder);
}

static void apply_settings(struct road *road)
{
    const struct conf_server *conf = &road->snapshot->config->server;

    road->server.header_timeout_us = conf->timeouts.header_us;
    road->server.body_timeout_us = conf->timeouts.body_us;
    road->server.write_timeout_us = conf->timeouts.write_us;
    road->server.idle_timeout_us = conf->timeouts.idle_us;
    road->server.is_half_close_answered = conf->half_close == CONF_HALF_CLOSE_ANSWER;
}

static int make_snapshot(struct road *road, const char *yaml, struct snapshot **ret_snapshot)
{
    char error[TLS_ERROR_BYTES];
    struct config *config = NULL;
    int err = load(road, yaml, &config);

    if (!err)
        err = snapshot_new(&road->registry, config, loop_now_us(road->loop),
                           loop_wall_us(road->loop), error, ret_snapshot);
    if (err)
        config_free(&config);
    return err;
}

static int make_host(struct road *road)
{
    int err = exchange_host_init(&road->host, road->loop, &road->registry, 0, &host_ops, road);

    if (err)
        return err;
    rand_init(&road->host.rand, 42);
    err = http_server_init(&road->server, road->loop, &exchange_server_ops, &road->host);
    if (!err)
        err = exchange_host_bind(&road->host, road->snapshot);
    if (err && road->server.head)
        http_server_fini(&road->server);
    if (err)
        exchange_host_fini(&road->host);
    return err;
}

static int make_log(struct road *road)
{
    char path[128];
    struct log_options options = {.level = LOG_LEVEL_INFO,
                                  .format = LOG_FORMAT_JSON,
                                  .has_access = true,
                                  .file = path,
                                  .wall_us = log_clock};

    snprintf(path, sizeof(path), "%s/log", road->folder);
    return log_new(&options, &road->log);
}

bool road_try_begin(struct road *road, const char *yaml)
{
    bool is_locked, has_registry = false;
    int err = ERR_NOMEM;

    memset(road, 0, sizeof(*road));
    make_folder(road);
    loop_task_init(&road->mail, on_mail);
    road->loop = loop_new_virtual(ROAD_START_US);
    road->secrets = secret_arena_new(ROAD_ARENA_BYTES, &is_locked);
    if (road->loop && road->secrets)
        err = make_log(road);
    if (!err)
        err = registry_init(&road->registry, 1, road->secrets, road->log);
    has_registry = !err;
    if (!err)
        err = make_snapshot(road, yaml, &road->snapshot);
    if (!err)
        err = make_host(road);
    if (!err) {
        apply_settings(road);
        road_listen(road, 'a');
        road_listen(road, 'b');
        return true;
    }
    assert_int_equal(err, ERR_NOMEM);
    snapshot_unref(&road->snapshot);
    if (has_registry)
        registry_fini(&road->registry);
    log_free(&road->log);
    loop_free(&road->loop);
    secret_arena_free(&road->secrets);
    drop_folder(road);
    return false;
}

void road_begin(struct road *road, const char *yaml)
{
    assert_true(road_try_begin(road, yaml));
}

void road_reload(struct road *road, const char *yaml)
{
    struct snapshot *fresh;

    assert_int_equal(make_snapshot(road, yaml, &fresh), 0);
    assert_int_equal(exchange_host_bind(&road->host, fresh), 0);
    snapshot_unref(&road->snapshot);
    road->snapshot = fresh;
    apply_settings(road);
}

static void check_settled(struct road *road)
{
    assert_int_equal(road->host.exchange_count, 0);
    assert_int_equal(road->host.lease.used, 0);
    assert_true(list_is_empty(&road->host.exchanges));
    assert_int_equal(road_metric(road, "bellwether_active_requests"), 0);
    assert_int_equal(road_metric(road, "bellwether_waiting_requests"), 0);
    for (size_t i = 0; i < road->snapshot->provider_count; i++)
        assert_int_equal(waiting_count(provider_waiting(road->snapshot->providers[i].provider)), 0);
}

void road_end(struct road *road)
{
    wire_settle(road->loop);
    http_server_fini(&road->server);
    assert_int_equal(road->server.conn_count, 0);
    wire_settle(road->loop);
    check_settled(road);
    exchange_host_fini(&road->host);
    snapshot_unref(&road->snapshot);
    registry_fini(&road->registry);
    log_free(&road->log);
    loop_free(&road->loop);
    secret_arena_free(&road->secrets);
    drop_folder(road);
}

/* --- the client's side --- */

int road_connect(struct road *road)
{
    struct addr peer = {.len = 0};
    int fds[2];

    assert_int_equal(addr_parse(SPAN("192.0.2.7:4711"), &peer), 0);
    wire_pair(fds);
    if (http_server_accept(&road->server, fds[0], &peer) == 0) {
        metrics_add(road->host.metrics, road->host.series.connections, 1);
        metrics_add(road->host.metrics, road->host.series.connections_total, 1);
    }
    wire_settle(road->loop);
    return fds[1];
}

void road_post(struct road *road, int client, const char *path, const char *lines, const char *body)
{
    struct buf text;

    buf_init(&text, HEARD_MAX);
    buf_printf(&text, "POST %s HTTP/1.1\r\nHost: gw\r\n%sContent-Length: %zu\r\n\r\n", path, lines,
               strlen(body));
    buf_append(&text, body, strlen(body));
    assert_int_equal(text.err, 0);
    wire_write(road->loop, client, text.data, text.len);
    buf_fini(&text);
    wire_settle(road->loop);
}

void road_chat(struct road *road, int client)
{
    road_post(road, client, "/v1/chat/completions", "",
              "{\"model\":\"up/m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}");
}

void road_chat_stream(struct road *road, int client)
{
    road_post(road, client, "/v1/chat/completions", "",
              "{\"model\":\"up/m\",\"stream\":true,\"messages\":[{\"role\":\"user\","
              "\"content\":\"Hello\"}]}");
}

/* Strict: a size line of hexadecimal digits alone, CRLF behind each chunk, no trailer. True once
 * the last chunk is there. */
static bool take_chunks(struct road_answer *answer, struct span rest, size_t *used)
{
    struct span begin = rest;

    for (;;) {
        size_t line = span_find(rest, SPAN("\r\n")), len = 0;

        if (line == SIZE_MAX)
            return false;
        assert_in_range(line, 1, 8);
        for (size_t i = 0; i < line; i++) {
            const char *digit = strchr("0123456789abcdef", rest.ptr[i]);

            assert_non_null(digit);
            len = len * 16 + (size_t)(digit - "0123456789abcdef");
        }
        rest = span_skip(rest, line + 2);
        buf_append(&answer->body, rest.ptr, len < rest.len ? len : rest.len);
        if (rest.len < len + 2)
            return false;
        assert_memory_equal(rest.ptr + len, "\r\n", 2);
        rest = span_skip(rest, len + 2);
        if (len == 0) {
            *used = begin.len - rest.len;
            return true;
        }
    }
}

static void take_length(struct road_answer *answer, struct span rest, size_t *used)
{
    size_t len = strtoul(road_field(answer, "content-length"), NULL, 10);

    *used = len < rest.len ? len : rest.len;
    buf_append(&answer->body, rest.ptr, *used);
    answer->is_whole = *used == len;
}

void road_read_answer(struct span text, struct road_answer *answer)
{
    size_t head = span_find(text, SPAN("\r\n\r\n")), used = 0;

    memset(answer, 0, sizeof(*answer));
    buf_init(&answer->body, HEARD_MAX);
    if (head == SIZE_MAX)
        return;
    head += 4;
    assert_true(head < sizeof(answer->head));
    assert_true(span_has_prefix(text, SPAN("HTTP/1.1 ")));
    memcpy(answer->head, text.ptr, head);
    answer->status = (int)strtol(answer->head + 9, NULL, 10);
    assert_in_range(answer->status, 200, 599);
    if (!strcmp(road_field(answer, "transfer-encoding"), "chunked")) {
        assert_string_equal(road_field(answer, "content-length"), "");
        answer->is_chunked = true;
        answer->is_whole = take_chunks(answer, span_skip(text, head), &used);
    } else {
        assert_string_not_equal(road_field(answer, "content-length"), "");
        take_length(answer, span_skip(text, head), &used);
    }
    assert_int_equal(answer->body.err, 0);
    answer->used = head + used;
}

void road_hear(struct road *road, int client, struct road_answer *answer)
{
    struct buf heard;
    enum wire_end end;
    size_t len;

    buf_init(&heard, HEARD_MAX);
    do {
        len = heard.len;
        wire_settle(road->loop);
        end = wire_read(client, &heard);
    } while (heard.len != len);
    road_read_answer(buf_span(&heard), answer);
    /* One answer at most, and nothing behind it. */
    assert_int_equal(answer->used, answer->is_whole ? heard.len : answer->used);
    answer->end = end;
    buf_fini(&heard);
}

void road_answer_free(struct road_answer *answer)
{
    buf_fini(&answer->body);
}

const char *road_field(const struct road_answer *answer, const char *name)
{
    static char value[1024];
    size_t len = strlen(name);

    for (const char *line = strstr(answer->head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        const char *end = strstr(line + 2, "\r\n");

        if (end && !strncasecmp(line + 2, name, len) && line[2 + len] == ':') {
            snprintf(value, sizeof(value), "%.*s", (int)(end - line - 4 - (ptrdiff_t)len),
                     line + 4 + len);
            return value;
        }
    }
    return "";
}

const char *road_body(struct road_answer *answer)
{
    return buf_text(&answer->body);
}

void road_expect(struct road *road, int client, int status, const char *body)
{
    struct road_answer answer;

    road_hear(road, client, &answer);
    if (answer.status != status)
        print_message("%s%s\n", answer.head, road_body(&answer));
    assert_int_equal(answer.status, status);
    assert_true(answer.is_whole);
    if (body)
        assert_string_equal(road_body(&answer), body);
    road_answer_free(&answer);
}

void road_expect_error(struct road *road, int client, int status, const char *code)
{
    struct road_answer answer;
    char member[128];

    road_hear(road, client, &answer);
    snprintf(member, sizeof(member), "\"code\":\"%s\"", code);
    if (answer.status != status || !strstr(road_body(&answer), member))
        print_message("%s%s\n", answer.head, road_body(&answer));
    assert_int_equal(answer.status, status);
    assert_true(answer.is_whole);
    assert_non_null(strstr(road_body(&answer), member));
    assert_string_equal(road_field(&answer, "content-type"), "application/json");
    if (status == 429 || status == 503) {
        assert_string_not_equal(road_field(&answer, "retry-after"), "");
        assert_string_not_equal(road_field(&answer, "retry-after-ms"), "");
    }
    road_answer_free(&answer);
}

void road_expect_silence(struct road *road, int client)
{
    struct buf heard;

    buf_init(&heard, HEARD_MAX);
    wire_settle(road->loop);
    assert_int_equal(wire_read(client, &heard), WIRE_OPEN);
    assert_int_equal(heard.len, 0);
    buf_fini(&heard);
}

/* --- the upstream's side --- */

void road_listen(struct road *road, char name)
{
    int number = name - 'a';
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", road->upstreams[number].path);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 1024), 0);
    road->upstreams[number].listener = fd;
}

void road_unlisten(struct road *road, char name)
{
    int number = name - 'a';

    if (road->upstreams[number].listener < 0)
        return;
    close(road->upstreams[number].listener);
    unlink(road->upstreams[number].path);
    road->upstreams[number].listener = -1;
}

int road_try_accept(struct road *road, char name)
{
    wire_settle(road->loop);
    return accept4(road->upstreams[name - 'a'].listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int road_accept(struct road *road, char name)
{
    int fd = road_try_accept(road, name);

    assert_true(fd >= 0);
    wire_settle(road->loop);
    return fd;
}

char *road_request(struct road *road, int upstream)
{
    enum wire_end end;
    char *heard = wire_hear(road->loop, upstream, &end);

    assert_int_equal(end, WIRE_OPEN);
    return heard;
}

/* What the gateway said on it; NULL where it said nothing. */
static char *heard_on(struct road *road, int upstream)
{
    char *heard = wire_hear(road->loop, upstream, NULL);

    if (*heard)
        return heard;
    mem_free(heard);
    return NULL;
}

int road_attempt(struct road *road, char name, int upstream, char **ret_request)
{
    *ret_request = upstream >= 0 ? heard_on(road, upstream) : NULL;
    if (*ret_request)
        return upstream;
    if (upstream >= 0)
        close(upstream);
    upstream = road_accept(road, name);
    *ret_request = heard_on(road, upstream);
    assert_non_null(*ret_request);
    return upstream;
}

int road_attempt_with(struct road *road, char name, int upstream, const char *key)
{
    char *heard, line[128];

    upstream = road_attempt(road, name, upstream, &heard);
    snprintf(line, sizeof(line), "\r\nAuthorization: Bearer %s\r\n", key);
    if (!strstr(heard, line))
        print_message("%s\n", heard);
    assert_non_null(strstr(heard, line));
    mem_free(heard);
    return upstream;
}

void road_expect_no_attempt(struct road *road, char name, int upstream)
{
    char *heard = upstream >= 0 ? heard_on(road, upstream) : NULL;

    assert_null(heard);
    assert_int_equal(road_try_accept(road, name), -1);
}

void road_take(struct road *road, int upstream)
{
    char *heard = road_request(road, upstream);

    assert_int_equal(strncmp(heard, "POST /v1/", 9), 0);
    mem_free(heard);
}

void road_reply(struct road *road, int upstream, int status, const char *lines, const char *body)
{
    struct buf text;

    buf_init(&text, HEARD_MAX);
    buf_printf(
        &text,
        "HTTP/1.1 %d Word\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n",
        status, lines, strlen(body));
    buf_append(&text, body, strlen(body));
    assert_int_equal(text.err, 0);
    wire_write(road->loop, upstream, text.data, text.len);
    buf_fini(&text);
    wire_settle(road->loop);
}

void road_reply_ok(struct road *road, int upstream)
{
    road_reply(road, upstream, 200, "", road_ok);
}

void road_stream_head(struct road *road, int upstream)
{
    wire_say(road->loop, upstream,
             "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
             "Transfer-Encoding: chunked\r\n\r\n");
}

void road_stream(struct road *road, int upstream, const char *events)
{
    struct buf text;

    buf_init(&text, HEARD_MAX);
    buf_printf(&text, "%zx\r\n%s\r\n", strlen(events), events);
    wire_write(road->loop, upstream, text.data, text.len);
    buf_fini(&text);
    wire_settle(road->loop);
}

void road_stream_end(struct road *road, int upstream)
{
    wire_say(road->loop, upstream, "0\r\n\r\n");
}

void road_expect_closed(struct road *road, int upstream)
{
    struct buf heard;

    buf_init(&heard, HEARD_MAX);
    wire_settle(road->loop);
    assert_int_not_equal(wire_read(upstream, &heard), WIRE_OPEN);
    buf_fini(&heard);
}

/* --- time and numbers --- */

void road_pass_ms(struct road *road, uint64_t ms)
{
    wire_pass(road->loop, ms * 1000);
}

uint64_t road_now_ms(const struct road *road)
{
    return (loop_now_us(road->loop) - ROAD_START_US) / 1000;
}

uint64_t road_metric(struct road *road, const char *line)
{
    struct buf text;
    const char *at;
    size_t len = strlen(line);
    uint64_t value = 0;

    buf_init(&text, HEARD_MAX);
    assert_int_equal(metrics_write(road->registry.metrics, NULL, &text), 0);
    for (at = buf_text(&text); at; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (!strncmp(at, line, len) && at[len] == ' ') {
            value = strtoull(at + len, NULL, 10);
            break;
        }
    }
    buf_fini(&text);
    return value;
}

char *road_log(struct road *road)
{
    char path[128];
    struct buf text;
    size_t len;
    FILE *file;
    char piece[4096];

    road->host.log = NULL;
    road->registry.log = NULL;
    log_free(&road->log);
    snprintf(path, sizeof(path), "%s/log", road->folder);
    file = fopen(path, "r");
    assert_non_null(file);
    buf_init(&text, HEARD_MAX);
    while ((len = fread(piece, 1, sizeof(piece), file)) > 0)
        assert_int_equal(buf_append(&text, piece, len), 0);
    fclose(file);
    assert_int_equal(buf_append_byte(&text, '\0'), 0);
    return buf_take(&text, &len);
}

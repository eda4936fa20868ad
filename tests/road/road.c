#include "road.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
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

const char road_one_at_once[] =
    "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
    "  keys: [{name: one, secret: key-one, limits: {concurrent: 1}}]}}\n"
    "clients: {open: true}\n";

const char road_one_connection[] =
    "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
    "  connections: {max: 1}, keys: [{name: one, secret: key-one}]}}\n"
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

/* A test's own, such as certificates. */
static int read_file(void *ctx, const char *path, struct buf *out)
{
    FILE *file = fopen(path, "r");
    char piece[4096];
    size_t len;

    (void)ctx;
    if (!file)
        return ERR_NOTFOUND;
    while ((len = fread(piece, 1, sizeof(piece), file)) > 0)
        buf_append(out, piece, len);
    fclose(file);
    return out->err;
}

static int no_folder(void *ctx, const char *path, struct buf *out)
{
    (void)ctx, (void)path, (void)out;
    return ERR_NOTFOUND;
}

static const struct conf_system no_system = {NULL, no_variable, read_file, no_folder};

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

/* There is one worker: whoever waits, waits there. */
static void on_call(void *owner, uint32_t worker)
{
    (void)owner;
    fail_msg("worker %u was called", worker);
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

static void on_help(void *owner, struct helper_job *job)
{
    struct road *road = owner;

    job->next = road->jobs;
    road->jobs = job;
}

static const struct exchange_host_ops host_ops = {
    .call = on_call,
    .want_probe = on_want_probe,
    .help = on_help,
    .conn_closed = on_conn_closed,
};

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
    assert_null(road->jobs);
    assert_int_equal(road->host.exchange_count, 0);
    assert_int_equal(road->host.lease.used, 0);
    assert_true(list_is_empty(&road->host.exchanges));
    assert_int_equal(road_metric(road, "bellwether_active_requests"), 0);
    assert_int_equal(road_metric(road, "bellwether_waiting_requests"), 0);
    assert_int_equal(road_metric(road, "bellwether_large_bodies"), 0);
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

/* --- the helpers --- */

size_t road_jobs(const struct road *road)
{
    size_t count = 0;

    for (const struct helper_job *job = road->jobs; job; job = job->next)
        count++;
    return count;
}

static struct helper_job *take_job(struct road *road)
{
    struct helper_job *job = road->jobs;

    if (job)
        road->jobs = job->next;
    return job;
}

static void *do_jobs(void *arg)
{
    struct helper_job *job;

    while ((job = take_job(arg))) {
        job->work(job);
        helper_job_return(job, 0);
    }
    return NULL;
}

void road_help(struct road *road)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, do_jobs, road), 0);
    pthread_join(thread, NULL);
    wire_settle(road->loop);
}

void road_refuse_help(struct road *road)
{
    struct helper_job *job;

    while ((job = take_job(road)))
        helper_job_return(job, ERR_FULL);
    wire_settle(road->loop);
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

uint64_t road_attempts(struct road *road, const char *outcome)
{
    char line[128];

    snprintf(line, sizeof(line), "bellwether_attempts_total{provider=\"up\",outcome=\"%s\"}",
             outcome);
    return road_metric(road, line);
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

size_t road_count(const char *text, const char *what)
{
    size_t n = 0;

    while ((text = strstr(text, what)) != NULL) {
        n++;
        text += strlen(what);
    }
    return n;
}

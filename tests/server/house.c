#include "house.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/err.h"
#include "server/gateway_inner.h"

/* --- the upstream --- */

/* Reads a whole request into text: false at the end of the connection. */
static bool read_request(int fd, char *text, size_t cap)
{
    size_t len = 0;

    for (;;) {
        char *body, *length;
        ssize_t n = recv(fd, text + len, cap - len - 1, 0);

        if (n <= 0)
            return false;
        len += (size_t)n;
        text[len] = '\0';
        body = strstr(text, "\r\n\r\n");
        length = strstr(text, "Content-Length: ");
        if (body && length && len >= (size_t)(body + 4 - text) + strtoul(length + 16, NULL, 10))
            return true;
        if (body && !length)
            return true; /* a probe */
    }
}

static void note_begun(struct house *house)
{
    int at_once = atomic_fetch_add(&house->at_once, 1) + 1;
    int most = atomic_load(&house->most_at_once);

    while (at_once > most && !atomic_compare_exchange_weak(&house->most_at_once, &most, at_once))
        continue;
    atomic_fetch_add(&house->requests, 1);
}

struct conn_job {
    struct house *house;
    int fd;
};

static void *serve_conn(void *arg)
{
    struct conn_job job = *(struct conn_job *)arg;
    size_t most = job.house->blanks + 1024;
    char *text = malloc(HOUSE_REQUEST_BYTES), *answer = malloc(most), *body = malloc(most);

    free(arg);
    if (!text || !answer || !body)
        abort();
    while (read_request(job.fd, text, HOUSE_REQUEST_BYTES)) {
        char *mark = strstr(text, "mark");
        int len;

        note_begun(job.house);
        /* Whoever has hung up meanwhile is not waited for. */
        poll(&(struct pollfd){.fd = job.fd, .events = POLLIN}, 1, (int)job.house->delay_ms);
        atomic_fetch_sub(&job.house->at_once, 1);
        len = snprintf(body, most,
                       "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"mark%lux%*s\"},"
                       "\"finish_reason\":\"stop\"}]}",
                       mark ? strtoul(mark + 4, NULL, 10) : 0, (int)job.house->blanks, "");
        len = snprintf(answer, most,
                       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                       "Content-Length: %d\r\n\r\n%s",
                       len, body);
        if (send(job.fd, answer, (size_t)len, MSG_NOSIGNAL) != len)
            break;
    }
    shutdown(job.fd, SHUT_RDWR);
    free(text);
    free(answer);
    free(body);
    return NULL;
}

static void *accept_conns(void *arg)
{
    struct house *house = arg;
    int fd;

    while ((fd = accept(house->listener, NULL, NULL)) >= 0) {
        struct conn_job *job = malloc(sizeof(*job));

        if (!job || house->conn_count == HOUSE_CONNS)
            abort();
        *job = (struct conn_job){house, fd};
        house->conn_fds[house->conn_count] = fd;
        if (pthread_create(&house->conns[house->conn_count++], NULL, serve_conn, job))
            abort();
    }
    return NULL;
}

int house_listen(uint16_t *ret_port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(fd, 256), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    *ret_port = ntohs(addr.sin_port);
    return fd;
}

static void open_upstream(struct house *house)
{
    house->listener = house_listen(&house->port);
    assert_int_equal(pthread_create(&house->acceptor, NULL, accept_conns, house), 0);
}

static void close_upstream(struct house *house)
{
    shutdown(house->listener, SHUT_RDWR);
    pthread_join(house->acceptor, NULL);
    close(house->listener);
    for (int i = 0; i < house->conn_count; i++) {
        shutdown(house->conn_fds[i], SHUT_RDWR);
        pthread_join(house->conns[i], NULL);
        close(house->conn_fds[i]);
    }
}

/* --- the gateway --- */

static void set_yaml(struct house *house, const char *yaml)
{
    size_t len = (size_t)snprintf(house->yaml, sizeof(house->yaml), yaml, house->port, house->port);

    /* Nothing is left behind, unless the test is about that. */
    if (!strstr(house->yaml, "\nstore:"))
        snprintf(house->yaml + len, sizeof(house->yaml) - len, "\nstore: none\n");
    house->files[0] = (struct fake_pair){"/gateway.yaml", house->yaml};
    house->fake.files = house->files;
}

void house_begin(struct house *house, const char *yaml)
{
    memset(house, 0, sizeof(*house));
    fake_init(&house->fake);
    open_upstream(house);
    set_yaml(house, yaml);
    house->fail_after = -1;
    house->loop = loop_new();
    assert_non_null(house->loop);
}

static void *run_control(void *arg)
{
    loop_run(((struct house *)arg)->loop);
    return NULL;
}

int house_open(struct house *house)
{
    struct gateway_options options = {.loop = house->loop,
                                      .secrets = house->fake.secrets,
                                      .is_locked = true,
                                      .config_path = "/gateway.yaml",
                                      .source = &house->fake.source};
    struct config *config = NULL;
    int err = config_load(&house->fake.source, "/gateway.yaml", &house->fake.complaints, &config);

    if (err)
        print_message("%s", fake_complaints(&house->fake));
    assert_int_equal(err, 0);
    mem_fail_after(house->fail_after);
    err = gateway_new(&options, config, house->error, &house->gateway);
    if (err)
        return err;
    assert_int_equal(pthread_create(&house->control, NULL, run_control, house), 0);
    house->has_control = true;
    return 0;
}

/* Something to do on the control thread, and whoever waits for it. */
struct errand {
    struct loop_mail mail;
    struct house *house;
    const char *yaml; /* of a reload; NULL: none is asked for */
    bool is_shutdown, is_reloading;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
};

static void on_errand(struct loop_mail *mail)
{
    struct errand *errand = container_of(mail, struct errand, mail);

    if (errand->is_shutdown)
        gateway_shut_down(errand->house->gateway);
    if (errand->yaml) {
        set_yaml(errand->house, errand->yaml);
        mem_fail_after(errand->house->fail_after);
        gateway_reload(errand->house->gateway);
    }
    errand->is_reloading = errand->house->gateway->reload.snapshot != NULL;
    pthread_mutex_lock(&errand->lock);
    errand->is_done = true;
    pthread_cond_signal(&errand->done);
    pthread_mutex_unlock(&errand->lock);
}

/* True where a reload is under way then. */
static bool send_errand(struct house *house, const char *yaml, bool is_shutdown)
{
    struct errand errand = {.mail = {.on_arrival = on_errand},
                            .house = house,
                            .yaml = yaml,
                            .is_shutdown = is_shutdown,
                            .lock = PTHREAD_MUTEX_INITIALIZER,
                            .done = PTHREAD_COND_INITIALIZER};

    loop_post(house->loop, &errand.mail);
    pthread_mutex_lock(&errand.lock);
    while (!errand.is_done)
        pthread_cond_wait(&errand.done, &errand.lock);
    pthread_mutex_unlock(&errand.lock);
    pthread_mutex_destroy(&errand.lock);
    pthread_cond_destroy(&errand.done);
    return errand.is_reloading;
}

void house_reload(struct house *house, const char *yaml)
{
    send_errand(house, yaml, false);
}

void house_await_reload(struct house *house)
{
    while (send_errand(house, NULL, false))
        usleep(1000);
}

void house_shut_down(struct house *house)
{
    send_errand(house, NULL, true);
}

void house_join(struct house *house)
{
    if (house->has_control)
        pthread_join(house->control, NULL);
    house->has_control = false;
}

void house_end(struct house *house)
{
    if (house->has_control) {
        house_shut_down(house);
        house_join(house);
    }
    gateway_free(&house->gateway);
    loop_free(&house->loop);
    close_upstream(house);
    fake_fini(&house->fake);
}

/* --- clients --- */

int house_connect(struct house *house)
{
    const struct addr *addr = gateway_listen_addr(house->gateway);
    struct timeval most = {.tv_sec = 60};
    int fd = socket(addr->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most));
    if (connect(fd, (const struct sockaddr *)&addr->storage, addr->len) == 0)
        return fd;
    close(fd);
    return -1;
}

bool house_ask(int client, unsigned number)
{
    char body[128], text[512];
    int len = snprintf(body, sizeof(body),
                       "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":"
                       "\"mark%ux\"}]}",
                       number);

    len = snprintf(text, sizeof(text),
                   "POST /v1/chat/completions HTTP/1.1\r\nHost: gw\r\nContent-Length: %d\r\n\r\n%s",
                   len, body);
    return send(client, text, (size_t)len, MSG_NOSIGNAL) == len;
}

int house_hear(int client, unsigned number, bool *ret_is_last)
{
    char text[65536], mark[32];
    size_t len = 0;
    int status;

    snprintf(mark, sizeof(mark), "mark%ux", number);
    for (;;) {
        ssize_t n = recv(client, text + len, sizeof(text) - len - 1, 0);
        char *body, *length;

        if (n <= 0)
            return len ? -1 : 0;
        len += (size_t)n;
        text[len] = '\0';
        body = strstr(text, "\r\n\r\n");
        length = strstr(text, "Content-Length: ");
        if (body && length && len >= (size_t)(body + 4 - text) + strtoul(length + 16, NULL, 10))
            break;
    }
    status = (int)strtol(text + 9, NULL, 10);
    if (status == 200 && !strstr(text, mark))
        return -1;
    *ret_is_last = strstr(text, "\r\nConnection: close\r\n") != NULL;
    return status;
}

/* admin: the address as clients meet it, on virtual time. */
#include "stage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/alloc.h"
#include "io/listener.h"

enum { TURNS_TO_SETTLE = 20, CONNECTIONS = 64, MANY_KEYS = 3000 };

static const char plain[] = "providers:\n"
                            "  sim: {kind: compatible, base_url: http://127.0.0.1:9/v1, "
                            "keys: [sk-hidden-1, sk-hidden-2]}\n";
static const char with_token[] = "admin: {token: hidden-token}\n"
                                 "providers:\n"
                                 "  sim: {kind: compatible, base_url: http://127.0.0.1:9/v1, "
                                 "keys: [sk-hidden-1]}\n";

struct play {
    struct stage stage;
    struct loop *loop;
    struct admin *admin;
    struct addr addr;
    struct buf heard;
};

static struct admin_state tell_state(void *owner)
{
    return ((struct play *)owner)->stage.view.state;
}

static void settle(struct play *play)
{
    for (int i = 0; i < TURNS_TO_SETTLE; i++)
        assert_int_equal(loop_turn(play->loop, 0), 0);
}

static void pass(struct play *play, uint64_t us)
{
    uint64_t end_us = loop_now_us(play->loop) + us;

    settle(play);
    while (loop_now_us(play->loop) < end_us)
        assert_int_equal(loop_turn(play->loop, end_us - loop_now_us(play->loop)), 0);
    settle(play);
}

/* An abstract unix address takes as much as it is asked for and no more; TCP shows its Host. */
static void open_address(struct play *play, bool is_tcp)
{
    struct admin_options options = {
        .loop = play->loop, .registry = &play->stage.registry, .state = tell_state, .owner = play};
    struct addr addr = {.len = sizeof(sa_family_t)};

    addr.storage.ss_family = AF_UNIX;
    if (is_tcp) {
        assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &addr), 0);
        assert_int_equal(listener_open(&addr, false, &options.fd, &play->addr), 0);
    } else {
        options.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(options.fd, (struct sockaddr *)&addr.storage, addr.len), 0);
        assert_int_equal(listen(options.fd, 256), 0);
        play->addr.len = sizeof(play->addr.storage);
        assert_int_equal(
            getsockname(options.fd, (struct sockaddr *)&play->addr.storage, &play->addr.len), 0);
    }
    assert_int_equal(admin_new(&options, &play->admin), 0);
    admin_set_snapshot(play->admin, play->stage.view.snapshot);
}

static void begin(struct play *play, const char *yaml, bool is_tcp)
{
    memset(play, 0, sizeof(*play));
    stage_begin(&play->stage, yaml);
    play->loop = loop_new_virtual(STAGE_NOW_US);
    assert_non_null(play->loop);
    buf_init(&play->heard, PAGE_MAX_BYTES);
    open_address(play, is_tcp);
}

static void end(struct play *play)
{
    admin_free(&play->admin);
    assert_int_equal(loop_turn(play->loop, 0), 0);
    loop_free(&play->loop);
    buf_fini(&play->heard);
    stage_end(&play->stage);
}

static int call(struct play *play)
{
    int fd = socket(play->addr.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&play->addr.storage, play->addr.len), 0);
    return fd;
}

static void say(struct play *play, int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    settle(play);
}

/* Reads what is there; true where the connection has ended. */
static bool read_some(struct play *play, int fd)
{
    char piece[65536];

    for (;;) {
        ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);

        if (n <= 0)
            return n == 0 || errno != EAGAIN;
        assert_int_equal(buf_append(&play->heard, piece, (size_t)n), 0);
    }
}

/* Everything that came on the connection since the last time. */
static const char *hear(struct play *play, int fd)
{
    buf_clear(&play->heard);
    settle(play);
    read_some(play, fd);
    return buf_text(&play->heard);
}

static bool is_ended(struct play *play, int fd)
{
    return read_some(play, fd);
}

/* A whole answer of one request on a connection of its own. */
static const char *ask(struct play *play, const char *request)
{
    int fd = call(play);

    say(play, fd, request);
    hear(play, fd);
    close(fd);
    settle(play);
    return buf_text(&play->heard);
}

static void expect_status(const char *answer, int status)
{
    char start[32];

    snprintf(start, sizeof(start), "HTTP/1.1 %d ", status);
    if (strncmp(answer, start, strlen(start)) != 0)
        fail_msg("not %d: %.400s", status, answer);
}

/* --- what is served --- */

static void serves_its_pages_on_one_connection(void **state)
{
    struct play play;
    const char *answer;
    int fd;

    (void)state;
    begin(&play, plain, true);
    fd = call(&play);
    say(&play, fd, "GET /health HTTP/1.1\r\nHost: localhost:9090\r\n\r\n");
    answer = hear(&play, fd);
    expect_status(answer, 200);
    stage_expect_part(answer, "\r\nContent-Length: 16\r\nContent-Type: application/json\r\n"
                              "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n"
                              "{\"status\":\"ok\"}\n");
    say(&play, fd, "GET /v1/admin/keys?x=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    stage_expect_part(hear(&play, fd), "\"name\":\"sim-2\"");
    say(&play, fd, "GET /v1/admin/stats HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    stage_expect_part(hear(&play, fd), "\"total_keys\":2,\"healthy_keys\":0}");
    say(&play, fd, "GET /metrics HTTP/1.1\r\nHost: [::1]:9090\r\n\r\n");
    answer = hear(&play, fd);
    stage_expect_part(answer, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    stage_expect_part(answer, "\nbellwether_keys_configured{provider=\"sim\"} 2\n");
    close(fd);
    end(&play);
}

static void answers_head_without_a_body(void **state)
{
    struct play play;
    const char *answer;
    char *got;

    (void)state;
    begin(&play, plain, false);
    got = strdup(ask(&play, "GET /v1/admin/keys HTTP/1.1\r\nHost: x\r\n\r\n"));
    answer = ask(&play, "HEAD /v1/admin/keys HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status(answer, 200);
    assert_int_equal(strlen(answer), strstr(got, "\r\n\r\n") + 4 - got);
    assert_memory_equal(answer, got, strlen(answer));
    free(got);
    end(&play);
}

static void says_when_the_process_is_not_ready(void **state)
{
    struct play play;
    const char *answer;

    (void)state;
    begin(&play, plain, false);
    play.stage.view.state.is_ready = false;
    answer = ask(&play, "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status(answer, 503);
    stage_expect_part(answer, "\r\nRetry-After: 1\r\n");
    admin_set_snapshot(play.admin, NULL);
    expect_status(ask(&play, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), 503);
    end(&play);
}

/* --- what is refused --- */

static void refuses_what_it_does_not_have(void **state)
{
    struct play play;
    const char *answer;
    int fd;

    (void)state;
    begin(&play, plain, false);
    answer = ask(&play, "GET /v1/admin/routing HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status(answer, 404);
    stage_expect_part(answer, "\r\nContent-Type: application/json\r\n");
    stage_expect_part(answer, "{\"error\":{\"message\":\"There is nothing at GET /v1/admin/routing on ");
    stage_expect_part(answer, "\"type\":\"invalid_request_error\",\"param\":null,"
                              "\"code\":\"unknown_url\"}}");
    fd = call(&play);
    say(&play, fd, "POST /v1/admin/keys HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{\"a\"}");
    answer = hear(&play, fd);
    expect_status(answer, 405);
    stage_expect_part(answer, "\r\nAllow: GET, HEAD\r\n");
    stage_expect_part(answer, "\"code\":\"method_not_allowed\"");
    say(&play, fd,
        "PATCH /v1/admin/keys/sim/sim-1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
    expect_status(hear(&play, fd), 404);
    say(&play, fd, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status(hear(&play, fd), 200);
    close(fd);
    end(&play);
}

static void refuses_strangers(void **state)
{
    struct play play;
    const char *answer;

    (void)state;
    begin(&play, plain, true);
    answer = ask(&play, "GET /metrics HTTP/1.1\r\nHost: rebound.example:9090\r\n\r\n");
    expect_status(answer, 403);
    stage_expect_part(answer, "\"code\":\"host_not_allowed\"");
    answer = ask(&play, "GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n");
    expect_status(answer, 403);
    stage_expect_part(answer, "\"code\":\"origin_not_allowed\"");
    expect_status(ask(&play, "GET /nothing HTTP/1.1\r\nHost: rebound.example\r\n\r\n"), 403);
    end(&play);
}

static void asks_for_the_token_where_there_is_one(void **state)
{
    struct play play;
    const char *answer;

    (void)state;
    begin(&play, with_token, true);
    answer = ask(&play, "GET /v1/admin/keys HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect_status(answer, 401);
    stage_expect_part(answer, "\r\nWWW-Authenticate: Bearer realm=\"bellwether\"\r\n");
    stage_expect_part(answer, "\"code\":\"admin_token_missing\"");
    answer = ask(&play, "GET /v1/admin/keys HTTP/1.1\r\nHost: localhost\r\n"
                        "Authorization: Bearer hidden-tokem\r\n\r\n");
    expect_status(answer, 401);
    stage_expect_part(answer, "\"code\":\"admin_token_invalid\"");
    stage_expect_no_part(answer, "hidden");
    expect_status(ask(&play, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"), 401);
    expect_status(ask(&play, "POST /metrics HTTP/1.1\r\nHost: a\r\n\r\n"), 401);
    expect_status(ask(&play, "GET /ready HTTP/1.1\r\nHost: gateway.example\r\n\r\n"), 200);
    answer = ask(&play, "GET /v1/admin/keys HTTP/1.1\r\nHost: gateway.example\r\n"
                        "Authorization: Bearer hidden-token\r\n\r\n");
    expect_status(answer, 200);
    stage_expect_part(answer, "\"name\":\"sim-1\"");
    stage_expect_no_part(answer, "hidden");
    end(&play);
}

static void the_token_is_that_of_the_snapshot_in_force(void **state)
{
    static const char request[] = "GET /v1/admin/keys HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct play play;
    struct stage fresh;

    (void)state;
    begin(&play, plain, true);
    stage_begin(&fresh, with_token);
    expect_status(ask(&play, request), 200);
    admin_set_snapshot(play.admin, fresh.view.snapshot);
    expect_status(ask(&play, request), 401);
    admin_set_snapshot(play.admin, play.stage.view.snapshot);
    expect_status(ask(&play, request), 200);
    stage_end(&fresh);
    end(&play);
}

static void refuses_what_is_no_request(void **state)
{
    struct play play;
    const char *answer;
    int fd;

    (void)state;
    begin(&play, plain, false);
    fd = call(&play);
    say(&play, fd, "GET /health HTTP/1.1\r\nHost : x\r\n\r\n");
    answer = hear(&play, fd);
    expect_status(answer, 400);
    stage_expect_part(answer, "\"code\":\"bad_request\"");
    assert_true(is_ended(&play, fd));
    close(fd);
    end(&play);
}

/* --- time-outs and bounds --- */

static void gives_up_slow_and_silent_clients(void **state)
{
    struct play play;
    int slow, silent;

    (void)state;
    begin(&play, plain, false);
    slow = call(&play);
    silent = call(&play);
    say(&play, slow, "GET /health HTT");
    say(&play, silent, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status(hear(&play, silent), 200);
    pass(&play, 9 * US_PER_SEC);
    assert_string_equal(hear(&play, slow), "");
    pass(&play, 2 * US_PER_SEC);
    expect_status(hear(&play, slow), 408);
    assert_true(is_ended(&play, slow));
    pass(&play, 45 * US_PER_SEC);
    assert_false(is_ended(&play, silent));
    pass(&play, 5 * US_PER_SEC);
    assert_true(is_ended(&play, silent));
    close(slow);
    close(silent);
    end(&play);
}

static void serves_so_many_connections_and_the_next_as_one_ends(void **state)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    struct play play;
    int fds[CONNECTIONS], late;

    (void)state;
    begin(&play, plain, false);
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = call(&play);
        say(&play, fds[i], request);
        expect_status(hear(&play, fds[i]), 200);
    }
    late = call(&play);
    say(&play, late, request);
    assert_string_equal(hear(&play, late), "");
    say(&play, fds[7], request);
    expect_status(hear(&play, fds[7]), 200);
    close(fds[7]);
    settle(&play);
    expect_status(hear(&play, late), 200);
    for (int i = 0; i < CONNECTIONS; i++) {
        if (i != 7)
            close(fds[i]);
    }
    close(late);
    end(&play);
}

/* --- long answers --- */

static void begin_with_many_keys(struct play *play)
{
    struct buf yaml;

    buf_init(&yaml, 1 << 20);
    buf_append_span(&yaml, SPAN("providers:\n  sim:\n    kind: compatible\n"
                                "    base_url: http://127.0.0.1:9/v1\n    keys:\n"));
    for (int i = 0; i < MANY_KEYS; i++)
        buf_printf(&yaml, "      - sk-hidden-%d\n", i);
    begin(play, buf_text(&yaml), false);
    buf_fini(&yaml);
}

static void a_long_answer_goes_at_the_clients_pace(void **state)
{
    struct play play;
    const char *body, *length;
    int fd;

    (void)state;
    begin_with_many_keys(&play);
    fd = call(&play);
    say(&play, fd,
        "GET /v1/admin/keys HTTP/1.1\r\nHost: x\r\n\r\n"
        "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    buf_clear(&play.heard);
    for (int i = 0; i < 100; i++) {
        pass(&play, 20 * US_PER_SEC); /* slow, but not stuck */
        read_some(&play, fd);
    }
    stage_expect_part(buf_text(&play.heard), "\"name\":\"sim-3000\"");
    length = strstr(play.heard.data, "Content-Length: ");
    body = strstr(play.heard.data, "\r\n\r\n") + 4;
    assert_non_null(length);
    assert_memory_equal(body + strtoul(length + 16, NULL, 10), "HTTP/1.1 200 ", 13);
    close(fd);
    end(&play);
}

static void a_client_that_takes_nothing_is_cut_off(void **state)
{
    struct play play;
    int fd;

    (void)state;
    begin_with_many_keys(&play);
    fd = call(&play);
    say(&play, fd, "GET /v1/admin/keys HTTP/1.1\r\nHost: x\r\n\r\n");
    pass(&play, 61 * US_PER_SEC);
    buf_clear(&play.heard);
    assert_true(is_ended(&play, fd));
    stage_expect_no_part(buf_text(&play.heard), "\"name\":\"sim-3000\"");
    close(fd);
    end(&play);
}

static void a_client_may_leave_in_the_middle(void **state)
{
    struct play play;
    int fd;

    (void)state;
    begin_with_many_keys(&play);
    fd = call(&play);
    say(&play, fd, "GET /v1/admin/keys HTTP/1.1\r\nHost: x\r\n\r\n");
    close(fd);
    settle(&play);
    expect_status(ask(&play, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
    end(&play);
}

static void it_may_end_in_the_middle(void **state)
{
    struct play play;
    int fd, waiting;

    (void)state;
    begin_with_many_keys(&play);
    fd = call(&play);
    say(&play, fd, "GET /v1/admin/keys HTTP/1.1\r\nHost: x\r\n\r\n");
    waiting = call(&play); /* nobody has accepted it yet */
    end(&play);
    close(fd);
    close(waiting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serves_its_pages_on_one_connection),
        cmocka_unit_test(answers_head_without_a_body),
        cmocka_unit_test(says_when_the_process_is_not_ready),
        cmocka_unit_test(refuses_what_it_does_not_have),
        cmocka_unit_test(refuses_strangers),
        cmocka_unit_test(asks_for_the_token_where_there_is_one),
        cmocka_unit_test(the_token_is_that_of_the_snapshot_in_force),
        cmocka_unit_test(refuses_what_is_no_request),
        cmocka_unit_test(gives_up_slow_and_silent_clients),
        cmocka_unit_test(serves_so_many_connections_and_the_next_as_one_ends),
        cmocka_unit_test(a_long_answer_goes_at_the_clients_pace),
        cmocka_unit_test(a_client_that_takes_nothing_is_cut_off),
        cmocka_unit_test(a_client_may_leave_in_the_middle),
        cmocka_unit_test(it_may_end_in_the_middle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

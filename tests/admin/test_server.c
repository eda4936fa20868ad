/* admin: what the address serves and refuses. */
#include "play.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char plain[] = "providers:\n"
                            "  sim: {kind: compatible, base_url: http://127.0.0.1:9/v1, "
                            "keys: [sk-hidden-1, sk-hidden-2]}\n";
static const char with_token[] = "admin: {token: hidden-token}\n"
                                 "providers:\n"
                                 "  sim: {kind: compatible, base_url: http://127.0.0.1:9/v1, "
                                 "keys: [sk-hidden-1]}\n";

/* --- what is served --- */

static void serves_its_pages_on_one_connection(void **state)
{
    struct play play;
    const char *answer;
    int fd;

    (void)state;
    play_begin(&play, plain, true);
    fd = play_call(&play);
    play_say(&play, fd, "GET /health HTTP/1.1\r\nHost: localhost:9090\r\n\r\n");
    answer = play_hear(&play, fd);
    play_expect_status(answer, 200);
    stage_expect_part(answer, "\r\nContent-Length: 16\r\nContent-Type: application/json\r\n"
                              "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n"
                              "{\"status\":\"ok\"}\n");
    play_say(&play, fd, "GET /v1/admin/keys?x=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    stage_expect_part(play_hear(&play, fd), "\"name\":\"sim-2\"");
    play_say(&play, fd, "GET /v1/admin/stats HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    stage_expect_part(play_hear(&play, fd), "\"total_keys\":2,\"healthy_keys\":0}");
    play_say(&play, fd, "GET /metrics HTTP/1.1\r\nHost: [::1]:9090\r\n\r\n");
    answer = play_hear(&play, fd);
    stage_expect_part(answer, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    stage_expect_part(answer, "\nbellwether_keys_configured{provider=\"sim\"} 2\n");
    close(fd);
    play_end(&play);
}

static void answers_head_without_a_body(void **state)
{
    struct play play;
    const char *answer;
    char *got;

    (void)state;
    play_begin(&play, plain, false);
    got = strdup(play_ask(&play, "GET /v1/admin/keys HTTP/1.1\r\nHost: x\r\n\r\n"));
    answer = play_ask(&play, "HEAD /v1/admin/keys HTTP/1.1\r\nHost: x\r\n\r\n");
    play_expect_status(answer, 200);
    assert_int_equal(strlen(answer), strstr(got, "\r\n\r\n") + 4 - got);
    assert_memory_equal(answer, got, strlen(answer));
    free(got);
    play_end(&play);
}

static void says_when_the_process_is_not_ready(void **state)
{
    struct play play;
    const char *answer;

    (void)state;
    play_begin(&play, plain, false);
    play.stage.view.state.is_ready = false;
    answer = play_ask(&play, "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n");
    play_expect_status(answer, 503);
    stage_expect_part(answer, "\r\nRetry-After: 1\r\n");
    admin_set_snapshot(play.admin, NULL);
    play_expect_status(play_ask(&play, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), 503);
    play_end(&play);
}

/* --- what is refused --- */

static void refuses_what_it_does_not_have(void **state)
{
    struct play play;
    const char *answer;
    int fd;

    (void)state;
    play_begin(&play, plain, false);
    answer = play_ask(&play, "GET /v1/admin/nothing HTTP/1.1\r\nHost: x\r\n\r\n");
    play_expect_status(answer, 404);
    stage_expect_part(answer, "\r\nContent-Type: application/json\r\n");
    stage_expect_part(answer,
                      "{\"error\":{\"message\":\"There is nothing at GET /v1/admin/nothing on ");
    stage_expect_part(answer, "\"type\":\"invalid_request_error\",\"param\":null,"
                              "\"code\":\"unknown_url\"}}");
    fd = play_call(&play);
    play_say(&play, fd,
             "POST /v1/admin/keys HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{\"a\"}");
    answer = play_hear(&play, fd);
    play_expect_status(answer, 405);
    stage_expect_part(answer, "\r\nAllow: GET, HEAD\r\n");
    stage_expect_part(answer, "\"code\":\"method_not_allowed\"");
    play_say(&play, fd,
             "PATCH /v1/admin/stats/sim HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
    play_expect_status(play_hear(&play, fd), 404);
    play_say(&play, fd, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    play_expect_status(play_hear(&play, fd), 200);
    close(fd);
    play_end(&play);
}

static void refuses_strangers(void **state)
{
    struct play play;
    const char *answer;

    (void)state;
    play_begin(&play, plain, true);
    answer = play_ask(&play, "GET /metrics HTTP/1.1\r\nHost: rebound.example:9090\r\n\r\n");
    play_expect_status(answer, 403);
    stage_expect_part(answer, "\"code\":\"host_not_allowed\"");
    answer = play_ask(&play, "GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n");
    play_expect_status(answer, 403);
    stage_expect_part(answer, "\"code\":\"origin_not_allowed\"");
    play_expect_status(play_ask(&play, "GET /nothing HTTP/1.1\r\nHost: rebound.example\r\n\r\n"),
                       403);
    play_end(&play);
}

static void asks_for_the_token_where_there_is_one(void **state)
{
    struct play play;
    const char *answer;

    (void)state;
    play_begin(&play, with_token, true);
    answer = play_ask(&play, "GET /v1/admin/keys HTTP/1.1\r\nHost: localhost\r\n\r\n");
    play_expect_status(answer, 401);
    stage_expect_part(answer, "\r\nWWW-Authenticate: Bearer realm=\"bellwether\"\r\n");
    stage_expect_part(answer, "\"code\":\"admin_token_missing\"");
    answer = play_ask(&play, "GET /v1/admin/keys HTTP/1.1\r\nHost: localhost\r\n"
                             "Authorization: Bearer hidden-tokem\r\n\r\n");
    play_expect_status(answer, 401);
    stage_expect_part(answer, "\"code\":\"admin_token_invalid\"");
    stage_expect_no_part(answer, "hidden");
    play_expect_status(play_ask(&play, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"), 401);
    play_expect_status(play_ask(&play, "POST /metrics HTTP/1.1\r\nHost: a\r\n\r\n"), 401);
    play_expect_status(play_ask(&play, "GET /ready HTTP/1.1\r\nHost: gateway.example\r\n\r\n"),
                       200);
    answer = play_ask(&play, "GET /v1/admin/keys HTTP/1.1\r\nHost: gateway.example\r\n"
                             "Authorization: Bearer hidden-token\r\n\r\n");
    play_expect_status(answer, 200);
    stage_expect_part(answer, "\"name\":\"sim-1\"");
    stage_expect_no_part(answer, "hidden");
    play_end(&play);
}

static void the_token_is_that_of_the_snapshot_in_force(void **state)
{
    static const char request[] = "GET /v1/admin/keys HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct play play;
    struct stage fresh;

    (void)state;
    play_begin(&play, plain, true);
    stage_begin(&fresh, with_token);
    play_expect_status(play_ask(&play, request), 200);
    admin_set_snapshot(play.admin, fresh.view.snapshot);
    play_expect_status(play_ask(&play, request), 401);
    admin_set_snapshot(play.admin, play.stage.view.snapshot);
    play_expect_status(play_ask(&play, request), 200);
    stage_end(&fresh);
    play_end(&play);
}

static void refuses_what_is_no_request(void **state)
{
    struct play play;
    const char *answer;
    int fd;

    (void)state;
    play_begin(&play, plain, false);
    fd = play_call(&play);
    play_say(&play, fd, "GET /health HTTP/1.1\r\nHost : x\r\n\r\n");
    answer = play_hear(&play, fd);
    play_expect_status(answer, 400);
    stage_expect_part(answer, "\"code\":\"bad_request\"");
    assert_true(play_read(&play, fd));
    close(fd);
    play_end(&play);
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* admin: time-outs, the bound of connections, and answers longer than a socket takes. */
#include "play.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* HUGE_KEYS make an answer longer than a connection may keep (CONN_OUT_MAX). */
enum { CONNECTIONS = 64, MANY_KEYS = 3000, HUGE_KEYS = 16000 };

static const char plain[] = "providers:\n"
                            "  sim: {kind: compatible, base_url: http://127.0.0.1:9/v1, "
                            "keys: [sk-hidden-1, sk-hidden-2]}\n";

static void gives_up_slow_and_silent_clients(void **state)
{
    struct play play;
    int slow, silent;

    (void)state;
    play_begin(&play, plain, false);
    slow = play_call(&play);
    silent = play_call(&play);
    play_say(&play, slow, "GET /health HTT");
    play_say(&play, silent, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    play_expect_status(play_hear(&play, silent), 200);
    play_pass(&play, 9 * US_PER_SEC);
    assert_string_equal(play_hear(&play, slow), "");
    play_pass(&play, 2 * US_PER_SEC);
    play_expect_status(play_hear(&play, slow), 408);
    assert_true(play_read(&play, slow));
    play_pass(&play, 45 * US_PER_SEC);
    assert_false(play_read(&play, silent));
    play_pass(&play, 5 * US_PER_SEC);
    assert_true(play_read(&play, silent));
    close(slow);
    close(silent);
    play_end(&play);
}

static void serves_so_many_connections_and_the_next_as_one_ends(void **state)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    struct play play;
    int fds[CONNECTIONS], late;

    (void)state;
    play_begin(&play, plain, false);
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = play_call(&play);
        play_say(&play, fds[i], request);
        play_expect_status(play_hear(&play, fds[i]), 200);
    }
    late = play_call(&play);
    play_say(&play, late, request);
    assert_string_equal(play_hear(&play, late), "");
    play_say(&play, fds[7], request);
    play_expect_status(play_hear(&play, fds[7]), 200);
    close(fds[7]);
    play_settle(&play);
    play_expect_status(play_hear(&play, late), 200);
    for (int i = 0; i < CONNECTIONS; i++) {
        if (i != 7)
            close(fds[i]);
    }
    close(late);
    play_end(&play);
}

/* --- long answers --- */

static void begin_with_keys(struct play *play, int count)
{
    struct buf yaml;

    buf_init(&yaml, 2 << 20);
    buf_append_span(&yaml, SPAN("providers:\n  sim:\n    kind: compatible\n"
                                "    base_url: http://127.0.0.1:9/v1\n    keys:\n"));
    for (int i = 0; i < count; i++)
        buf_printf(&yaml, "      - {name: a-key-of-so-many-%d, secret: sk-hidden-%d}\n", i, i);
    play_begin(play, buf_text(&yaml), false);
    buf_fini(&yaml);
}

static void a_long_answer_goes_at_the_clients_pace(void **state)
{
    struct play play;
    const char *body, *length;
    int fd;

    (void)state;
    begin_with_keys(&play, HUGE_KEYS);
    fd = play_call(&play);
    play_say(&play, fd,
             "GET /v1/admin/keys HTTP/1.1\r\nHost: x\r\n\r\n"
             "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    buf_clear(&play.heard);
    for (int i = 0; i < 100; i++) {
        play_pass(&play, 20 * US_PER_SEC); /* slow, but not stuck */
        play_read(&play, fd);
    }
    stage_expect_part(buf_text(&play.heard), "\"name\":\"a-key-of-so-many-15999\"");
    length = strstr(play.heard.data, "Content-Length: ");
    body = strstr(play.heard.data, "\r\n\r\n") + 4;
    assert_non_null(length);
    assert_memory_equal(body + strtoul(length + 16, NULL, 10), "HTTP/1.1 200 ", 13);
    close(fd);
    play_end(&play);
}

static void a_client_that_takes_nothing_is_cut_off(void **state)
{
    struct play play;
    int fd;

    (void)state;
    begin_with_keys(&play, MANY_KEYS);
    fd = play_call(&play);
    play_say(&play, fd, "GET /v1/admin/keys HTTP/1.1\r\nHost: x\r\n\r\n");
    play_pass(&play, 61 * US_PER_SEC);
    buf_clear(&play.heard);
    assert_true(play_read(&play, fd));
    stage_expect_no_part(buf_text(&play.heard), "\"name\":\"a-key-of-so-many-2999\"");
    close(fd);
    play_end(&play);
}

static void a_client_may_leave_in_the_middle(void **state)
{
    struct play play;
    int fd;

    (void)state;
    begin_with_keys(&play, MANY_KEYS);
    fd = play_call(&play);
    play_say(&play, fd, "GET /v1/admin/keys HTTP/1.1\r\nHost: x\r\n\r\n");
    close(fd);
    play_settle(&play);
    play_expect_status(play_ask(&play, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
    play_end(&play);
}

static void it_may_end_in_the_middle(void **state)
{
    struct play play;
    int fd, waiting;

    (void)state;
    begin_with_keys(&play, MANY_KEYS);
    fd = play_call(&play);
    play_say(&play, fd, "GET /v1/admin/keys HTTP/1.1\r\nHost: x\r\n\r\n");
    waiting = play_call(&play); /* nobody has accepted it yet */
    play_end(&play);
    close(fd);
    close(waiting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_up_slow_and_silent_clients),
        cmocka_unit_test(serves_so_many_connections_and_the_next_as_one_ends),
        cmocka_unit_test(a_long_answer_goes_at_the_clients_pace),
        cmocka_unit_test(a_client_that_takes_nothing_is_cut_off),
        cmocka_unit_test(a_client_may_leave_in_the_middle),
        cmocka_unit_test(it_may_end_in_the_middle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

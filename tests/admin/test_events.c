/* The stream of events, byte by byte: frames, resumption, pings, readers that are slow or leave,
 * and the end. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "alerts/journal.h"
#include "base/clock.h"
#include "play.h"

static const char plain[] =
    "providers: {sim: {kind: compatible, base_url: 'http://127.0.0.1:9/v1',\n"
    "  keys: [sk-TOPSECRET-1]}}\n";

#define ASK "GET /v1/admin/events%s HTTP/1.1\r\nHost: x\r\n%s\r\n"

static int open_stream(struct play *play, const char *query, const char *fields)
{
    int fd = play_call(play);
    char text[512];

    snprintf(text, sizeof(text), ASK, query, fields);
    play_say(play, fd, text);
    return fd;
}

static void note(struct play *play, const char *provider, const char *key, const char *reason)
{
    const struct happening happening = {.kind = EVENT_KEY_STATE,
                                        .provider = span_from_text(provider),
                                        .key = span_from_text(key),
                                        .state = SPAN("cooling"),
                                        .reason = span_from_text(reason),
                                        .wall_us = STAGE_WALL_US};

    journal_note(play->stage.registry.journal, &happening);
}

static void frames(void **state)
{
    struct play play;
    const char *answer;
    char expected[512];
    int fd;

    (void)state;
    play_begin(&play, plain, false);
    note(&play, "sim", "before", "");
    fd = open_stream(&play, "", "");
    answer = play_hear(&play, fd);
    play_expect_status(answer, 200);
    stage_expect_part(answer, "\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n");
    stage_expect_part(answer, "\r\nTransfer-Encoding: chunked\r\n");
    assert_null(strstr(answer, "before"));
    note(&play, "sim", "k1", "a \"quoted\"\nreason");
    admin_tell_events(play.admin);
    answer = play_hear(&play, fd);
    snprintf(expected, sizeof(expected), "event: key_state\nid: %llu\ndata: {\"id\":%llu,\"at\":\"",
             (unsigned long long)STAGE_WALL_US + 2, (unsigned long long)STAGE_WALL_US + 2);
    stage_expect_part(answer, expected);
    stage_expect_part(answer, "\"provider\":\"sim\",\"key\":\"k1\",\"state\":\"cooling\","
                              "\"reason\":\"a \\\"quoted\\\" reason\"}\n\n");
    close(fd);
    play_settle(&play);
    note(&play, "sim", "k1", "");
    admin_tell_events(play.admin); /* nobody is there any more */
    play_end(&play);
}

static void resumes(void **state)
{
    struct play play;
    const char *answer;
    char field[64];
    int fd;

    (void)state;
    play_begin(&play, plain, false);
    note(&play, "sim", "one", "");
    note(&play, "other", "two", "");
    note(&play, "sim", "three", "");
    snprintf(field, sizeof(field), "Last-Event-ID: %llu\r\n",
             (unsigned long long)STAGE_WALL_US + 1);
    fd = open_stream(&play, "?provider=sim", field);
    answer = play_hear(&play, fd);
    assert_null(strstr(answer, "one"));
    assert_null(strstr(answer, "two"));
    stage_expect_part(answer, "three");
    assert_null(strstr(answer, "missed"));
    close(fd);
    fd = open_stream(&play, "?after=12", "");
    answer = play_hear(&play, fd);
    stage_expect_part(answer, "event: missed\ndata: {\"count\":null}\n\nevent: key_state\n");
    stage_expect_part(answer, "one");
    close(fd);
    fd = open_stream(&play, "", "Last-Event-ID: nonsense\r\n");
    assert_null(strstr(play_hear(&play, fd), "event:"));
    close(fd);
    play_end(&play);
}

static void pings(void **state)
{
    struct play play;
    int fd;

    (void)state;
    play_begin(&play, plain, false);
    fd = open_stream(&play, "", "");
    play_hear(&play, fd);
    play_pass(&play, 14 * US_PER_SEC);
    assert_string_equal(play_hear(&play, fd), "");
    play_pass(&play, 2 * US_PER_SEC);
    stage_expect_part(play_hear(&play, fd), ": ping\n\n");
    /* For hours: no time-out of the connection ends it. */
    play_pass(&play, 3600 * US_PER_SEC);
    stage_expect_part(play_hear(&play, fd), ": ping\n\n");
    note(&play, "sim", "late", "");
    admin_tell_events(play.admin);
    stage_expect_part(play_hear(&play, fd), "late");
    close(fd);
    play_end(&play);
}

/* It reads nothing while far more happens than is kept; then it is told how much it has missed, and
 * the last. */
static void who_is_slow_is_told_so(void **state)
{
    struct play play;
    char reason[200];
    const char *missed;
    uint64_t count = 0, told = 0;
    int fd;

    (void)state;
    play_begin(&play, plain, false);
    memset(reason, 'r', sizeof(reason) - 1);
    reason[sizeof(reason) - 1] = '\0';
    fd = open_stream(&play, "", "");
    play_hear(&play, fd);
    for (int i = 0; i < 200 * STAGE_EVENTS; i++) {
        note(&play, "sim", "k1", reason);
        if (i % (STAGE_EVENTS / 2) == 0) {
            admin_tell_events(play.admin);
            play_settle(&play);
        }
    }
    note(&play, "sim", "the-last", "");
    admin_tell_events(play.admin);
    buf_clear(&play.heard);
    while (!strstr(buf_text(&play.heard), "the-last")) {
        assert_false(play_read(&play, fd));
        play_settle(&play);
    }
    missed = strstr(buf_text(&play.heard), "event: missed\ndata: {\"count\":");
    assert_non_null(missed);
    assert_int_equal(sscanf(missed, "event: missed\ndata: {\"count\":%llu}",
                            (unsigned long long *)(void *)&count),
                     1);
    for (const char *at = buf_text(&play.heard); (at = strstr(at, "event: key_state")); at++)
        told++;
    assert_int_equal(count + told, 200 * STAGE_EVENTS + 1);
    close(fd);
    play_end(&play);
}

/* One that never reads again is cut off. */
static void who_takes_nothing_is_cut(void **state)
{
    struct play play;
    int fd;

    (void)state;
    play_begin(&play, plain, false);
    fd = open_stream(&play, "", "");
    for (int i = 0; i < 100 * STAGE_EVENTS; i++) {
        note(&play, "sim", "k1", "a reason that is some words long, so that a buffer fills");
        if (i % (STAGE_EVENTS / 2) == 0) {
            admin_tell_events(play.admin);
            play_settle(&play);
        }
    }
    play_pass(&play, 120 * US_PER_SEC);
    while (!play_read(&play, fd))
        play_settle(&play);
    close(fd);
    play_end(&play);
}

static void no_more_than_so_many(void **state)
{
    int fds[16];
    struct play play;
    const char *answer;

    (void)state;
    play_begin(&play, plain, false);
    for (size_t i = 0; i < 16; i++)
        fds[i] = open_stream(&play, "", "");
    answer = play_ask(&play, "GET /v1/admin/events HTTP/1.1\r\nHost: x\r\n\r\n");
    play_expect_status(answer, 503);
    stage_expect_part(answer, "\"code\":\"too_many_streams\"");
    stage_expect_part(answer, "\r\nRetry-After: 1\r\n");
    close(fds[3]);
    play_settle(&play);
    fds[3] = open_stream(&play, "", "");
    play_expect_status(play_hear(&play, fds[3]), 200);
    for (size_t i = 0; i < 16; i++)
        close(fds[i]);
    play_end(&play);
}

static void head_and_old_clients(void **state)
{
    struct play play;
    const char *answer;
    int fd;

    (void)state;
    play_begin(&play, plain, false);
    answer = play_ask(&play, "HEAD /v1/admin/events HTTP/1.1\r\nHost: x\r\n\r\n");
    play_expect_status(answer, 200);
    assert_null(strstr(answer, "events of"));
    answer = play_ask(&play, "DELETE /v1/admin/events HTTP/1.1\r\nHost: x\r\n\r\n");
    play_expect_status(answer, 405);
    stage_expect_part(answer, "\r\nAllow: GET, HEAD\r\n");
    /* Without chunks, until the connection ends. */
    fd = play_call(&play);
    play_say(&play, fd, "GET /v1/admin/events HTTP/1.0\r\nHost: x\r\n\r\n");
    note(&play, "sim", "k1", "");
    admin_tell_events(play.admin);
    answer = play_hear(&play, fd);
    assert_null(strstr(answer, "chunked"));
    stage_expect_part(answer, "\n\nevent: key_state\n");
    close(fd);
    play_end(&play);
}

#define TOLD "Authorization: Bearer %s\r\n"

static void configure(struct play *play, const char *token, char yaml[512])
{
    snprintf(yaml, 512, token[0] ? "%sadmin: {token: %s}\n" : "%s", plain, token);
    if (play->admin)
        play_reload(play, yaml);
    else
        play_begin(play, yaml, false);
}

static int open_with(struct play *play, const char *token)
{
    char fields[128] = "";
    int fd;

    if (token[0])
        snprintf(fields, sizeof(fields), TOLD, token);
    fd = open_stream(play, "", fields);
    play_expect_status(play_hear(play, fd), 200);
    return fd;
}

/* Whoever asked with a token that is no longer the token reads no further. */
static void another_token_ends_them(void **state)
{
    static const char *const moves[][2] = {{"old", "new"}, {"old", ""}, {"", "new"}};
    struct play play;
    char yaml[512];

    (void)state;
    for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
        int fd;

        memset(&play, 0, sizeof(play));
        configure(&play, moves[i][0], yaml);
        fd = open_with(&play, moves[i][0]);
        configure(&play, moves[i][1], yaml);
        note(&play, "sim", "after", "");
        admin_tell_events(play.admin);
        assert_string_equal(play_hear(&play, fd), "0\r\n\r\n");
        close(fd);
        fd = open_with(&play, moves[i][1]);
        note(&play, "sim", "after", "");
        admin_tell_events(play.admin);
        stage_expect_part(play_hear(&play, fd), "after");
        close(fd);
        play_end(&play);
    }
}

static void the_same_token_goes_on(void **state)
{
    struct play play = {0};
    char yaml[512];
    int fd;

    (void)state;
    configure(&play, "same", yaml);
    fd = open_with(&play, "same");
    configure(&play, "same", yaml);
    note(&play, "sim", "after", "");
    admin_tell_events(play.admin);
    stage_expect_part(play_hear(&play, fd), "after");
    close(fd);
    play_end(&play);
}

/* All that there is to tell, then the last chunk; nobody begins anew. */
static void the_end(void **state)
{
    struct play play;
    const char *answer;
    int fd;

    (void)state;
    play_begin(&play, plain, false);
    fd = open_stream(&play, "", "");
    play_hear(&play, fd);
    note(&play, "sim", "the-last", "");
    admin_end_events(play.admin);
    answer = play_hear(&play, fd);
    stage_expect_part(answer, "the-last");
    stage_expect_part(answer, "\r\n0\r\n\r\n");
    close(fd);
    answer = play_ask(&play, "GET /v1/admin/events HTTP/1.1\r\nHost: x\r\n\r\n");
    play_expect_status(answer, 503);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames),
        cmocka_unit_test(resumes),
        cmocka_unit_test(pings),
        cmocka_unit_test(who_is_slow_is_told_so),
        cmocka_unit_test(who_takes_nothing_is_cut),
        cmocka_unit_test(no_more_than_so_many),
        cmocka_unit_test(head_and_old_clients),
        cmocka_unit_test(another_token_ends_them),
        cmocka_unit_test(the_same_token_goes_on),
        cmocka_unit_test(the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* admin: what an operator may want of a key, and what is no order. */
#include "play.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char two[] = "providers:\n"
                          "  up: {kind: compatible, base_url: http://127.0.0.1:9/v1, keys: [\n"
                          "    {name: a, secret: sk-hidden-1, weight: 3},\n"
                          "    {name: b, secret: sk-hidden-2}]}\n";

static const char *order(struct play *play, const char *line, const char *body)
{
    static char request[8192];

    snprintf(request, sizeof(request),
             "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
             line, strlen(body), body);
    return play_ask(play, request);
}

static void expect(struct play *play, const char *line, const char *body, int status,
                   const char *part)
{
    const char *answer = order(play, line, body);

    play_expect_status(answer, status);
    stage_expect_part(answer, part);
    stage_expect_no_part(answer, "hidden");
}

static void wishes(void **state)
{
    struct play play;

    (void)state;
    play_begin(&play, two, true);
    expect(&play, "POST /v1/admin/keys/up/a/drain", "", 202,
           "{\"provider\":\"up\",\"name\":\"a\",\"wish\":\"drained\",\"weight\":3}\n");
    assert_int_equal(play.effects, 1);
    expect(&play, "GET /v1/admin/keys", "", 200,
           "\"name\":\"a\",\"account\":null,\"wish\":\"drained\"");
    expect(&play, "POST /v1/admin/keys/up/a/disable", "{}", 202, "\"wish\":\"disabled\"");
    expect(&play, "POST /v1/admin/keys/up/a/enable", "{}", 202, "\"wish\":\"enabled\"");
    assert_true(play.wakes > 0); /* who waited for a key may go on */
    expect(&play, "GET /v1/admin/keys", "", 200,
           "\"name\":\"b\",\"account\":null,\"wish\":\"enabled\"");
    play_end(&play);
}

static void weights(void **state)
{
    struct play play;

    (void)state;
    play_begin(&play, two, true);
    expect(&play, "PATCH /v1/admin/keys/up/b", "{\"weight\": 2.5}", 202, "\"weight\":2.5}");
    expect(&play, "PATCH /v1/admin/keys/up/b", "{\"weight\": 0}", 202, "\"weight\":0}");
    expect(&play, "PATCH /v1/admin/keys/up/b", "{\"weight\": 1e6}", 202, "\"weight\":1000000}");
    expect(&play, "PATCH /v1/admin/keys/up/b", "{\"weight\": 0.001}", 202, "\"weight\":0.001}");
    play_end(&play);
}

static void no_orders(void **state)
{
    static const struct {
        const char *line, *body;
        int status;
        const char *part;
    } cases[] = {
        {"PATCH /v1/admin/keys/up/b", "", 400, "invalid_order"},
        {"PATCH /v1/admin/keys/up/b", "nonsense", 400, "invalid_order"},
        {"PATCH /v1/admin/keys/up/b", "[1]", 400, "invalid_order"},
        {"PATCH /v1/admin/keys/up/b", "{\"weight\": -1}", 400, "invalid_order"},
        {"PATCH /v1/admin/keys/up/b", "{\"weight\": 1e7}", 400, "invalid_order"},
        {"PATCH /v1/admin/keys/up/b", "{\"weight\": 0.0001}", 400, "invalid_order"},
        {"PATCH /v1/admin/keys/up/b", "{\"weight\": \"2\"}", 400, "invalid_order"},
        {"PATCH /v1/admin/keys/up/b", "{}", 400, "'weight' is missing"},
        {"POST /v1/admin/keys/up/b/drain", "[]", 400, "invalid_order"},
        {"POST /v1/admin/keys/up/b/rotate", "{\"leaked\": \"true\"}", 400, "'rotate' takes"},
        {"POST /v1/admin/keys/up/b/rotate", "{\"leak\": true}", 400, "'rotate' takes"},
        {"POST /v1/admin/keys/up/b/rotate", "{\"leaked\": false}", 409, "rotation_not_configured"},
        {"POST /v1/config/revert", "{\"provider\": \"up\"}", 400, "'percentage'"},
        {"POST /v1/admin/keys/up/c/drain", "", 404, "key_not_found"},
        {"POST /v1/admin/keys/down/a/drain", "", 404, "key_not_found"},
        {"POST /v1/admin/keys//a/drain", "", 404, "key_not_found"},
        {"POST /v1/admin/keys/up//drain", "", 404, "key_not_found"},
        {"POST /v1/admin/keys/up/a/melt", "", 404, "unknown_url"},
        {"POST /v1/admin/keys/up/a/drain/", "", 404, "unknown_url"},
        {"POST /v1/admin/keys/up/a/drain/now", "", 404, "unknown_url"},
        {"GET /v1/admin/keys/up/a", "", 405, "\r\nAllow: PATCH\r\n"},
        {"GET /v1/admin/keys/up/a/drain", "", 405, "\r\nAllow: POST\r\n"},
    };
    struct play play;

    (void)state;
    play_begin(&play, two, true);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect(&play, cases[i].line, cases[i].body, cases[i].status, cases[i].part);
    assert_int_equal(play.effects, 0);
    play_end(&play);
}

static void too_large(void **state)
{
    static char body[6000];
    struct play play;

    (void)state;
    memset(body, ' ', sizeof(body) - 1);
    play_begin(&play, two, true);
    expect(&play, "POST /v1/admin/keys/up/a/drain", body, 413, "order_too_large");
    assert_int_equal(play.effects, 0);
    play_end(&play);
}

/* A page in a browser of the same machine, and whoever has no token. */
static void who_may_not(void **state)
{
    static const char closed[] = "admin: {token: hidden-token}\n"
                                 "providers:\n"
                                 "  up: {kind: compatible, base_url: http://127.0.0.1:9/v1, "
                                 "keys: [sk-hidden-1]}\n";
    struct play play;

    (void)state;
    play_begin(&play, two, true);
    play_expect_status(play_ask(&play,
                                "POST /v1/admin/keys/up/a/drain HTTP/1.1\r\nHost: localhost\r\n"
                                "Origin: http://localhost\r\nContent-Length: 0\r\n\r\n"),
                       403);
    play_end(&play);
    play_begin(&play, closed, true);
    play_expect_status(play_ask(&play, "POST /v1/admin/keys/up/up-1/drain HTTP/1.1\r\nHost: x\r\n"
                                       "Content-Length: 0\r\n\r\n"),
                       401);
    assert_int_equal(play.effects, 0);
    play_expect_status(play_ask(&play, "POST /v1/admin/keys/up/up-1/drain HTTP/1.1\r\nHost: x\r\n"
                                       "Authorization: Bearer hidden-token\r\n"
                                       "Content-Length: 0\r\n\r\n"),
                       202);
    assert_int_equal(play.effects, 1);
    play_end(&play);
}

/* Its body never comes, or breaks off: nothing was ordered. */
static void unfinished(void **state)
{
    struct play play;
    int fd;

    (void)state;
    play_begin(&play, two, true);
    fd = play_call(&play);
    play_say(&play, fd,
             "PATCH /v1/admin/keys/up/b HTTP/1.1\r\nHost: localhost\r\n"
             "Content-Length: 20\r\n\r\n{\"weight\"");
    close(fd);
    play_settle(&play);
    fd = play_call(&play);
    play_say(&play, fd,
             "PATCH /v1/admin/keys/up/b HTTP/1.1\r\nHost: localhost\r\n"
             "Content-Length: 20\r\n\r\n{\"weight\"");
    play_pass(&play, 60 * US_PER_SEC);
    play_expect_status(play_hear(&play, fd), 408);
    close(fd);
    assert_int_equal(play.effects, 0);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wishes),    cmocka_unit_test(weights),     cmocka_unit_test(no_orders),
        cmocka_unit_test(too_large), cmocka_unit_test(who_may_not), cmocka_unit_test(unfinished),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The simulated provider's own key API, on virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "play.h"

#define ADMIN "sk-sim-admin"

/* Any method with an administrator's key; the answer's status, and its body in *reply. */
static int ask(struct play *play, const char *method, const char *path, const char *key,
               const char *body, struct reply *reply)
{
    struct caller caller;
    char request[2048];

    snprintf(request, sizeof(request),
             "%s %s HTTP/1.1\r\nHost: sim\r\nAuthorization: Bearer %s\r\nContent-Length: "
             "%zu\r\n\r\n%s",
             method, path, key, strlen(body), body);
    caller_open(&caller, play);
    caller_send(&caller, request);
    caller_finish(&caller, 60 * SECOND, reply);
    return reply->status;
}

/* The text of a member of the answer: its first. */
static void member(const struct reply *reply, const char *name, char *out, size_t size)
{
    char body[4096], start[64], *from;

    snprintf(body, sizeof(body), "%.*s", (int)reply->body.len, reply->body.data);
    snprintf(start, sizeof(start), "\"%s\":\"", name);
    from = strstr(body, start);
    if (!from)
        fail_msg("no %s in %s", name, body);
    from += strlen(start);
    snprintf(out, size, "%.*s", (int)strcspn(from, "\""), from);
}

static void make(struct play *play, const char *body, char *key, size_t key_size, char *id,
                 size_t id_size)
{
    struct reply reply;

    assert_int_equal(ask(play, "POST", "/v1/keys", ADMIN, body, &reply), 201);
    member(&reply, "api_key", key, key_size);
    member(&reply, "key_id", id, id_size);
    reply_free(&reply);
}

static void expect(struct play *play, const char *method, const char *path, const char *body,
                   int status, const char *wanted)
{
    struct reply reply;

    if (ask(play, method, path, ADMIN, body, &reply) != status || !reply_has(&reply, wanted))
        fail_msg("%s %s: %d %.*s", method, path, reply.status, (int)reply.body.len,
                 reply.body.data);
    reply_free(&reply);
}

static void made_used_and_revoked(void **state)
{
    struct play play;
    char key[64], id[64], path[128];

    (void)state;
    play_begin(&play, "unknown_keys: refuse");
    make(&play, "{\"name\":\"auto-1\"}", key, sizeof(key), id, sizeof(id));
    assert_int_equal(play_ask(&play, key), 200);
    expect(&play, "GET", "/v1/keys", "", 200, "\"name\":\"auto-1\"");
    expect(&play, "GET", "/sim/issuer", "", 200,
           "{\"issued\":1,\"revoked\":0,\"revoked_requests\":0}");
    snprintf(path, sizeof(path), "/v1/keys/%s", id);
    expect(&play, "DELETE", path, "", 200, "{\"deleted\":true}");
    expect(&play, "DELETE", path, "", 404, "there is no such key");
    expect(&play, "GET", "/v1/keys", "", 200, "{\"keys\":[],\"next\":null}");
    assert_int_equal(play_ask(&play, key), 401);
    assert_int_equal(play_ask(&play, key), 401);
    expect(&play, "GET", "/sim/issuer", "", 200,
           "{\"issued\":1,\"revoked\":1,\"revoked_requests\":2}");
    expect(&play, "GET", "/sim/stats", "", 200, "\"revoked_requests\":2");
    play_end(&play);
}

static void its_limit_and_its_days(void **state)
{
    struct play play;
    char key[64], id[64];

    (void)state;
    play_begin(&play, "");
    make(&play, "{\"name\":\"n\",\"expires_in_days\":30,\"rate_limit\":2}", key, sizeof(key), id,
         sizeof(id));
    assert_int_equal(play_ask(&play, key), 200);
    assert_int_equal(play_ask(&play, key), 200);
    assert_int_equal(play_ask(&play, key), 429);
    play_wait(&play, 30 * 86400 * SECOND - 3600 * SECOND);
    assert_int_equal(play_ask(&play, key), 200);
    play_wait(&play, 3600 * SECOND);
    assert_int_equal(play_ask(&play, key), 401);
    expect(&play, "GET", "/sim/issuer", "", 200, "\"revoked_requests\":0");
    play_end(&play);
}

/* It takes a while until a new key is known everywhere. */
static void known_after_a_while(void **state)
{
    struct play play;
    char key[64], id[64];

    (void)state;
    play_begin(&play, "issuer: {known_after: 5s, new_keys: {state: unpaid}}");
    make(&play, "{\"name\":\"n\"}", key, sizeof(key), id, sizeof(id));
    assert_int_equal(play_ask(&play, key), 401);
    play_wait(&play, 5 * SECOND);
    assert_int_equal(play_ask(&play, key), 402);
    play_end(&play);
}

static void lists_have_pages(void **state)
{
    struct play play;
    char key[64], id[64];

    (void)state;
    play_begin(&play, "");
    for (int i = 0; i < 5; i++)
        make(&play, "{\"name\":\"n\"}", key, sizeof(key), id, sizeof(id));
    expect(&play, "DELETE", "/v1/keys/key_2", "", 200, "");
    expect(&play, "GET", "/v1/keys?limit=2", "", 200, "\"next\":\"key_3\"");
    expect(&play, "GET", "/v1/keys?limit=2&after=key_3", "", 200, "\"next\":null");
    expect(&play, "GET", "/v1/keys?after=key%5F4", "", 200, "{\"keys\":[{\"key_id\":\"key_5\"");
    expect(&play, "GET", "/v1/keys?after=nothing", "", 200, "{\"keys\":[],\"next\":null}");
    play_end(&play);
}

static void what_it_refuses(void **state)
{
    struct play play;
    struct reply reply;

    (void)state;
    play_begin(&play, "issuer: {admin_key: sk-boss}");
    assert_int_equal(ask(&play, "POST", "/v1/keys", ADMIN, "{\"name\":\"n\"}", &reply), 401);
    reply_free(&reply);
    assert_int_equal(ask(&play, "POST", "/v1/keys", "sk-boss", "{\"name\":\"n\"}", &reply), 201);
    reply_free(&reply);
    play_end(&play);
    play_begin(&play, "");
    expect(&play, "POST", "/v1/keys", "", 400, "a JSON object is wanted");
    expect(&play, "POST", "/v1/keys", "{}", 400, "name: a text");
    expect(&play, "POST", "/v1/keys", "{\"name\":\"n\",\"expires_in_days\":0}", 400,
           "expires_in_days");
    expect(&play, "POST", "/v1/keys", "{\"name\":\"n\",\"rate_limit\":\"many\"}", 400,
           "rate_limit");
    expect(&play, "PUT", "/v1/keys", "", 405, "there are POST");
    expect(&play, "DELETE", "/v1/keys/", "", 405, "there are POST");
    expect(&play, "GET", "/v1/keys?limit=0", "", 400, "limit");
    expect(&play, "GET", "/v1/keysomething", "", 404, "");
    expect(&play, "GET", "/sim/issuer", "", 200, "\"issued\":0");
    play_end(&play);
}

static void faults(void **state)
{
    static const struct {
        const char *fault;
        int status; /* 0: no answer */
        int made;
        const char *wanted;
    } cases[] = {
        {"lost", 0, 1, ""},   {"cut", 0, 1, ""},     {"late", 500, 1, ""},
        {"busy", 503, 0, ""}, {"limit", 429, 0, ""}, {"empty", 201, 1, "\"api_key\":\"\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct play play;
        char rules[64], stats[64];

        snprintf(rules, sizeof(rules), "{fault: %s, first: 1}", cases[i].fault);
        snprintf(stats, sizeof(stats), "\"issued\":%d", cases[i].made);
        play_begin(&play, "");
        expect(&play, "POST", "/sim/issuer", rules, 200, "\"ok\":true");
        expect(&play, "POST", "/v1/keys", "{\"name\":\"n\"}", cases[i].status, cases[i].wanted);
        expect(&play, "GET", "/sim/issuer", "", 200, stats);
        /* Only the first is befallen. */
        expect(&play, "POST", "/v1/keys", "{\"name\":\"n\"}", 201, "sk-issued-");
        play_end(&play);
    }
}

/* How new keys behave can be changed while it runs; the old ones stay. */
static void rules_change_while_it_runs(void **state)
{
    struct play play;
    char first[64], second[64], id[64];

    (void)state;
    play_begin(&play, "issuer: {new_keys: {state: unpaid}}");
    make(&play, "{\"name\":\"n\"}", first, sizeof(first), id, sizeof(id));
    expect(&play, "POST", "/sim/issuer", "new_keys: {state: forbidden}", 200, "\"ok\":true");
    expect(&play, "POST", "/sim/issuer", "fault: sleepy", 400, "issuer:1:8: 'sleepy' is none of");
    make(&play, "{\"name\":\"n\"}", second, sizeof(second), id, sizeof(id));
    assert_int_equal(play_ask(&play, first), 402);
    assert_int_equal(play_ask(&play, second), 403);
    expect(&play, "POST", "/sim/reset", "", 200, "\"ok\":true");
    expect(&play, "GET", "/v1/keys", "", 200, "{\"keys\":[],\"next\":null}");
    make(&play, "{\"name\":\"n\"}", second, sizeof(second), id, sizeof(id));
    /* The same seed makes the same keys. */
    assert_string_equal(first, second);
    assert_int_equal(play_ask(&play, second), 402);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_used_and_revoked),
        cmocka_unit_test(its_limit_and_its_days),
        cmocka_unit_test(known_after_a_while),
        cmocka_unit_test(lists_have_pages),
        cmocka_unit_test(what_it_refuses),
        cmocka_unit_test(faults),
        cmocka_unit_test(rules_change_while_it_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tokens through libcurl and real sockets, from a server on this machine. The loop's time is
 * virtual: a day between two renewals costs nothing. It creeps while the server is asked, which
 * needs the world's time. */
#include "issuer.h"
#include "vault.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "secrets/token_source.h"

#define START (1000 * US_PER_SEC)
#define OK    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

struct stage {
    struct issuer issuer;
    struct loop *loop;
    struct fetcher *fetcher;
    struct secret_arena *secrets;
    struct credential credential;
    char url[64];
    struct token_source *source;
    /* What was told. */
    int tokens, failures, news;
    char token[64], why[256];
    uint64_t until_us, told_us;
};

static void on_token(void *owner, const struct secret *token, uint64_t until_us, bool is_news)
{
    struct stage *stage = owner;
    struct span text = secret_reveal(token);

    stage->tokens++;
    stage->news += is_news;
    stage->until_us = until_us;
    stage->told_us = loop_now_us(stage->loop);
    snprintf(stage->token, sizeof(stage->token), "%.*s", SPAN_ARG(text));
}

static void on_failure(void *owner, const char *why, bool is_news)
{
    struct stage *stage = owner;

    stage->failures++;
    stage->news += is_news;
    snprintf(stage->why, sizeof(stage->why), "%s", why);
}

static const struct token_source_ops ops = {.on_token = on_token, .on_failure = on_failure};

static int start_source(struct stage *stage)
{
    struct token_source_options options = {.loop = stage->loop,
                                           .fetcher = stage->fetcher,
                                           .secrets = stage->secrets,
                                           .credential = &stage->credential,
                                           .ops = &ops};

    stage->source = token_source_new(&options);
    if (!stage->source)
        return ERR_NOMEM;
    token_source_start(stage->source, stage);
    return 0;
}

static void open_stage(struct stage *stage, const char *const *script)
{
    memset(stage, 0, sizeof(*stage));
    issuer_open(&stage->issuer, script);
    stage->loop = loop_new_virtual(START);
    assert_non_null(stage->loop);
    stage->secrets = vault_open();
    stage->fetcher = fetcher_new(stage->loop);
    assert_non_null(stage->fetcher);
    snprintf(stage->url, sizeof(stage->url), "http://127.0.0.1:%u", stage->issuer.port);
    stage->credential = (struct credential){
        .kind = CREDENTIAL_AZURE_ENTRA,
        .url = span_from_text(stage->url),
        .tenant = SPAN("t"),
        .client_id = SPAN("c"),
        .scope = SPAN("s"),
    };
    stage->credential.secret = vault_keep(stage->secrets, SPAN("the-secret"));
}

static void close_stage(struct stage *stage)
{
    token_source_free(&stage->source);
    fetcher_free(&stage->fetcher);
    loop_free(&stage->loop);
    secret_unref(&stage->credential.secret);
    secret_arena_free(&stage->secrets);
    issuer_close(&stage->issuer);
}

/* A jump to what comes next, or a millisecond while an answer is on its way. */
static void play(struct stage *stage)
{
    bool is_idle = fetcher_is_idle(stage->fetcher);

    if (!is_idle)
        usleep(100);
    assert_int_equal(loop_turn(stage->loop, is_idle ? 86400 * US_PER_SEC : US_PER_MS), 0);
}

static void play_until(struct stage *stage, const int *counter, int least)
{
    uint64_t give_up_us = clock_now_us() + 60 * US_PER_SEC;

    while (*counter < least) {
        play(stage);
        if (clock_now_us() > give_up_us)
            fail_msg("it does not come to pass: %d tokens, %d failures, %s", stage->tokens,
                     stage->failures, stage->why);
    }
}

static void one_token(void **state)
{
    static const char *const script[] = {
        OK "Content-Length: 42\r\n\r\n{\"access_token\":\"t-1\",\"expires_in\":\"3600\"}", NULL};
    struct stage stage;

    (void)state;
    open_stage(&stage, script);
    assert_int_equal(start_source(&stage), 0);
    play_until(&stage, &stage.tokens, 1);
    assert_string_equal(stage.token, "t-1");
    assert_int_equal(stage.news, 1);
    assert_true(stage.until_us == START + 3590 * US_PER_SEC);
    assert_non_null(strstr(stage.issuer.request, "POST /t/oauth2/v2.0/token HTTP/1.1\r\n"));
    assert_non_null(strstr(stage.issuer.request, "User-Agent: bellwether/"));
    assert_non_null(
        strstr(stage.issuer.request, "Content-Type: application/x-www-form-urlencoded\r\n"));
    assert_non_null(strstr(stage.issuer.request,
                           "\r\n\r\ngrant_type=client_credentials&client_id=c&scope=s&"
                           "client_secret=the-secret"));
    close_stage(&stage);
}

/* Weeks on end: each before the last one's time is up. */
static void renewed_for_weeks(void **state)
{
    static const char *const script[] = {
        OK "Connection: close\r\n\r\n{\"access_token\":\"t\",\"expires_in\":86400}", NULL};
    struct stage stage;

    (void)state;
    open_stage(&stage, script);
    stage.issuer.is_slow = true;
    assert_int_equal(start_source(&stage), 0);
    play_until(&stage, &stage.tokens, 1);
    for (int i = 2; i < 30; i++) {
        uint64_t until_us = stage.until_us;

        play_until(&stage, &stage.tokens, i);
        assert_true(stage.told_us < until_us);
        assert_true(stage.until_us > until_us);
    }
    assert_int_equal(stage.news, 1);
    assert_int_equal(stage.failures, 0);
    close_stage(&stage);
}

static void failures_are_news_once(void **state)
{
    static const char refused[] = "HTTP/1.1 401 No\r\nContent-Length: 26\r\n\r\n"
                                  "{\"error\":\"invalid_client\"}";
    static const char *const script[] = {
        refused,
        refused,
        refused,
        "",
        OK "Connection: close\r\n\r\n{\"access_token\":\"t\",\"expires_in\":3600}",
        NULL};
    struct stage stage;

    (void)state;
    open_stage(&stage, script);
    assert_int_equal(start_source(&stage), 0);
    play_until(&stage, &stage.failures, 3);
    assert_string_equal(stage.why, "HTTP 401: invalid_client");
    assert_int_equal(stage.news, 1);
    play_until(&stage, &stage.failures, 4);
    assert_string_equal(stage.why, "Empty reply from server");
    assert_int_equal(stage.news, 2);
    play_until(&stage, &stage.tokens, 1);
    assert_int_equal(stage.news, 3);
    close_stage(&stage);
}

static void a_refused_token_is_replaced_at_once(void **state)
{
    static const char *const script[] = {
        OK "Connection: close\r\n\r\n{\"access_token\":\"t-1\",\"expires_in\":86400}",
        OK "Connection: close\r\n\r\n{\"access_token\":\"t-2\",\"expires_in\":86400}", NULL};
    struct stage stage;
    uint64_t first_us;

    (void)state;
    open_stage(&stage, script);
    assert_int_equal(start_source(&stage), 0);
    play_until(&stage, &stage.tokens, 1);
    first_us = stage.told_us;
    token_source_want(stage.source);
    play_until(&stage, &stage.tokens, 2);
    assert_string_equal(stage.token, "t-2");
    assert_true(stage.told_us - first_us < 43200 * US_PER_SEC);
    close_stage(&stage);
}

static void hostile_answers_are_bounded(void **state)
{
    static char large[FETCH_ANSWER_MAX_BYTES + 4096], fields[FETCH_ANSWER_MAX_BYTES + 4096];
    const char *const script[] = {
        large, fields, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}", "no HTTP at all\r\n\r\n",
        "",    NULL};
    struct stage stage;
    size_t at;

    (void)state;
    at = (size_t)snprintf(large, sizeof(large), "HTTP/1.1 200 OK\r\n\r\n");
    memset(large + at, ' ', sizeof(large) - at - 1);
    at = (size_t)snprintf(fields, sizeof(fields), "HTTP/1.1 200 OK\r\n");
    while (at < FETCH_ANSWER_MAX_BYTES + 2048)
        at += (size_t)snprintf(fields + at, sizeof(fields) - at, "X-Field: %01000d\r\n", 7);
    open_stage(&stage, script);
    assert_int_equal(start_source(&stage), 0);
    play_until(&stage, &stage.failures, 1);
    assert_string_equal(stage.why, "the answer is too large");
    play_until(&stage, &stage.failures, 2);
    assert_string_equal(stage.why, "the answer is too large");
    play_until(&stage, &stage.failures, 5);
    assert_int_equal(stage.tokens, 0);
    close_stage(&stage);
}

static void nobody_listens(void **state)
{
    static const char *const script[] = {"", NULL};
    struct stage stage;

    (void)state;
    open_stage(&stage, script);
    stage.credential.url = SPAN("http://127.0.0.1:1");
    assert_int_equal(start_source(&stage), 0);
    play_until(&stage, &stage.failures, 2);
    assert_non_null(strstr(stage.why, "Failed to connect to 127.0.0.1 port 1: "));
    assert_int_equal(stage.news, 1);
    close_stage(&stage);
}

static void a_token_file_that_is_not_there(void **state)
{
    static const char *const script[] = {"", NULL};
    struct stage stage;

    (void)state;
    open_stage(&stage, script);
    secret_unref(&stage.credential.secret);
    stage.credential.token_file = SPAN("/nonexistent/token");
    assert_int_equal(start_source(&stage), 0);
    play_until(&stage, &stage.failures, 1);
    assert_non_null(strstr(stage.why, "the token file cannot be read: "));
    assert_int_equal(atomic_load(&stage.issuer.asked), 0);
    close_stage(&stage);
}

/* Whoever leaves does not wait for an answer, be it the source or all of it. */
static void given_up_while_it_is_asked(void **state)
{
    static const char *const script[] = {"wait", NULL};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct stage stage;

        open_stage(&stage, script);
        assert_int_equal(start_source(&stage), 0);
        while (atomic_load(&stage.issuer.asked) == 0)
            assert_int_equal(loop_turn(stage.loop, US_PER_MS), 0);
        if (i == 0) {
            token_source_free(&stage.source);
            assert_int_equal(loop_turn(stage.loop, 0), 0);
        }
        close_stage(&stage);
        assert_int_equal(stage.tokens + stage.failures, 0);
    }
}

static void several_at_once(void **state)
{
    enum { SOURCES = 8 };
    static const char *const script[] = {
        OK "Connection: close\r\n\r\n{\"access_token\":\"t\",\"expires_in\":3600}", NULL};
    struct token_source *others[SOURCES];
    struct stage stage;

    (void)state;
    open_stage(&stage, script);
    for (int i = 0; i < SOURCES; i++) {
        assert_int_equal(start_source(&stage), 0);
        others[i] = stage.source;
    }
    play_until(&stage, &stage.tokens, 3 * SOURCES);
    for (int i = 0; i < SOURCES; i++)
        token_source_free(&others[i]);
    stage.source = NULL;
    close_stage(&stage);
}

/* Each allocation fails once: a failure is told, or the token comes all the same. */
static void without_memory(void **state)
{
    static const char *const script[] = {
        OK "Connection: close\r\n\r\n{\"access_token\":\"t\",\"expires_in\":3600}", NULL};
    bool is_over = false;

    (void)state;
    for (int after = 0; !is_over; after++) {
        struct stage stage;
        int err;

        open_stage(&stage, script);
        mem_fail_after(after);
        err = start_source(&stage);
        while (!err && !stage.tokens && !stage.failures)
            play(&stage);
        is_over = mem_fail_is_pending() || after > 200;
        mem_fail_after(-1);
        if (!err)
            play_until(&stage, &stage.tokens, 1);
        close_stage(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_token),
        cmocka_unit_test(renewed_for_weeks),
        cmocka_unit_test(failures_are_news_once),
        cmocka_unit_test(a_refused_token_is_replaced_at_once),
        cmocka_unit_test(hostile_answers_are_bounded),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(a_token_file_that_is_not_there),
        cmocka_unit_test(given_up_while_it_is_asked),
        cmocka_unit_test(several_at_once),
        cmocka_unit_test(without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* OpenAI's own count of its keys' use, against a strict double of its wire. */
#include "stage.h"

#include "rotation/usage_ask.h"

#define FIELDS     .fields = {"Authorization: Bearer sk-admin-0123456789", "Accept: application/json"}
#define LINE(path) "GET /v1/organization/" path " HTTP/1.1"
#define KEYS       "projects/proj_abc/api_keys?limit=100"
#define USED(what)                                                                                 \
    "usage/" what "?start_time=1795140000&bucket_width=1h&group_by%5B%5D=api_key_id"               \
    "&project_ids%5B%5D=proj_abc&limit=2"
#define NONE "{\"object\":\"page\",\"data\":[],\"has_more\":false,\"next_page\":null}"

struct play {
    struct stage stage;
    struct usage_ask ask;
    int answers, err;
    uint64_t retry_after_us;
    char why[ISSUER_WHY_BYTES];
    char told[1024]; /* "key_1=svc_1 key_1@1795140000:2/30 " */
};

static void put(struct play *play, const char *text)
{
    size_t len = strlen(play->told);

    snprintf(play->told + len, sizeof(play->told) - len, "%s", text);
}

static void on_key(void *owner, struct span id, struct span account)
{
    char text[128];

    snprintf(text, sizeof(text), "%.*s=%.*s ", SPAN_ARG(id), SPAN_ARG(account));
    put(owner, text);
}

static void on_use(void *owner, struct span id, uint64_t start_s, uint64_t requests,
                   uint64_t tokens)
{
    char text[128];

    snprintf(text, sizeof(text), "%.*s@%llu:%llu/%llu ", SPAN_ARG(id), (unsigned long long)start_s,
             (unsigned long long)requests, (unsigned long long)tokens);
    put(owner, text);
}

static const struct usage_ops ops = {.on_key = on_key, .on_use = on_use};

static void on_done(struct usage_ask *ask, int err, const char *why, uint64_t retry_after_us)
{
    struct play *play = container_of(ask, struct play, ask);

    assert_null(ask->work);
    play->answers++;
    play->err = err;
    play->retry_after_us = retry_after_us;
    snprintf(play->why, sizeof(play->why), "%s", why);
}

static int begin(struct play *play)
{
    const struct usage_question question = {
        .fetcher = play->stage.fetcher,
        .secrets = play->stage.secrets,
        .openai = {.url = span_from_text(play->stage.url),
                   .project = SPAN("proj_abc"),
                   .admin_key = play->stage.admin},
        .start_s = 1795140000,
        .span_s = 3600,
        .ops = &ops,
    };

    play->told[0] = '\0';
    return usage_ask_begin(&play->ask, &question);
}

static void open_play(struct play *play, const struct double_step *script)
{
    memset(play, 0, sizeof(*play));
    stage_open(&play->stage, script);
    play->ask.owner = play;
    play->ask.on_done = on_done;
}

static int wait(struct play *play)
{
    uint64_t give_up_us = clock_now_us() + 60 * US_PER_SEC;
    int before = play->answers;

    while (play->answers == before) {
        usleep(100);
        assert_int_equal(loop_turn(play->stage.loop, US_PER_MS), 0);
        if (clock_now_us() > give_up_us)
            fail_msg("no answer came");
    }
    return play->err;
}

static void end_play(struct play *play)
{
    usage_ask_cancel(&play->ask);
    stage_close(&play->stage);
}

static const struct double_step whole[] = {
    {.line = LINE(KEYS),
     FIELDS,
     .answer =
         DOUBLE_JSON("200 OK", "{\"object\":\"list\",\"data\":["
                               "{\"object\":\"organization.project.api_key\",\"id\":\"key_1\","
                               "\"redacted_value\":\"sk-abc...def\",\"owner\":{\"type\":"
                               "\"service_account\",\"service_account\":{\"id\":\"svc_1\"}}}],"
                               "\"last_id\":\"key_1\",\"has_more\":true}")},
    {.line = LINE(KEYS "&after=key_1"),
     FIELDS,
     .answer = DOUBLE_JSON("200 OK", "{\"object\":\"list\",\"data\":[{\"id\":\"key_2\",\"owner\":"
                                     "{\"type\":\"user\",\"user\":{\"id\":\"user_1\"}}}],"
                                     "\"last_id\":\"key_2\",\"has_more\":false}")},
    {.line = LINE(USED("completions")),
     FIELDS,
     .answer = DOUBLE_JSON(
         "200 OK",
         "{\"object\":\"page\",\"data\":[{\"object\":\"bucket\",\"start_time\":1795140000,"
         "\"end_time\":1795143600,\"results\":[{\"object\":"
         "\"organization.usage.completions.result\",\"input_tokens\":1000,\"output_tokens\":500,"
         "\"input_cached_tokens\":800,\"num_model_requests\":5,\"project_id\":null,"
         "\"api_key_id\":\"key_1\",\"model\":null},{\"input_tokens\":1,\"output_tokens\":1,"
         "\"num_model_requests\":1,\"api_key_id\":null}]}],\"has_more\":true,\"next_page\":"
         "\"page_A=\"}")},
    {.line = LINE(USED("completions") "&page=page_A%3D"),
     FIELDS,
     .answer = DOUBLE_JSON(
         "200 OK", "{\"object\":\"page\",\"data\":[{\"start_time\":1795143600,\"results\":[]},"
                   "{\"start_time\":1795147200,\"results\":[{\"input_tokens\":7,"
                   "\"output_tokens\":0,\"num_model_requests\":1,\"api_key_id\":\"key_2\"}]}],"
                   "\"has_more\":false,\"next_page\":null}")},
    {.line = LINE(USED("embeddings")),
     FIELDS,
     .answer = DOUBLE_JSON(
         "200 OK", "{\"object\":\"page\",\"data\":[{\"start_time\":1795140000,\"results\":["
                   "{\"input_tokens\":20,\"num_model_requests\":2,\"api_key_id\":\"key_1\"}]}],"
                   "\"has_more\":false,\"next_page\":null}")},
    {.line = NULL}};

static void each_page_is_asked_for(void **state)
{
    struct play play;

    (void)state;
    open_play(&play, whole);
    assert_int_equal(begin(&play), 0);
    assert_int_equal(wait(&play), 0);
    assert_string_equal(play.told, "key_1=svc_1 key_2= key_1@1795140000:5/1500 "
                                   "key_2@1795147200:1/7 key_1@1795140000:2/20 ");
    end_play(&play);
}

/* The project's keys, then no use. */
#define NO_USE                                                                                     \
    {.line = LINE(KEYS), .answer = DOUBLE_JSON("200 OK", NONE)},                                   \
        {.line = LINE(USED("completions")), .answer = DOUBLE_JSON("200 OK", NONE)},                \
    {                                                                                              \
        .line = LINE(USED("embeddings")), .answer = DOUBLE_JSON("200 OK", NONE)                    \
    }

static void refusals_hold_no_secret(void **state)
{
    static const struct double_step script[] = {
        {.line = LINE(KEYS),
         .answer = DOUBLE_JSON("403 Forbidden",
                               "{\"error\":{\"message\":\"sk-admin-0123456789 may not read "
                               "this.\",\"type\":\"invalid_request_error\"}}")},
        {.line = LINE(KEYS),
         .answer = "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0"
                   "\r\nConnection: close\r\n\r\n"},
        {.line = LINE(KEYS), .answer = NULL},
        NO_USE,
        {.line = NULL}};
    struct play play;

    (void)state;
    open_play(&play, script);
    assert_int_equal(begin(&play), 0);
    assert_int_equal(wait(&play), ERR_DENIED);
    assert_non_null(strstr(play.why, "our own secret"));
    assert_null(strstr(play.why, "0123456789"));
    assert_int_equal(begin(&play), 0);
    assert_int_equal(wait(&play), ERR_AGAIN);
    assert_true(play.retry_after_us == 7 * US_PER_SEC);
    assert_int_equal(begin(&play), 0);
    assert_true(wait(&play) != 0 && play.why[0]);
    assert_int_equal(begin(&play), 0);
    assert_int_equal(wait(&play), 0);
    assert_string_equal(play.told, "");
    end_play(&play);
}

static void what_is_no_page_is_refused(void **state)
{
    static const char *const answers[] = {
        DOUBLE_JSON("200 OK", "nothing"),
        DOUBLE_JSON("200 OK", "{}"),
        DOUBLE_JSON("200 OK", "{\"data\":{}}"),
        DOUBLE_JSON("200 OK", "{\"data\":[{}]}"),
        DOUBLE_JSON("200 OK", "{\"data\":[{\"results\":[]}]}"),
        DOUBLE_JSON("200 OK", "{\"data\":[{\"start_time\":0,\"results\":[]}]}"),
        DOUBLE_JSON("200 OK", "{\"data\":[{\"start_time\":5}]}"),
        DOUBLE_JSON("200 OK",
                    "{\"data\":[{\"start_time\":5,\"results\":[{\"input_tokens\":-1}]}]}"),
        DOUBLE_JSON("200 OK", "{\"data\":[{\"start_time\":5,\"results\":[{\"api_key_id\":\"k\","
                              "\"input_tokens\":1000000000000001}]}]}"),
        DOUBLE_JSON("200 OK",
                    "{\"data\":[{\"start_time\":5,\"results\":[{\"output_tokens\":\"1\"}]}]}"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        const struct double_step script[] = {
            {.line = LINE(KEYS), .answer = DOUBLE_JSON("200 OK", NONE)},
            {.line = LINE(USED("completions")), .answer = answers[i]},
            {.line = NULL}};
        struct play play;

        open_play(&play, script);
        assert_int_equal(begin(&play), 0);
        assert_int_equal(wait(&play), ERR_PROTO);
        assert_string_equal(play.why, "the answer is no page of usage");
        assert_string_equal(play.told, "");
        end_play(&play);
    }
}

/* A server that ignores where the list is to go on. */
static void pages_come_to_an_end(void **state)
{
    static const struct double_step script[] = {
        {.line = LINE(KEYS),
         .answer = DOUBLE_JSON("200 OK",
                               "{\"data\":[{\"id\":\"k\"}],\"has_more\":true,\"last_id\":\"k\"}")},
        {.line = LINE(KEYS "&after=k"),
         .answer = DOUBLE_JSON("200 OK",
                               "{\"data\":[{\"id\":\"k\"}],\"has_more\":true,\"last_id\":\"k\"}")},
        {.line = NULL}};
    struct play play;

    (void)state;
    open_play(&play, script);
    assert_int_equal(begin(&play), 0);
    assert_int_equal(wait(&play), ERR_PROTO);
    end_play(&play);
}

static void one_that_is_given_up_is_not_told(void **state)
{
    static const struct double_step script[] = {{.line = LINE(KEYS), .answer = "wait"},
                                                {.line = NULL}};
    struct play play;

    (void)state;
    open_play(&play, script);
    assert_int_equal(begin(&play), 0);
    while (!play.stage.server.asked) {
        usleep(100);
        assert_int_equal(loop_turn(play.stage.loop, US_PER_MS), 0);
    }
    usage_ask_cancel(&play.ask);
    assert_null(play.ask.work);
    assert_int_equal(play.answers, 0);
    end_play(&play);
}

/* Whatever allocation fails, it is said, and nothing is left behind. */
static void without_memory(void **state)
{
    static const struct double_step script[] = {NO_USE, {.line = NULL}};
    bool is_pending = !stage_has_faults();

    (void)state;
    for (long after = 0; !is_pending; after++) {
        struct play play;
        int err;

        open_play(&play, script);
        mem_fail_after(after);
        err = begin(&play);
        assert_true(!err == (play.ask.work != NULL));
        if (!err)
            err = wait(&play);
        is_pending = mem_fail_is_pending();
        mem_fail_after(-1);
        if (is_pending)
            assert_int_equal(err, 0);
        usage_ask_cancel(&play.ask);
        /* What is left of the script is another test's matter. */
        play.stage.server.script = &script[3];
        play.stage.server.asked = 0;
        end_play(&play);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_page_is_asked_for),
        cmocka_unit_test(refusals_hold_no_secret),
        cmocka_unit_test(what_is_no_page_is_refused),
        cmocka_unit_test(pages_come_to_an_end),
        cmocka_unit_test(one_that_is_given_up_is_not_told),
        cmocka_unit_test(without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Key APIs of providers, against strict doubles of their wire. */
#include "stage.h"

/* ---- OpenAI: service accounts of a project ---- */

#define OPENAI_FIELDS .fields = {"Authorization: Bearer sk-admin-0123456789"}

static void open_openai(struct stage *stage, const struct double_step *script, uint64_t life_us)
{
    struct issuer_settings settings = {.kind = ISSUER_OPENAI, .life_us = life_us};

    stage_open(stage, script);
    settings.openai = (struct issuer_openai_settings){
        .url = span_from_text(stage->url), .project = SPAN("proj_abc"), .admin_key = stage->admin};
    assert_int_equal(stage_new_issuer(stage, &settings), 0);
}

static void openai_makes_a_service_account(void **state)
{
    static const struct double_step script[] = {
        {.line = "POST /v1/organization/projects/proj_abc/service_accounts HTTP/1.1",
         .fields = {"Authorization: Bearer sk-admin-0123456789", "Content-Type: application/json"},
         .body = "{\"name\":\"auto-1\"}",
         .answer = DOUBLE_JSON(
             "200 OK",
             "{\"object\":\"organization.project.service_account\",\"id\":\"svc_acct_abc\","
             "\"name\":\"auto-1\",\"role\":\"member\",\"created_at\":1711471533,"
             "\"api_key\":{\"object\":\"organization.project.service_account.api_key\","
             "\"value\":\"sk-svcacct-new\",\"name\":\"Secret Key\",\"created_at\":1711471533,"
             "\"id\":\"key_abc\"}}")},
        {.line = NULL}};
    struct stage stage;

    (void)state;
    open_openai(&stage, script, 0);
    assert_int_equal(stage_create(&stage, "auto-1"), 0);
    assert_string_equal(stage.key, "sk-svcacct-new");
    /* It goes with its account. */
    assert_string_equal(stage.id, "svc_acct_abc");
    assert_true(stage.answer.issued.expires_wall_us == 0);
    stage_close(&stage);
}

static void openai_makes_one_that_expires(void **state)
{
    static const struct double_step script[] = {
        {.line = "POST /v1/organization/projects/proj_abc/service_accounts HTTP/1.1",
         .body = "{\"name\":\"auto-1\",\"expires_in_seconds\":86400}",
         .answer = DOUBLE_JSON("200 OK",
                               "{\"id\":\"svc_acct_abc\",\"api_key\":{\"value\":\"sk-svcacct-new\","
                               "\"expires_at\":1795256100}}")},
        {.line = NULL}};
    struct stage stage;

    (void)state;
    open_openai(&stage, script, 86400 * US_PER_SEC);
    assert_int_equal(stage_create(&stage, "auto-1"), 0);
    assert_true(stage.answer.issued.expires_wall_us == STAGE_START + 86400 * US_PER_SEC);
    stage_close(&stage);
}

/* An account is made without a key where the organisation forbids keys: it can be deleted. */
static void openai_tells_no_key(void **state)
{
    static const struct double_step script[] = {
        {.line = "POST /v1/organization/projects/proj_abc/service_accounts HTTP/1.1",
         .body = "{\"name\":\"auto-1\"}",
         .answer = DOUBLE_JSON("200 OK", "{\"id\":\"svc_acct_abc\",\"api_key\":null}")},
        {.line = "DELETE /v1/organization/projects/proj_abc/service_accounts/svc_acct_abc HTTP/1.1",
         OPENAI_FIELDS,
         .answer =
             DOUBLE_JSON("200 OK", "{\"object\":\"organization.project.service_account.deleted\","
                                   "\"id\":\"svc_acct_abc\",\"deleted\":true}")},
        {.line = NULL}};
    struct stage stage;

    (void)state;
    open_openai(&stage, script, 0);
    assert_int_equal(stage_create(&stage, "auto-1"), ERR_PROTO);
    assert_true(stage.answer.may_exist);
    assert_string_equal(stage.id, "svc_acct_abc");
    assert_int_equal(stage_revoke(&stage, "auto-1", "svc_acct_abc"), 0);
    stage_close(&stage);
}

static void openai_finds_by_name(void **state)
{
    static const struct double_step script[] = {
        {.line = "GET /v1/organization/projects/proj_abc/service_accounts?limit=100 HTTP/1.1",
         OPENAI_FIELDS,
         .answer = DOUBLE_JSON(
             "200 OK", "{\"object\":\"list\",\"data\":[{\"id\":\"svc_acct_1\",\"name\":\"x\"},"
                       "{\"id\":\"svc_acct_2\",\"name\":\"y\"}],\"first_id\":\"svc_acct_1\","
                       "\"last_id\":\"svc_acct_2\",\"has_more\":true}")},
        {.line =
             "GET /v1/organization/projects/proj_abc/service_accounts?limit=100&after=svc_acct_2 "
             "HTTP/1.1",
         OPENAI_FIELDS,
         .answer =
             DOUBLE_JSON("200 OK", "{\"object\":\"list\",\"data\":[{\"id\":\"svc_acct_3\",\"name\":"
                                   "\"auto-1\"}],\"last_id\":\"svc_acct_3\",\"has_more\":false}")},
        {.line = "GET /v1/organization/projects/proj_abc/service_accounts?limit=100 HTTP/1.1",
         .answer = DOUBLE_JSON(
             "200 OK", "{\"object\":\"list\",\"data\":[{\"id\":\"svc_acct_1\",\"name\":\"x\"}],"
                       "\"last_id\":\"svc_acct_1\",\"has_more\":false}")},
        {.line = NULL}};
    struct stage stage;

    (void)state;
    open_openai(&stage, script, 0);
    assert_int_equal(stage_find(&stage, "auto-1"), 0);
    assert_string_equal(stage.id, "svc_acct_3");
    assert_int_equal(stage_find(&stage, "auto-1"), ERR_NOTFOUND);
    stage_close(&stage);
}

static void openai_refuses(void **state)
{
    static const struct double_step script[] = {
        {.line = "POST /v1/organization/projects/proj_abc/service_accounts HTTP/1.1",
         .body = "{\"name\":\"auto-1\"}",
         .answer = DOUBLE_JSON("400 Bad Request",
                               "{\"error\":{\"message\":\"Project is archived.\",\"type\":"
                               "\"invalid_request_error\",\"param\":null,\"code\":null}}")},
        {.line = "POST /v1/organization/projects/proj_abc/service_accounts HTTP/1.1",
         .body = "{\"name\":\"auto-1\"}",
         .answer = DOUBLE_JSON("401 Unauthorized",
                               "{\"error\":{\"message\":\"Incorrect API key provided: "
                               "sk-admin-0123456789.\",\"type\":\"invalid_request_error\"}}")},
        {.line = NULL}};
    struct stage stage;

    (void)state;
    open_openai(&stage, script, 0);
    assert_int_equal(stage_create(&stage, "auto-1"), ERR_DENIED);
    assert_string_equal(stage.told_why, "HTTP 400: invalid_request_error: Project is archived.");
    assert_false(stage.answer.may_exist);
    assert_int_equal(stage_create(&stage, "auto-1"), ERR_DENIED);
    assert_null(strstr(stage.told_why, "0123456789"));
    stage_close(&stage);
}

/* ---- OpenRouter ---- */

static void open_openrouter(struct stage *stage, const struct double_step *script,
                            struct span limit_usd, uint64_t life_us)
{
    struct issuer_settings settings = {.kind = ISSUER_OPENROUTER, .life_us = life_us};

    stage_open(stage, script);
    settings.openrouter = (struct issuer_openrouter_settings){.url = span_from_text(stage->url),
                                                              .provisioning_key = stage->admin,
                                                              .limit_usd = limit_usd};
    assert_int_equal(stage_new_issuer(stage, &settings), 0);
}

#define HASH "f01d52606dc8f0a8303a7b5cc3fa07109c2e346cec7c0a16b40de462992ce943"

static void openrouter_makes_a_key(void **state)
{
    static const struct double_step script[] = {
        {.line = "POST /api/v1/keys HTTP/1.1",
         .fields = {"Authorization: Bearer sk-admin-0123456789", "Content-Type: application/json"},
         .body = "{\"name\":\"auto-1\"}",
         .answer = DOUBLE_JSON(
             "201 Created", "{\"data\":{\"hash\":\"" HASH
                            "\",\"name\":\"auto-1\",\"label\":\"sk-or-v1-0e6...1c96\",\"disabled\":"
                            "false,\"limit\":null,\"usage\":0,\"expires_at\":null},"
                            "\"key\":\"sk-or-v1-new\"}")},
        {.line = "DELETE /api/v1/keys/" HASH " HTTP/1.1",
         .fields = {"Authorization: Bearer sk-admin-0123456789"},
         .answer = DOUBLE_JSON("200 OK", "{\"deleted\":true}")},
        {.line = "DELETE /api/v1/keys/" HASH " HTTP/1.1",
         .answer = DOUBLE_JSON("404 Not Found",
                               "{\"error\":{\"code\":404,\"message\":\"API key not found\"}}")},
        {.line = NULL}};
    struct stage stage;

    (void)state;
    open_openrouter(&stage, script, SPAN(""), 0);
    assert_int_equal(stage_create(&stage, "auto-1"), 0);
    assert_string_equal(stage.key, "sk-or-v1-new");
    assert_string_equal(stage.id, HASH);
    assert_int_equal(stage_revoke(&stage, "auto-1", HASH), 0);
    assert_int_equal(stage_revoke(&stage, "auto-1", HASH), 0);
    stage_close(&stage);
}

static void openrouter_limits_a_key(void **state)
{
    static const struct double_step script[] = {
        {.line = "POST /api/v1/keys HTTP/1.1",
         .body = "{\"name\":\"auto-1\",\"limit\":12.50,\"expires_at\":\"2026-11-21T10:15:00Z\"}",
         .answer =
             DOUBLE_JSON("201 Created",
                         "{\"data\":{\"hash\":\"" HASH
                         "\",\"expires_at\":\"2026-11-21T10:15:00Z\"},\"key\":\"sk-or-v1-new\"}")},
        {.line = NULL}};
    struct stage stage;

    (void)state;
    open_openrouter(&stage, script, SPAN("12.50"), 86400 * US_PER_SEC);
    assert_int_equal(stage_create(&stage, "auto-1"), 0);
    assert_true(stage.answer.issued.expires_wall_us == STAGE_START + 86400 * US_PER_SEC);
    stage_close(&stage);
}

static void openrouter_finds_by_name(void **state)
{
    static const struct double_step script[] = {
        {.line = "GET /api/v1/keys?include_disabled=true HTTP/1.1",
         .fields = {"Authorization: Bearer sk-admin-0123456789"},
         .answer = DOUBLE_JSON("200 OK", "{\"data\":[{\"hash\":\"a\",\"name\":\"x\"},"
                                         "{\"hash\":\"b\",\"name\":\"y\"}]}")},
        {.line = "GET /api/v1/keys?include_disabled=true&offset=2 HTTP/1.1",
         .answer = DOUBLE_JSON("200 OK", "{\"data\":[{\"hash\":\"c\",\"name\":\"z\"}]}")},
        {.line = "GET /api/v1/keys?include_disabled=true&offset=3 HTTP/1.1",
         .answer = DOUBLE_JSON("200 OK", "{\"data\":[]}")},
        {.line = "GET /api/v1/keys?include_disabled=true HTTP/1.1",
         .answer =
             DOUBLE_JSON("200 OK", "{\"data\":[{\"hash\":\"" HASH "\",\"name\":\"auto-1\"}]}")},
        {.line = NULL}};
    struct stage stage;

    (void)state;
    open_openrouter(&stage, script, SPAN(""), 0);
    assert_int_equal(stage_find(&stage, "auto-1"), ERR_NOTFOUND);
    assert_int_equal(stage_find(&stage, "auto-1"), 0);
    assert_string_equal(stage.id, HASH);
    stage_close(&stage);
}

/* ---- settings ---- */

static void settings_that_cannot_work(void **state)
{
    static const struct double_step script[] = {{.line = NULL}};
    struct issuer_settings settings = {.kind = ISSUER_OPENAI};
    struct stage stage;

    (void)state;
    stage_open(&stage, script);
    assert_int_equal(stage_new_issuer(&stage, &settings), ERR_SYNTAX);
    assert_string_equal(stage.why, "the admin key is missing");
    settings.openai.admin_key = stage.admin;
    assert_int_equal(stage_new_issuer(&stage, &settings), ERR_SYNTAX);
    assert_string_equal(stage.why, "the project is missing");
    settings.kind = ISSUER_OPENROUTER;
    assert_int_equal(stage_new_issuer(&stage, &settings), ERR_SYNTAX);
    assert_string_equal(stage.why, "the provisioning key is missing");
    settings.openrouter.provisioning_key = stage.admin;
    static const char *const limits[] = {"-1", "1.", ".5", "1e3", "1,5", "007", "1.2.3", "$5"};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        settings.openrouter.limit_usd = span_from_text(limits[i]);
        assert_int_equal(stage_new_issuer(&stage, &settings), ERR_SYNTAX);
        assert_string_equal(stage.why, "the limit is no amount of US dollars");
    }
    settings.openrouter.limit_usd = SPAN("0.5");
    assert_int_equal(stage_new_issuer(&stage, &settings), 0);
    settings.kind = ISSUER_KINDS;
    assert_int_equal(stage_new_issuer(&stage, &settings), ERR_RANGE);
    stage_close(&stage);
}

static void made_without_memory(void **state)
{
    static const struct double_step script[] = {{.line = NULL}};
    struct issuer_settings settings = {.kind = ISSUER_OPENAI, .life_us = US_PER_SEC};
    struct stage stage;

    (void)state;
    stage_open(&stage, script);
    settings.openai.admin_key = settings.openrouter.provisioning_key = stage.admin;
    settings.openai.project = SPAN("proj_abc");
    stage_new_without_memory(&stage, &settings);
    settings.kind = ISSUER_OPENROUTER;
    settings.openrouter.limit_usd = SPAN("5");
    stage_new_without_memory(&stage, &settings);
    stage_close(&stage);
}

static void long_urls(void **state)
{
    static const struct double_step script[] = {{.line = NULL}};
    static char project[4096];
    struct issuer_settings settings = {.kind = ISSUER_OPENAI};
    struct stage stage;

    (void)state;
    memset(project, 'p', sizeof(project) - 1);
    stage_open(&stage, script);
    settings.openai.admin_key = stage.admin;
    settings.openai.project = span_from_text(project);
    assert_int_equal(stage_new_issuer(&stage, &settings), ERR_RANGE);
    assert_string_equal(stage.why, "the url is too long");
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openai_makes_a_service_account),
        cmocka_unit_test(openai_makes_one_that_expires),
        cmocka_unit_test(openai_tells_no_key),
        cmocka_unit_test(openai_finds_by_name),
        cmocka_unit_test(openai_refuses),
        cmocka_unit_test(openrouter_makes_a_key),
        cmocka_unit_test(openrouter_limits_a_key),
        cmocka_unit_test(openrouter_finds_by_name),
        cmocka_unit_test(settings_that_cannot_work),
        cmocka_unit_test(made_without_memory),
        cmocka_unit_test(long_urls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

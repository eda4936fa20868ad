/* Google's API Keys against a strict double: tokens, operations, texts. */
#include "stage.h"

#include "../secrets/rsa.h"
#include "secrets/credential.h"

#define KEY       "projects/123/locations/global/keys/0a1b-2c"
#define TOKEN     "Authorization: Bearer ya29.token-0123456789"
#define KEYS_PATH "/v2/projects/my-project/locations/global/keys"

/* The steps that many calls have in common. */
#define TOKEN_STEP                                                                                 \
    {                                                                                              \
        .line = "POST /token HTTP/1.1",                                                            \
        .fields = {"Content-Type: application/x-www-form-urlencoded"},                             \
        .body = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=*",    \
        .answer = DOUBLE_JSON("200 OK", "{\"access_token\":\"ya29.token-0123456789\","             \
                                        "\"expires_in\":3599,\"token_type\":\"Bearer\"}")          \
    }
#define CREATE_STEP(told)                                                                          \
    {                                                                                              \
        .line = "POST " KEYS_PATH " HTTP/1.1",                                                     \
        .fields = {TOKEN, "Content-Type: application/json"},                                       \
        .body = "{\"displayName\":\"auto-1\",\"restrictions\":{\"apiTargets\":[{\"service\":"      \
                "\"generativelanguage.googleapis.com\"}]}}",                                       \
        .answer = told                                                                             \
    }
#define POLL_STEP(told)                                                                            \
    {                                                                                              \
        .line = "GET /v2/operations/akmf.p7-1 HTTP/1.1", .fields = {TOKEN}, .answer = told         \
    }
#define STRING_STEP(told)                                                                          \
    {                                                                                              \
        .line = "GET /v2/" KEY "/keyString HTTP/1.1", .fields = {TOKEN}, .answer = told            \
    }
#define DELETE_STEP(told)                                                                          \
    {                                                                                              \
        .line = "DELETE /v2/" KEY " HTTP/1.1", .fields = {TOKEN}, .answer = told                   \
    }
#define UNDER_WAY DOUBLE_JSON("200 OK", "{\"name\":\"operations/akmf.p7-1\"}")
#define MADE                                                                                       \
    DOUBLE_JSON("200 OK", "{\"name\":\"operations/akmf.p7-1\",\"done\":true,\"response\":{"        \
                          "\"@type\":\"type.googleapis.com/google.api.apikeys.v2.Key\","           \
                          "\"name\":\"" KEY "\",\"displayName\":\"auto-1\",\"uid\":\"0a1b-2c\"}}")

static struct rsa rsa;

static void open_gcp(struct stage *stage, const struct double_step *script, uint64_t timeout_us)
{
    struct issuer_settings settings = {.kind = ISSUER_GCP, .timeout_us = timeout_us};
    struct credential credential = {
        .kind = CREDENTIAL_GOOGLE_SERVICE_ACCOUNT,
        .client_id = SPAN("robot@my-project.iam.gserviceaccount.com"),
        .scope = SPAN("https://www.googleapis.com/auth/cloud-platform"),
    };
    struct secret *restrictions;
    char token_url[128];

    stage_open(stage, script);
    snprintf(token_url, sizeof(token_url), "%s/token", stage->url);
    credential.url = span_from_text(token_url);
    credential.secret = stage_secret(stage, rsa.pem);
    restrictions = stage_secret(
        stage, "{\"apiTargets\":[{\"service\":\"generativelanguage.googleapis.com\"}]}");
    settings.gcp = (struct issuer_gcp_settings){.url = span_from_text(stage->url),
                                                .project = SPAN("my-project"),
                                                .credential = &credential,
                                                .restrictions = restrictions};
    assert_int_equal(stage_new_issuer(stage, &settings), 0);
    secret_unref(&credential.secret);
    secret_unref(&restrictions);
}

#define LONG (20 * US_PER_SEC)

static void a_key_is_made_in_a_while(void **state)
{
    static const struct double_step script[] = {
        TOKEN_STEP,
        CREATE_STEP(UNDER_WAY),
        POLL_STEP(UNDER_WAY),
        /* That it cannot be asked after for once says nothing. */
        POLL_STEP(DOUBLE_JSON("503 Busy", "")),
        POLL_STEP(NULL),
        POLL_STEP(MADE),
        STRING_STEP(DOUBLE_JSON("200 OK", "{\"keyString\":\"AIzaSyNew\"}")),
        {.line = NULL}};
    struct stage stage;

    (void)state;
    open_gcp(&stage, script, LONG);
    assert_int_equal(stage_create(&stage, "auto-1"), 0);
    assert_string_equal(stage.key, "AIzaSyNew");
    assert_string_equal(stage.id, KEY);
    assert_false(stage.answer.may_exist);
    stage_close(&stage);
}

/* A token serves for as long as it lives. */
static void tokens_are_kept(void **state)
{
    static const struct double_step script[] = {
        TOKEN_STEP,
        CREATE_STEP(MADE),
        STRING_STEP(DOUBLE_JSON("200 OK", "{\"keyString\":\"AIzaSyNew\"}")),
        DELETE_STEP(DOUBLE_JSON("200 OK", "{\"name\":\"operations/akmf.p7-1\",\"done\":true,"
                                          "\"response\":{}}")),
        DELETE_STEP(DOUBLE_JSON("404 Not Found", "{\"error\":{\"code\":404}}")),
        DELETE_STEP(UNDER_WAY),
        POLL_STEP(DOUBLE_JSON("200 OK", "{\"name\":\"operations/akmf.p7-1\",\"done\":true}")),
        DELETE_STEP(DOUBLE_JSON("200 OK", "{}")),
        DELETE_STEP(
            DOUBLE_JSON("401 Unauthorized", "{\"error\":{\"status\":\"UNAUTHENTICATED\"}}")),
        TOKEN_STEP,
        DELETE_STEP(DOUBLE_JSON("200 OK", "{}")),
        {.line = NULL}};
    struct stage stage;

    (void)state;
    open_gcp(&stage, script, LONG);
    assert_int_equal(stage_create(&stage, "auto-1"), 0);
    assert_int_equal(stage_revoke(&stage, "auto-1", KEY), 0);
    assert_int_equal(stage_revoke(&stage, "auto-1", KEY), 0);
    assert_int_equal(stage_revoke(&stage, "auto-1", KEY), 0);
    assert_int_equal(stage_revoke(&stage, "auto-1", KEY), 0);
    assert_int_equal(stage_revoke(&stage, "auto-1", KEY), ERR_DENIED);
    assert_string_equal(stage.told_why, "HTTP 401: UNAUTHENTICATED");
    assert_int_equal(stage_revoke(&stage, "auto-1", KEY), 0);
    stage_close(&stage);
}

static void found_on_the_second_page(void **state)
{
    static const struct double_step script[] = {
        TOKEN_STEP,
        {.line = "GET " KEYS_PATH "?pageSize=300 HTTP/1.1",
         .fields = {TOKEN},
         .answer = DOUBLE_JSON("200 OK", "{\"keys\":[{\"name\":\"projects/1/x\",\"displayName\":"
                                         "\"other\"}],\"nextPageToken\":\"a+b\"}")},
        {.line = "GET " KEYS_PATH "?pageSize=300&pageToken=a%2Bb HTTP/1.1",
         .fields = {TOKEN},
         .answer = DOUBLE_JSON("200 OK",
                               "{\"keys\":[{\"name\":\"" KEY "\",\"displayName\":\"auto-1\"}]}")},
        {.line = "GET " KEYS_PATH "?pageSize=300 HTTP/1.1", .answer = DOUBLE_JSON("200 OK", "{}")},
        {.line = "GET " KEYS_PATH "?pageSize=300 HTTP/1.1", .answer = DOUBLE_JSON("200 OK", "x")},
        {.line = "GET " KEYS_PATH "?pageSize=300 HTTP/1.1",
         .answer = DOUBLE_JSON("200 OK", "{\"nextPageToken\":\"a\"}")},
        {.line = "GET " KEYS_PATH "?pageSize=300&pageToken=a HTTP/1.1",
         .answer = DOUBLE_JSON("200 OK", "{\"nextPageToken\":\"a\"}")},
        {.line = NULL}};
    struct stage stage;

    (void)state;
    open_gcp(&stage, script, LONG);
    assert_int_equal(stage_find(&stage, "auto-1"), 0);
    assert_string_equal(stage.id, KEY);
    assert_int_equal(stage_find(&stage, "auto-1"), ERR_NOTFOUND);
    assert_int_equal(stage_find(&stage, "auto-1"), ERR_PROTO);
    assert_int_equal(stage_find(&stage, "auto-1"), ERR_PROTO);
    assert_string_equal(stage.told_why, "the list of keys does not end");
    stage_close(&stage);
}

/* What can go wrong on the way, and what it leaves behind. */
static const struct {
    struct double_step script[6];
    int err;
    bool may_exist, may_retry;
    const char *id, *why;
} failing[] = {
    /* The token. */
    {{{.line = "POST /token HTTP/1.1",
       .body = "grant_type=*",
       .answer = DOUBLE_JSON("400 Bad Request",
                             "{\"error\":\"invalid_grant\",\"error_description\":\"Invalid JWT "
                             "Signature.\"}")}},
     ERR_DENIED,
     false,
     false,
     "",
     "HTTP 400: invalid_grant: Invalid JWT Signature."},
    {{{.line = "POST /token HTTP/1.1",
       .body = "grant_type=*",
       .answer = DOUBLE_JSON("503 Busy", "")}},
     ERR_AGAIN,
     false,
     true,
     "",
     "HTTP 503"},
    {{{.line = "POST /token HTTP/1.1", .body = "grant_type=*", .answer = NULL}},
     ERR_PROTO,
     false,
     true,
     "",
     "Empty reply from server"},
    /* The creation. */
    {{TOKEN_STEP,
      CREATE_STEP(DOUBLE_JSON("403 Forbidden",
                              "{\"error\":{\"code\":403,\"message\":\"no ya29.token-0123456789\","
                              "\"status\":\"PERMISSION_DENIED\"}}"))},
     ERR_DENIED,
     false,
     false,
     "",
     "refused, in words that hold our own secret"},
    {{TOKEN_STEP, CREATE_STEP(DOUBLE_JSON("500 Oops", ""))}, ERR_AGAIN, true, true, "", "HTTP 500"},
    {{TOKEN_STEP, CREATE_STEP(NULL)}, ERR_PROTO, true, true, "", "Empty reply from server"},
    {{TOKEN_STEP, CREATE_STEP(DOUBLE_JSON("200 OK", "{\"name\":\"operations/../x\"}"))},
     ERR_PROTO,
     true,
     false,
     "",
     "the answer is no operation"},
    /* The operation. */
    {{TOKEN_STEP, CREATE_STEP(UNDER_WAY),
      POLL_STEP(DOUBLE_JSON("200 OK",
                            "{\"name\":\"operations/akmf.p7-1\",\"done\":true,\"error\":{\"code\":"
                            "8,\"message\":\"Quota exceeded.\"}}"))},
     ERR_DENIED,
     false,
     false,
     "",
     "the operation failed: Quota exceeded."},
    {{TOKEN_STEP, CREATE_STEP(UNDER_WAY), POLL_STEP(DOUBLE_JSON("404 Not Found", ""))},
     ERR_DENIED,
     true,
     false,
     "",
     "HTTP 404"},
    {{TOKEN_STEP, CREATE_STEP(UNDER_WAY),
      POLL_STEP(DOUBLE_JSON("200 OK", "{\"done\":true,\"response\":{\"name\":\"a?b\"}}"))},
     ERR_PROTO,
     true,
     false,
     "",
     "the operation tells no key"},
    /* The text of the key. */
    {{TOKEN_STEP, CREATE_STEP(MADE), STRING_STEP(DOUBLE_JSON("403 Forbidden", ""))},
     ERR_DENIED,
     true,
     false,
     KEY,
     "HTTP 403"},
    {{TOKEN_STEP, CREATE_STEP(MADE), STRING_STEP(DOUBLE_JSON("200 OK", "{\"keyString\":\"\"}"))},
     ERR_PROTO,
     true,
     false,
     KEY,
     "the answer holds a key that no header could carry at /keyString"},
};

static void failures(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(failing) / sizeof(failing[0]); i++) {
        struct stage stage;

        open_gcp(&stage, failing[i].script, LONG);
        assert_int_equal(stage_create(&stage, "auto-1"), failing[i].err);
        assert_string_equal(stage.told_why, failing[i].why);
        assert_string_equal(stage.id, failing[i].id);
        assert_int_equal(stage.answer.may_exist, failing[i].may_exist);
        assert_int_equal(stage.answer.may_retry, failing[i].may_retry);
        stage_close(&stage);
    }
}

static void an_operation_that_takes_too_long(void **state)
{
    static const struct double_step script[] = {
        TOKEN_STEP,
        CREATE_STEP(UNDER_WAY),
        {.line = "GET /v2/operations/akmf.p7-1 HTTP/1.1", .is_repeated = true, .answer = UNDER_WAY},
        {.line = NULL}};
    struct stage stage;

    (void)state;
    open_gcp(&stage, script, LONG);
    assert_int_equal(stage_create(&stage, "auto-1"), ERR_TIMEOUT);
    assert_string_equal(stage.told_why, "the operation takes too long");
    assert_true(stage.answer.may_exist);
    assert_true(stage.answer.may_retry);
    stage_close(&stage);
}

static void what_google_would_not_take(void **state)
{
    static const struct double_step script[] = {{.line = NULL}};
    struct issuer_settings settings = {.kind = ISSUER_GCP};
    struct credential credential = {.kind = CREDENTIAL_AZURE_ENTRA};
    struct stage stage;
    char name[65];

    (void)state;
    memset(name, 'n', 64);
    name[64] = '\0';
    open_gcp(&stage, script, LONG);
    assert_int_equal(stage_create(&stage, name), ERR_RANGE);
    assert_int_equal(stage_revoke(&stage, "n", "keys/1"), ERR_RANGE);
    assert_int_equal(stage_revoke(&stage, "n", "projects/1/../2"), ERR_RANGE);
    assert_int_equal(stage_revoke(&stage, "n", "projects/1?x=2"), ERR_RANGE);
    assert_int_equal(stage_new_issuer(&stage, &settings), ERR_SYNTAX);
    assert_string_equal(stage.why, "the project is missing");
    settings.gcp.project = SPAN("p");
    settings.gcp.credential = &credential;
    assert_int_equal(stage_new_issuer(&stage, &settings), ERR_SYNTAX);
    assert_string_equal(stage.why, "a service account's credential is wanted");
    credential.kind = CREDENTIAL_GOOGLE_SERVICE_ACCOUNT;
    settings.gcp.restrictions = stage.admin;
    assert_int_equal(stage_new_issuer(&stage, &settings), ERR_SYNTAX);
    assert_string_equal(stage.why, "the restrictions are no JSON object");
    settings.gcp.restrictions = NULL;
    credential.secret = stage.admin; /* no PEM */
    stage_new_without_memory(&stage, &settings);
    assert_int_equal(stage_new_issuer(&stage, &settings), 0);
    assert_int_equal(stage_create(&stage, "n"), ERR_DENIED);
    assert_string_equal(stage.told_why, "the credential's private key cannot be used");
    stage_close(&stage);
}

/* Between two questions after the operation, too. */
static void cancelled_untold(void **state)
{
    static const struct double_step script[] = {TOKEN_STEP, CREATE_STEP(UNDER_WAY), {.line = NULL}};
    struct issuer_subject subject;
    struct stage stage;

    (void)state;
    open_gcp(&stage, script, LONG);
    subject = stage_subject(&stage, "auto-1", NULL);
    assert_int_equal(issuer_create(stage.issuer, &stage.ask, &subject), 0);
    while (stage.server.asked < 2 || !fetcher_is_idle(stage.fetcher)) {
        usleep(100);
        assert_int_equal(loop_turn(stage.loop, US_PER_MS), 0);
    }
    issuer_cancel(&stage.ask);
    assert_int_equal(stage.answers, 0);
    stage_close(&stage);
}

static int make_rsa(void **state)
{
    (void)state;
    rsa_make(&rsa);
    return 0;
}

static int drop_rsa(void **state)
{
    (void)state;
    rsa_drop(&rsa);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_made_in_a_while),
        cmocka_unit_test(tokens_are_kept),
        cmocka_unit_test(found_on_the_second_page),
        cmocka_unit_test(failures),
        cmocka_unit_test(an_operation_that_takes_too_long),
        cmocka_unit_test(what_google_would_not_take),
        cmocka_unit_test(cancelled_untold),
    };

    return cmocka_run_group_tests(tests, make_rsa, drop_rsa);
}

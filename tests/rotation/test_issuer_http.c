/* Declared requests, against a strict double on this machine. */
#include "stage.h"

#define CREATED DOUBLE_JSON("201 Created", "{\"api_key\":\"sk-new\",\"key_id\":\"k_1\"}")

static const struct double_step no_script[] = {{.line = NULL}};

/* The issuer of the configuration's own example, against the stage's double. */
struct declared {
    struct issuer_settings settings;
    struct issuer_field fields[2];
    struct secret *bearer, *body;
    char create[128], revoke[128], list[128];
};

static void declare(struct stage *stage, struct declared *declared)
{
    struct issuer_http_settings *http = &declared->settings.http;
    struct issuer_request request = {.fields = declared->fields, .field_count = 1};

    memset(declared, 0, sizeof(*declared));
    declared->settings.kind = ISSUER_HTTP;
    declared->settings.timeout_us = 20 * US_PER_SEC;
    declared->bearer = stage_secret(stage, "Bearer sk-admin-0123456789");
    declared->body = stage_secret(
        stage,
        "{\"name\": \"{name}\", \"expires_in_days\": 30, \"rate_limit\": 1e4, \"own\": true}");
    declared->fields[0] = (struct issuer_field){SPAN("Authorization"), declared->bearer};
    snprintf(declared->create, sizeof(declared->create), "%s/v1/keys", stage->url);
    snprintf(declared->revoke, sizeof(declared->revoke), "%s/v1/keys/{id}", stage->url);
    snprintf(declared->list, sizeof(declared->list), "%s/v1/keys?limit=2", stage->url);
    http->create = http->revoke = http->list = request;
    http->create.url = span_from_text(declared->create);
    http->create.body = declared->body;
    http->revoke.url = span_from_text(declared->revoke);
    http->list.url = span_from_text(declared->list);
    http->key = SPAN("/api_key");
    http->id = SPAN("/key_id");
    http->expires = SPAN("/expires_at");
    http->items = SPAN("/keys");
    http->item_name = SPAN("/name");
    http->item_id = SPAN("/key_id");
    http->item_expires = SPAN("/expires_at");
    http->paging = (struct issuer_paging){.parameter = SPAN("after"), .cursor = SPAN("/next")};
}

static void undeclare(struct declared *declared)
{
    secret_unref(&declared->bearer);
    secret_unref(&declared->body);
}

static void open_declared(struct stage *stage, const struct double_step *script)
{
    struct declared declared;

    stage_open(stage, script);
    declare(stage, &declared);
    assert_int_equal(stage_new_issuer(stage, &declared.settings), 0);
    undeclare(&declared);
}

/* ---- creation ---- */

static void a_key_is_made(void **state)
{
    static const struct double_step script[] = {
        {.line = "POST /v1/keys HTTP/1.1",
         .fields = {"Authorization: Bearer sk-admin-0123456789", "Content-Type: application/json",
                    "Accept: application/json"},
         .body = "{\"name\":\"auto-1\",\"expires_in_days\":30,\"rate_limit\":1e4,\"own\":true}",
         .answer = DOUBLE_JSON("200 OK", "{\"api_key\":\"sk-new\",\"key_id\":\"k_1\","
                                         "\"expires_at\":\"2026-12-20T10:15:00Z\"}")},
        {.line = NULL}};
    struct stage stage;

    (void)state;
    open_declared(&stage, script);
    assert_true(issuer_traits(stage.issuer).can_find);
    assert_true(issuer_traits(stage.issuer).can_revoke);
    assert_false(issuer_traits(stage.issuer).takes_long);
    assert_int_equal(stage_create(&stage, "auto-1"), 0);
    assert_string_equal(stage.key, "sk-new");
    assert_string_equal(stage.id, "k_1");
    assert_true(stage.answer.issued.expires_wall_us == STAGE_START + 30 * 86400 * US_PER_SEC);
    assert_false(stage.answer.may_exist);
    stage_close(&stage);
}

/* Each placeholder is escaped for where it stands; other braces are themselves. */
static void placeholders_are_escaped(void **state)
{
    static const struct double_step script[] = {
        {.line = "PUT /v1/keys/a%20%22b%22%2F%25?at=20261120-101500 HTTP/1.1",
         .fields = {"X-Name: a \"b\"/%", "Authorization: Bearer sk-current-0123456789",
                    "Content-Type: application/x-own", "Accept: text/plain"},
         .body = "{\"n\":\"a \\\"b\\\"/%\",\"{name}\":[\"sk-current-0123456789\",null,{}],"
                 "\"x\":\"{} {N} {\",\"e\":\"2026-11-20T11:15:00Z\"}",
         .answer = CREATED},
        {.line = NULL}};
    struct stage stage;
    struct declared declared;
    struct issuer_request *create = &declared.settings.http.create;
    struct secret *values[4], *body;
    struct issuer_field fields[4];
    char url[128];

    (void)state;
    stage_open(&stage, script);
    declare(&stage, &declared);
    values[0] = stage_secret(&stage, "{name}");
    values[1] = stage_secret(&stage, "Bearer {current_key}");
    values[2] = stage_secret(&stage, "application/x-own");
    values[3] = stage_secret(&stage, "text/plain");
    fields[0] = (struct issuer_field){SPAN("X-Name"), values[0]};
    fields[1] = (struct issuer_field){SPAN("Authorization"), values[1]};
    fields[2] = (struct issuer_field){SPAN("content-type"), values[2]};
    fields[2].name = SPAN("Content-Type");
    fields[3] = (struct issuer_field){SPAN("Accept"), values[3]};
    body = stage_secret(&stage, "{\"n\":\"{name}\",\"{name}\":[\"{current_key}\",null,{}],"
                                "\"x\":\"{} {N} {\",\"e\":\"{expires}\"}");
    snprintf(url, sizeof(url), "%s/v1/keys/{name}?at={time}", stage.url);
    *create = (struct issuer_request){.method = SPAN("PUT"),
                                      .url = span_from_text(url),
                                      .fields = fields,
                                      .field_count = 4,
                                      .body = body};
    declared.settings.life_us = 3600 * US_PER_SEC;
    assert_int_equal(stage_new_issuer(&stage, &declared.settings), 0);
    assert_int_equal(stage_create(&stage, "a \"b\"/%"), 0);
    for (int i = 0; i < 4; i++)
        secret_unref(&values[i]);
    secret_unref(&body);
    undeclare(&declared);
    stage_close(&stage);
}

/* One creation for each of the answers. */
#define ASKED                                                                                      \
    .line = "POST /v1/keys HTTP/1.1",                                                              \
    .body = "{\"name\":\"n\",\"expires_in_days\":30,\"rate_limit\":1e4,\"own\":true}"

static void expiries(void **state)
{
    static const struct {
        struct double_step script[2];
        int err;
        uint64_t seconds;
    } cases[] = {
#define CASE(text, err, seconds)                                                                   \
    {{{ASKED, .answer = DOUBLE_JSON("200 OK", "{\"api_key\":\"k\",\"key_id\":\"1\"" text "}")},    \
      {.line = NULL}},                                                                             \
     err,                                                                                          \
     seconds}
        CASE("", 0, 0),
        CASE(",\"expires_at\":null", 0, 0),
        CASE(",\"expires_at\":1795169700", 0, 1795169700),
        CASE(",\"expires_at\":1795169700.75", 0, 1795169700),
        CASE(",\"expires_at\":\"1795169700\"", 0, 1795169700),
        CASE(",\"expires_at\":\"2026-11-20T12:15:00+02:00\"", 0, 1795169700),
        CASE(",\"expires_at\":-1", ERR_PROTO, 0),
        CASE(",\"expires_at\":1e300", ERR_PROTO, 0),
        CASE(",\"expires_at\":\"soon\"", ERR_PROTO, 0),
        CASE(",\"expires_at\":true", ERR_PROTO, 0),
#undef CASE
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage stage;

        open_declared(&stage, cases[i].script);
        assert_int_equal(stage_create(&stage, "n"), cases[i].err);
        assert_true(stage.answer.issued.expires_wall_us == cases[i].seconds * US_PER_SEC);
        assert_int_equal(stage.answer.may_exist, cases[i].err != 0);
        assert_string_equal(stage.id, "1");
        stage_close(&stage);
    }
}

/* There is a key now that nobody can use: its id is told, so that it can be revoked. */
static void unusable_keys(void **state)
{
    static char long_answer[8192];
    const struct {
        const char *answer, *id, *why;
    } cases[] = {
        {DOUBLE_JSON("200 OK", "{\"key_id\":\"1\"}"), "1", "the answer holds no key at /api_key"},
        {DOUBLE_JSON("200 OK", "{\"api_key\":\"\",\"key_id\":\"1\"}"), "1",
         "the answer holds a key that no header could carry at /api_key"},
        {DOUBLE_JSON("200 OK", "{\"api_key\":\"a\\r\\nX: y\",\"key_id\":\"1\"}"), "1",
         "the answer holds a key that no header could carry at /api_key"},
        {DOUBLE_JSON("200 OK", "{\"api_key\":\"sk-\xc3\xa9\",\"key_id\":\"1\"}"), "1",
         "the answer holds a key that no header could carry at /api_key"},
        {DOUBLE_JSON("200 OK", "{\"api_key\":17,\"key_id\":1}"), "1",
         "the answer holds a key that no header could carry at /api_key"},
        {long_answer, "9007199254740993",
         "the answer holds a key that no header could carry at /api_key"},
        {DOUBLE_JSON("200 OK", "{\"api_key\":\"k\"}"), "", "the answer holds no id at /key_id"},
        {DOUBLE_JSON("200 OK", "{\"api_key\":\"k\",\"key_id\":\"a b\"}"), "",
         "the answer holds an id that is none at /key_id"},
        {DOUBLE_JSON("200 OK", "[]"), "", "the answer holds no id at /key_id"},
        {DOUBLE_JSON("200 OK", "<html>"), "", "the answer is no JSON"},
        {DOUBLE_JSON("200 OK", ""), "", "the answer is no JSON"},
    };
    char key[ISSUER_KEY_MAX_BYTES + 2];

    (void)state;
    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    snprintf(long_answer, sizeof(long_answer),
             DOUBLE_JSON("200 OK", "{\"api_key\":\"%s\",\"key_id\":9007199254740993}"), key);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct double_step script[] = {{ASKED, .answer = cases[i].answer}, {.line = NULL}};
        struct stage stage;

        open_declared(&stage, script);
        assert_int_equal(stage_create(&stage, "n"), ERR_PROTO);
        assert_string_equal(stage.told_why, cases[i].why);
        assert_string_equal(stage.id, cases[i].id);
        assert_string_equal(stage.key, "");
        assert_true(stage.answer.may_exist);
        stage_close(&stage);
    }
}

static void the_longest_key_is_taken(void **state)
{
    static char answer[8192];
    const struct double_step script[] = {{ASKED, .answer = answer}, {.line = NULL}};
    struct stage stage;
    char key[ISSUER_KEY_MAX_BYTES + 1];

    (void)state;
    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    snprintf(answer, sizeof(answer), DOUBLE_JSON("200 OK", "{\"api_key\":\"%s\",\"key_id\":\"1\"}"),
             key);
    open_declared(&stage, script);
    assert_int_equal(stage_create(&stage, "n"), 0);
    assert_string_equal(stage.key, key);
    stage_close(&stage);
}

/* ---- refusals ---- */

static void refusals(void **state)
{
    static const struct {
        const char *answer;
        int err;
        bool may_exist, may_retry;
        unsigned retry_after_s;
        const char *why;
    } cases[] = {
        {DOUBLE_JSON("400 No", "{\"error\":\"name is taken\"}"), ERR_DENIED, false, false, 0,
         "HTTP 400: name is taken"},
        {DOUBLE_JSON("401 No",
                     "{\"error\":{\"message\":\"no\\nsuch\\u0007 key\",\"type\":\"auth\"}}"),
         ERR_DENIED, false, false, 0, "HTTP 401: auth: no such key"},
        {DOUBLE_JSON("403 No", "{\"title\":\"Forbidden\",\"detail\":\"not yours\"}"), ERR_DENIED,
         false, false, 0, "HTTP 403: not yours"},
        {DOUBLE_JSON("404 No", "{\"errors\":[{\"message\":\"no such project\"}]}"), ERR_DENIED,
         false, false, 0, "HTTP 404: no such project"},
        {DOUBLE_JSON("302 Found", ""), ERR_DENIED, false, false, 0, "HTTP 302"},
        {DOUBLE_JSON("409 Conflict", "{\"message\":\"exists\"}"), ERR_EXISTS, true, false, 0,
         "HTTP 409: exists"},
        {"HTTP/1.1 429 Slow\r\nRetry-After: 17\r\nContent-Length: 0\r\n\r\n", ERR_AGAIN, false,
         true, 17, "HTTP 429"},
        {DOUBLE_JSON("408 Late", ""), ERR_AGAIN, true, true, 0, "HTTP 408"},
        {DOUBLE_JSON("500 Oops", "<html>oops"), ERR_AGAIN, true, true, 0, "HTTP 500"},
        {"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n", ERR_AGAIN, true, true,
         5, "HTTP 503"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct double_step script[] = {{ASKED, .answer = cases[i].answer}, {.line = NULL}};
        struct stage stage;

        open_declared(&stage, script);
        assert_int_equal(stage_create(&stage, "n"), cases[i].err);
        assert_string_equal(stage.told_why, cases[i].why);
        assert_int_equal(stage.answer.may_exist, cases[i].may_exist);
        assert_int_equal(stage.answer.may_retry, cases[i].may_retry);
        assert_true(stage.answer.retry_after_us == cases[i].retry_after_s * US_PER_SEC);
        stage_close(&stage);
    }
}

/* A server may echo whatever it was sent. */
static void echoed_secrets_are_not_told(void **state)
{
    static const char *const answers[] = {
        DOUBLE_JSON("401 No", "{\"error\":\"bad key sk-admin-0123456789\"}"),
        DOUBLE_JSON("401 No", "{\"error\":\"bad key n-0123456 again\"}"),
        DOUBLE_JSON("401 No", "{\"error\":\"bad key sk-current-0123456789\"}"),
        DOUBLE_JSON("401 No", "{\"error\":\"bad password correct-horse-battery\"}"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        const struct double_step script[] = {
            {.line = "POST /v1/keys HTTP/1.1",
             .body = "{\"name\":\"n\",\"password\":\"correct-horse-battery\"}",
             .answer = answers[i]},
            {.line = NULL}};
        struct stage stage;
        struct declared declared;

        stage_open(&stage, script);
        declare(&stage, &declared);
        secret_unref(&declared.body);
        declared.body =
            stage_secret(&stage, "{\"name\":\"{name}\",\"password\":\"correct-horse-battery\"}");
        declared.settings.http.create.body = declared.body;
        assert_int_equal(stage_new_issuer(&stage, &declared.settings), 0);
        assert_int_equal(stage_create(&stage, "n"), ERR_DENIED);
        assert_string_equal(stage.told_why, "refused, in words that hold our own secret");
        undeclare(&declared);
        stage_close(&stage);
    }
}

/* ---- no answer ---- */

static void a_broken_connection_leaves_it_open(void **state)
{
    static const struct double_step script[] = {{ASKED, .answer = NULL}, {.line = NULL}};
    struct stage stage;

    (void)state;
    open_declared(&stage, script);
    assert_int_equal(stage_create(&stage, "n"), ERR_PROTO);
    assert_string_equal(stage.told_why, "Empty reply from server");
    assert_true(stage.answer.may_exist);
    assert_true(stage.answer.may_retry);
    stage_close(&stage);
}

static void a_time_out_leaves_it_open(void **state)
{
    static const struct double_step script[] = {{ASKED, .answer = "wait"}, {.line = NULL}};
    struct stage stage;
    struct declared declared;

    (void)state;
    stage_open(&stage, script);
    declare(&stage, &declared);
    declared.settings.timeout_us = 200 * US_PER_MS;
    assert_int_equal(stage_new_issuer(&stage, &declared.settings), 0);
    assert_int_equal(stage_create(&stage, "n"), ERR_TIMEOUT);
    assert_true(stage.answer.may_exist);
    assert_true(stage.answer.may_retry);
    undeclare(&declared);
    stage_close(&stage);
}

static void nobody_there_made_nothing(void **state)
{
    struct stage stage;
    struct declared declared;

    (void)state;
    stage_open(&stage, no_script);
    declare(&stage, &declared);
    declared.settings.http.create.url = SPAN("http://127.0.0.1:1/v1/keys");
    assert_int_equal(stage_new_issuer(&stage, &declared.settings), 0);
    assert_int_equal(stage_create(&stage, "n"), ERR_REFUSED);
    assert_false(stage.answer.may_exist);
    assert_true(stage.answer.may_retry);
    undeclare(&declared);
    stage_close(&stage);
}

static void large_answers_are_refused(void **state)
{
    static char large[FETCH_ANSWER_MAX_BYTES + 4096];
    const struct double_step script[] = {{ASKED, .answer = large}, {.line = NULL}};
    struct stage stage;

    (void)state;
    memset(large, ' ', sizeof(large) - 1);
    memcpy(large, CREATED, sizeof(CREATED) - 1);
    open_declared(&stage, script);
    assert_int_equal(stage_create(&stage, "n"), ERR_FULL);
    assert_true(stage.answer.may_exist);
    stage_close(&stage);
}

/* Secrets of that size until there is no room for one more. */
static void fill(struct secret_arena *secrets, size_t size, struct secret **fillers, size_t max,
                 size_t *count)
{
    static const char bytes[SECRET_MAX_BYTES];

    while (*count < max && !secret_new(secrets, span_of(bytes, size), &fillers[*count]))
        ++*count;
}

/* A key was made for which the arena has no room: its id is told. */
static void an_arena_that_is_full(void **state)
{
    static const struct double_step script[] = {{ASKED, .answer = CREATED}, {.line = NULL}};
    static struct secret *fillers[4096];
    size_t count = 0;
    struct stage stage;

    (void)state;
    open_declared(&stage, script);
    for (size_t size = SECRET_MAX_BYTES; size; size /= 4)
        fill(stage.secrets, size, fillers, 4096, &count);
    assert_true(count < 4096);
    assert_int_equal(stage_create(&stage, "n"), ERR_FULL);
    assert_string_equal(stage.told_why, "there is no room for one more secret");
    assert_string_equal(stage.id, "k_1");
    assert_true(stage.answer.may_exist);
    while (count)
        secret_unref(&fillers[--count]);
    stage_close(&stage);
}

/* ---- revocation ---- */

static void revocations(void **state)
{
    static const struct {
        const char *answer;
        int err;
        bool may_retry;
    } cases[] = {
        {DOUBLE_JSON("200 OK", "{}"), 0, false},
        {"HTTP/1.1 204 Gone\r\n\r\n", 0, false},
        {DOUBLE_JSON("404 No", "{\"error\":\"no such key\"}"), 0, false},
        {DOUBLE_JSON("410 Gone", ""), 0, false},
        {DOUBLE_JSON("403 No", ""), ERR_DENIED, false},
        {DOUBLE_JSON("500 Oops", ""), ERR_AGAIN, true},
        {NULL, ERR_PROTO, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct double_step script[] = {
            {.line = "DELETE /v1/keys/k%2F1%3F HTTP/1.1",
             .fields = {"Authorization: Bearer sk-admin-0123456789"},
             .answer = cases[i].answer},
            {.line = NULL}};
        struct stage stage;

        open_declared(&stage, script);
        assert_int_equal(stage_revoke(&stage, "n", "k/1?"), cases[i].err);
        assert_int_equal(stage.answer.may_retry, cases[i].may_retry);
        assert_false(stage.answer.may_exist);
        stage_close(&stage);
    }
}

/* ---- lists ---- */

#define PAGE(body) DOUBLE_JSON("200 OK", body)

static void found_on_the_second_page(void **state)
{
    static const struct double_step script[] = {
        {.line = "GET /v1/keys?limit=2 HTTP/1.1",
         .fields = {"Authorization: Bearer sk-admin-0123456789"},
         .answer = PAGE("{\"keys\":[{\"name\":\"x\",\"key_id\":1},{\"name\":null},7],"
                        "\"next\":\"a b\"}")},
        {.line = "GET /v1/keys?limit=2&after=a%20b HTTP/1.1",
         .answer = PAGE("{\"keys\":[{\"name\":\"nn\"},{\"name\":\"n\",\"key_id\":12,"
                        "\"expires_at\":1795169700}],\"next\":\"c\"}")},
        {.line = NULL}};
    struct stage stage;

    (void)state;
    open_declared(&stage, script);
    assert_int_equal(stage_find(&stage, "n"), 0);
    assert_string_equal(stage.id, "12");
    assert_string_equal(stage.key, "");
    assert_true(stage.answer.issued.expires_wall_us == STAGE_START);
    stage_close(&stage);
}

static void looks_for_a_name(void **state)
{
    static const struct {
        const char *answers[3];
        int err;
        const char *why;
    } cases[] = {
        {{PAGE("{\"keys\":[]}")}, ERR_NOTFOUND, "there is no key of that name"},
        {{PAGE("{}")}, ERR_NOTFOUND, "there is no key of that name"},
        {{PAGE("{\"keys\":[{\"name\":\"N\"}],\"next\":\"\"}")},
         ERR_NOTFOUND,
         "there is no key of that name"},
        /* An empty page is not the end where the server says so. */
        {{PAGE("{\"next\":\"a\"}"), PAGE("{}")}, ERR_NOTFOUND, "there is no key of that name"},
        {{PAGE("{\"next\":\"a\"}"), PAGE("{\"next\":\"a\"}")},
         ERR_PROTO,
         "the list of keys does not end"},
        {{PAGE("{\"keys\":{}}")}, ERR_PROTO, "the answer holds no list of keys"},
        {{PAGE("<html>")}, ERR_PROTO, "the answer holds no list of keys"},
        {{PAGE("{\"keys\":[{\"name\":\"n\"}]}")}, ERR_PROTO, "the answer holds no id at /key_id"},
        {{DOUBLE_JSON("404 No", "")}, ERR_DENIED, "HTTP 404"},
        {{DOUBLE_JSON("500 Oops", "")}, ERR_AGAIN, "HTTP 500"},
        {{PAGE("{\"next\":\"a\"}"), DOUBLE_JSON("403 No", "")}, ERR_DENIED, "HTTP 403"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const bool has_second = cases[i].answers[1] != NULL;
        const struct double_step script[] = {
            {.line = "GET /v1/keys?limit=2 HTTP/1.1", .answer = cases[i].answers[0]},
            {.line = has_second ? "GET /v1/keys?limit=2&after=a HTTP/1.1" : NULL,
             .answer = cases[i].answers[1]},
            {.line = NULL}};
        struct stage stage;

        open_declared(&stage, script);
        assert_int_equal(stage_find(&stage, "n"), cases[i].err);
        assert_string_equal(stage.told_why, cases[i].why);
        assert_false(stage.answer.may_exist);
        stage_close(&stage);
    }
}

/* Asked by the name itself, a 404 says that there is none. */
static void looked_up_by_name(void **state)
{
    static const struct double_step script[] = {
        {.line = "GET /v1/key?name=n HTTP/1.1", .answer = DOUBLE_JSON("404 No", "")},
        {.line = NULL}};
    struct stage stage;
    struct declared declared;
    char url[128];

    (void)state;
    stage_open(&stage, script);
    declare(&stage, &declared);
    snprintf(url, sizeof(url), "%s/v1/key?name={name}", stage.url);
    declared.settings.http.list.url = span_from_text(url);
    assert_int_equal(stage_new_issuer(&stage, &declared.settings), 0);
    assert_int_equal(stage_find(&stage, "n"), ERR_NOTFOUND);
    undeclare(&declared);
    stage_close(&stage);
}

/* ---- settings ---- */

static void expect_complaint(struct stage *stage, struct declared *declared, const char *why)
{
    assert_int_equal(stage_new_issuer(stage, &declared->settings), ERR_SYNTAX);
    assert_string_equal(stage->why, why);
    assert_null(stage->issuer);
    undeclare(declared);
    declare(stage, declared);
}

static void set_body(struct stage *stage, struct declared *declared, const char *text)
{
    secret_unref(&declared->body);
    declared->body = stage_secret(stage, text);
    declared->settings.http.create.body = declared->body;
}

static void set_bearer(struct stage *stage, struct declared *declared, const char *text)
{
    secret_unref(&declared->bearer);
    declared->bearer = stage_secret(stage, text);
    declared->fields[0].value = declared->bearer;
}

static void settings_that_cannot_work(void **state)
{
    struct stage stage;
    struct declared declared;
    struct issuer_http_settings *http = &declared.settings.http;

    (void)state;
    stage_open(&stage, no_script);
    declare(&stage, &declared);
    http->create.url = SPAN("");
    expect_complaint(&stage, &declared, "create: its url is missing");
    http->create.url = SPAN("ftp://example.com/");
    expect_complaint(&stage, &declared, "create: its url cannot be understood");
    http->create.url = SPAN("http://example.com/a b");
    expect_complaint(&stage, &declared, "create: its url cannot be understood");
    http->revoke.url = SPAN("http://example.com/{key_id}");
    expect_complaint(&stage, &declared, "revoke: there is no placeholder {key_id} (in its url)");
    http->create.url = SPAN("http://example.com/{current_key}");
    expect_complaint(&stage, &declared,
                     "create: {current_key} is a secret and cannot stand in a url");
    http->create.url = SPAN("http://example.com/{id}");
    expect_complaint(&stage, &declared, "{id} is known when a key is revoked, not before");
    http->create.url = SPAN("http://example.com/{expires}");
    expect_complaint(&stage, &declared, "{expires} needs a life that is asked for");
    http->create.method = SPAN("PO ST");
    expect_complaint(&stage, &declared, "create: its method cannot be understood");
    http->create.method = SPAN("GET");
    expect_complaint(&stage, &declared, "create: a GET has no body");
    declared.fields[0].name = SPAN("Author: ization");
    expect_complaint(&stage, &declared, "create: its headers cannot be understood");
    set_bearer(&stage, &declared, "a\r\nX: b");
    expect_complaint(&stage, &declared, "create: its headers cannot be understood");
    set_bearer(&stage, &declared, "Bearer {admin_key}");
    expect_complaint(&stage, &declared,
                     "create: there is no placeholder {admin_key} (in its headers)");
    set_body(&stage, &declared, "{\"a\":[\"{nmae}\"]}");
    expect_complaint(&stage, &declared, "create: there is no placeholder {nmae} (in its body)");
    set_body(&stage, &declared, "{\"a\":");
    expect_complaint(&stage, &declared, "create: its body cannot be understood");
    http->key = SPAN("api_key");
    expect_complaint(&stage, &declared, "key: this is no JSON pointer");
    http->expires = SPAN("/a~2");
    expect_complaint(&stage, &declared, "expires: this is no JSON pointer");
    http->id = SPAN("");
    expect_complaint(&stage, &declared,
                     "revoke needs {id}, and create does not say where the id stands");
    http->item_name = SPAN("");
    expect_complaint(&stage, &declared, "list: it does not say where an item's name stands");
    http->item_id = SPAN("");
    expect_complaint(&stage, &declared, "list: it does not say where an item's id stands");
    undeclare(&declared);
    stage_close(&stage);
}

static void what_it_cannot_do_is_said(void **state)
{
    struct stage stage;
    struct declared declared;

    (void)state;
    stage_open(&stage, no_script);
    declare(&stage, &declared);
    declared.settings.http.list.url = declared.settings.http.revoke.url = SPAN("");
    assert_int_equal(stage_new_issuer(&stage, &declared.settings), 0);
    assert_false(issuer_traits(stage.issuer).can_find);
    assert_false(issuer_traits(stage.issuer).can_revoke);
    assert_int_equal(stage_find(&stage, "n"), ERR_UNSUPPORTED);
    assert_int_equal(stage_revoke(&stage, "n", "1"), ERR_UNSUPPORTED);
    assert_int_equal(stage_create(&stage, ""), ERR_RANGE);
    assert_int_equal(stage_create(&stage, "a\nb"), ERR_RANGE);
    undeclare(&declared);
    declare(&stage, &declared);
    secret_unref(&stage.current_key);
    assert_int_equal(stage_new_issuer(&stage, &declared.settings), 0);
    assert_int_equal(stage_revoke(&stage, "n", NULL), ERR_RANGE);
    assert_string_equal(stage.told_why, "there is no id to ask with");
    set_bearer(&stage, &declared, "{current_key}");
    assert_int_equal(stage_new_issuer(&stage, &declared.settings), 0);
    assert_int_equal(stage_create(&stage, "n"), ERR_RANGE);
    assert_string_equal(stage.told_why, "there is no current key to ask with");
    assert_false(stage.answer.may_exist);
    undeclare(&declared);
    stage_close(&stage);
}

/* ---- lives ---- */

static void free_and_ask_no_more(struct issuer_ask *ask, const struct issuer_answer *answer)
{
    struct stage *stage = container_of(ask, struct stage, ask);

    stage_on_done(ask, answer);
    issuer_free(&stage->issuer);
}

static void freed_by_its_own_answer(void **state)
{
    static const struct double_step script[] = {{ASKED, .answer = CREATED}, {.line = NULL}};
    struct stage stage;

    (void)state;
    open_declared(&stage, script);
    stage.ask.on_done = free_and_ask_no_more;
    assert_int_equal(stage_create(&stage, "n"), 0);
    assert_null(stage.issuer);
    stage_close(&stage);
}

static void cancelled_untold(void **state)
{
    struct stage stage;
    struct issuer_subject subject;

    (void)state;
    open_declared(&stage, no_script);
    subject = stage_subject(&stage, "n", NULL);
    issuer_cancel(&stage.ask);
    assert_int_equal(issuer_create(stage.issuer, &stage.ask, &subject), 0);
    issuer_cancel(&stage.ask);
    /* One that fails in a moment. */
    subject.name = SPAN("");
    assert_int_equal(issuer_create(stage.issuer, &stage.ask, &subject), 0);
    assert_int_equal(stage.answers, 0);
    issuer_cancel(&stage.ask);
    for (int i = 0; i < 20; i++)
        assert_int_equal(loop_turn(stage.loop, US_PER_MS), 0);
    assert_int_equal(stage.answers, 0);
    stage_close(&stage);
}

/* Whatever allocation fails, it is said, or the call ends well; with nothing left behind. */
static void without_memory(void **state)
{
    struct double_step script[2] = {{ASKED, .answer = CREATED}, {.line = NULL}};
    bool is_pending = !stage_has_faults();

    (void)state;
    for (long after = 0; !is_pending; after++) {
        struct stage stage;
        struct issuer_subject subject;
        int err;

        open_declared(&stage, script);
        subject = stage_subject(&stage, "n", NULL);
        mem_fail_after(after);
        err = issuer_create(stage.issuer, &stage.ask, &subject);
        if (!err)
            stage_wait(&stage);
        is_pending = mem_fail_is_pending();
        mem_fail_after(-1);
        if (!err && stage.answer.err)
            assert_true(stage.answer.may_exist);
        /* What was not asked is asked now, so that the script is played. */
        if (!stage.server.asked)
            assert_int_equal(stage_create(&stage, "n"), 0);
        stage_close(&stage);
    }
}

static void made_without_memory(void **state)
{
    struct stage stage;
    struct declared declared;

    (void)state;
    stage_open(&stage, no_script);
    declare(&stage, &declared);
    stage_new_without_memory(&stage, &declared.settings);
    undeclare(&declared);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_made),
        cmocka_unit_test(placeholders_are_escaped),
        cmocka_unit_test(expiries),
        cmocka_unit_test(unusable_keys),
        cmocka_unit_test(the_longest_key_is_taken),
        cmocka_unit_test(refusals),
        cmocka_unit_test(echoed_secrets_are_not_told),
        cmocka_unit_test(a_broken_connection_leaves_it_open),
        cmocka_unit_test(a_time_out_leaves_it_open),
        cmocka_unit_test(nobody_there_made_nothing),
        cmocka_unit_test(large_answers_are_refused),
        cmocka_unit_test(an_arena_that_is_full),
        cmocka_unit_test(revocations),
        cmocka_unit_test(found_on_the_second_page),
        cmocka_unit_test(looks_for_a_name),
        cmocka_unit_test(looked_up_by_name),
        cmocka_unit_test(settings_that_cannot_work),
        cmocka_unit_test(what_it_cannot_do_is_said),
        cmocka_unit_test(freed_by_its_own_answer),
        cmocka_unit_test(cancelled_untold),
        cmocka_unit_test(without_memory),
        cmocka_unit_test(made_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

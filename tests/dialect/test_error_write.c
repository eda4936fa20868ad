/* Errors as each client's dialect tells them: the gateway's own, and any provider's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dialect/error_read.h"
#include "dialect/error_write.h"

/* JSON is written with ' for ". */
static void unquote(char *text)
{
    for (; *text; text++)
        *text = *text == '\'' ? '"' : *text;
}

static void assert_written(struct buf *buf, const char *expected)
{
    char text[2048];

    snprintf(text, sizeof(text), "%s", expected);
    unquote(text);
    assert_int_equal(buf->err, 0);
    assert_string_equal(buf_text(buf), text);
    buf_clear(buf);
}

static void assert_ours(enum dialect_id client, const struct error_ours *ours, const char *body)
{
    struct buf buf;

    buf_init(&buf, 4096);
    assert_int_equal(error_write(&buf, client, ours), 0);
    assert_written(&buf, body);
    buf_fini(&buf);
}

/* --- the gateway's own --- */

static void test_a_wrong_field(void **state)
{
    const struct error_ours ours = {.row = failure_row(FAILURE_FIELD_TYPE),
                                    .message = SPAN("stream must be a boolean."),
                                    .param = SPAN("stream"),
                                    .request_id = SPAN("req-1")};

    assert_ours(DIALECT_OPENAI, &ours,
                "{'error':{'message':'stream must be a boolean.','type':'invalid_request_error',"
                "'param':'stream','code':'invalid_type'}}");
    assert_ours(DIALECT_ANTHROPIC, &ours,
                "{'type':'error','error':{'type':'invalid_request_error','message':'stream must be "
                "a boolean.'},'request_id':'req-1'}");
    assert_ours(DIALECT_GEMINI, &ours,
                "{'error':{'code':400,'message':'stream must be a boolean.','status':"
                "'INVALID_ARGUMENT','details':[{'@type':'type.googleapis.com/google.rpc.BadRequest'"
                ",'fieldViolations':[{'field':'stream','description':'stream must be a boolean.'}]}"
                "]}}");
}

static void test_a_bad_client_key(void **state)
{
    const struct error_ours ours = {.row = failure_row(FAILURE_KEY_UNKNOWN)};

    assert_ours(DIALECT_OPENAI, &ours,
                "{'error':{'message':'Incorrect API key provided.','type':'invalid_request_error',"
                "'param':null,'code':'invalid_api_key'}}");
    assert_ours(DIALECT_ANTHROPIC, &ours,
                "{'type':'error','error':{'type':'authentication_error','message':'Incorrect API "
                "key provided.'},'request_id':null}");
    assert_ours(DIALECT_GEMINI, &ours,
                "{'error':{'code':400,'message':'Incorrect API key provided.','status':"
                "'INVALID_ARGUMENT','details':[{'@type':'type.googleapis.com/google.rpc.ErrorInfo',"
                "'reason':'API_KEY_INVALID','domain':'googleapis.com'}]}}");
}

/* Each client is told of the header that it knows. */
static void test_a_missing_client_key(void **state)
{
    const struct error_ours ours = {.row = failure_row(FAILURE_KEY_MISSING)};
    static const char *const headers[DIALECT_COUNT] = {"Authorization: Bearer",
                                                       "x-api-key:", "x-goog-api-key:"};

    for (int client = 0; client < DIALECT_COUNT; client++) {
        struct error_words words;

        error_words_ours((enum dialect_id)client, &ours, &words);
        assert_true(span_find(words.message, span_from_text(headers[client])) != SIZE_MAX);
    }
}

static void test_a_limit_with_a_wait(void **state)
{
    struct error_ours ours = {
        .row = failure_row(FAILURE_KEYS_COOLING), .message = SPAN("m"), .wait_us = 34400000};

    assert_ours(DIALECT_OPENAI, &ours,
                "{'error':{'message':'m','type':'requests','param':null,'code':"
                "'rate_limit_exceeded'}}");
    assert_ours(DIALECT_ANTHROPIC, &ours,
                "{'type':'error','error':{'type':'rate_limit_error','message':'m'},'request_id':"
                "null}");
    assert_ours(DIALECT_GEMINI, &ours,
                "{'error':{'code':429,'message':'m','status':'RESOURCE_EXHAUSTED','details':[{"
                "'@type':'type.googleapis.com/google.rpc.RetryInfo','retryDelay':'34.400s'}]}}");
    ours.wait_us = 2000000;
    ours.row = failure_row(FAILURE_UPSTREAM_OPEN);
    assert_ours(DIALECT_GEMINI, &ours,
                "{'error':{'code':503,'message':'m','status':'UNAVAILABLE','details':[{'@type':"
                "'type.googleapis.com/google.rpc.RetryInfo','retryDelay':'2s'}]}}");
    ours.wait_us = 1;
    assert_ours(DIALECT_GEMINI, &ours,
                "{'error':{'code':503,'message':'m','status':'UNAVAILABLE','details':[{'@type':"
                "'type.googleapis.com/google.rpc.RetryInfo','retryDelay':'0.001s'}]}}");
    ours.wait_us = 0;
    assert_ours(DIALECT_GEMINI, &ours,
                "{'error':{'code':503,'message':'m','status':'UNAVAILABLE'}}");
}

/* Table 11 of translation.md. */
static void test_statuses(void **state)
{
    static const struct {
        enum failure failure;
        int openai, anthropic, gemini;
        const char *anthropic_type, *gemini_type;
    } rows[] = {
        {FAILURE_BODY_NOT_JSON, 400, 400, 400, "invalid_request_error", "INVALID_ARGUMENT"},
        {FAILURE_KEY_EXPIRED, 401, 401, 400, "authentication_error", "INVALID_ARGUMENT"},
        {FAILURE_MODEL_NOT_ALLOWED, 403, 403, 403, "permission_error", "PERMISSION_DENIED"},
        {FAILURE_MODEL_NOT_FOUND, 404, 404, 404, "not_found_error", "NOT_FOUND"},
        {FAILURE_METHOD, 405, 405, 405, "invalid_request_error", "INVALID_ARGUMENT"},
        {FAILURE_REQUEST_TIMEOUT, 408, 408, 408, "invalid_request_error", "DEADLINE_EXCEEDED"},
        {FAILURE_BODY_TOO_LARGE, 413, 413, 400, "request_too_large", "INVALID_ARGUMENT"},
        {FAILURE_HEAD_TOO_LARGE, 431, 431, 431, "invalid_request_error", "INVALID_ARGUMENT"},
        {FAILURE_CLIENT_LIMIT, 429, 429, 429, "rate_limit_error", "RESOURCE_EXHAUSTED"},
        {FAILURE_INTERNAL, 500, 500, 500, "api_error", "INTERNAL"},
        {FAILURE_TRANSFER_CODING, 501, 501, 501, "api_error", "UNIMPLEMENTED"},
        {FAILURE_UPSTREAM_AUTH, 502, 500, 503, "api_error", "UNAVAILABLE"},
        {FAILURE_UPSTREAM_DEPLETED, 503, 529, 503, "overloaded_error", "UNAVAILABLE"},
        {FAILURE_OVERLOADED, 503, 529, 503, "overloaded_error", "UNAVAILABLE"},
        {FAILURE_TIMEOUT, 504, 504, 504, "timeout_error", "DEADLINE_EXCEEDED"},
        {FAILURE_HTTP_VERSION, 505, 505, 505, "api_error", "UNIMPLEMENTED"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct error_ours ours = {.row = failure_row(rows[i].failure)};
        struct error_words words;
        int status = ours.row->status;

        assert_int_equal(error_status(DIALECT_OPENAI, status), rows[i].openai);
        assert_int_equal(error_status(DIALECT_ANTHROPIC, status), rows[i].anthropic);
        assert_int_equal(error_status(DIALECT_GEMINI, status), rows[i].gemini);
        error_words_ours(DIALECT_ANTHROPIC, &ours, &words);
        assert_true(span_is_equal(words.type, span_from_text(rows[i].anthropic_type)));
        error_words_ours(DIALECT_GEMINI, &ours, &words);
        assert_true(span_is_equal(words.type, span_from_text(rows[i].gemini_type)));
        assert_int_equal(words.status, rows[i].gemini);
    }
}

/* OpenAI's clients see what they always saw. */
static void test_openai_s_words_are_the_row_s(void **state)
{
    for (int i = 0; i < FAILURE_COUNT; i++) {
        const struct error_ours ours = {.row = failure_row((enum failure)i)};
        struct error_words words;

        error_words_ours(DIALECT_OPENAI, &ours, &words);
        assert_int_equal(words.status, ours.row->status);
        assert_true(span_is_equal(words.type, span_from_text(ours.row->type)));
        assert_true(span_is_equal(words.code, span_from_text(ours.row->code)));
        assert_true(span_is_equal(words.message, span_from_text(ours.row->message)));
    }
}

/* --- a provider's --- */

struct telling {
    enum dialect_id upstream;
    int status;
    const char *body;
    enum dialect_id client;
    int expected_status;
    const char *expected;
};

static void check_telling(const struct telling *telling)
{
    struct error_told told = {.upstream = telling->upstream, .status = telling->status};
    struct dialect_error error;
    char body[1024];
    struct buf buf;

    snprintf(body, sizeof(body), "%s", telling->body);
    unquote(body);
    error_read(span_from_text(body), &error);
    told.error = &error;
    buf_init(&buf, 4096);
    assert_int_equal(error_status_told(telling->client, &told), telling->expected_status);
    assert_int_equal(error_write_told(&buf, telling->client, &told), 0);
    assert_written(&buf, telling->expected);
    buf_fini(&buf);
}

#define ANTHROPIC(type, message)                                                                   \
    "{'type':'error','error':{'type':'" type "','message':'" message "'},'request_id':null}"
#define OPENAI(type, code, message)                                                                \
    "{'error':{'message':'" message "','type':'" type "','param':null,'code':" code "}}"
#define GEMINI(code, status, message)                                                              \
    "{'error':{'code':" #code ",'message':'" message "','status':'" status "'}}"

static void test_anthropic_s_errors(void **state)
{
    static const struct telling rows[] = {
        {DIALECT_ANTHROPIC, 400, ANTHROPIC("invalid_request_error", "max_tokens: Field required"),
         DIALECT_OPENAI, 400,
         OPENAI("invalid_request_error", "null", "max_tokens: Field required")},
        {DIALECT_ANTHROPIC, 400,
         ANTHROPIC("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"),
         DIALECT_OPENAI, 400,
         OPENAI("invalid_request_error", "'context_length_exceeded'",
                "prompt is too long: 9 tokens > 8 maximum")},
        {DIALECT_ANTHROPIC, 404, ANTHROPIC("not_found_error", "model: claude-x"), DIALECT_OPENAI,
         404, OPENAI("invalid_request_error", "'model_not_found'", "model: claude-x")},
        {DIALECT_ANTHROPIC, 404, ANTHROPIC("not_found_error", "model: claude-x"), DIALECT_GEMINI,
         404, GEMINI(404, "NOT_FOUND", "model: claude-x")},
        {DIALECT_ANTHROPIC, 413, ANTHROPIC("request_too_large", "too much"), DIALECT_OPENAI, 413,
         OPENAI("invalid_request_error", "'request_too_large'", "too much")},
        {DIALECT_ANTHROPIC, 413, "<html>413</html>", DIALECT_GEMINI, 400,
         GEMINI(400, "INVALID_ARGUMENT", "The provider reported an error.")},
        {DIALECT_ANTHROPIC, 500, ANTHROPIC("api_error", "Internal server error"), DIALECT_OPENAI,
         500,
         "{'error':{'message':'Internal server error','type':'server_error','param':null,"
         "'code':null}}"},
        {DIALECT_ANTHROPIC, 529, ANTHROPIC("overloaded_error", "Overloaded"), DIALECT_OPENAI, 503,
         OPENAI("service_unavailable_error", "'server_is_overloaded'", "Overloaded")},
        {DIALECT_ANTHROPIC, 529, ANTHROPIC("overloaded_error", "Overloaded"), DIALECT_ANTHROPIC,
         529, ANTHROPIC("overloaded_error", "Overloaded")},
        {DIALECT_ANTHROPIC, 529, ANTHROPIC("overloaded_error", "Overloaded"), DIALECT_GEMINI, 503,
         GEMINI(503, "UNAVAILABLE", "Overloaded")},
        {DIALECT_ANTHROPIC, 500, ANTHROPIC("api_error", "Overloaded"), DIALECT_GEMINI, 503,
         GEMINI(503, "UNAVAILABLE", "Overloaded")},
        /* A key of ours is no key of the client's. */
        {DIALECT_ANTHROPIC, 401, ANTHROPIC("authentication_error", "invalid x-api-key"),
         DIALECT_OPENAI, 502, OPENAI("server_error", "'upstream_auth'", "invalid x-api-key")},
        {DIALECT_ANTHROPIC, 402, ANTHROPIC("billing_error", "unpaid"), DIALECT_GEMINI, 503,
         GEMINI(503, "UNAVAILABLE", "unpaid")},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_telling(&rows[i]);
}

static void test_google_s_errors(void **state)
{
    static const struct telling rows[] = {
        {DIALECT_GEMINI, 400,
         "{'error':{'code':400,'message':'Unknown name','status':'INVALID_ARGUMENT','details':[{"
         "'@type':'type.googleapis.com/google.rpc.BadRequest','fieldViolations':[{'field':'a.b'}]}]"
         "}}",
         DIALECT_OPENAI, 400, OPENAI("invalid_request_error", "null", "Unknown name")},
        {DIALECT_GEMINI, 400,
         "{'error':{'code':400,'message':'Unknown name','status':'INVALID_ARGUMENT','details':[{"
         "'@type':'type.googleapis.com/google.rpc.BadRequest','fieldViolations':[{'field':'a.b'}]}]"
         "}}",
         DIALECT_GEMINI, 400,
         "{'error':{'code':400,'message':'Unknown name','status':'INVALID_ARGUMENT','details':[{"
         "'@type':'type.googleapis.com/google.rpc.BadRequest','fieldViolations':[{'field':'a.b',"
         "'description':'Unknown name'}]}]}}"},
        {DIALECT_GEMINI, 400,
         GEMINI(400, "INVALID_ARGUMENT",
                "The input token count (9) exceeds the maximum number of tokens allowed (8)."),
         DIALECT_ANTHROPIC, 400,
         ANTHROPIC("invalid_request_error",
                   "prompt is too long: The input token count (9) exceeds the maximum number of "
                   "tokens allowed (8).")},
        {DIALECT_GEMINI, 400,
         "{'error':{'code':400,'message':'API key not valid. Please pass a valid API key.',"
         "'status':'INVALID_ARGUMENT','details':[{'reason':'API_KEY_INVALID'}]}}",
         DIALECT_ANTHROPIC, 500,
         ANTHROPIC("api_error", "API key not valid. Please pass a valid API key.")},
        {DIALECT_GEMINI, 429,
         "{'error':{'code':429,'message':'quota','status':'RESOURCE_EXHAUSTED','details':[{'@type':"
         "'type.googleapis.com/google.rpc.QuotaFailure','violations':[{'quotaId':'XPerDayY'}]},{"
         "'@type':'type.googleapis.com/google.rpc.RetryInfo','retryDelay':'7s'}]}}",
         DIALECT_GEMINI, 429,
         "{'error':{'code':429,'message':'quota','status':'RESOURCE_EXHAUSTED','details':[{'@type':"
         "'type.googleapis.com/google.rpc.RetryInfo','retryDelay':'7s'}]}}"},
        {DIALECT_GEMINI, 429, GEMINI(429, "RESOURCE_EXHAUSTED", "quota"), DIALECT_ANTHROPIC, 429,
         ANTHROPIC("rate_limit_error", "quota")},
        {DIALECT_GEMINI, 503, GEMINI(503, "UNAVAILABLE", "The model is overloaded."),
         DIALECT_ANTHROPIC, 529, ANTHROPIC("overloaded_error", "The model is overloaded.")},
        {DIALECT_GEMINI, 504, GEMINI(504, "DEADLINE_EXCEEDED", "late"), DIALECT_ANTHROPIC, 504,
         ANTHROPIC("timeout_error", "late")},
        {DIALECT_GEMINI, 404, GEMINI(404, "NOT_FOUND", "Requested entity was not found."),
         DIALECT_OPENAI, 404,
         OPENAI("invalid_request_error", "null", "Requested entity was not found.")},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_telling(&rows[i]);
}

static void test_openai_s_errors(void **state)
{
    static const struct telling rows[] = {
        {DIALECT_OPENAI, 400,
         "{'error':{'message':'Too hot','type':'invalid_request_error','param':'temperature',"
         "'code':'unsupported_value'}}",
         DIALECT_OPENAI, 400,
         "{'error':{'message':'Too hot','type':'invalid_request_error','param':'temperature',"
         "'code':'unsupported_value'}}"},
        {DIALECT_OPENAI, 400,
         "{'error':{'message':'Too hot','type':'invalid_request_error','param':'temperature',"
         "'code':'unsupported_value'}}",
         DIALECT_ANTHROPIC, 400, ANTHROPIC("invalid_request_error", "Too hot")},
        {DIALECT_OPENAI, 400,
         OPENAI("invalid_request_error", "'context_length_exceeded'", "It is long."),
         DIALECT_ANTHROPIC, 400,
         ANTHROPIC("invalid_request_error", "prompt is too long: It is long.")},
        {DIALECT_OPENAI, 413,
         OPENAI("invalid_request_error", "null", "It exceeds the maximum context length of 8."),
         DIALECT_ANTHROPIC, 400,
         ANTHROPIC("invalid_request_error",
                   "prompt is too long: It exceeds the maximum context length of 8.")},
        {DIALECT_OPENAI, 422, "{'detail':[{'type':'missing','loc':['body','x'],'msg':'Required'}]}",
         DIALECT_ANTHROPIC, 400, ANTHROPIC("invalid_request_error", "Required")},
        {DIALECT_OPENAI, 429,
         OPENAI("tokens", "'rate_limit_exceeded'",
                "Rate limit reached for m in organization org-AbCd1234 on tokens per min (TPM)"),
         DIALECT_ANTHROPIC, 429,
         ANTHROPIC("rate_limit_error",
                   "Rate limit reached for m in organization org-*** on tokens per min (TPM)")},
        {DIALECT_OPENAI, 401,
         OPENAI("invalid_request_error", "'invalid_api_key'",
                "Incorrect API key provided: sk-proj-****wxyz."),
         DIALECT_GEMINI, 503, GEMINI(503, "UNAVAILABLE", "Incorrect API key provided: sk-***.")},
        {DIALECT_OPENAI, 498, "{'error':{'message':'full','code':'capacity_exceeded'}}",
         DIALECT_ANTHROPIC, 529, ANTHROPIC("overloaded_error", "full")},
        {DIALECT_OPENAI, 520, "<html>", DIALECT_ANTHROPIC, 500,
         ANTHROPIC("api_error", "The provider reported an error.")},
        {DIALECT_OPENAI, 403, "{'error':{'message':'flagged','code':403}}", DIALECT_ANTHROPIC, 403,
         ANTHROPIC("permission_error", "flagged")},
        {DIALECT_OPENAI, 401,
         OPENAI("invalid_request_error", "'invalid_api_key'",
                "Incorrect API key provided: sk-proj-****wxyz."),
         DIALECT_OPENAI, 502,
         OPENAI("server_error", "'upstream_auth'", "Incorrect API key provided: sk-***.")},
        {DIALECT_OPENAI, 402, "{'error':{'message':'Insufficient Balance','code':'x'}}",
         DIALECT_OPENAI, 503,
         OPENAI("service_unavailable_error", "'upstream_depleted'", "Insufficient Balance")},
        {DIALECT_OPENAI, 429, OPENAI("tokens", "'rate_limit_exceeded'", "slowly"), DIALECT_OPENAI,
         429, OPENAI("tokens", "'rate_limit_exceeded'", "slowly")},
        /* inside a success */
        {DIALECT_OPENAI, 200, "{'error':{'message':'down','code':502}}", DIALECT_ANTHROPIC, 500,
         ANTHROPIC("api_error", "down")},
        {DIALECT_OPENAI, 200, "{'error':{'message':'down','code':502}}", DIALECT_OPENAI, 502,
         "{'error':{'message':'down','type':null,'param':null,'code':'502'}}"},
        {DIALECT_OPENAI, 302, "{'error':{'message':'elsewhere','code':402}}", DIALECT_OPENAI, 502,
         "{'error':{'message':'elsewhere','type':null,'param':null,'code':'402'}}"},
        {DIALECT_OPENAI, 200, "{'error':'broken'}", DIALECT_GEMINI, 503,
         GEMINI(503, "UNAVAILABLE", "broken")},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_telling(&rows[i]);
}

static void test_events(void **state)
{
    struct dialect_error error = {.is_json = true};
    const struct error_told told = {
        .upstream = DIALECT_ANTHROPIC, .status = 200, .error = &error, .request_id = SPAN("r1")};
    const struct error_ours ours = {.row = failure_row(FAILURE_TIMEOUT), .message = SPAN("m")};
    struct buf buf;

    buf_init(&buf, 4096);
    assert_int_equal(error_write_event(&buf, DIALECT_OPENAI, &ours), 0);
    assert_written(&buf, "data: {'error':{'message':'m','type':'server_error','param':null,'code':"
                         "'timeout'}}\n\n");
    assert_int_equal(error_write_event(&buf, DIALECT_ANTHROPIC, &ours), 0);
    assert_written(&buf, "event: error\ndata: {'type':'error','error':{'type':'timeout_error',"
                         "'message':'m'},'request_id':null}\n\n");
    assert_int_equal(error_write_event(&buf, DIALECT_GEMINI, &ours), 0);
    assert_written(&buf, "data: {'error':{'code':504,'message':'m','status':"
                         "'DEADLINE_EXCEEDED'}}\r\n\r\n"
                         "{'error':{'code':504,'message':'m','status':'DEADLINE_EXCEEDED'}}");
    error.type_len = dialect_keep(error.type, sizeof(error.type), SPAN("overloaded_error"));
    error.message_len = dialect_keep(error.message, sizeof(error.message), SPAN("Overloaded"));
    assert_int_equal(error_write_event_told(&buf, DIALECT_OPENAI, &told), 0);
    assert_written(&buf,
                   "data: {'error':{'message':'Overloaded','type':"
                   "'service_unavailable_error','param':null,'code':'server_is_overloaded'}}\n\n");
    assert_int_equal(error_write_event_told(&buf, DIALECT_ANTHROPIC, &told), 0);
    assert_written(&buf, "event: error\ndata: {'type':'error','error':{'type':'overloaded_error',"
                         "'message':'Overloaded'},'request_id':'r1'}\n\n");
    assert_int_equal(error_write_event_told(&buf, DIALECT_GEMINI, &told), 0);
    assert_written(&buf,
                   "data: {'error':{'code':503,'message':'Overloaded','status':'UNAVAILABLE'}}"
                   "\r\n\r\n"
                   "{'error':{'code':503,'message':'Overloaded','status':'UNAVAILABLE'}}");
    buf_fini(&buf);
}

/* Whatever the pair and the status, a client's SDK finds an error of its own dialect. */
static void test_every_pair_has_a_status_and_a_type(void **state)
{
    static const struct dialect_error nothing = {.is_empty = true};

    for (int pair = 0; pair < DIALECT_COUNT * DIALECT_COUNT; pair++) {
        for (int status = 0; status < 700; status++) {
            enum dialect_id client = (enum dialect_id)(pair % DIALECT_COUNT);
            const struct error_told told = {.upstream = (enum dialect_id)(pair / DIALECT_COUNT),
                                            .status = status,
                                            .error = status % 2 ? &nothing : NULL};
            struct error_words words;

            error_words_told(client, &told, &words);
            assert_true(words.status >= 400 && words.status <= 599);
            assert_true(words.message.len > 0);
            if (client != told.upstream || client != DIALECT_OPENAI)
                assert_true(words.type.len > 0);
            assert_true(words.status != 401 && words.status != 402);
        }
    }
}

/* Writes the one and the other, which must not differ. */
static void assert_same(struct buf *one, struct buf *other, const char *what)
{
    if (!span_is_equal(buf_span(one), buf_span(other)))
        fail_msg("%s: %s is not %s", what, buf_text(other), buf_text(one));
    buf_clear(one);
    buf_clear(other);
}

/* What passes through a stream's writer comes out as if it had been written at once. */
static void test_words_that_are_carried_stay(void **state)
{
    struct buf direct, carried;

    buf_init(&direct, 4096);
    buf_init(&carried, 4096);
    for (int i = 0; i < FAILURE_COUNT * DIALECT_COUNT; i++) {
        enum dialect_id client = (enum dialect_id)(i % DIALECT_COUNT);
        struct error_ours ours = {.row = failure_row((enum failure)(i / DIALECT_COUNT)),
                                  .param = SPAN("x"),
                                  .wait_us = 1500000};
        struct dialect_error error;
        const struct error_told again = {.upstream = client, .status = 200, .error = &error};

        /* The client and its key were looked at long before a stream began. */
        if (ours.row->blame == BLAME_CLIENT)
            continue;
        if (client == DIALECT_ANTHROPIC)
            ours.param.len = 0;
        error_from_ours(client, &ours, &error);
        assert_int_equal(error_write_event(&direct, client, &ours), 0);
        assert_int_equal(error_write_event_told(&carried, client, &again), 0);
        assert_same(&direct, &carried, ours.row->label);
    }
    buf_fini(&direct);
    buf_fini(&carried);
}

static void test_a_provider_s_error_carried_to_another_dialect(void **state)
{
    struct dialect_error error = {.is_json = true}, carried;
    struct error_told told = {.upstream = DIALECT_ANTHROPIC, .status = 200, .error = &error};
    struct error_told again = {.status = 200, .error = &carried};
    struct buf one, other;

    buf_init(&one, 4096);
    buf_init(&other, 4096);
    error.type_len = dialect_keep(error.type, sizeof(error.type), SPAN("overloaded_error"));
    error.message_len = dialect_keep(error.message, sizeof(error.message), SPAN("Overloaded"));
    for (int client = 0; client < DIALECT_COUNT; client++) {
        again.upstream = (enum dialect_id)client;
        error_from_told(again.upstream, &told, &carried);
        assert_int_equal(error_write_event_told(&one, again.upstream, &told), 0);
        assert_int_equal(error_write_event_told(&other, again.upstream, &again), 0);
        assert_same(&one, &other, "overloaded_error");
    }
    buf_fini(&one);
    buf_fini(&other);
}

static void test_no_room(void **state)
{
    const struct error_ours ours = {.row = failure_row(FAILURE_TIMEOUT)};

    for (int client = 0; client < DIALECT_COUNT; client++) {
        struct buf buf;

        buf_init(&buf, 20);
        assert_int_equal(error_write(&buf, (enum dialect_id)client, &ours), ERR_FULL);
        buf_fini(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_wrong_field),
        cmocka_unit_test(test_a_bad_client_key),
        cmocka_unit_test(test_a_missing_client_key),
        cmocka_unit_test(test_a_limit_with_a_wait),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_openai_s_words_are_the_row_s),
        cmocka_unit_test(test_anthropic_s_errors),
        cmocka_unit_test(test_google_s_errors),
        cmocka_unit_test(test_openai_s_errors),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_every_pair_has_a_status_and_a_type),
        cmocka_unit_test(test_words_that_are_carried_stay),
        cmocka_unit_test(test_a_provider_s_error_carried_to_another_dialect),
        cmocka_unit_test(test_no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

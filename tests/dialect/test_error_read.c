/* Errors in every shape that providers send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dialect/error_read.h"
#include "dialect/limit_header.h"

struct shape {
    const char *body; /* with ' for \" */
    const char *message, *code, *type, *param, *detail;
    int status;
};

static const struct shape shapes[] = {
    {"{'error':{'message':'m','type':'t','param':'p','code':'c'}}", "m", "c", "t", "p", "", 0},
    {"{'error':{'message':'m','type':null,'param':null,'code':null}}", "m", "", "", "", "", 0},
    /* vLLM, OpenRouter: numbers */
    {"{'error':{'message':'m','type':'BadRequestError','param':'x','code':400}}", "m", "400",
     "BadRequestError", "x", "", 400},
    {"{'error':{'code':403,'message':'m','metadata':{'error_type':'payment_required'}},"
     "'user_id':'u'}",
     "m", "403", "", "", "payment_required", 403},
    /* Azure */
    {"{'error':{'code':'429','message':'m'}}", "m", "429", "", "", "", 429},
    {"{'error':{'message':'m','type':null,'param':'prompt','code':'content_filter','status':400,"
     "'innererror':{'code':'ResponsibleAIPolicyViolation'}}}",
     "m", "content_filter", "", "prompt", "ResponsibleAIPolicyViolation", 400},
    {"{'statusCode':401,'message':'Unauthorized.'}", "Unauthorized.", "", "", "", "", 401},
    /* Mistral: flat */
    {"{'object':'error','message':'m','type':'rate_limited','param':null,'code':'1300',"
     "'raw_status_code':429}",
     "m", "1300", "rate_limited", "", "", 429},
    {"{'object':'error','message':{'detail':[{'type':'missing','loc':['body','model'],"
     "'msg':'Field required','input':{}}]}}",
     "Field required", "", "missing", "model", "", 0},
    {"{'message':'Requests rate limit exceeded'}", "Requests rate limit exceeded", "", "", "", "",
     0},
    /* FastAPI */
    {"{'detail':'Unauthorized'}", "Unauthorized", "", "", "", "", 0},
    {"{'detail':[{'type':'extra_forbidden','loc':['body','x'],'msg':'Extra inputs'}]}",
     "Extra inputs", "", "extra_forbidden", "x", "", 0},
    {"{'detail':[]}", "", "", "", "", "", 0},
    /* Ollama, xAI: a string */
    {"{'error':'model not found'}", "model not found", "", "", "", "", 0},
    {"{'code':'invalid','error':'Incorrect API key'}", "Incorrect API key", "invalid", "", "", "",
     0},
    /* Gemini's skin: an array around it */
    {"[{'error':{'code':429,'message':'m','status':'RESOURCE_EXHAUSTED'}}]", "m", "429",
     "RESOURCE_EXHAUSTED", "", "", 429},
    /* Google */
    {"{'error':{'code':400,'message':'API key not valid. Please pass a valid API key.','status':"
     "'INVALID_ARGUMENT','details':[{'@type':'type.googleapis.com/google.rpc.ErrorInfo','reason':"
     "'API_KEY_INVALID','domain':'googleapis.com','metadata':{'service':'x'}},{'@type':"
     "'type.googleapis.com/google.rpc.LocalizedMessage','locale':'en-US','message':'n'}]}}",
     "API key not valid. Please pass a valid API key.", "400", "INVALID_ARGUMENT", "",
     "API_KEY_INVALID", 400},
    {"{'error':{'code':400,'message':'m','status':'INVALID_ARGUMENT','details':[{'@type':"
     "'type.googleapis.com/google.rpc.BadRequest','fieldViolations':[{'field':'tools[0]',"
     "'description':'d'},{'field':'b'}]}]}}",
     "m", "400", "INVALID_ARGUMENT", "tools[0]", "", 400},
    /* Anthropic */
    {"{'type':'error','error':{'type':'overloaded_error','message':'Overloaded'},'request_id':"
     "'req_1'}",
     "Overloaded", "", "overloaded_error", "", "", 0},
    {"{'type':'error','error':{'details':{'error_code':'enforced_spend_limit_reached'},'type':"
     "'rate_limit_error','message':'m'},'request_id':null}",
     "m", "", "rate_limit_error", "", "enforced_spend_limit_reached", 0},
    {"{'type':'error','error':{'details':null,'type':'api_error','message':'m'}}", "m", "",
     "api_error", "", "", 0},
    /* the Responses API: an event that is flat, and one that holds it deeper */
    {"{'type':'error','code':'server_error','message':'m','param':null,'sequence_number':3}", "m",
     "server_error", "", "", "", 0},
    {"{'type':'response.failed','response':{'id':'r','error':{'code':'server_error','message':"
     "'m'}}}",
     "m", "server_error", "", "", "", 0},
    /* OpenRouter */
    {"{'error':{'message':'Provider returned error','code':429,'metadata':{'raw':'the model is "
     "busy','provider_name':'p','provider_code':1302}}}",
     "Provider returned error: the model is busy", "429", "", "", "1302", 429},
    {"{'error':{'message':'Provider returned error','code':502,'metadata':{'raw':"
     "'{\\'error\\':{\\'message\\':\\'deep\\',\\'type\\':\\'insufficient_quota\\'}}'}}}",
     "Provider returned error: deep", "502", "", "", "", 502},
    {"{'error':{'message':'Provider returned error','code':502,'metadata':{'raw':null}}}",
     "Provider returned error", "502", "", "", "", 502},
    /* an error whose JSON is another one's message */
    {"{'error':{'message':'{\\n  \\'error\\': {\\'code\\': 403, \\'message\\': "
     "\\'leaked\\', \\'status\\': \\'PERMISSION_DENIED\\'}}\\n','code':403,'status':'Forbidden'}}",
     "leaked", "403", "PERMISSION_DENIED", "", "", 403},
    {"{'error':{'message':'{\\'error\\': {\\'message\\': \\'deep\\'}}','code':429}}", "deep", "",
     "", "", "", 429},
    {"{'error':{'message':'{\\'error\\': {}}','type':'t'}}", "{\"error\": {}}", "", "t", "", "", 0},
    {"{'error':{'message':'{\\'message\\': \\'said\\'}','type':'t'}}", "{\"message\": \"said\"}",
     "", "t", "", "", 0},
    {"{'error':{'message':'{x} is no template','code':400}}", "{x} is no template", "400", "", "",
     "", 400},
    /* AWS, Cloudflare */
    {"{'__type':'com.amazon.coral.service#ThrottlingException','Message':'Too many requests'}",
     "Too many requests", "", "ThrottlingException", "", "", 0},
    {"{'__type':'ValidationException','message':'m'}", "m", "", "ValidationException", "", "", 0},
    {"{'success':false,'errors':[{'code':7003,'message':'No route'}]}", "No route", "7003", "", "",
     "", 0},
    /* details that are nobody's */
    {"{'error':{'message':'m','details':['x',1,null,{'@type':5,'reason':{}}]}}", "m", "", "", "",
     "", 0},
    {"{'error':{'message':'m','details':'x'}}", "m", "", "", "", "", 0},
    /* Nothing to be told */
    {"{}", "", "", "", "", "", 0},
    {"[]", "", "", "", "", "", 0},
    {"null", "", "", "", "", "", 0},
    {"{'error':{'message':5,'type':{},'code':[],'param':true}}", "", "", "", "", "", 0},
    {"{'error':{'message':{},'type':['t'],'param':{'code':1,'b':2},'metadata':{'error_type':[1]}}}",
     "", "", "", "", "", 0},
    {"{'error':{'message':'m','code':1300}}", "m", "1300", "", "", "", 0},
    {"{'error':{'message':'m','code':-1}}", "m", "-1", "", "", "", 0},
};

static void assert_text(struct span text, const char *expected)
{
    if (!span_is_equal(text, span_from_text(expected)))
        fail_msg("'%.*s' is not '%s'", SPAN_ARG(text), expected);
}

/* Writes the body with " for '. */
static void read_quoted(const char *text, struct dialect_error *ret_error)
{
    char body[2048];
    int len = snprintf(body, sizeof(body), "%s", text);

    assert_true(len > 0 && (size_t)len < sizeof(body));
    for (char *at = body; *at; at++)
        *at = *at == '\'' ? '"' : *at;
    error_read(span_from_text(body), ret_error);
}

static void test_every_shape(void **state)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct dialect_error error;

        read_quoted(shapes[i].body, &error);
        assert_true(error.is_json);
        assert_false(error.is_empty);
        assert_text(dialect_error_message(&error), shapes[i].message);
        assert_text(dialect_error_code(&error), shapes[i].code);
        assert_text(dialect_error_type(&error), shapes[i].type);
        assert_text(dialect_error_param(&error), shapes[i].param);
        assert_text(dialect_error_detail(&error), shapes[i].detail);
        assert_int_equal(error.status, shapes[i].status);
    }
}

static void test_what_is_not_json(void **state)
{
    struct dialect_error error;

    error_read(SPAN("<html><h1>502 Bad Gateway</h1></html>"), &error);
    assert_false(error.is_json);
    assert_false(error.is_empty);
    assert_int_equal(error.message_len, 0);
    error_read(span_of(NULL, 0), &error);
    assert_true(error.is_empty);
    error_read(SPAN("{\"error\":{\"message\":\"cut"), &error);
    assert_false(error.is_json);
}

static void test_long_texts_are_cut_at_whole_characters(void **state)
{
    char body[4096];
    struct dialect_error error;
    size_t len = 0;

    len += (size_t)snprintf(body, sizeof(body), "{\"error\":{\"message\":\"x");
    while (len < 4000)
        len += (size_t)snprintf(body + len, sizeof(body) - len, "\xE4\xB8\xAD");
    snprintf(body + len, sizeof(body) - len, "\"}}");
    error_read(span_from_text(body), &error);
    assert_int_equal(error.message_len, 511); /* 1 + 170 * 3 */
}

static void test_a_giant_body_is_not_read(void **state)
{
    size_t len = ERROR_BODY_MAX + 1;
    char *body = malloc(len);
    struct dialect_error error;

    assert_non_null(body);
    memset(body, ' ', len);
    memcpy(body, "{}", 2);
    error_read(span_of(body, len), &error);
    assert_false(error.is_json);
    error_read(span_of(body, len - 1), &error);
    assert_true(error.is_json);
    free(body);
}

#define QUOTA(id)                                                                                  \
    "{'quotaMetric':'generativelanguage.googleapis.com/generate_content_free_tier_requests',"      \
    "'quotaId':'" id "','quotaDimensions':{'location':'global','model':'gemini-2.5-pro'}}"
#define QUOTAS(list)                                                                               \
    "{'@type':'type.googleapis.com/google.rpc.QuotaFailure','violations':[" list "]}"
#define RETRY(delay) "{'@type':'type.googleapis.com/google.rpc.RetryInfo','retryDelay':" delay "}"
#define REASON       "{'@type':'type.googleapis.com/google.rpc.ErrorInfo','reason':'RATE_LIMIT_EXCEEDED'}"
#define GOOGLE(details)                                                                            \
    "{'error':{'code':429,'message':'m','status':'RESOURCE_EXHAUSTED','details':[" details "]}}"

#define MINUTE "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
#define DAY    "GenerateRequestsPerDayPerProjectPerModel-FreeTier"

#define VALUED(id, value) "{'quotaId':'" id "','quotaValue':" value "}"
#define TOKENS            "GenerateContentInputTokensPerModelPerMinute-FreeTier"

/* A refusal is all that Gemini tells of its limits. */
static void test_google_tells_a_minute_s_limits(void **state)
{
    static const struct {
        const char *body;
        uint64_t requests, input, reset_us;
    } rows[] = {
        {GOOGLE(QUOTAS(VALUED(MINUTE, "'15'")) "," RETRY("'34.4s'")), 15, 0, 34400000},
        {GOOGLE(RETRY("'2s'") "," QUOTAS(VALUED(TOKENS, "250000") "," VALUED(MINUTE, "'10'"))), 10,
         250000, 2000000},
        /* Nothing is known of the minute where the day is over, or where no time is told. */
        {GOOGLE(QUOTAS(VALUED(DAY, "'200'")) "," RETRY("'7s'")), 0, 0, 0},
        {GOOGLE(QUOTAS(VALUED(MINUTE, "'15'") "," VALUED(DAY, "'200'")) "," RETRY("'7s'")), 0, 0,
         0},
        {GOOGLE(QUOTAS(VALUED(MINUTE, "'15'"))), 0, 0, 0},
        {GOOGLE(QUOTAS(VALUED(MINUTE, "'0'") "," VALUED(MINUTE, "'x'") "," VALUED(
             MINUTE, "-3")) "," RETRY("'7s'")),
         0, 0, 0},
        {GOOGLE(RETRY("'7s'")), 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dialect_error error;
        struct limits_told told;
        bool is_told = rows[i].reset_us != 0;

        read_quoted(rows[i].body, &error);
        assert_true(limits_told_by_error(&error, &told) == is_told && told.is_refused == is_told);
        assert_int_equal(told.items[LIMITS_REQUESTS].limit, rows[i].requests);
        assert_int_equal(told.items[LIMITS_INPUT].limit, rows[i].input);
        assert_int_equal(told.items[LIMITS_REQUESTS].remaining, 0);
        assert_int_equal(told.items[LIMITS_REQUESTS].reset_us, rows[i].reset_us);
        assert_int_equal(told.items[LIMITS_REQUESTS].window_us, is_told ? 60000000 : 0);
    }
}

/* Which quota it was, and of several the one that lasts. */
static void test_google_names_the_quota(void **state)
{
    static const struct {
        const char *body, *detail;
    } rows[] = {
        {GOOGLE(QUOTAS(QUOTA(MINUTE))), MINUTE},
        {GOOGLE(REASON "," QUOTAS(QUOTA(MINUTE))), MINUTE},
        {GOOGLE(QUOTAS(QUOTA(MINUTE) "," QUOTA(DAY)) "," REASON), DAY},
        {GOOGLE(QUOTAS(QUOTA(DAY) "," QUOTA(MINUTE))), DAY},
        {GOOGLE(QUOTAS("{'quotaMetric':'per_day'}")), "per_day"},
        {GOOGLE(QUOTAS("{},5")), ""},
        {GOOGLE(QUOTAS("{}," QUOTA(MINUTE))), MINUTE},
        {GOOGLE("{'@type':'type.googleapis.com/google.rpc.QuotaFailure','violations':7}"), ""},
        {GOOGLE(REASON), "RATE_LIMIT_EXCEEDED"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dialect_error error;

        read_quoted(rows[i].body, &error);
        assert_text(dialect_error_detail(&error), rows[i].detail);
        assert_text(dialect_error_type(&error), "RESOURCE_EXHAUSTED");
    }
}

static void test_the_wait_that_a_body_tells(void **state)
{
    static const struct {
        const char *body;
        uint32_t ms;
    } rows[] = {
        {GOOGLE(RETRY("'34.4s'")), 34400},
        {GOOGLE(QUOTAS(QUOTA(DAY)) "," RETRY("'20.04466179s'")), 20045},
        {GOOGLE(RETRY("'17s'") ",{}"), 17000},
        {GOOGLE("{'retryDelay':'1s'}"), 1000},
        {GOOGLE(RETRY("'0s'")), 0},
        {GOOGLE(RETRY("'-5s'")), 0},
        {GOOGLE(RETRY("'soon'")), 0},
        {GOOGLE(RETRY("34")), 0},
        {GOOGLE(RETRY("'315576000000s'")), UINT32_MAX},
        {GOOGLE(RETRY("'99999999999999999999s'")), 0},
        {"[" GOOGLE(RETRY("'3s'")) "]", 3000},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dialect_error error;

        read_quoted(rows[i].body, &error);
        if (error.retry_after_ms != rows[i].ms)
            fail_msg("%s gave %u", rows[i].body, error.retry_after_ms);
    }
}

static void test_the_value_of_a_member(void **state)
{
    struct dialect_error error;

    error_read_member(SPAN("\"broken\""), &error);
    assert_text(dialect_error_message(&error), "broken");
    error_read_member(SPAN("{\"type\":\"overloaded_error\",\"message\":\"m\"}"), &error);
    assert_text(dialect_error_type(&error), "overloaded_error");
    error_read_member(SPAN("{\"type\":\"overl"), &error);
    assert_true(error.is_json);
    assert_int_equal(error.message_len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_shape),
        cmocka_unit_test(test_what_is_not_json),
        cmocka_unit_test(test_long_texts_are_cut_at_whole_characters),
        cmocka_unit_test(test_a_giant_body_is_not_read),
        cmocka_unit_test(test_google_names_the_quota),
        cmocka_unit_test(test_google_tells_a_minute_s_limits),
        cmocka_unit_test(test_the_wait_that_a_body_tells),
        cmocka_unit_test(test_the_value_of_a_member),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

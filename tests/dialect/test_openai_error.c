/* Errors in every shape that compatible providers send, and our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dialect/openai_error.h"

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
    {"[{'error':{'code':429,'message':'m','status':'RESOURCE_EXHAUSTED'}}]", "m", "429", "", "",
     "RESOURCE_EXHAUSTED", 429},
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

static void test_every_shape(void **state)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct dialect_error error;
        char body[512];

        snprintf(body, sizeof(body), "%s", shapes[i].body);
        for (char *at = body; *at; at++)
            *at = *at == '\'' ? '"' : *at;
        openai_error_read(span_from_text(body), &error);
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

    openai_error_read(SPAN("<html><h1>502 Bad Gateway</h1></html>"), &error);
    assert_false(error.is_json);
    assert_false(error.is_empty);
    assert_int_equal(error.message_len, 0);
    openai_error_read(span_of(NULL, 0), &error);
    assert_true(error.is_empty);
    openai_error_read(SPAN("{\"error\":{\"message\":\"cut"), &error);
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
    openai_error_read(span_from_text(body), &error);
    assert_int_equal(error.message_len, 511); /* 1 + 170 * 3 */
}

static void test_a_giant_body_is_not_read(void **state)
{
    size_t len = OPENAI_ERROR_BODY_MAX + 1;
    char *body = malloc(len);
    struct dialect_error error;

    assert_non_null(body);
    memset(body, ' ', len);
    memcpy(body, "{}", 2);
    openai_error_read(span_of(body, len), &error);
    assert_false(error.is_json);
    openai_error_read(span_of(body, len - 1), &error);
    assert_true(error.is_json);
    free(body);
}

static void test_naming_stream_options(void **state)
{
    struct dialect_error error;

    openai_error_read(SPAN("{\"error\":{\"message\":\"Unrecognized request argument supplied: "
                           "stream_options\"}}"),
                      &error);
    assert_true(openai_error_names_stream_options(&error));
    openai_error_read(SPAN("{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\","
                           "\"stream_options\"],\"msg\":\"Extra inputs are not permitted\"}]}"),
                      &error);
    assert_true(openai_error_names_stream_options(&error));
    openai_error_read(SPAN("{\"error\":{\"message\":\"temperature is too high\"}}"), &error);
    assert_false(openai_error_names_stream_options(&error));
}

static void assert_written(struct buf *buf, const char *expected)
{
    assert_int_equal(buf->err, 0);
    assert_string_equal(buf_text(buf), expected);
    buf_clear(buf);
}

static void test_our_own_errors(void **state)
{
    const struct failure_row *row = failure_row(FAILURE_FIELD_TYPE);
    struct buf buf;

    buf_init(&buf, 1024);
    assert_int_equal(openai_write_error(&buf, row, SPAN("no \"x\""), SPAN("stream")), 0);
    assert_written(&buf,
                   "{\"error\":{\"message\":\"no \\\"x\\\"\",\"type\":\"invalid_request_error\","
                   "\"param\":\"stream\",\"code\":\"invalid_type\"}}");
    row = failure_row(FAILURE_TIMEOUT);
    assert_int_equal(openai_write_error_event(&buf, row, span_of(NULL, 0), span_of(NULL, 0)), 0);
    assert_written(&buf, "data: {\"error\":{\"message\":\"The provider did not answer in time.\","
                         "\"type\":\"server_error\",\"param\":null,\"code\":\"timeout\"}}\n\n");
    buf_fini(&buf);
    buf_init(&buf, 20);
    assert_int_equal(openai_write_error(&buf, row, SPAN("x"), SPAN("y")), ERR_FULL);
    buf_fini(&buf);
}

static void test_a_provider_s_error_told_again(void **state)
{
    struct dialect_error error;
    struct buf buf;

    buf_init(&buf, 1024);
    openai_error_read(SPAN("{\"error\":{\"message\":\"m\",\"code\":502}}"), &error);
    assert_int_equal(openai_write_error_told(&buf, &error), 0);
    assert_written(
        &buf,
        "data: {\"error\":{\"message\":\"m\",\"type\":null,\"param\":null,\"code\":\"502\"}}\n\n");
    buf_fini(&buf);
}

static void test_models(void **state)
{
    const struct openai_model models[] = {
        {SPAN("gpt-4.1"), SPAN("openai"), 1763600000},
        {SPAN("deepseek/x"), SPAN("deepseek"), 0},
    };
    struct buf buf;

    buf_init(&buf, 1024);
    assert_int_equal(openai_write_models(&buf, models, 2), 0);
    assert_written(&buf, "{\"object\":\"list\",\"data\":[{\"id\":\"gpt-4.1\",\"object\":\"model\","
                         "\"created\":1763600000,\"owned_by\":\"openai\"},{\"id\":\"deepseek/x\","
                         "\"object\":\"model\",\"created\":0,\"owned_by\":\"deepseek\"}]}");
    assert_int_equal(openai_write_models(&buf, NULL, 0), 0);
    assert_written(&buf, "{\"object\":\"list\",\"data\":[]}");
    assert_int_equal(openai_write_model(&buf, &models[1]), 0);
    assert_written(&buf, "{\"id\":\"deepseek/x\",\"object\":\"model\",\"created\":0,"
                         "\"owned_by\":\"deepseek\"}");
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_shape),
        cmocka_unit_test(test_what_is_not_json),
        cmocka_unit_test(test_long_texts_are_cut_at_whole_characters),
        cmocka_unit_test(test_a_giant_body_is_not_read),
        cmocka_unit_test(test_naming_stream_options),
        cmocka_unit_test(test_our_own_errors),
        cmocka_unit_test(test_a_provider_s_error_told_again),
        cmocka_unit_test(test_models),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What clients may ask for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exchange/inbound.h"

static void expect(enum http_method method, const char *path, enum inbound_kind kind)
{
    const struct inbound_row *row = NULL;

    assert_int_equal(inbound_find(method, span_from_text(path), &row), INBOUND_FOUND);
    assert_int_equal(row->kind, kind);
}

static void expect_no_path(const char *path)
{
    const struct inbound_row *row = NULL;

    assert_int_equal(inbound_find(METHOD_GET, span_from_text(path), &row), INBOUND_NO_PATH);
    assert_int_equal(inbound_find(METHOD_POST, span_from_text(path), &row), INBOUND_NO_PATH);
    assert_null(row);
}

static void expect_no_method(enum http_method method, const char *path, enum http_method right)
{
    const struct inbound_row *row = NULL;

    assert_int_equal(inbound_find(method, span_from_text(path), &row), INBOUND_NO_METHOD);
    assert_int_equal(row->method, right);
}

static void test_found(void **state)
{
    (void)state;
    expect(METHOD_POST, "/v1/chat/completions", INBOUND_CHAT);
    expect(METHOD_POST, "/v1/completions", INBOUND_COMPLETIONS);
    expect(METHOD_POST, "/v1/embeddings", INBOUND_EMBEDDINGS);
    expect(METHOD_GET, "/v1/models", INBOUND_MODELS);
    expect(METHOD_GET, "/v1/models/gpt-4.1", INBOUND_MODEL);
    expect(METHOD_GET, "/v1/models/openai/gpt-4.1", INBOUND_MODEL);
    expect(METHOD_GET, "/health", INBOUND_HEALTH);
    expect(METHOD_GET, "/ready", INBOUND_READY);
    /* HEAD is a GET without the body. */
    expect(METHOD_HEAD, "/ready", INBOUND_READY);
    expect(METHOD_HEAD, "/v1/models", INBOUND_MODELS);
}

static void test_not_there(void **state)
{
    (void)state;
    expect_no_path("/");
    expect_no_path("");
    expect_no_path("/v1/chat/completions/");
    expect_no_path("/v1/chat/completionsx");
    expect_no_path("/V1/chat/completions");
    expect_no_path("//v1/chat/completions");
    expect_no_path("/v1/models/");
    expect_no_path("/v1/modelsx");
    expect_no_path("/v1");
    expect_no_path("/healthz");
    expect_no_path("/metrics");
}

static void test_other_method(void **state)
{
    (void)state;
    expect_no_method(METHOD_GET, "/v1/chat/completions", METHOD_POST);
    expect_no_method(METHOD_HEAD, "/v1/embeddings", METHOD_POST);
    expect_no_method(METHOD_POST, "/v1/models", METHOD_GET);
    expect_no_method(METHOD_POST, "/v1/models/m", METHOD_GET);
    expect_no_method(METHOD_POST, "/health", METHOD_GET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_not_there),
        cmocka_unit_test(test_other_method),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

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
    expect_no_method(METHOD_DELETE, "/v1/models/m", METHOD_GET);
    expect_no_method(METHOD_POST, "/health", METHOD_GET);
}

/* --- what a path says --- */

static void expect_read(const char *path, const char *query, enum form form, const char *model,
                        bool is_streaming, bool is_array)
{
    const struct inbound_row *row = NULL;
    struct inbound_facts facts;
    struct arena_pool pool;
    struct arena arena;

    arena_pool_init(&pool, 1);
    arena_init(&arena, &pool, 65536);
    assert_int_equal(inbound_find(METHOD_POST, span_from_text(path), &row), INBOUND_FOUND);
    assert_true(inbound_read(row, span_from_text(path), span_from_text(query), &arena, &facts));
    assert_int_equal(facts.form, form);
    assert_true(span_is_equal(facts.model, span_from_text(model)));
    assert_int_equal(facts.is_streaming, is_streaming);
    assert_int_equal(facts.is_array, is_array);
    arena_fini(&arena);
    arena_pool_fini(&pool);
}

static void test_paths_that_name_a_model(void **state)
{
    (void)state;
    expect_read("/v1/chat/completions", "", FORM_CHAT, "", false, false);
    expect_read("/v1beta/models/gemini-3-pro:generateContent", "", FORM_GENERATE, "gemini-3-pro",
                false, false);
    expect_read("/v1/models/gemini-3-pro:streamGenerateContent", "key=x&alt=sse", FORM_GENERATE,
                "gemini-3-pro", true, false);
    expect_read("/v1beta/models/m:streamGenerateContent", "alt=json", FORM_GENERATE, "m", true,
                true);
    /* Names of models have slashes and colons of their own, escaped or not. */
    expect_read("/v1beta/models/openrouter/a/b:free:countTokens", "", FORM_MEASURE,
                "openrouter/a/b:free", false, false);
    expect_read("/v1beta/models/anthropic%2Fclaude:embedContent", "", FORM_EMBED,
                "anthropic/claude", false, false);
}

static void test_actions_that_are_none(void **state)
{
    static const char *const paths[] = {"/v1beta/models/m",
                                        "/v1beta/models/m:", "/v1beta/models/m:predict",
                                        "/v1beta/models/:countTokens"};
    const struct inbound_row *row = NULL;
    struct inbound_facts facts;

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_int_equal(inbound_find(METHOD_POST, span_from_text(paths[i]), &row), INBOUND_FOUND);
        assert_false(inbound_read(row, span_from_text(paths[i]), SPAN(""), NULL, &facts));
    }
}

/* --- who asks --- */

static void put_field(struct http_head *head, enum field_id id, const char *value)
{
    head->fields[head->field_count++] =
        (struct http_field){.value = span_from_text(value), .id = id};
    head->first[id] = (uint8_t)head->field_count;
}

static void test_keys(void **state)
{
    static struct http_head head;
    const struct span query = SPAN("alt=sse&key=q");
    char room[INBOUND_KEY_BYTES];

    (void)state;
    assert_null(inbound_key(&head, DIALECT_OPENAI, SPAN("alt=sse"), room).ptr);
    assert_true(span_is_equal(inbound_key(&head, DIALECT_GEMINI, query, room), SPAN("q")));
    assert_true(
        span_is_equal(inbound_key(&head, DIALECT_GEMINI, SPAN("key=sk%2Da%2b%zz&alt=sse"), room),
                      SPAN("sk-a+%zz")));
    put_field(&head, FIELD_API_KEY, "azure");
    assert_true(span_is_equal(inbound_key(&head, DIALECT_OPENAI, query, room), SPAN("azure")));
    put_field(&head, FIELD_AUTHORIZATION, "Bearer token");
    assert_true(span_is_equal(inbound_key(&head, DIALECT_ANTHROPIC, query, room), SPAN("token")));
    put_field(&head, FIELD_X_API_KEY, "anthropic");
    assert_true(
        span_is_equal(inbound_key(&head, DIALECT_ANTHROPIC, query, room), SPAN("anthropic")));
    assert_true(span_is_equal(inbound_key(&head, DIALECT_OPENAI, query, room), SPAN("token")));
    put_field(&head, FIELD_X_GOOG_API_KEY, "google");
    assert_true(span_is_equal(inbound_key(&head, DIALECT_GEMINI, query, room), SPAN("google")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_not_there),
        cmocka_unit_test(test_other_method),
        cmocka_unit_test(test_paths_that_name_a_model),
        cmocka_unit_test(test_actions_that_are_none),
        cmocka_unit_test(test_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

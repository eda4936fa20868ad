/* The models that a client may use, in its own dialect's shape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dialect/model_write.h"

static const struct model_entry models[] = {
    {SPAN_INIT("gpt-4.1"), SPAN_INIT("openai"), 1763600000},
    {SPAN_INIT("deepseek/x"), SPAN_INIT("deepseek"), 0},
};

static void assert_list(enum dialect_id dialect, size_t count, const char *wanted)
{
    struct model_writer writer;
    struct buf buf;

    buf_init(&buf, 2048);
    model_writer_begin(&writer, &buf, dialect);
    for (size_t i = 0; i < count; i++)
        model_writer_add(&writer, &models[i]);
    model_writer_end(&writer);
    assert_int_equal(buf.err, 0);
    assert_string_equal(buf_text(&buf), wanted);
    buf_fini(&buf);
}

static void test_openai(void **state)
{
    (void)state;
    assert_list(DIALECT_OPENAI, 2,
                "{\"object\":\"list\",\"data\":[{\"id\":\"gpt-4.1\",\"object\":\"model\","
                "\"created\":1763600000,\"owned_by\":\"openai\"},{\"id\":\"deepseek/x\","
                "\"object\":\"model\",\"created\":0,\"owned_by\":\"deepseek\"}]}");
    assert_list(DIALECT_OPENAI, 0, "{\"object\":\"list\",\"data\":[]}");
}

static void test_anthropic(void **state)
{
    (void)state;
    assert_list(DIALECT_ANTHROPIC, 1,
                "{\"data\":[{\"type\":\"model\",\"id\":\"gpt-4.1\",\"display_name\":\"gpt-4.1\","
                "\"created_at\":\"2025-11-20T00:53:20.000Z\"}],\"has_more\":false,"
                "\"first_id\":\"gpt-4.1\",\"last_id\":\"gpt-4.1\"}");
    assert_list(DIALECT_ANTHROPIC, 0,
                "{\"data\":[],\"has_more\":false,\"first_id\":null,\"last_id\":null}");
}

static void test_gemini(void **state)
{
    (void)state;
    assert_list(DIALECT_GEMINI, 1,
                "{\"models\":[{\"name\":\"models/gpt-4.1\",\"version\":\"\","
                "\"displayName\":\"gpt-4.1\",\"supportedGenerationMethods\":[\"generateContent\","
                "\"countTokens\",\"embedContent\",\"batchEmbedContents\"]}]}");
    assert_list(DIALECT_GEMINI, 0, "{\"models\":[]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openai),
        cmocka_unit_test(test_anthropic),
        cmocka_unit_test(test_gemini),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What providers answer to GET /models, and what is kept of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/err.h"
#include "dialect/model_list.h"

static struct model_list *read(const char *text)
{
    struct model_list *models = NULL;

    assert_int_equal(model_list_read(span_from_text(text), &models), 0);
    return models;
}

static void test_list(void **state)
{
    struct model_list *models =
        read("{\"object\":\"list\",\"data\":["
             "{\"id\":\"o4-mini\",\"object\":\"model\",\"created\":7,\"owned_by\":\"system\"},"
             "{\"id\":\"gpt-4.1\",\"created\":1744316542,\"owned_by\":\"openai\"},"
             "{\"id\":\"gpt-4\"}]}");
    const struct model_entry *model;

    (void)state;
    assert_int_equal(models->count, 3);
    assert_true(span_is_equal(models->items[0].id, SPAN("gpt-4")));
    assert_true(span_is_equal(models->items[1].id, SPAN("gpt-4.1")));
    assert_true(span_is_equal(models->items[2].id, SPAN("o4-mini")));
    model = model_list_find(models, SPAN("gpt-4.1"));
    assert_non_null(model);
    assert_true(span_is_equal(model->owned_by, SPAN("openai")));
    assert_int_equal(model->created_s, 1744316542);
    model = model_list_find(models, SPAN("gpt-4"));
    assert_int_equal(model->owned_by.len, 0);
    assert_int_equal(model->created_s, 0);
    assert_null(model_list_find(models, SPAN("gpt-4.")));
    assert_null(model_list_find(models, SPAN("")));
    model_list_unref(&models);
    assert_null(models);
    assert_null(model_list_find(NULL, SPAN("gpt-4")));
}

/* Servers of their own make differ; what nobody could ask for is left out. */
static void test_odd_lists(void **state)
{
    struct model_list *models, *other;

    (void)state;
    models = read("[{\"id\":\"a\"},{\"id\":\"a\",\"created\":3},{\"id\":4},{\"name\":\"b\"},7,"
                  "{\"id\":\"\"},{\"id\":\"d\\u0001\"},{\"id\":\"d "
                  "e\"},{\"id\":\"c\",\"created\":-1,\"owned_by\":null}]");
    assert_int_equal(models->count, 2);
    assert_non_null(model_list_find(models, SPAN("c")));
    other = model_list_ref(models);
    model_list_unref(&models);
    assert_non_null(model_list_find(other, SPAN("a")));
    model_list_unref(&other);
    models = read("{\"data\":[]}");
    assert_int_equal(models->count, 0);
    assert_null(model_list_find(models, SPAN("a")));
    model_list_unref(&models);
}

static void test_no_list(void **state)
{
    static const char *const texts[] = {"",   "{}",           "{\"data\":{}}",
                                        "ok", "{\"data\":1}", "{\"data\":[{\"id\":\"a\"}"};
    struct model_list *models = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(model_list_read(span_from_text(texts[i]), &models), ERR_SYNTAX);
    assert_null(models);
}

static void test_bounds(void **state)
{
    struct model_list *models = NULL;
    struct buf text;

    (void)state;
    buf_init(&text, 2 * MODEL_LIST_BODY_MAX);
    buf_append_byte(&text, '[');
    for (int i = 0; i < MODEL_LIST_MAX + 5; i++)
        buf_printf(&text, "{\"id\":\"m-%d\"},", i);
    buf_printf(&text, "{}]");
    assert_int_equal(model_list_read(buf_span(&text), &models), 0);
    assert_int_equal(models->count, MODEL_LIST_MAX);
    model_list_unref(&models);
    buf_clear(&text);
    buf_append_byte(&text, '[');
    while (text.len <= MODEL_LIST_BODY_MAX)
        buf_printf(&text, "%*s", 1000, "");
    buf_append_byte(&text, ']');
    assert_int_equal(model_list_read(buf_span(&text), &models), ERR_FULL);
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_odd_lists),
        cmocka_unit_test(test_no_list),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

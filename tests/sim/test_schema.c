/* Structured outputs: JSON that fits a schema. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/err.h"
#include "sim/answer.h"
#include "sim/schema.h"

/* The text "hi" is behind all of them. */
static int fill(const char *schema, struct buf *out)
{
    struct sim_text text = {SPAN("hi"), sim_hash(SPAN("hi"))};
    yyjson_doc *doc = schema ? yyjson_read(schema, strlen(schema), 0) : NULL;
    int err;

    assert_true(doc || !schema);
    buf_init(out, 65536);
    err = sim_schema_fill(yyjson_doc_get_root(doc), &text, out);
    yyjson_doc_free(doc);
    return err;
}

static void each_kind_of_value_has_its_filling(void **state)
{
    static const struct {
        const char *schema, *wanted;
    } rows[] = {
        {NULL, "{\"text\": \"hi\", \"hash\": \"08ba5f07b55ec3da\"}"},
        {"{\"type\":\"string\"}", "\"echo: hi #08ba5f07b55ec3da\""},
        {"{}", "\"echo: hi #08ba5f07b55ec3da\""},
        {"{\"enum\":[\"a\",\"b\"]}", "\"a\""},
        {"{\"const\":true}", "true"},
        {"{\"type\":\"integer\"}", "0"},
        {"{\"type\":\"integer\",\"minimum\":3}", "3"},
        {"{\"type\":\"number\",\"minimum\":0.5}", "0.5"},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":-3}", "-2"},
        {"{\"type\":\"boolean\"}", "true"},
        {"{\"type\":[\"null\",\"integer\"]}", "0"},
        {"{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"boolean\"}]}", "true"},
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", "[0]"},
        {"{\"type\":\"array\",\"minItems\":2,\"items\":{\"type\":\"boolean\"}}", "[true, true]"},
        {"{\"type\":\"OBJECT\",\"properties\":{\"a\":{\"type\":\"INTEGER\"},\"b\":{}}, "
         "\"required\":[\"a\"]}",
         "{\"a\": 0}"},
        {"{\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"$ref\":\"#/$defs/n\"}},\"$defs\":{"
         "\"n\":{\"type\":\"number\"}}}",
         "{\"a\": null, \"b\": 0}"},
    };
    struct buf out;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(fill(rows[i].schema, &out), 0);
        assert_string_equal(buf_text(&out), rows[i].wanted);
        buf_fini(&out);
    }
}

static void what_has_no_end_is_refused(void **state)
{
    static const char *const schemas[] = {
        "{\"$ref\":\"#\"}",
        "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"},\"b\":{\"$ref\":\"#\"}}}",
        "{\"type\":\"array\",\"minItems\":99999,\"items\":{\"$ref\":\"#\"}}",
    };
    struct buf out;

    (void)state;
    for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++) {
        assert_int_equal(fill(schemas[i], &out), ERR_FULL);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_value_has_its_filling),
        cmocka_unit_test(what_has_no_end_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

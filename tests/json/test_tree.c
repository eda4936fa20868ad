/* Documents with bounded memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "json/tree.h"
#include "json/write.h"

enum { LARGE = 100000 };

/* ["xxxx…"], or LARGE numbers. */
static char *large_array(size_t *ret_len)
{
    char *text = malloc(2 * LARGE + 1);

    assert_non_null(text);
    text[0] = '[';
    for (size_t i = 0; i < LARGE; i++) {
        text[1 + 2 * i] = '1';
        text[2 + 2 * i] = i + 1 < LARGE ? ',' : ']';
    }
    *ret_len = 2 * LARGE + 1;
    return text;
}

static void test_small_documents_ask_the_heap_for_nothing(void **state)
{
    struct json_tree tree;

    assert_int_equal(json_tree_read(&tree, SPAN("{\"a\":{\"b\":\"text\",\"c\":1}}"), 0), 0);
    assert_int_equal(tree.room.held, 0);
    yyjson_val *a = yyjson_obj_get(yyjson_doc_get_root(tree.doc), "a");
    assert_true(span_is_equal(json_tree_string(a, "b"), SPAN("text")));
    assert_null(json_tree_string(a, "c").ptr);
    assert_null(json_tree_string(a, "d").ptr);
    assert_null(json_tree_string(NULL, "d").ptr);
    assert_int_equal(json_tree_string(yyjson_doc_get_root(tree.doc), "a").len, 0);
    assert_int_equal(json_tree_text(a).len, 0);
    assert_int_equal(json_tree_text(NULL).len, 0);
    json_tree_fini(&tree);
    assert_null(tree.doc);
}

static void test_large_documents_are_capped(void **state)
{
    struct json_tree tree;
    size_t len;
    char *text = large_array(&len);

    assert_int_equal(json_tree_read(&tree, span_of(text, len), 64 << 20), 0);
    assert_true(tree.room.held > LARGE);
    assert_int_equal(yyjson_arr_size(yyjson_doc_get_root(tree.doc)), LARGE);
    json_tree_fini(&tree);
    assert_int_equal(tree.room.held, 0);

    assert_int_equal(json_tree_read(&tree, span_of(text, len), 1 << 20), ERR_FULL);
    assert_null(tree.doc);
    assert_int_equal(tree.room.held, 0);
    json_tree_fini(&tree);
    free(text);
}

static void test_what_is_not_json(void **state)
{
    struct json_tree tree;

    assert_int_equal(json_tree_read(&tree, SPAN("{\"a\":"), 0), ERR_SYNTAX);
    json_tree_fini(&tree);
    assert_int_equal(json_tree_read(&tree, span_of(NULL, 0), 0), ERR_SYNTAX);
    json_tree_fini(&tree);
}

/* As it stands, between what a writer writes: numbers as they are spelled. */
static void test_values_are_written_on(void **state)
{
    struct json_writer writer;
    struct json_tree tree;
    const yyjson_val *list;
    struct buf buf;

    buf_init(&buf, 256);
    json_writer_init(&writer, &buf);
    assert_int_equal(json_tree_read_raw(&tree, SPAN("[1.50, {\"a\" : [ ]}]"), 1 << 20), 0);
    list = yyjson_doc_get_root(tree.doc);
    json_begin_object(&writer);
    json_member_value(&writer, "list", list);
    json_name(&writer, "items");
    json_begin_array(&writer);
    json_value(&writer, yyjson_arr_get(json_tree_plain(list), 0));
    json_value(&writer, yyjson_arr_get(json_tree_plain(list), 1));
    json_end_array(&writer);
    json_member_null(&writer, "end");
    json_end_object(&writer);
    assert_string_equal(buf_text(&buf), "{\"list\":[1.50,{\"a\":[]}],\"items\":[1.50,{\"a\":[]}],"
                                        "\"end\":null}");
    json_tree_fini(&tree);
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_documents_ask_the_heap_for_nothing),
        cmocka_unit_test(test_large_documents_are_capped),
        cmocka_unit_test(test_what_is_not_json),
        cmocka_unit_test(test_values_are_written_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "fake.h"

#include "base/buf.h"
#include "conf/yaml.h"

/* The tree as one line, each scalar with its place: {a@1:1: [x@1:5]}. */
static void draw(const struct yaml_node *node, struct buf *out)
{
    const char *before = "";

    switch (node->kind) {
    case YAML_NULL:
        buf_printf(out, "null@%u:%u", node->mark.line, node->mark.column);
        return;
    case YAML_SCALAR:
        buf_printf(out, "%.*s@%u:%u", SPAN_ARG(node->text), node->mark.line, node->mark.column);
        return;
    case YAML_LIST:
    case YAML_MAP:
        break;
    }
    buf_printf(out, node->kind == YAML_LIST ? "[" : "{");
    for (const struct yaml_item *item = node->first; item; item = item->next) {
        buf_printf(out, "%s", before);
        if (node->kind == YAML_MAP)
            buf_printf(out, "%.*s@%u:%u: ", SPAN_ARG(item->key), item->mark.line,
                       item->mark.column);
        draw(item->value, out);
        before = ", ";
    }
    buf_printf(out, node->kind == YAML_LIST ? "]" : "}");
}

/* The drawing of a text, or the complaints. */
static void expect_text(struct span text, const char *expected)
{
    struct complaints complaints;
    struct yaml_doc doc;
    struct buf out;
    int err;

    complaints_init(&complaints);
    complaints_set_file(&complaints, SPAN("f"));
    buf_init(&out, 1 << 20);
    err = yaml_parse(&doc, text, &complaints);
    if (!err)
        draw(doc.root, &out);
    assert_int_equal(err != 0, complaints.errors != 0 && err == ERR_SYNTAX);
    complaints_print(&complaints, &out);
    assert_string_equal(buf_text(&out), expected);
    buf_fini(&out);
    yaml_fini(&doc);
    complaints_fini(&complaints);
}

static void expect(const char *text, const char *expected)
{
    expect_text(span_from_text(text), expected);
}

static void every_value_knows_its_place(void **state)
{
    (void)state;
    expect("", "null@1:1");
    expect("# nothing\n", "null@1:1");
    expect("a: 1\n", "{a@1:1: 1@1:4}");
    expect("a:\n  - x\n  - {b: 'y', c: \"z\"}\n",
           "{a@1:1: [x@2:5, {b@3:6: y@3:9, c@3:14: z@3:17}]}");
    expect("a: |\n  one\n  two\n", "{a@1:1: one\ntwo\n@2:1}");
    expect("\xc3\xa4: x\n", "{\xc3\xa4@1:1: x@1:4}");
    expect("a: \"\\x41\\t\\u00e4\"\n", "{a@1:1: A\t\xc3\xa4@1:4}");
    expect("a: x\r\nb: y\r\n", "{a@1:1: x@1:4, b@2:1: y@2:4}");
}

static void nothing_has_a_place_too(void **state)
{
    (void)state;
    expect("a:\nb: ~\nc: null\nd: \"\"\n",
           "{a@1:1: null@1:1, b@2:1: null@2:4, c@3:1: null@3:4, d@4:1: @4:4}");
    expect("a:\n  - x\n  -\n  - y\n  -\n", "{a@1:1: [x@2:5, null@3:3, y@4:5, null@5:3]}");
    expect("-\n-\n", "[null@1:1, null@2:1]");
}

static void anchors_are_followed(void **state)
{
    (void)state;
    expect("a: &x {k: v}\nb: *x\n", "{a@1:1: {k@1:8: v@1:11}, b@2:1: {k@1:8: v@1:11}}");
    expect("a: &x 1\nb: &x 2\nc: *x\n", "{a@1:1: 1@1:7, b@2:1: 2@2:7, c@3:1: 2@2:7}");
    expect("a: *x\n",
           "f:1:4: an alias without its anchor; allowed: an anchor of that name further up\n");
    expect("a: &x [*x]\n",
           "f:1:8: an alias without its anchor; allowed: an anchor of that name further up\n");
}

static void what_is_no_configuration_is_refused(void **state)
{
    (void)state;
    expect("a: 1\n---\nb: 2\n", "f:2:1: a second document; allowed: one\n");
    expect("a: !!int 3\n", "f:1:4: a tag; allowed: values without tags\n");
    expect("? [a]\n: b\n", "f:1:3: a key that is no single value; allowed: names as keys\n");
    expect_text(SPAN("a: b\0c\n"), "f:1:5: a control character; allowed: text\n");
    expect("a: x\nb: \x01\n", "f:2:4: a control character; allowed: text\n");
    expect("a: \xff\n", "f:1:4: a byte that is no UTF-8; allowed: text in UTF-8\n");
    expect("a: \xed\xa0\x80\n", "f:1:4: a byte that is no UTF-8; allowed: text in UTF-8\n");
    expect("a: \xc3", "f:1:4: a byte that is no UTF-8; allowed: text in UTF-8\n");
}

static void what_is_no_yaml_is_told_with_its_place(void **state)
{
    (void)state;
    expect("a: [1\n", "f:2:1: this is no YAML: flow sequence without a closing bracket\n");
    expect("a: b: c\n", "f:1:5: this is no YAML: invalid nested block mapping on the same line\n");
    expect("a: {b: ${env:X}}\n", "f:1:9: this is no YAML: missing comma in flow mapping; a ${...} "
                                 "inside of {} or [] must stand in quotes\n");
}

static void a_duplicate_ends_nothing(void **state)
{
    struct complaints complaints;
    struct yaml_doc doc;
    struct buf out;

    (void)state;
    complaints_init(&complaints);
    complaints_set_file(&complaints, SPAN("f"));
    buf_init(&out, 1 << 16);
    assert_int_equal(yaml_parse(&doc, SPAN("a: 1\nb: 2\na: 3\nb: 4\n"), &complaints), 0);
    draw(doc.root, &out);
    assert_string_equal(buf_text(&out), "{a@1:1: 1@1:4, b@2:1: 2@2:4}");
    buf_clear(&out);
    complaints_print(&complaints, &out);
    assert_string_equal(
        buf_text(&out),
        "f:3:1: duplicate key 'a'; allowed: each once, and line 1 has it already\n"
        "f:4:1: duplicate key 'b'; allowed: each once, and line 2 has it already\n");
    buf_fini(&out);
    yaml_fini(&doc);
    complaints_fini(&complaints);
}

static void depth_is_bounded(void **state)
{
    char text[64];

    (void)state;
    memset(text, '[', 30);
    memset(text + 30, ']', 30);
    expect_text(span_of(text, 60), "f:1:24: nested too deep; allowed: at most 24 levels\n");
    memset(text, '[', 24);
    memset(text + 24, ']', 24);
    expect_text(span_of(text, 48), "[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]");
}

/* Each list repeats the one before ten times: 10^8 values in 300 bytes. */
static void aliases_cannot_blow_a_file_up(void **state)
{
    struct complaints complaints;
    struct yaml_doc doc;
    struct buf text;

    (void)state;
    complaints_init(&complaints);
    buf_init(&text, 4096);
    buf_printf(&text, "a0: &a0 [x]\n");
    for (int i = 1; i < 9; i++) {
        buf_printf(&text, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            buf_printf(&text, "%s*a%d", j ? ", " : "", i - 1);
        buf_printf(&text, "]\n");
    }
    assert_int_equal(yaml_parse(&doc, buf_span(&text), &complaints), ERR_SYNTAX);
    assert_int_equal(complaints.count, 1);
    assert_span(complaints.items[0].text,
                "too much; allowed: at most 1000000 values, aliases counted each time");
    yaml_fini(&doc);
    buf_fini(&text);
    complaints_fini(&complaints);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_knows_its_place),
        cmocka_unit_test(nothing_has_a_place_too),
        cmocka_unit_test(anchors_are_followed),
        cmocka_unit_test(what_is_no_configuration_is_refused),
        cmocka_unit_test(what_is_no_yaml_is_told_with_its_place),
        cmocka_unit_test(a_duplicate_ends_nothing),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(aliases_cannot_blow_a_file_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

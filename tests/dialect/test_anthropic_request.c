/*
 * Requests of the Messages API: read and written again they are themselves; what cannot be
 * understood is refused by its place; counting asks with the same body; signatures of other
 * providers' thoughts are found. Single cases stand in tests/dialect/golden/.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dialect/anthropic.h"
#include "dialect/translate.h"

enum { OUT_MAX = 4 << 20 };

struct asked {
    struct arena_pool pool;
    struct translation *translation;
    struct chat_refusal refusal;
    struct chat_drops drops;
    struct buf out;
    int err;
};

/* Reads a body and writes it for a model of Anthropic's. */
static struct asked *ask(enum form form, const char *body)
{
    const struct translate_facts facts = {.form = form};
    const struct chat_target target = {.model = SPAN("claude-sonnet-4-5")};
    struct asked *asked = calloc(1, sizeof(*asked));

    assert_non_null(asked);
    arena_pool_init(&asked->pool, 4);
    buf_init(&asked->out, OUT_MAX);
    asked->err = translate_read(&facts, span_from_text(body), &asked->pool, &asked->translation,
                                &asked->refusal);
    if (!asked->err)
        asked->err = translate_write(asked->translation, form_at(DIALECT_ANTHROPIC, form), &target,
                                     &asked->out, &asked->drops, &asked->refusal);
    return asked;
}

static void done(struct asked *asked)
{
    buf_fini(&asked->out);
    translate_free(&asked->translation);
    arena_pool_fini(&asked->pool);
    free(asked);
}

static void expect_body(enum form form, const char *body, const char *wanted)
{
    struct asked *asked = ask(form, body);

    if (asked->err)
        fail_msg("%s: %s %s", body, asked->refusal.param, asked->refusal.message);
    assert_string_equal(buf_text(&asked->out), wanted);
    done(asked);
}

static void expect_refusal(const char *body, const char *param)
{
    struct asked *asked = ask(FORM_MESSAGES, body);

    if (asked->err != ERR_SYNTAX)
        fail_msg("not refused: %s", body);
    assert_string_equal(asked->refusal.param, param);
    assert_true(asked->refusal.message[0]);
    done(asked);
}

static void counting_asks_with_the_conversation_alone(void **state)
{
    (void)state;
    expect_body(FORM_COUNT_TOKENS,
                "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],"
                "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}]}",
                "{\"model\":\"claude-sonnet-4-5\",\"messages\":[{\"role\":\"user\",\"content\":"
                "[{\"type\":\"text\",\"text\":\"a\"}]}],"
                "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}]}");
}

static void counts_are_told_and_read(void **state)
{
    struct json_tree tree;
    struct buf out;
    uint64_t tokens = 0;

    (void)state;
    buf_init(&out, 64);
    assert_int_equal(anthropic_write_count(&out, 1234567), 0);
    assert_string_equal(buf_text(&out), "{\"input_tokens\":1234567}");
    assert_int_equal(json_tree_read_raw(&tree, buf_span(&out), 4096), 0);
    assert_int_equal(anthropic_read_count(yyjson_doc_get_root(tree.doc), &tokens), 0);
    assert_int_equal(tokens, 1234567);
    json_tree_fini(&tree);
    assert_int_equal(json_tree_read_raw(&tree, SPAN("{\"input_tokens\":-1}"), 4096), 0);
    assert_int_equal(anthropic_read_count(yyjson_doc_get_root(tree.doc), &tokens), ERR_SYNTAX);
    json_tree_fini(&tree);
    buf_fini(&out);
}

#define MESSAGES(list) "{\"model\":\"m\",\"max_tokens\":1,\"messages\":" list "}"
#define BLOCK(block)   MESSAGES("[{\"role\":\"user\",\"content\":[" block "]}]")

static void what_is_not_understood_is_refused_by_its_place(void **state)
{
    static const struct {
        const char *body, *param;
    } rows[] = {
        {"{\"max_tokens\":1,\"messages\":[]}", "model"},
        {"{\"model\":\"\",\"max_tokens\":1,\"messages\":[]}", "model"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", "max_tokens"},
        {"{\"model\":\"m\",\"max_tokens\":-3,\"messages\":[]}", "max_tokens"},
        {"{\"model\":\"m\",\"max_tokens\":\"3\",\"messages\":[]}", "max_tokens"},
        {"{\"model\":\"m\",\"max_tokens\":1,\"stream\":1,\"messages\":[]}", "stream"},
        {"{\"model\":\"m\",\"max_tokens\":1}", "messages"},
        {MESSAGES("[]"), "messages"},
        {MESSAGES("{}"), "messages"},
        {MESSAGES("[1]"), "messages[0]"},
        {MESSAGES("[{\"content\":\"a\"}]"), "messages[0].role"},
        {MESSAGES("[{\"role\":\"user\"}]"), "messages[0].content"},
        {MESSAGES("[{\"role\":\"user\",\"content\":5}]"), "messages[0].content"},
        {MESSAGES("[{\"role\":\"user\",\"content\":\"\"}]"), "messages"},
        {BLOCK("5"), "messages[0].content[0].type"},
        {BLOCK("{\"type\":\"hologram\"}"), "messages[0].content[0].type"},
        {BLOCK("{\"type\":\"text\",\"text\":1}"), "messages[0].content[0].text"},
        {BLOCK("{\"type\":\"image\"}"), "messages[0].content[0].source"},
        {BLOCK("{\"type\":\"image\",\"source\":{\"type\":\"url\"}}"),
         "messages[0].content[0].source"},
        {BLOCK("{\"type\":\"thinking\"}"), "messages[0].content[0].thinking"},
        {BLOCK("{\"type\":\"redacted_thinking\"}"), "messages[0].content[0].data"},
        {BLOCK("{\"type\":\"tool_use\",\"id\":\"a\",\"input\":{}}"), "messages[0].content[0].name"},
        {BLOCK("{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"b\"}"),
         "messages[0].content[0].input"},
        {BLOCK("{\"type\":\"tool_result\"}"), "messages[0].content[0].tool_use_id"},
        {BLOCK("{\"type\":\"tool_result\",\"tool_use_id\":\"a\",\"content\":"
               "[{\"type\":\"tool_use\"}]}"),
         "messages[0].content[0].content[0].type"},
        {BLOCK("{\"type\":\"search_result\",\"source\":\"a\"}"), "messages[0].content[0].content"},
        {"{\"model\":\"m\",\"max_tokens\":1,\"system\":[{\"type\":\"image\"}],\"messages\":"
         "[{\"role\":\"user\",\"content\":\"a\"}]}",
         "system[0].type"},
        {"{\"model\":\"m\",\"max_tokens\":1,\"thinking\":{\"type\":\"hard\"},\"messages\":[]}",
         "thinking.type"},
        {"{\"model\":\"m\",\"max_tokens\":1,\"thinking\":{\"type\":\"enabled\"},\"messages\":[]}",
         "thinking.budget_tokens"},
        {"{\"model\":\"m\",\"max_tokens\":1,\"output_config\":{\"effort\":\"huge\"},"
         "\"messages\":[]}",
         "output_config.effort"},
        {"{\"model\":\"m\",\"max_tokens\":1,\"output_config\":{\"format\":{}},\"messages\":[]}",
         "output_config.format"},
        {"{\"model\":\"m\",\"max_tokens\":1,\"stop_sequences\":[1],\"messages\":[]}",
         "stop_sequences"},
        {"{\"model\":\"m\",\"max_tokens\":1,\"tools\":[{\"name\":\"a\"}],\"messages\":"
         "[{\"role\":\"user\",\"content\":\"a\"}]}",
         "tools[0].input_schema"},
        {"{\"model\":\"m\",\"max_tokens\":1,\"tools\":[{\"input_schema\":{}}],\"messages\":"
         "[{\"role\":\"user\",\"content\":\"a\"}]}",
         "tools[0].name"},
        {"{\"model\":\"m\",\"max_tokens\":1,\"tool_choice\":{\"type\":\"tool\"},\"messages\":"
         "[{\"role\":\"user\",\"content\":\"a\"}]}",
         "tool_choice.name"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_refusal(rows[i].body, rows[i].param);
}

/* Documents in documents, as deep as a body may go. */
static void nesting_has_an_end(void **state)
{
    enum { DEPTH = 100 };
    struct asked *asked;
    struct buf body;

    (void)state;
    buf_init(&body, OUT_MAX);
    (void)buf_append_span(&body, SPAN("{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{\"role\":"
                                      "\"user\",\"content\":"));
    for (int i = 0; i < DEPTH; i++)
        (void)buf_append_span(&body, SPAN("[{\"type\":\"document\",\"source\":{\"type\":"
                                          "\"content\",\"content\":"));
    (void)buf_append_span(&body, SPAN("\"a\""));
    for (int i = 0; i < DEPTH; i++)
        (void)buf_append_span(&body, SPAN("}}]"));
    (void)buf_append_span(&body, SPAN("}]}"));
    asked = ask(FORM_MESSAGES, buf_text(&body));
    assert_int_equal(asked->err, ERR_SYNTAX);
    assert_string_equal(asked->refusal.param,
                        "messages[0].content[0].content[0].content[0].content");
    done(asked);
    buf_fini(&body);
}

static void thousands_of_results_and_tools_are_told(void **state)
{
    enum { COUNT = 2000 };
    struct asked *asked;
    struct buf body;

    (void)state;
    buf_init(&body, OUT_MAX);
    (void)buf_append_span(&body, SPAN("{\"model\":\"m\",\"messages\":[{\"role\":\"user\","
                                      "\"content\":\"a\"},{\"role\":\"assistant\",\"content\":null,"
                                      "\"tool_calls\":["));
    for (int i = 0; i < COUNT; i++)
        (void)buf_printf(&body,
                         "%s{\"id\":\"c%d\",\"type\":\"function\",\"function\":{\"name\":"
                         "\"f%d\",\"arguments\":\"{}\"}}",
                         i ? "," : "", i, i);
    (void)buf_append_span(&body, SPAN("]}"));
    for (int i = 0; i < COUNT; i++)
        (void)buf_printf(&body, ",{\"role\":\"tool\",\"tool_call_id\":\"c%d\",\"content\":\"x\"}",
                         i);
    (void)buf_append_span(&body, SPAN("],\"tools\":["));
    for (int i = 0; i < COUNT; i++)
        (void)buf_printf(&body, "%s{\"type\":\"function\",\"function\":{\"name\":\"f%d\"}}",
                         i ? "," : "", i);
    (void)buf_append_span(&body, SPAN("]}"));
    asked = ask(FORM_CHAT, buf_text(&body));
    assert_int_equal(asked->err, 0);
    /* One turn has them all. */
    assert_true(span_find(buf_span(&asked->out), SPAN("\"tool_use_id\":\"c1999\"")) != SIZE_MAX);
    assert_true(span_find(buf_span(&asked->out), SPAN("{\"role\":\"user\",\"content\":[{\"type\":"
                                                      "\"tool_result\",\"tool_use_id\":\"c0\"")) !=
                SIZE_MAX);
    done(asked);
    buf_fini(&body);
}

static void foreign_signatures_are_found(void **state)
{
    (void)state;
    assert_true(anthropic_has_foreign_signature(SPAN("{\"signature\":\"gemini#abc\"}")));
    assert_true(anthropic_has_foreign_signature(SPAN("{\"data\":\"openai#abc\"}")));
    assert_true(anthropic_has_foreign_signature(SPAN("{\"signature\": \"unsigned#\"}")));
    assert_false(anthropic_has_foreign_signature(SPAN("{\"signature\":\"EqQBgemini#\"}")));
    assert_false(anthropic_has_foreign_signature(SPAN("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counting_asks_with_the_conversation_alone),
        cmocka_unit_test(counts_are_told_and_read),
        cmocka_unit_test(what_is_not_understood_is_refused_by_its_place),
        cmocka_unit_test(nesting_has_an_end),
        cmocka_unit_test(thousands_of_results_and_tools_are_told),
        cmocka_unit_test(foreign_signatures_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

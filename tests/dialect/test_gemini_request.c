/*
 * Requests for Gemini beyond what the golden transcripts play: how hard to think by model, schemas
 * for models of old, names of functions, sizes; and that no body of a client can do harm.
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
#include "dialect/gemini_inner.h"
#include "dialect/quirks.h"
#include "dialect/translate.h"

enum { OUT_MAX = 64 << 20 };

struct told {
    int err;
    struct buf out;
    struct chat_drops drops;
    struct chat_refusal refusal;
};

/* A body of one form, told in another. */
static struct told tell_as(enum form form, struct span body, enum form to,
                           const struct chat_target *target)
{
    struct translate_facts facts = {.form = form, .model = SPAN("m")};
    struct translation *translation;
    struct arena_pool pool;
    struct told told = {.err = 0};

    arena_pool_init(&pool, 4);
    buf_init(&told.out, OUT_MAX);
    told.err = translate_read(&facts, body, &pool, &translation, &told.refusal);
    if (!told.err) {
        told.err = translate_write(translation, to, target, &told.out, &told.drops, &told.refusal);
        translate_free(&translation);
    }
    arena_pool_fini(&pool);
    return told;
}

/* Told to Gemini. */
static struct told tell(enum form form, struct span body, const char *model)
{
    const struct chat_target target = {.model = span_from_text(model)};

    return tell_as(form, body, FORM_GENERATE, &target);
}

static void assert_tells(const struct told *told, const char *piece)
{
    if (told->err)
        fail_msg("%s: %s: %s", err_text(told->err), told->refusal.param, told->refusal.message);
    if (span_find(buf_span(&told->out), span_from_text(piece)) == SIZE_MAX)
        fail_msg("no %s in\n%.*s", piece, SPAN_ARG(buf_span(&told->out)));
}

/* --- thinking --- */

static void effort_is_told_as_each_model_wants_it(void **state)
{
    static const struct {
        const char *model, *effort, *config; /* NULL: left out, and told so unless it is none */
    } cases[] = {
        {"gemini-3-pro", "none", "{\"thinkingLevel\":\"LOW\"}"},
        {"gemini-3-pro", "low", "{\"thinkingLevel\":\"LOW\"}"},
        {"gemini-3-pro", "medium", "{\"thinkingLevel\":\"HIGH\"}"},
        {"gemini-3-pro", "xhigh", "{\"thinkingLevel\":\"HIGH\"}"},
        {"gemini-3.1-pro-preview", "medium", "{\"thinkingLevel\":\"MEDIUM\"}"},
        {"gemini-3-flash", "none", "{\"thinkingLevel\":\"MINIMAL\"}"},
        {"gemini-3-flash", "minimal", "{\"thinkingLevel\":\"MINIMAL\"}"},
        {"gemini-3-flash", "high", "{\"thinkingLevel\":\"HIGH\"}"},
        {"gemini-2.5-pro", "none", "{\"thinkingBudget\":128}"},
        {"gemini-2.5-pro", "low", "{\"thinkingBudget\":1024}"},
        {"gemini-2.5-pro", "xhigh", "{\"thinkingBudget\":32768}"},
        {"gemini-2.5-flash", "none", "{\"thinkingBudget\":0}"},
        {"gemini-2.5-flash", "medium", "{\"thinkingBudget\":8192}"},
        {"gemini-2.5-flash", "high", "{\"thinkingBudget\":24576}"},
        {"gemini-2.5-flash-lite", "minimal", "{\"thinkingBudget\":1024}"},
        {"gemini-2.0-flash", "none", NULL},
        {"gemini-2.0-flash", "low", NULL},
        {"some-model", "none", "{\"thinkingLevel\":\"LOW\"}"},
    };
    char body[256];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct told told;

        snprintf(body, sizeof(body),
                 "{\"model\":\"m\",\"reasoning_effort\":\"%s\","
                 "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
                 cases[i].effort);
        told = tell(FORM_CHAT, span_from_text(body), cases[i].model);
        if (cases[i].config) {
            assert_tells(&told, cases[i].config);
        } else {
            assert_int_equal(told.err, 0);
            assert_int_equal(span_find(buf_span(&told.out), SPAN("thinking")), SIZE_MAX);
            assert_int_equal(told.drops.len > 0, strcmp(cases[i].effort, "none") != 0);
        }
        buf_fini(&told.out);
    }
}

static void a_budget_stays_within_what_the_model_takes(void **state)
{
    static const struct {
        const char *model;
        int budget;
        const char *config;
    } cases[] = {
        {"gemini-2.5-flash", 5000, "\"thinkingBudget\":5000"},
        {"gemini-2.5-flash", 30000, "\"thinkingBudget\":24576"},
        {"gemini-2.5-pro", 40000, "\"thinkingBudget\":32768"},
        {"gemini-3-flash", 1024, "\"thinkingLevel\":\"LOW\""},
        {"gemini-3-flash", 4096, "\"thinkingLevel\":\"MEDIUM\""},
        {"gemini-3-flash", 32000, "\"thinkingLevel\":\"HIGH\""},
    };
    char body[256];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct told told;

        snprintf(body, sizeof(body),
                 "{\"model\":\"m\",\"max_tokens\":50000,"
                 "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":%d},"
                 "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
                 cases[i].budget);
        told = tell(FORM_MESSAGES, span_from_text(body), cases[i].model);
        assert_tells(&told, cases[i].config);
        buf_fini(&told.out);
    }
}

/* --- schemas --- */

static void schemas_are_told_in_googles_words_to_models_of_old(void **state)
{
    static const struct {
        const char *schema, *told;
    } cases[] = {
        {"{\"type\":\"string\",\"$schema\":\"x\",\"default\":\"a\",\"examples\":[]}",
         "{\"type\":\"string\"}"},
        {"{\"type\":[\"string\",\"null\"]}", "{\"type\":\"string\",\"nullable\":true}"},
        {"{\"type\":[\"string\",\"integer\"]}",
         "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}"},
        {"{\"anyOf\":[{\"type\":\"integer\",\"minimum\":1},{\"type\":\"null\"}]}",
         "{\"type\":\"integer\",\"minimum\":1,\"nullable\":true}"},
        {"{\"const\":\"a\"}", "{\"type\":\"string\",\"enum\":[\"a\"]}"},
        {"{\"enum\":[1,2.50,true,null]}",
         "{\"type\":\"string\",\"enum\":[\"1\",\"2.50\",\"true\"],\"nullable\":true}"},
        {"{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":9}",
         "{\"type\":\"number\",\"maximum\":9}"},
        {"{\"type\":\"string\",\"format\":\"uri\"}", "{\"type\":\"string\"}"},
        {"{\"type\":\"string\",\"format\":\"date-time\"}",
         "{\"type\":\"string\",\"format\":\"date-time\"}"},
        {"{\"type\":\"array\",\"items\":{\"$ref\":\"#/definitions/a\"},"
         "\"definitions\":{\"a\":{\"type\":\"boolean\"}}}",
         "{\"type\":\"array\",\"items\":{\"type\":\"boolean\"}}"},
        {"{\"allOf\":[{\"type\":\"integer\"}]}", "{\"type\":\"integer\"}"},
        {"{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/a\"}}}", "{}"},
        {"{\"$ref\":\"elsewhere.json\"}", "{}"},
        {"{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"a\"],"
         "\"properties\":{\"a\":true}}",
         "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{}}}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct json_tree tree;
        struct buf out;

        buf_init(&out, OUT_MAX);
        assert_int_equal(json_tree_read_raw(&tree, span_from_text(cases[i].schema), 65536), 0);
        assert_int_equal(gemini_schema_write(&out, yyjson_doc_get_root(tree.doc)), 0);
        assert_string_equal(buf_text(&out), cases[i].told);
        buf_fini(&out);
        json_tree_fini(&tree);
    }
}

/* Each definition names the next one twice: written out, that would be 2^40 of them. */
static void a_schema_that_explodes_is_refused(void **state)
{
    struct json_tree tree;
    struct buf text, out;

    (void)state;
    buf_init(&text, 65536);
    buf_init(&out, OUT_MAX);
    buf_printf(&text, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
    for (int i = 0; i < 40; i++)
        buf_printf(&text,
                   "\"d%d\":{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/d%d\"},"
                   "\"b\":{\"$ref\":\"#/$defs/d%d\"}}},",
                   i, i + 1, i + 1);
    buf_printf(&text, "\"d40\":{\"type\":\"string\"}}}");
    assert_int_equal(json_tree_read_raw(&tree, buf_span(&text), 1 << 20), 0);
    assert_int_equal(gemini_schema_write(&out, yyjson_doc_get_root(tree.doc)), ERR_RANGE);
    json_tree_fini(&tree);
    buf_fini(&text);
    buf_fini(&out);
}

/* --- names --- */

static void names_are_made_fit_and_stay_apart(void **state)
{
    static const struct {
        const char *name;
        bool is_kept;
    } cases[] = {
        {"f", true},
        {"_x", true},
        {"a.b:c-d", true},
        {"1st", false},
        {"-a", false},
        {"a b", false},
        {"\xC3\xA9", false},
        {"", false},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1",
         false},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2",
         false},
    };
    enum { CASES = sizeof(cases) / sizeof(cases[0]) };
    char made[CASES][GEMINI_NAME_MAX], again[GEMINI_NAME_MAX];
    struct span names[CASES];

    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        struct span name = span_from_text(cases[i].name);

        names[i] = gemini_fit_name(name, made[i]);
        assert_int_equal(span_is_equal(names[i], name), cases[i].is_kept);
        assert_true(names[i].len > 0 && names[i].len <= GEMINI_NAME_MAX);
        assert_true(span_is_equal(gemini_fit_name(names[i], again), names[i]));
        for (size_t k = 0; k < i; k++)
            assert_false(span_is_equal(names[i], names[k]));
    }
}

/* --- what else clients send --- */

static void arguments_that_are_no_object_are_wrapped(void **state)
{
    static const struct {
        const char *args, *told;
    } cases[] = {
        {"", "{}"},
        {"  ", "{}"},
        {"{}", "{}"},
        {"{\"n\":12345678901234567890.50}", "{\"n\":12345678901234567890.50}"},
        {"{\n\"a\":1}", "{ \"a\":1}"},
        {"[1]", "{\"_raw\":\"[1]\"}"},
        {"null", "{\"_raw\":\"null\"}"},
        {"{\"a\":", "{\"_raw\":\"{\\\"a\\\":\"}"},
        {"{} {}", "{\"_raw\":\"{} {}\"}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out;

        buf_init(&out, OUT_MAX);
        gemini_write_args(&out, span_from_text(cases[i].args), false);
        assert_string_equal(buf_text(&out), cases[i].told);
        buf_fini(&out);
    }
}

/* A thousand tools and a thousand calls with their results, in one turn. */
static void a_thousand_of_everything_is_told(void **state)
{
    struct told told;
    struct buf body;

    (void)state;
    buf_init(&body, OUT_MAX);
    buf_printf(&body, "{\"model\":\"m\",\"tools\":[");
    for (int i = 0; i < 1000; i++)
        buf_printf(&body, "%s{\"type\":\"function\",\"function\":{\"name\":\"f%d\"}}", i ? "," : "",
                   i);
    buf_printf(&body, "],\"messages\":[{\"role\":\"user\",\"content\":\"x\"},"
                      "{\"role\":\"assistant\",\"tool_calls\":[");
    for (int i = 0; i < 1000; i++)
        buf_printf(&body,
                   "%s{\"id\":\"c%d\",\"type\":\"function\",\"function\":{\"name\":\"f%d\","
                   "\"arguments\":\"{}\"}}",
                   i ? "," : "", i, i);
    buf_printf(&body, "]}");
    for (int i = 999; i >= 0; i--)
        buf_printf(&body, ",{\"role\":\"tool\",\"tool_call_id\":\"c%d\",\"content\":\"r%d\"}", i,
                   i);
    buf_printf(&body, "]}");
    told = tell(FORM_CHAT, buf_span(&body), "gemini-3-flash");
    assert_tells(&told, "{\"functionResponse\":{\"id\":\"c999\",\"name\":\"f999\","
                        "\"response\":{\"output\":\"r999\"}}}");
    buf_fini(&told.out);
    buf_fini(&body);
}

static void repeat(struct buf *body, const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_printf(body, "%s%s", i ? "," : "", text);
}

/* Of one name, without ids, as short as can be: whatever the provider asks for beside them. */
static void calls_of_one_name_are_told_to_others(void **state)
{
    static const uint32_t quirks[] = {0, QUIRK_REASONING_BACK, QUIRK_SHORT_CALL_IDS,
                                      QUIRK_OPENROUTER_REASONING | QUIRK_TOOL_THEN_ASSISTANT};
    struct buf body;

    (void)state;
    buf_init(&body, OUT_MAX);
    buf_printf(&body,
               "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]},{\"role\":\"model\",\"parts\":[");
    repeat(&body, "{\"functionCall\":{\"name\":\"f\"}}", 20000);
    buf_printf(&body, "]},{\"parts\":[");
    repeat(&body, "{\"functionResponse\":{\"name\":\"f\"}}", 20000);
    buf_printf(&body, "]}]}");
    for (size_t i = 0; i < sizeof(quirks) / sizeof(quirks[0]); i++) {
        const struct chat_target target = {.model = SPAN("m"), .quirks = quirks[i]};
        struct told told = tell_as(FORM_GENERATE, buf_span(&body), FORM_CHAT, &target);

        assert_tells(&told, quirks[i] == QUIRK_SHORT_CALL_IDS ? "\"role\":\"tool\""
                                                              : "\"call_1_19999_unnamed\"");
        buf_fini(&told.out);
    }
    buf_fini(&body);
}

/* What nobody could mean, and what would take many times its own size. */
static void a_body_of_crumbs_is_refused_with_words(void **state)
{
    static const char *const crumbs[] = {"{}", "{\"text\":\"\"}", "0"};
    const struct chat_target target = {.model = SPAN("m")};

    (void)state;
    for (size_t i = 0; i < sizeof(crumbs) / sizeof(crumbs[0]); i++) {
        struct told told;
        struct buf body;

        buf_init(&body, OUT_MAX);
        buf_printf(&body, "{\"contents\":[{\"parts\":[");
        repeat(&body, crumbs[i], 500000);
        buf_printf(&body, "]}]}");
        told = tell_as(FORM_GENERATE, buf_span(&body), FORM_CHAT, &target);
        assert_int_equal(told.err, ERR_SYNTAX);
        assert_int_equal(told.refusal.failure, FAILURE_BODY_TOO_LARGE);
        assert_non_null(strstr(told.refusal.message, "too many parts"));
        buf_fini(&told.out);
        buf_fini(&body);
    }
}

/* Reading a request, writing it, and reading that again says the same. */
static void what_was_written_reads_the_same(void **state)
{
    static const char *const bodies[] = {
        "{\"contents\":[{\"parts\":[{\"text\":\"a\"}]},{\"role\":\"model\",\"parts\":["
        "{\"functionCall\":{\"name\":\"f\",\"args\":{\"x\":1.0}}},{\"function_call\":{\"name\":"
        "\"f\"}}]},{\"role\":\"function\",\"parts\":[{\"functionResponse\":{\"name\":\"f\","
        "\"response\":{\"output\":\"1\"}}},{\"function_response\":{\"name\":\"f\","
        "\"response\":{\"error\":\"no\"}}}]}],\"system_instruction\":{\"parts\":[{\"text\":\"s\"}]}"
        ","
        "\"generation_config\":{\"max_output_tokens\":5,\"stop_sequences\":[\"x\"],\"top_k\":3}}",
        "{\"contents\":[{\"parts\":[{\"inline_data\":{\"mime_type\":\"audio/"
        "wav\",\"data\":\"AA==\"},"
        "\"thought_signature\":\"Uw==\"},{\"text\":\"\",\"thoughtSignature\":\"VA==\"}]}]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct told once = tell(FORM_GENERATE, span_from_text(bodies[i]), "gemini-2.5-pro"), twice;

        assert_int_equal(once.err, 0);
        twice = tell(FORM_GENERATE, buf_span(&once.out), "gemini-2.5-pro");
        assert_int_equal(twice.err, 0);
        assert_string_equal(buf_text(&once.out), buf_text(&twice.out));
        buf_fini(&once.out);
        buf_fini(&twice.out);
    }
}

/* A body with any of its bytes changed is told or refused with words, and does no harm. */
static void broken_bodies_are_refused_with_words(void **state)
{
    static const char body[] =
        "{\"contents\":[{\"role\":\"model\",\"parts\":[{\"text\":\"a\",\"thought\":true},"
        "{\"functionCall\":{\"name\":\"f\",\"args\":{}}}]},{\"parts\":[{\"functionResponse\":"
        "{\"name\":\"f\",\"response\":{},\"parts\":[{\"inlineData\":{\"mimeType\":\"image/png\","
        "\"data\":\"AA==\"}}]}}]}],\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\","
        "\"parameters\":{\"type\":\"OBJECT\"}}]}],\"toolConfig\":{\"functionCallingConfig\":"
        "{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f\"]}},\"generationConfig\":"
        "{\"thinkingConfig\":{\"thinkingBudget\":1},\"responseSchema\":{\"type\":\"STRING\"}}}";
    static const char replacements[] = "\"{}[]:,0a";
    char copy[sizeof(body)];

    (void)state;
    for (size_t at = 0; at + 1 < sizeof(body); at++) {
        for (size_t r = 0; r + 1 < sizeof(replacements); r++) {
            struct told told;

            memcpy(copy, body, sizeof(body));
            copy[at] = replacements[r];
            told = tell(FORM_GENERATE, span_of(copy, sizeof(body) - 1), "gemini-3-flash");
            assert_true(told.err == 0 || told.err == ERR_SYNTAX);
            assert_int_equal(told.err == ERR_SYNTAX, told.refusal.message[0] != 0);
            buf_fini(&told.out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(effort_is_told_as_each_model_wants_it),
        cmocka_unit_test(a_budget_stays_within_what_the_model_takes),
        cmocka_unit_test(schemas_are_told_in_googles_words_to_models_of_old),
        cmocka_unit_test(a_schema_that_explodes_is_refused),
        cmocka_unit_test(names_are_made_fit_and_stay_apart),
        cmocka_unit_test(arguments_that_are_no_object_are_wrapped),
        cmocka_unit_test(a_thousand_of_everything_is_told),
        cmocka_unit_test(calls_of_one_name_are_told_to_others),
        cmocka_unit_test(a_body_of_crumbs_is_refused_with_words),
        cmocka_unit_test(what_was_written_reads_the_same),
        cmocka_unit_test(broken_bodies_are_refused_with_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

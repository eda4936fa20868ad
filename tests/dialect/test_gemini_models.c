/* What is known of Gemini's models by name, and which places the provider looks up itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dialect/gemini_models.h"

static void a_name_leads_to_its_family(void **state)
{
    static const struct {
        const char *name;
        enum gemini_thought thought;
        bool needs_signature, knows_json_schema, mixes_json;
    } cases[] = {
        {"gemini-3-pro-preview", GEMINI_THOUGHT_LEVEL, true, true, true},
        {"models/gemini-3.8-flash", GEMINI_THOUGHT_LEVEL, true, true, true},
        {"gemini-flash-latest", GEMINI_THOUGHT_LEVEL, true, true, true},
        {"publishers/google/models/gemini-2.5-flash", GEMINI_THOUGHT_BUDGET, false, true, false},
        {"gemini-2.5-pro", GEMINI_THOUGHT_BUDGET, false, true, false},
        {"gemini-2.5-flash-image", GEMINI_THOUGHT_NONE, false, true, false},
        {"gemini-2.0-flash-001", GEMINI_THOUGHT_NONE, false, false, false},
        {"gemini-1.5-pro", GEMINI_THOUGHT_NONE, false, false, false},
        {"something-new", GEMINI_THOUGHT_LEVEL, true, true, true},
        {"", GEMINI_THOUGHT_LEVEL, true, true, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct gemini_model *model = gemini_model_find(span_from_text(cases[i].name));

        assert_int_equal(model->thought, cases[i].thought);
        assert_int_equal(model->needs_signature, cases[i].needs_signature);
        assert_int_equal(model->knows_json_schema, cases[i].knows_json_schema);
        assert_int_equal(model->mixes_json, cases[i].mixes_json);
    }
}

/* Whoever looks for a word of a level finds one: HIGH is known wherever levels are. */
static void every_family_of_levels_knows_high(void **state)
{
    static const char *const names[] = {"gemini-3-pro", "gemini-3.1-pro", "gemini-3-flash", "x"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_true(gemini_model_find(span_from_text(names[i]))->levels & GEMINI_HIGH);
}

static void gemma_takes_neither_system_nor_tools(void **state)
{
    const struct gemini_model *model = gemini_model_find(SPAN("gemma-3-27b-it"));

    (void)state;
    assert_false(model->takes_system);
    assert_false(model->takes_calls);
}

static void the_provider_looks_up_its_own_places_only(void **state)
{
    (void)state;
    assert_true(gemini_takes_url(SPAN("gs://bucket/a.png")));
    assert_true(gemini_takes_url(SPAN("https://www.youtube.com/watch?v=1")));
    assert_true(gemini_takes_url(SPAN("https://youtu.be/1")));
    assert_true(
        gemini_takes_url(SPAN("https://generativelanguage.googleapis.com/v1beta/files/abc")));
    assert_false(gemini_takes_url(SPAN("https://example.com/a.png")));
    assert_false(gemini_takes_url(SPAN("https://example.com/?u=https://youtu.be/1")));
    assert_false(gemini_takes_url(SPAN("file-123")));
    assert_false(gemini_takes_url(SPAN("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_leads_to_its_family),
        cmocka_unit_test(every_family_of_levels_knows_high),
        cmocka_unit_test(gemma_takes_neither_system_nor_tools),
        cmocka_unit_test(the_provider_looks_up_its_own_places_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

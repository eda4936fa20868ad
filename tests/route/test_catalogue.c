/* The catalogue: what is built in, by which names it is found, and what a file puts before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ledger/price.h"
#include "route/catalogue.h"

static struct conf_abilities builtin(enum provider_kind kind, const char *model)
{
    struct conf_abilities facts;

    catalogue_builtin(kind, span_from_text(model), &facts);
    return facts;
}

static void names_lead_to_facts(void **state)
{
    assert_int_equal(builtin(PROVIDER_OPENAI, "gpt-4.1").context, 1047576);
    assert_int_equal(builtin(PROVIDER_OPENAI, "gpt-4.1-2025-04-14").context, 1047576);
    assert_int_equal(builtin(PROVIDER_AZURE, "gpt-5").max_input, 272000);
    assert_int_equal(builtin(PROVIDER_ANTHROPIC, "claude-opus-4-6").max_output, 128000);
    assert_int_equal(builtin(PROVIDER_ANTHROPIC, "claude-haiku-4-5-20251001").max_output, 64000);
    assert_int_equal(builtin(PROVIDER_GEMINI, "models/gemini-2.5-pro").context, 1048576);
    assert_int_equal(builtin(PROVIDER_DEEPSEEK, "deepseek-v4-flash").max_output, 384000);
    /* Another model of the same beginning has its own row, or none. */
    assert_int_equal(builtin(PROVIDER_OPENAI, "gpt-5.4-mini").context, 400000);
    assert_int_equal(builtin(PROVIDER_OPENAI, "gpt-5.4-max").context, 0);
    assert_int_equal(builtin(PROVIDER_OPENAI, "gpt-5.4-max").able[CONF_REASONING], CONF_ABLE_YES);
    assert_int_equal(builtin(PROVIDER_COMPATIBLE, "gpt-4.1").context, 0);
}

static void what_nobody_told_is_unknown(void **state)
{
    struct conf_abilities deepseek = builtin(PROVIDER_DEEPSEEK, "deepseek-flash");

    assert_int_equal(deepseek.able[CONF_STRUCTURED], CONF_ABLE_NO);
    assert_int_equal(deepseek.able[CONF_TOOLS], CONF_ABLE_YES);
    assert_int_equal(deepseek.able[CONF_VISION], CONF_ABLE_UNKNOWN);
    assert_int_equal(builtin(PROVIDER_ANTHROPIC, "claude-opus-5-5").context, 0);
    assert_int_equal(builtin(PROVIDER_ANTHROPIC, "claude-opus-5-5").able[CONF_AUDIO], CONF_ABLE_NO);
}

/* An image must not go to who is known not to see. */
static void openai_s_chat_models_are_told_apart(void **state)
{
    static const char *const all[] = {
        "gpt-4.1", "gpt-4.1-nano", "gpt-4o",  "gpt-4o-mini-2024-07-18",
        "gpt-5",   "gpt-5.4",      "gpt-5.5", "gpt-5.6-luna",
        "o3",      "o4-mini"};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct conf_abilities facts = builtin(PROVIDER_OPENAI, all[i]);

        assert_int_equal(facts.able[CONF_TOOLS], CONF_ABLE_YES);
        assert_int_equal(facts.able[CONF_VISION], CONF_ABLE_YES);
        assert_int_equal(facts.able[CONF_STRUCTURED], CONF_ABLE_YES);
        assert_int_equal(facts.able[CONF_AUDIO], CONF_ABLE_NO);
        assert_int_equal(facts.able[CONF_EMBEDDINGS], CONF_ABLE_NO);
    }
    assert_int_equal(builtin(PROVIDER_OPENAI, "o3-mini").able[CONF_VISION], CONF_ABLE_NO);
    assert_int_equal(builtin(PROVIDER_AZURE, "o3-mini").able[CONF_TOOLS], CONF_ABLE_YES);
    assert_int_equal(builtin(PROVIDER_OPENAI, "gpt-4o-2024-05-13").able[CONF_STRUCTURED],
                     CONF_ABLE_NO);
    assert_int_equal(builtin(PROVIDER_OPENAI, "gpt-audio").able[CONF_AUDIO], CONF_ABLE_YES);
    assert_int_equal(builtin(PROVIDER_OPENAI, "gpt-6-sol").able[CONF_VISION], CONF_ABLE_UNKNOWN);
}

/* No answer is longer than the context, and what has a price has a date. */
static void the_rows_are_sane(void **state)
{
    enum provider_kind kind;
    struct price price;
    struct span model;
    size_t at = 0;

    while (price_builtin_next(&at, &kind, &model, &price)) {
        struct conf_abilities facts;

        catalogue_builtin(kind, model, &facts);
        if (facts.context) {
            assert_true(facts.max_output < facts.context);
            assert_true(facts.max_input < facts.context);
        }
        assert_int_equal(catalogue_price_date(kind, model).len, 10);
    }
}

static void ends_and_aliases_are_told(void **state)
{
    struct span successor, alias, pattern;
    enum provider_kind kind;
    size_t at = 0, count = 0;

    assert_true(span_is_equal(catalogue_end(PROVIDER_GEMINI, SPAN("gemini-2.5-pro"), &successor),
                              SPAN("2026-12-01")));
    assert_true(span_is_equal(successor, SPAN("gemini-3.8-flash")));
    assert_int_equal(catalogue_end(PROVIDER_OPENAI, SPAN("gpt-4.1"), &successor).len, 0);
    assert_true(catalogue_alias_next(PROVIDER_DEEPSEEK, SPAN("deepseek-flash"), &at, &alias));
    assert_true(span_is_equal(alias, SPAN("deepseek-v4-flash")));
    assert_false(catalogue_alias_next(PROVIDER_DEEPSEEK, SPAN("deepseek-flash"), &at, &alias));
    for (at = 0; catalogue_retired_next(&at, &kind, &pattern, &successor); count++)
        assert_true(successor.len > 0);
    assert_true(count > 10);
}

static void the_file_goes_first_fact_by_fact(void **state)
{
    struct conf_provider providers[2] = {{.name = SPAN("a"), .kind = PROVIDER_OPENAI},
                                         {.name = SPAN("b"), .kind = PROVIDER_OPENAI}};
    struct conf_catalogue rows[] = {
        {.model = SPAN("gpt-4.1"), .facts = {.context = 5000, .max_output = 50}},
        {.model = SPAN("gpt-4.1"),
         .provider = &providers[0],
         .facts = {.context = 7000, .able = {[CONF_TOOLS] = CONF_ABLE_NO}}}};
    const struct config config = {.providers = {providers, 2}, .catalogue = {rows, 2}};
    struct conf_abilities facts;

    catalogue_find(&config, &providers[0], SPAN("gpt-4.1"), &facts);
    assert_int_equal(facts.context, 7000);
    assert_int_equal(facts.max_output, 50);
    assert_int_equal(facts.able[CONF_TOOLS], CONF_ABLE_NO);
    assert_int_equal(facts.able[CONF_REASONING], CONF_ABLE_NO);
    catalogue_find(&config, &providers[1], SPAN("gpt-4.1-2025-04-14"), &facts);
    assert_int_equal(facts.context, 5000);
    assert_int_equal(facts.able[CONF_TOOLS], CONF_ABLE_YES);
    assert_true(catalogue_is_overridden(&config, &providers[1], SPAN("gpt-4.1")));
    assert_false(catalogue_is_overridden(&config, &providers[1], SPAN("gpt-4o")));
}

static void the_nearest_row_tells(void **state)
{
    struct conf_provider provider = {.name = SPAN("a"), .kind = PROVIDER_OPENAI};
    struct conf_catalogue rows[] = {
        {.model = SPAN("gpt-4.1"), .facts = {.context = 1, .max_output = 11}},
        {.model = SPAN("gpt-4.1-2025-04-14"), .facts = {.context = 2}, .successor = SPAN("x")},
        {.model = SPAN("gpt-4.1"), .provider = &provider, .facts = {.max_output = 33}},
        {.model = SPAN("gpt-4o"), .successor = SPAN("loose")},
        {.model = SPAN("gpt-4o-2024-05-13"), .successor = SPAN("exact")}};
    const struct config config = {.providers = {&provider, 1}, .catalogue = {rows, 5}};
    struct conf_abilities facts;

    catalogue_find(&config, &provider, SPAN("gpt-4.1-2025-04-14"), &facts);
    assert_int_equal(facts.context, 2);
    assert_int_equal(facts.max_output, 33);
    assert_true(span_is_equal(
        catalogue_own_successor(&config, &provider, SPAN("gpt-4o-2024-05-13")), SPAN("exact")));
}

static void aliases_of_the_file(void **state)
{
    struct conf_provider providers[2] = {{.name = SPAN("a"), .kind = PROVIDER_OPENAI},
                                         {.name = SPAN("b"), .kind = PROVIDER_OPENAI}};
    struct span of_any[] = {SPAN("prod"), SPAN("chat")}, of_a[] = {SPAN("prod")};
    struct conf_catalogue rows[] = {
        {.model = SPAN("gpt-4.1"), .facts = {.max_output = 50}, .aliases = {of_any, 2}},
        {.model = SPAN("o3"),
         .provider = &providers[0],
         .successor = SPAN("gpt-5"),
         .aliases = {of_a, 1}},
        {.model = SPAN("chat-2026-01-01"), .facts = {.context = 77}}};
    const struct config config = {.providers = {providers, 2}, .catalogue = {rows, 3}};
    struct conf_abilities facts;
    struct span alias;
    size_t at = 0;

    catalogue_find(&config, &providers[1], SPAN("prod"), &facts);
    assert_int_equal(facts.context, 1047576); /* built in, of gpt-4.1 */
    assert_int_equal(facts.max_output, 50);
    catalogue_find(&config, &providers[1], SPAN("prod-latest"), &facts);
    assert_int_equal(facts.max_output, 50);
    catalogue_find(&config, &providers[0], SPAN("prod"), &facts);
    assert_int_equal(facts.context, 200000);
    assert_true(span_is_equal(catalogue_own_successor(&config, &providers[0], SPAN("prod")),
                              SPAN("gpt-5")));
    assert_int_equal(catalogue_own_successor(&config, &providers[1], SPAN("prod")).len, 0);
    assert_true(catalogue_is_overridden(&config, &providers[1], SPAN("prod")));
    /* With a date behind it it has a row of its own. */
    catalogue_find(&config, &providers[1], SPAN("chat-2026-01-01"), &facts);
    assert_int_equal(facts.context, 77);
    assert_int_equal(facts.max_output, 0);
    /* What means another model there is no name of this one. */
    assert_true(catalogue_own_alias_next(&config, &providers[0], SPAN("gpt-4.1"), &at, &alias));
    assert_true(span_is_equal(alias, SPAN("chat")));
    assert_false(catalogue_own_alias_next(&config, &providers[0], SPAN("gpt-4.1"), &at, &alias));
    at = 0;
    assert_true(catalogue_own_alias_next(&config, &providers[1], SPAN("gpt-4.1"), &at, &alias));
    assert_true(span_is_equal(alias, SPAN("prod")));
    assert_true(catalogue_own_alias_next(&config, &providers[1], SPAN("gpt-4.1"), &at, &alias));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_lead_to_facts),
        cmocka_unit_test(what_nobody_told_is_unknown),
        cmocka_unit_test(openai_s_chat_models_are_told_apart),
        cmocka_unit_test(the_rows_are_sane),
        cmocka_unit_test(ends_and_aliases_are_told),
        cmocka_unit_test(the_file_goes_first_fact_by_fact),
        cmocka_unit_test(the_nearest_row_tells),
        cmocka_unit_test(aliases_of_the_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a name of a model means: configured models, direct names, providers' own names, defaults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/map.h"
#include "route/plan.h"

enum { PROVIDERS = 4, MODELS = 4 };
enum { OPENAI, DEEPSEEK, ROUTER, LOCAL };

struct atlas {
    struct config config;
    struct conf_provider providers[PROVIDERS];
    struct conf_key keys[PROVIDERS][2];
    struct conf_model models[MODELS];
    struct limiter_book *book;
    struct routes *routes;
    struct rand rand;
};

static void declare_provider(struct atlas *atlas, size_t at, const char *name,
                             enum provider_kind kind)
{
    struct conf_provider *provider = &atlas->providers[at];

    provider->name = span_from_text(name);
    provider->kind = kind;
    provider->keys = (struct conf_key_list){atlas->keys[at], 1};
    map_add(&atlas->config.provider_by_name, provider->name, provider);
}

static void open_atlas(struct atlas *atlas, size_t providers)
{
    memset(atlas, 0, sizeof(*atlas));
    rand_init(&atlas->rand, 1);
    map_init(&atlas->config.provider_by_name, 100);
    atlas->config.providers = (struct conf_providers){atlas->providers, providers};
    atlas->config.models.items = atlas->models;
    atlas->book = limiter_book_new();
    declare_provider(atlas, OPENAI, "openai", PROVIDER_OPENAI);
    declare_provider(atlas, DEEPSEEK, "deepseek", PROVIDER_DEEPSEEK);
    declare_provider(atlas, ROUTER, "openrouter", PROVIDER_OPENROUTER);
    declare_provider(atlas, LOCAL, "local", PROVIDER_COMPATIBLE);
}

static void compile(struct atlas *atlas)
{
    assert_int_equal(routes_new(&atlas->config, atlas->book, &atlas->routes), 0);
}

static void close_atlas(struct atlas *atlas)
{
    routes_free(&atlas->routes);
    routes_free(&atlas->routes);
    limiter_book_free(&atlas->book);
    map_fini(&atlas->config.provider_by_name);
}

static enum plan_verdict ask(struct atlas *atlas, const char *name, struct plan *plan)
{
    return plan_make(atlas->routes, span_from_text(name), &atlas->rand, plan);
}

/* The plan as "provider/model provider/model ...". */
static const char *spell(struct atlas *atlas, const char *name)
{
    static char text[2048];
    struct plan plan;
    int len = 0;

    text[0] = '\0';
    if (ask(atlas, name, &plan) != PLAN_OK)
        return "none";
    for (uint32_t i = 0; i < plan.count; i++) {
        const struct plan_target *target = &plan.targets[i];

        assert_ptr_equal(target->provider, &atlas->providers[target->provider_index]);
        assert_int_equal(target->model_hash, map_hash(target->model));
        len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%.*s/%.*s", i ? " " : "",
                        SPAN_ARG(target->provider->name), SPAN_ARG(target->model));
    }
    return text;
}

/* ---- configured models ---- */

static struct conf_target target(struct atlas *atlas, int provider, const char *model,
                                 uint32_t weight)
{
    return (struct conf_target){&atlas->providers[provider], span_from_text(model), weight};
}

static void test_targets_by_weight_then_fallback(void **state)
{
    struct atlas atlas;
    int firsts[3] = {0};

    open_atlas(&atlas, PROVIDERS);
    struct conf_target targets[] = {target(&atlas, DEEPSEEK, "flash", 95),
                                    target(&atlas, ROUTER, "v3", 5),
                                    target(&atlas, LOCAL, "v3", 0)};
    struct conf_target fallback[] = {target(&atlas, OPENAI, "gpt", 0)};
    atlas.models[0] =
        (struct conf_model){.name = SPAN("v3"), .targets = {targets, 3}, .fallback = {fallback, 1}};
    atlas.config.models.count = 1;
    compile(&atlas);
    for (int i = 0; i < 10000; i++) {
        struct plan plan;

        assert_int_equal(ask(&atlas, "v3", &plan), PLAN_OK);
        assert_int_equal(plan.count, 4);
        assert_int_equal(plan.targets[3].provider_index, OPENAI);
        firsts[plan.targets[0].provider_index - DEEPSEEK]++;
        assert_true(span_is_equal(plan.label, SPAN("v3")));
        assert_int_equal(plan.label_index, 1);
    }
    assert_in_range(firsts[0], 9300, 9700);
    assert_in_range(firsts[1], 300, 700);
    assert_int_equal(firsts[2], 0);
    close_atlas(&atlas);
}

static void test_names_that_no_model_has(void **state)
{
    struct atlas atlas;
    struct plan plan;

    open_atlas(&atlas, PROVIDERS);
    struct conf_target targets[] = {target(&atlas, OPENAI, "gpt-4.1", 1)};
    atlas.models[0] = (struct conf_model){.name = SPAN("smart"), .targets = {targets, 1}};
    atlas.config.models.count = 1;
    compile(&atlas);
    assert_string_equal(spell(&atlas, "smart"), "openai/gpt-4.1");
    assert_int_equal(ask(&atlas, "gpt-4.1", &plan), PLAN_UNKNOWN);
    assert_int_equal(ask(&atlas, "openai/gpt-4.1", &plan), PLAN_UNKNOWN);
    assert_int_equal(ask(&atlas, "", &plan), PLAN_ABSENT);
    routes_free(&atlas.routes);

    atlas.config.names.direct = true;
    compile(&atlas);
    assert_string_equal(spell(&atlas, "openai/gpt-4.1"), "openai/gpt-4.1");
    assert_string_equal(spell(&atlas, "openrouter/meta/llama"), "openrouter/meta/llama");
    assert_string_equal(spell(&atlas, "nobody/gpt-4.1"), "none");
    assert_string_equal(spell(&atlas, "openai/"), "none");
    assert_int_equal(ask(&atlas, "openai/x", &plan), PLAN_OK);
    assert_true(span_is_equal(plan.label, SPAN("other")));
    assert_int_equal(plan.label_index, 0);
    routes_free(&atlas.routes);

    atlas.config.names.unknown = SPAN("smart");
    atlas.config.names.absent = SPAN("smart");
    compile(&atlas);
    assert_string_equal(spell(&atlas, "whatever"), "openai/gpt-4.1");
    assert_string_equal(spell(&atlas, ""), "openai/gpt-4.1");
    assert_int_equal(ask(&atlas, "whatever", &plan), PLAN_OK);
    /* Who may not use that model may not get it under a name that nobody has either. */
    assert_true(span_is_equal(plan.model, SPAN("smart")));
    routes_free(&atlas.routes);

    /* What the file itself names needs no leave to be direct. */
    atlas.config.names.direct = false;
    atlas.config.names.unknown = SPAN("openrouter/meta/llama");
    atlas.config.names.absent = SPAN("openai/o4-mini");
    compile(&atlas);
    assert_string_equal(spell(&atlas, "whatever"), "openrouter/meta/llama");
    assert_string_equal(spell(&atlas, ""), "openai/o4-mini");
    assert_string_equal(spell(&atlas, "openai/gpt-4.1"), "openrouter/meta/llama");
    close_atlas(&atlas);
}

/* ---- own names ---- */

static void test_one_provider_serves_every_name(void **state)
{
    struct atlas atlas;

    open_atlas(&atlas, 1);
    compile(&atlas);
    assert_string_equal(spell(&atlas, "gpt-4.1"), "openai/gpt-4.1");
    assert_string_equal(spell(&atlas, "never-heard-of"), "openai/never-heard-of");
    assert_string_equal(spell(&atlas, "a/b"), "openai/a/b");
    close_atlas(&atlas);
}

static void test_several_providers_know_their_own(void **state)
{
    struct span llama[] = {SPAN("llama-*"), SPAN("gpt-oss")};
    struct atlas atlas;

    open_atlas(&atlas, PROVIDERS);
    atlas.config.names.direct = true;
    atlas.keys[LOCAL][0].models = (struct conf_strings){llama, 2};
    compile(&atlas);
    assert_string_equal(spell(&atlas, "gpt-4.1"), "openai/gpt-4.1");
    assert_string_equal(spell(&atlas, "deepseek-v4-pro"), "deepseek/deepseek-v4-pro");
    assert_string_equal(spell(&atlas, "deepseek/deepseek-chat"), "deepseek/deepseek-flash");
    assert_string_equal(spell(&atlas, "meta/llama"), "openrouter/meta/llama");
    assert_string_equal(spell(&atlas, "llama-3"), "local/llama-3");
    assert_string_equal(spell(&atlas, "gpt-oss"), "local/gpt-oss"); /* declared beats known */
    /* Nobody is known for it: all that have a key for any model are asked, in order. */
    assert_string_equal(spell(&atlas, "mystery"),
                        "openai/mystery deepseek/mystery openrouter/mystery");
    close_atlas(&atlas);
}

static void test_declared_by_several(void **state)
{
    struct span exact[] = {SPAN("m")}, wild[] = {SPAN("m*"), SPAN("m*")};
    struct atlas atlas;

    open_atlas(&atlas, PROVIDERS);
    for (int i = 0; i < PROVIDERS; i++)
        atlas.keys[i][0].models = (struct conf_strings){i % 2 ? wild : exact, i % 2 ? 2 : 1};
    compile(&atlas);
    assert_string_equal(spell(&atlas, "m"), "openai/m deepseek/m openrouter/m local/m");
    assert_string_equal(spell(&atlas, "m2"), "deepseek/m2 local/m2");
    assert_string_equal(spell(&atlas, "x"), "none");
    close_atlas(&atlas);
}

/* ---- limits, labels, size ---- */

static void test_limits_of_models(void **state)
{
    struct atlas atlas;
    struct plan own, shared, other, another;

    open_atlas(&atlas, PROVIDERS);
    struct conf_target targets[] = {target(&atlas, OPENAI, "a", 1)};
    atlas.models[0] = (struct conf_model){
        .name = SPAN("own"), .targets = {targets, 1}, .limits = {.rpm = 10, .burst = 1}};
    atlas.models[1] = (struct conf_model){.name = SPAN("shared"), .targets = {targets, 1}};
    atlas.config.models.count = 2;
    atlas.config.names.direct = true;
    compile(&atlas);
    assert_int_equal(ask(&atlas, "own", &own), PLAN_OK);
    assert_non_null(own.limiter);
    assert_int_equal(ask(&atlas, "shared", &shared), PLAN_OK);
    assert_null(shared.limiter);
    routes_free(&atlas.routes);

    atlas.config.names.limits = (struct conf_limits){.rpm = 1000, .burst = 100};
    compile(&atlas);
    assert_int_equal(ask(&atlas, "own", &own), PLAN_OK);
    assert_int_equal(ask(&atlas, "shared", &shared), PLAN_OK);
    assert_int_equal(ask(&atlas, "openai/x", &other), PLAN_OK);
    assert_int_equal(ask(&atlas, "openai/x", &another), PLAN_OK);
    assert_true(own.limiter && shared.limiter && other.limiter);
    assert_ptr_not_equal(own.limiter, shared.limiter);
    assert_ptr_not_equal(shared.limiter, other.limiter);
    assert_ptr_equal(other.limiter, another.limiter);
    close_atlas(&atlas);
}

static void test_names_and_labels(void **state)
{
    struct atlas atlas;
    struct span name;

    open_atlas(&atlas, PROVIDERS);
    struct conf_target targets[] = {target(&atlas, OPENAI, "a", 1)};
    atlas.models[0] = (struct conf_model){.name = SPAN("one"), .targets = {targets, 1}};
    atlas.models[1] = (struct conf_model){.name = SPAN("two"), .targets = {targets, 1}};
    atlas.config.models.count = 2;
    compile(&atlas);
    assert_true(routes_name_at(atlas.routes, 1, &name));
    assert_true(span_is_equal(name, SPAN("two")));
    assert_false(routes_name_at(atlas.routes, 2, &name));
    assert_int_equal(routes_label_count(atlas.routes), 3);
    assert_true(span_is_equal(routes_label_at(atlas.routes, 0), SPAN("other")));
    assert_true(span_is_equal(routes_label_at(atlas.routes, 2), SPAN("two")));
    close_atlas(&atlas);
}

static void test_more_targets_than_a_plan_holds(void **state)
{
    struct conf_target targets[40];
    struct atlas atlas;
    struct plan plan;

    open_atlas(&atlas, PROVIDERS);
    for (int i = 0; i < 40; i++)
        targets[i] = target(&atlas, i % PROVIDERS, "m", 1);
    atlas.models[0] = (struct conf_model){.name = SPAN("wide"), .targets = {targets, 40}};
    atlas.config.models.count = 1;
    compile(&atlas);
    assert_int_equal(ask(&atlas, "wide", &plan), PLAN_OK);
    assert_int_equal(plan.count, PLAN_MAX_TARGETS);
    close_atlas(&atlas);
}

/* 2026-12-01. */
#define DECEMBER_US (UINT64_C(1796083200) * US_PER_SEC)

/* "model" or "model for retired" of the first target at that moment. */
static const char *settled(struct atlas *atlas, const char *name, uint64_t wall_us)
{
    static char text[256];
    struct plan plan;

    assert_int_equal(ask(atlas, name, &plan), PLAN_OK);
    plan_settle(&plan, wall_us);
    assert_int_equal(plan.targets[0].model_hash, map_hash(plan.targets[0].model));
    snprintf(text, sizeof(text), "%.*s%s%.*s", SPAN_ARG(plan.targets[0].model),
             plan.targets[0].retired.len ? " for " : "", SPAN_ARG(plan.targets[0].retired));
    return text;
}

static void test_announced_ends_act(void **state)
{
    struct conf_shadow shadow;
    struct atlas atlas;
    struct plan plan;

    open_atlas(&atlas, PROVIDERS);
    atlas.providers[LOCAL].kind = PROVIDER_GEMINI;
    atlas.config.names.direct = true;
    shadow = (struct conf_shadow){.target = target(&atlas, LOCAL, "gemini-2.5-flash", 0)};
    struct conf_target to[] = {target(&atlas, LOCAL, "models/gemini-2.5-pro", 1)};
    atlas.models[0] = (struct conf_model){.name = SPAN("m"), .targets = {to, 1}, .shadow = &shadow};
    struct conf_target same[] = {target(&atlas, LOCAL, "gemini-3.5-flash-lite", 1)};
    struct conf_target others[] = {target(&atlas, LOCAL, "gemini-2.5-flash", 0),
                                   target(&atlas, LOCAL, "gemini-4", 0)};
    atlas.models[1] =
        (struct conf_model){.name = SPAN("twice"), .targets = {same, 1}, .fallback = {others, 2}};
    atlas.config.models.count = 2;
    compile(&atlas);
    assert_string_equal(settled(&atlas, "m", DECEMBER_US - 1), "models/gemini-2.5-pro");
    assert_string_equal(settled(&atlas, "m", DECEMBER_US),
                        "gemini-3.8-flash for models/gemini-2.5-pro");
    assert_string_equal(settled(&atlas, "local/gemini-2.5-flash", DECEMBER_US),
                        "gemini-3.5-flash-lite for gemini-2.5-flash");
    assert_string_equal(settled(&atlas, "openrouter/gemini-2.5-flash", DECEMBER_US),
                        "gemini-2.5-flash");
    assert_int_equal(ask(&atlas, "twice", &plan), PLAN_OK);
    plan_settle(&plan, DECEMBER_US - 1);
    assert_int_equal(plan.count, 3);
    plan_settle(&plan, DECEMBER_US);
    assert_int_equal(plan.count, 2);
    assert_true(span_is_equal(plan.targets[0].model, SPAN("gemini-3.5-flash-lite")));
    assert_true(span_is_equal(plan.targets[1].model, SPAN("gemini-4")));
    assert_int_equal(ask(&atlas, "m", &plan), PLAN_OK);
    plan_settle(&plan, DECEMBER_US - 1);
    assert_true(span_is_equal(plan.shadow->target.model, SPAN("gemini-2.5-flash")));
    plan_settle(&plan, DECEMBER_US);
    assert_true(span_is_equal(plan.shadow->target.model, SPAN("gemini-3.5-flash-lite")));
    assert_true(span_is_equal(plan.shadow->name, SPAN("local/gemini-2.5-flash")));
    close_atlas(&atlas);
}

/* A proxy that calls itself Anthropic may serve on what Anthropic itself has retired. */
static void test_the_file_has_the_last_word_on_successors(void **state)
{
    struct conf_catalogue rows[] = {
        {.model = SPAN_INIT("claude-3-5-sonnet"), .successor = SPAN_INIT("none")},
        {.model = SPAN_INIT("claude-3-opus"), .successor = SPAN_INIT("claude-fable-5")},
        {.model = SPAN_INIT("claude-sonnet-4-5"), .successor = SPAN_INIT("claude-sonnet-4-6")},
        {.model = SPAN_INIT("gemini-2.5-pro"), .successor = SPAN_INIT("none")},
        {.model = SPAN_INIT("claude-3-opus"), .successor = SPAN_INIT("claude-opus-5")},
        {.model = SPAN_INIT("claude-sonnet-4-5-20250929"), .successor = SPAN_INIT("none")}};
    struct atlas atlas;

    open_atlas(&atlas, PROVIDERS);
    atlas.providers[LOCAL].kind = PROVIDER_ANTHROPIC;
    atlas.providers[ROUTER].kind = PROVIDER_ANTHROPIC;
    atlas.providers[DEEPSEEK].kind = PROVIDER_GEMINI;
    atlas.config.names.direct = true;
    compile(&atlas);
    assert_string_equal(settled(&atlas, "local/claude-3-5-sonnet-20241022", 0),
                        "claude-sonnet-4-6 for claude-3-5-sonnet-20241022");
    routes_free(&atlas.routes);
    rows[0].provider = rows[4].provider = &atlas.providers[LOCAL];
    atlas.config.catalogue = (struct conf_catalogue_rows){rows, 6};
    compile(&atlas);
    assert_string_equal(settled(&atlas, "local/claude-3-5-sonnet-20241022", DECEMBER_US),
                        "claude-3-5-sonnet-20241022");
    assert_string_equal(settled(&atlas, "openrouter/claude-3-5-sonnet-20241022", 0),
                        "claude-sonnet-4-6 for claude-3-5-sonnet-20241022");
    assert_string_equal(settled(&atlas, "local/claude-3-opus-20240229", 0),
                        "claude-opus-5 for claude-3-opus-20240229");
    assert_string_equal(settled(&atlas, "openrouter/claude-3-opus-latest", 0),
                        "claude-fable-5 for claude-3-opus-latest");
    assert_string_equal(settled(&atlas, "local/claude-sonnet-4-5", 0),
                        "claude-sonnet-4-6 for claude-sonnet-4-5");
    assert_string_equal(settled(&atlas, "local/claude-sonnet-4-6", 0), "claude-sonnet-4-6");
    /* Its very name goes before another that means it, wherever they stand. */
    assert_string_equal(settled(&atlas, "local/claude-sonnet-4-5-20250929", 0),
                        "claude-sonnet-4-5-20250929");
    assert_string_equal(settled(&atlas, "deepseek/models/gemini-2.5-pro", DECEMBER_US),
                        "models/gemini-2.5-pro");
    close_atlas(&atlas);
}

static void test_aliases_end_and_are_followed_as_their_models(void **state)
{
    struct span prod[] = {SPAN("prod")}, old[] = {SPAN("old")}, stays[] = {SPAN("stays")},
                gone[] = {SPAN("gone")};
    struct conf_catalogue rows[] = {{.model = SPAN_INIT("gemini-2.5-pro"), .aliases = {prod, 1}},
                                    {.model = SPAN_INIT("gemini-2.5-flash"),
                                     .successor = SPAN_INIT("gemini-4"),
                                     .aliases = {old, 1}},
                                    {.model = SPAN_INIT("gemini-2.0-flash"),
                                     .successor = SPAN_INIT("none"),
                                     .aliases = {stays, 1}},
                                    {.model = SPAN_INIT("gemini-1.5-pro"), .aliases = {gone, 1}}};
    struct atlas atlas;
    struct plan alias, model;

    open_atlas(&atlas, PROVIDERS);
    atlas.providers[LOCAL].kind = PROVIDER_GEMINI;
    atlas.config.names.direct = true;
    atlas.config.catalogue = (struct conf_catalogue_rows){rows, 4};
    compile(&atlas);
    assert_string_equal(settled(&atlas, "local/prod", DECEMBER_US - 1), "prod");
    assert_string_equal(settled(&atlas, "local/prod", DECEMBER_US), "gemini-3.8-flash for prod");
    assert_string_equal(settled(&atlas, "openrouter/prod", DECEMBER_US), "prod");
    assert_string_equal(settled(&atlas, "local/old", 0), "gemini-4 for old");
    assert_string_equal(settled(&atlas, "local/stays", DECEMBER_US), "stays");
    assert_string_equal(settled(&atlas, "local/gone", 0), "gemini-3.8-flash for gone");
    /* Its tokens are those of its model, which is another name to ask for all the same. */
    assert_int_equal(ask(&atlas, "local/prod", &alias), PLAN_OK);
    assert_int_equal(ask(&atlas, "local/gemini-2.5-pro", &model), PLAN_OK);
    assert_true(alias.targets[0].estimate_hash == model.targets[0].estimate_hash);
    assert_true(alias.targets[0].model_hash != model.targets[0].model_hash);
    close_atlas(&atlas);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets_by_weight_then_fallback),
        cmocka_unit_test(test_aliases_end_and_are_followed_as_their_models),
        cmocka_unit_test(test_names_that_no_model_has),
        cmocka_unit_test(test_one_provider_serves_every_name),
        cmocka_unit_test(test_several_providers_know_their_own),
        cmocka_unit_test(test_declared_by_several),
        cmocka_unit_test(test_limits_of_models),
        cmocka_unit_test(test_names_and_labels),
        cmocka_unit_test(test_more_targets_than_a_plan_holds),
        cmocka_unit_test(test_announced_ends_act),
        cmocka_unit_test(test_the_file_has_the_last_word_on_successors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Models that choose others: by size, by cost, by latency, and only who can do what is needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/map.h"
#include "ledger/prices.h"
#include "route/catalogue.h"
#include "route/choice.h"

enum { PROVIDERS = 3, MODELS = 8, ROWS = 8 };
enum { OPENAI, DEEPSEEK, LOCAL };

/* 2026-11-23, a Monday, at 00:00 UTC. */
#define MONDAY_US (UINT64_C(1795392000) * 1000000)
#define HOUR_US   UINT64_C(3600000000)

/* 2026-11-30, a week later. */
#define NOVEMBER_30_US (MONDAY_US + 7 * 24 * HOUR_US)

struct shop {
    struct config config;
    struct conf_provider providers[PROVIDERS];
    struct conf_model models[MODELS];
    struct conf_target targets[MODELS][3];
    struct conf_use uses[MODELS][3];
    struct conf_size_row sizes[MODELS][3];
    struct conf_price prices[ROWS];
    struct conf_catalogue facts[ROWS];
    struct limiter_book *limiters;
    struct pace_book *paces;
    struct routes *routes;
    struct prices *price_table;
    struct rand rand;
};

static void open_shop(struct shop *shop)
{
    static const char *const names[PROVIDERS] = {"openai", "deepseek", "local"};
    static const enum provider_kind kinds[PROVIDERS] = {PROVIDER_OPENAI, PROVIDER_DEEPSEEK,
                                                        PROVIDER_COMPATIBLE};

    memset(shop, 0, sizeof(*shop));
    rand_init(&shop->rand, 7);
    map_init(&shop->config.provider_by_name, 16);
    shop->config.providers = (struct conf_providers){shop->providers, PROVIDERS};
    shop->config.models.items = shop->models;
    shop->config.prices.items = shop->prices;
    shop->config.catalogue.items = shop->facts;
    for (int i = 0; i < PROVIDERS; i++) {
        shop->providers[i].name = span_from_text(names[i]);
        shop->providers[i].kind = kinds[i];
        map_add(&shop->config.provider_by_name, shop->providers[i].name, &shop->providers[i]);
    }
    shop->limiters = limiter_book_new();
    shop->paces = pace_book_new();
}

static void compile(struct shop *shop)
{
    assert_int_equal(routes_new(&shop->config, shop->limiters, &shop->routes), 0);
    assert_int_equal(prices_new(&shop->config, &shop->price_table), 0);
    routes_price(shop->routes, shop->price_table);
    assert_int_equal(routes_measure(shop->routes, shop->paces), 0);
}

static void forget(struct shop *shop)
{
    routes_free(&shop->routes);
    prices_free(&shop->price_table);
}

static void close_shop(struct shop *shop)
{
    forget(shop);
    pace_book_free(&shop->paces);
    limiter_book_free(&shop->limiters);
    map_fini(&shop->config.provider_by_name);
}

static struct conf_model *add_model(struct shop *shop, const char *name)
{
    struct conf_model *model = &shop->models[shop->config.models.count++];

    model->name = span_from_text(name);
    return model;
}

/* A model with one target of its own name. */
static struct conf_model *add_plain(struct shop *shop, const char *name, int provider)
{
    struct conf_model *model = add_model(shop, name);
    struct conf_target *target = shop->targets[model - shop->models];

    *target = (struct conf_target){&shop->providers[provider], model->name, 1};
    model->targets = (struct conf_targets){target, 1};
    return model;
}

static struct conf_model *add_best(struct shop *shop, const char *name, enum conf_optimise optimise,
                                   const char *a, const char *b, const char *c)
{
    struct conf_model *model = add_model(shop, name);
    struct conf_use *uses = shop->uses[model - shop->models];

    uses[0].name = span_from_text(a);
    uses[1].name = span_from_text(b);
    uses[2].name = span_from_text(c);
    model->optimise = optimise;
    model->among = (struct conf_uses){uses, 3};
    return model;
}

static struct conf_model *add_sizes(struct shop *shop, const char *name, const char *a,
                                    uint64_t below, const char *b, uint64_t then, const char *c)
{
    struct conf_model *model = add_model(shop, name);
    struct conf_size_row *rows = shop->sizes[model - shop->models];

    rows[0] = (struct conf_size_row){below, {.name = span_from_text(a)}};
    rows[1] = (struct conf_size_row){then, {.name = span_from_text(b)}};
    rows[2] = (struct conf_size_row){0, {.name = span_from_text(c)}};
    model->by_size = (struct conf_size_rows){rows, 3};
    return model;
}

/* USD per million tokens, at any provider. */
static void add_price(struct shop *shop, const char *model, uint64_t input, uint64_t output)
{
    struct conf_price *price = &shop->prices[shop->config.prices.count++];

    price->name = price->model = span_from_text(model);
    price->terms.rates = (struct conf_price_rates){
        input * 1000000, output * 1000000, input * 1000000, input * 1000000, input * 1000000};
}

static struct conf_abilities *add_facts(struct shop *shop, const char *model)
{
    struct conf_catalogue *row = &shop->facts[shop->config.catalogue.count++];

    row->name = row->model = span_from_text(model);
    return &row->facts;
}

/* The models of a plan, one after the other. */
static const char *spell(struct shop *shop, const struct plan_ask *ask)
{
    static char text[1024];
    struct plan plan;
    int len = 0;

    text[0] = '\0';
    if (plan_make_for(shop->routes, ask, &shop->rand, &plan) != PLAN_OK)
        return "none";
    for (uint32_t i = 0; i < plan.count; i++)
        len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%.*s", i ? " " : "",
                        SPAN_ARG(plan.targets[i].model));
    return text;
}

/* The same once announced ends have been minded. */
static const char *spell_settled(struct shop *shop, const struct plan_ask *ask)
{
    static char text[1024];
    struct plan plan;
    int len = 0;

    assert_int_equal(plan_make_for(shop->routes, ask, &shop->rand, &plan), PLAN_OK);
    plan_settle(&plan, ask->wall_us);
    for (uint32_t i = 0; i < plan.count; i++)
        len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%.*s", i ? " " : "",
                        SPAN_ARG(plan.targets[i].model));
    return text;
}

/* ---- by size ---- */

static const char *of_size(struct shop *shop, uint64_t chars, uint32_t needs)
{
    const struct plan_ask ask = {.name = SPAN("auto"), .chars = chars, .needs = needs};

    return spell(shop, &ask);
}

static void open_sizes(struct shop *shop)
{
    open_shop(shop);
    add_plain(shop, "small", LOCAL);
    add_plain(shop, "middle", LOCAL);
    add_plain(shop, "large", LOCAL);
    add_sizes(shop, "auto", "small", 200, "middle", 1000, "large");
}

static void a_row_takes_what_is_below_its_bound(void **state)
{
    struct shop shop;

    open_sizes(&shop);
    compile(&shop);
    assert_string_equal(of_size(&shop, 0, 0), "small");
    assert_string_equal(of_size(&shop, 199, 0), "small");
    assert_string_equal(of_size(&shop, 200, 0), "middle");
    assert_string_equal(of_size(&shop, 999, 0), "middle");
    assert_string_equal(of_size(&shop, 1000, 0), "large");
    assert_string_equal(of_size(&shop, UINT64_MAX, 0), "large");
    close_shop(&shop);
}

static void who_cannot_is_passed_over_upwards(void **state)
{
    const uint32_t tools = 1u << CONF_TOOLS, vision = 1u << CONF_VISION;
    struct shop shop;

    open_sizes(&shop);
    add_facts(&shop, "small")->able[CONF_TOOLS] = CONF_ABLE_NO;
    add_facts(&shop, "middle")->able[CONF_TOOLS] = CONF_ABLE_NO;
    add_facts(&shop, "large")->able[CONF_VISION] = CONF_ABLE_NO;
    compile(&shop);
    assert_string_equal(of_size(&shop, 5, 0), "small");
    assert_string_equal(of_size(&shop, 5, tools), "large");
    assert_string_equal(of_size(&shop, 300, tools), "large");
    assert_string_equal(of_size(&shop, 5, vision), "small");
    /* Nobody from there on can: smaller ones are not asked. */
    assert_string_equal(of_size(&shop, 5000, vision), "large");
    assert_string_equal(of_size(&shop, 300, vision | tools), "middle");
    close_shop(&shop);
}

static void one_target_that_cannot_is_enough(void **state)
{
    const uint32_t tools = 1u << CONF_TOOLS;
    struct shop shop;

    open_sizes(&shop);
    shop.targets[0][1] = (struct conf_target){&shop.providers[LOCAL], SPAN("other"), 1};
    shop.models[0].targets.count = 2;
    add_facts(&shop, "other")->able[CONF_TOOLS] = CONF_ABLE_NO;
    compile(&shop);
    assert_string_equal(of_size(&shop, 5, tools), "middle");
    close_shop(&shop);
}

static void a_choice_may_use_another(void **state)
{
    struct plan_ask ask = {.name = SPAN("outer"), .chars = 10, .prompt_tokens = 3};
    struct shop shop;

    open_sizes(&shop);
    add_best(&shop, "cheapest", CONF_OPTIMISE_COST, "large", "auto", "middle");
    add_sizes(&shop, "outer", "cheapest", 5000, "local/x", 6000, "large");
    shop.sizes[5][1].use.target = (struct conf_target){&shop.providers[LOCAL], SPAN("x"), 1};
    add_price(&shop, "small", 1, 1);
    add_price(&shop, "middle", 2, 2);
    add_price(&shop, "large", 3, 3);
    compile(&shop);
    assert_string_equal(spell(&shop, &ask), "small middle large");
    ask.name = SPAN("cheapest");
    assert_string_equal(spell(&shop, &ask), "small middle large");
    ask.name = SPAN("outer");
    ask.chars = 5500;
    assert_string_equal(spell(&shop, &ask), "x");
    close_shop(&shop);
}

static void the_plan_counts_as_the_model_that_is_used(void **state)
{
    struct plan_ask ask = {.name = SPAN("auto"), .chars = 300};
    const struct conf_set set = {.seed = SPAN("5")}, own = {.seed = SPAN("6")};
    struct shop shop;
    struct plan plan;

    open_sizes(&shop);
    shop.models[1].set = (struct conf_set *)&set;
    compile(&shop);
    assert_int_equal(plan_make_for(shop.routes, &ask, &shop.rand, &plan), PLAN_OK);
    assert_true(span_is_equal(plan.label, SPAN("middle")));
    assert_true(span_is_equal(routes_label_at(shop.routes, plan.label_index), SPAN("middle")));
    assert_true(span_is_equal(plan.model, SPAN("auto")));
    assert_ptr_equal(plan.set, &set);
    forget(&shop);
    shop.models[3].set = (struct conf_set *)&own;
    compile(&shop);
    assert_int_equal(plan_make_for(shop.routes, &ask, &shop.rand, &plan), PLAN_OK);
    assert_ptr_equal(plan.set, &own);
    close_shop(&shop);
}

static const struct conf_set *set_of(struct shop *shop, const char *name)
{
    const struct plan_ask ask = {.name = span_from_text(name), .prompt_tokens = 10};
    struct plan plan;

    assert_int_equal(plan_make_for(shop->routes, &ask, &shop->rand, &plan), PLAN_OK);
    return plan.set;
}

static void the_set_of_a_choice_between_counts(void **state)
{
    const struct conf_set plain = {.seed = SPAN("1")}, inner = {.seed = SPAN("2")},
                          outer = {.seed = SPAN("3")};
    struct shop shop;

    open_sizes(&shop);
    shop.models[0].set = (struct conf_set *)&plain;
    add_best(&shop, "inner", CONF_OPTIMISE_COST, "small", "middle", "large")->set =
        (struct conf_set *)&inner;
    add_best(&shop, "best", CONF_OPTIMISE_COST, "inner", "middle", "large");
    add_sizes(&shop, "sizes", "inner", 5000, "small", 6000, "large");
    add_sizes(&shop, "outer", "sizes", 5000, "small", 6000, "large")->set =
        (struct conf_set *)&outer;
    compile(&shop);
    assert_ptr_equal(set_of(&shop, "auto"), &plain);
    assert_ptr_equal(set_of(&shop, "inner"), &inner);
    assert_ptr_equal(set_of(&shop, "best"), &inner);
    assert_ptr_equal(set_of(&shop, "sizes"), &inner);
    assert_ptr_equal(set_of(&shop, "outer"), &outer);
    close_shop(&shop);
}

/* What stands inside is in its own order, where its first one belongs. */
static void one_that_optimises_is_ranked_as_a_whole(void **state)
{
    struct plan_ask ask = {.name = SPAN("best"), .prompt_tokens = 10};
    struct shop shop;

    open_sizes(&shop);
    add_plain(&shop, "other", LOCAL);
    add_best(&shop, "inner", CONF_OPTIMISE_COST, "middle", "large", "small");
    add_best(&shop, "best", CONF_OPTIMISE_COST, "other", "inner", "auto");
    add_price(&shop, "small", 4, 4);
    add_price(&shop, "middle", 1, 1);
    add_price(&shop, "large", 3, 3);
    add_price(&shop, "other", 2, 2);
    compile(&shop);
    assert_string_equal(spell(&shop, &ask), "middle large small other");
    ask.needs = 1u << CONF_TOOLS;
    forget(&shop);
    add_facts(&shop, "middle")->able[CONF_TOOLS] = CONF_ABLE_NO;
    compile(&shop);
    assert_string_equal(spell(&shop, &ask), "other large small");
    close_shop(&shop);
}

/* ---- who can ---- */

static void lengths_are_looked_at(void **state)
{
    const struct conf_abilities facts = {.context = 1000, .max_input = 800, .max_output = 300};
    const struct conf_abilities unknown = {0};
    struct plan_ask ask = {.prompt_tokens = 700, .max_tokens = 300};

    assert_true(choice_fits(&facts, &ask));
    ask.max_tokens = 301;
    assert_false(choice_fits(&facts, &ask));
    ask = (struct plan_ask){.prompt_tokens = 701, .max_tokens = 300};
    assert_false(choice_fits(&facts, &ask));
    ask = (struct plan_ask){.prompt_tokens = 801};
    assert_false(choice_fits(&facts, &ask));
    ask = (struct plan_ask){.prompt_tokens = UINT64_MAX, .max_tokens = UINT64_MAX, .needs = 63};
    assert_true(choice_fits(&unknown, &ask));
}

static void embeddings_are_apart(void **state)
{
    const struct plan_ask talk = {.prompt_tokens = 5},
                          embed = {.prompt_tokens = 1000000, .needs = 1u << CONF_EMBEDDINGS};
    struct conf_abilities facts;

    catalogue_builtin(PROVIDER_OPENAI, SPAN("text-embedding-3-small"), &facts);
    assert_false(choice_fits(&facts, &talk));
    assert_true(choice_fits(&facts, &embed));
    catalogue_builtin(PROVIDER_ANTHROPIC, SPAN("claude-haiku-5-5"), &facts);
    assert_true(choice_fits(&facts, &talk));
    assert_false(choice_fits(&facts, &embed));
}

/* ---- cost ---- */

static void open_costs(struct shop *shop)
{
    open_shop(shop);
    add_plain(shop, "short", LOCAL);
    add_plain(shop, "long", LOCAL);
    add_plain(shop, "unknown", LOCAL);
    add_best(shop, "best", CONF_OPTIMISE_COST, "unknown", "short", "long");
    add_price(shop, "short", 5, 1);
    add_price(shop, "long", 1, 6);
}

static void the_cheapest_for_this_request_goes_first(void **state)
{
    struct plan_ask ask = {.name = SPAN("best"), .prompt_tokens = 10};
    struct shop shop;

    open_costs(&shop);
    compile(&shop);
    assert_string_equal(spell(&shop, &ask), "short long unknown");
    /* 5 * 640 + 512 against 640 + 6 * 512: they meet at 640 tokens. */
    ask.prompt_tokens = 639;
    assert_string_equal(spell(&shop, &ask), "short long unknown");
    ask.prompt_tokens = 641;
    assert_string_equal(spell(&shop, &ask), "long short unknown");
    ask = (struct plan_ask){.name = SPAN("best"), .prompt_tokens = 100, .max_tokens = 10};
    assert_string_equal(spell(&shop, &ask), "long short unknown");
    ask.choices = 20;
    assert_string_equal(spell(&shop, &ask), "short long unknown");
    close_shop(&shop);
}

static void peak_hours_are_dear(void **state)
{
    struct plan_ask ask = {.name = SPAN("best"), .prompt_tokens = 1000, .wall_us = MONDAY_US};
    struct shop shop;

    open_shop(&shop);
    add_plain(&shop, "deepseek-flash", DEEPSEEK);
    add_plain(&shop, "gpt-5.6-luna", OPENAI);
    add_plain(&shop, "unknown", LOCAL);
    add_best(&shop, "best", CONF_OPTIMISE_COST, "gpt-5.6-luna", "deepseek-flash", "unknown");
    compile(&shop);
    /* 0.15 and 0.60 against 0.20 and 1.20; twice that in peak hours. */
    assert_string_equal(spell(&shop, &ask), "deepseek-flash gpt-5.6-luna unknown");
    ask.wall_us += 2 * HOUR_US;
    ask.max_tokens = 1;
    assert_string_equal(spell(&shop, &ask), "gpt-5.6-luna deepseek-flash unknown");
    close_shop(&shop);
}

static void weights_make_a_mean(void **state)
{
    struct plan_ask ask = {.name = SPAN("best"), .prompt_tokens = 1000, .max_tokens = 1};
    struct shop shop;

    open_costs(&shop);
    /* "long" is now 3 parts at 1 USD and 1 part at 21: 6 in the mean. */
    shop.targets[1][0].weight = 3;
    shop.targets[1][1] = (struct conf_target){&shop.providers[LOCAL], SPAN("dear"), 1};
    shop.models[1].targets.count = 2;
    add_price(&shop, "dear", 21, 1);
    compile(&shop);
    assert_int_equal(strncmp(spell(&shop, &ask), "short ", 6), 0);
    close_shop(&shop);
}

static void only_who_can_unless_nobody_can(void **state)
{
    struct plan_ask ask = {
        .name = SPAN("best"), .prompt_tokens = 10, .needs = 1u << CONF_STRUCTURED};
    struct shop shop;

    open_costs(&shop);
    add_facts(&shop, "short")->able[CONF_STRUCTURED] = CONF_ABLE_NO;
    compile(&shop);
    assert_string_equal(spell(&shop, &ask), "long unknown");
    forget(&shop);
    add_facts(&shop, "long")->able[CONF_STRUCTURED] = CONF_ABLE_NO;
    add_facts(&shop, "unknown")->able[CONF_STRUCTURED] = CONF_ABLE_NO;
    compile(&shop);
    assert_string_equal(spell(&shop, &ask), "short long unknown");
    close_shop(&shop);
}

/* From its day on a model is what has taken its place: its name, its price, what it can do; where
 * nothing has, it is chosen no more. */
static void ends_come_on_their_day(void **state)
{
    struct plan_ask ask = {.name = SPAN("best"), .prompt_tokens = 1000};
    struct shop shop;

    open_shop(&shop);
    shop.providers[DEEPSEEK].kind = PROVIDER_ANTHROPIC;
    shop.providers[LOCAL].kind = PROVIDER_GEMINI;
    add_plain(&shop, "claude-sonnet-4-5-20250929", DEEPSEEK);
    add_plain(&shop, "gemini-2.5-pro", LOCAL);
    add_plain(&shop, "gpt-5.5", OPENAI);
    add_best(&shop, "best", CONF_OPTIMISE_COST, "claude-sonnet-4-5-20250929", "gemini-2.5-pro",
             "gpt-5.5");
    compile(&shop);
    ask.wall_us = NOVEMBER_30_US - 1;
    assert_string_equal(spell_settled(&shop, &ask),
                        "gemini-2.5-pro claude-sonnet-4-5-20250929 gpt-5.5");
    ask.wall_us = NOVEMBER_30_US;
    assert_string_equal(spell_settled(&shop, &ask), "gemini-2.5-pro gpt-5.5");
    ask.wall_us = NOVEMBER_30_US + 24 * HOUR_US; /* nobody knows what the successor costs */
    assert_string_equal(spell_settled(&shop, &ask), "gpt-5.5 gemini-3.8-flash");
    forget(&shop);
    add_price(&shop, "gemini-3.8-flash", 1, 1);
    add_facts(&shop, "gemini-3.8-flash")->able[CONF_VISION] = CONF_ABLE_NO;
    compile(&shop);
    assert_string_equal(spell_settled(&shop, &ask), "gemini-3.8-flash gpt-5.5");
    ask.needs = 1u << CONF_VISION;
    assert_string_equal(spell_settled(&shop, &ask), "gpt-5.5");
    ask.wall_us = NOVEMBER_30_US;
    assert_string_equal(spell_settled(&shop, &ask), "gemini-2.5-pro gpt-5.5");
    close_shop(&shop);
}

static void no_target_stands_twice(void **state)
{
    struct plan_ask ask = {.name = SPAN("best"), .prompt_tokens = 10};
    struct shop shop;

    open_costs(&shop);
    shop.models[0].fallback = (struct conf_targets){&shop.targets[1][0], 1};
    compile(&shop);
    assert_string_equal(spell(&shop, &ask), "short long unknown");
    close_shop(&shop);
}

/* ---- latency ---- */

/* What so many exchanges begin with, each answered after what its model takes. */
static void play(struct shop *shop, const uint64_t times[3], int exchanges, int ret_counts[3])
{
    const struct plan_ask ask = {.name = SPAN("soon")};

    memset(ret_counts, 0, 3 * sizeof(ret_counts[0]));
    for (int i = 0; i < exchanges; i++) {
        struct plan plan;
        int model;

        assert_int_equal(plan_make_for(shop->routes, &ask, &shop->rand, &plan), PLAN_OK);
        assert_int_equal(plan.count, 3);
        model = plan.targets[0].model.ptr[0] - 'a';
        ret_counts[model]++;
        pace_note(plan.targets[0].pace, times[model]);
    }
}

static void open_latencies(struct shop *shop)
{
    open_shop(shop);
    add_plain(shop, "a", LOCAL);
    add_plain(shop, "b", LOCAL);
    add_plain(shop, "c", LOCAL);
    add_best(shop, "soon", CONF_OPTIMISE_LATENCY, "a", "b", "c");
    compile(shop);
}

static void the_quickest_serves_and_others_are_looked_at(void **state)
{
    const uint64_t times[3] = {300000, 100000, 200000};
    struct shop shop;
    int counts[3];

    open_latencies(&shop);
    play(&shop, times, 9, counts);
    assert_in_range(counts[0], 2, 4);
    assert_in_range(counts[1], 2, 4);
    play(&shop, times, 10000, counts);
    assert_in_range(counts[1], 9400, 9600);
    assert_in_range(counts[0], 200, 300);
    assert_in_range(counts[2], 200, 300);
    close_shop(&shop);
}

/* Without a usable key: its plans begin with it, and another one answers. */
static void one_that_never_answers_is_not_in_front_for_ever(void **state)
{
    const struct plan_ask ask = {.name = SPAN("soon")};
    struct shop shop;
    struct plan plan;
    int fronts = 0;

    open_latencies(&shop);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(plan_make_for(shop.routes, &ask, &shop.rand, &plan), PLAN_OK);
        if (plan.targets[0].model.ptr[0] == 'a')
            fronts++;
        else
            pace_note(plan.targets[0].pace, 1000);
    }
    /* PACE_TRIES, and half of one in CHOICE_EXPLORE. */
    assert_in_range(fronts, PACE_TRIES, PACE_TRIES + 50);
    close_shop(&shop);
}

static void the_known_targets_of_a_model_are_enough(void **state)
{
    const struct plan_ask ask = {.name = SPAN("soon")};
    struct shop shop;
    struct plan plan;
    struct pace *pace;
    int fronts = 0;

    open_latencies(&shop);
    forget(&shop);
    shop.targets[0][1] = (struct conf_target){&shop.providers[LOCAL], SPAN("a2"), 9};
    shop.models[0].targets.count = 2;
    compile(&shop);
    for (int i = 0; i < 3; i++) {
        const struct span names[3] = {SPAN("local/a"), SPAN("local/b"), SPAN("local/c")};

        assert_int_equal(pace_book_get(shop.paces, names[i], &pace), 0);
        for (int samples = 0; samples < PACE_KNOWN_FROM; samples++)
            pace_note(pace, i == 0 ? 900 : 100);
        pace_unref(&pace);
    }
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(plan_make_for(shop.routes, &ask, &shop.rand, &plan), PLAN_OK);
        fronts += plan.targets[0].model.ptr[0] == 'a';
    }
    assert_in_range(fronts, 5, 60);
    close_shop(&shop);
}

/* All goes to the new side: its answers tell how soon the model answers. */
static void a_migrated_model_is_measured(void **state)
{
    const struct plan_ask ask = {.name = SPAN("soon")};
    struct crossing_book *book = crossing_book_new(1);
    struct conf_migration migration = {0};
    struct shop shop;
    struct plan plan;
    struct pace *pace;
    int fronts = 0;

    open_latencies(&shop);
    forget(&shop);
    migration.from = shop.targets[0][0];
    migration.to = (struct conf_target){&shop.providers[OPENAI], SPAN("a-new"), 1};
    shop.models[0].migration = &migration;
    compile(&shop);
    assert_int_equal(routes_join(shop.routes, book), 0);
    crossing_set(routes_crossing(shop.routes, SPAN("a")), (struct crossing_stand){.has_new = true});
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(plan_make_for(shop.routes, &ask, &shop.rand, &plan), PLAN_OK);
        if (plan.crossing)
            plan_cross(&plan, 0);
        fronts += plan.targets[0].model.ptr[0] == 'a';
        assert_non_null(plan.targets[0].pace);
        pace_note(plan.targets[0].pace, plan.targets[0].model.ptr[0] == 'a' ? 100 : 500);
    }
    assert_in_range(fronts, 900, 990);
    /* Without a usable key, though the old side was quick once. */
    assert_int_equal(pace_book_get(shop.paces, SPAN("local/a"), &pace), 0);
    for (int samples = 0; samples < PACE_KNOWN_FROM; samples++)
        pace_note(pace, 10);
    pace_unref(&pace);
    forget(&shop);
    migration.to.model = SPAN("a-newer");
    compile(&shop);
    assert_int_equal(routes_join(shop.routes, book), 0);
    crossing_set(routes_crossing(shop.routes, SPAN("a")), (struct crossing_stand){.has_new = true});
    fronts = 0;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(plan_make_for(shop.routes, &ask, &shop.rand, &plan), PLAN_OK);
        if (plan.targets[0].model.ptr[0] == 'a')
            fronts++;
        else
            pace_note(plan.targets[0].pace, 500);
    }
    assert_in_range(fronts, PACE_TRIES, PACE_TRIES + 60);
    close_shop(&shop);
    crossing_book_free(&book);
}

static void a_slow_one_that_recovers_is_found(void **state)
{
    const uint64_t before[3] = {300000, 100000, 200000}, after[3] = {50000, 100000, 200000};
    struct shop shop;
    int counts[3];

    open_latencies(&shop);
    play(&shop, before, 1000, counts);
    play(&shop, after, 1000, counts);
    play(&shop, after, 1000, counts);
    assert_in_range(counts[0], 900, 1000);
    close_shop(&shop);
}

static void failures_count_as_slow(void **state)
{
    const uint64_t before[3] = {100000, 200000, 300000};
    const uint64_t after[3] = {PACE_FAILED_US, 200000, 300000};
    struct shop shop;
    int counts[3];

    open_latencies(&shop);
    play(&shop, before, 200, counts);
    play(&shop, after, 200, counts);
    assert_in_range(counts[0], 1, 20);
    close_shop(&shop);
}

static void a_reload_forgets_nothing(void **state)
{
    const uint64_t times[3] = {300000, 100000, 200000};
    struct shop shop;
    int counts[3];

    open_latencies(&shop);
    play(&shop, times, 200, counts);
    /* As a load does it: the new routes are there before the old ones go. */
    struct routes *old = shop.routes;

    assert_int_equal(routes_new(&shop.config, shop.limiters, &shop.routes), 0);
    assert_int_equal(routes_measure(shop.routes, shop.paces), 0);
    routes_free(&old);
    pace_book_sweep(shop.paces);
    play(&shop, times, 200, counts);
    assert_in_range(counts[1], 180, 200);
    close_shop(&shop);
}

static void a_pace_nobody_holds_is_forgotten(void **state)
{
    struct pace_book *book = pace_book_new();
    struct pace *pace;

    assert_int_equal(pace_book_get(book, SPAN("a/b"), &pace), 0);
    for (int i = 0; i < PACE_KNOWN_FROM; i++) {
        assert_int_equal(pace_us(pace), 0);
        pace_note(pace, 800);
    }
    assert_int_equal(pace_us(pace), 800);
    pace_note(pace, 1600);
    assert_int_equal(pace_us(pace), 900);
    pace_note(pace, UINT64_MAX);
    assert_true(pace_us(pace) > 900);
    pace_book_sweep(book);
    pace_unref(&pace);
    assert_int_equal(pace_book_get(book, SPAN("a/b"), &pace), 0);
    assert_true(pace_us(pace) > 0);
    pace_unref(&pace);
    pace_book_sweep(book);
    assert_int_equal(pace_book_get(book, SPAN("a/b"), &pace), 0);
    assert_int_equal(pace_us(pace), 0);
    pace_unref(&pace);
    pace_book_free(&book);
}

/* ---- memory ---- */

static void memory_may_fail_at_any_place(void **state)
{
    struct shop shop;
    bool was_reached = true;

    mem_fail_after(0);
    if (!mem_fail_is_pending())
        skip();
    mem_fail_after(-1);
    open_latencies(&shop);
    forget(&shop);
    for (long after = 0; was_reached && after < 1000; after++) {
        int err;

        mem_fail_after(after);
        err = routes_new(&shop.config, shop.limiters, &shop.routes);
        if (!err)
            err = routes_measure(shop.routes, shop.paces);
        was_reached = !mem_fail_is_pending();
        mem_fail_after(-1);
        assert_int_equal(err != 0, was_reached);
        routes_free(&shop.routes);
    }
    assert_false(was_reached);
    close_shop(&shop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_takes_what_is_below_its_bound),
        cmocka_unit_test(who_cannot_is_passed_over_upwards),
        cmocka_unit_test(one_target_that_cannot_is_enough),
        cmocka_unit_test(a_choice_may_use_another),
        cmocka_unit_test(the_plan_counts_as_the_model_that_is_used),
        cmocka_unit_test(the_set_of_a_choice_between_counts),
        cmocka_unit_test(one_that_optimises_is_ranked_as_a_whole),
        cmocka_unit_test(lengths_are_looked_at),
        cmocka_unit_test(embeddings_are_apart),
        cmocka_unit_test(the_cheapest_for_this_request_goes_first),
        cmocka_unit_test(peak_hours_are_dear),
        cmocka_unit_test(weights_make_a_mean),
        cmocka_unit_test(only_who_can_unless_nobody_can),
        cmocka_unit_test(ends_come_on_their_day),
        cmocka_unit_test(no_target_stands_twice),
        cmocka_unit_test(the_quickest_serves_and_others_are_looked_at),
        cmocka_unit_test(one_that_never_answers_is_not_in_front_for_ever),
        cmocka_unit_test(the_known_targets_of_a_model_are_enough),
        cmocka_unit_test(a_migrated_model_is_measured),
        cmocka_unit_test(a_slow_one_that_recovers_is_found),
        cmocka_unit_test(failures_count_as_slow),
        cmocka_unit_test(a_reload_forgets_nothing),
        cmocka_unit_test(a_pace_nobody_holds_is_forgotten),
        cmocka_unit_test(memory_may_fail_at_any_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Routes of a small shop of models, in the words that a test wants: who is declared, who is
 * planned. */
#ifndef TESTS_ROUTE_SHOP_H
#define TESTS_ROUTE_SHOP_H

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

static inline void open_shop(struct shop *shop)
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

static inline void compile(struct shop *shop)
{
    assert_int_equal(routes_new(&shop->config, shop->limiters, &shop->routes), 0);
    assert_int_equal(prices_new(&shop->config, &shop->price_table), 0);
    routes_price(shop->routes, shop->price_table);
    assert_int_equal(routes_measure(shop->routes, shop->paces), 0);
}

static inline void forget(struct shop *shop)
{
    routes_free(&shop->routes);
    prices_free(&shop->price_table);
}

static inline void close_shop(struct shop *shop)
{
    forget(shop);
    pace_book_free(&shop->paces);
    limiter_book_free(&shop->limiters);
    map_fini(&shop->config.provider_by_name);
}

static inline struct conf_model *add_model(struct shop *shop, const char *name)
{
    struct conf_model *model = &shop->models[shop->config.models.count++];

    model->name = span_from_text(name);
    return model;
}

/* A model with one target of its own name. */
static inline struct conf_model *add_plain(struct shop *shop, const char *name, int provider)
{
    struct conf_model *model = add_model(shop, name);
    struct conf_target *target = shop->targets[model - shop->models];

    *target = (struct conf_target){&shop->providers[provider], model->name, 1};
    model->targets = (struct conf_targets){target, 1};
    return model;
}

static inline struct conf_model *add_best(struct shop *shop, const char *name,
                                          enum conf_optimise optimise, const char *a, const char *b,
                                          const char *c)
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

static inline struct conf_model *add_sizes(struct shop *shop, const char *name, const char *a,
                                           uint64_t below, const char *b, uint64_t then,
                                           const char *c)
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
static inline void add_price(struct shop *shop, const char *model, uint64_t input, uint64_t output)
{
    struct conf_price *price = &shop->prices[shop->config.prices.count++];

    price->name = price->model = span_from_text(model);
    price->terms.rates = (struct conf_price_rates){
        input * 1000000, output * 1000000, input * 1000000, input * 1000000, input * 1000000};
}

static inline struct conf_abilities *add_facts(struct shop *shop, const char *model)
{
    struct conf_catalogue *row = &shop->facts[shop->config.catalogue.count++];

    row->name = row->model = span_from_text(model);
    return &row->facts;
}

/* The models of a plan, one after the other. */
static inline const char *spell(struct shop *shop, const struct plan_ask *ask)
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
static inline const char *spell_settled(struct shop *shop, const struct plan_ask *ask)
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

#endif

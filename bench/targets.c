/*
 * What models that choose others save, on virtual time: a day of requests of mixed sizes, always to
 * the dear model, to `auto` by size, and to the cheapest of all by `optimise: cost`, each with the
 * same requests. Plans are route/'s, prices the ledger's and the built-in table's.
 *
 *     targets [REQUESTS] [SEED] [--csv FILE]
 *
 * Requests come over a day by the hour of the clock (a sine, most at 15:00 UTC, least at 03:00).
 * Most are short: the characters of a prompt are lognormal, 60% around a median of 250 (a question;
 * sigma 1.0), 30% around 2,500 (a page with it; sigma 0.9) and 10% around 25,000 (documents; sigma
 * 0.8). Four characters are a token. Answers are lognormal around 180 tokens (sigma 0.8), and do
 * not depend on the model: what the choice changes is the price alone. A request in ten brings a
 * JSON schema that its answer must follow, and one in ten tools.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "ledger/prices.h"
#include "route/plan.h"

enum { PROVIDERS = 4, MODELS = 6, ROWS = 4, WAYS = 3, HOURS = 24 };
enum { DEEPSEEK, GOOGLE, OPENAI, ANTHROPIC };

/* 2026-11-23, a Monday, at 00:00 UTC. */
#define DAY_US  (UINT64_C(1795392000) * 1000000)
#define HOUR_US UINT64_C(3600000000)
#define PI      3.14159265358979323846

static const char *const model_names[ROWS] = {"deepseek-flash", "gemini-3.7-flash", "gpt-5.1",
                                              "claude-sonnet-4-6"};
static const uint64_t bounds[ROWS] = {200, 1000, 5000, 0};
static const char *const way_names[WAYS] = {"dear", "auto", "cheapest"};

struct shop {
    struct config config;
    struct conf_provider providers[PROVIDERS];
    struct conf_model models[MODELS + 1];
    struct conf_target targets[ROWS];
    struct conf_size_row sizes[ROWS];
    struct conf_use uses[ROWS];
    struct limiter_book *limiters;
    struct routes *routes;
    struct prices *prices;
};

/* What one way of choosing came to. */
struct tally {
    uint64_t picousd;
    uint64_t count[ROWS], cost[ROWS];
    uint64_t by_hour[HOURS];
};

struct request {
    struct plan_ask ask;
    uint64_t answer_tokens;
};

static void declare(struct shop *shop)
{
    static const char *const names[PROVIDERS] = {"deepseek", "gemini", "openai", "anthropic"};
    static const enum provider_kind kinds[PROVIDERS] = {PROVIDER_DEEPSEEK, PROVIDER_GEMINI,
                                                        PROVIDER_OPENAI, PROVIDER_ANTHROPIC};

    map_init(&shop->config.provider_by_name, 16);
    for (int i = 0; i < PROVIDERS; i++) {
        shop->providers[i].name = span_from_text(names[i]);
        shop->providers[i].kind = kinds[i];
        if (map_add(&shop->config.provider_by_name, shop->providers[i].name, &shop->providers[i]))
            exit(1);
    }
    for (int i = 0; i < ROWS; i++) {
        shop->targets[i] =
            (struct conf_target){&shop->providers[i], span_from_text(model_names[i]), 1};
        shop->models[i].name = span_from_text(model_names[i]);
        shop->models[i].targets = (struct conf_targets){&shop->targets[i], 1};
        shop->sizes[i] = (struct conf_size_row){bounds[i], {.name = shop->models[i].name}};
        shop->uses[i].name = shop->models[i].name;
    }
    shop->models[ROWS] = (struct conf_model){.name = SPAN("auto"), .by_size = {shop->sizes, ROWS}};
    shop->models[ROWS + 1] = (struct conf_model){
        .name = SPAN("cheapest"), .optimise = CONF_OPTIMISE_COST, .among = {shop->uses, ROWS}};
    shop->config.providers = (struct conf_providers){shop->providers, PROVIDERS};
    shop->config.models = (struct conf_models){shop->models, ROWS + 2};
}

static void open_shop(struct shop *shop)
{
    memset(shop, 0, sizeof(*shop));
    declare(shop);
    shop->limiters = limiter_book_new();
    if (!shop->limiters || routes_new(&shop->config, shop->limiters, &shop->routes) ||
        prices_new(&shop->config, &shop->prices))
        exit(1);
    routes_price(shop->routes, shop->prices);
}

static void close_shop(struct shop *shop)
{
    routes_free(&shop->routes);
    prices_free(&shop->prices);
    limiter_book_free(&shop->limiters);
    map_fini(&shop->config.provider_by_name);
}

/* ---- the day ---- */

static double uniform(struct rand *rand)
{
    return ((double)rand_below(rand, UINT64_C(1) << 53) + 0.5) / (double)(UINT64_C(1) << 53);
}

static double lognormal(struct rand *rand, double median, double sigma)
{
    double normal = sqrt(-2 * log(uniform(rand))) * cos(2 * PI * uniform(rand));

    return median * exp(sigma * normal);
}

static uint64_t draw_chars(struct rand *rand)
{
    double kind = uniform(rand);

    if (kind < 0.6)
        return 1 + (uint64_t)lognormal(rand, 250, 1.0);
    return 1 + (uint64_t)(kind < 0.9 ? lognormal(rand, 2500, 0.9) : lognormal(rand, 25000, 0.8));
}

static uint64_t draw_time(struct rand *rand)
{
    double hour;

    do {
        hour = 24 * uniform(rand);
    } while (uniform(rand) > (1 + 0.8 * cos((hour - 15) / 24 * 2 * PI)) / 1.8);
    return DAY_US + (uint64_t)(hour * (double)HOUR_US);
}

static struct request draw(struct rand *rand)
{
    struct request request = {.ask.chars = draw_chars(rand), .ask.wall_us = draw_time(rand)};
    double needs = uniform(rand);

    request.ask.prompt_tokens = (request.ask.chars + 3) / 4;
    request.ask.needs = needs < 0.1 ? 1u << CONF_STRUCTURED : needs < 0.2 ? 1u << CONF_TOOLS : 0;
    request.answer_tokens = 1 + (uint64_t)lognormal(rand, 180, 0.8);
    return request;
}

/* ---- one request, one way ---- */

static int row_of(struct span model)
{
    for (int i = 0; i < ROWS; i++) {
        if (span_is_equal(model, span_from_text(model_names[i])))
            return i;
    }
    fprintf(stderr, "targets: a plan that begins with an unknown model\n");
    exit(1);
}

static void play(const struct shop *shop, struct request request, struct span name,
                 struct tally *tally)
{
    const struct dialect_usage usage = {.is_known = true,
                                        .prompt_tokens = request.ask.prompt_tokens,
                                        .completion_tokens = request.answer_tokens};
    const struct plan_target *target;
    struct rand rand;
    struct plan plan;
    uint64_t picousd;
    int row;

    rand_init(&rand, 1);
    request.ask.name = name;
    if (plan_make_for(shop->routes, &request.ask, &rand, &plan) != PLAN_OK)
        exit(1);
    target = &plan.targets[0];
    row = row_of(target->model);
    if (!price_of(
            prices_find(shop->prices, target->provider_index, target->model, target->model_hash),
            &usage, request.ask.wall_us, &picousd))
        exit(1);
    tally->picousd += picousd;
    tally->count[row]++;
    tally->cost[row] += picousd;
    tally->by_hour[(request.ask.wall_us - DAY_US) / HOUR_US % HOURS] += picousd;
}

/* ---- what is told ---- */

static double usd(uint64_t picousd)
{
    return (double)picousd / (double)PICOUSD_PER_USD;
}

static void say(const struct tally tallies[WAYS], uint64_t requests)
{
    printf("%-10s %12s %8s", "model", "USD", "saved");
    for (int i = 0; i < ROWS; i++)
        printf(" %18s", model_names[i]);
    printf("\n");
    for (int w = 0; w < WAYS; w++) {
        const struct tally *tally = &tallies[w];

        printf("%-10s %12.4f %7.1f%%", way_names[w], usd(tally->picousd),
               100 * (1 - usd(tally->picousd) / usd(tallies[0].picousd)));
        for (int i = 0; i < ROWS; i++)
            printf(" %17.1f%%", 100.0 * (double)tally->count[i] / (double)requests);
        printf("\n");
    }
}

static int write_csv(const char *path, const struct tally tallies[WAYS])
{
    FILE *file = fopen(path, "w");

    if (!file) {
        perror(path);
        return 1;
    }
    fprintf(file, "hour,%s,%s,%s\n", way_names[0], way_names[1], way_names[2]);
    for (int h = 0; h < HOURS; h++)
        fprintf(file, "%d,%.6f,%.6f,%.6f\n", h, usd(tallies[0].by_hour[h]),
                usd(tallies[1].by_hour[h]), usd(tallies[2].by_hour[h]));
    return fclose(file) ? 1 : 0;
}

int main(int argc, char **argv)
{
    const struct span names[WAYS] = {span_from_text(model_names[ROWS - 1]), SPAN("auto"),
                                     SPAN("cheapest")};
    uint64_t numbers[2] = {100000, 1};
    struct tally tallies[WAYS] = {{0}};
    const char *csv = NULL;
    struct shop shop;
    struct rand rand;
    bool holds;
    int given = 0, status = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--csv") == 0 && i + 1 < argc)
            csv = argv[++i];
        else if (given < 2)
            numbers[given++] = strtoull(argv[i], NULL, 10);
    }
    open_shop(&shop);
    rand_init(&rand, numbers[1]);
    for (uint64_t i = 0; i < numbers[0]; i++) {
        const struct request request = draw(&rand);

        for (int w = 0; w < WAYS; w++)
            play(&shop, request, names[w], &tallies[w]);
    }
    say(tallies, numbers[0]);
    holds = usd(tallies[1].picousd) <= 0.79 * usd(tallies[0].picousd);
    printf("auto costs at least 21%% less: %s\n", holds ? "yes" : "no");
    if (csv)
        status = write_csv(csv, tallies);
    close_shop(&shop);
    return status || !holds;
}

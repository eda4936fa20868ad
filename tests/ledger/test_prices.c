/* Which price holds: the file's before the built-in one, a provider's own before anybody's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/map.h"
#include "ledger/prices.h"

enum { OPENAI, AZURE, LOCAL, DEEPSEEK, GEMINI, PROVIDERS };

struct shop {
    struct config config;
    struct conf_provider providers[PROVIDERS];
    struct conf_price own[4];
    struct prices *prices;
};

static void open_shop(struct shop *shop, size_t own)
{
    *shop =
        (struct shop){.own = {{.model = SPAN("gpt-4.1"), .terms = {.rates = {.input = 1}}},
                              {.model = SPAN("gpt-4.1"), .terms = {.rates = {.input = 2}}},
                              {.model = SPAN("org/llama"), .terms = {.rates = {.input = 3}}},
                              {.model = SPAN("deepseek-flash"), .terms = {.rates = {.input = 4}}}}};
    shop->providers[OPENAI].kind = PROVIDER_OPENAI;
    shop->providers[AZURE].kind = PROVIDER_AZURE;
    shop->providers[LOCAL].kind = PROVIDER_COMPATIBLE;
    shop->providers[DEEPSEEK].kind = PROVIDER_DEEPSEEK;
    shop->providers[GEMINI].kind = PROVIDER_GEMINI;
    shop->own[1].provider = &shop->providers[OPENAI];
    shop->config.providers = (struct conf_providers){shop->providers, PROVIDERS};
    shop->config.prices = (struct conf_prices){shop->own, own};
    assert_int_equal(prices_new(&shop->config, &shop->prices), 0);
}

static uint64_t input_of(const struct shop *shop, uint32_t provider, const char *model)
{
    struct span name = span_from_text(model);
    const struct price *price = prices_find(shop->prices, provider, name, map_hash(name));

    return price ? price->rates.input : 0;
}

static void the_file_goes_before_the_table(void **state)
{
    struct shop shop;

    open_shop(&shop, 3);
    assert_int_equal(input_of(&shop, OPENAI, "gpt-4.1"), 2);
    assert_int_equal(input_of(&shop, AZURE, "gpt-4.1"), 1);
    assert_int_equal(input_of(&shop, LOCAL, "gpt-4.1"), 1);
    assert_int_equal(input_of(&shop, LOCAL, "org/llama"), 3);
    assert_int_equal(input_of(&shop, OPENAI, "gpt-4.1-2025-04-14"), 2);
    prices_free(&shop.prices);
}

static void each_provider_has_its_kind_s(void **state)
{
    struct shop shop;

    open_shop(&shop, 0);
    assert_int_equal(input_of(&shop, OPENAI, "gpt-4.1"), 2000000);
    assert_int_equal(input_of(&shop, AZURE, "gpt-4.1-mini"), 400000);
    assert_int_equal(input_of(&shop, LOCAL, "gpt-4.1"), 0);
    assert_int_equal(input_of(&shop, OPENAI, "claude-opus-5"), 0);
    assert_int_equal(input_of(&shop, OPENAI, ""), 0);
    assert_int_equal(input_of(&shop, OPENAI, "gpt-4.1-20250414"), 2000000);
    prices_free(&shop.prices);
}

/* A provider answers and bills them all the same: a budget that did not know them would let them
 * through for nothing. */
static void an_alias_costs_what_its_model_does(void **state)
{
    struct shop shop;

    open_shop(&shop, 0);
    assert_int_equal(input_of(&shop, DEEPSEEK, "deepseek-v4-flash"), 150000);
    assert_int_equal(input_of(&shop, GEMINI, "models/gemini-2.5-pro"), 1250000);
    assert_int_equal(input_of(&shop, GEMINI, "models/gemini-2.5-flash-lite-2025-07-22"), 100000);
    assert_int_equal(input_of(&shop, GEMINI, "models/none-such"), 0);
    assert_int_equal(input_of(&shop, LOCAL, "deepseek-v4-flash"), 0);
    prices_free(&shop.prices);
    open_shop(&shop, 4);
    assert_int_equal(input_of(&shop, DEEPSEEK, "deepseek-v4-flash"), 4);
    prices_free(&shop.prices);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_goes_before_the_table),
        cmocka_unit_test(each_provider_has_its_kind_s),
        cmocka_unit_test(an_alias_costs_what_its_model_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

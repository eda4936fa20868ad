/* What the file says of prices, from its text to what an exchange costs: longer prompts, hours of
 * the day, ways of being served, and prices that begin later. */
#include "../conf/fake.h"

#include <stdio.h>

#include "base/datetime.h"
#include "base/map.h"
#include "ledger/prices.h"

#define PROVIDERS                                                                                  \
    "providers:\n"                                                                                 \
    "  openai: {keys: [sk-a]}\n"                                                                   \
    "  other: {kind: openai, keys: [sk-b]}\n"

static const char noon[] = "2026-11-20T12:00:00Z"; /* a Friday */

static struct prices *open_prices(struct fake *fake, const char *yaml)
{
    struct prices *prices;

    assert_int_equal(prices_new(fake_must_load(fake, yaml), &prices), 0);
    return prices;
}

/* Of a request at the first provider. Only the prompt costs something: dollars a million tokens are
 * millionths of a dollar each. */
static uint64_t cost(const struct prices *prices, const char *model, uint64_t tokens,
                     enum dialect_tier tier, const char *when)
{
    struct span name = span_from_text(model);
    struct dialect_usage usage = {.is_known = true, .prompt_tokens = tokens, .tier = tier};
    uint64_t picousd, wall_us;

    assert_int_equal(datetime_read_rfc3339(span_from_text(when), &wall_us), 0);
    assert_true(price_of(prices_find(prices, 0, name, map_hash(name)), &usage, wall_us, &picousd));
    return picousd;
}

static void expect(const struct prices *prices, const char *when, uint64_t tokens,
                   uint64_t usd_a_million)
{
    uint64_t is = cost(prices, "m", tokens, DIALECT_TIER_STANDARD, when);

    if (is != tokens * usd_a_million * 1000000)
        fail_msg("%s, %d tokens: %llu", when, (int)tokens, (unsigned long long)is);
}

static void longer_prompts_in_several_steps(void **state)
{
    struct prices *prices =
        open_prices(*state, PROVIDERS "prices:\n"
                                      "  m: {input: 1, output: 1, long: [\n"
                                      "    {above: 1000, input: 2, output: 2},\n"
                                      "    {above: 5000, input: 7, output: 7},\n"
                                      "    {above: 6000, input: 3, output: 3}]}\n");

    expect(prices, noon, 1000, 1);
    expect(prices, noon, 1001, 2);
    expect(prices, noon, 5000, 2);
    expect(prices, noon, 5001, 7);
    expect(prices, noon, 6001, 3);
    prices_free(&prices);
}

static void hours_of_the_day_on_the_clocks_of_a_zone(void **state)
{
    struct prices *prices = open_prices(
        *state, PROVIDERS
        "prices:\n"
        "  m: {input: 1, output: 1, long: {above: 1000, input: 2, output: 2}, peak: [\n"
        "    {hours: [\"08:00-12:00 Europe/Berlin\", \"13:00-18:00 Europe/Berlin\"],\n"
        "     days: [mon, tue, wed, thu, fri], input: 5, output: 5,\n"
        "     long: [{above: 100, input: 6, output: 6}]},\n"
        "    {hours: [\"22:00-06:00 Europe/Berlin\"], days: [fri], input: 0, output: 0}]}\n");

    /* Winter: 07:00 UTC is 08:00 there. */
    expect(prices, "2026-11-20T06:59:59Z", 10, 1);
    expect(prices, "2026-11-20T07:00:00Z", 10, 5);
    expect(prices, "2026-11-20T10:59:59Z", 10, 5);
    expect(prices, "2026-11-20T11:00:00Z", 10, 1);
    expect(prices, "2026-11-20T12:00:00Z", 10, 5);
    /* Summer: an hour before that. */
    expect(prices, "2026-07-17T06:00:00Z", 10, 5);
    /* A Saturday; but what began on Friday evening goes on. */
    expect(prices, "2026-11-21T07:00:00Z", 10, 1);
    expect(prices, "2026-11-20T21:00:00Z", 10, 0);
    expect(prices, "2026-11-21T04:59:59Z", 10, 0);
    expect(prices, "2026-11-21T05:00:00Z", 10, 1);
    expect(prices, "2026-11-21T21:00:00Z", 10, 1);
    expect(prices, "2026-11-20T04:00:00Z", 10, 1);
    /* Long prompts: as these hours say, and where they say nothing, as at other hours. */
    expect(prices, "2026-11-20T07:00:00Z", 101, 6);
    expect(prices, "2026-11-20T07:00:00Z", 1001, 6);
    expect(prices, "2026-11-20T21:00:00Z", 1000, 0);
    expect(prices, "2026-11-20T21:00:00Z", 1001, 2);
    prices_free(&prices);
}

static void whole_days(void **state)
{
    struct prices *prices = open_prices(
        *state, PROVIDERS
        "prices: {m: {input: 4, output: 4, peak: {days: [sat, sun], input: 1, output: 1}}}\n");

    expect(prices, "2026-11-20T23:59:59Z", 10, 4);
    expect(prices, "2026-11-21T00:00:00Z", 10, 1);
    expect(prices, "2026-11-22T23:59:59Z", 10, 1);
    expect(prices, "2026-11-23T00:00:00Z", 10, 4);
    prices_free(&prices);
}

static void how_it_was_served(void **state)
{
    struct prices *prices = open_prices(
        *state, PROVIDERS "prices:\n"
                          "  m: {input: 1, output: 1, long: {above: 1000, input: 2, output: 2},\n"
                          "      service_tiers: {flex: 0.5, batch: 0.333, priority: 1.75}}\n"
                          "  some: {input: 1, output: 1, service_tiers: {batch: 0.5}}\n"
                          "  none: {input: 1, output: 1}\n");

    assert_int_equal(cost(prices, "m", 1, DIALECT_TIER_STANDARD, noon), 1000000);
    assert_int_equal(cost(prices, "m", 1, DIALECT_TIER_FLEX, noon), 500000);
    assert_int_equal(cost(prices, "m", 1, DIALECT_TIER_BATCH, noon), 333000);
    assert_int_equal(cost(prices, "m", 1, DIALECT_TIER_PRIORITY, noon), 1750000);
    assert_int_equal(cost(prices, "m", 2000, DIALECT_TIER_PRIORITY, noon), 2000 * 3500000ULL);
    /* What is not said costs the same. */
    assert_int_equal(cost(prices, "some", 1, DIALECT_TIER_BATCH, noon), 500000);
    assert_int_equal(cost(prices, "some", 1, DIALECT_TIER_PRIORITY, noon), 1000000);
    assert_int_equal(cost(prices, "none", 1, DIALECT_TIER_BATCH, noon), 1000000);
    prices_free(&prices);
}

static void prices_that_begin_later(void **state)
{
    struct prices *prices = open_prices(
        *state, PROVIDERS "prices:\n"
                          "  m: {input: 1, output: 1, long: {above: 1000, input: 2, output: 2},\n"
                          "      service_tiers: {flex: 0.5}, later: [\n"
                          "        {from: 2027-01-01, input: 3, output: 3,\n"
                          "         peak: {hours: [\"06:00-07:00\"], input: 9, output: 9}},\n"
                          "        {from: \"2027-02-01T12:00:00Z\", input: 4, output: 4,\n"
                          "         service_tiers: {priority: 2}}]}\n");

    expect(prices, "2026-12-31T23:59:59Z", 2000, 2);
    expect(prices, "2026-12-31T06:00:00Z", 10, 1);
    /* Another price, with hours and without long prompts; but for how it is served. */
    expect(prices, "2027-01-01T00:00:00Z", 2000, 3);
    expect(prices, "2027-01-01T06:00:00Z", 10, 9);
    assert_int_equal(cost(prices, "m", 1, DIALECT_TIER_FLEX, "2027-01-01T00:00:00Z"), 1500000);
    expect(prices, "2027-02-01T11:59:59Z", 10, 3);
    expect(prices, "2027-02-01T12:00:00Z", 10, 4);
    expect(prices, "2027-02-02T06:00:00Z", 10, 4);
    assert_int_equal(cost(prices, "m", 1, DIALECT_TIER_FLEX, "2027-03-01T00:00:00Z"), 4000000);
    assert_int_equal(cost(prices, "m", 1, DIALECT_TIER_PRIORITY, "2027-03-01T00:00:00Z"), 8000000);
    prices_free(&prices);
}

/* The configuration that is printed says the same. */
static void printed_and_read_back(void **state)
{
    struct fake *fake = *state;
    struct prices *prices;
    char text[16384];

    fake_must_load(
        fake, PROVIDERS
        "prices:\n"
        "  m: {input: 1, output: 1, long: {above: 1000, input: 2, output: 2},\n"
        "      service_tiers: {flex: 0.5}, later: [{from: 2027-01-01, input: 3, output: 3,\n"
        "      peak: [{hours: [\"06:00-07:00\"], input: 9, output: 9, long: [\n"
        "        {above: 5, input: 10, output: 10}, {above: 7, input: 11, output: 11}]},\n"
        "        {days: [sun], hours: [\"08:00-09:00\"], input: 8, output: 8}]}]}\n");
    buf_clear(&fake->text);
    assert_int_equal(config_print(fake->config, &fake->text), 0);
    snprintf(text, sizeof(text), PROVIDERS "%s", strstr(buf_text(&fake->text), "prices:\n"));
    prices = open_prices(fake, text);
    expect(prices, noon, 1001, 2);
    assert_int_equal(cost(prices, "m", 1, DIALECT_TIER_FLEX, noon), 500000);
    expect(prices, "2027-01-01T00:00:00Z", 2000, 3);
    expect(prices, "2027-01-01T06:00:00Z", 5, 9);
    expect(prices, "2027-01-01T06:00:00Z", 7, 10);
    expect(prices, "2027-01-01T06:00:00Z", 8, 11);
    expect(prices, "2027-01-02T08:00:00Z", 8, 3);
    expect(prices, "2027-01-03T08:00:00Z", 8, 8);
    prices_free(&prices);
}

enum { UNKNOWN = 999 };

static uint64_t input_of(const struct prices *prices, uint32_t provider, const char *model)
{
    struct span name = span_from_text(model);
    const struct price *price = prices_find(prices, provider, name, map_hash(name));

    return price ? price->rates.input / 1000000 : UNKNOWN;
}

static void an_alias_costs_what_its_model_costs(void **state)
{
    struct prices *prices =
        open_prices(*state, PROVIDERS "prices:\n"
                                      "  other/m: {input: 3, output: 3}\n"
                                      "  m: {input: 4, output: 4}\n"
                                      "  told: {input: 5, output: 5}\n"
                                      "catalogue:\n"
                                      "  m: {aliases: [chat, told, both]}\n"
                                      "  openai/gpt-4.1: {aliases: [prod, "
                                      "both]}\n"
                                      "  openai/own: {aliases: [o3, gpt-4o-2024-05-13]}\n");

    assert_int_equal(input_of(prices, 0, "chat"), 4);
    assert_int_equal(input_of(prices, 1, "chat"), 3);
    assert_int_equal(input_of(prices, 1, "chat-2026-01-01"), 3);
    /* A price of that very name goes before; so does a provider's alias before that of any. */
    assert_int_equal(input_of(prices, 0, "told"), 5);
    assert_int_equal(input_of(prices, 0, "both"), 2);
    assert_int_equal(input_of(prices, 1, "both"), 3);
    /* What is built in, there and nowhere else. */
    assert_int_equal(input_of(prices, 0, "prod"), 2);
    assert_int_equal(input_of(prices, 1, "prod"), UNKNOWN);
    /* It does not cost what the model costs that has this name elsewhere. */
    assert_int_equal(input_of(prices, 0, "o3"), UNKNOWN);
    assert_int_equal(input_of(prices, 1, "o3"), 2);
    assert_int_equal(input_of(prices, 0, "gpt-4o-2024-05-13"), UNKNOWN);
    prices_free(&prices);
}

/* Where the file has a price for a name that the alias is near to, though it means something else
 * here. */
static void an_alias_is_not_what_it_is_called(void **state)
{
    struct prices *prices =
        open_prices(*state, PROVIDERS "prices:\n"
                                      "  gpt-4o: {input: 13, output: 1}\n"
                                      "  openai/gpt-4.1: {input: 14, output: 1}\n"
                                      "  mine: {input: 3, output: 1}\n"
                                      "catalogue:\n"
                                      "  openai/own: {aliases: [gpt-4o-2024-05-13]}\n"
                                      "  openai/mine: {aliases: [gpt-4.1-2025-04-14, chat]}\n"
                                      "  openai/o3: {aliases: [chat-2026-01-01]}\n");

    assert_int_equal(input_of(prices, 0, "gpt-4o-2024-05-13"), UNKNOWN);
    assert_int_equal(input_of(prices, 0, "gpt-4.1-2025-04-14"), 3);
    assert_int_equal(input_of(prices, 0, "chat-2026-01-01"), 2);
    /* Other dates, and other providers, have the name's own price. */
    assert_int_equal(input_of(prices, 0, "gpt-4o-2024-11-20"), 13);
    assert_int_equal(input_of(prices, 0, "gpt-4.1-latest"), 14);
    assert_int_equal(input_of(prices, 1, "gpt-4o-2024-05-13"), 13);
    prices_free(&prices);
}

/* llama-70b is at neither of them: what they call gpt-4o is theirs. */
static void an_alias_of_a_model_that_is_elsewhere(void **state)
{
    struct prices *prices =
        open_prices(*state, PROVIDERS "prices:\n"
                                      "  other/gpt-4.1: {input: 14, output: 1}\n"
                                      "catalogue:\n"
                                      "  llama-70b: {aliases: [o3, o3-2025-04-16, chat, "
                                      "gpt-4.1-2025-04-14]}\n"
                                      "  other/own: {aliases: [o3]}\n");

    assert_int_equal(input_of(prices, 0, "o3"), 2);
    assert_int_equal(input_of(prices, 0, "o3-2025-04-16"), 2);
    assert_int_equal(input_of(prices, 0, "chat"), UNKNOWN);
    assert_int_equal(input_of(prices, 1, "gpt-4.1-2025-04-14"), 14);
    /* It is said of this one. */
    assert_int_equal(input_of(prices, 1, "o3"), UNKNOWN);
    prices_free(&prices);
}

/* Whichever stands first. */
static void a_row_is_of_its_own_name(void **state)
{
    static const char *const rows[] = {
        "  openai/own-2026-01-01: {context: 1000, aliases: [foo]}\n",
        "  openai/gpt-4.1: {aliases: [own, o3]}\n",
        "  gpt-4o: {context: 1000}\n",
        "  llama: {aliases: [gpt-4o-2024-11-20]}\n",
    };

    for (int i = 0; i < 2; i++) {
        char yaml[512];
        struct prices *prices;

        (void)snprintf(yaml, sizeof(yaml), "%scatalogue:\n%s%s%s%s", PROVIDERS, rows[i], rows[!i],
                       rows[2 + i], rows[2 + !i]);
        prices = open_prices(*state, yaml);
        assert_int_equal(input_of(prices, 0, "own"), 2);
        assert_int_equal(input_of(prices, 0, "own-2026-02-02"), 2);
        assert_int_equal(input_of(prices, 0, "own-2026-01-01"), UNKNOWN);
        assert_int_equal(input_of(prices, 0, "foo"), UNKNOWN);
        assert_int_equal(input_of(prices, 0, "gpt-4o-2024-11-20"), 2);
        assert_int_equal(input_of(prices, 1, "own"), UNKNOWN);
        prices_free(&prices);
    }
}

/* Names that are each other's, one in the file and one built in. */
static void an_alias_that_goes_round(void **state)
{
    struct prices *prices =
        open_prices(*state, "providers: {deepseek: {keys: [sk-a]}}\n"
                            "prices: {deepseek-flash: {input: 7, output: 7}}\n"
                            "catalogue: {deepseek-v4-flash: {aliases: [deepseek-flash, flash]}}\n");

    assert_int_equal(input_of(prices, 0, "deepseek-flash"), 7);
    assert_int_equal(input_of(prices, 0, "deepseek-v4-flash"), 7);
    assert_int_equal(input_of(prices, 0, "flash"), 7);
    prices_free(&prices);
}

static void the_provider_s_own_price_goes_first(void **state)
{
    struct prices *prices =
        open_prices(*state, PROVIDERS "prices:\n"
                                      "  gpt-4.1-2025-04-14: {input: 11, output: 1}\n"
                                      "  openai/gpt-4.1: {input: 12, output: 1}\n"
                                      "  gpt-4o: {input: 13, output: 1}\n");

    /* Though the other one has the very name; among those of any, that decides. */
    assert_int_equal(input_of(prices, 0, "gpt-4.1-2025-04-14"), 12);
    assert_int_equal(input_of(prices, 1, "gpt-4.1-2025-04-14"), 11);
    assert_int_equal(input_of(prices, 0, "gpt-4o-2024-05-13"), 13);
    prices_free(&prices);
}

static int set_up(void **state)
{
    return fake_set_up(state, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(longer_prompts_in_several_steps),
        cmocka_unit_test(hours_of_the_day_on_the_clocks_of_a_zone),
        cmocka_unit_test(whole_days),
        cmocka_unit_test(how_it_was_served),
        cmocka_unit_test(prices_that_begin_later),
        cmocka_unit_test(printed_and_read_back),
        cmocka_unit_test(an_alias_costs_what_its_model_costs),
        cmocka_unit_test(an_alias_is_not_what_it_is_called),
        cmocka_unit_test(an_alias_of_a_model_that_is_elsewhere),
        cmocka_unit_test(a_row_is_of_its_own_name),
        cmocka_unit_test(an_alias_that_goes_round),
        cmocka_unit_test(the_provider_s_own_price_goes_first),
    };

    return cmocka_run_group_tests(tests, set_up, fake_tear_down);
}

/* What tokens cost: to the picodollar, and unknown where it is not known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/datetime.h"
#include "ledger/price.h"

static uint64_t wall_of(const char *text)
{
    uint64_t wall_us;

    assert_int_equal(datetime_read_rfc3339(span_from_text(text), &wall_us), 0);
    return wall_us;
}

static struct price known(enum provider_kind kind, const char *model)
{
    struct price price;

    if (!price_builtin(kind, span_from_text(model), &price))
        fail_msg("no price of %s", model);
    return price;
}

static uint64_t cost(const struct price *price, struct dialect_usage usage, const char *when)
{
    uint64_t picousd;

    usage.is_known = true;
    assert_true(price_of(price, &usage, wall_of(when), &picousd));
    return picousd;
}

static const char noon[] = "2026-11-20T12:00:00Z";

static void parts_of_a_prompt_have_prices_of_their_own(void **state)
{
    struct price price = known(PROVIDER_ANTHROPIC, "claude-opus-4-6");
    struct dialect_usage usage = {.prompt_tokens = 1000,
                                  .completion_tokens = 100,
                                  .cached_tokens = 400,
                                  .cache_write_tokens = 300,
                                  .cache_write_long_tokens = 100,
                                  .reasoning_tokens = 50};

    /* 300 at 5.00, 400 at 0.50, 200 at 6.25, 100 at 10.00, 100 at 25.00 a million */
    assert_int_equal(cost(&price, usage, noon),
                     (300 * 500 + 400 * 50 + 200 * 625 + 100 * 1000 + 100 * 2500) * 10000ULL);
}

static void the_cheapest_token_is_not_rounded_away(void **state)
{
    struct price price = known(PROVIDER_DEEPSEEK, "deepseek-flash");
    struct dialect_usage usage = {.prompt_tokens = 1, .cached_tokens = 1};

    assert_int_equal(cost(&price, usage, noon), 3000);
}

static void what_is_unknown_is_not_free(void **state)
{
    struct price price = known(PROVIDER_OPENAI, "gpt-4.1");
    struct dialect_usage usage = {.prompt_tokens = 10};
    uint64_t picousd = 77;

    assert_false(price_of(NULL, &usage, 1, &picousd));
    assert_false(price_of(&price, &usage, 1, &picousd)); /* its usage is not known */
    assert_false(price_builtin(PROVIDER_OPENAI, SPAN("gpt-99"), &price));
    assert_false(price_builtin(PROVIDER_GEMINI, SPAN("gemini-3.8-flash"), &price));
    assert_false(price_builtin(PROVIDER_COMPATIBLE, SPAN("gpt-4.1"), &price));
    assert_int_equal(picousd, 77);
}

static void a_long_prompt_makes_all_of_it_dearer(void **state)
{
    struct price price = known(PROVIDER_OPENAI, "gpt-5.4");
    struct dialect_usage at = {.prompt_tokens = 272000, .completion_tokens = 1};
    struct dialect_usage above = {.prompt_tokens = 272001, .completion_tokens = 1};

    assert_int_equal(cost(&price, at, noon), 272000 * 2500000ULL + 15000000);
    assert_int_equal(cost(&price, above, noon), 272001 * 5000000ULL + 22500000);
}

static void peak_hours(void **state)
{
    static const struct {
        const char *when;
        uint64_t rate;
    } hours[] = {
        {"2026-11-20T00:59:59Z", 150000}, {"2026-11-20T01:00:00Z", 300000}, /* a Friday */
        {"2026-11-20T03:59:59Z", 300000}, {"2026-11-20T04:00:00Z", 150000},
        {"2026-11-20T06:00:00Z", 300000}, {"2026-11-20T10:00:00Z", 150000},
        {"2026-11-21T07:00:00Z", 150000}, {"2026-11-22T07:00:00Z", 150000},
        {"2026-11-23T07:00:00Z", 300000},
    };
    struct price price = known(PROVIDER_DEEPSEEK, "deepseek-flash");
    struct dialect_usage usage = {.prompt_tokens = 1};

    for (size_t i = 0; i < sizeof(hours) / sizeof(hours[0]); i++)
        assert_int_equal(cost(&price, usage, hours[i].when), hours[i].rate);
}

static void an_announced_price_begins_on_its_day(void **state)
{
    struct price price = known(PROVIDER_GEMINI, "gemini-4-argon");
    struct dialect_usage usage = {.prompt_tokens = 1};

    assert_int_equal(cost(&price, usage, "2026-11-30T23:59:59Z"), 2000000);
    assert_int_equal(cost(&price, usage, "2026-12-01T00:00:00Z"), 4000000);
}

static void names_with_their_dates(void **state)
{
    static const char *const names[] = {"gpt-4.1-2025-04-14", "gpt-4.1-latest", "gpt-4.1-20250414",
                                        "gpt-4.1@20250414"};
    struct price price = known(PROVIDER_OPENAI, "gpt-4.1");

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct price same = known(PROVIDER_OPENAI, names[i]);

        assert_memory_equal(&same.rates, &price.rates, sizeof(price.rates));
    }
    assert_int_equal(known(PROVIDER_AZURE, "gpt-4.1").rates.input, price.rates.input);
    assert_int_equal(known(PROVIDER_DEEPSEEK, "deepseek-v4-flash").peaks[0].rates.output, 1200000);
    assert_int_equal(known(PROVIDER_GEMINI, "models/gemini-2.5-pro").longs[0].above, 200000);
    assert_int_equal(known(PROVIDER_GEMINI, "models/gemini-3.5-flash-latest").rates.input, 1500000);
    assert_false(price_builtin(PROVIDER_GEMINI, SPAN("models/"), &price));
    assert_false(price_builtin(PROVIDER_OPENAI, SPAN("-20250414"), &price));
    assert_false(price_builtin(PROVIDER_OPENAI, SPAN("20250414"), &price));
    assert_false(price_builtin(PROVIDER_OPENAI, SPAN("gpt-4.1-turbo"), &price));
    assert_false(price_builtin(PROVIDER_OPENAI, SPAN(""), &price));
}

/* As in lists that were wrong: a part of a prompt never costs more than the whole, but for writes;
 * and no way up or down by more than it can be. */
static void the_table_is_sound(void **state)
{
    enum provider_kind kind;
    struct price price;
    struct span model;
    size_t at = 0, count = 0;

    while (price_builtin_next(&at, &kind, &model, &price)) {
        const struct price_rates *rates = &price.rates;

        assert_true(rates->input > 0);
        assert_true(rates->cached_input > 0 && rates->cached_input <= rates->input);
        assert_true(rates->cache_write >= rates->input &&
                    rates->cache_write_long >= rates->cache_write);
        assert_true(rates->cache_write_long <= 2 * rates->input);
        assert_true(rates->output == 0 || rates->output >= rates->input);
        for (size_t i = 0; i < price.long_count; i++)
            assert_true(price.longs[i].rates.input > rates->input);
        for (size_t i = 0; i < price.peak_count; i++)
            assert_true(price.peaks[i].rates.input > rates->input);
        if (price.later)
            assert_true(price.later->rates.input > 0);
        count++;
    }
    assert_true(count > 50);
}

static void nonsense_costs_no_less_than_all(void **state)
{
    struct price price = known(PROVIDER_OPENAI, "gpt-4.1");
    struct dialect_usage parts = {.prompt_tokens = 10, .cached_tokens = 99};
    struct dialect_usage huge = {.prompt_tokens = UINT64_MAX, .completion_tokens = UINT64_MAX};

    assert_int_equal(cost(&price, parts, noon), 10 * 500000);
    assert_true(cost(&price, huge, noon) == UINT64_MAX);
}

static void expect_text(uint64_t picousd, const char *text)
{
    struct buf out;

    buf_init(&out, 64);
    price_write_usd(&out, picousd);
    assert_string_equal(buf_text(&out), text);
    buf_fini(&out);
}

static void dollars_as_text(void **state)
{
    expect_text(0, "0");
    expect_text(1, "0.000000001");
    expect_text(1000, "0.000000001");
    expect_text(1001, "0.000000002");
    expect_text(123000000, "0.000123");
    expect_text(PICOUSD_PER_USD, "1");
    expect_text(12 * PICOUSD_PER_USD + PICOUSD_PER_USD / 2, "12.5");
    expect_text(PICOUSD_PER_USD - 1, "1");
}

static void tiers(void **state)
{
    struct price price = known(PROVIDER_OPENAI, "gpt-5.4"),
                 older = known(PROVIDER_OPENAI, "gpt-4.1"),
                 none = known(PROVIDER_OPENAI, "gpt-5-nano");
    struct dialect_usage usage = {.prompt_tokens = 1001, .completion_tokens = 10};
    uint64_t whole = cost(&price, usage, noon), picousd = 7;

    assert_int_equal(whole, (1001 * 250 + 10 * 1500) * 10000ULL);
    usage.tier = DIALECT_TIER_BATCH;
    assert_int_equal(cost(&price, usage, noon), whole / 2);
    usage.tier = DIALECT_TIER_FLEX;
    assert_int_equal(cost(&price, usage, noon), whole / 2);
    assert_int_equal(cost(&none, usage, noon), (1001 * 5 + 10 * 40) * 5000ULL);
    usage.tier = DIALECT_TIER_PRIORITY;
    assert_int_equal(cost(&price, usage, noon), whole * 2);
    assert_int_equal(cost(&older, usage, noon), (1001 * 350 + 10 * 1400) * 10000ULL);
    /* Nobody has told what that is: it is not known, which is not the usual price. */
    usage.is_known = true;
    assert_false(price_of(&none, &usage, wall_of(noon), &picousd));
    assert_int_equal(picousd, 7);
    /* All of a long prompt. */
    usage.prompt_tokens = 300000;
    assert_int_equal(cost(&price, usage, noon), (300000 * 500ULL + 10 * 2250) * 20000);
    /* A price of the file is what its writer pays. */
    older.has_tiers = false;
    usage.prompt_tokens = 1001;
    assert_int_equal(cost(&older, usage, noon), (1001 * 200 + 10 * 800) * 10000ULL);
}

static void in_another_currency(void **state)
{
    /* 7.3 of it for a dollar: a thousand-millionth of a dollar is 7.3 of its own, of which 7 count.
     */
    assert_int_equal(price_in_currency(1, 7300000), 7);
    assert_int_equal(price_in_currency(10, 7300000), 73);
    assert_int_equal(price_in_currency(1234567890123, 7300000), 9012345597897);
    assert_int_equal(price_in_currency(999999999999, 1), 999999);
    assert_int_equal(price_in_currency(0, 7300000), 0);
    assert_true(price_in_currency(UINT64_C(1) << 62, 1000000) == UINT64_C(1) << 62);
    assert_true(price_in_currency(UINT64_C(1) << 62, 7300000) == UINT64_MAX);
    assert_true(price_in_currency(UINT64_MAX, 1000000000000) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_another_currency),
        cmocka_unit_test(tiers),
        cmocka_unit_test(parts_of_a_prompt_have_prices_of_their_own),
        cmocka_unit_test(the_cheapest_token_is_not_rounded_away),
        cmocka_unit_test(what_is_unknown_is_not_free),
        cmocka_unit_test(a_long_prompt_makes_all_of_it_dearer),
        cmocka_unit_test(peak_hours),
        cmocka_unit_test(an_announced_price_begins_on_its_day),
        cmocka_unit_test(names_with_their_dates),
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(nonsense_costs_no_less_than_all),
        cmocka_unit_test(dollars_as_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

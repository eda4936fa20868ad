/* Models that choose others by cost. */
#include "shop.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cheapest_for_this_request_goes_first),
        cmocka_unit_test(peak_hours_are_dear),
        cmocka_unit_test(weights_make_a_mean),
        cmocka_unit_test(only_who_can_unless_nobody_can),
        cmocka_unit_test(ends_come_on_their_day),
        cmocka_unit_test(no_target_stands_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

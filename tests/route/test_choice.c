/* Models that choose others by size, and only who can do what is needed. */
#include "shop.h"

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What is complained of in `prices` and `catalogue`, beyond single values. */
#include "fake.h"

#include <stdio.h>

static void longer_prompts(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "prices:\n"
        "  a: {input: 1, output: 4, long: [{above: 5, input: 2, output: 8}, {above: 5, input: 3, "
        "output: 9}]}\n"
        "  b: {input: 1, output: 4, long: 5}\n"
        "  c: {input: 1, output: 4, long: [{above: 5, input: 1}]}\n"
        "  d: {input: 1, output: 4, long: [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8]}\n",
        "b.yaml:3:68: prices.a.long[1]: above is 5, and the one before has 5; allowed: rising "
        "bounds\n"
        "b.yaml:4:34: prices.b.long: a single value stands where a map should; allowed: a map of "
        "above, input, output, cached_input, cache_write, cache_write_long, or a list of at most "
        "16 of these\n"
        "b.yaml:5:35: prices.c.long[0]: output is missing; allowed: USD per million tokens\n"
        "b.yaml:6:34: prices.d.long: a list holds too many; allowed: a map of above, input, "
        "output, cached_input, cache_write, cache_write_long, or a list of at most 16 of these\n");
}

static void hours(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "prices:\n"
        "  a: {input: 1, output: 4, peak: {input: 1, output: 1}}\n"
        "  b: {input: 1, output: 4, peak: [{hours: [\"22:00-06:00\"], days: [sun], input: 1, "
        "output: 1}, {hours: [\"05:59-07:00 UTC\", \"08:00-09:00\"], days: [mon], input: 1, "
        "output: 1}]}\n"
        "  c: {input: 1, output: 4, peak: {hours: [\"22:00-06:00\", \"01:00-02:00 "
        "Asia/Shanghai\"], input: 1, output: 1}}\n"
        "  d: {input: 1, output: 4, peak: {hours: [\"25:00-26:00\"], days: [], output: 1}}\n"
        "  e: {input: 1, output: 4, peak: {days: [monday], input: 1, output: 1}}\n"
        "  f: {input: 1, output: 4, peak: {days: [], input: 1, output: 1, long: [{above: 5, input: "
        "1, output: 1}, {above: 4, input: 1, output: 1}]}}\n",
        "b.yaml:3:34: prices.a.peak: hours and days are missing; allowed: one of them, or both\n"
        "b.yaml:4:95: prices.b.peak[1]: '22:00-06:00' and '05:59-07:00 UTC' have hours in common; "
        "allowed: each hour once\n"
        "b.yaml:5:34: prices.c.peak: '22:00-06:00' and '01:00-02:00 Asia/Shanghai' are of two "
        "zones; allowed: one for all hours of a price\n"
        "b.yaml:6:34: prices.d.peak: input is missing; allowed: USD per million tokens\n"
        "b.yaml:6:43: prices.d.peak.hours: '25:00-26:00' are no hours of the day; allowed: a list "
        "of at most 16 hours of the day, with a zone of the system, such as \"22:00-06:00 UTC\"\n"
        "b.yaml:7:42: prices.e.peak.days: 'monday' is not known; allowed: a list of mon, tue, "
        "wed, thu, fri, sat, sun\n"
        "b.yaml:8:34: prices.f.peak: days has none; allowed: at least one of mon, tue, wed, thu, "
        "fri, sat, sun\n"
        "b.yaml:8:106: prices.f.peak.long[1]: above is 4, and the one before has 5; allowed: "
        "rising bounds\n");
}

/* One ends where the next begins; and on other days. */
static void hours_that_only_touch(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "prices:\n"
        "  a: {input: 1, output: 4, peak: [{hours: [\"22:00-06:00\"], days: [sun], input: 1, "
        "output: 1}, {hours: [\"06:00-07:00 UTC\"], input: 1, output: 1}, {hours: "
        "[\"05:00-06:00\"], days: [tue], input: 1, output: 1}]}\n",
        "");
}

static void ways_of_being_served(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "prices:\n"
        "  a: {input: 1, output: 4, service_tiers: {flex: 0, batch: -1, priority: 101, fast: 2}}\n",
        "b.yaml:3:50: prices.a.service_tiers.flex: '0' is out of range; allowed: a ratio such as "
        "1.5, from 0.001 to 100\n"
        "b.yaml:3:60: prices.a.service_tiers.batch: '-1' is no ratio; allowed: a ratio such as "
        "1.5, from 0.001 to 100\n"
        "b.yaml:3:74: prices.a.service_tiers.priority: '101' is out of range; allowed: a ratio "
        "such as 1.5, from 0.001 to 100\n"
        "b.yaml:3:79: prices.a.service_tiers: unknown key 'fast'; allowed: flex, batch, "
        "priority\n");
}

static void later_prices(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "prices:\n"
        "  a: {input: 1, output: 4, later: [{from: 2027-02-01, input: 1, output: 2}, {from: "
        "2027-01-01, input: 1, output: 2}]}\n"
        "  b: {input: 1, output: 4, later: {input: 1, output: 2, later: {input: 1}}}\n"
        "  c: {input: 1, output: 4, later: {from: soon, input: 1, output: 2}}\n",
        "b.yaml:3:77: prices.a.later[1]: from is not after that of the one before; allowed: rising "
        "times\n"
        "b.yaml:4:35: prices.b.later: from is missing; allowed: a date such as 2027-01-01\n"
        "b.yaml:4:57: prices.b.later: unknown key 'later'; it stands in prices.NAME.later\n"
        "b.yaml:5:42: prices.c.later.from: 'soon' is no point in time; allowed: a date such as "
        "2027-01-01, "
        "or a time such as 2027-01-01T12:00:00Z\n");
}

/* Nothing of a price goes on in its parts. */
static void what_parts_leave_out(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "prices:\n"
        "  a: {input: 1, output: 1, cached_input: 0.1, long: {above: 5, input: 2, output: 2},\n"
        "    peak: {days: [sun], input: 2, output: 2, cached_input: 0.2,\n"
        "      long: [{above: 5, input: 2, output: 2, cached_input: 0}, {above: 6, input: 2, "
        "output: 2}]}}\n"
        "  b: {input: 1, output: 1, cache_write: 2, cache_write_long: 3, later: [\n"
        "    {from: 2027-01-01, input: 2, output: 2, cache_write: 5,\n"
        "      peak: {days: [sun], input: 2, output: 2, cache_write: 5, cache_write_long: 6}}]}\n"
        "  c: {input: 1, output: 1, long: {above: 5, input: 2, output: 2, cached_input: 1}}\n",
        "b.yaml:3:53: warning: prices.a.long: cached_input is missing, and the price has one: here "
        "it is that of input; allowed: USD per million tokens\n"
        "b.yaml:5:64: warning: prices.a.peak.long[1]: cached_input is missing, and the price has "
        "one: here it is that of input; allowed: USD per million tokens\n"
        "b.yaml:7:5: warning: prices.b.later[0]: cache_write_long is missing, and the price has "
        "one: here it is that of cache_write; allowed: USD per million tokens\n");
}

static void aliases(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}, azure: {kind: openai, keys: [sk-b]}}\n"
        "catalogue:\n"
        "  gpt-4.1: {aliases: [gpt-4.1, prod, prod, 'prod-*', 'a b']}\n"
        "  openai/gpt-4o: {aliases: [gpt-4.1, mine, prod]}\n"
        "  azure/gpt-4o: {aliases: [mine, prod]}\n"
        "  openai/o3: {aliases: [mine, o4-mini]}\n"
        "  openai/o4-mini: {aliases: [o3]}\n"
        "  azure/o3: {aliases: mine}\n"
        "  azure/own: {aliases: [own]}\n"
        "  azure/two: {aliases: [x, x]}\n",
        "b.yaml:3:44: catalogue.gpt-4.1.aliases: 'prod-*' is no name of a model; allowed: a list "
        "of at most 64 names of models, each in full\n"
        "b.yaml:3:54: catalogue.gpt-4.1.aliases: 'a b' is no name of a model; allowed: a list of "
        "at most 64 names of models, each in full\n"
        "b.yaml:4:29: catalogue.openai/gpt-4o.aliases: 'gpt-4.1' is an entry of its own; allowed: "
        "a name that has no entry in catalogue\n"
        "b.yaml:6:25: catalogue.openai/o3.aliases: 'mine' means 'openai/gpt-4o' already; allowed: "
        "an alias of one model alone\n"
        "b.yaml:6:31: catalogue.openai/o3.aliases: 'o4-mini' is an entry of its own; allowed: a "
        "name that has no entry in catalogue\n"
        "b.yaml:7:30: catalogue.openai/o4-mini.aliases: 'o3' is an entry of its own; allowed: a "
        "name that has no entry in catalogue\n"
        "b.yaml:8:23: catalogue.azure/o3.aliases: 'mine' stands where a list should; allowed: a "
        "list of at most 64 names of models, each in full\n"
        "b.yaml:9:25: catalogue.azure/own.aliases: 'own' is its own name; allowed: a name that "
        "has no entry in catalogue\n"
        "b.yaml:10:28: catalogue.azure/two.aliases: 'x' stands there twice; allowed: once\n");
}

/* As it stands in requests and in names of rows. */
static void aliases_with_a_provider(void **state)
{
    fake_expect(*state,
                "providers: {openai: {keys: [sk-a]}, azure: {kind: openai, keys: [sk-b]}}\n"
                "catalogue:\n"
                "  openai/gpt-4.1: {aliases: [openai/prod, azure/prod, meta/prod]}\n"
                "  gpt-4o: {aliases: [azure/test]}\n",
                "b.yaml:3:30: warning: catalogue.openai/gpt-4.1.aliases: an alias is the model's "
                "name alone, and this one begins with a provider's; allowed: the name without "
                "'openai/'\n"
                "b.yaml:4:22: warning: catalogue.gpt-4o.aliases: an alias is the model's name "
                "alone, and this one begins with a provider's; allowed: the name without "
                "'azure/'\n");
}

/* What a reference brings may be anything; so may what was pasted. */
static void aliases_that_are_not_shown(void **state)
{
    static const struct fake_pair variables[] = {{"PASTED", "hunter2"}, {NULL, NULL}};
    static const char sk[] = "sk-0123456789abcdefABCDEF0123456789abcdefABCDEF";
    struct fake *fake = *state;
    char yaml[1024];

    (void)snprintf(yaml, sizeof(yaml),
                   "providers: {openai: {keys: [sk-a]}}\n"
                   "catalogue:\n"
                   "  a: {aliases: ['${env:PASTED}', '${env:PASTED}']}\n"
                   "  b: {aliases: ['${env:PASTED}']}\n"
                   "  hunter2: {context: 5}\n"
                   "  c: {aliases: [%s, %s]}\n"
                   "  d: {aliases: [%s]}\n",
                   sk, sk, sk);
    fake->variables = variables;
    assert_int_not_equal(fake_load(fake, yaml), 0);
    fake->variables = NULL;
    assert_null(strstr(fake_complaints(fake), "'hunter2'"));
    assert_null(strstr(fake_complaints(fake), sk));
    assert_non_null(strstr(fake_complaints(fake),
                           "b.yaml:3:34: catalogue.a.aliases: the value of ${env:PASTED} stands "
                           "there twice; allowed: once\n"));
    assert_non_null(strstr(fake_complaints(fake),
                           "b.yaml:4:17: catalogue.b.aliases: the value of ${env:PASTED} means "
                           "'a' already; allowed: an alias of one model alone\n"));
    assert_non_null(strstr(fake_complaints(fake),
                           "catalogue.d.aliases: the alias means 'c' already; allowed: an alias "
                           "of one model alone\n"));
}

static void names_that_others_have(void **state)
{
    fake_expect(*state,
                "providers: {openai: {keys: [sk-a]}}\n"
                "prices: {a: {input_cost_per_token: 1, input: 1, output: 1, off_peak: {}}}\n"
                "catalogue: {b: {base_model: x}}\n",
                "b.yaml:2:14: prices.a: unknown key 'input_cost_per_token'; here it is "
                "prices.NAME.input, USD per million tokens\n"
                "b.yaml:2:60: prices.a: unknown key 'off_peak'; here it is prices.NAME.peak, which "
                "dear hours and cheap ones share\n"
                "b.yaml:3:17: catalogue.b: unknown key 'base_model'; here it is "
                "catalogue.NAME.aliases, at the model that it is\n");
}

static int set_up(void **state)
{
    return fake_set_up(state, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(longer_prompts),
        cmocka_unit_test(hours),
        cmocka_unit_test(hours_that_only_touch),
        cmocka_unit_test(ways_of_being_served),
        cmocka_unit_test(what_parts_leave_out),
        cmocka_unit_test(later_prices),
        cmocka_unit_test(aliases),
        cmocka_unit_test(aliases_with_a_provider),
        cmocka_unit_test(aliases_that_are_not_shown),
        cmocka_unit_test(names_that_others_have),
    };

    return cmocka_run_group_tests(tests, set_up, fake_tear_down);
}

/* Scenarios are read as they are written, and every mistake is told with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/err.h"
#include "sim/ask.h"
#include "sim/scenario.h"

static struct sim_scenario *read_good(const char *text)
{
    struct sim_scenario *scenario = NULL;
    struct buf complaints;

    buf_init(&complaints, 1 << 20);
    if (sim_scenario_new("s", span_from_text(text), 0, &complaints, &scenario))
        fail_msg("%s", buf_text(&complaints));
    buf_fini(&complaints);
    return scenario;
}

static void assert_complaint(const char *text, const char *wanted)
{
    struct sim_scenario *scenario = NULL;
    struct buf complaints;

    buf_init(&complaints, 1 << 20);
    assert_int_equal(sim_scenario_new("s", span_from_text(text), 0, &complaints, &scenario),
                     ERR_SYNTAX);
    if (!strstr(buf_text(&complaints), wanted))
        fail_msg("no '%s' in: %s", wanted, buf_text(&complaints));
    buf_fini(&complaints);
}

static void those_built_in_can_be_read(void **state)
{
    const char *name;
    size_t count = 0;

    (void)state;
    for (; (name = sim_scenario_builtin(count, NULL)); count++) {
        struct sim_scenario *scenario = read_good(name);

        sim_scenario_unref(&scenario);
    }
    assert_int_equal(count, 4);
}

static void an_empty_text_is_the_default(void **state)
{
    struct sim_scenario *scenario = read_good("");

    (void)state;
    assert_int_equal(scenario->seed, 1);
    assert_int_equal(scenario->unknown_keys, SIM_ACCEPT);
    assert_int_equal(scenario->missing_keys, SIM_REFUSE);
    assert_int_equal(scenario->defaults->limits.period_us, 60000000);
    sim_scenario_unref(&scenario);
}

static void peak_hours_is_a_bad_day(void **state)
{
    struct sim_scenario *scenario = read_good("peak-hours");
    const struct sim_behaviour *day = scenario->defaults;
    double failures = 0, timeouts = 0;

    (void)state;
    for (unsigned i = 0; i < day->fault_count; i++) {
        if (day->faults[i].every_us) {
            assert_int_equal(day->faults[i].failure, SIM_FAILURE_RATE_REQUESTS);
            assert_int_equal(day->faults[i].every_us, 300000000);
            continue;
        }
        failures += day->faults[i].share;
        if (day->faults[i].kind == SIM_FAULT_TIMEOUT)
            timeouts += day->faults[i].share;
    }
    assert_true(failures > 0.1299 && failures < 0.1301);
    assert_true(timeouts / failures > 0.66 && timeouts / failures < 0.67);
    sim_scenario_unref(&scenario);
}

static void keys_build_on_the_defaults_wherever_those_stand(void **state)
{
    struct sim_scenario *scenario = read_good("keys:\n"
                                              "  sk-a: {state: revoked}\n"
                                              "  sk-b:\n"
                                              "  'sk-p-*': {event_gap: 1s, models: gpt-*}\n"
                                              "defaults: {latency: 250ms, event_gap: 10ms}\n");

    (void)state;
    assert_int_equal(scenario->key_count, 3);
    assert_string_equal(scenario->keys[0].name, "sk-a");
    assert_int_equal(scenario->keys[0].behaviour->state, SIM_KEY_REVOKED);
    assert_int_equal(scenario->keys[0].behaviour->latency.low_us, 250000);
    assert_int_equal(scenario->keys[0].behaviour->event_gap_us, 10000);
    assert_ptr_equal(scenario->keys[1].behaviour, scenario->defaults);
    assert_int_equal(scenario->keys[2].behaviour->event_gap_us, 1000000);
    assert_string_equal(scenario->keys[2].behaviour->models.names[0].text, "gpt-*");
    sim_scenario_unref(&scenario);
}

static void faults_are_read_with_their_defaults(void **state)
{
    struct sim_scenario *scenario =
        read_good("defaults:\n"
                  "  faults:\n"
                  "    - reset\n"
                  "    - {fault: 418, share: 12.5%, on: [chat, models], skip: 2, first: 3}\n"
                  "    - {fault: cut, by: end, when: stream, model: 'gpt-*'}\n"
                  "    - {fault: early, error: overloaded}\n"
                  "    - {fault: drip, bytes: 1, gap: 50ms}\n");
    const struct sim_fault *faults = scenario->defaults->faults;

    (void)state;
    assert_int_equal(scenario->defaults->fault_count, 5);
    assert_int_equal(faults[0].kind, SIM_FAULT_RESET);
    assert_true(faults[0].share == 1.0);
    assert_int_equal(faults[1].kind, SIM_FAULT_STATUS);
    assert_int_equal(faults[1].status, 418);
    assert_true(faults[1].share == 0.125);
    assert_int_equal(faults[1].ops, 1u << SIM_OP_CHAT | 1u << SIM_OP_MODELS | 1u << SIM_OP_MODEL);
    assert_int_equal(faults[1].skip, 2);
    assert_int_equal(faults[1].first, 3);
    assert_int_equal(faults[2].cut, SIM_CUT_END);
    assert_int_equal(faults[2].after, 3);
    assert_int_equal(faults[2].when, SIM_WHEN_STREAM);
    assert_int_equal(faults[3].failure, SIM_FAILURE_OVERLOADED);
    assert_int_equal(faults[4].bytes, 1);
    assert_int_equal(faults[4].gap_us, 50000);
    sim_scenario_unref(&scenario);
}

static void scaled_time_divides_every_duration(void **state)
{
    struct sim_scenario *scenario =
        read_good("time_scale: 10\n"
                  "defaults: {latency: {uniform: [1s, 2s]}, limits: {rpm: 60}, faults: [stall]}\n"
                  "accounts: {a: {limits: {rpm: 6, period: 10s}}}\n");

    (void)state;
    assert_int_equal(scenario->defaults->latency.low_us, 100000);
    assert_int_equal(scenario->defaults->latency.high_us, 200000);
    assert_int_equal(scenario->defaults->limits.period_us, 6000000);
    assert_int_equal(scenario->defaults->faults[0].for_us, 500000);
    assert_int_equal(scenario->accounts[0].limits.period_us, 1000000);
    sim_scenario_unref(&scenario);
}

static void the_callers_scale_comes_before_the_texts(void **state)
{
    struct sim_scenario *scenario = NULL;
    struct buf complaints;

    (void)state;
    buf_init(&complaints, 4096);
    assert_int_equal(sim_scenario_new("s", SPAN("time_scale: 10\ndefaults: {latency: 1s}"), 4,
                                      &complaints, &scenario),
                     0);
    assert_int_equal(scenario->defaults->latency.low_us, 250000);
    sim_scenario_unref(&scenario);
    buf_fini(&complaints);
}

static void a_key_can_be_changed_in_part(void **state)
{
    struct sim_scenario *scenario =
        read_good("defaults: {latency: 1s, limits: {rpm: 5}, faults: [reset]}");
    struct sim_behaviour *changed = NULL;
    struct buf complaints;

    (void)state;
    buf_init(&complaints, 4096);
    assert_int_equal(sim_scenario_read_key("key",
                                           SPAN("{\"state\": \"depleted\", \"limits\": "
                                                "{\"tpm\": 9}}"),
                                           1, scenario->defaults, &complaints, &changed),
                     0);
    assert_int_equal(changed->state, SIM_KEY_DEPLETED);
    assert_int_equal(changed->limits.rpm, 5);
    assert_int_equal(changed->limits.tpm, 9);
    assert_int_equal(changed->latency.low_us, 1000000);
    assert_int_equal(changed->fault_count, 1);
    sim_behaviour_unref(&changed);
    assert_int_equal(sim_scenario_read_key("key", SPAN("faults: []"), 1, scenario->defaults,
                                           &complaints, &changed),
                     0);
    assert_int_equal(changed->fault_count, 0);
    sim_behaviour_unref(&changed);
    buf_fini(&complaints);
    sim_scenario_unref(&scenario);
}

static void mistakes_are_told_with_their_place(void **state)
{
    (void)state;
    assert_complaint("seed: 1\ncolour: red\n", "s:2:1: 'colour' is not known here; there are seed");
    assert_complaint("defaults:\n  latency: soon\n", "s:2:12: 'soon' is no duration");
    assert_complaint("keys: {a: {state: dead}}", "s:1:19: 'dead' is none of valid, revoked");
    assert_complaint("keys: {a: {faults: [rain]}}",
                     "s:1:21: 'rain' is no fault; there are timeout");
    assert_complaint("defaults: {faults: [{share: 5%}]}", "a fault is wanted here");
    assert_complaint("defaults: {faults: [{fault: reset, share: 200%}]}", "'200%' is no share");
    assert_complaint("defaults: {faults: [{fault: early, when: stream}]}",
                     "before the body is known");
    assert_complaint("defaults: {latency: {mean: 1s}}", "no such distribution");
    assert_complaint("defaults: {latency: {uniform: [2s, 1s]}}", "the shorter first");
    assert_complaint("defaults: {limits: {rpm: -1}}", "is no whole number");
    assert_complaint("defaults: {limits: {period: 0s}}", "the period must be above 0");
    assert_complaint("keys: {a: {account: x, limits: {rpm: 1}}}",
                     "shares the limits of account 'x'");
    assert_complaint("accounts: {\"a\\nb\": {}}", "printable");
    assert_complaint("keys: [a]", "a map is wanted here");
    assert_complaint("models: 5", "a list of models");
    assert_complaint("time_scale: 0", "above 0");
    assert_complaint("a: [", "s:");
    assert_complaint("defaults: &x {}\nkeys: {k: *x}\n", "a map is wanted here");
}

static void all_mistakes_are_told_at_once(void **state)
{
    (void)state;
    assert_complaint("seed: x\ncount_repeats: maybe\nkeys: {a: {event_gap: 3}}\n",
                     "s:1:7: 'x' is no whole number from 0 to 18446744073709551615\n"
                     "s:2:16: 'maybe' is neither true nor false\n"
                     "s:3:23: '3' is no duration");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_built_in_can_be_read),
        cmocka_unit_test(an_empty_text_is_the_default),
        cmocka_unit_test(peak_hours_is_a_bad_day),
        cmocka_unit_test(keys_build_on_the_defaults_wherever_those_stand),
        cmocka_unit_test(faults_are_read_with_their_defaults),
        cmocka_unit_test(scaled_time_divides_every_duration),
        cmocka_unit_test(the_callers_scale_comes_before_the_texts),
        cmocka_unit_test(a_key_can_be_changed_in_part),
        cmocka_unit_test(mistakes_are_told_with_their_place),
        cmocka_unit_test(all_mistakes_are_told_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A model's migration: its defaults, where it stands among the targets, and what is refused. */
#include "fake.h"

#include <stdio.h>
#include <string.h>

#define HOUR_US (UINT64_C(3600) * 1000000)

#define PROVIDERS                                                                                  \
    "providers:\n"                                                                                 \
    "  legacy: {kind: compatible, base_url: \"http://a/v1\", keys: [s1]}\n"                        \
    "  fresh: {kind: compatible, base_url: \"http://b/v1\", keys: [s2]}\n"

static void assert_target(const struct conf_target *target, const char *provider, const char *model)
{
    assert_non_null(target->provider);
    assert_true(span_is_equal(target->provider->name, span_from_text(provider)));
    assert_true(span_is_equal(target->model, span_from_text(model)));
}

static const struct conf_migration *load(struct fake *fake, const char *yaml)
{
    return fake_must_load(fake, yaml)->models.items[0].migration;
}

static void every_default(void **state)
{
    const struct conf_migration *m = load(
        *state, PROVIDERS "models: {m: {targets: [{to: legacy/y}], migration: {to: fresh/a/b}}}\n");

    assert_target(&m->to, "fresh", "a/b");
    assert_target(&m->from, "legacy", "y");
    assert_int_equal(m->start, CONF_MIGRATION_AUTO);
    assert_int_equal(m->initial_ppm, 50000);
    assert_int_equal(m->first_hold_us, 48 * HOUR_US);
    assert_int_equal(m->step_ppm, 200000);
    assert_int_equal(m->every_us, 24 * HOUR_US);
    assert_int_equal(m->min_requests, 100);
    assert_int_equal(m->max_error_ppm, 10000);
    assert_int_equal(m->max_divergence_ppm, 0);
    assert_int_equal(m->max_added_latency_us, 0);
    assert_int_equal(m->revert_window_us, HOUR_US / 4);
}

static void all_of_it(void **state)
{
    struct fake *fake = *state;
    const struct conf_migration *m =
        load(fake, PROVIDERS
             "models:\n"
             "  m:\n"
             "    targets: [{to: fresh/x, weight: 95}, {to: legacy/other, weight: 5}]\n"
             "    migration: {to: fresh/x, from: legacy/y, initial: 5%, first_hold: 48h,\n"
             "                step: 20%, every: 24h, max_error_rate: 1%, max_divergence: 2%,\n"
             "                max_added_latency: 50ms, revert_window: 15m, start: manual}\n");

    assert_target(&m->from, "legacy", "y");
    assert_int_equal(m->start, CONF_MIGRATION_MANUAL);
    assert_int_equal(m->max_divergence_ppm, 20000);
    assert_int_equal(m->max_added_latency_us, 50000);
    buf_clear(&fake->text);
    assert_int_equal(config_print(fake->config, &fake->text), 0);
    assert_non_null(strstr(buf_text(&fake->text), "      to: fresh/x\n"
                                                  "      from: legacy/y\n"
                                                  "      start: manual\n"
                                                  "      initial: 5%\n"));
    assert_non_null(strstr(buf_text(&fake->text), "      max_divergence: 2%\n"
                                                  "      max_added_latency: 50ms\n"));
}

/* A limit that the file does not give is not printed as one. */
static void what_is_not_given_is_not_printed(void **state)
{
    struct fake *fake = *state;

    load(fake, PROVIDERS "models: {m: {targets: [{to: legacy/y}], migration: {to: fresh/x}}}\n");
    buf_clear(&fake->text);
    assert_int_equal(config_print(fake->config, &fake->text), 0);
    assert_null(strstr(buf_text(&fake->text), "max_divergence"));
    assert_null(strstr(buf_text(&fake->text), "max_added_latency"));
}

static void what_is_refused(void **state)
{
    static const struct {
        const char *model, *complaint;
    } rows[] = {
        {"{targets: [{to: legacy/y}], migration: {from: legacy/y}}",
         "the new side is missing; allowed: to: PROVIDER/MODEL"},
        {"{targets: [{to: legacy/y}, {to: legacy/z}], migration: {to: fresh/x}}",
         "which target it replaces is not clear; allowed: from: PROVIDER/MODEL"},
        {"{targets: [{to: fresh/x}], migration: {to: fresh/x}}",
         "which target it replaces is not clear; allowed: from: PROVIDER/MODEL"},
        {"{targets: [{to: legacy/y}], migration: {to: legacy/y, from: legacy/y}}",
         "both sides are the same target; allowed: another one as 'to'"},
        {"{targets: [{to: legacy/y}], migration: {to: fresh/x, from: fresh/z}}",
         "neither side stands among the targets; allowed: at least one of them"},
        {"{targets: [{to: legacy/y, weight: 0}, {to: legacy/z}], migration: {to: fresh/x, from: "
         "legacy/y}}",
         "its targets have no weight; allowed: a weight above 0 of either side"},
        {"{targets: [{to: legacy/y}], migration: {to: nobody/x}}",
         "'nobody/x' names a provider that is not in providers; allowed: PROVIDER/MODEL, where "
         "PROVIDER stands in providers"},
        {"{targets: [{to: legacy/y}], migration: {to: fresh/x, max_divergence: 0%}}",
         "'0%' is out of range; allowed: a share such as 5%, from 0.0001% to 100%"},
        {"{targets: [{to: legacy/y}], migration: {to: fresh/x, start: later}}",
         "'later' is not known; allowed: auto, manual"},
        {"{targets: [{to: legacy/y}], migration: {to: fresh/x, steps: 3}}", "unknown key 'steps'"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fake *fake = *state;
        char yaml[1024];

        snprintf(yaml, sizeof(yaml), PROVIDERS "models: {m: %s}\n", rows[i].model);
        assert_int_not_equal(fake_load(fake, yaml), 0);
        if (!strstr(fake_complaints(fake), rows[i].complaint))
            fail_msg("%s\n%s", yaml, fake_complaints(fake));
    }
}

static int set_up(void **state)
{
    return fake_set_up(state, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_default, set_up, fake_tear_down),
        cmocka_unit_test_setup_teardown(all_of_it, set_up, fake_tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_given_is_not_printed, set_up, fake_tear_down),
        cmocka_unit_test_setup_teardown(what_is_refused, set_up, fake_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

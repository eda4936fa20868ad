/* server/alert_rules, on virtual time: when a rule is told as broken, when as kept again, and what
 * a reload does to that. */
#include "../conf/fake.h"

#include <stdio.h>

#include "base/clock.h"
#include "exchange/registry.h"
#include "obs/metrics.h"
#include "server/alert_rules.h"

#define START_US (1000 * US_PER_SEC)
#define S        US_PER_SEC

struct stage {
    struct fake fake;
    struct loop *loop;
    struct registry registry;
    struct metrics *metrics;
    struct snapshot *snapshot;
    struct alert_rules *rules;
    char told[1024]; /* since it was last looked at */
};

static struct rotation *no_rotation(void *owner, struct span provider)
{
    (void)owner, (void)provider;
    return NULL;
}

static void note(void *owner, const struct alert *alert)
{
    struct stage *stage = owner;
    size_t len = strlen(stage->told);

    snprintf(stage->told + len, sizeof(stage->told) - len, "%s%s %.*s: %.*s\n",
             alert->is_over ? "over " : "", alert_row(alert->kind)->name, SPAN_ARG(alert->provider),
             SPAN_ARG(alert->reason));
}

/* Those rules, from now on. */
static void set_rules(struct stage *stage, const char *rules)
{
    struct snapshot *before = stage->snapshot;
    char yaml[1024], error[TLS_ERROR_BYTES];

    snprintf(yaml, sizeof(yaml),
             "providers: {up: {kind: compatible, base_url: 'http://127.0.0.1:9/v1',\n"
             "  keys: [key-one, key-two], health: {validate_new: false}}}\n"
             "alerts: {rules: %s}\n",
             rules);
    fake_must_load(&stage->fake, yaml);
    assert_int_equal(snapshot_new(&stage->registry, stage->fake.config, loop_now_us(stage->loop),
                                  START_US, error, &stage->snapshot),
                     0);
    stage->fake.config = NULL; /* the snapshot's */
    alert_rules_set(stage->rules, stage->snapshot);
    snapshot_unref(&before);
}

static int begin(void **state)
{
    static struct stage stage;
    const struct alert_rules_options options = {.loop = loop_new_virtual(START_US),
                                                .registry = &stage.registry,
                                                .rotation = no_rotation,
                                                .on_alert = note,
                                                .owner = &stage};

    memset(&stage, 0, sizeof(stage));
    fake_init(&stage.fake);
    stage.loop = options.loop;
    assert_int_equal(registry_init(&stage.registry, 1, stage.fake.secrets, NULL), 0);
    stage.metrics = metrics_attach(stage.registry.metrics);
    stage.rules = alert_rules_new(&options);
    assert_non_null(stage.rules);
    *state = &stage;
    return 0;
}

static int end(void **state)
{
    struct stage *stage = *state;

    alert_rules_free(&stage->rules);
    snapshot_unref(&stage->snapshot);
    loop_free(&stage->loop);
    registry_fini(&stage->registry);
    fake_fini(&stage->fake);
    return 0;
}

static void pass(struct stage *stage, uint64_t us)
{
    uint64_t end_us = loop_now_us(stage->loop) + us;

    while (loop_now_us(stage->loop) < end_us)
        assert_int_equal(loop_turn(stage->loop, end_us - loop_now_us(stage->loop)), 0);
}

static void expect(struct stage *stage, const char *told)
{
    assert_string_equal(stage->told, told);
    stage->told[0] = '\0';
}

static void wish(struct stage *stage, const char *name, enum key_wish wish)
{
    struct keypool *pool = provider_keys(stage->snapshot->providers[0].provider);
    struct key *key = keypool_find_key(pool, span_from_text(name));

    assert_non_null(key);
    (void)keypool_wish(pool, key, wish, loop_now_us(stage->loop));
    key_unref(&key);
}

static void too_few_keys(void **state)
{
    struct stage *stage = *state;

    set_rules(stage, "{active_keys_below: 2}");
    pass(stage, 400 * S);
    expect(stage, "");
    wish(stage, "up-1", KEY_DISABLED);
    pass(stage, 290 * S);
    expect(stage, "");
    pass(stage, 25 * S);
    expect(stage, "active_keys_low up: 1, where 2 should be\n");
    pass(stage, 3600 * S);
    expect(stage, "");
    wish(stage, "up-1", KEY_ENABLED);
    pass(stage, 11 * S);
    expect(stage, "over active_keys_low up: 2, where 2 should be\n");
}

static void failed_rotations(void **state)
{
    struct stage *stage = *state;

    set_rules(stage, "{rotation_errors_above: 1, for: 1m}");
    alert_rules_note_failure(stage->rules, SPAN("up"));
    pass(stage, 30 * S);
    expect(stage, "");
    alert_rules_note_failure(stage->rules, SPAN("up"));
    expect(stage, "rotation_errors up: 2 failed within 60 s\n");
    pass(stage, 20 * S);
    expect(stage, "");
    pass(stage, 20 * S);
    expect(stage, "over rotation_errors up: 1 failed within 60 s\n");
    pass(stage, 300 * S);
    alert_rules_note_failure(stage->rules, SPAN("up"));
    expect(stage, "");
}

static void add_requests(struct stage *stage, unsigned count, uint64_t overhead_us)
{
    uint32_t series = metrics_series(stage->registry.metrics, METRIC_OVERHEAD, NULL);

    for (unsigned i = 0; i < count; i++)
        metrics_observe(stage->metrics, series, &metrics_bounds_us, overhead_us);
}

static void slow_itself(void **state)
{
    struct stage *stage = *state;

    set_rules(stage, "{overhead_p95_above: 10ms, for: 1m}");
    add_requests(stage, 100, 90000);
    pass(stage, 59 * S);
    expect(stage, "");
    pass(stage, 2 * S);
    expect(stage, "overhead_high : 95% of 100 requests within 97.5 ms\n");
    /* They are longer ago than a minute. */
    pass(stage, 3 * S);
    expect(stage, "over overhead_high : 95% of 0 requests within 0.0 ms\n");
    /* A twentieth may be slow; and a few requests are no measure. */
    for (int i = 0; i < 30; i++) {
        add_requests(stage, 97, 50);
        add_requests(stage, 3, 90000);
        pass(stage, 3 * S);
    }
    expect(stage, "");
    pass(stage, 70 * S);
    add_requests(stage, 19, 90000);
    pass(stage, 90 * S);
    expect(stage, "");
    for (int i = 0; i < 30; i++) {
        add_requests(stage, 90, 50);
        add_requests(stage, 10, 90000);
        pass(stage, 3 * S);
    }
    assert_non_null(strstr(stage->told, "overhead_high : 95% of "));
}

static void what_is_not_watched_any_more_is_over(void **state)
{
    struct stage *stage = *state;

    set_rules(stage, "{active_keys_below: 3, rotation_errors_above: 0, for: 10s}");
    pass(stage, 11 * S);
    expect(stage, "active_keys_low up: 2, where 3 should be\n");
    alert_rules_note_failure(stage->rules, SPAN("up"));
    expect(stage, "rotation_errors up: 1 failed within 10 s\n");
    set_rules(stage, "{active_keys_below: 3, rotation_errors_above: 0, for: 10s}");
    expect(stage, ""); /* a reload that changes nothing */
    set_rules(stage, "{}");
    expect(stage, "over active_keys_low up: it is not watched any more\n"
                  "over rotation_errors up: it is not watched any more\n");
    pass(stage, 3600 * S);
    alert_rules_note_failure(stage->rules, SPAN("up"));
    expect(stage, "");
    set_rules(stage, "{active_keys_below: 3, for: 10s}");
    pass(stage, 9 * S);
    expect(stage, "");
    pass(stage, 2 * S);
    expect(stage, "active_keys_low up: 2, where 3 should be\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(too_few_keys, begin, end),
        cmocka_unit_test_setup_teardown(failed_rotations, begin, end),
        cmocka_unit_test_setup_teardown(slow_itself, begin, end),
        cmocka_unit_test_setup_teardown(what_is_not_watched_any_more_is_over, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

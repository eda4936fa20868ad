/* server/spend_watch, on virtual time: a key that spends many times its usual is told of, once. */
#include "../conf/fake.h"

#include <stdio.h>

#include "base/clock.h"
#include "exchange/registry.h"
#include "server/spend_watch.h"

#define START_US (1000 * US_PER_SEC)
#define MINUTE   (60 * US_PER_SEC)

struct stage {
    struct fake fake;
    struct loop *loop;
    struct registry registry;
    struct snapshot *snapshot;
    struct keypool_view *view;
    struct spend_watch *watch;
    unsigned alerts;
    char reason[ALERT_REASON_BYTES];
};

static void note(void *owner, const struct alert *alert)
{
    struct stage *stage = owner;

    stage->alerts++;
    assert_int_equal(alert->kind, ALERT_SPEND_UNUSUAL);
    assert_span(alert->provider, "up");
    assert_span(alert->key, "up-1");
    alert_copy(stage->reason, sizeof(stage->reason), alert->reason);
}

static void load(struct stage *stage, const char *keys)
{
    struct snapshot *before = stage->snapshot;
    char yaml[512], error[TLS_ERROR_BYTES];

    snprintf(yaml, sizeof(yaml),
             "providers: {up: {kind: compatible, base_url: 'http://127.0.0.1:9/v1',\n"
             "  keys: %s, health: {validate_new: false}}}\n",
             keys);
    fake_must_load(&stage->fake, yaml);
    assert_int_equal(snapshot_new(&stage->registry, stage->fake.config, loop_now_us(stage->loop),
                                  START_US, error, &stage->snapshot),
                     0);
    stage->fake.config = NULL; /* the snapshot's */
    spend_watch_set(stage->watch, stage->snapshot);
    snapshot_unref(&before);
}

static int begin(void **state)
{
    static struct stage stage;

    memset(&stage, 0, sizeof(stage));
    fake_init(&stage.fake);
    stage.loop = loop_new_virtual(START_US);
    assert_int_equal(registry_init(&stage.registry, 1, stage.fake.secrets, NULL), 0);
    stage.watch = spend_watch_new(stage.loop, note, &stage);
    load(&stage, "[key-one]");
    stage.view = keypool_view_new(provider_keys(stage.snapshot->providers[0].provider), 0, 0);
    assert_non_null(stage.view);
    *state = &stage;
    return 0;
}

static int end(void **state)
{
    struct stage *stage = *state;

    spend_watch_free(&stage->watch);
    keypool_view_free(&stage->view);
    snapshot_unref(&stage->snapshot);
    loop_free(&stage->loop);
    registry_fini(&stage->registry);
    fake_fini(&stage->fake);
    return 0;
}

/* One request that used so many. */
static void spend(struct stage *stage, uint64_t tokens)
{
    const struct keypool_ask ask = {.model = SPAN("m")};
    const struct keypool_end end = {.outcome = outcome_row(OUTCOME_SUCCESS), .tokens = tokens};
    uint64_t now_us = loop_now_us(stage->loop);
    struct keypool_grant grant;

    assert_int_equal(keypool_select(stage->view, &ask, now_us, &grant).verdict, KEYPOOL_CHOSEN);
    keypool_sent(stage->view, &grant, now_us);
    (void)keypool_end(stage->view, &grant, &end, now_us);
}

static void pass(struct stage *stage, uint64_t us)
{
    uint64_t end_us = loop_now_us(stage->loop) + us;

    while (loop_now_us(stage->loop) < end_us)
        assert_int_equal(loop_turn(stage->loop, end_us - loop_now_us(stage->loop)), 0);
}

/* So many tokens in each of these minutes. */
static void go_on(struct stage *stage, uint64_t tokens, unsigned minutes)
{
    for (unsigned i = 0; i < minutes; i++) {
        spend(stage, tokens);
        pass(stage, MINUTE);
    }
}

static void many_times_its_usual(void **state)
{
    struct stage *stage = *state;

    go_on(stage, 10000, 24 * 60); /* 600,000 an hour */
    assert_int_equal(stage->alerts, 0);
    go_on(stage, 50000, 60);
    assert_int_equal(stage->alerts, 0);
    go_on(stage, 10000, 24 * 60);
    go_on(stage, 200000, 180);
    assert_int_equal(stage->alerts, 1);
    assert_non_null(strstr(stage->reason, " tokens in this hour, usually 6"));
    go_on(stage, 10000, 24 * 60);
    assert_int_equal(stage->alerts, 1);
}

static void a_reload_forgets_nothing(void **state)
{
    struct stage *stage = *state;

    go_on(stage, 10000, 24 * 60);
    load(stage, "[key-one, key-two]");
    load(stage, "[key-one]");
    pass(stage, 2 * MINUTE);
    go_on(stage, 300000, 60);
    assert_int_equal(stage->alerts, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_times_its_usual, begin, end),
        cmocka_unit_test_setup_teardown(a_reload_forgets_nothing, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

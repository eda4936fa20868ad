/* GET /v1/admin/routing over the minutes: what is told is what was added lately. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "play.h"

static const char two[] =
    "providers:\n"
    "  one: {kind: compatible, base_url: 'http://127.0.0.1:9/v1', keys: [sk-TOPSECRET-1, sk-b],\n"
    "        health: {validate_new: false}}\n"
    "  two: {kind: compatible, base_url: 'http://127.0.0.1:8/v1', keys: [sk-c]}\n"
    "models:\n"
    "  m: {targets: [{to: one/x, weight: 3}, {to: two/y, weight: 1}]}\n";

static const char ask[] = "GET /v1/admin/routing HTTP/1.1\r\nHost: x\r\n\r\n";

/* Exchanges for the model that a provider has answered. */
static void add_exchanges(struct play *play, struct metrics *metrics, const char *provider, int n)
{
    const struct span values[] = {span_from_text(provider), SPAN("m")};
    uint32_t series = metrics_series(play->stage.registry.metrics, METRIC_REQUESTS, values);

    metrics_add(metrics, series + METRIC_STATUS_2XX, (uint64_t)n);
}

static void add_attempts(struct play *play, int n)
{
    for (int i = 0; i < n; i++)
        (void)stage_attempt(&play->stage, 0, OUTCOME_SUCCESS, 0);
}

static void what_was_added_lately(void **state)
{
    struct metrics *metrics;
    struct play play;
    const char *answer;

    (void)state;
    play_begin(&play, two, false);
    metrics = metrics_attach(play.stage.registry.metrics);
    answer = play_ask(&play, ask);
    stage_expect_part(answer,
                      "\"seconds\":0,\"models\":[{\"model\":\"m\",\"requests\":0,\"targets\":["
                      "{\"provider\":\"one\",\"model\":\"x\",\"weight\":3,\"requests\":0,"
                      "\"share\":null}");
    add_exchanges(&play, metrics, "one", 30);
    add_exchanges(&play, metrics, "two", 10);
    add_attempts(&play, 8);
    play_pass(&play, 90 * US_PER_SEC);
    answer = play_ask(&play, ask);
    stage_expect_part(answer, "\"model\":\"m\",\"requests\":40,");
    stage_expect_part(answer, "\"model\":\"x\",\"weight\":3,\"requests\":30,\"share\":0.75}");
    stage_expect_part(answer, "\"model\":\"y\",\"weight\":1,\"requests\":10,\"share\":0.25}");
    stage_expect_part(answer, "\"provider\":\"one\",\"requests\":8,\"share\":1,");
    stage_expect_part(answer, "\"provider\":\"two\",\"requests\":0,\"share\":0,");
    /* It is still within the two minutes; then it is not. */
    add_exchanges(&play, metrics, "two", 5);
    play_pass(&play, 60 * US_PER_SEC);
    stage_expect_part(play_ask(&play, ask), "\"model\":\"m\",\"requests\":5,");
    play_pass(&play, 60 * US_PER_SEC);
    answer = play_ask(&play, ask);
    stage_expect_part(answer, "\"model\":\"m\",\"requests\":0,");
    stage_expect_part(answer, "\"provider\":\"one\",\"requests\":0,\"share\":null,");
    assert_null(strstr(answer, "TOPSECRET"));
    play_end(&play);
}

static void keys_that_have_gone_are_forgotten(void **state)
{
    struct play play;

    (void)state;
    play_begin(&play, two, false);
    add_attempts(&play, 4);
    play_pass(&play, 200 * US_PER_SEC);
    stage_expect_part(play_ask(&play, ask), "\"provider\":\"one\",\"requests\":0,");
    /* Without a snapshot there is nothing to count, and nothing is remembered. */
    admin_set_snapshot(play.admin, NULL);
    play_pass(&play, 61 * US_PER_SEC);
    admin_set_snapshot(play.admin, play.stage.view.snapshot);
    stage_expect_part(play_ask(&play, ask), "\"provider\":\"one\",\"requests\":4,");
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_lately),
        cmocka_unit_test(keys_that_have_gone_are_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

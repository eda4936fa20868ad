/* A canary is stored and loaded in the middle of its ramp; what is not one is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "canary/state.h"
#include "traffic.h"

static const struct traffic_scene scene = {.per_second = 20,
                                           .canary_fails = 0.06,
                                           .canary_refused = 0.01,
                                           .old_fails = 0.01,
                                           .shape = TRAFFIC_LOG_NORMAL,
                                           .latency_ratio = 1.4,
                                           .divergence = 0.1};

static struct buf text_of(const struct canary *canary)
{
    struct buf buf;

    buf_init(&buf, CANARY_STATE_BYTES);
    assert_int_equal(canary_write(canary, &buf), 0);
    return buf;
}

/* Writes it, reads it in its place, and writes it again: the same text. */
static void store_and_load(struct canary *canary, uint64_t now_us)
{
    struct buf first = text_of(canary), second;

    assert_int_equal(canary_read(buf_span(&first), now_us, canary), 0);
    second = text_of(canary);
    assert_true(span_is_equal(buf_span(&first), buf_span(&second)));
    buf_fini(&first);
    buf_fini(&second);
}

static void test_it_goes_on_where_it_was(void **state)
{
    struct canary_settings settings = traffic_defaults();
    struct traffic *traffic = malloc(sizeof(*traffic));

    assert_non_null(traffic);
    traffic_init(traffic, &scene, &settings);
    for (uint64_t seed = 1; seed <= 100; seed++) {
        traffic_begin(traffic, seed);
        for (int i = 0; i < 1500 && traffic_go_on(traffic); i++) {
            struct canary before = traffic->canary;

            if (i % 50 != 0)
                continue;
            store_and_load(&traffic->canary, traffic->now_us + 1);
            assert_int_equal(traffic->canary.ramp.step, before.ramp.step);
            assert_int_equal(traffic->canary.ramp.elapsed_us, before.ramp.elapsed_us);
            assert_memory_equal(&traffic->canary.evidence.control, &before.evidence.control, 24);
            assert_true(traffic->canary.evidence.excess.ln[0] - before.evidence.excess.ln[0] <
                        1e-6);
            assert_true(before.evidence.excess.ln[0] - traffic->canary.evidence.excess.ln[0] <
                        1e-6);
        }
    }
    free(traffic);
}

/* The process slept for a day: that is no time of the step. */
static void test_the_time_it_lay_in_the_store_does_not_count(void **state)
{
    struct canary_settings settings = traffic_defaults();
    struct canary canary;
    struct buf buf;
    uint64_t now = 777 * US_PER_SEC;

    canary_init(&canary, &settings, now);
    for (int i = 0; i < 599; i++)
        canary_tick(&canary, &settings, NULL, now += 100 * US_PER_MS);
    buf = text_of(&canary);
    now = 3;
    assert_int_equal(canary_read(buf_span(&buf), now, &canary), 0);
    assert_int_equal(canary_tick(&canary, &settings, NULL, now), CANARY_GOES_ON);
    assert_int_equal(canary_tick(&canary, &settings, NULL, now + 100 * US_PER_MS), CANARY_GROWS);
    buf_fini(&buf);
}

static void test_a_verdict_is_kept(void **state)
{
    struct canary_settings settings = traffic_defaults();
    struct evidence_tick tick = {.canary = {.requests = 100, .failures = 90},
                                 .control = {.requests = 900}};
    struct canary canary;
    char before[CANARY_EXPLAIN_BYTES], after[CANARY_EXPLAIN_BYTES];

    canary_init(&canary, &settings, 0);
    assert_int_equal(canary_tick(&canary, &settings, &tick, 1), CANARY_ROLL_BACK);
    canary_explain(&canary, &settings, before);
    store_and_load(&canary, 2);
    canary_explain(&canary, &settings, after);
    assert_int_equal(canary.state, CANARY_ROLLED_BACK);
    assert_string_equal(before, after);
    assert_string_equal(after, "90 of 100 requests failed (old keys: 0 of 900)");
}

static int read_changed(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    char changed[CANARY_STATE_BYTES * 2];
    struct canary canary, untouched;
    int err;

    assert_non_null(at);
    memset(&canary, 0x5a, sizeof(canary));
    untouched = canary;
    snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    err = canary_read(span_from_text(changed), 0, &canary);
    if (err)
        assert_memory_equal(&canary, &untouched, sizeof(canary));
    return err;
}

static void test_what_no_canary_wrote_is_refused(void **state)
{
    static const struct {
        const char *from, *to;
        int err;
    } cases[] = {
        {"canary/1", "canary/1", 0},
        {"canary/1", "canary/2", ERR_UNSUPPORTED},
        {"canary/1", "parrot/1", ERR_SYNTAX},
        {"canary/1 state=0", "", ERR_SYNTAX},
        {" state=0", " state=3", ERR_RANGE},
        {" state=0", " state=-1", ERR_RANGE},
        {" state=0", " state=", ERR_SYNTAX},
        {" state=0", " state", ERR_SYNTAX},
        {" state=0", "", ERR_SYNTAX},
        {" state=0", " state=0 state=0", ERR_SYNTAX},
        {" cause=0", " cause=2", ERR_RANGE}, /* a cause without a loss */
        {" cause=0", " cause=9", ERR_RANGE},
        {" step=0", " step=1000", ERR_RANGE},
        {" held=0", " held=2", ERR_RANGE},
        {" requests=100", " requests=9007199254740993", ERR_RANGE},
        {" requests=100", " requests=99999999999999999999", ERR_RANGE},
        {" requests=100", " requests=1", ERR_RANGE}, /* fewer than failed */
        {" requests=100", " requests=1e2", ERR_SYNTAX},
        {" refused=0", " refused=3", ERR_RANGE},
        {" old_failures=1", " old_failures=901", ERR_RANGE},
        {" step_slow=0", " step_slow=1", ERR_RANGE},
        {" usual_failures=", " usual_failures=9999", ERR_RANGE},
        {" alone=0", " alone=0 more=1", ERR_SYNTAX},
        {" alone=0", "", ERR_SYNTAX},
    };
    struct canary_settings settings = traffic_defaults();
    struct evidence_tick tick = {.canary = {.requests = 100, .failures = 2},
                                 .control = {.requests = 900, .failures = 1}};
    struct canary canary;
    struct buf buf;

    canary_init(&canary, &settings, 0);
    canary_tick(&canary, &settings, &tick, 1);
    buf = text_of(&canary);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(read_changed(buf_text(&buf), cases[i].from, cases[i].to), cases[i].err);
    for (size_t len = 0; len < buf.len; len++)
        assert_int_not_equal(canary_read(span_of(buf.data, len), 0, &canary), 0);
    buf_fini(&buf);
}

static void test_no_room(void **state)
{
    struct canary_settings settings = traffic_defaults();
    struct canary canary;
    struct buf buf;

    canary_init(&canary, &settings, 0);
    buf_init(&buf, 100);
    assert_int_equal(buf_append_span(&buf, SPAN("before ")), 0);
    assert_int_equal(canary_write(&canary, &buf), ERR_FULL);
    assert_true(span_is_equal(buf_span(&buf), SPAN("before ")));
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_goes_on_where_it_was),
        cmocka_unit_test(test_the_time_it_lay_in_the_store_does_not_count),
        cmocka_unit_test(test_a_verdict_is_kept),
        cmocka_unit_test(test_what_no_canary_wrote_is_refused),
        cmocka_unit_test(test_no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

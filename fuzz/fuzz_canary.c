/*
 * A stored canary: whatever is read has numbers that a canary can have, is written as it was read,
 * and goes on through a ramp without an end that no ramp has.
 */
#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "canary/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool claim)
{
    if (!claim)
        abort();
}

static const struct canary_settings settings = {
    .ramp = {.initial_ppm = 100000, .steps = 10, .first_us = 60000000, .every_us = 60000000},
    .evidence = {.max_error_ppm = 50000,
                 .max_latency_milli = 1500,
                 .max_added_latency_ms = 50,
                 .max_divergence_ppm = 20000,
                 .has_control = true},
    .min_requests = 100,
};

static void check_written(const struct canary *canary)
{
    struct canary again;
    struct buf one, two;

    buf_init(&one, CANARY_STATE_BYTES);
    buf_init(&two, CANARY_STATE_BYTES);
    must(canary_write(canary, &one) == 0);
    must(canary_read(buf_span(&one), 5, &again) == 0);
    must(canary_write(&again, &two) == 0);
    must(span_is_equal(buf_span(&one), buf_span(&two)));
    buf_fini(&one);
    buf_fini(&two);
}

static void go_on(struct canary *canary)
{
    struct evidence_tick tick = {.canary = {.requests = 3, .failures = 1},
                                 .control = {.requests = 20, .failures = 1},
                                 .compared = 2,
                                 .differing = 1};
    uint32_t step = canary->ramp.step;
    char text[CANARY_EXPLAIN_BYTES];

    tick.canary.latencies[100] = 2;
    tick.control.latencies[90] = 19;
    for (uint64_t i = 1; i <= 30; i++) {
        enum canary_verdict verdict = canary_tick(canary, &settings, &tick, 5 + i * 3000000);

        must(canary->ramp.step == step + (verdict == CANARY_GROWS));
        step = canary->ramp.step;
        must(canary_share_ppm(canary, &settings) <= RAMP_WHOLE_PPM);
        must(canary_explain(canary, &settings, text) < CANARY_EXPLAIN_BYTES);
        must(isfinite(canary->evidence.excess.ln[0]) && isfinite(canary->evidence.slow.ln[0]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct canary canary;

    if (canary_read(span_of((const char *)data, size), 5, &canary) != 0)
        return 0;
    check_written(&canary);
    go_on(&canary);
    check_written(&canary);
    return 0;
}

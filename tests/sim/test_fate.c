/* Faults befall the requests that they speak of, as often as they say, and the same ones each time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "sim/fate.h"
#include "sim/scenario.h"

/* The defaults of a scenario with these faults. */
static struct sim_behaviour *behave(const char *faults)
{
    struct sim_scenario *scenario = NULL;
    struct sim_behaviour *behaviour;
    struct buf text, complaints;

    buf_init(&text, 65536);
    buf_init(&complaints, 65536);
    buf_printf(&text, "defaults: {faults: [%s]}", faults);
    if (sim_scenario_new("s", buf_span(&text), 0, &complaints, &scenario))
        fail_msg("%s", buf_text(&complaints));
    behaviour = sim_behaviour_ref(scenario->defaults);
    sim_scenario_unref(&scenario);
    buf_fini(&complaints);
    buf_fini(&text);
    return behaviour;
}

static struct sim_fate draw(const struct sim_behaviour *behaviour, struct sim_fate_memory *memory,
                            uint64_t n, const struct sim_ask *ask, uint64_t now_us)
{
    struct sim_fate fate;
    struct rand rand;

    sim_fate_seed(&rand, 11, 22, n);
    sim_fate_draw(behaviour, memory, &rand, ask, now_us, &fate);
    return fate;
}

static const struct sim_ask chat = {.op = SIM_OP_CHAT, .model = {"gpt-4.1", 7}};

static void shares_add_up(void **state)
{
    struct sim_behaviour *behaviour =
        behave("{fault: 500, share: 10%}, {fault: timeout, share: 20%}, {fault: reset, share: 5%}");
    struct sim_fate_memory memory = {0};
    unsigned seen[SIM_FAULT_COUNT] = {0}, failures = 0;

    (void)state;
    for (uint64_t n = 0; n < 100000; n++) {
        struct sim_fate fate = draw(behaviour, &memory, n, &chat, 0);

        if (fate.failure) {
            seen[fate.failure->kind]++;
            failures++;
        }
    }
    assert_in_range(seen[SIM_FAULT_STATUS], 9600, 10400);
    assert_in_range(seen[SIM_FAULT_TIMEOUT], 19500, 20500);
    assert_in_range(seen[SIM_FAULT_RESET], 4700, 5300);
    assert_in_range(failures, 34400, 35600);
    sim_behaviour_unref(&behaviour);
}

static void the_same_request_meets_the_same_fate(void **state)
{
    struct sim_behaviour *behaviour = behave("{fault: 500, share: 50%}");
    struct sim_fate_memory one = {0}, other = {0};

    (void)state;
    for (uint64_t n = 0; n < 1000; n++) {
        struct sim_fate a = draw(behaviour, &one, n, &chat, 0);
        struct sim_fate b = draw(behaviour, &other, n, &chat, 0);

        assert_ptr_equal(a.failure, b.failure);
    }
    sim_behaviour_unref(&behaviour);
}

static void counts_pick_requests(void **state)
{
    struct sim_behaviour *behaviour = behave("{fault: 503, skip: 2, first: 3}");
    struct sim_fate_memory memory = {0};

    (void)state;
    for (uint64_t n = 0; n < 10; n++)
        assert_int_equal(draw(behaviour, &memory, n, &chat, 0).failure != NULL, n >= 2 && n < 5);
    sim_behaviour_unref(&behaviour);
}

static void a_period_sees_one(void **state)
{
    struct sim_behaviour *behaviour = behave("{fault: rate_limit, every: 5m}");
    struct sim_fate_memory memory = {0};
    unsigned hits = 0;

    (void)state;
    /* One request a second, for an hour and a second. */
    for (uint64_t n = 0; n <= 3600; n++)
        hits += draw(behaviour, &memory, n, &chat, n * 1000000).failure != NULL;
    assert_int_equal(hits, 13);
    sim_behaviour_unref(&behaviour);
}

static void conditions_narrow(void **state)
{
    struct sim_behaviour *behaviour = behave("{fault: 500, on: embeddings}, "
                                             "{fault: 502, when: stream}, "
                                             "{fault: 503, model: 'o4-*'}, "
                                             "{fault: 504, on: models}");
    struct sim_fate_memory memory = {0};
    struct sim_ask stream = chat, other = chat, embedding = chat, lookup = {.op = SIM_OP_MODELS};

    (void)state;
    stream.is_streaming = true;
    other.model = SPAN("o4-mini");
    embedding.op = SIM_OP_EMBEDDING;
    assert_null(draw(behaviour, &memory, 0, &chat, 0).failure);
    assert_int_equal(draw(behaviour, &memory, 0, &stream, 0).failure->status, 502);
    assert_int_equal(draw(behaviour, &memory, 0, &other, 0).failure->status, 503);
    assert_int_equal(draw(behaviour, &memory, 0, &embedding, 0).failure->status, 500);
    assert_int_equal(draw(behaviour, &memory, 0, &lookup, 0).failure->status, 504);
    sim_behaviour_unref(&behaviour);
}

static void oddities_come_besides_each_other(void **state)
{
    struct sim_behaviour *behaviour =
        behave("{fault: stall, for: 2s}, {fault: drip, bytes: 3}, no_usage, crlf, "
               "{fault: no_done, share: 0%}");
    struct sim_fate_memory memory = {0};
    struct sim_fate fate;

    (void)state;
    fate = draw(behaviour, &memory, 0, &chat, 0);
    assert_null(fate.failure);
    assert_int_equal(fate.wait_us, 2000000);
    assert_int_equal(fate.drip_bytes, 3);
    assert_true(fate.has_no_usage && fate.is_crlf);
    assert_false(fate.has_no_done);
    sim_behaviour_unref(&behaviour);
}

static void lookups_have_no_latency(void **state)
{
    struct sim_behaviour *behaviour = behave("");
    struct sim_fate_memory memory = {0};
    struct sim_ask lookup = {.op = SIM_OP_MODELS};

    (void)state;
    sim_latency_constant(&behaviour->latency, 5000);
    assert_int_equal(draw(behaviour, &memory, 0, &chat, 0).wait_us, 5000);
    assert_int_equal(draw(behaviour, &memory, 0, &lookup, 0).wait_us, 0);
    sim_behaviour_unref(&behaviour);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_add_up),
        cmocka_unit_test(the_same_request_meets_the_same_fate),
        cmocka_unit_test(counts_pick_requests),
        cmocka_unit_test(a_period_sees_one),
        cmocka_unit_test(conditions_narrow),
        cmocka_unit_test(oddities_come_besides_each_other),
        cmocka_unit_test(lookups_have_no_latency),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Answers are the function of the request that docs/simulator.md states. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/err.h"
#include "sim/answer.h"

struct stage {
    struct arena_pool pool;
    struct arena arena;
    struct sim_text texts[2];
    struct sim_tool tools[2];
    struct sim_ask ask;
    struct sim_answer answer;
    struct buf told;
};

static int set_up(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));

    assert_non_null(stage);
    arena_pool_init(&stage->pool, 16);
    arena_init(&stage->arena, &stage->pool, 64 << 20);
    buf_init(&stage->told, 64 << 20);
    stage->texts[0] = (struct sim_text){SPAN("a b  c"), sim_hash(SPAN("a b  c"))};
    stage->ask = (struct sim_ask){.op = SIM_OP_CHAT,
                                  .texts = stage->texts,
                                  .text_count = 1,
                                  .choices = 1,
                                  .max_tokens = UINT64_MAX};
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    struct stage *stage = *state;

    arena_fini(&stage->arena);
    arena_pool_fini(&stage->pool);
    buf_fini(&stage->told);
    free(stage);
    return 0;
}

static void begin(struct stage *stage, uint64_t min_tokens)
{
    assert_int_equal(sim_answer_init(&stage->answer, &stage->ask, min_tokens, &stage->arena), 0);
}

/* The walk as text: "S0 [echo:]0 ... F0 U E". */
static const char *tell(struct stage *stage)
{
    struct sim_event event;

    while (sim_answer_next(&stage->answer, &event)) {
        switch (event.kind) {
        case SIM_EVENT_START:
            buf_printf(&stage->told, "S%u ", event.choice);
            break;
        case SIM_EVENT_THOUGHT:
            buf_printf(&stage->told, "{%.*s}%u%s ", SPAN_ARG(event.text), event.choice,
                       event.is_last ? "!" : "");
            break;
        case SIM_EVENT_TEXT:
            buf_printf(&stage->told, "[%.*s]%u ", SPAN_ARG(event.text), event.choice);
            break;
        case SIM_EVENT_CALL:
            buf_printf(&stage->told, "C%u.%u ", event.choice, event.call);
            break;
        case SIM_EVENT_ARGUMENTS:
            buf_printf(&stage->told, "(%.*s)%u.%u ", SPAN_ARG(event.text), event.choice,
                       event.call);
            break;
        case SIM_EVENT_FINISH:
            buf_printf(&stage->told, "F%u ", event.choice);
            break;
        case SIM_EVENT_USAGE:
            buf_printf(&stage->told, "U ");
            break;
        case SIM_EVENT_END:
            buf_printf(&stage->told, "E");
            break;
        }
    }
    return buf_text(&stage->told);
}

static void assert_text(struct stage *stage, size_t choice, const char *wanted)
{
    struct buf scratch;
    struct span text;

    buf_init(&scratch, 1 << 20);
    text = sim_answer_text(&stage->answer, choice, &scratch);
    assert_int_equal(text.len, strlen(wanted));
    assert_memory_equal(text.ptr, wanted, text.len);
    buf_fini(&scratch);
}

static void the_hash_is_fnv_1a(void **state)
{
    (void)state;
    assert_true(sim_hash(SPAN("")) == 0xcbf29ce484222325ull);
    assert_true(sim_hash(SPAN("a")) == 0xaf63dc4c8601ec8cull);
    assert_true(sim_hash(SPAN("foobar")) == 0x85944171f73967e8ull);
    assert_true(sim_hash_more(sim_hash(SPAN("foo")), SPAN("bar")) == 0x85944171f73967e8ull);
}

static void an_answer_is_told_word_by_word(void **state)
{
    struct stage *stage = *state;
    char wanted[128];

    snprintf(wanted, sizeof(wanted), "S0 [echo:]0 [ a]0 [ b]0 [  c]0 [ #%016llx]0 F0 E",
             (unsigned long long)stage->texts[0].hash);
    begin(stage, 0);
    assert_int_equal(stage->answer.completion_tokens, 5);
    assert_string_equal(tell(stage), wanted);
    snprintf(wanted, sizeof(wanted), "echo: a b  c #%016llx",
             (unsigned long long)stage->texts[0].hash);
    assert_text(stage, 0, wanted);
}

static void max_tokens_cuts_it(void **state)
{
    struct stage *stage = *state;

    stage->ask.max_tokens = 2;
    stage->ask.is_usage_apart = true;
    begin(stage, 0);
    assert_true(stage->answer.choices[0].is_cut);
    assert_string_equal(tell(stage), "S0 [echo:]0 [ a]0 F0 U E");
    assert_text(stage, 0, "echo: a");
}

static void a_short_answer_is_filled_up(void **state)
{
    struct stage *stage = *state;
    char wanted[128];

    begin(stage, 7);
    snprintf(wanted, sizeof(wanted), "echo: a b  c #%016llx w5 w6",
             (unsigned long long)stage->texts[0].hash);
    assert_text(stage, 0, wanted);
    assert_int_equal(stage->answer.completion_tokens, 7);
    assert_non_null(strstr(tell(stage), "[ w5]0 [ w6]0 F0"));
}

static void choices_take_turns_and_can_be_told_apart(void **state)
{
    struct stage *stage = *state;
    const char *told;

    stage->ask.choices = 3;
    begin(stage, 0);
    told = tell(stage);
    assert_memory_equal(told, "S0 S1 S2 [echo:]0 [echo:]1 [echo:]2 ", 36);
    assert_non_null(strstr(told, "F0 [ choice-1]1 [ choice-2]2 F1 F2 E"));
}

static void prompts_are_answered_one_by_one(void **state)
{
    struct stage *stage = *state;

    stage->ask.op = SIM_OP_COMPLETION;
    stage->ask.start = SIM_START_NEVER;
    stage->texts[1] = (struct sim_text){SPAN("x"), 0x1f};
    stage->ask.text_count = 2;
    begin(stage, 0);
    assert_int_equal(stage->answer.choice_count, 2);
    assert_text(stage, 1, "echo: x #000000000000001f");
    assert_memory_equal(tell(stage), "[echo:]0 [echo:]1 ", 18);
}

static void tools_are_called_with_json(void **state)
{
    struct stage *stage = *state;
    char wanted[128];
    struct span arguments;

    stage->tools[0] = (struct sim_tool){SPAN("f"), false};
    stage->tools[1] = (struct sim_tool){SPAN("g"), false};
    stage->texts[0].echo = SPAN("a\"b");
    stage->texts[0].hash = 0xab;
    stage->ask.tools = stage->tools;
    stage->ask.tool_count = 2;
    begin(stage, 0);
    assert_int_equal(sim_answer_calls(&stage->answer, 0), 2);
    arguments = sim_answer_arguments(&stage->answer, 0, 1);
    snprintf(wanted, sizeof(wanted), "{\"text\": \"a\\\"b\", \"hash\": \"00000000000000ab\"}");
    assert_int_equal(arguments.len, strlen(wanted));
    assert_memory_equal(arguments.ptr, wanted, arguments.len);
    assert_string_equal(tell(stage),
                        "C0.0 ({\"text\":)0.0 ( \"a\\\"b\",)0.0 ( \"hash\":)0.0 "
                        "( \"00000000000000ab\"})0.0 C0.1 ({\"text\":)0.1 ( \"a\\\"b\",)0.1 "
                        "( \"hash\":)0.1 ( \"00000000000000ab\"})0.1 F0 E");
}

static void a_cut_can_end_within_a_tool_call(void **state)
{
    struct stage *stage = *state;
    struct span arguments;

    stage->tools[0] = (struct sim_tool){SPAN("f"), false};
    stage->ask.tools = stage->tools;
    stage->ask.tool_count = 1;
    stage->ask.max_tokens = 1;
    begin(stage, 0);
    arguments = sim_answer_arguments(&stage->answer, 0, 0);
    assert_int_equal(sim_answer_calls(&stage->answer, 0), 1);
    assert_int_equal(arguments.len, 8);
    assert_string_equal(tell(stage), "C0.0 ({\"text\":)0.0 F0 E");
}

static void embeddings_are_splitmix64(void **state)
{
    uint64_t walk = 0;
    /* The first two outputs for the seed 1234567, as its author publishes them. */
    uint64_t first = 6457827717110365317ull, second = 3203168211198807973ull;

    (void)state;
    assert_true(sim_embedding_next(1234567, 0, &walk) ==
                (float)((double)(first >> 40) / 8388608.0 - 1.0));
    assert_true(sim_embedding_next(1234567, 1, &walk) ==
                (float)((double)(second >> 40) / 8388608.0 - 1.0));
}

static void thoughts_come_first_and_cost(void **state)
{
    struct stage *stage = *state;

    stage->ask.is_thinking = stage->ask.is_thinking_told = true;
    stage->ask.max_tokens = 4;
    begin(stage, 0);
    assert_int_equal(stage->answer.completion_tokens, 4);
    assert_int_equal(stage->answer.thought_tokens, 3);
    assert_string_equal(tell(stage), "S0 {thinking}0 { about}0 { #795a1a7b26294a73}0! [echo:]0 "
                                     "F0 E");
    assert_text(stage, 0, "echo:");
}

static void thoughts_may_stay_untold_or_take_all(void **state)
{
    struct stage *stage = *state;

    stage->ask.is_thinking = true;
    stage->ask.max_tokens = 2;
    begin(stage, 0);
    assert_int_equal(stage->answer.completion_tokens, 2);
    assert_string_equal(tell(stage), "S0 F0 E");
    assert_true(stage->answer.choices[0].is_cut);
    assert_true(span_is_equal(sim_answer_thought(&stage->answer, 0), SPAN("thinking about")));
}

static void calls_may_be_told_whole(void **state)
{
    struct stage *stage = *state;

    stage->tools[0] = stage->tools[1] = (struct sim_tool){SPAN("f"), false};
    stage->ask.tools = stage->tools;
    stage->ask.tool_count = 2;
    stage->ask.is_call_whole = true;
    stage->ask.start = SIM_START_NEVER;
    stage->ask.max_tokens = 11; /* a call is six pieces: the second one is cut */
    begin(stage, 0);
    assert_string_equal(tell(stage), "C0.0 F0 E");
    assert_false(sim_answer_is_call_whole(&stage->answer, 0, 1));
}

static void a_blocked_answer_says_nothing(void **state)
{
    struct stage *stage = *state;

    stage->tools[0] = (struct sim_tool){SPAN("f"), false};
    stage->ask.tools = stage->tools;
    stage->ask.tool_count = 1;
    begin(stage, 0);
    sim_answer_block(&stage->answer);
    assert_string_equal(tell(stage), "S0 F0 E");
    assert_int_equal(stage->answer.completion_tokens, 0);
    assert_int_equal(sim_answer_calls(&stage->answer, 0), 0);
}

static void words_end_before_a_stop(void **state)
{
    struct stage *stage = *state;
    struct span stops[] = {SPAN("nowhere"), SPAN("c"), SPAN(" b")};

    stage->ask.stops = stops;
    stage->ask.stop_count = 3;
    begin(stage, 100);
    assert_text(stage, 0, "e"); /* of "echo:" */
    assert_true(span_is_equal(stage->answer.choices[0].stop, SPAN("c")));
    stops[1] = SPAN("nowhere");
    begin(stage, 100);
    assert_text(stage, 0, "echo: a");
    assert_int_equal(stage->answer.completion_tokens, 2);
    assert_false(stage->answer.choices[0].is_cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_is_fnv_1a),
        cmocka_unit_test_setup_teardown(an_answer_is_told_word_by_word, set_up, tear_down),
        cmocka_unit_test_setup_teardown(max_tokens_cuts_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_short_answer_is_filled_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(choices_take_turns_and_can_be_told_apart, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(prompts_are_answered_one_by_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tools_are_called_with_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cut_can_end_within_a_tool_call, set_up, tear_down),
        cmocka_unit_test(embeddings_are_splitmix64),
        cmocka_unit_test_setup_teardown(thoughts_come_first_and_cost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(thoughts_may_stay_untold_or_take_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(words_end_before_a_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(calls_may_be_told_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_blocked_answer_says_nothing, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

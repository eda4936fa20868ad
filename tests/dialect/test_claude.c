/* What is known of Claude's families, by the names of their models. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dialect/claude.h"

static void names_with_dates_and_prefixes_are_known(void **state)
{
    (void)state;
    assert_int_equal(claude_find(SPAN("claude-3-haiku-20240307"))->max_output, 4096);
    assert_int_equal(claude_find(SPAN("claude-opus-4-1-20250805"))->max_output, 32000);
    assert_int_equal(claude_find(SPAN("claude-sonnet-4-20250514"))->max_output, 64000);
    assert_int_equal(claude_find(SPAN("claude-sonnet-4-5-20250929"))->max_output, 64000);
    assert_int_equal(claude_find(SPAN("claude-opus-4-6"))->max_output, 128000);
    assert_int_equal(claude_find(SPAN("anthropic/claude-opus-4-8"))->max_output, 128000);
}

static void each_generation_thinks_in_its_way(void **state)
{
    (void)state;
    assert_int_equal(claude_find(SPAN("claude-3-5-sonnet-20241022"))->thinking,
                     CLAUDE_THINKING_NONE);
    assert_int_equal(claude_find(SPAN("claude-3-7-sonnet-20250219"))->thinking,
                     CLAUDE_THINKING_BUDGET);
    assert_int_equal(claude_find(SPAN("claude-haiku-4-5-20251001"))->thinking,
                     CLAUDE_THINKING_BUDGET);
    assert_int_equal(claude_find(SPAN("claude-sonnet-4-6"))->thinking, CLAUDE_THINKING_ADAPTIVE);
    assert_true(claude_find(SPAN("claude-opus-5-5"))->always_thinks);
    assert_true(claude_find(SPAN("claude-fable-5-1"))->always_thinks);
    assert_false(claude_find(SPAN("claude-opus-5"))->always_thinks);
}

static void new_models_take_neither_sampling_nor_prefill(void **state)
{
    (void)state;
    assert_int_equal(claude_find(SPAN("claude-opus-4"))->sampling, CLAUDE_SAMPLING_FREE);
    assert_int_equal(claude_find(SPAN("claude-opus-4-6"))->sampling, CLAUDE_SAMPLING_EITHER);
    assert_int_equal(claude_find(SPAN("claude-opus-4-7"))->sampling, CLAUDE_SAMPLING_REFUSED);
    assert_true(claude_find(SPAN("claude-opus-4-5"))->may_prefill);
    assert_false(claude_find(SPAN("claude-opus-4-6"))->may_prefill);
    assert_false(claude_find(SPAN("claude-opus-5-5"))->may_force);
    assert_true(claude_find(SPAN("claude-sonnet-5-5"))->may_force);
}

static void a_stranger_is_taken_for_a_new_model_that_writes_little(void **state)
{
    const struct claude *stranger = claude_find(SPAN("kimi-k9"));

    (void)state;
    assert_int_equal(stranger->max_output, 4096);
    assert_int_equal(stranger->thinking, CLAUDE_THINKING_ADAPTIVE);
    assert_int_equal(stranger->sampling, CLAUDE_SAMPLING_REFUSED);
    assert_true(stranger->is_structured && stranger->may_force);
    assert_ptr_equal(claude_find(SPAN("")), stranger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_with_dates_and_prefixes_are_known),
        cmocka_unit_test(each_generation_thinks_in_its_way),
        cmocka_unit_test(new_models_take_neither_sampling_nor_prefill),
        cmocka_unit_test(a_stranger_is_taken_for_a_new_model_that_writes_little),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

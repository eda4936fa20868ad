/* What counts as diverged, and what two texts have in common as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"
#include "shadow/compare.h"

struct bench {
    struct arena_pool pool;
    struct arena arena;
};

static int set_up(void **state)
{
    struct bench *bench = mem_zalloc(1, sizeof(*bench));

    arena_pool_init(&bench->pool, 0);
    arena_init(&bench->arena, &bench->pool, 4 << 20);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    arena_fini(&bench->arena);
    arena_pool_fini(&bench->pool);
    mem_free(bench);
    return 0;
}

static struct arena *arena_of(void **state)
{
    return &((struct bench *)*state)->arena;
}

/* ---- JSON ---- */

static void expect_json(void **state, const char *a, const char *b, enum json_same same)
{
    assert_int_equal(json_same(span_from_text(a), span_from_text(b), arena_of(state)), same);
    assert_int_equal(json_same(span_from_text(b), span_from_text(a), arena_of(state)), same);
}

static void test_json(void **state)
{
    expect_json(state, "{\"a\":1,\"b\":[true,null]}", " {\"b\": [true, null], \"a\": 1.0}\n",
                JSON_SAME_EQUAL);
    expect_json(state, "[1,2]", "[2,1]", JSON_SAME_DIFFERENT);
    expect_json(state, "[1,2]", "[1,2,3]", JSON_SAME_DIFFERENT);
    expect_json(state, "{\"a\":1}", "{\"a\":1,\"b\":null}", JSON_SAME_DIFFERENT);
    expect_json(state, "{\"a\":1}", "{\"b\":1}", JSON_SAME_DIFFERENT);
    expect_json(state, "{\"a\":1}", "{\"a\":\"1\"}", JSON_SAME_DIFFERENT);
    expect_json(state, "{\"a\":1}", "{\"a\":-1}", JSON_SAME_DIFFERENT);
    expect_json(state, "{\"a\":true}", "{\"a\":false}", JSON_SAME_DIFFERENT);
    expect_json(state, "{\"a\":\"\\u0041\"}", "{\"a\":\"A\"}", JSON_SAME_EQUAL);
    expect_json(state, "{\"a\":1,\"a\":2}", "{\"a\":1,\"a\":2}", JSON_SAME_EQUAL);
    expect_json(state, "{\"a\":9007199254740993}", "{\"a\":9007199254740992}", JSON_SAME_DIFFERENT);
    expect_json(state, "{\"a\":1}", "Sorry, {\"a\":1}", JSON_SAME_ONE);
    expect_json(state, "{\"a\":1}", "{\"a\":1", JSON_SAME_ONE);
    expect_json(state, "1", "1", JSON_SAME_NEITHER);
    expect_json(state, "", "[of all things]", JSON_SAME_NEITHER);
}

/* Names in any order, as many as there may be: no time out of proportion. */
static void test_json_of_many_names(void **state)
{
    struct buf up, down;

    buf_init(&up, 1 << 20);
    buf_init(&down, 1 << 20);
    for (int i = 0; i < 20000; i++) {
        buf_printf(&up, "%c\"n%d\":%d", i ? ',' : '{', i, i);
        buf_printf(&down, "%c\"n%d\":%d", i ? ',' : '{', 19999 - i, 19999 - i);
    }
    buf_append_byte(&up, '}');
    buf_append_byte(&down, '}');
    assert_int_equal(json_same(buf_span(&up), buf_span(&down), arena_of(state)), JSON_SAME_EQUAL);
    buf_fini(&up);
    buf_fini(&down);
}

/* However deep a provider nests: no stack is used up. */
static void test_json_too_deep(void **state)
{
    char *text = mem_alloc(200000);

    memset(text, '[', 100000);
    memset(text + 100000, ']', 100000);
    assert_int_equal(json_same(span_of(text, 200000), span_of(text, 200000), arena_of(state)),
                     JSON_SAME_UNKNOWN);
    mem_free(text);
}

/* ---- answers ---- */

static struct shadow_answer says(const char *text)
{
    return (struct shadow_answer){.text = span_from_text(text), .finish = CHAT_FINISH_STOP};
}

static struct shadow_answer calls(const char *name, const char *arguments)
{
    struct shadow_answer answer = {.finish = CHAT_FINISH_CALLS, .call_count = 1};

    answer.calls[0] = (struct shadow_call){span_from_text(name), span_from_text(arguments)};
    return answer;
}

static struct comparison compare(void **state, const struct shadow_answer *a,
                                 const struct shadow_answer *b, uint32_t least_milli)
{
    struct comparison comparison, reverse;

    assert_int_equal(compare_answers(a, b, least_milli, arena_of(state), &comparison), 0);
    assert_int_equal(compare_answers(b, a, least_milli, arena_of(state), &reverse), 0);
    assert_int_equal(comparison.kinds, reverse.kinds);
    return comparison;
}

static void expect(void **state, struct shadow_answer a, struct shadow_answer b, uint32_t kinds)
{
    assert_int_equal(compare(state, &a, &b, 100).kinds, kinds);
}

#define KIND(name) (1u << DIVERGENCE_##name)

static void test_the_same_answer(void **state)
{
    struct shadow_answer a = says("It is four."), b = says("It is four.");
    struct comparison comparison = compare(state, &a, &b, 1000);

    assert_int_equal(comparison.kinds, 0);
    assert_int_equal(comparison.similarity_milli, 1000);
    assert_int_equal(comparison.json, JSON_SAME_NEITHER);
}

static void test_one_side_refused(void **state)
{
    struct shadow_answer a = says("It is four.");

    assert_int_equal(compare(state, &a, NULL, 100).kinds, KIND(STATUS));
    assert_int_equal(compare(state, NULL, NULL, 100).kinds, 0);
    assert_int_equal(compare(state, NULL, NULL, 100).similarity_milli, SIMILARITY_UNKNOWN);
}

static void test_how_it_ended(void **state)
{
    struct shadow_answer a = says("It is four."), b = a;

    b.finish = CHAT_FINISH_STOP_SEQUENCE;
    expect(state, a, b, 0);
    b.finish = CHAT_FINISH_LENGTH;
    expect(state, a, b, KIND(FINISH));
}

static void test_calls(void **state)
{
    expect(state, calls("weather", "{\"city\":\"Rome\",\"days\":2}"),
           calls("weather", "{ \"days\": 2, \"city\": \"Rome\" }"), 0);
    expect(state, calls("weather", "{\"city\":\"Rome\"}"), calls("weather", "{\"city\":\"Oslo\"}"),
           KIND(CALLS));
    expect(state, calls("weather", "{}"), calls("news", "{}"), KIND(CALLS));
    expect(state, calls("weather", "{}"), says("Which city?"),
           KIND(CALLS) | KIND(FINISH) | KIND(SIMILARITY));
    /* Of a custom tool the input is no JSON. */
    expect(state, calls("shell", "ls -l"), calls("shell", "ls -l"), 0);
    expect(state, calls("shell", "ls -l"), calls("shell", "ls"), KIND(CALLS));
}

static void test_json_against_prose(void **state)
{
    expect(state, says("{\"city\":\"Rome\"}"), says("The city is Rome."), KIND(JSON));
    /* Other values are no divergence by themselves. */
    expect(state, says("{\"city\":\"Rome\"}"), says("{\"city\":\"Oslo\"}"), 0);
}

static void test_length(void **state)
{
    char words[1600], fewer[400];

    for (size_t i = 0; i < sizeof(words); i += 4)
        memcpy(words + i, i == 1596 ? "end\0" : "ant ", 4);
    memcpy(fewer, words, sizeof(fewer));
    fewer[399] = '\0';
    expect(state, says(words), says(fewer), 0);
    fewer[395] = '\0';
    expect(state, says(words), says(fewer), KIND(LENGTH) | KIND(SIMILARITY) * 0);
    /* Short ones may differ as they like. */
    expect(state, says("Rome"), says("Rome, of course, as everybody knows who was there."), 0);
}

static void test_similarity_is_judged_by_the_operators_measure(void **state)
{
    struct shadow_answer a = says("a red fox"), b = says("a red hen");

    assert_int_equal(compare(state, &a, &b, 600).kinds, 0);
    assert_int_equal(compare(state, &a, &b, 601).kinds, KIND(SIMILARITY));
    b = says("nothing alike");
    assert_int_equal(compare(state, &a, &b, 0).kinds, 0);
}

/* Nothing is said of what could not be compared. */
static void test_without_memory(void **state)
{
    struct shadow_answer a = says("some words"), b = says("other words");
    struct comparison comparison;
    struct arena arena;

    arena_init(&arena, &((struct bench *)*state)->pool, 16);
    assert_int_equal(compare_answers(&a, &b, 1000, &arena, &comparison), ERR_NOMEM);
    assert_int_equal(comparison.kinds & KIND(SIMILARITY), 0);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json_of_many_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json_too_deep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_same_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_side_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_how_it_ended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_calls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json_against_prose, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_length, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_similarity_is_judged_by_the_operators_measure, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_without_memory, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

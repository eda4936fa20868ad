/* Names of retired models lead to living ones, at the provider that has retired them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "route/retired.h"

static void expect(enum provider_kind kind, const char *model, const char *successor)
{
    assert_true(
        span_is_equal(retired_successor(kind, span_from_text(model)), span_from_text(successor)));
}

static void test_successors(void **state)
{
    (void)state;
    expect(PROVIDER_DEEPSEEK, "deepseek-chat", "deepseek-flash");
    expect(PROVIDER_ANTHROPIC, "claude-3-sonnet-20240229", "claude-sonnet-4-6");
    expect(PROVIDER_ANTHROPIC, "claude-3-5-haiku-latest", "claude-haiku-4-5-20251001");
    expect(PROVIDER_GEMINI, "gemini-2.0-flash-001", "gemini-2.5-flash-lite");
    /* Elsewhere such a name may well live on. */
    expect(PROVIDER_OPENROUTER, "deepseek-chat", "");
    expect(PROVIDER_ANTHROPIC, "claude-opus-4-6", "");
}

/* A successor that is retired itself would be asked for in vain. */
static void test_successors_live(void **state)
{
    static const struct {
        enum provider_kind kind;
        struct span successor;
    } rows[] = {
#define RETIRED(kind, pattern, successor) {PROVIDER_##kind, SPAN_INIT(successor)},
#include "tables/retired.def"
#undef RETIRED
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(retired_successor(rows[i].kind, rows[i].successor).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_successors),
        cmocka_unit_test(test_successors_live),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Names of retired models lead to living ones, at the provider that has retired them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/datetime.h"
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
    expect(PROVIDER_GEMINI, "models/gemini-1.5-pro-002", "gemini-3.8-flash");
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

/* The day that is shown is the day that acts, and who takes over does not end itself. */
static void test_ends_are_sane(void **state)
{
    static const struct {
        enum provider_kind kind;
        const char *model, *day;
        uint64_t from;
        struct span successor;
    } rows[] = {
#define ABLE(...)
#define ALIAS(...)
#define RULES(...)
#define ENDS(kind, model, date, from, successor)                                                   \
    {PROVIDER_##kind, model, date "T00:00:00Z", from, SPAN_INIT(successor)},
#include "tables/abilities.def"
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct retired_end *end =
            retired_find_end(rows[i].kind, span_from_text(rows[i].model));
        uint64_t day_us;

        assert_int_equal(datetime_read_rfc3339(span_from_text(rows[i].day), &day_us), 0);
        assert_non_null(end);
        assert_true(end->wall_us == day_us && end->wall_us == rows[i].from * 1000000);
        assert_int_equal(retired_successor(rows[i].kind, rows[i].successor).len, 0);
        assert_null(retired_find_end(rows[i].kind, rows[i].successor));
    }
    assert_non_null(retired_find_end(PROVIDER_ANTHROPIC, SPAN("claude-sonnet-4-5-20250929")));
    assert_non_null(retired_find_end(PROVIDER_GEMINI, SPAN("models/gemini-2.5-pro")));
    assert_null(retired_find_end(PROVIDER_GEMINI, SPAN("gemini-2.5-flash-lite")));
    assert_null(retired_find_end(PROVIDER_OPENROUTER, SPAN("gemini-2.5-pro")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_successors),
        cmocka_unit_test(test_successors_live),
        cmocka_unit_test(test_ends_are_sane),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

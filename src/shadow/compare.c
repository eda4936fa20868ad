#include "shadow/compare.h"

#include "base/err.h"

const char *divergence_name(enum divergence kind)
{
    static const char *const names[DIVERGENCE_COUNT] = {
#define DIVERGENCE(symbol, name, meaning) [DIVERGENCE_##symbol] = name,
#include "tables/shadow.def"
#undef DIVERGENCE
    };

    return names[kind];
}

static uint32_t bit(enum divergence kind, bool is_there)
{
    return is_there ? 1u << kind : 0;
}

static enum chat_finish plain_finish(enum chat_finish finish)
{
    return finish == CHAT_FINISH_STOP_SEQUENCE ? CHAT_FINISH_STOP : finish;
}

static bool is_far_longer(size_t a, size_t b)
{
    return a >= COMPARE_LENGTH_LEAST && a / COMPARE_LENGTH_RATIO > b;
}

/* Arguments that are no JSON (custom tools) are compared as they stand. */
static int same_call(const struct shadow_call *a, const struct shadow_call *b, struct arena *arena,
                     bool *ret_is_same)
{
    enum json_same json;

    *ret_is_same = false;
    if (!span_is_equal(a->name, b->name))
        return 0;
    if (span_is_equal(a->arguments, b->arguments)) {
        *ret_is_same = true;
        return 0;
    }
    json = json_same(a->arguments, b->arguments, arena);
    *ret_is_same = json == JSON_SAME_EQUAL;
    return json == JSON_SAME_UNKNOWN ? ERR_NOMEM : 0;
}

static int same_calls(const struct shadow_answer *a, const struct shadow_answer *b,
                      struct arena *arena, bool *ret_is_same)
{
    bool is_same = a->call_count == b->call_count;
    int err = 0;

    for (size_t i = 0; i < a->call_count && i < SHADOW_CALLS_MAX && is_same && !err; i++)
        err = same_call(&a->calls[i], &b->calls[i], arena, &is_same);
    *ret_is_same = is_same;
    return err;
}

static bool is_unlike(uint32_t similarity_milli, uint32_t least_milli)
{
    return similarity_milli != SIMILARITY_UNKNOWN && similarity_milli < least_milli;
}

static int compare_both(const struct shadow_answer *real, const struct shadow_answer *shadow,
                        uint32_t min_similarity_milli, struct arena *arena,
                        struct comparison *comparison)
{
    bool has_same_calls;
    int err = same_calls(real, shadow, arena, &has_same_calls);
    size_t a = real->text.len, b = shadow->text.len;

    comparison->similarity_milli = similarity_of(real->text, shadow->text, arena);
    comparison->json = json_same(real->text, shadow->text, arena);
    if (!err && comparison->similarity_milli == SIMILARITY_UNKNOWN)
        err = ERR_NOMEM;
    comparison->kinds =
        bit(DIVERGENCE_FINISH, plain_finish(real->finish) != plain_finish(shadow->finish)) |
        bit(DIVERGENCE_CALLS, !err && !has_same_calls) |
        bit(DIVERGENCE_JSON, comparison->json == JSON_SAME_ONE) |
        bit(DIVERGENCE_LENGTH, is_far_longer(a, b) || is_far_longer(b, a)) |
        bit(DIVERGENCE_SIMILARITY, is_unlike(comparison->similarity_milli, min_similarity_milli));
    return err;
}

int compare_answers(const struct shadow_answer *real, const struct shadow_answer *shadow,
                    uint32_t min_similarity_milli, struct arena *arena,
                    struct comparison *ret_comparison)
{
    *ret_comparison =
        (struct comparison){.similarity_milli = SIMILARITY_UNKNOWN, .json = JSON_SAME_NEITHER};
    if (real && shadow)
        return compare_both(real, shadow, min_similarity_milli, arena, ret_comparison);
    ret_comparison->kinds = bit(DIVERGENCE_STATUS, real || shadow);
    return 0;
}

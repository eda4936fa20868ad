#include "route/retired.h"

struct row {
    enum provider_kind kind;
    struct span pattern, successor;
};

static const struct row rows[] = {
#define RETIRED(kind, pattern, successor)                                                          \
    {PROVIDER_##kind, SPAN_INIT(pattern), SPAN_INIT(successor)},
#include "tables/retired.def"
#undef RETIRED
};

struct span retired_successor(enum provider_kind kind, struct span model)
{
    if (kind != PROVIDER_DEEPSEEK && kind != PROVIDER_ANTHROPIC && kind != PROVIDER_GEMINI)
        return span_of(NULL, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].kind == kind && span_matches(model, rows[i].pattern))
            return rows[i].successor;
    }
    return span_of(NULL, 0);
}

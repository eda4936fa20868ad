#include "route/retired.h"

#include "base/clock.h"
#include "ledger/price.h"

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

#define ABLE(...)
#define ALIAS(...)
#define RULES(...)
#define ENDS(kind, model, date, from, successor)                                                   \
    {PROVIDER_##kind, SPAN_INIT(model), from * US_PER_SEC, SPAN_INIT(successor)},
static const struct retired_end ends[] = {
#include "tables/abilities.def"
};
#undef ABLE
#undef ALIAS
#undef RULES
#undef ENDS

struct span retired_successor(enum provider_kind kind, struct span model)
{
    if (kind != PROVIDER_DEEPSEEK && kind != PROVIDER_ANTHROPIC && kind != PROVIDER_GEMINI)
        return span_of(NULL, 0);
    model = price_usual_name(kind, model);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].kind == kind && span_matches(model, rows[i].pattern))
            return rows[i].successor;
    }
    return span_of(NULL, 0);
}

const struct retired_end *retired_find_end(enum provider_kind kind, struct span model)
{
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (ends[i].kind == kind && price_is_name_of(kind, ends[i].model, model))
            return &ends[i];
    }
    return NULL;
}

#include "dialect/traits.h"

static const struct traits rows[PROVIDER_KINDS] = {
#define KIND(id, name, base_url, environment, header, prefix, look, method, path, usage, dialect,  \
             quirks)                                                                               \
    [PROVIDER_##id] = {DIALECT_##dialect, (quirks)},
#include "tables/providers.def"
#undef KIND
};

struct traits traits_of(const struct conf_provider *provider)
{
    if (provider->kind != PROVIDER_COMPATIBLE)
        return rows[provider->kind];
    for (int kind = 0; kind < PROVIDER_KINDS; kind++) {
        struct span base_url = provider_row((enum provider_kind)kind)->base_url;

        if (base_url.len && rows[kind].dialect == DIALECT_OPENAI &&
            span_has_prefix(provider->base_url.text, base_url))
            return rows[kind];
    }
    return rows[PROVIDER_COMPATIBLE];
}

#include "conf/provider_kind.h"

#define TEXT(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

static const struct provider_row rows[PROVIDER_KINDS] = {
#define KIND(id, name, base_url, environment, header, prefix, look, method, path, usage, dialect,  \
             quirks)                                                                               \
    [PROVIDER_##id] = {TEXT(name),   TEXT(base_url), TEXT(environment),                            \
                       TEXT(header), TEXT(prefix),   TEXT(look),                                   \
                       TEXT(method), TEXT(path),     INCLUDE_USAGE_##usage},
#include "tables/providers.def"
#undef KIND
};

const struct provider_row *provider_row(enum provider_kind kind)
{
    return &rows[kind];
}

bool provider_kind_find(struct span name, enum provider_kind *ret_kind)
{
    for (int i = 0; i < PROVIDER_KINDS; i++) {
        if (span_is_equal(rows[i].name, name)) {
            *ret_kind = (enum provider_kind)i;
            return true;
        }
    }
    return false;
}

#include "exchange/inbound.h"

/* A literal path of the table, its '*' taken off. */
#define PATH_IS_PREFIX(path) ((path)[sizeof(path) - 2] == '*')
#define PATH_SPAN(path)                                                                            \
    {                                                                                              \
        (path), sizeof(path) - 1 - PATH_IS_PREFIX(path)                                            \
    }

static const struct inbound_row rows[INBOUND_COUNT] = {
#define INBOUND(kind, method, path, access, meaning)                                               \
    {INBOUND_##kind, method, PATH_SPAN(path), PATH_IS_PREFIX(path), access},
#include "tables/inbound.def"
#undef INBOUND
};

static bool covers(const struct inbound_row *row, struct span path)
{
    if (row->is_prefix)
        return path.len > row->path.len && span_has_prefix(path, row->path);
    return span_is_equal(path, row->path);
}

enum inbound_verdict inbound_find(enum http_method method, struct span path,
                                  const struct inbound_row **ret_row)
{
    if (method == METHOD_HEAD)
        method = METHOD_GET;
    for (size_t i = 0; i < INBOUND_COUNT; i++) {
        if (!covers(&rows[i], path))
            continue;
        *ret_row = &rows[i];
        return rows[i].method == method ? INBOUND_FOUND : INBOUND_NO_METHOD;
    }
    return INBOUND_NO_PATH;
}

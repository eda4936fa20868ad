#include "admin/route.h"

static const struct admin_route rows[] = {
#define ADMIN_ROUTE(symbol, method, path, access, page, meaning)                                   \
    {method, SPAN_INIT(path), access, page},
#include "tables/admin.def"
#undef ADMIN_ROUTE
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

bool admin_route_takes(const struct admin_route *route, enum http_method method)
{
    return route->method == method || (route->method == METHOD_GET && method == METHOD_HEAD);
}

const struct admin_route *admin_route_find(enum http_method method, struct span path)
{
    const struct admin_route *found = NULL;

    for (size_t i = 0; i < ROWS; i++) {
        if (!span_is_equal(rows[i].path, path))
            continue;
        found = &rows[i];
        if (admin_route_takes(found, method))
            break;
    }
    return found;
}

void admin_route_put_allow(struct span path, struct buf *out)
{
    const char *before = "Allow: ";

    for (size_t i = 0; i < ROWS; i++) {
        if (!span_is_equal(rows[i].path, path))
            continue;
        buf_printf(out, "%s%s%s", before, http_method_name(rows[i].method),
                   rows[i].method == METHOD_GET ? ", HEAD" : "");
        before = ", ";
    }
    buf_append_span(out, SPAN("\r\n"));
}

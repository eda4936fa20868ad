#include "admin/route.h"

static const struct admin_route rows[] = {
#define ADMIN_ROUTE(id, verb, place, who, page, meaning)                                           \
    {.symbol = #id, .method = verb, .path = SPAN_INIT(place), .access = who, .write = page},
#define ADMIN_ORDER(id, verb, place, does, meaning)                                                \
    {.symbol = #id, .method = verb, .path = SPAN_INIT(place), .order = does},
#define ADMIN_LOOKUP(id, place, asks, meaning)                                                     \
    {.symbol = #id, .method = METHOD_GET, .path = SPAN_INIT(place), .lookup = &(asks)},
#define ADMIN_STREAM(id, verb, place, meaning)                                                     \
    {.symbol = #id, .method = verb, .path = SPAN_INIT(place)},
#include "tables/admin.def"
#undef ADMIN_STREAM
#undef ADMIN_LOOKUP
#undef ADMIN_ORDER
#undef ADMIN_ROUTE
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

bool admin_route_takes(const struct admin_route *route, enum http_method method)
{
    return route->method == method || (route->method == METHOD_GET && method == METHOD_HEAD);
}

/* The next segment of a path, with its slash in front; false at the end. */
static bool next_segment(struct span *path, struct span *ret_segment)
{
    size_t end;

    if (!path->len)
        return false;
    end = span_find_byte(span_skip(*path, 1), '/');
    *ret_segment = end == SIZE_MAX ? *path : span_of(path->ptr, end + 1);
    *path = span_skip(*path, ret_segment->len);
    return true;
}

static bool fits(struct span pattern, struct span path, struct admin_subject *subject)
{
    struct span wanted, given;

    while (next_segment(&pattern, &wanted)) {
        if (!next_segment(&path, &given))
            return false;
        if (span_is_equal(wanted, SPAN("/{provider}")))
            subject->provider = span_skip(given, 1);
        else if (span_is_equal(wanted, SPAN("/{name}")) || span_is_equal(wanted, SPAN("/{id}")))
            subject->name = span_skip(given, 1);
        else if (!span_is_equal(wanted, given))
            return false;
    }
    return !path.len;
}

const struct admin_route *admin_route_find(enum http_method method, struct span path,
                                           struct admin_subject *ret_subject)
{
    const struct admin_route *found = NULL;

    *ret_subject = (struct admin_subject){{NULL, 0}, {NULL, 0}};
    for (size_t i = 0; i < ROWS; i++) {
        if (!fits(rows[i].path, path, ret_subject))
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
    struct admin_subject subject;

    for (size_t i = 0; i < ROWS; i++) {
        if (!fits(rows[i].path, path, &subject))
            continue;
        buf_printf(out, "%s%s%s", before, http_method_name(rows[i].method),
                   rows[i].method == METHOD_GET ? ", HEAD" : "");
        before = ", ";
    }
    buf_append_span(out, SPAN("\r\n"));
}

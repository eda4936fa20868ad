/*
 * Which page of the admin address stands where: the rows of tables/admin.def. Constant; any thread.
 */
#ifndef ADMIN_ROUTE_H
#define ADMIN_ROUTE_H

#include <stdbool.h>

#include "admin/lookup.h"
#include "admin/order.h"
#include "admin/page.h"
#include "base/buf.h"
#include "http/head.h"

enum admin_access { ADMIN_OPERATOR, ADMIN_ANYBODY };

struct admin_route {
    enum http_method method;
    struct span path;
    enum admin_access access;
    /* One of these; none: the stream of events. */
    page_write_fn *write;             /* of a page */
    order_fn *order;                  /* of an order */
    const struct lookup_kind *lookup; /* of a page that asks the store */
    const char *symbol;               /* of its row */
};

/* What a path names; borrowed from it. */
struct admin_subject {
    struct span provider, name;
};

/* The row of that path: that of `method`, if it is among them, else any; NULL where there is
 * nothing at that path. */
const struct admin_route *admin_route_find(enum http_method method, struct span path,
                                           struct admin_subject *ret_subject);

/* HEAD goes where GET goes (RFC 9110 9.3.2). */
bool admin_route_takes(const struct admin_route *route, enum http_method method);

/* Appends "Allow: GET, HEAD" and the like, with CRLF (RFC 9110 10.2.1). */
void admin_route_put_allow(struct span path, struct buf *out);

#endif

/*
 * Orders on their way: each is carried out once its body has come, told of whatever came of it, and
 * answered then or later; a client that leaves before its body is whole has ordered nothing, one
 * that leaves afterwards is not missed. The control thread's.
 */
#ifndef ADMIN_ORDERS_H
#define ADMIN_ORDERS_H

#include "admin/admin.h"
#include "admin/page.h"
#include "admin/route.h"
#include "base/list.h"
#include "http/server.h"

/* Those under way. Embedded in the admin address. */
struct orders {
    struct list all;
    const struct admin_options *options;
    struct page_view (*view)(void *owner); /* this moment */
    /* Answers: refusal, with the words of the page, if any; or with NULL the page. Its buffer goes.
     */
    void (*answer)(void *owner, struct http_server_conn *conn, const struct failure_row *refusal,
                   struct page *page);
    void *owner;
};

/* An order's head has come; its path is copied. 0 or ERR_NOMEM, with which nothing is under way. */
int orders_begin(struct orders *orders, struct http_server_conn *conn,
                 const struct admin_route *route, struct span path);

/* More of its body, and all of it. Harmless where the connection has no order. ERR_FULL: no order
 * is that large, and it is forgotten; ERR_NOMEM. */
int orders_read(struct orders *orders, struct http_server_conn *conn, struct span data);
void orders_end(struct orders *orders, struct http_server_conn *conn);

/* The client left, or what it says is not understood. Harmless where it ordered nothing. */
void orders_drop(struct orders *orders, const struct http_server_conn *conn);

#endif

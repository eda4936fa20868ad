/*
 * What an operator may want of a key: each order changes what is wished of it (keypool_wish,
 * keypool_weigh), at once for all workers, and says how it stands then. What is wished lasts
 * through reloads and, with a store, restarts. Every order is written to the log: who gave it, and
 * what it was. The control thread's.
 */
#ifndef ADMIN_ORDER_H
#define ADMIN_ORDER_H

#include "admin/page.h"
#include "admin/refusal.h"
#include "io/addr.h"
#include "json/tree.h"

/* An order whose end comes later. Whoever carries it out may say what it is about. */
struct admin_call {
    char detail[96]; /* for the audit trail */
};

/* An order that has come whole; borrowed for the call. */
struct order {
    const struct page_view *view;
    struct span provider, name; /* of the key; name is empty where it is about none, provider where
                                   the path has none */
    const yyjson_val *body;     /* NULL: there is none */
    const struct addr *peer;
    /* Who waits for a key may go on. */
    void (*on_effect)(void *owner, struct provider *provider, const struct keypool_effect *effect);
    void *owner;
    struct admin_call *call; /* with order_later: for admin_call_end */
};

/* order_add, order_rotate and order_roll_back answer {"provider", "name", "rotation", "id"} (of no
 * key yet: no name; of no rotation: a null id), and return before anything has come of them. */

/* That the body is not what the order takes, and why. */
const struct failure_row *order_refuse_body(struct page *page, const char *why);

enum { ORDER_WORD_BYTES = 32 };

/* How the audit trail says it: "SEND_BACK" is "send_back". */
struct span order_word(const char *symbol, char to[ORDER_WORD_BYTES]);

/* What was asked for besides, as far as it is known not to be secret: "weight 2.5", "leaked"; or
 * nothing. */
struct span order_detail(const struct order *order, char *to, size_t cap);

/* Carries it out: NULL, with the answer in *page (202, JSON); or why not, in the words that *page
 * holds, if any; or &order_later, and admin_call_end is called once, after it has returned. */
typedef const struct failure_row *order_fn(const struct order *order, struct page *page);

/* The rows of tables/admin.def. */
order_fn order_add, order_weigh, order_drain, order_disable, order_enable, order_rotate,
    order_roll_back;
order_fn order_issue_client, order_update_client, order_revoke_client;

extern const struct failure_row order_later;

/* The end of an order that came later, as it would have been returned; empties the page. The client
 * may have left. */
void admin_call_end(struct admin_call *call, const struct failure_row *refusal, struct page *page);

/* Of migrations (order_migrate.c). */
order_fn order_migration_start, order_migration_pause, order_migration_hold, order_migration_resume,
    order_migration_advance, order_migration_revert, order_send_back;

#endif

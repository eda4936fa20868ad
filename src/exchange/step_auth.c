/* Whose request this is. The credential is looked at here alone, and never kept. */
#include "access/issued.h"
#include "base/secret.h"
#include "exchange/exchange.h"

static struct move refuse(struct exchange *x, enum failure failure)
{
    return exchange_refuse(x, failure, span_of(NULL, 0), span_of(NULL, 0));
}

struct move step_auth(struct exchange *x)
{
    char room[INBOUND_KEY_BYTES];
    enum clients_verdict verdict;
    struct span key, query;

    (void)http_head_path(x->head.head, &query);
    key = inbound_key(x->head.head, x->head.dialect, query, room);
    verdict = clients_find(x->binding->snapshot->clients,
                           x->host->issued ? x->host->issued->issued : NULL, &x->host->memo, key,
                           x->head.start_wall_us, &x->auth.client);
    /* It may be taken out of the table while the exchange runs. */
    if (verdict == CLIENTS_OK && issued_of(x->auth.client))
        x->auth.issued = issued_hold_ref(x->host->issued);
    if (verdict == CLIENTS_OK)
        x->auth.priority = priority_pick(x->auth.client->class_name,
                                         http_head_get(x->head.head, FIELD_X_PRIORITY));
    /* What was read of the request is our own memory: nobody behind this needs the credential. */
    if (key.len)
        secret_wipe((char *)(uintptr_t)key.ptr, key.len);
    switch (verdict) {
    case CLIENTS_OK:
        return move_done(x->head.row->access == ACCESS_LIST ? STEP_RESPOND : STEP_BODY);
    case CLIENTS_MISSING:
        return refuse(x, FAILURE_KEY_MISSING);
    case CLIENTS_UNKNOWN:
        return refuse(x, FAILURE_KEY_UNKNOWN);
    case CLIENTS_EXPIRED:
        return refuse(x, FAILURE_KEY_EXPIRED);
    }
    return refuse(x, FAILURE_KEY_UNKNOWN);
}

/* Client keys that the admin address issues: the desk (admin/client_desk.h) between the store and
 * the workers, each of which gets a hold of its own on every new table. */
#include "server/gateway_inner.h"

#include "access/issued.h"
#include "admin/client_desk.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/gateway_store.h"
#include "store/store.h"

#define START_WAIT_US (2 * US_PER_SEC)

/* All of them, or none. */
static int make_holds(struct issued *issued, uint32_t count, struct issued_hold ***ret_holds)
{
    struct issued_hold **holds = mem_zalloc(count, sizeof(struct issued_hold *));

    if (!holds)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        holds[i] = issued_hold_new(issued);
        if (holds[i])
            continue;
        while (i-- > 0)
            issued_hold_unref(&holds[i]);
        mem_free(holds);
        return ERR_NOMEM;
    }
    *ret_holds = holds;
    return 0;
}

static int publish(void *owner, struct issued *issued)
{
    struct gateway *gateway = owner;
    struct issued_hold **holds;
    int err = make_holds(issued, gateway->worker_count, &holds);

    if (err)
        return err;
    gateway->issued_answers = 0;
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        worker_set_issued(gateway->workers[i], holds[i]);
    mem_free(holds);
    return 0;
}

void gateway_note_issued(struct gateway *gateway)
{
    if (++gateway->issued_answers == gateway->worker_count && !gateway->is_ending)
        client_desk_published(gateway->clients);
}

/* The store is waited for only so long; what comes later is known later. */
static void open_desk(struct gateway *gateway)
{
    struct store *store = gateway_store(gateway);

    client_desk_open(gateway->clients, store, "the configuration says store: none");
    if (!store)
        return;
    store_await(store, START_WAIT_US);
    if (!client_desk_is_loaded(gateway->clients))
        log_write(gateway->log, LOG_LEVEL_WARNING, "client keys that were issued are not known yet",
                  LOG_TEXT("reason", client_desk_why(gateway->clients)));
}

int gateway_make_clients(struct gateway *gateway)
{
    const struct client_desk_options options = {.loop = gateway->loop,
                                                .metrics = gateway->registry.metrics,
                                                .publish = publish,
                                                .owner = gateway};
    int err = client_desk_new(&options, &gateway->clients);

    if (!err)
        open_desk(gateway);
    return err;
}

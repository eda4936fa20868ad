/* The migrations that the file asks for: a migrator for each model that has one. They outlive
 * reloads; one whose sides become others is another migration. */
#include "server/gateway_inner.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "rotation/migrator.h"
#include "server/gateway_store.h"
#include "shadow/board.h"

/* How long the process is not ready for a store that does not answer: the old sides serve. */
enum { LOAD_WAIT_US = 2 * (int)US_PER_SEC };

struct migrator_seat {
    struct list link; /* in gateway->migrators */
    struct migrator *migrator;
};

struct migrator *gateway_migrator(void *owner, size_t index)
{
    const struct gateway *gateway = owner;

    for (struct list *at = gateway->migrators.next; at != &gateway->migrators; at = at->next) {
        if (index-- == 0)
            return container_of(at, struct migrator_seat, link)->migrator;
    }
    return NULL;
}

static struct migrator_seat *find(const struct gateway *gateway, struct span model)
{
    for (struct list *at = gateway->migrators.next; at != &gateway->migrators; at = at->next) {
        struct migrator_seat *seat = container_of(at, struct migrator_seat, link);

        if (span_is_equal(migrator_model(seat->migrator), model))
            return seat;
    }
    return NULL;
}

static void drop(struct migrator_seat *seat)
{
    migrator_free(&seat->migrator);
    list_remove(&seat->link);
    mem_free(seat);
}

/* Their models have no migration any more, or one between other sides, with another crossing. */
static void drop_unwanted(struct gateway *gateway)
{
    struct list *at = gateway->migrators.next;

    while (at != &gateway->migrators) {
        struct migrator_seat *seat = container_of(at, struct migrator_seat, link);
        struct crossing *crossing =
            routes_crossing(gateway->snapshot->routes, migrator_model(seat->migrator));

        at = at->next;
        if (crossing != migrator_crossing(seat->migrator))
            drop(seat);
    }
}

/* Told is what nobody has ordered. */
static void on_news(void *owner, const struct migrator *migrator)
{
    const struct migration *migration = migrator_migration(migrator);
    bool has_lost =
        migration->state == MIGRATION_REVERTED && migration->canary.cause != EVIDENCE_NOTHING;
    struct gateway *gateway = owner;
    char reason[ALERT_REASON_BYTES];
    int len;
    struct alert alert = {
        .kind = has_lost ? ALERT_MIGRATION_REVERTED : ALERT_MIGRATION_CUT_OVER,
        .provider = migrator_provider(migrator),
        .wall_us = loop_wall_us(gateway->loop),
    };

    len = snprintf(reason, sizeof(reason), "model %.*s%s%s", SPAN_ARG(migrator_model(migrator)),
                   has_lost ? ": " : "", has_lost ? migration->reason : "");
    alert.reason = span_of(reason, len < (int)sizeof(reason) ? (size_t)len : sizeof(reason) - 1);
    if (has_lost || migration->state == MIGRATION_CUT_OVER)
        gateway_alert(gateway, &alert);
}

/* By a shadow of the model whose target is the new side. */
static bool compared(void *owner, struct span model, struct migrator_compared *ret_compared)
{
    const struct gateway *gateway = owner;
    const struct migrator_seat *seat = find(gateway, model);
    struct shadow_counts counts = {.compared = 0};

    if (seat)
        counts = shadow_board_counts(gateway->registry.shadows, model, migrator_to(seat->migrator));
    *ret_compared = (struct migrator_compared){counts.compared, counts.diverged};
    return counts.compared > 0;
}

static int add(struct gateway *gateway, const struct conf_model *conf)
{
    const struct migrator_options options = {
        .loop = gateway->loop,
        .log = gateway->log,
        .store = gateway_store(gateway),
        .crossing = routes_crossing(gateway->snapshot->routes, conf->name),
        .conf = conf,
        .compared = compared,
        .on_news = on_news,
        .owner = gateway,
    };
    struct migrator_seat *seat = mem_zalloc(1, sizeof(*seat));

    if (seat)
        seat->migrator = migrator_new(&options);
    if (!seat || !seat->migrator) {
        mem_free(seat);
        return ERR_NOMEM;
    }
    list_push_back(&gateway->migrators, &seat->link);
    return 0;
}

void gateway_follow_migrations(struct gateway *gateway)
{
    const struct conf_models *models = &gateway->snapshot->config->models;

    drop_unwanted(gateway);
    for (size_t i = 0; i < models->count; i++) {
        const struct conf_model *conf = &models->items[i];
        struct migrator_seat *seat = find(gateway, conf->name);

        if (!conf->migration)
            continue;
        if (seat)
            migrator_set_conf(seat->migrator, conf);
        else if (add(gateway, conf))
            log_write(gateway->log, LOG_LEVEL_ERROR,
                      "without memory a model is not migrated until the next reload",
                      LOG_SPAN("model", conf->name));
    }
}

bool gateway_has_loaded_migrations(const struct gateway *gateway)
{
    uint64_t wall_us = loop_wall_us(gateway->loop);

    if (wall_us < gateway->started_wall_us || wall_us - gateway->started_wall_us > LOAD_WAIT_US)
        return true;
    for (struct list *at = gateway->migrators.next; at != &gateway->migrators; at = at->next) {
        if (!migrator_is_loaded(container_of(at, struct migrator_seat, link)->migrator))
            return false;
    }
    return true;
}

void gateway_drop_migrations(struct gateway *gateway)
{
    while (!list_is_empty(&gateway->migrators))
        drop(container_of(gateway->migrators.next, struct migrator_seat, link));
}

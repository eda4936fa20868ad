/* Orders of an operator to migrations: POST /v1/admin/migrations/{name}/pause and the like, and
 * POST /v1/config/revert. */
#include "admin/migration_id.h"
#include "admin/order.h"

#include <math.h>

#include "json/write.h"
#include "obs/log.h"
#include "rotation/migrator.h"

static void tell(const struct order *order, const struct migrator *migrator, const char *what)
{
    char from[ADDR_TEXT_BYTES];

    addr_write(order->peer, from);
    log_write(order->view->registry->log, LOG_LEVEL_INFO, "operator's order",
              LOG_TEXT("order", what), LOG_SPAN("model", migrator_model(migrator)),
              LOG_TEXT("state", migration_state_text(migrator_migration(migrator)->state)),
              LOG_UINT("share_ppm",
                       migration_share_ppm(migrator_migration(migrator), migrator_rules(migrator))),
              LOG_TEXT("from", from));
}

static void put_migration(struct json_writer *writer, const struct migrator *migrator)
{
    const struct migration *migration = migrator_migration(migrator);

    json_member_string(writer, "id", migrator_model(migrator));
    json_member_string(writer, "model", migrator_model(migrator));
    json_member_text(writer, "state", migration_state_text(migration->state));
    json_member_double(writer, "share",
                       migration_share_ppm(migration, migrator_rules(migrator)) / 1e6);
}

static const struct failure_row *migrate(const struct order *order, struct page *page,
                                         enum migration_order what)
{
    struct migrator *migrator = migration_of_id(order->view, order->name);
    struct json_writer writer;

    if (!migrator)
        return refusal_row(REFUSAL_NO_MIGRATION);
    if (!migrator_is_loaded(migrator))
        return refusal_row(REFUSAL_MIGRATION_UNKNOWN);
    if (!migrator_order(migrator, what)) {
        buf_printf(&page->body, "The migration's state, '%s', does not allow that.",
                   migration_state_text(migrator_migration(migrator)->state));
        return refusal_row(REFUSAL_MIGRATION_STATE);
    }
    tell(order, migrator, migration_order_text(what));
    page->status = 202;
    json_writer_init(&writer, &page->body);
    json_begin_object(&writer);
    put_migration(&writer, migrator);
    json_end_object(&writer);
    buf_append_byte(&page->body, '\n');
    return NULL;
}

const struct failure_row *order_migration_start(const struct order *order, struct page *page)
{
    return migrate(order, page, MIGRATION_START);
}

const struct failure_row *order_migration_pause(const struct order *order, struct page *page)
{
    return migrate(order, page, MIGRATION_PAUSE);
}

const struct failure_row *order_migration_hold(const struct order *order, struct page *page)
{
    return migrate(order, page, MIGRATION_HOLD);
}

const struct failure_row *order_migration_resume(const struct order *order, struct page *page)
{
    return migrate(order, page, MIGRATION_RESUME);
}

const struct failure_row *order_migration_advance(const struct order *order, struct page *page)
{
    return migrate(order, page, MIGRATION_ADVANCE);
}

const struct failure_row *order_migration_revert(const struct order *order, struct page *page)
{
    return migrate(order, page, MIGRATION_REVERT);
}

/* ---- POST /v1/config/revert ---- */

struct way_back {
    struct span provider, model; /* model: empty: of all models */
    uint32_t back_ppm;
};

static bool read_way_back(const struct order *order, struct way_back *way)
{
    double percentage;

    way->provider = json_tree_string(order->body, "provider");
    way->model = json_tree_string(order->body, "model");
    if (!way->provider.len ||
        !json_tree_double(json_tree_member(order->body, "percentage"), &percentage) ||
        !(percentage > 0) || percentage > 100)
        return false;
    way->back_ppm = (uint32_t)llround(percentage * 10000);
    return way->back_ppm > 0;
}

static bool is_meant(const struct way_back *way, const struct migrator *migrator)
{
    return migrator_has_provider(migrator, way->provider) &&
           (!way->model.len || span_is_equal(way->model, migrator_model(migrator)));
}

const struct failure_row *order_send_back(const struct order *order, struct page *page)
{
    const struct admin_options *admin = order->view->admin;
    size_t meant = 0, done = 0;
    struct migrator *migrator;
    struct json_writer writer;
    struct way_back way;

    if (!read_way_back(order, &way))
        return order_refuse_body(
            page, "'provider' and 'percentage' (above 0, to 100) are needed, 'model' "
                  "is allowed");
    json_writer_init(&writer, &page->body);
    json_begin_object(&writer);
    json_member_string(&writer, "provider", way.provider);
    json_member_double(&writer, "percentage", way.back_ppm / 1e4);
    json_name(&writer, "migrations");
    json_begin_array(&writer);
    for (size_t i = 0; (migrator = admin->migration(admin->owner, i)); i++) {
        if (!is_meant(&way, migrator))
            continue;
        meant++;
        if (!migrator_send_back(migrator, way.back_ppm))
            continue;
        done++;
        tell(order, migrator, "send back");
        json_begin_object(&writer);
        put_migration(&writer, migrator);
        json_end_object(&writer);
    }
    json_end_array(&writer);
    json_end_object(&writer);
    buf_append_byte(&page->body, '\n');
    page->status = 202;
    if (done)
        return NULL;
    buf_clear(&page->body);
    return refusal_row(meant ? REFUSAL_MIGRATION_STATE : REFUSAL_NO_MIGRATION);
}

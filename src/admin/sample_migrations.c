#include "admin/sample_migrations.h"

#include "rotation/migrator.h"

static void put_state(const struct migrator *migrator, struct metrics_out *out)
{
    enum migration_state state = migrator_migration(migrator)->state;
    struct span values[] = {migrator_model(migrator), span_from_text(migration_state_text(state))};

    metrics_sample(out, values, 1);
}

static void put_share(const struct migrator *migrator, struct metrics_out *out)
{
    struct span model = migrator_model(migrator);
    uint32_t share_ppm =
        migration_share_ppm(migrator_migration(migrator), migrator_rules(migrator));

    metrics_sample(out, &model, share_ppm / 1e6);
}

/* One series for each side. */
static void put_sides(struct migrator *migrator, enum metric metric, struct metrics_out *out)
{
    static const struct span names[CROSSING_SIDES] = {
        [CROSSING_OLD] = SPAN_INIT("old"), [CROSSING_NEW] = SPAN_INIT("new")};
    const struct side *sides = migrator_sides(migrator);

    for (int i = 0; i < CROSSING_SIDES; i++) {
        struct span values[] = {migrator_model(migrator), names[i]};

        metrics_sample(
            out, values,
            (double)(metric == METRIC_MIGRATION_REQUESTS ? sides[i].requests : sides[i].failures));
    }
}

void sample_migrations(const struct page_view *view, enum metric metric, struct metrics_out *out)
{
    struct migrator *migrator;

    for (size_t i = 0; (migrator = view->admin->migration(view->admin->owner, i)); i++) {
        /* Until the store has answered nobody knows the rest. */
        if (metric == METRIC_MIGRATION_SHARE)
            put_share(migrator, out);
        else if (!migrator_is_loaded(migrator))
            continue;
        else if (metric == METRIC_MIGRATION_STATE)
            put_state(migrator, out);
        else
            put_sides(migrator, metric, out);
    }
}

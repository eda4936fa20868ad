#include "admin/sample_shadows.h"

#include "route/plan.h"
#include "shadow/board.h"

/* One series for each kind of divergence. */
static void put_divergences(struct span model, const struct shadow_report *report,
                            struct metrics_out *out)
{
    for (int i = 0; i < DIVERGENCE_COUNT; i++) {
        struct span values[] = {model, span_from_text(divergence_name((enum divergence)i))};

        metrics_sample(out, values, (double)report->diverged[i]);
    }
}

static void put_skips(struct span model, const struct shadow_report *report,
                      struct metrics_out *out)
{
    for (int i = 0; i < SHADOW_SKIPS; i++) {
        struct span values[] = {model, span_from_text(shadow_skip_name((enum shadow_skip)i))};

        metrics_sample(out, values, (double)report->skipped[i]);
    }
}

static void put(struct span model, const struct shadow_report *report, enum metric metric,
                struct metrics_out *out)
{
    if (metric == METRIC_SHADOW_DRAWN)
        metrics_sample(out, &model, (double)report->drawn);
    else if (metric == METRIC_SHADOW_COMPARED)
        metrics_sample(out, &model, (double)report->counts.compared);
    else if (metric == METRIC_SHADOW_DIVERGED)
        metrics_sample(out, &model, (double)report->counts.diverged);
    else if (metric == METRIC_SHADOW_DIVERGENCES)
        put_divergences(model, report, out);
    else if (metric == METRIC_SHADOW_SKIPPED)
        put_skips(model, report, out);
    else if (metric == METRIC_SHADOW_TOKENS)
        metrics_sample(out, &model, (double)report->spent.tokens);
    else
        metrics_sample(out, &model, (double)report->spent.pico_usd / 1e12);
}

void sample_shadows(const struct page_view *view, enum metric metric, struct metrics_out *out)
{
    const struct conf_models *models = &view->snapshot->config->models;
    struct shadow_report report;

    for (size_t i = 0; i < models->count; i++) {
        const struct conf_model *model = &models->items[i];
        struct shadow_entry *entry;
        char name[PLAN_NAME_BYTES];

        if (!model->shadow)
            continue;
        report = (struct shadow_report){.drawn = 0};
        entry = shadow_board_find(view->registry->shadows, model->name,
                                  plan_target_name(&model->shadow->target, name));
        if (entry)
            shadow_entry_report(entry, view->wall_us, &report);
        put(model->name, &report, metric, out);
    }
}

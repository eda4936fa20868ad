/* GET /v1/admin/shadows: what came of the exchanges that were mirrored, for each model that has a
 * shadow. */
#include "admin/page.h"
#include "route/plan.h"
#include "shadow/board.h"

#define PICO_IN_USD 1e12

static void put_quantiles_us(struct json_writer *writer, const char *name,
                             const struct shadow_sketch *sketch)
{
    json_name(writer, name);
    json_begin_object(writer);
    page_put_ms(writer, "p50", shadow_sketch_us(sketch, 500));
    page_put_ms(writer, "p95", shadow_sketch_us(sketch, 950));
    json_end_object(writer);
}

static void put_lengths(struct json_writer *writer, const struct shadow_sketch *sketch)
{
    json_name(writer, "length_bytes");
    json_begin_object(writer);
    json_member_uint(writer, "p50", shadow_sketch_bytes(sketch, 500));
    json_member_uint(writer, "p95", shadow_sketch_bytes(sketch, 950));
    json_end_object(writer);
}

static void put_added(struct json_writer *writer, const struct shadow_report *report)
{
    json_name(writer, "added_latency_ms");
    json_begin_object(writer);
    json_member_double(writer, "p50", (double)shadow_report_added_us(report, 500) / 1e3);
    json_member_double(writer, "p95", (double)shadow_report_added_us(report, 950) / 1e3);
    json_end_object(writer);
}

static void put_sides(struct json_writer *writer, const struct shadow_report *report)
{
    json_name(writer, "real");
    json_begin_object(writer);
    put_quantiles_us(writer, "first_byte_ms", &report->real.first);
    put_quantiles_us(writer, "total_ms", &report->real.total);
    put_lengths(writer, &report->real.length);
    json_member_uint(writer, "answer_tokens", report->real.tokens);
    json_end_object(writer);
    json_name(writer, "shadow");
    json_begin_object(writer);
    put_quantiles_us(writer, "first_byte_ms", &report->shadow.first);
    put_quantiles_us(writer, "total_ms", &report->shadow.total);
    put_lengths(writer, &report->shadow.length);
    json_member_uint(writer, "answer_tokens", report->shadow.tokens);
    json_end_object(writer);
    put_added(writer, report);
}

static void put_comparisons(struct json_writer *writer, const struct shadow_report *report)
{
    const struct shadow_counts *counts = &report->counts;

    json_member_uint(writer, "compared", counts->compared);
    json_member_uint(writer, "diverged", counts->diverged);
    json_name(writer, "divergence");
    if (counts->compared)
        json_double(writer, (double)counts->diverged / (double)counts->compared);
    else
        json_null(writer);
    json_name(writer, "diverged_by");
    json_begin_object(writer);
    for (int i = 0; i < DIVERGENCE_COUNT; i++)
        json_member_uint(writer, divergence_name((enum divergence)i), report->diverged[i]);
    json_end_object(writer);
    json_name(writer, "json");
    json_begin_object(writer);
    json_member_uint(writer, "equal", report->json_equal);
    json_member_uint(writer, "different", report->json_different);
    json_end_object(writer);
    json_name(writer, "similarity");
    json_begin_object(writer);
    json_member_double(writer, "p10", shadow_report_similarity(report, 100) / 100.0);
    json_member_double(writer, "p50", shadow_report_similarity(report, 500) / 100.0);
    json_member_double(writer, "p90", shadow_report_similarity(report, 900) / 100.0);
    json_end_object(writer);
}

static void put_spend(struct json_writer *writer, const char *name,
                      const struct shadow_spend *spend)
{
    json_name(writer, name);
    json_begin_object(writer);
    json_member_double(writer, "usd", (double)spend->pico_usd / PICO_IN_USD);
    json_member_uint(writer, "requests", spend->requests);
    json_member_uint(writer, "tokens", spend->tokens);
    json_end_object(writer);
}

static void put_cap(struct json_writer *writer, const char *name, uint64_t most, double unit)
{
    json_name(writer, name);
    if (most)
        json_double(writer, (double)most / unit);
    else
        json_null(writer);
}

static void put_budget(struct json_writer *writer, const struct conf_shadow_budget *budget,
                       const struct shadow_report *report)
{
    static const char *const periods[] = {
        [CONF_PERIOD_HOUR] = "hour", [CONF_PERIOD_DAY] = "day", [CONF_PERIOD_MONTH] = "month"};

    put_spend(writer, "cost", &report->spent);
    json_name(writer, "budget");
    json_begin_object(writer);
    put_cap(writer, "usd", budget->micro_usd, 1e6);
    put_cap(writer, "requests", budget->requests, 1);
    put_cap(writer, "tokens", budget->tokens, 1);
    json_member_text(writer, "per", periods[budget->per]);
    put_spend(writer, "spent", &report->period);
    page_put_time(writer, "until", report->period_end_us);
    json_member_bool(writer, "stopped", report->is_stopped);
    json_end_object(writer);
}

static void put_skips(struct json_writer *writer, const struct shadow_report *report)
{
    json_name(writer, "skipped");
    json_begin_object(writer);
    for (int i = 0; i < SHADOW_SKIPS; i++)
        json_member_uint(writer, shadow_skip_name((enum shadow_skip)i), report->skipped[i]);
    json_end_object(writer);
}

static void put_recent(struct json_writer *writer, const struct shadow_report *report)
{
    json_name(writer, "recent");
    json_begin_array(writer);
    for (size_t i = 0; i < report->recent_count; i++) {
        const struct shadow_recent *recent = &report->recent[i];

        json_begin_object(writer);
        json_member_string(writer, "request_id",
                           span_of(recent->request_id, recent->request_id_len));
        page_put_time(writer, "at", recent->wall_us);
        json_name(writer, "diverged_by");
        json_begin_array(writer);
        for (int k = 0; k < DIVERGENCE_COUNT; k++) {
            if (recent->kinds >> k & 1)
                json_text(writer, divergence_name((enum divergence)k));
        }
        json_end_array(writer);
        json_name(writer, "similarity");
        if (recent->similarity_milli == SIMILARITY_UNKNOWN)
            json_null(writer);
        else
            json_double(writer, recent->similarity_milli / 1000.0);
        json_end_object(writer);
    }
    json_end_array(writer);
}

static void put_shadow(struct json_writer *writer, const struct conf_model *model,
                       struct span target, const struct shadow_report *report)
{
    const struct conf_shadow *conf = model->shadow;

    json_begin_object(writer);
    json_member_string(writer, "model", model->name);
    json_member_string(writer, "to", target);
    json_name(writer, "key");
    if (conf->key.len)
        json_string(writer, conf->key);
    else
        json_null(writer);
    json_member_double(writer, "share", conf->share_ppm / 1e6);
    json_member_uint(writer, "drawn", report->drawn);
    json_member_uint(writer, "under_way", report->under_way);
    put_comparisons(writer, report);
    put_sides(writer, report);
    put_budget(writer, &conf->budget, report);
    put_skips(writer, report);
    put_recent(writer, report);
    json_end_object(writer);
}

static void put_model(struct json_writer *writer, const struct page_view *view,
                      const struct conf_model *model, struct shadow_report *report)
{
    struct shadow_entry *entry;
    char text[PLAN_NAME_BYTES];
    struct span name = plan_target_name(&model->shadow->target, text);

    *report = (struct shadow_report){.drawn = 0};
    entry = shadow_board_find(view->registry->shadows, model->name, name);
    if (entry)
        shadow_entry_report(entry, view->wall_us, report);
    put_shadow(writer, model, name, report);
}

void page_shadows(const struct page_view *view, struct page *page)
{
    const struct conf_models *models = &view->snapshot->config->models;
    struct shadow_report report;
    struct json_writer writer;

    json_writer_init(&writer, &page->body);
    json_begin_object(&writer);
    json_name(&writer, "shadows");
    json_begin_array(&writer);
    for (size_t i = 0; i < models->count; i++) {
        if (models->items[i].shadow)
            put_model(&writer, view, &models->items[i], &report);
    }
    json_end_array(&writer);
    json_end_object(&writer);
    buf_append_byte(&page->body, '\n');
}

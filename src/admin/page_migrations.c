/* GET /v1/admin/migrations: how each stands; /{id}: the same, with what became of both sides. */
#include "admin/migration_id.h"
#include "admin/page.h"
#include "admin/refusal.h"
#include "dialect/openai_error.h"
#include "rotation/migrator.h"

/* ---- which one ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The next byte that the path means; it may have come as %XX. */
static char next_byte(struct span *rest)
{
    char byte = rest->ptr[0];
    size_t len = 1;

    if (byte == '%' && rest->len >= 3 && hex_digit(rest->ptr[1]) >= 0 &&
        hex_digit(rest->ptr[2]) >= 0) {
        byte = (char)(hex_digit(rest->ptr[1]) * 16 + hex_digit(rest->ptr[2]));
        len = 3;
    }
    *rest = span_skip(*rest, len);
    return byte;
}

static bool is_spelled(struct span model, struct span id)
{
    size_t at = 0;

    while (id.len && at < model.len) {
        if (next_byte(&id) != model.ptr[at++])
            return false;
    }
    return !id.len && at == model.len;
}

struct migrator *migration_of_id(const struct page_view *view, struct span id)
{
    struct migrator *migrator;

    for (size_t i = 0; (migrator = view->admin->migration(view->admin->owner, i)); i++) {
        if (is_spelled(migrator_model(migrator), id))
            return migrator;
    }
    return NULL;
}

/* ---- how it stands ---- */

static double rate(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static void put_errors(struct json_writer *writer, const struct evidence *evidence,
                       const struct evidence_settings *settings)
{
    json_name(writer, "errors");
    json_begin_object(writer);
    json_member_double(writer, "allowed", settings->max_error_ppm / 1e6);
    json_member_double(writer, "new", rate(evidence->canary.failures, evidence->canary.requests));
    json_member_double(writer, "old", rate(evidence->control.failures, evidence->control.requests));
    json_end_object(writer);
}

static void put_divergence(struct json_writer *writer, const struct evidence *evidence,
                           const struct evidence_settings *settings)
{
    json_name(writer, "divergence");
    json_begin_object(writer);
    json_member_double(writer, "allowed", settings->max_divergence_ppm / 1e6);
    json_name(writer, "measured");
    json_bool(writer, evidence->compared > 0);
    json_name(writer, "needed");
    json_bool(writer, settings->needs_comparisons);
    json_member_uint(writer, "compared", evidence->compared);
    json_member_uint(writer, "differing", evidence->differing);
    json_end_object(writer);
}

static void put_latency(struct json_writer *writer, const struct evidence *evidence,
                        const struct evidence_settings *settings)
{
    json_name(writer, "added_latency");
    json_begin_object(writer);
    if (settings->max_added_latency_ms == EVIDENCE_NO_LIMIT)
        json_member_null(writer, "allowed_ms");
    else
        json_member_uint(writer, "allowed_ms", settings->max_added_latency_ms);
    json_member_double(writer, "timed", evidence->times.timed);
    json_member_double(writer, "too_late", evidence->times.slow);
    json_end_object(writer);
}

static void put_gates(struct json_writer *writer, const struct migrator *migrator)
{
    const struct evidence *evidence = &migrator_migration(migrator)->canary.evidence;
    const struct evidence_settings *settings = &migrator_rules(migrator)->canary.evidence;

    json_name(writer, "gates");
    json_begin_object(writer);
    put_errors(writer, evidence, settings);
    put_divergence(writer, evidence, settings);
    put_latency(writer, evidence, settings);
    json_member_text(writer, "waits_for", evidence_cause_text(evidence_gate(evidence, settings)));
    json_end_object(writer);
}

static void put_ramp(struct json_writer *writer, const struct migrator *migrator)
{
    const struct migration *migration = migrator_migration(migrator);
    const struct migration_rules *rules = migrator_rules(migrator);
    const struct ramp_settings *ramp = &rules->canary.ramp;

    json_member_double(writer, "share", migration_share_ppm(migration, rules) / 1e6);
    json_member_uint(writer, "run", migration->run);
    json_member_uint(writer, "step", migration->run ? migration->canary.ramp.step + 1 : 0);
    json_member_uint(writer, "steps", ramp->steps);
    page_put_ms(writer, "step_left_ms", ramp_left_us(&migration->canary.ramp, ramp));
    page_put_ms(writer, "revert_window_left_ms", migration_window_left_us(migration, rules));
}

static void put_migration(struct json_writer *writer, const struct migrator *migrator)
{
    const struct migration *migration = migrator_migration(migrator);
    char why[CANARY_EXPLAIN_BYTES];

    json_member_string(writer, "id", migrator_model(migrator));
    json_member_string(writer, "model", migrator_model(migrator));
    json_member_string(writer, "from", migrator_from(migrator));
    json_member_string(writer, "to", migrator_to(migrator));
    json_member_text(writer, "state",
                     migrator_is_loaded(migrator) ? migration_state_text(migration->state)
                                                  : "unknown");
    page_put_time(writer, "since", migration->since_wall_us);
    page_put_time(writer, "started", migration->started_wall_us);
    put_ramp(writer, migrator);
    migration_explain(migration, migrator_rules(migrator), why);
    json_member_text(writer, "reason", why);
    put_gates(writer, migrator);
}

void page_migrations(const struct page_view *view, struct page *page)
{
    struct migrator *migrator;
    struct json_writer writer;

    json_writer_init(&writer, &page->body);
    json_begin_object(&writer);
    json_name(&writer, "migrations");
    json_begin_array(&writer);
    for (size_t i = 0; (migrator = view->admin->migration(view->admin->owner, i)); i++) {
        json_begin_object(&writer);
        put_migration(&writer, migrator);
        json_end_object(&writer);
    }
    json_end_array(&writer);
    json_end_object(&writer);
    buf_append_byte(&page->body, '\n');
}

/* ---- what became of both sides ---- */

/* A measure's quantiles; `unit` is how many of the scale's units make one of the answer's. */
static void put_quantiles(struct json_writer *writer, const struct side *side, const char *name,
                          enum side_measure measure, double unit)
{
    static const struct {
        const char *name;
        unsigned per_mille;
    } quantiles[] = {{"p50", 500}, {"p90", 900}, {"p95", 950}, {"p99", 990}};

    json_name(writer, name);
    json_begin_object(writer);
    json_member_uint(writer, "measured", side_measured(side, measure));
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        if (side_measured(side, measure))
            json_member_double(writer, quantiles[i].name,
                               (double)side_quantile(side, measure, quantiles[i].per_mille) / unit);
        else
            json_member_null(writer, quantiles[i].name);
    }
    json_end_object(writer);
}

static void put_cost(struct json_writer *writer, const struct side *side)
{
    if (side_measured(side, SIDE_COST))
        json_member_double(writer, "cost_usd", (double)side->cost_nano / 1e9);
    else
        json_member_null(writer, "cost_usd");
}

static void put_side(struct json_writer *writer, const char *name, const struct side *side)
{
    json_name(writer, name);
    json_begin_object(writer);
    json_member_uint(writer, "requests", side->requests);
    json_member_uint(writer, "failures", side->failures);
    json_member_uint(writer, "refused", side->refused);
    json_member_uint(writer, "broken_off", side->broken);
    json_member_double(writer, "error_rate", rate(side->failures, side->requests));
    json_member_uint(writer, "answered", side->whole);
    json_member_uint(writer, "prompt_tokens", side->prompt_tokens);
    json_member_uint(writer, "completion_tokens", side->completion_tokens);
    put_cost(writer, side);
    put_quantiles(writer, side, "first_byte_ms", SIDE_FIRST_BYTE, 1000);
    put_quantiles(writer, side, "total_ms", SIDE_TOTAL, 1000);
    put_quantiles(writer, side, "completion_tokens_each", SIDE_LENGTH, 1000);
    put_quantiles(writer, side, "cost_usd_each", SIDE_COST, 1e9);
    json_end_object(writer);
}

void page_migration(const struct page_view *view, struct page *page)
{
    struct migrator *migrator = migration_of_id(view, view->name);
    const struct failure_row *refusal = refusal_row(REFUSAL_NO_MIGRATION);
    const struct side *sides;
    struct json_writer writer;

    if (!migrator) {
        page->status = refusal->status;
        openai_write_error(&page->body, refusal, span_of(NULL, 0), span_of(NULL, 0));
        return;
    }
    sides = migrator_sides(migrator);
    json_writer_init(&writer, &page->body);
    json_begin_object(&writer);
    put_migration(&writer, migrator);
    json_name(&writer, "report");
    json_begin_object(&writer);
    put_side(&writer, "old", &sides[CROSSING_OLD]);
    put_side(&writer, "new", &sides[CROSSING_NEW]);
    json_end_object(&writer);
    json_end_object(&writer);
    buf_append_byte(&page->body, '\n');
}

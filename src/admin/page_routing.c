/* GET /v1/admin/routing: where traffic goes now, and where it has gone lately. */
#include "admin/page.h"
#include "admin/traffic.h"
#include "base/clock.h"

/* Of nothing there is no share. */
static void put_share(struct json_writer *writer, uint64_t part, uint64_t whole)
{
    if (whole)
        json_member_double(writer, "share", (double)part / (double)whole);
    else
        json_member_null(writer, "share");
}

/* ---- models ---- */

/* A provider that stands in several targets of a model: nobody has counted which of them it was. */
static bool is_alone(const struct conf_model *model, const struct conf_target *target)
{
    size_t count = 0;

    for (size_t i = 0; i < model->targets.count; i++)
        count += model->targets.items[i].provider == target->provider;
    for (size_t i = 0; i < model->fallback.count; i++)
        count += model->fallback.items[i].provider == target->provider;
    return count == 1;
}

static bool is_first_of(const struct conf_targets *targets, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (targets->items[i].provider == targets->items[at].provider)
            return false;
    }
    return true;
}

static bool is_among(const struct conf_targets *targets, const struct conf_provider *provider)
{
    for (size_t i = 0; i < targets->count; i++) {
        if (targets->items[i].provider == provider)
            return true;
    }
    return false;
}

/* Each provider once. */
static uint64_t count_model(const struct page_view *view, const struct conf_model *model)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < model->targets.count; i++) {
        if (is_first_of(&model->targets, i))
            sum += traffic_of_model(view->traffic, view, model->name,
                                    model->targets.items[i].provider->name);
    }
    for (size_t i = 0; i < model->fallback.count; i++) {
        const struct conf_provider *provider = model->fallback.items[i].provider;

        if (is_first_of(&model->fallback, i) && !is_among(&model->targets, provider))
            sum += traffic_of_model(view->traffic, view, model->name, provider->name);
    }
    return sum;
}

static void put_target(struct json_writer *writer, const struct page_view *view,
                       const struct conf_model *model, const struct conf_target *target,
                       uint64_t whole)
{
    uint64_t count = traffic_of_model(view->traffic, view, model->name, target->provider->name);

    json_begin_object(writer);
    json_member_string(writer, "provider", target->provider->name);
    json_member_string(writer, "model", target->model);
    json_member_uint(writer, "weight", target->weight);
    if (is_alone(model, target)) {
        json_member_uint(writer, "requests", count);
        put_share(writer, count, whole);
    } else {
        json_member_null(writer, "requests");
        json_member_null(writer, "share");
    }
    json_end_object(writer);
}

static void put_targets(struct json_writer *writer, const char *name, const struct page_view *view,
                        const struct conf_model *model, const struct conf_targets *targets,
                        uint64_t whole)
{
    json_name(writer, name);
    json_begin_array(writer);
    for (size_t i = 0; i < targets->count; i++)
        put_target(writer, view, model, &targets->items[i], whole);
    json_end_array(writer);
}

static void put_model(struct json_writer *writer, const struct page_view *view,
                      const struct conf_model *model)
{
    uint64_t whole = count_model(view, model);

    json_begin_object(writer);
    json_member_string(writer, "model", model->name);
    json_member_uint(writer, "requests", whole);
    put_targets(writer, "targets", view, model, &model->targets, whole);
    put_targets(writer, "fallback", view, model, &model->fallback, whole);
    json_end_object(writer);
}

/* ---- providers ---- */

static uint64_t count_keys(const struct page_view *view, struct provider *provider)
{
    struct keypool_row row;
    uint64_t sum = 0;
    size_t at = 0;

    while (keypool_describe(provider_keys(provider), &at, view->now_us, &row)) {
        sum += traffic_of_key(view->traffic, provider_name(provider), row.name, row.requests);
        key_unref(&row.key);
    }
    return sum;
}

/* Of its predecessor's place. */
static void put_canary(struct json_writer *writer, const struct page_view *view,
                       struct span provider, enum life_step step)
{
    const struct rotation *rotation = view->admin->rotation(view->admin->owner, provider);

    if (step == LIFE_CANARY && rotation)
        json_member_double(writer, "canary_share", rotation_share_ppm(rotation) / 1e6);
}

static void put_key(struct json_writer *writer, const struct page_view *view, struct span provider,
                    const struct keypool_row *row, uint64_t whole)
{
    uint64_t count = traffic_of_key(view->traffic, provider, row->name, row->requests);
    enum life_step step = page_step_of(view, provider, row->name);

    json_begin_object(writer);
    json_member_string(writer, "name", row->name);
    json_member_text(writer, "step", life_step_text(step));
    json_member_text(writer, "wish", key_wish_text(row->wish));
    json_member_text(writer, "health", row->health_text);
    json_member_bool(writer, "healthy", row->is_healthy);
    json_member_text(writer, "breaker", breaker_state_text(row->breaker));
    json_member_int(writer, "priority", row->priority);
    json_member_double(writer, "weight", row->weight_milli / 1000.0);
    put_canary(writer, view, provider, step);
    json_member_uint(writer, "in_flight", row->in_flight);
    json_member_uint(writer, "requests", count);
    put_share(writer, count, whole);
    json_end_object(writer);
}

static void put_keys(struct json_writer *writer, const struct page_view *view,
                     struct provider *provider, uint64_t whole)
{
    struct keypool_row row;
    size_t at = 0;

    json_name(writer, "keys");
    json_begin_array(writer);
    while (keypool_describe(provider_keys(provider), &at, view->now_us, &row)) {
        put_key(writer, view, provider_name(provider), &row, whole);
        key_unref(&row.key);
    }
    json_end_array(writer);
}

static void put_site(struct json_writer *writer, const struct page_view *view,
                     const struct snapshot_site *site)
{
    const struct endpoint_health *health = endpoint_health_of(site->endpoint);
    uint64_t rests_us = endpoint_health_rests_until(health);

    json_begin_object(writer);
    json_member_string(writer, "url", endpoint_url(site->endpoint));
    if (site->name.len)
        json_member_string(writer, "region", site->name);
    json_member_text(writer, "breaker",
                     breaker_state_text(endpoint_health_state(health, view->now_us)));
    page_put_time(writer, "rests_until",
                  rests_us > view->now_us ? page_wall_of(view, rests_us) : 0);
    json_end_object(writer);
}

static void put_endpoints(struct json_writer *writer, const struct page_view *view,
                          const struct snapshot_provider *provider)
{
    json_name(writer, "endpoints");
    json_begin_array(writer);
    for (size_t i = 0; i < provider->site_count; i++)
        put_site(writer, view, &provider->sites[i]);
    json_end_array(writer);
}

static void put_provider(struct json_writer *writer, const struct page_view *view,
                         const struct snapshot_provider *provider, uint64_t whole)
{
    uint64_t count = count_keys(view, provider->provider);

    json_begin_object(writer);
    json_member_string(writer, "provider", provider->conf->name);
    json_member_uint(writer, "requests", count);
    put_share(writer, count, whole);
    put_endpoints(writer, view, provider);
    put_keys(writer, view, provider->provider, count);
    json_end_object(writer);
}

static void put_providers(struct json_writer *writer, const struct page_view *view)
{
    uint64_t whole = 0;

    for (size_t i = 0; i < view->snapshot->provider_count; i++)
        whole += count_keys(view, view->snapshot->providers[i].provider);
    json_name(writer, "providers");
    json_begin_array(writer);
    for (size_t i = 0; i < view->snapshot->provider_count; i++)
        put_provider(writer, view, &view->snapshot->providers[i], whole);
    json_end_array(writer);
}

void page_routing(const struct page_view *view, struct page *page)
{
    const struct conf_models *models = &view->snapshot->config->models;
    uint64_t since_us = traffic_since_us(view->traffic);
    struct json_writer writer;

    json_writer_init(&writer, &page->body);
    json_begin_object(&writer);
    page_put_time(&writer, "since", page_wall_of(view, since_us));
    json_member_double(&writer, "seconds", (double)(view->now_us - since_us) / US_PER_SEC);
    json_name(&writer, "models");
    json_begin_array(&writer);
    for (size_t i = 0; i < models->count; i++)
        put_model(&writer, view, &models->items[i]);
    json_end_array(&writer);
    put_providers(&writer, view);
    json_end_object(&writer);
    buf_append_byte(&page->body, '\n');
}

/* GET /v1/admin/regions: every provider with regions, what is known of each and who has the
 * traffic. */
#include "admin/page.h"
#include "conf/region.h"
#include "exchange/snapshot.h"
#include "json/write.h"
#include "regions/regions.h"

/* What was measured: nothing of it where no sample is left. */
static void put_meter(struct json_writer *writer, const char *name, const struct meter *meter)
{
    json_name(writer, name);
    json_begin_object(writer);
    json_member_uint(writer, "samples", meter_samples(meter));
    if (meter->weight) {
        page_put_ms(writer, "ewma_ms", meter->ewma_us);
        page_put_ms(writer, "p95_ms", meter_quantile_us(meter, 950));
    }
    json_end_object(writer);
}

static void put_measured(struct json_writer *writer, const struct page_view *view,
                         const struct region *region)
{
    const char *cause = region_cause_text(region->cause);
    uint32_t share_ppm = atomic_load_explicit(&region->shared.share_ppm, memory_order_relaxed);
    bool is_out = region->state == REGION_EJECTED;

    json_member_text(writer, "state", region_state_text(region->state));
    json_member_double(writer, "share", share_ppm / 1e6);
    page_put_time(writer, "ejected_until", is_out ? page_wall_of(view, region->until_us) : 0);
    json_name(writer, "cause");
    if (cause && (is_out || region->state == REGION_RETURNING))
        json_text(writer, cause);
    else
        json_null(writer);
    json_member_uint(writer, "ejections", region->ejected_total);
    json_member_uint(writer, "requests", region->requests);
    json_member_uint(writer, "probe_failures", region->probe_failures);
    put_meter(writer, "traffic", &region->traffic);
    put_meter(writer, "probes", &region->probes);
}

static void put_region(struct json_writer *writer, const struct page_view *view,
                       const struct snapshot_provider *provider, size_t at)
{
    const struct snapshot_site *site = &provider->sites[at];
    struct endpoint_health *health = endpoint_health_of(site->endpoint);
    size_t index = 0;

    conf_region_find(&provider->conf->regions, site->name, &index);
    json_begin_object(writer);
    json_member_string(writer, "provider", provider->conf->name);
    json_member_string(writer, "region", site->name);
    json_member_string(writer, "url", endpoint_url(site->endpoint));
    json_member_uint(writer, "order", at + 1);
    json_member_text(writer, "prior",
                     conf_region_prior(provider->conf, view->snapshot->config->server.zone, index));
    json_member_text(writer, "breaker",
                     breaker_state_text(endpoint_health_state(health, view->now_us)));
    if (provider->regions)
        put_measured(writer, view, provider->regions[at]);
    else
        json_member_text(writer, "state", region_state_text(REGION_SERVING));
    json_end_object(writer);
}

void page_regions(const struct page_view *view, struct page *page)
{
    struct json_writer writer;

    json_writer_init(&writer, &page->body);
    json_begin_object(&writer);
    json_name(&writer, "zone");
    if (view->snapshot->config->server.zone.len)
        json_string(&writer, view->snapshot->config->server.zone);
    else
        json_null(&writer);
    json_name(&writer, "regions");
    json_begin_array(&writer);
    for (size_t i = 0; i < view->snapshot->provider_count; i++) {
        const struct snapshot_provider *provider = &view->snapshot->providers[i];

        for (size_t k = 0; provider->conf->regions.count && k < provider->site_count; k++)
            put_region(&writer, view, provider, k);
    }
    json_end_array(&writer);
    json_end_object(&writer);
    buf_append_byte(&page->body, '\n');
}

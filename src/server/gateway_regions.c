/*
 * Regions are looked at every quarter of a second, on the control thread: what the workers and the
 * probes have counted decides where traffic goes from now on. Operators are told of those that are
 * ejected, and that come back.
 */
#include "base/datetime.h"
#include "regions/regions.h"
#include "server/gateway_inner.h"

static void tell(struct gateway *gateway, const struct snapshot_provider *row,
                 const struct snapshot_site *site, const struct region *region)
{
    bool is_out = region->state == REGION_EJECTED;
    uint64_t now_us = loop_now_us(gateway->loop), wall_us = loop_wall_us(gateway->loop);
    uint64_t until_us = wall_us + (region->until_us - now_us);
    char text[RFC3339_BYTES];
    const struct happening happening = {.kind = EVENT_REGION,
                                        .provider = row->conf->name,
                                        .endpoint = endpoint_url(site->endpoint),
                                        .region = site->name,
                                        .state = is_out ? SPAN("ejected") : SPAN("returning"),
                                        .reason = span_from_text(region_cause_text(region->cause)),
                                        .wall_us = wall_us,
                                        .until_wall_us = is_out ? until_us : 0};

    journal_note(gateway->registry.journal, &happening);
    if (!is_out) {
        log_write(gateway->log, LOG_LEVEL_INFO, "region comes back, by and by",
                  LOG_SPAN("provider", row->conf->name), LOG_SPAN("region", site->name));
        return;
    }
    datetime_write_rfc3339(until_us, text);
    log_write(gateway->log, LOG_LEVEL_WARNING, "region is ejected: others have its traffic",
              LOG_SPAN("provider", row->conf->name), LOG_SPAN("region", site->name),
              LOG_TEXT("cause", region_cause_text(region->cause)),
              LOG_SPAN("until", span_of(text, RFC3339_BYTES)));
}

static void look_at(struct gateway *gateway, const struct snapshot_provider *row)
{
    regions_look(row->regions, row->site_count, row->conf->health.probe_interval_us,
                 loop_now_us(gateway->loop));
    for (size_t i = 0; i < row->site_count; i++) {
        if (!row->regions[i]->is_news)
            continue;
        row->regions[i]->is_news = false;
        tell(gateway, row, &row->sites[i], row->regions[i]);
    }
}

void gateway_look_at_regions(struct loop_timer *timer)
{
    struct gateway *gateway = container_of(timer, struct gateway, regions_timer);
    bool is_any = false;

    for (size_t i = 0; i < gateway->snapshot->provider_count; i++) {
        const struct snapshot_provider *row = &gateway->snapshot->providers[i];

        if (!row->regions)
            continue;
        is_any = true;
        look_at(gateway, row);
    }
    if (is_any)
        /* Reserved: it cannot fail. */
        (void)loop_timer_set(timer, loop_now_us(gateway->loop) + REGIONS_LOOK_EVERY_US);
}

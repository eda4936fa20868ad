#include "exchange/sites.h"

#include "exchange/exchange.h"
#include "regions/regions.h"

static uint64_t bit(uint32_t site)
{
    return UINT64_C(1) << site;
}

static uint64_t failed_sites(const struct exchange *x, uint32_t target)
{
    return x->select.sites_target == target ? x->select.failed_sites : 0;
}

static bool is_open(const struct sites *sites, uint32_t site, uint64_t *ret_free_at_us)
{
    const struct snapshot_provider *row = sites->outlet->row;
    struct breaker_settings settings = breaker_settings_from(&row->conf->breaker);

    return endpoint_health_look(endpoint_health_of(row->sites[site].endpoint), &settings, false,
                                sites->now_us, ret_free_at_us) == ENDPOINT_PASS;
}

/* The best of those not among `without` that let somebody in; true with *ret_site. */
static bool find(struct sites *sites, uint64_t without, uint64_t random, uint32_t *ret_site)
{
    const struct snapshot_provider *row = sites->outlet->row;
    uint64_t free_at_us;
    size_t site;

    while ((site = regions_pick(row->regions, row->site_count, sites->shut | without, random)) <
           row->site_count) {
        if (is_open(sites, (uint32_t)site, &free_at_us)) {
            *ret_site = (uint32_t)site;
            return true;
        }
        sites->shut |= bit((uint32_t)site);
    }
    return false;
}

static uint32_t first_free(const struct sites *sites)
{
    uint64_t best_us = UINT64_MAX;
    uint32_t best = 0;

    for (uint32_t i = 0; i < sites->outlet->row->site_count; i++) {
        uint64_t free_at_us = 0;

        (void)is_open(sites, i, &free_at_us);
        if (free_at_us < best_us) {
            best = i;
            best_us = free_at_us;
        }
    }
    return best;
}

bool sites_next(struct sites *sites, uint64_t random, uint32_t *ret_site)
{
    uint64_t failed = failed_sites(sites->x, sites->target);

    if (find(sites, failed, random, ret_site) || (failed && find(sites, 0, random, ret_site)))
        return true;
    *ret_site = first_free(sites);
    return false;
}

/* What another region may do better: whatever blames the endpoint, and a model that this one has no
 * room for. */
static bool is_of_site(const struct outcome_row *row)
{
    return row->blames_endpoint || row->scope == SCOPE_ENDPOINT || row->scope == SCOPE_MODEL;
}

bool sites_note_failure(struct exchange *x, const struct outcome_row *row)
{
    const struct snapshot_provider *provider = exchange_outlet(x)->row;
    const struct outlet_site *site = exchange_site(x);
    uint64_t all, failed;

    x->relay.begun_us = 0;
    if (!provider->regions || !is_of_site(row))
        return false;
    if (row->blames_endpoint)
        region_note_bad(provider->regions[x->select.site], site->seen);
    all = provider->site_count < REGIONS_MAX ? bit((uint32_t)provider->site_count) - 1 : UINT64_MAX;
    failed = failed_sites(x, x->select.target) | bit(x->select.site);
    x->select.sites_target = x->select.target;
    /* Once all have failed it begins anew, and the keys are tried in their turn. */
    x->select.failed_sites = failed == all ? 0 : failed;
    return failed != all;
}

void sites_note_good(struct exchange *x, uint64_t now_us)
{
    const struct snapshot_provider *provider = exchange_outlet(x)->row;
    uint64_t begun_us = x->relay.begun_us;

    /* A stream's head may be there long before its first event; what is told whole takes as long as
     * it is long. */
    if (!x->body.is_streaming && x->relay.answered_us > begun_us)
        now_us = x->relay.answered_us;
    x->relay.begun_us = 0;
    if (begun_us && provider->regions)
        region_note_good(provider->regions[x->select.site], exchange_site(x)->seen,
                         now_us - begun_us);
}

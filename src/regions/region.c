#include "regions/region.h"

#include <string.h>

#include "base/clock.h"

/* How long what was measured counts. Errors are looked at over a shorter time, so that a region
 * that has mended itself is not blamed for long. */
#define TRAFFIC_TAU_US (180 * US_PER_SEC)
#define ERRORS_TAU_US  (30 * US_PER_SEC)
#define FADE_EVERY_US  (US_PER_SEC / 2)

void region_init(struct region *region)
{
    memset(region, 0, sizeof(*region));
    atomic_init(&region->shared.tallies, NULL);
    atomic_init(&region->shared.failures, 0);
    atomic_init(&region->shared.share_ppm, 0);
    atomic_init(&region->shared.rank, 0);
}

void region_join(struct region *region, struct region_tally *tally)
{
    tally->next = atomic_load(&region->shared.tallies);
    while (!atomic_compare_exchange_weak(&region->shared.tallies, &tally->next, tally))
        continue;
}

/* One writer: a load and a store do. */
static void bump(_Atomic uint32_t *word)
{
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

void region_note_good(struct region *region, struct region_tally *tally, uint64_t latency_us)
{
    atomic_store_explicit(&tally->sum_us,
                          atomic_load_explicit(&tally->sum_us, memory_order_relaxed) + latency_us,
                          memory_order_relaxed);
    bump(&tally->counts[meter_bucket(latency_us)]);
    bump(&tally->good);
    if (atomic_load_explicit(&region->shared.failures, memory_order_relaxed) != 0)
        atomic_store_explicit(&region->shared.failures, 0, memory_order_relaxed);
}

void region_note_bad(struct region *region, struct region_tally *tally)
{
    bump(&tally->bad);
    atomic_fetch_add_explicit(&region->shared.failures, 1, memory_order_relaxed);
}

void region_note_probe(struct region *region, uint64_t latency_us, uint64_t now_us)
{
    region->probed_us = now_us;
    region->answer_us = latency_us;
    if (latency_us == 0) {
        region->probe_failures++;
        return;
    }
    region->probe_failures = 0;
    meter_add(&region->probes, meter_bucket(latency_us), 1);
    meter_follow(&region->probes, latency_us, 1);
}

static void fade_errors(struct region *region, uint64_t now_us)
{
    uint64_t passed_us = now_us - region->faded_us;

    if (region->faded_us == 0 || now_us <= region->faded_us) {
        region->faded_us = now_us;
        return;
    }
    if (passed_us < FADE_EVERY_US)
        return;
    region->faded_us = now_us;
    passed_us = passed_us < ERRORS_TAU_US ? passed_us : ERRORS_TAU_US;
    region->good -= region->good * passed_us / ERRORS_TAU_US;
    region->bad -= region->bad * passed_us / ERRORS_TAU_US;
}

static struct region_seen sum_tallies(struct region *region)
{
    struct region_seen all = {.good = 0};
    struct region_tally *tally =
        atomic_load_explicit(&region->shared.tallies, memory_order_acquire);

    for (; tally; tally = tally->next) {
        for (size_t i = 0; i < METER_BUCKETS; i++)
            all.counts[i] += atomic_load_explicit(&tally->counts[i], memory_order_relaxed);
        all.sum_us += atomic_load_explicit(&tally->sum_us, memory_order_relaxed);
        all.good += atomic_load_explicit(&tally->good, memory_order_relaxed);
        all.bad += atomic_load_explicit(&tally->bad, memory_order_relaxed);
    }
    return all;
}

void region_gather(struct region *region, uint64_t probe_tau_us, uint64_t now_us)
{
    struct region_seen now = sum_tallies(region), *seen = &region->seen;
    uint32_t good = now.good - seen->good, bad = now.bad - seen->bad;

    meter_fade(&region->traffic, now_us, TRAFFIC_TAU_US);
    meter_fade(&region->probes, now_us, probe_tau_us);
    fade_errors(region, now_us);
    for (size_t i = 0; i < METER_BUCKETS; i++) {
        if (now.counts[i] != seen->counts[i])
            meter_add(&region->traffic, i, now.counts[i] - seen->counts[i]);
    }
    if (good)
        meter_follow(&region->traffic, (now.sum_us - seen->sum_us) / good, good);
    region->good += (uint64_t)good * METER_UNIT;
    region->bad += (uint64_t)bad * METER_UNIT;
    region->requests += (uint64_t)good + bad;
    *seen = now;
}

void region_begin_anew(struct region *region)
{
    region->traffic = (struct meter){.weight = 0};
    region->good = region->bad = 0;
    region->better_us = region->slow_us = 0;
    atomic_store_explicit(&region->shared.failures, 0, memory_order_relaxed);
}

const char *region_state_text(enum region_state state)
{
    switch (state) {
    case REGION_STANDBY:
        return "standby";
    case REGION_SERVING:
        return "serving";
    case REGION_RETURNING:
        return "returning";
    case REGION_EJECTED:
        break;
    }
    return "ejected";
}

const char *region_cause_text(enum region_cause cause)
{
    switch (cause) {
    case REGION_FAILURES:
        return "failures";
    case REGION_PROBES:
        return "probes";
    case REGION_ERRORS:
        return "errors";
    case REGION_SLOW:
        return "slow";
    case REGION_NO_CAUSE:
        break;
    }
    return NULL;
}

#include "regions/regions.h"

/* The regions of one provider while they are looked at. */
struct look {
    struct region *const *at;
    size_t count;
    uint64_t now_us;
};

static bool is_ejected(const struct region *region)
{
    return region->state == REGION_EJECTED;
}

/* --- comparing --- */

static bool has_traffic(const struct region *region)
{
    return meter_samples(&region->traffic) >= REGIONS_ENOUGH_TRAFFIC;
}

static bool has_probes(const struct region *region)
{
    return meter_samples(&region->probes) >= REGIONS_ENOUGH_PROBES;
}

/* Two regions by what is known of both. */
struct comparison {
    uint64_t a_us, b_us;
    uint64_t samples; /* of the one of which less is known */
};

/* False where nothing is known of both that could be compared. */
static bool compare(const struct region *a, const struct region *b, struct comparison *ret)
{
    bool is_traffic = has_traffic(a) && has_traffic(b);
    const struct meter *of_a = is_traffic ? &a->traffic : &a->probes,
                       *of_b = is_traffic ? &b->traffic : &b->probes;

    if (!is_traffic && (!has_probes(a) || !has_probes(b)))
        return false;
    *ret = (struct comparison){meter_score_us(of_a), meter_score_us(of_b), meter_samples(of_a)};
    if (meter_samples(of_b) < ret->samples)
        ret->samples = meter_samples(of_b);
    return true;
}

/* Of few samples chance says more than of many: the error of a mean shrinks with their root. */
static uint64_t margin_percent(uint64_t samples)
{
    uint64_t root = 1;

    while (root < 100 && (root + 1) * (root + 1) <= samples)
        root++;
    return REGIONS_MARGIN_PERCENT + REGIONS_DOUBT_PERCENT / root;
}

/* By more than chance, and by so much that somebody notices. */
static bool is_clearly_better(const struct region *a, const struct region *b)
{
    struct comparison both;

    return compare(a, b, &both) && both.a_us + REGIONS_MARGIN_US <= both.b_us &&
           both.a_us * 100 <= both.b_us * (100 - margin_percent(both.samples));
}

/* The nearer one, once it is as good as the farther, or where nothing is known of it. */
static bool is_good_enough(const struct region *nearer, const struct region *farther)
{
    struct comparison both;

    return !compare(nearer, farther, &both) ||
           both.a_us * 100 <= both.b_us * (100 + REGIONS_BACK_PERCENT) ||
           both.a_us <= both.b_us + REGIONS_MARGIN_US / 2;
}

/* The best of those that are in use and not in `without`, by the prior but for what is clearly
 * better; count: none. */
static size_t best_of(const struct look *look, uint64_t without)
{
    size_t best = look->count;

    for (size_t i = 0; i < look->count; i++) {
        if (is_ejected(look->at[i]) || ((without >> i) & 1))
            continue;
        if (best == look->count || is_clearly_better(look->at[i], look->at[best]))
            best = i;
    }
    return best;
}

/* --- ejecting --- */

static size_t count_ejected(const struct look *look)
{
    size_t count = 0;

    for (size_t i = 0; i < look->count; i++)
        count += is_ejected(look->at[i]);
    return count;
}

/* Never more than half of them, and never the only one. */
static bool can_eject(const struct look *look)
{
    size_t most = look->count / 2;

    return count_ejected(look) < most;
}

/* The middle one of at most REGIONS_MAX numbers, the lower of two. */
static uint64_t median(uint64_t *numbers, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        for (size_t k = i; k > 0 && numbers[k - 1] > numbers[k]; k--) {
            uint64_t other = numbers[k];

            numbers[k] = numbers[k - 1];
            numbers[k - 1] = other;
        }
    }
    return numbers[(count - 1) / 2];
}

static bool errors_of(const struct region *region, uint64_t *ret_percent)
{
    uint64_t all = region->good + region->bad;

    if (all < (uint64_t)REGIONS_ENOUGH_ERRORS * METER_UNIT)
        return false;
    *ret_percent = region->bad * 100 / all;
    return true;
}

/* Where the others fail as often, it is none of its own. Of others that are hardly asked nothing is
 * known against them. */
static bool fails_more(const struct look *look, size_t at)
{
    uint64_t own, others[REGIONS_MAX];
    size_t count = 0;

    if (!errors_of(look->at[at], &own) || own < REGIONS_ERRORS_PERCENT)
        return false;
    for (size_t i = 0; i < look->count; i++) {
        if (i == at || is_ejected(look->at[i]))
            continue;
        if (!errors_of(look->at[i], &others[count]))
            others[count] = 0;
        count++;
    }
    return count && own >= median(others, count) + REGIONS_ERRORS_PERCENT;
}

static bool is_far_slower(const struct look *look, size_t at)
{
    uint64_t own_us, others[REGIONS_MAX];
    size_t count = 0;

    if (!has_traffic(look->at[at]))
        return false;
    own_us = meter_score_us(&look->at[at]->traffic);
    for (size_t i = 0; i < look->count; i++) {
        if (i != at && !is_ejected(look->at[i]) && has_traffic(look->at[i]))
            others[count++] = meter_score_us(&look->at[i]->traffic);
    }
    if (!count)
        return false;
    others[0] = median(others, count);
    return own_us > others[0] * REGIONS_SLOW_TIMES && own_us > others[0] + REGIONS_SLOW_US;
}

static bool is_held(uint64_t *since_us, bool is_so, uint64_t now_us)
{
    if (!is_so)
        *since_us = 0;
    else if (*since_us == 0)
        *since_us = now_us;
    return is_so && now_us - *since_us >= REGIONS_HOLD_US;
}

static enum region_cause find_cause(const struct look *look, size_t at)
{
    struct region *region = look->at[at];

    if (atomic_load_explicit(&region->shared.failures, memory_order_relaxed) >= REGIONS_FAILURES)
        return REGION_FAILURES;
    if (region->probe_failures >= REGIONS_PROBE_FAILURES)
        return REGION_PROBES;
    if (fails_more(look, at))
        return REGION_ERRORS;
    return is_held(&region->slow_us, is_far_slower(look, at), look->now_us) ? REGION_SLOW
                                                                            : REGION_NO_CAUSE;
}

static void eject(struct region *region, enum region_cause cause, uint64_t now_us)
{
    region->ejections += region->ejections < REGIONS_EJECTIONS_MAX;
    region->ejected_total++;
    region->state = REGION_EJECTED;
    region->cause = cause;
    region->until_us = now_us + region->ejections * REGIONS_EJECTION_US;
    region->is_home = false;
    region->is_news = true;
}

/* Ejected ones whose probes fail stay out: who would come back would be sent away again. */
static void let_back(struct region *region, uint64_t now_us)
{
    if (now_us < region->until_us || region->probe_failures > 0)
        return;
    region_begin_anew(region);
    region->state = REGION_RETURNING;
    region->since_us = region->calm_us = now_us;
    region->is_news = true;
}

static void forgive(struct region *region, uint64_t now_us)
{
    if (region->calm_us == 0 || region->ejections == 0)
        region->calm_us = now_us;
    if (region->ejections == 0 ||
        now_us - region->calm_us < REGIONS_FORGIVE_EJECTIONS * REGIONS_EJECTION_US)
        return;
    region->ejections--;
    region->calm_us = now_us;
}

static void move_states(const struct look *look)
{
    for (size_t i = 0; i < look->count; i++) {
        struct region *region = look->at[i];
        enum region_cause cause;

        if (is_ejected(region)) {
            let_back(region, look->now_us);
            continue;
        }
        cause = find_cause(look, i);
        if (cause && can_eject(look))
            eject(region, cause, look->now_us);
        else
            forgive(region, look->now_us);
        if (region->state == REGION_RETURNING && look->now_us - region->since_us >= REGIONS_RAMP_US)
            region->state = REGION_STANDBY;
    }
}

/* --- who is home --- */

static size_t find_home(const struct look *look)
{
    size_t home = look->count;

    for (size_t i = 0; i < look->count; i++) {
        if (look->at[i]->is_home && home == look->count)
            home = i;
        else
            look->at[i]->is_home = false;
    }
    return home;
}

/* Whether `other` is to have the traffic that `home` has. */
static bool takes_over(const struct look *look, size_t other, size_t home)
{
    struct region *region = look->at[other];
    bool is_better = other < home ? is_good_enough(region, look->at[home])
                                  : is_clearly_better(region, look->at[home]);

    /* For one that comes back the ramp is as good as waiting. */
    if (region->state == REGION_RETURNING)
        return is_better;
    return is_held(&region->better_us, is_better, look->now_us);
}

static size_t settle_home(const struct look *look)
{
    size_t home = find_home(look), best = best_of(look, 0);

    for (size_t i = 0; home < look->count && i < look->count; i++) {
        if (i == home || is_ejected(look->at[i]))
            continue;
        if (takes_over(look, i, home) && (i == best || i < home)) {
            home = i;
            break;
        }
    }
    if (home == look->count)
        home = best;
    for (size_t i = 0; i < look->count; i++)
        look->at[i]->is_home = i == home;
    return home;
}

/* --- the shares --- */

static uint64_t ramp_ppm(const struct region *region, uint64_t now_us)
{
    if (region->state != REGION_RETURNING)
        return REGIONS_PPM;
    return REGIONS_PPM / 10 * (1 + (now_us - region->since_us) * 9 / REGIONS_RAMP_US);
}

static void set_share(struct region *region, uint64_t share_ppm)
{
    atomic_store_explicit(&region->shared.share_ppm, (uint32_t)share_ppm, memory_order_relaxed);
}

/* The others' small shares; what is left. */
static uint64_t set_small_shares(const struct look *look, size_t home)
{
    size_t others = look->count - count_ejected(look) - 1;
    uint64_t each = REGIONS_EXPLORE_PPM, left = REGIONS_PPM;

    if (others * each > REGIONS_EXPLORE_MAX_PPM)
        each = REGIONS_EXPLORE_MAX_PPM / others;
    for (size_t i = 0; i < look->count; i++) {
        uint64_t share_ppm = 0;

        if (i != home && !is_ejected(look->at[i]))
            share_ppm = each * ramp_ppm(look->at[i], look->now_us) / REGIONS_PPM;
        left -= share_ppm;
        set_share(look->at[i], share_ppm);
    }
    return left;
}

/* While home comes back, another one has what it cannot have yet. */
static void set_shares(const struct look *look, size_t home)
{
    uint64_t left = set_small_shares(look, home), own;
    size_t second = best_of(look, UINT64_C(1) << home);
    uint64_t returning = 0;

    for (size_t i = 0; i < look->count; i++)
        returning |= (uint64_t)(look->at[i]->state == REGION_RETURNING) << i;
    if (best_of(look, returning | (UINT64_C(1) << home)) < look->count)
        second = best_of(look, returning | (UINT64_C(1) << home));
    own = second < look->count ? left * ramp_ppm(look->at[home], look->now_us) / REGIONS_PPM : left;
    set_share(look->at[home], own);
    if (second < look->count) {
        struct region *region = look->at[second];

        set_share(region, atomic_load_explicit(&region->shared.share_ppm, memory_order_relaxed) +
                              left - own);
    }
}

/* Home, then the others as they would follow it, the ejected ones last. */
static void set_ranks(const struct look *look, size_t home)
{
    uint64_t done = UINT64_C(1) << home;
    uint32_t rank = 0;
    size_t next;

    atomic_store_explicit(&look->at[home]->shared.rank, rank++, memory_order_relaxed);
    while ((next = best_of(look, done)) < look->count) {
        atomic_store_explicit(&look->at[next]->shared.rank, rank++, memory_order_relaxed);
        done |= UINT64_C(1) << next;
    }
    for (size_t i = 0; i < look->count; i++) {
        if (is_ejected(look->at[i]))
            atomic_store_explicit(&look->at[i]->shared.rank, rank++, memory_order_relaxed);
    }
}

void regions_look(struct region *const *regions, size_t count, uint64_t probe_interval_us,
                  uint64_t now_us)
{
    const struct look look = {regions, count < REGIONS_MAX ? count : REGIONS_MAX, now_us};
    size_t home;

    if (count == 0)
        return;
    for (size_t i = 0; i < look.count; i++)
        region_gather(regions[i], REGIONS_PROBES_REACH * probe_interval_us, now_us);
    move_states(&look);
    home = settle_home(&look);
    set_shares(&look, home);
    set_ranks(&look, home);
    for (size_t i = 0; i < look.count; i++) {
        if (regions[i]->state == REGION_STANDBY || regions[i]->state == REGION_SERVING)
            regions[i]->state = i == home ? REGION_SERVING : REGION_STANDBY;
    }
}

#include "server/alert_rules.h"

#include <stdio.h>

#include "alerts/rules.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "obs/stats.h"

/* Less often, the end of `for` would be found late; more often, nobody would notice. */
#define LOOK_MAX_US (10 * US_PER_SEC)
#define LOOK_MIN_US (50 * US_PER_MS)

/* Readings of the overhead's histogram, so many over `for`. */
enum { READINGS = 20, OVERHEAD_REQUESTS_MIN = 20, CANARY_REQUESTS_MIN = 10 };

/* What is watched of a provider. */
struct watched {
    struct list link;
    char name[ALERT_NAME_BYTES];
    bool is_wanted; /* of the snapshot in force */
    struct rule_count failures;
    struct rule_hold keys, canary, rotations;
};

struct alert_rules {
    struct alert_rules_options options;
    const struct snapshot *snapshot; /* NULL: none */
    struct conf_alert_rules conf;    /* all 0: there is no rule */
    struct list providers;
    struct loop_timer timer;

    /* The overhead: a ring of readings, the newest at `newest`. */
    struct rule_hold overhead;
    struct stats_histogram readings[READINGS + 1];
    size_t newest, count;
};

/* ---- telling ---- */

static void tell(struct alert_rules *rules, enum alert_kind kind, struct span provider,
                 enum rule_turn turn, const char *reason)
{
    const struct alert alert = {.kind = kind,
                                .is_over = turn == RULE_ENDS,
                                .provider = provider,
                                .reason = span_from_text(reason),
                                .wall_us = loop_wall_us(rules->options.loop)};

    if (turn != RULE_STAYS)
        rules->options.on_alert(rules->options.owner, &alert);
}

/* ---- providers ---- */

static struct watched *find(struct alert_rules *rules, struct span name)
{
    for (struct list *at = rules->providers.next; at != &rules->providers; at = at->next) {
        struct watched *watched = container_of(at, struct watched, link);

        if (span_is_equal(span_from_text(watched->name), name))
            return watched;
    }
    return NULL;
}

static struct watched *find_or_add(struct alert_rules *rules, struct span name)
{
    struct watched *watched = find(rules, name);

    if (watched)
        return watched;
    watched = mem_zalloc(1, sizeof(*watched));
    if (!watched)
        return NULL;
    alert_copy(watched->name, sizeof(watched->name), name);
    list_push_back(&rules->providers, &watched->link);
    return watched;
}

static void drop(struct watched *watched)
{
    list_remove(&watched->link);
    mem_free(watched);
}

/* ---- the rules ---- */

static void look_at_keys(struct alert_rules *rules, struct watched *watched,
                         struct provider *provider, uint64_t now_us)
{
    size_t active = keypool_totals(provider_keys(provider), now_us).healthy;
    bool is_broken = active < rules->conf.active_keys;
    char reason[ALERT_REASON_BYTES];

    snprintf(reason, sizeof(reason), "%zu, where %u should be", active,
             (unsigned)rules->conf.active_keys);
    tell(rules, ALERT_ACTIVE_KEYS_LOW, provider_name(provider),
         rule_look(&watched->keys, is_broken, rules->conf.for_us, now_us), reason);
}

static void look_at_canary(struct alert_rules *rules, struct watched *watched, struct span name,
                           uint64_t now_us)
{
    const struct rotation *rotation = rules->options.rotation(rules->options.owner, name);
    const struct canary *canary = rotation ? rotation_canary(rotation) : NULL;
    uint64_t requests = canary ? canary->evidence.canary.requests : 0;
    uint64_t failures = canary ? canary->evidence.canary.failures : 0;
    bool is_broken =
        rules->conf.canary_error_ppm && requests >= CANARY_REQUESTS_MIN &&
        (double)failures * 1e6 > (double)requests * (double)rules->conf.canary_error_ppm;
    char reason[ALERT_REASON_BYTES];

    snprintf(reason, sizeof(reason), "%llu of %llu requests failed", (unsigned long long)failures,
             (unsigned long long)requests);
    tell(rules, ALERT_CANARY_ERRORS, name,
         rule_look(&watched->canary, is_broken, rules->conf.for_us, now_us), reason);
}

/* The time is within the count. */
static void look_at_failures(struct alert_rules *rules, struct watched *watched, struct span name,
                             uint64_t now_us)
{
    uint32_t failures = rule_count_sum(&watched->failures, rules->conf.for_us, now_us);
    bool is_broken =
        rules->conf.rotation_errors_from && failures >= rules->conf.rotation_errors_from;
    char reason[ALERT_REASON_BYTES];

    snprintf(reason, sizeof(reason), "%u failed within %llu s", (unsigned)failures,
             (unsigned long long)(rules->conf.for_us / US_PER_SEC));
    tell(rules, ALERT_ROTATION_ERRORS, name, rule_look(&watched->rotations, is_broken, 0, now_us),
         reason);
}

/* What the requests of the last `for` were added, as far as it was read by then. */
static void look_at_overhead(struct alert_rules *rules, uint64_t now_us)
{
    struct stats_histogram added;
    struct stats stats;
    uint64_t p95_us;
    bool is_broken;
    char reason[ALERT_REASON_BYTES];

    if (!rules->conf.overhead_p95_us)
        return;
    stats_read(rules->options.registry->metrics, &stats);
    rules->newest = (rules->newest + 1) % (READINGS + 1);
    rules->readings[rules->newest] = stats.overhead;
    if (rules->count <= READINGS)
        rules->count++;
    /* Whole only then. */
    if (rules->count <= READINGS)
        return;
    stats_since(&stats.overhead, &rules->readings[(rules->newest + 1) % (READINGS + 1)], &added);
    p95_us = stats_quantile_us(&added, 0.95);
    is_broken = added.count >= OVERHEAD_REQUESTS_MIN && p95_us > rules->conf.overhead_p95_us;
    snprintf(reason, sizeof(reason), "95%% of %llu requests within %.1f ms",
             (unsigned long long)added.count, (double)p95_us / US_PER_MS);
    tell(rules, ALERT_OVERHEAD_HIGH, span_of(NULL, 0),
         rule_look(&rules->overhead, is_broken, 0, now_us), reason);
}

static void look_at_provider(struct alert_rules *rules, struct provider *provider, uint64_t now_us)
{
    struct watched *watched = find_or_add(rules, provider_name(provider));

    if (!watched)
        return;
    look_at_keys(rules, watched, provider, now_us);
    look_at_canary(rules, watched, provider_name(provider), now_us);
    look_at_failures(rules, watched, provider_name(provider), now_us);
}

static bool is_any(const struct conf_alert_rules *conf)
{
    return conf->active_keys || conf->overhead_p95_us || conf->canary_error_ppm ||
           conf->rotation_errors_from;
}

static uint64_t pause_us(const struct conf_alert_rules *conf)
{
    uint64_t pause_us = conf->for_us / READINGS;

    if (pause_us < LOOK_MIN_US)
        return LOOK_MIN_US;
    /* The overhead's readings are so many over `for`, however long that is. */
    return pause_us > LOOK_MAX_US && !conf->overhead_p95_us ? LOOK_MAX_US : pause_us;
}

static void look(struct alert_rules *rules)
{
    uint64_t now_us = loop_now_us(rules->options.loop);

    for (size_t i = 0; i < rules->snapshot->provider_count; i++)
        look_at_provider(rules, rules->snapshot->providers[i].provider, now_us);
    look_at_overhead(rules, now_us);
}

static void on_timer(struct loop_timer *timer)
{
    struct alert_rules *rules = container_of(timer, struct alert_rules, timer);

    look(rules);
    /* Reserved: it cannot fail. */
    (void)loop_timer_set(timer, loop_now_us(rules->options.loop) + pause_us(&rules->conf));
}

/* ---- following the file ---- */

static void end_all(struct alert_rules *rules, struct watched *watched)
{
    static const char gone[] = "it is not watched any more";
    struct span name = span_from_text(watched->name);

    tell(rules, ALERT_ACTIVE_KEYS_LOW, name, rule_look(&watched->keys, false, 0, 0), gone);
    tell(rules, ALERT_CANARY_ERRORS, name, rule_look(&watched->canary, false, 0, 0), gone);
    tell(rules, ALERT_ROTATION_ERRORS, name, rule_look(&watched->rotations, false, 0, 0), gone);
}

/* A provider that has gone, or all of them where there is no rule. */
static void drop_unwatched(struct alert_rules *rules)
{
    struct list *at = rules->providers.next;

    for (size_t i = 0; is_any(&rules->conf) && i < rules->snapshot->provider_count; i++) {
        struct watched *watched =
            find(rules, provider_name(rules->snapshot->providers[i].provider));

        if (watched)
            watched->is_wanted = true;
    }
    while (at != &rules->providers) {
        struct watched *watched = container_of(at, struct watched, link);

        at = at->next;
        if (!watched->is_wanted) {
            end_all(rules, watched);
            drop(watched);
        } else {
            watched->is_wanted = false;
        }
    }
}

static void forget_overhead(struct alert_rules *rules)
{
    rules->count = 0;
    tell(rules, ALERT_OVERHEAD_HIGH, span_of(NULL, 0), rule_look(&rules->overhead, false, 0, 0),
         "it is not watched any more");
}

void alert_rules_set(struct alert_rules *rules, const struct snapshot *snapshot)
{
    const struct conf_alert_rules *conf = snapshot->config->alerts.rules;
    const struct conf_alert_rules none = {.for_us = rules->conf.for_us}, before = rules->conf;

    rules->snapshot = snapshot;
    rules->conf = conf ? *conf : none;
    drop_unwatched(rules);
    if (!rules->conf.overhead_p95_us || pause_us(&before) != pause_us(&rules->conf))
        forget_overhead(rules);
    if (!is_any(&rules->conf))
        loop_timer_clear(&rules->timer);
    else if (!is_any(&before) || before.for_us != rules->conf.for_us)
        on_timer(&rules->timer);
}

void alert_rules_note_failure(struct alert_rules *rules, struct span provider)
{
    struct watched *watched;
    uint64_t now_us = loop_now_us(rules->options.loop);

    if (!rules->conf.rotation_errors_from)
        return;
    watched = find_or_add(rules, provider);
    if (!watched)
        return;
    rule_count_add(&watched->failures, rules->conf.for_us, now_us);
    look_at_failures(rules, watched, provider, now_us);
}

/* ---- life ---- */

struct alert_rules *alert_rules_new(const struct alert_rules_options *options)
{
    struct alert_rules *rules = mem_zalloc(1, sizeof(*rules));

    if (!rules)
        return NULL;
    rules->options = *options;
    list_init(&rules->providers);
    loop_timer_init(&rules->timer, options->loop, on_timer);
    if (loop_timer_reserve(&rules->timer))
        alert_rules_free(&rules);
    return rules;
}

void alert_rules_free(struct alert_rules **place)
{
    struct alert_rules *rules = *place;

    *place = NULL;
    if (!rules)
        return;
    while (!list_is_empty(&rules->providers))
        drop(container_of(rules->providers.next, struct watched, link));
    loop_timer_fini(&rules->timer);
    mem_free(rules);
}

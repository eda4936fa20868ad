#include "keypool/roster.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/map.h"
#include "keypool/endpoint_health.h"
#include "keypool/key_body.h"

struct roster *roster_new(const struct conf_provider *provider, uint32_t room)
{
    struct roster *roster = mem_zalloc(1, sizeof(*roster));

    if (!roster)
        return NULL;
    atomic_init(&roster->refs, 1);
    roster->selection = provider->selection;
    roster->health = provider->health;
    roster->rules = (struct health_rules){
        .max_failures = provider->health.max_failures ? provider->health.max_failures : 1,
        .cooldown_us = provider->health.cooldown_us,
        .ttl_us = provider->health.ttl_us,
    };
    roster->breaker = breaker_settings_from(&provider->breaker);
    roster->margin_ppm = provider->limits.margin_ppm;
    roster->entries = mem_zalloc(room, sizeof(*roster->entries));
    roster->groups = mem_zalloc(room, sizeof(*roster->groups));
    if (!roster->entries || !roster->groups)
        roster_unref(&roster);
    return roster;
}

static int compare_priorities(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return x < y ? -1 : x > y;
}

/* Tiers are the ranks of the priorities, so that they are small whatever the file says. */
static int arrange_tiers(struct roster *roster, const struct roster_input *inputs)
{
    int32_t *sorted = mem_zalloc(roster->count + 1, sizeof(*sorted));
    uint32_t tiers = 0;

    if (!sorted)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < roster->count; i++)
        sorted[i] = inputs[i].conf->priority;
    qsort(sorted, roster->count, sizeof(*sorted), compare_priorities);
    for (uint32_t i = 0; i < roster->count; i++) {
        if (i == 0 || sorted[i] != sorted[tiers - 1])
            sorted[tiers++] = sorted[i];
    }
    for (uint32_t i = 0; i < roster->count; i++) {
        const int32_t *found =
            bsearch(&inputs[i].conf->priority, sorted, tiers, sizeof(*sorted), compare_priorities);

        roster->entries[i].tier = (uint32_t)(found - sorted);
    }
    mem_free(sorted);
    return 0;
}

static uint64_t mix(uint64_t hash, struct span text)
{
    return (hash ^ map_hash(text)) * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

static struct roster_group group_of(const struct roster_input *input)
{
    struct span pool = input->conf->pool;
    struct roster_group group = {.models = input->label->models,
                                 .pool = pool.len ? map_hash(pool) : 0};

    group.signature = mix(0, pool);
    for (size_t i = 0; i < group.models.count; i++)
        group.signature = mix(group.signature, group.models.items[i]);
    return group;
}

static int arrange_groups(struct roster *roster, const struct roster_input *inputs)
{
    struct map known;
    int err = 0;

    map_init(&known, roster->count + 1);
    for (uint32_t i = 0; i < roster->count && !err; i++) {
        struct roster_group *next = &roster->groups[roster->group_count], *found;
        struct span name;

        *next = group_of(&inputs[i]);
        name = span_of((const char *)&next->signature, sizeof(next->signature));
        found = map_find(&known, name);
        if (!found) {
            found = next;
            roster->group_count++;
            err = map_add(&known, name, next);
        }
        roster->entries[i].group = (uint32_t)(found - roster->groups);
    }
    map_fini(&known);
    return err;
}

int roster_arrange(struct roster *roster, const struct roster_input *inputs)
{
    int err = arrange_tiers(roster, inputs);

    if (!err)
        err = arrange_groups(roster, inputs);
    roster->is_uniform = roster->group_count == 1 && roster->groups[0].models.count == 0 &&
                         roster->groups[0].pool == 0;
    return err;
}

struct roster *roster_ref(struct roster *roster)
{
    atomic_fetch_add_explicit(&roster->refs, 1, memory_order_relaxed);
    return roster;
}

void roster_unref(struct roster **place)
{
    struct roster *roster = *place;

    *place = NULL;
    if (!roster || atomic_fetch_sub_explicit(&roster->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; roster->entries && i < roster->count; i++)
        key_unref(&roster->entries[i].key);
    mem_free(roster->entries);
    mem_free(roster->groups);
    mem_free(roster);
}

bool roster_group_serves(const struct roster_group *group, struct span model, uint64_t pool)
{
    if (group->pool != 0 && group->pool != pool)
        return false;
    return conf_strings_match(&group->models, model);
}

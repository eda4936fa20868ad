#include "sim/behaviour.h"

#include "base/alloc.h"
#include "base/clock.h"

struct sim_behaviour *sim_behaviour_new(void)
{
    struct sim_behaviour *behaviour = mem_zalloc(1, sizeof(*behaviour));

    if (!behaviour)
        return NULL;
    behaviour->refs = 1;
    behaviour->limits.period_us = 60 * US_PER_SEC;
    behaviour->tool_calls = 1;
    behaviour->refused_status = 400;
    sim_latency_constant(&behaviour->latency, 0);
    return behaviour;
}

struct sim_behaviour *sim_behaviour_copy(const struct sim_behaviour *behaviour)
{
    struct sim_behaviour *copy = mem_alloc(sizeof(*copy));

    if (!copy)
        return NULL;
    *copy = *behaviour;
    copy->refs = 1;
    return copy;
}

struct sim_behaviour *sim_behaviour_ref(struct sim_behaviour *behaviour)
{
    behaviour->refs++;
    return behaviour;
}

void sim_behaviour_unref(struct sim_behaviour **behaviour)
{
    if (*behaviour && --(*behaviour)->refs == 0)
        mem_free(*behaviour);
    *behaviour = NULL;
}

struct fault_row {
    const char *name;
    bool is_failure;
};

static const struct fault_row fault_rows[] = {
#define X(NAME, text, is_failure) [SIM_FAULT_##NAME] = {text, is_failure},
#include "sim/faults.def"
#undef X
};

bool sim_fault_is_failure(enum sim_fault_kind kind)
{
    return fault_rows[kind].is_failure;
}

const char *sim_fault_name(enum sim_fault_kind kind)
{
    return fault_rows[kind].name;
}

bool sim_behaviour_allows(const struct sim_behaviour *behaviour, struct span model)
{
    for (unsigned i = 0; i < behaviour->models.count; i++)
        if (span_matches(model, sim_name_span(&behaviour->models.names[i])))
            return true;
    return behaviour->models.count == 0;
}

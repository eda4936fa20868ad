#include "sim/fate.h"

/* What is known of a request when a fault is thought of. */
struct circumstances {
    enum sim_op op;
    enum sim_when when; /* ANY: not known yet */
    struct span model;
    uint64_t now_us;
};

void sim_fate_seed(struct rand *rand, uint64_t seed, uint64_t key_hash, uint64_t n)
{
    rand_init(rand, seed ^ (key_hash + n * 0x9e3779b97f4a7c15ull));
}

static bool is_met(const struct sim_fault *fault, const struct circumstances *now)
{
    struct span model = sim_name_span(&fault->model);

    if (!(fault->ops & (1u << now->op)))
        return false;
    if (fault->when != SIM_WHEN_ANY && fault->when != now->when)
        return false;
    return model.len == 0 || span_matches(now->model, model);
}

/* True where the fault's turn has come: its count and its period allow it. Its share is the
 * caller's matter. */
static bool is_due(const struct sim_behaviour *behaviour, struct sim_fate_memory *memory,
                   unsigned i, const struct circumstances *now)
{
    const struct sim_fault *fault = &behaviour->faults[i];
    uint64_t nth;

    if (!is_met(fault, now))
        return false;
    nth = memory->met[i]++;
    if (nth < fault->skip || (fault->first && nth - fault->skip >= fault->first))
        return false;
    return !fault->every_us || now->now_us >= memory->due_us[i];
}

static void note_befallen(const struct sim_behaviour *behaviour, struct sim_fate_memory *memory,
                          unsigned i, uint64_t now_us)
{
    memory->due_us[i] = now_us + behaviour->faults[i].every_us;
}

/* The first fault of that kind that is due and whose own draw hits. */
static const struct sim_fault *draw_alone(const struct sim_behaviour *behaviour,
                                          struct sim_fate_memory *memory, struct rand *rand,
                                          enum sim_fault_kind kind, const struct circumstances *now)
{
    for (unsigned i = 0; i < behaviour->fault_count; i++) {
        if (behaviour->faults[i].kind == kind && is_due(behaviour, memory, i, now) &&
            rand_unit(rand) < behaviour->faults[i].share) {
            note_befallen(behaviour, memory, i, now->now_us);
            return &behaviour->faults[i];
        }
    }
    return NULL;
}

const struct sim_fault *sim_fate_early(const struct sim_behaviour *behaviour,
                                       struct sim_fate_memory *memory, struct rand *rand,
                                       enum sim_op op, uint64_t now_us)
{
    struct circumstances now = {.op = op, .now_us = now_us};

    return draw_alone(behaviour, memory, rand, SIM_FAULT_EARLY, &now);
}

bool sim_fate_ignores_expect(const struct sim_behaviour *behaviour, struct sim_fate_memory *memory,
                             struct rand *rand, enum sim_op op, uint64_t now_us)
{
    struct circumstances now = {.op = op, .now_us = now_us};

    return draw_alone(behaviour, memory, rand, SIM_FAULT_IGNORE_EXPECT, &now) != NULL;
}

/* One number decides among all failures, so that their shares add up. All that are due are counted,
 * also behind the one that befalls. */
static const struct sim_fault *draw_failure(const struct sim_behaviour *behaviour,
                                            struct sim_fate_memory *memory, struct rand *rand,
                                            const struct circumstances *now)
{
    const struct sim_fault *chosen = NULL;
    double left = rand_unit(rand);

    for (unsigned i = 0; i < behaviour->fault_count; i++) {
        const struct sim_fault *fault = &behaviour->faults[i];

        if (!sim_fault_is_failure(fault->kind) || fault->kind == SIM_FAULT_EARLY ||
            !is_due(behaviour, memory, i, now) || chosen)
            continue;
        if (left < fault->share) {
            chosen = fault;
            note_befallen(behaviour, memory, i, now->now_us);
        }
        left -= fault->share;
    }
    return chosen;
}

static void apply(const struct sim_fault *fault, struct sim_fate *fate)
{
    switch (fault->kind) {
    case SIM_FAULT_STALL:
        fate->wait_us += fault->for_us;
        break;
    case SIM_FAULT_HEAD_STALL:
        fate->head_stall_us = fault->for_us;
        break;
    case SIM_FAULT_DRIP:
        fate->drip_bytes = fault->bytes;
        fate->drip_gap_us = fault->gap_us;
        break;
    case SIM_FAULT_QUEUE:
        fate->queue_us = fault->for_us;
        fate->queue_gap_us = fault->gap_us;
        break;
    case SIM_FAULT_NO_DONE:
        fate->has_no_done = true;
        break;
    case SIM_FAULT_NO_USAGE:
        fate->has_no_usage = true;
        break;
    case SIM_FAULT_CHUNKED:
        fate->is_chunked = true;
        break;
    case SIM_FAULT_PADDING:
        fate->is_padded = true;
        break;
    case SIM_FAULT_CRLF:
        fate->is_crlf = true;
        break;
    case SIM_FAULT_BLOCKED:
        fate->is_blocked = true;
        break;
    case SIM_FAULT_FINISH:
        fate->finish = sim_name_span(&fault->reason);
        break;
    case SIM_FAULT_IGNORE_EXPECT:
    case SIM_FAULT_STATUS:
    case SIM_FAULT_TIMEOUT:
    case SIM_FAULT_RESET:
    case SIM_FAULT_CLOSE:
    case SIM_FAULT_GARBAGE:
    case SIM_FAULT_CUT:
    case SIM_FAULT_ERROR_BODY:
    case SIM_FAULT_ERROR_EVENT:
    case SIM_FAULT_EARLY:
    case SIM_FAULT_COUNT:
        break;
    }
}

static void draw_oddities(const struct sim_behaviour *behaviour, struct sim_fate_memory *memory,
                          struct rand *rand, const struct circumstances *now, struct sim_fate *fate)
{
    for (unsigned i = 0; i < behaviour->fault_count; i++) {
        const struct sim_fault *fault = &behaviour->faults[i];

        if (sim_fault_is_failure(fault->kind) || fault->kind == SIM_FAULT_IGNORE_EXPECT ||
            !is_due(behaviour, memory, i, now) || rand_unit(rand) >= fault->share)
            continue;
        note_befallen(behaviour, memory, i, now->now_us);
        apply(fault, fate);
    }
}

void sim_fate_draw(const struct sim_behaviour *behaviour, struct sim_fate_memory *memory,
                   struct rand *rand, const struct sim_ask *ask, uint64_t now_us,
                   struct sim_fate *ret_fate)
{
    struct circumstances now = {
        .op = ask->op,
        .when = ask->is_streaming ? SIM_WHEN_STREAM : SIM_WHEN_PLAIN,
        .model = ask->model,
        .now_us = now_us,
    };

    *ret_fate = (struct sim_fate){0};
    if (sim_op_is_generation(ask->op))
        ret_fate->wait_us = sim_latency_draw(&behaviour->latency, rand);
    ret_fate->failure = draw_failure(behaviour, memory, rand, &now);
    draw_oddities(behaviour, memory, rand, &now, ret_fate);
}

#include "canary/canary.h"

#include "base/bug.h"
#include "base/sm.h"

static const struct sm_state rows[CANARY_STATES] = {
    [CANARY_RAMPING] = {"ramping", "has a share of the traffic, and is judged by it",
                        SM_TO(CANARY_PROMOTED) | SM_TO(CANARY_ROLLED_BACK)},
    [CANARY_PROMOTED] = {"promoted", "has its whole place",
                         SM_TO(CANARY_RAMPING) | SM_TO(CANARY_ROLLED_BACK)},
    [CANARY_ROLLED_BACK] = {"rolled_back", "has none", 0},
};

static void move(struct canary *canary, enum canary_state next)
{
    bug_fatal_unless(rows[canary->state].moves & SM_TO(next));
    canary->state = next;
}

void canary_init(struct canary *canary, const struct canary_settings *settings, uint64_t now_us)
{
    canary->state = CANARY_RAMPING;
    canary->cause = EVIDENCE_NOTHING;
    ramp_init(&canary->ramp, now_us);
    evidence_init(&canary->evidence);
    if (!ramp_is_on(&settings->ramp))
        move(canary, CANARY_PROMOTED);
}

/* Whether the next step may be taken; from the last one it is promotion. */
static bool is_gate_open(const struct canary *canary, const struct canary_settings *settings)
{
    const struct evidence *evidence = &canary->evidence;

    if (evidence_gate(evidence, &settings->evidence) != EVIDENCE_NOTHING)
        return false;
    if (canary->ramp.step + 1 < settings->ramp.steps)
        return true;
    return evidence->canary.requests >= settings->min_requests &&
           evidence_doubt(evidence, &settings->evidence) == EVIDENCE_NOTHING;
}

/* Takes what has become known: true where it has lost by that. */
static bool has_lost(struct canary *canary, const struct canary_settings *settings,
                     const struct evidence_tick *tick)
{
    if (tick)
        evidence_add(&canary->evidence, &settings->evidence, tick);
    canary->cause = evidence_loss(&canary->evidence, &settings->evidence);
    if (canary->cause == EVIDENCE_NOTHING)
        return false;
    move(canary, CANARY_ROLLED_BACK);
    return true;
}

enum canary_verdict canary_tick(struct canary *canary, const struct canary_settings *settings,
                                const struct evidence_tick *tick, uint64_t now_us)
{
    if (canary->state != CANARY_RAMPING)
        return CANARY_GOES_ON;
    if (has_lost(canary, settings, tick))
        return CANARY_ROLL_BACK;
    switch (ramp_tick(&canary->ramp, &settings->ramp, is_gate_open(canary, settings), now_us)) {
    case RAMP_STAYS:
        break;
    case RAMP_STEPS:
        evidence_begin_step(&canary->evidence);
        return CANARY_GROWS;
    case RAMP_ENDS:
        move(canary, CANARY_PROMOTED);
        return CANARY_PROMOTE;
    }
    return CANARY_GOES_ON;
}

enum canary_verdict canary_watch(struct canary *canary, const struct canary_settings *settings,
                                 const struct evidence_tick *tick)
{
    if (canary->state != CANARY_PROMOTED)
        return CANARY_GOES_ON;
    return has_lost(canary, settings, tick) ? CANARY_ROLL_BACK : CANARY_GOES_ON;
}

uint32_t canary_share_ppm(const struct canary *canary, const struct canary_settings *settings)
{
    switch (canary->state) {
    case CANARY_RAMPING:
        return ramp_share_ppm(&canary->ramp, &settings->ramp);
    case CANARY_PROMOTED:
        return RAMP_WHOLE_PPM;
    case CANARY_ROLLED_BACK:
    case CANARY_STATES:
        break;
    }
    return 0;
}

void canary_hold(struct canary *canary, bool is_held)
{
    ramp_hold(&canary->ramp, is_held);
}

enum canary_verdict canary_advance(struct canary *canary, const struct canary_settings *settings)
{
    if (canary->state != CANARY_RAMPING)
        return CANARY_GOES_ON;
    if (ramp_advance(&canary->ramp, &settings->ramp)) {
        evidence_begin_step(&canary->evidence);
        return CANARY_GROWS;
    }
    move(canary, CANARY_PROMOTED);
    return CANARY_PROMOTE;
}

bool canary_step_back(struct canary *canary, const struct canary_settings *settings,
                      uint32_t share_ppm)
{
    if (canary->state == CANARY_ROLLED_BACK)
        return false;
    if (canary->state == CANARY_PROMOTED)
        move(canary, CANARY_RAMPING);
    ramp_step_back(&canary->ramp, &settings->ramp, share_ppm);
    evidence_begin_step(&canary->evidence);
    return true;
}

bool canary_revert(struct canary *canary)
{
    if (canary->state != CANARY_RAMPING)
        return false;
    move(canary, CANARY_ROLLED_BACK);
    return true;
}

const char *canary_state_text(enum canary_state state)
{
    return rows[state].name;
}

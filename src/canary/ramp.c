#include "canary/ramp.h"

struct ramp_settings ramp_in_steps(uint32_t initial_ppm, uint32_t steps, uint64_t every_us)
{
    return (struct ramp_settings){
        .initial_ppm = initial_ppm < RAMP_WHOLE_PPM ? initial_ppm : RAMP_WHOLE_PPM,
        .steps = steps < RAMP_MAX_STEPS ? steps : RAMP_MAX_STEPS,
        .first_us = every_us,
        .every_us = every_us,
    };
}

struct ramp_settings ramp_in_strides(uint32_t initial_ppm, uint32_t stride_ppm, uint64_t first_us,
                                     uint64_t every_us)
{
    struct ramp_settings settings = ramp_in_steps(initial_ppm, 1, every_us);
    uint32_t way = RAMP_WHOLE_PPM - settings.initial_ppm;
    uint32_t least = way / (RAMP_MAX_STEPS - 1) + 1;

    settings.first_us = first_us;
    settings.stride_ppm = stride_ppm > least ? stride_ppm : least;
    /* Rounded up; the stride may be far more than the way. */
    settings.steps += way / settings.stride_ppm + (way % settings.stride_ppm != 0);
    return settings;
}

bool ramp_is_on(const struct ramp_settings *settings)
{
    return settings->steps > 0 && settings->initial_ppm < RAMP_WHOLE_PPM;
}

void ramp_init(struct ramp *ramp, uint64_t now_us)
{
    *ramp = (struct ramp){.last_us = now_us};
}

/* A reload may have made the ramp shorter than it has come. */
static uint32_t step_of(const struct ramp *ramp, const struct ramp_settings *settings)
{
    uint32_t last = settings->steps ? settings->steps - 1 : 0;

    return ramp->step < last ? ramp->step : last;
}

uint32_t ramp_share_ppm(const struct ramp *ramp, const struct ramp_settings *settings)
{
    uint64_t way, gone, step = step_of(ramp, settings);

    if (!ramp_is_on(settings))
        return RAMP_WHOLE_PPM;
    way = RAMP_WHOLE_PPM - settings->initial_ppm;
    if (settings->stride_ppm)
        gone = step * settings->stride_ppm;
    else
        gone = settings->steps > 1 ? way * step / (settings->steps - 1) : 0;
    return settings->initial_ppm + (uint32_t)(gone < way ? gone : way);
}

static uint64_t length_of(const struct ramp *ramp, const struct ramp_settings *settings)
{
    return ramp->step ? settings->every_us : settings->first_us;
}

uint64_t ramp_left_us(const struct ramp *ramp, const struct ramp_settings *settings)
{
    uint64_t length_us = length_of(ramp, settings);

    if (!ramp_is_on(settings))
        return 0;
    return ramp->elapsed_us < length_us ? length_us - ramp->elapsed_us : 0;
}

static void count_time(struct ramp *ramp, uint64_t now_us)
{
    uint64_t gone_us = now_us > ramp->last_us ? now_us - ramp->last_us : 0;

    ramp->last_us = now_us;
    if (ramp->is_held)
        return;
    gone_us = gone_us < RAMP_TICK_MAX_US ? gone_us : RAMP_TICK_MAX_US;
    ramp->elapsed_us += gone_us < UINT64_MAX - ramp->elapsed_us ? gone_us : 0;
}

static void begin(struct ramp *ramp, uint32_t step)
{
    ramp->step = step;
    ramp->elapsed_us = 0;
}

enum ramp_move ramp_tick(struct ramp *ramp, const struct ramp_settings *settings, bool is_gate_open,
                         uint64_t now_us)
{
    count_time(ramp, now_us);
    if (ramp->is_held || !is_gate_open || ramp_left_us(ramp, settings) > 0)
        return RAMP_STAYS;
    if (!ramp_is_on(settings) || ramp->step + 1 >= settings->steps)
        return RAMP_ENDS;
    begin(ramp, ramp->step + 1);
    return RAMP_STEPS;
}

void ramp_step_back(struct ramp *ramp, const struct ramp_settings *settings, uint32_t share_ppm)
{
    begin(ramp, step_of(ramp, settings));
    while (ramp->step > 0 && ramp_share_ppm(ramp, settings) > share_ppm)
        ramp->step--;
}

void ramp_hold(struct ramp *ramp, bool is_held)
{
    ramp->is_held = is_held;
}

bool ramp_advance(struct ramp *ramp, const struct ramp_settings *settings)
{
    if (!ramp_is_on(settings) || ramp->step + 1 >= settings->steps)
        return false;
    ramp->is_held = false;
    begin(ramp, ramp->step + 1);
    return true;
}

#include "canary/weights.h"

#include "canary/ramp.h"

static uint32_t part_of(uint32_t share_ppm, uint32_t place_milli)
{
    uint64_t part = ((uint64_t)place_milli * share_ppm + RAMP_WHOLE_PPM / 2) / RAMP_WHOLE_PPM;

    return part ? (uint32_t)part : place_milli > 0 && share_ppm > 0;
}

struct canary_weights canary_weigh(uint32_t share_ppm, uint32_t place_milli, uint64_t others_milli,
                                   bool has_predecessor)
{
    uint32_t share = share_ppm < RAMP_WHOLE_PPM ? share_ppm : RAMP_WHOLE_PPM;
    struct canary_weights weights = {.canary_milli = part_of(share, place_milli)};
    double all;

    if (has_predecessor)
        weights.predecessor_milli = place_milli - weights.canary_milli;
    all = (double)weights.canary_milli + (double)weights.predecessor_milli + (double)others_milli;
    if (weights.canary_milli)
        weights.pool_ppm = (uint32_t)((double)weights.canary_milli / all * RAMP_WHOLE_PPM + 0.5);
    return weights;
}

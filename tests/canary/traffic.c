#include "traffic.h"

#include <math.h>
#include <string.h>

#define SECOND_US UINT64_C(1000000)
#define TICK_US   UINT64_C(100000)

struct canary_settings traffic_defaults(void)
{
    return (struct canary_settings){
        .ramp = ramp_in_steps(100000, 10, 60 * SECOND_US),
        .evidence = {.max_error_ppm = 50000,
                     .max_latency_milli = 1500,
                     .max_added_latency_ms = EVIDENCE_NO_LIMIT,
                     .max_divergence_ppm = RAMP_WHOLE_PPM,
                     .has_control = true},
        .min_requests = 100,
    };
}

/* ---- latencies ---- */

static double normal(struct rand *rand)
{
    double length = sqrt(-2 * log(1 - rand_unit(rand)));

    return length * cos(6.283185307179586 * rand_unit(rand));
}

static double draw_ms(struct rand *rand, enum traffic_shape shape)
{
    switch (shape) {
    case TRAFFIC_LOG_NORMAL:
        return 400 * exp(normal(rand));
    case TRAFFIC_PARETO:
        return 200 * pow(1 - rand_unit(rand), -1 / 1.1);
    case TRAFFIC_TWO_MODELS:
        return (rand_unit(rand) < 0.5 ? 150 : 3000) * exp(0.3 * normal(rand));
    case TRAFFIC_UNTIMED:
    case TRAFFIC_SHAPES:
        break;
    }
    return 0;
}

static uint16_t bucket_of(double ms)
{
    return (uint16_t)latency_bucket(ms < 1e9 ? (uint64_t)(ms * 1000) : UINT64_MAX);
}

static void draw_latencies(struct traffic *traffic)
{
    const struct traffic_scene *scene = &traffic->scene;
    double ratio = scene->latency_ratio > 0 ? scene->latency_ratio : 1;
    double bad = scene->bad_latency > 0 ? scene->bad_latency : 1;
    struct rand rand;

    rand_init(&rand, 4711);
    for (int i = 0; i < TRAFFIC_LATENCIES; i++) {
        double ms = draw_ms(&rand, scene->shape);

        traffic->latencies[0][i] = bucket_of(ms);
        traffic->latencies[1][i] = bucket_of(ms * ratio);
        traffic->latencies[2][i] = bucket_of(ms * bad);
        traffic->bad_canary[i] = bucket_of(ms * bad * ratio);
    }
}

void traffic_init(struct traffic *traffic, const struct traffic_scene *scene,
                  const struct canary_settings *settings)
{
    traffic->scene = *scene;
    traffic->settings = *settings;
    if (scene->place <= 0)
        traffic->scene.place = 1;
    if (scene->patience <= 0)
        traffic->scene.patience = 2;
    traffic->settings.evidence.has_control = !scene->is_alone;
    draw_latencies(traffic);
}

/* ---- requests ---- */

static bool is_bad_time(const struct traffic *traffic)
{
    uint64_t at_us = traffic->now_us - traffic->start_us;

    return at_us >= traffic->scene.bad_from_us &&
           at_us < traffic->scene.bad_from_us + traffic->scene.bad_us;
}

static bool is_broken(const struct traffic *traffic)
{
    return traffic->scene.breaks_us &&
           traffic->now_us - traffic->start_us >= traffic->scene.breaks_us;
}

static double fails_of(const struct traffic *traffic, bool is_canary)
{
    const struct traffic_scene *scene = &traffic->scene;
    double rate = is_canary ? scene->canary_fails : scene->old_fails;

    if (is_canary && is_broken(traffic))
        rate = scene->broken_fails;
    return is_bad_time(traffic) && scene->bad_fails > rate ? scene->bad_fails : rate;
}

static const uint16_t *latencies_of(const struct traffic *traffic, bool is_canary)
{
    if (is_bad_time(traffic))
        return is_canary ? traffic->bad_canary : traffic->latencies[2];
    return traffic->latencies[is_canary];
}

/* True where it failed. */
static bool answer(struct traffic *traffic, bool is_canary)
{
    const struct traffic_scene *scene = &traffic->scene;
    struct evidence_arm *arm = is_canary ? &traffic->tick.canary : &traffic->tick.control;
    double fails = fails_of(traffic, is_canary);
    double refused = is_canary ? scene->canary_refused : scene->old_refused;
    double lot = rand_unit(&traffic->rand);

    traffic->has_news = true;
    arm->requests++;
    if (is_canary)
        traffic->end.after_break += is_broken(traffic);
    if (lot < fails + refused) {
        arm->failures++;
        arm->refused += lot >= fails;
        return true;
    }
    if (scene->shape != TRAFFIC_UNTIMED) {
        uint64_t which = rand_below(&traffic->rand, TRAFFIC_LATENCIES);

        arm->latencies[latencies_of(traffic, is_canary)[which]]++;
    }
    if (is_canary && scene->divergence > 0) {
        traffic->tick.compared++;
        traffic->tick.differing += rand_unit(&traffic->rand) < scene->divergence;
    }
    return false;
}

static void tell(struct traffic *traffic)
{
    canary_tick(&traffic->canary, &traffic->settings, traffic->has_news ? &traffic->tick : NULL,
                traffic->now_us);
    if (traffic->has_news)
        memset(&traffic->tick, 0, sizeof(traffic->tick));
    traffic->has_news = false;
}

static uint64_t poisson(struct rand *rand, double mean)
{
    double least = exp(-mean), left = rand_unit(rand);
    uint64_t count = 0;

    if (mean > 50) {
        double near = mean + sqrt(mean) * normal(rand) + 0.5;

        return near > 0 ? (uint64_t)near : 0;
    }
    while (left > least) {
        left *= rand_unit(rand);
        count++;
    }
    return count;
}

static void request(struct traffic *traffic)
{
    const struct traffic_scene *scene = &traffic->scene;
    double share = scene->place * canary_share_ppm(&traffic->canary, &traffic->settings) / 1e6;
    bool is_canary = scene->is_alone || rand_unit(&traffic->rand) < share;

    if (!answer(traffic, is_canary) || !is_canary)
        return;
    if (scene->is_retried)
        answer(traffic, false);
    tell(traffic);
}

void traffic_begin(struct traffic *traffic, uint64_t seed)
{
    rand_init(&traffic->rand, seed);
    traffic->start_us = traffic->now_us = 1000 * SECOND_US;
    memset(&traffic->tick, 0, sizeof(traffic->tick));
    traffic->has_news = false;
    traffic->end = (struct traffic_end){.state = CANARY_RAMPING};
    canary_init(&traffic->canary, &traffic->settings, traffic->now_us);
}

bool traffic_go_on(struct traffic *traffic)
{
    uint64_t count = poisson(&traffic->rand, traffic->scene.per_second * TICK_US / SECOND_US);

    for (uint64_t i = 0; i < count && traffic->canary.state == CANARY_RAMPING; i++)
        request(traffic);
    traffic->now_us += TICK_US;
    if (traffic->canary.state == CANARY_RAMPING)
        tell(traffic);
    return traffic->canary.state == CANARY_RAMPING;
}

struct traffic_end traffic_play(struct traffic *traffic, uint64_t seed)
{
    const struct ramp_settings *ramp = &traffic->settings.ramp;
    uint64_t planned_us = ramp->first_us + (ramp->steps - 1) * ramp->every_us;
    uint64_t limit_us;

    traffic_begin(traffic, seed);
    limit_us = traffic->start_us + (uint64_t)((double)planned_us * traffic->scene.patience);
    while (traffic_go_on(traffic) && traffic->now_us < limit_us)
        continue;
    traffic->end.state = traffic->canary.state;
    traffic->end.cause = traffic->canary.cause;
    traffic->end.requests = traffic->canary.evidence.canary.requests;
    traffic->end.old_requests = traffic->canary.evidence.control.requests;
    traffic->end.step = traffic->canary.ramp.step;
    traffic->end.took_us = traffic->now_us - traffic->start_us;
    return traffic->end;
}

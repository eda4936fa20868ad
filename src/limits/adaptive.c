#include "limits/adaptive.h"

#include <math.h>

#include "base/clock.h"

/* A limit is really used where so much of it was. */
#define USED 0.8
/* Of what was refused, this much is taken to be allowed; past that much it is forgotten. */
#define NEARLY 0.96
#define PAST   1.1
/* Beyond what was refused, growth is slower by this; and what a second does takes so many requests
 * at least, so that of few requests no larger share is refused than of many. */
#define PATIENCE          50.0
#define PATIENCE_REQUESTS 150.0
/* Growth counts no more seconds at once: longer ago, nobody knows what was used. */
#define SECONDS_MOST 10.0
#define MILLI        1e3
#define SLOT_US      (60 * US_PER_SEC / ADAPTIVE_SLOTS)

void adaptive_init(struct adaptive *adaptive)
{
    *adaptive = (struct adaptive){.cut_us = 0};
    gcra_init(&adaptive->gcra);
}

static void set_rate(struct adaptive *adaptive, double rate)
{
    rate = fmax(rate, adaptive->settings.min_rpm);
    adaptive->rate = fmin(rate, adaptive->settings.max_rpm);
    atomic_store_explicit(&adaptive->rpm, (uint32_t)(adaptive->rate + 0.5), memory_order_relaxed);
}

void adaptive_set(struct adaptive *adaptive, const struct adaptive_settings *settings,
                  uint64_t now_us)
{
    bool was_on = adaptive->settings.max_rpm != 0;

    adaptive->settings = *settings;
    if (!settings->max_rpm) {
        adaptive->rate = adaptive->ceiling = 0;
        atomic_store_explicit(&adaptive->rpm, 0, memory_order_relaxed);
        return;
    }
    if (!was_on) {
        adaptive->step_us = now_us;
        adaptive->used = 0;
    }
    set_rate(adaptive, was_on ? adaptive->rate : settings->initial_rpm);
}

static struct gcra_rate gcra_rate_of(uint32_t rpm)
{
    return (struct gcra_rate){.per_minute = rpm, .burst = rpm >= 60 ? rpm / 60 : 1};
}

static uint32_t rpm_of(const struct adaptive *adaptive)
{
    return atomic_load_explicit(&adaptive->rpm, memory_order_relaxed);
}

uint64_t adaptive_wait_us(const struct adaptive *adaptive, uint64_t now_us)
{
    uint32_t rpm = rpm_of(adaptive);
    struct gcra_rate rate = gcra_rate_of(rpm);

    return rpm ? gcra_peek(&adaptive->gcra, &rate, 1, now_us).wait_us : 0;
}

/* What so many seconds of clean use make of the rate. */
static double grown(const struct adaptive *adaptive, double seconds)
{
    double growth = adaptive->settings.growth_milli / MILLI;
    double near = adaptive->ceiling * NEARLY, rate = adaptive->rate;

    if (adaptive->ceiling == 0)
        return rate * pow(growth, seconds);
    if (rate < near)
        return fmin(rate * pow(growth, seconds), near);
    return rate * pow(growth, fmin(seconds / PATIENCE, adaptive->used / PATIENCE_REQUESTS));
}

/* A step is a second, or as long as one request takes at that rate. */
static void step(struct adaptive *adaptive, uint64_t now_us)
{
    double seconds = (double)(now_us - adaptive->step_us) / US_PER_SEC;
    double allowed = seconds * adaptive->rate / 60;

    if (now_us < adaptive->step_us) {
        adaptive->step_us = now_us;
        adaptive->used = 0;
    }
    if (now_us < adaptive->step_us || seconds < 1 || allowed < 1)
        return;
    if (adaptive->used >= USED * allowed)
        set_rate(adaptive, grown(adaptive, fmin(seconds, SECONDS_MOST)));
    if (adaptive->rate > adaptive->ceiling * PAST)
        adaptive->ceiling = 0;
    adaptive->step_us = now_us;
    adaptive->used = 0;
}

static uint64_t newest_slot(const struct adaptive *adaptive)
{
    return atomic_load_explicit(&adaptive->slot, memory_order_relaxed);
}

static uint32_t passed_in(const struct adaptive *adaptive, uint64_t slot)
{
    return atomic_load_explicit(&adaptive->passed[slot % ADAPTIVE_SLOTS], memory_order_relaxed);
}

static void set_passed(struct adaptive *adaptive, uint64_t slot, uint32_t count)
{
    atomic_store_explicit(&adaptive->passed[slot % ADAPTIVE_SLOTS], count, memory_order_relaxed);
}

/* Of the last minute: what is older is forgotten. A clock that went back writes to the newest. */
static uint64_t slot_at(struct adaptive *adaptive, uint64_t now_us)
{
    uint64_t slot = now_us / SLOT_US, newest = newest_slot(adaptive);

    if (slot >= newest + ADAPTIVE_SLOTS)
        newest = slot - ADAPTIVE_SLOTS;
    while (newest < slot)
        set_passed(adaptive, ++newest, 0);
    atomic_store_explicit(&adaptive->slot, newest, memory_order_relaxed);
    return newest;
}

static void count_passed(struct adaptive *adaptive, uint64_t now_us)
{
    uint64_t slot = slot_at(adaptive, now_us);

    set_passed(adaptive, slot, passed_in(adaptive, slot) + 1);
}

static void uncount_passed(struct adaptive *adaptive, uint64_t now_us)
{
    uint64_t slot = slot_at(adaptive, now_us);
    uint32_t count = passed_in(adaptive, slot);

    set_passed(adaptive, slot, count ? count - 1 : 0);
}

static double passed(const struct adaptive *adaptive)
{
    double sum = 0;

    for (uint64_t i = 0; i < ADAPTIVE_SLOTS; i++)
        sum += passed_in(adaptive, i);
    return sum;
}

uint32_t adaptive_share(const struct adaptive *adaptive, uint64_t now_us)
{
    uint64_t slot = now_us / SLOT_US, newest = newest_slot(adaptive), used = 0;
    uint32_t rpm = rpm_of(adaptive);

    if (!rpm)
        return ADAPTIVE_WHOLE;
    for (uint64_t i = 0; i < ADAPTIVE_SLOTS && i <= newest; i++)
        used += newest - i + ADAPTIVE_SLOTS > slot ? passed_in(adaptive, newest - i) : 0;
    return used < rpm ? (uint32_t)((rpm - used) * ADAPTIVE_WHOLE / rpm) : 0;
}

void adaptive_take(struct adaptive *adaptive, uint64_t now_us)
{
    struct gcra_rate rate;

    if (!rpm_of(adaptive))
        return;
    step(adaptive, now_us);
    rate = gcra_rate_of(rpm_of(adaptive));
    (void)gcra_take(&adaptive->gcra, &rate, 1, now_us);
    adaptive->used++;
    count_passed(adaptive, now_us);
}

void adaptive_give_back(struct adaptive *adaptive, uint64_t now_us)
{
    struct gcra_rate rate = gcra_rate_of(rpm_of(adaptive));

    if (!rate.per_minute)
        return;
    gcra_settle(&adaptive->gcra, &rate, 1, 0, now_us);
    adaptive->used -= adaptive->used > 0;
    uncount_passed(adaptive, now_us);
}

bool adaptive_refuse(struct adaptive *adaptive, uint64_t sent_us, uint64_t now_us)
{
    double backoff = adaptive->settings.backoff_milli / MILLI;

    if (!rpm_of(adaptive) || (adaptive->cut_us && sent_us <= adaptive->cut_us))
        return false;
    uncount_passed(adaptive, now_us);
    adaptive->ceiling = fmax(passed(adaptive), adaptive->rate * backoff);
    set_rate(adaptive, adaptive->rate * backoff);
    adaptive->cut_us = adaptive->step_us = now_us;
    adaptive->used = 0;
    return true;
}

struct adaptive_reading adaptive_read(const struct adaptive *adaptive, uint64_t now_us)
{
    uint32_t rpm = rpm_of(adaptive);
    struct gcra_rate rate = gcra_rate_of(rpm);
    struct gcra_verdict verdict;

    if (!rpm)
        return (struct adaptive_reading){.rpm = 0};
    verdict = gcra_peek(&adaptive->gcra, &rate, 0, now_us);
    return (struct adaptive_reading){rpm, verdict.remaining, verdict.reset_us};
}

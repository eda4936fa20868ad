#include "keypool/probe_plan.h"

#include "base/clock.h"

enum { LONGEST_PAUSE = 6 }; /* doublings of the interval where probes and requests contradict */

enum probe_result probe_result_of_status(int status)
{
    if (status == 401)
        return PROBE_REFUSED;
    /* A redirect is no answer of the API itself. */
    if ((status >= 200 && status < 300) || (status >= 400 && status < 500))
        return PROBE_KNOWN;
    return PROBE_SILENT;
}

bool probe_shows_endpoint(int status)
{
    return status >= 200 && status < 500;
}

/* Tries 0, 1, 2, ... of a new key: at once, then 1, 2, 4, 8, 16 s after it came; never before the
 * last one ended. */
static uint64_t next_of_new(const struct probe_facts *facts)
{
    uint64_t at_us = facts->born_us;

    if (facts->silent > PROBE_NEW_TRIES)
        return facts->last_probe_us + facts->interval_us;
    if (facts->silent > 0)
        at_us += US_PER_SEC << (facts->silent - 1);
    return at_us > facts->last_probe_us ? at_us : facts->last_probe_us;
}

static uint64_t next_of_invalid(const struct probe_facts *facts)
{
    uint32_t doublings = facts->contradictions > 1 ? facts->contradictions - 1 : 0;
    uint64_t pause_us = facts->interval_us
                        << (doublings < LONGEST_PAUSE ? doublings : LONGEST_PAUSE);

    if (facts->last_probe_us >= facts->invalid_us && facts->last_probe_us)
        return facts->last_probe_us + pause_us;
    /* The first after it was refused goes at once, unless a probe was wrong about it before. */
    return doublings ? facts->invalid_us + pause_us : facts->invalid_us;
}

static uint64_t next_of_trusted(const struct probe_facts *facts)
{
    uint64_t news_us = facts->last_news_us > facts->born_us ? facts->last_news_us : facts->born_us;
    uint64_t stale_us = news_us + facts->ttl_us;
    uint64_t next_us = facts->last_probe_us + facts->interval_us;

    return stale_us > next_us ? stale_us : next_us;
}

uint64_t probe_plan_next(const struct probe_facts *facts)
{
    if (facts->wish == KEY_DISABLED)
        return PROBE_NEVER;
    switch (facts->health) {
    case KEY_NEW:
        return next_of_new(facts);
    case KEY_TRIAL:
        return facts->silent ? next_of_new(facts) : next_of_trusted(facts);
    case KEY_HEALTHY:
        return next_of_trusted(facts);
    case KEY_INVALID:
        return next_of_invalid(facts);
    case KEY_COOLING:
    case KEY_LIMITED:
    case KEY_FORBIDDEN:
    case KEY_DEPLETED:
    case KEY_TESTING:
    case KEY_HEALTH_COUNT:
        break;
    }
    return PROBE_NEVER;
}

enum key_health probe_plan_move(enum key_health health, enum probe_result result, uint32_t silent)
{
    bool is_unproven = health == KEY_NEW || health == KEY_TRIAL;

    switch (result) {
    case PROBE_REFUSED:
        return KEY_INVALID;
    case PROBE_KNOWN:
        return is_unproven || health == KEY_INVALID ? KEY_HEALTHY : health;
    case PROBE_SILENT:
        break;
    }
    return health == KEY_NEW && silent >= PROBE_SILENT_BEFORE_TRIAL ? KEY_TRIAL : health;
}

uint64_t probe_plan_endpoint(bool is_open, uint64_t last_probe_us, uint64_t interval_us)
{
    return is_open ? last_probe_us + interval_us : PROBE_NEVER;
}

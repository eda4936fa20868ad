#include "secrets/token_schedule.h"

#include "base/clock.h"

enum { LONGEST_DOUBLING = 6 };

#define PAUSE_US       US_PER_SEC
#define MAX_PAUSE_US   (60 * US_PER_SEC)
#define MAX_AFTER_US   (600 * US_PER_SEC)
#define AHEAD_US       (120 * US_PER_SEC)
#define MAX_RESERVE_US (10 * US_PER_SEC)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void token_schedule_init(struct token_schedule *schedule, uint64_t now_us)
{
    *schedule = (struct token_schedule){.next_us = now_us};
}

bool token_schedule_begin(struct token_schedule *schedule, uint64_t now_us)
{
    if (schedule->is_asking || now_us < schedule->next_us)
        return false;
    schedule->is_asking = true;
    schedule->asked_us = now_us;
    return true;
}

void token_schedule_good(struct token_schedule *schedule, uint64_t life_us, uint64_t now_us,
                         struct rand *rand)
{
    uint64_t ahead_us = life_us > AHEAD_US ? life_us - AHEAD_US : 0;
    uint64_t renew_us = most(life_us / 2, least(life_us / 5 * 4, ahead_us));

    renew_us -= rand_below(rand, life_us / 20 + 1);
    schedule->is_asking = false;
    schedule->failures = 0;
    schedule->until_us = schedule->asked_us + life_us - least(life_us / 10, MAX_RESERVE_US);
    schedule->next_us = most(schedule->asked_us + renew_us, now_us + PAUSE_US);
}

void token_schedule_failed(struct token_schedule *schedule, uint64_t retry_after_us,
                           uint64_t now_us, struct rand *rand)
{
    uint64_t pause_us =
        least(PAUSE_US << least(schedule->failures, LONGEST_DOUBLING), MAX_PAUSE_US);

    pause_us = pause_us / 2 + rand_below(rand, pause_us / 2 + 1);
    schedule->is_asking = false;
    if (schedule->failures < UINT32_MAX)
        schedule->failures++;
    schedule->next_us = now_us + most(pause_us, least(retry_after_us, MAX_AFTER_US));
}

void token_schedule_want(struct token_schedule *schedule, uint64_t now_us)
{
    uint64_t soonest_us = schedule->asked_us ? schedule->asked_us + PAUSE_US : 0;

    if (!schedule->is_asking)
        schedule->next_us = least(schedule->next_us, most(soonest_us, now_us));
}

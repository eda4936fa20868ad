#include "canary/wager.h"

#include <math.h>

/* Far beyond what any decision looks at; keeps sums finite whatever is fed. */
#define LN_MOST 1e9

/* What is staked at the start. */
#define FIRST 0.9

static double ln_sum(double a, double b)
{
    double most = a > b ? a : b, least = a > b ? b : a;

    return most + log1p(exp(least - most));
}

static double clamp(double ln)
{
    if (ln > LN_MOST)
        return LN_MOST;
    return ln > -LN_MOST ? ln : -LN_MOST;
}

void wager_init(struct wager *wager, const struct wager_plan *plan)
{
    *wager = (struct wager){.requests = 0};
    for (int i = 0; i < plan->bets; i++)
        wager->ln[i] = log(FIRST * plan->stakes[i]);
}

/* After n requests 1 - (1 - FIRST) / (1 + n / WAGER_PACE) is staked: the difference, without its
 * cancellation. */
void wager_stake(struct wager *wager, const struct wager_plan *plan, uint64_t requests)
{
    double pace = WAGER_PACE, from = (double)wager->requests, more = (double)requests;
    double stake = (1 - FIRST) * pace * more / ((pace + from) * (pace + from + more));

    if (requests == 0)
        return;
    wager->requests += requests;
    for (int i = 0; i < plan->bets; i++)
        wager->ln[i] = ln_sum(wager->ln[i], log(stake * plan->stakes[i]));
}

void wager_settle(struct wager *wager, int bet, double gain)
{
    wager->ln[bet] = clamp(wager->ln[bet] + gain);
}

double wager_ln(const struct wager *wager, const struct wager_plan *plan)
{
    double sum = wager->ln[0];

    for (int i = 1; i < plan->bets; i++)
        sum = ln_sum(sum, wager->ln[i]);
    return sum;
}

/*
 * Bets against a hypothesis: the literature's test martingales and e-processes (Wald, Ville,
 * Robbins; Shafer, "Testing by betting"; Ramdas and others). A bettor who owns 1 bets, before each
 * look, against "nothing is wrong", at odds that are fair if nothing is. If so, the chance that the
 * fortune ever reaches N, whenever and however often one looks, is at most 1/N (Ville's
 * inequality): a rich bettor is evidence, and no number of looks spoils it.
 *
 * Most is staked at the start, when a bad key shows, and the rest little by little, request after
 * request (a mixture over the time of change, as in e-detectors and the Shiryaev-Roberts
 * procedure): what was good for an hour and then breaks is found without first losing the hour's
 * credit. Embedded in evidence; one thread. Pure.
 */
#ifndef CANARY_WAGER_H
#define CANARY_WAGER_H

#include <stdint.h>

enum {
    WAGER_BETS = 4,
    WAGER_PACE = 100, /* by how many requests half of the rest is staked */
};

/* Several bets at once: a mixture over what may be true instead. */
struct wager_plan {
    int bets;
    double stakes[WAGER_BETS]; /* their parts of all that is staked; the sum is 1 */
};

struct wager {
    double ln[WAGER_BETS]; /* natural logarithms of what each bet has */
    uint64_t requests;     /* up to which stakes are paid */
};

/* Nothing won yet. */
void wager_init(struct wager *wager, const struct wager_plan *plan);

/* Stakes what is due for that many requests more: before what they showed is known. */
void wager_stake(struct wager *wager, const struct wager_plan *plan, uint64_t requests);

/* A bet's result: what it had is multiplied by e to the gain. */
void wager_settle(struct wager *wager, int bet, double gain);

/* The logarithm of all that it has. */
double wager_ln(const struct wager *wager, const struct wager_plan *plan);

#endif

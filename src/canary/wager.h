/*
 * Bets against a hypothesis: the literature's test martingales and e-processes (Wald, Ville,
 * Robbins; Shafer, "Testing by betting"; Ramdas and others). A bettor who owns 1 bets, before each
 * look, against "nothing is wrong", at odds that are fair if nothing is. If so, the chance that the
 * fortune ever reaches N, whenever and however often one looks, is at most 1/N (Ville's
 * inequality): a rich bettor is evidence, and no number of looks spoils it.
 *
 * Half is staked at the start and the rest little by little, request after request (a mixture over
 * the time of change, as in e-detectors and the Shiryaev-Roberts procedure): what was good for an
 * hour and then breaks is found without first losing the hour's credit. Embedded in evidence; one
 * thread. Pure.
 */
#ifndef CANARY_WAGER_H
#define CANARY_WAGER_H

#include <stdint.h>

/* By how many requests half of the rest is staked. */
enum { WAGER_PACE = 100, WAGER_BETS = 4 };

/* Several bets at once, of equal stakes: a mixture over what may be true instead. */
struct wager {
    double ln[WAGER_BETS]; /* natural logarithms of what each has; those used begin equal */
    uint64_t requests;     /* up to which stakes are paid */
};

/* Nothing won yet; `bets` of WAGER_BETS are used, by all calls. */
void wager_init(struct wager *wager, int bets);

/* Stakes what is due for that many requests more: before what they showed is known. */
void wager_stake(struct wager *wager, int bets, uint64_t requests);

/* A bet's result: what it had is multiplied by e to the gain. */
void wager_settle(struct wager *wager, int bet, double gain);

/* The logarithm of all that it has. */
double wager_ln(const struct wager *wager, int bets);

#endif

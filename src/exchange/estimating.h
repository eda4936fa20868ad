/*
 * What an exchange will use in tokens, guessed before it is sent to a target, and learned from when
 * it is over: between the scanner of its request and the estimates that all workers share
 * (limits/estimates.h). Where no limit of tokens is in sight nothing is counted and nothing
 * learned: the guess is then one by bytes. Runs on the exchange's worker.
 */
#ifndef EXCHANGE_ESTIMATING_H
#define EXCHANGE_ESTIMATING_H

#include <stdbool.h>
#include <stdint.h>

struct config;
struct exchange;
struct plan_target;

/* Whether anything in the configuration limits tokens, or could be told to. */
bool estimating_is_wanted(const struct config *config);

/* Tokens that the exchange will use at that target: of prompt and answer, and (*ret_answer) of the
 * answer alone: at most what the request allows it, or where that is not said, as many as nine of
 * ten answers of that model stay below; 0 where that is not known. Sets x->body.prompt_tokens. */
uint64_t estimating_guess(struct exchange *x, const struct plan_target *target,
                          uint64_t *ret_answer);

/* The exchange is about to be booked: what its provider counted is told to the estimates, where it
 * met a limit of tokens. Before its key's grant is ended. */
void estimating_tell(struct exchange *x);

#endif

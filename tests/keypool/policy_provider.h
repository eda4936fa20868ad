/*
 * The provider of policy_play.h: four accounts, each with a limit of requests and one of tokens a
 * minute, kept as buckets (as OpenAI does) or as windows one after the other, and told in every
 * answer. Values alone: time is an argument. Owned by the play.
 */
#ifndef TESTS_KEYPOOL_POLICY_PROVIDER_H
#define TESTS_KEYPOOL_POLICY_PROVIDER_H

#include <stdbool.h>
#include <stdint.h>

#include "dialect/limit_header.h"

enum { POLICY_ACCOUNTS = 4 };

struct policy_limit {
    double limit, level; /* a minute's; what is left */
};

struct policy_account {
    struct policy_limit requests, tokens;
    uint64_t at_us;
    double served_requests, served_tokens;
    double before_requests, before_tokens; /* when counting began */
};

struct policy_provider {
    struct policy_account accounts[POLICY_ACCOUNTS];
    bool has_windows;
    bool is_whole; /* resets are told in whole seconds, from there on */
    uint64_t start_us;
};

void policy_provider_init(struct policy_provider *provider, bool has_windows, bool is_whole,
                          uint64_t now_us);

/* Requests of so many tokens that the limits of all accounts allow in a minute. */
double policy_provider_allows(const struct policy_provider *provider, double mean_tokens);

/* A request arrives: 0 where it is taken, else how long until it would be. */
uint64_t policy_provider_take(struct policy_provider *provider, unsigned account, double tokens,
                              uint64_t now_us);

/* What the account's answers tell now. */
void policy_provider_tell(const struct policy_provider *provider, unsigned account, uint64_t now_us,
                          struct limits_told *ret_told);

/* Some account would take it, and has a twentieth of its limits beside. */
bool policy_provider_has_room(struct policy_provider *provider, double tokens, uint64_t now_us);

/* How long ago the account's limits were there again as a whole; UINT64_MAX: they come evenly, or
 * it is the first time. */
uint64_t policy_provider_opened_us(const struct policy_provider *provider, uint64_t now_us);

/* One account's limits, without notice. */
void policy_provider_halve(struct policy_provider *provider, unsigned account, uint64_t now_us);

/* Of what came back since (and `full`: of a whole limit besides) the share that was used, by each
 * account's scarcest limit; large accounts count for more. */
void policy_provider_begin_count(struct policy_provider *provider);
double policy_provider_counted(const struct policy_provider *provider, double seconds, double full);

#endif

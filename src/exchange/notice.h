/*
 * What operators are told in the log and in the journal of keys, accounts, endpoints, and of
 * providers that have no key free: one line for each change of a state, by whoever brought it about
 * or found it. A line says what changed, why, and until when; a key is named, never shown. Any
 * thread.
 */
#ifndef EXCHANGE_NOTICE_H
#define EXCHANGE_NOTICE_H

#include "alerts/journal.h"
#include "keypool/keypool.h"
#include "obs/log.h"
#include "route/plan.h"
#include "upstream/endpoint.h"
#include "upstream/provider.h"

struct exchange;
struct snapshot_provider;

/* Where and why. Spans and texts are borrowed for the call. */
struct notice {
    struct log *log;
    struct journal *journal; /* NULL: the log alone is told */
    struct span provider;
    const char *cause; /* an outcome's label, "probe" or "trial", or why there is no key */
    uint64_t now_us, wall_us;
    bool was_used; /* the key used to work */
};

/* What the effect says of the key, its breaker, its account, and the model (empty: none was asked
 * for). */
void notice_key(const struct notice *notice, const struct key *key, struct span model,
                const struct keypool_effect *effect);

/* A new key proved good, or goes on trial: told to those who debug alone, for there may be many. */
void notice_new_key(const struct notice *notice, const struct key *key);

/* What there is to tell of its breaker (a half-open one is on its way), of the rest that it asked
 * for, and of its TLS. */
void notice_endpoint(const struct notice *notice, struct endpoint *endpoint);

/* A request for the model was refused, for the provider has no key free before until_us (0: time
 * alone brings none); the cause is a keypool_reason's text. Told once, until notice_key_found has
 * told the end. */
void notice_no_key(const struct notice *notice, struct provider *provider,
                   const struct plan_target *target, uint64_t until_us);

/* A key was found. Call it where shortage_is_there. */
void notice_key_found(const struct notice *notice, struct provider *provider,
                      const struct plan_target *target);

/* What an exchange tells of a provider. */
struct notice notice_of(const struct exchange *x, const struct snapshot_provider *provider,
                        const char *cause);

#endif

/*
 * One upstream credential and what is known of it. A key lives in the registry (struct keypool),
 * outlives configurations, and is found again at a reload by its identity (provider and secret).
 * Counted; any thread may hold a reference.
 *
 * Two things are kept apart: what the operator wants (enum key_wish) and what has been observed
 * (enum key_health). Whether a key may be picked is computed from both:
 *
 *     wish       health                                  picked
 *     enabled    trial, healthy                          yes
 *     enabled    cooling                                 no, but as the last way
 *     enabled    limited, forbidden, depleted            no
 *     enabled    one of these four, its time is up       by one exchange, which tests it
 *     enabled    testing                                 no, until that is answered or late; but by
 *                                                        an exchange whose wait is over
 *     enabled    new, invalid                            no
 *     drained    any                                     no; what runs on it may end
 *     disabled   any                                     no; nor is it probed
 *
 * A key whose credential is exchanged for tokens (enum key_token) has one thing more against it: it
 * is picked only with a token in hand. While one is fetched it stands as new, and without one as
 * invalid.
 *
 * Besides, a key past its `expires` is as good as invalid, and one whose budget is spent as good as
 * depleted until the budget's period ends; its account, its breaker, its declared
 * limits and the models set aside may each stand against it for a time.
 */
#ifndef KEYPOOL_KEY_H
#define KEYPOOL_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/secret.h"
#include "base/sm.h"
#include "base/span.h"
#include "limits/breaker.h"

struct key;

enum key_wish { KEY_ENABLED, KEY_DRAINED, KEY_DISABLED };

enum key_health {
    KEY_NEW,   /* being validated: nothing is known yet */
    KEY_TRIAL, /* not yet proven, and used all the same */
    KEY_HEALTHY,
    KEY_COOLING,   /* failed too often in a row: our own judgement */
    KEY_LIMITED,   /* refused for its rate: the provider's judgement */
    KEY_FORBIDDEN, /* known, and refused all the same */
    KEY_DEPLETED,  /* its money is used up */
    KEY_INVALID,   /* refused as unknown; only a probe brings it back */
    KEY_TESTING,   /* its time is up, and one real request is finding out */
    KEY_HEALTH_COUNT,
};

enum key_token {
    KEY_TOKEN_UNNEEDED, /* the key is a secret, or none is wanted */
    KEY_TOKEN_AWAITED,  /* the first, or one in place of a refused one, is being fetched */
    KEY_TOKEN_HELD,
    KEY_TOKEN_MISSING, /* none could be had, or the last one's time is up */
};

/* The states with their names (as the admin API says them) and allowed moves. */
extern const struct sm_state key_health_rows[KEY_HEALTH_COUNT];

/* The name a user sees: "new", "trial", "healthy", "cooling" (also for KEY_LIMITED), "forbidden",
 * "depleted", "invalid", "testing". */
const char *key_health_text(enum key_health health);
const char *key_wish_text(enum key_wish wish);

struct key *key_ref(struct key *key);

/* Wipes and frees with the last reference; leaves NULL. */
void key_unref(struct key **place);

/* Borrowed, as long as a reference is held. */
struct span key_name(const struct key *key);
struct span key_account(const struct key *key); /* empty: an account of its own */

/* Its identity: CONF_IDENTITY_BYTES, borrowed likewise. */
const uint8_t *key_digest(const struct key *key);

/* The whole header lines of its credential, "Authorization: Bearer sk-...\r\n", to be sent as they
 * are, with a reference of the caller's (secret_unref): a token may be replaced meanwhile. NULL for
 * the key that stands for "no key" at a provider without any, and before the first token. Whoever
 * holds a grant has keypool_line. */
struct secret *key_take_line(struct key *key);

/* As observed now, and until when it lasts (0: no time). A KEY_COOLING whose time is up still reads
 * so until somebody tests it. */
enum key_health key_health(const struct key *key, uint64_t *ret_until_us);
enum key_wish key_wish(const struct key *key);

/* How many requests run on it, over all workers. Any thread. */
uint32_t key_in_flight(const struct key *key);

/* How it stands with its token now. */
enum key_token key_token(const struct key *key, uint64_t now_us);

/* Its circuit breaker, as it stands now. */
enum breaker_state key_breaker(const struct key *key, uint64_t now_us);

#endif

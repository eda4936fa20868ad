/*
 * What is known of keys that should outlive the process, as plain values: told by keypool_keep,
 * and given back to a pool of another process by keypool_restore. Only what stands against a key,
 * and what an operator wants of it: one that is new, on trial or healthy begins as any key does.
 * Times are on the clock of now_us, and what stands against the account of a key is told of the
 * key. The control thread's; workers go on meanwhile.
 */
#ifndef KEYPOOL_KEPT_H
#define KEYPOOL_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/config.h"
#include "keypool/keypool.h"

enum { KEPT_MODELS = 16, KEPT_NAME_BYTES = 80 };

/* Why a model is set aside for a key. */
enum kept_aside { KEPT_LIMITED, KEPT_FORBIDDEN, KEPT_MISSING, KEPT_ASIDES };

struct kept_model {
    char name[KEPT_NAME_BYTES]; /* with a NUL; one that fills it was cut, and is not told */
    enum kept_aside aside;
    uint64_t until_us;
};

struct kept_key {
    uint8_t identity[CONF_IDENTITY_BYTES]; /* conf_key.identity */
    struct span name;                      /* borrowed for the call */
    enum key_wish wish;
    uint32_t weight_milli;
    uint32_t said_milli;    /* what the file, or what is known beside it, says of the weight */
    enum key_health health; /* KEY_HEALTHY where nothing stands against it; else as it is */
    uint32_t failures;      /* in a row */
    uint64_t until_us;      /* of a benched state */
    enum breaker_state breaker;
    uint64_t breaker_until_us; /* of an open one */
    struct kept_model models[KEPT_MODELS];
    size_t model_count;
};

/* Grows with each change of what is kept (and with others): where it is the same as before, there
 * is nothing to look for. To be asked before keypool_keep. */
uint64_t keypool_changes(const struct keypool *pool);

/* Tells of each key but the one that stands for "no key", in the order of the file. What is told is
 * whose it is told to, for the call. */
void keypool_keep(struct keypool *pool, uint64_t now_us,
                  void (*tell)(void *owner, struct kept_key *kept), void *owner);

/* True where there is nothing about it that another process would have to know. */
bool kept_is_plain(const struct kept_key *kept);

/* A number that is another one, as good as always, where what is kept is; never 0. */
uint64_t kept_fingerprint(const struct kept_key *kept);

/* Gives the pool's key of that identity what an earlier process knew of it; false where there is
 * none. What has been observed, or ordered, in this process stands. Its weight by an operator
 * stands while what is said of its weight is what it was. No rest is longer than the settings
 * allow, whatever the clocks say. A key is invalid until a probe finds otherwise, which is to be
 * sent now (ret_effect). */
bool keypool_restore(struct keypool *pool, const struct kept_key *kept, uint64_t now_us,
                     struct keypool_effect *ret_effect);

/* The words by which these are kept: unlike those for users, each says one state. False where the
 * text is none of them. */
const char *kept_health_word(enum key_health health);
const char *kept_aside_word(enum kept_aside aside);
bool kept_read_health(struct span word, enum key_health *ret_health);
bool kept_read_aside(struct span word, enum kept_aside *ret_aside);
bool kept_read_wish(struct span word, enum key_wish *ret_wish);
bool kept_read_breaker(struct span word, enum breaker_state *ret_state);

#endif

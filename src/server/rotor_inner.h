/*
 * What the parts of a rotor share: rotor.c holds its life and what the file says, rotor_pool.c
 * brings the pool to what the rotation says, rotor_proof.c has keys validated, rotor_news.c tells.
 * Private to server/rotor*.c; the control thread's.
 */
#ifndef SERVER_ROTOR_INNER_H
#define SERVER_ROTOR_INNER_H

#include "server/rotor.h"
#include "server/rotor_triggers.h"

/* What is said of keys beside the file: what stands, and during a reload two more of each key whose
 * secret is another one. */
enum { ROTOR_EXTRAS_MAX = 3 * LIFE_KEYS_MAX };

/* A key as it stands, with texts of its own. */
struct stood {
    char name[LIFE_NAME_BYTES], replaces[LIFE_NAME_BYTES];
    uint8_t identity[LIFE_IDENTITY_BYTES];
    struct secret *secret; /* NULL: none is known */
    uint64_t expires_wall_us;
    enum life_standing standing;
    uint32_t share_ppm;
    /* What rotation wished of it last, as far as that was not the usual: an operator's wish besides
     * stands. */
    enum key_wish wished;
    uint32_t weighed_milli;
    bool is_weighed;
};

struct rotor {
    struct rotor_options options;
    const struct conf_provider *conf;
    struct provider *provider;
    struct issuer *issuer;
    /* Of a file that was read anew, until the others are not being asked; NULL: none. */
    struct issuer *next_issuer;
    struct rotor_stores next;
    struct loop_timer changing; /* tries them */
    struct rotation *rotation;
    struct rotor_triggers *triggers;
    struct keypool_trial *trial; /* NULL: no canary */

    /* What the pool was told last. */
    struct stood stood[LIFE_KEYS_MAX];
    size_t count;
    struct keypool_extra extras[ROTOR_EXTRAS_MAX]; /* made of it, and of the configuration */
    bool is_following; /* changes are being taken, though a reload is under way, which the pool has
                          behind it */

    struct loop_timer look;           /* at the key that is being validated */
    char validating[LIFE_NAME_BYTES]; /* empty: none is */
    uint64_t missing_until_us;
};

static inline uint64_t rotor_now_us(const struct rotor *rotor)
{
    return loop_now_us(rotor->options.loop);
}

/* The key of that name, or identity, in the file; NULL. */
const struct conf_key *rotor_key_named(const struct conf_provider *conf, struct span name);
const struct conf_key *rotor_key_like(const struct conf_provider *conf, const uint8_t *identity);

/* Brings the pool to what stands. 0, or an error, in which it is as it was. */
int rotor_follow(struct rotor *rotor);

/* Speaks of no key any more. */
void rotor_drop_stood(struct rotor *rotor);

/* Has the secrets that are others than before prove themselves. */
void rotor_take_changes(struct rotor *rotor, const struct conf_provider *before);

/* As struct rotation_ops has them. */
int rotor_stand(void *owner, const struct rotation_stand *stands, size_t count);
bool rotor_is_drained(void *owner, struct span name);
void rotor_take(void *owner, struct evidence_tick *ret_tick);
void rotor_validate(void *owner, struct span name);
void rotor_on_news(void *owner, const struct rotation_news *news);
void rotor_on_trouble(void *owner, enum rotation_side side, const char *why);

/* Tells that a new secret was taken, and why without a proof. */
void rotor_tell_taken(struct rotor *rotor, struct span name, const char *why);

/* Looks at the key that is being validated: of rotor->look. */
void rotor_look(struct loop_timer *timer);

/* Raises the alert of its provider, now. */
void rotor_alert(struct rotor *rotor, struct alert *alert);

/* Told where the key of that name is off, whether another one is on its way or not. */
void rotor_tell_leak(struct rotor *rotor, struct span name);

#endif

/*
 * The rotation of one provider's keys: lives what rotation/life.h decides, through an issuer, a
 * secret store and the pool. In the store it has one folder: an entry for each key that it had
 * made, and the entry `state`, from which alone a gateway with an empty disk goes on. Where the
 * store is out of reach nothing is taken away from the pool, and nothing new begins; it is asked
 * again, ever more seldom. Where somebody else has written the state meanwhile, theirs is read and
 * gone on from.
 *
 * The control thread, on whose loop it lives; never blocks.
 */
#ifndef ROTATION_ROTATION_H
#define ROTATION_ROTATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/secret.h"
#include "base/span.h"
#include "canary/canary.h"
#include "io/loop.h"
#include "rotation/issuer.h"
#include "rotation/life.h"
#include "secrets/secret_store.h"

struct rotation;

/* How a key of which rotation speaks is to stand in the pool; borrowed for the call. */
struct rotation_stand {
    struct span name;
    struct secret *secret;    /* NULL: a key that rotation did not make, or whose secret could not
                                 be read yet; such a one is known to the pool by its identity */
    const uint8_t *identity;  /* LIFE_IDENTITY_BYTES; zeroes: not known */
    struct span replaces;     /* whose place it takes, and whose settings it has; empty: nobody's */
    uint64_t expires_wall_us; /* 0: never */
    enum life_standing standing;
    uint32_t share_ppm; /* of LIFE_STANDS_SHARE */
};

/* A key has taken a step; borrowed for the call. */
struct rotation_news {
    const struct life_key *key;
    enum life_step from; /* LIFE_STEPS: it has just come to be known */
};

/* With whom there can be trouble. */
enum rotation_side { ROTATION_STORE, ROTATION_ISSUER, ROTATION_SIDES };

/* What rotation asks of its surroundings. None of them may free the rotation. */
struct rotation_ops {
    /* Brings the pool to what stands here: the keys that are to serve before those that are to end.
     * Whatever stood there and is not named any more is as the file says. 0, or an error, in which
     * the pool is as it was: it is asked again soon. */
    int (*stand)(void *owner, const struct rotation_stand *stands, size_t count);
    /* Asks the provider whether it knows the key: rotation_validated follows, not before this
     * returns. */
    void (*validate)(void *owner, struct span name);
    /* Nothing is under way on the key any more, which stands LIFE_STANDS_OFF. */
    bool (*is_drained)(void *owner, struct span name);
    /* What has become known of canary and old keys since the last call. */
    void (*take)(void *owner, struct evidence_tick *ret_tick);
    /* The identity (struct conf_key) of a secret of this provider. */
    void (*identify)(void *owner, const struct secret *secret,
                     uint8_t ret_identity[LIFE_IDENTITY_BYTES]);
    /* The file has a key of that identity. NULL: it has none. */
    bool (*is_in_file)(void *owner, const uint8_t identity[LIFE_IDENTITY_BYTES]);
    void (*on_news)(void *owner, const struct rotation_news *news);
    /* Store or issuer fail with words that are new; NULL: that one does not any more. */
    void (*on_trouble)(void *owner, enum rotation_side side, const char *why);
    /* The secret of that key was changed in its entry while no gateway looked: it is taken as it
     * stands, as the one before is kept nowhere. */
    void (*on_taken)(void *owner, struct span name);
    /* Somebody else has changed the secret of a key that serves, in its entry in the store: its
     * identity, as it serves on with the one that it has. NULL: that matters to nobody. */
    void (*on_changed)(void *owner, const uint8_t identity[LIFE_IDENTITY_BYTES]);
};

struct rotation_settings {
    struct span folder;     /* in the store: "PROVIDER" */
    struct span name;       /* of new keys, with {time}: "auto-rotate-{time}" */
    struct span created_by; /* as entries say it */
    struct life_rules rules;
    struct canary_settings canary;
};

struct rotation_options {
    struct loop *loop;
    struct secret_arena *secrets;
    struct secret_store *store; /* all of these outlive it */
    struct issuer *issuer;
    const struct rotation_settings *settings; /* copied */
    const struct rotation_ops *ops;
    void *owner;
};

/* Reads its state from the store, and goes on from there. NULL without memory. */
struct rotation *rotation_new(const struct rotation_options *options);

/* What is under way ends untold; it is found again by whoever reads the state. Accepts a pointer to
 * NULL. */
void rotation_free(struct rotation **place);

/* ---- orders ---- */

enum rotation_begun {
    ROTATION_BEGUN,
    ROTATION_BUSY,    /* one is under way: *ret_id is that one's */
    ROTATION_GONE,    /* the key serves no more */
    ROTATION_CROWDED, /* rotation.max_keys */
    ROTATION_AWAY,    /* the state could not be read yet */
};

/* How the rotation of that number is named to the world, "PROVIDER-NUMBER"; empty for number 0. */
enum { ROTATION_ID_BYTES = 256 };
struct span rotation_id(struct span provider, uint64_t number, char to[ROTATION_ID_BYTES]);

/* Which key an order is about, and why. */
struct rotation_order {
    struct span replaces;    /* its name; of a rotation also empty: there is to be one more */
    const uint8_t *identity; /* of its secret; NULL: not known */
    enum life_trigger trigger;
    const char *why; /* in plain words; NULL: the trigger says all */
};

/* Replaces a key. *ret_id: the rotation's, from 1. */
enum rotation_begun rotation_begin(struct rotation *rotation, const struct rotation_order *order,
                                   uint64_t *ret_id);

/* The secret of a key of the file is another one. */
struct rotation_change {
    struct span name; /* the key's */
    const uint8_t *old_identity, *identity;
    struct secret *old_secret;
};

/* The new secret proves itself as a successor does, without an issuer, while the old one serves on
 * as NAME-before-TIME. ROTATION_GONE, ROTATION_CROWDED, ROTATION_AWAY: it is as the file says. To
 * be called before rotation_follow_file. */
enum rotation_begun rotation_adopt(struct rotation *rotation, const struct rotation_change *change);

/* Takes a key that serves out of service, as life_prune does: false where it serves no more, there
 * is no room, or the state could not be read yet. */
bool rotation_prune(struct rotation *rotation, const struct rotation_order *order);

/* The operator's: false where the key is not known here, or its step does not allow it. */
bool rotation_roll_back(struct rotation *rotation, struct span name, const char *reason);
bool rotation_hold(struct rotation *rotation, bool is_held); /* the canary's ramp */
bool rotation_advance(struct rotation *rotation);

/* ---- what the surroundings tell ---- */

/* What came of validate: err 0: the provider knows the key. */
void rotation_validated(struct rotation *rotation, struct span name, int err, const char *why);

/* What the triggers are to remember, over restarts too. */
void rotation_remember(struct rotation *rotation, const struct life_memory *memory);

/* The file is another now: what was off and stands in it no more is not spoken of again. */
void rotation_follow_file(struct rotation *rotation);

/* The rules and the canary's settings from now on; folder and created_by stay. ERR_RANGE of a name
 * that is too long, in which nothing changes. */
int rotation_set_settings(struct rotation *rotation, const struct rotation_settings *settings);

/* Another issuer, or another way to the same store, is asked from now on, and nothing of the one
 * before is used any more. False where that is being asked: again later. An issuer that merely
 * waits for a key is not waited for: the other one waits in its place. */
bool rotation_set_issuer(struct rotation *rotation, struct issuer *issuer);
bool rotation_set_store(struct rotation *rotation, struct secret_store *store);

/* The canary has failed: its evidence is looked at now. */
void rotation_hurry(struct rotation *rotation);

/* ---- what there is ---- */

/* The state was read, so that what rotation_life tells is all there is. */
bool rotation_is_loaded(const struct rotation *rotation);

/* Valid until control returns to the loop. */
const struct life *rotation_life(const struct rotation *rotation);

/* A key of the file serves on while the one of that name and identity proves itself, or as it did
 * not. */
bool rotation_stand_in(const struct rotation *rotation, struct span name, const uint8_t *identity);

/* The canary's share of its predecessor's place, in millionths; 0 where there is none. */
uint32_t rotation_share_ppm(const struct rotation *rotation);

/* The canary; NULL: none. */
const struct canary *rotation_canary(const struct rotation *rotation);

/* What a key on its way in waits for: the words of the store or the issuer; of a canary how it does
 * (canary_explain). Empty: nothing is known. */
void rotation_explain(const struct rotation *rotation, const struct life_key *key,
                      char ret_text[CANARY_EXPLAIN_BYTES]);

#endif

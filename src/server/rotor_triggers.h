/*
 * What starts a rotation of a provider's keys besides an operator: looks at the keys about once a
 * second, has rotation/trigger decide, and follows: a rotation begins, a key is pruned, somebody is
 * warned. Belongs to a rotor; the control thread's.
 */
#ifndef SERVER_ROTOR_TRIGGERS_H
#define SERVER_ROTOR_TRIGGERS_H

#include "alerts/alert.h"
#include "conf/config.h"
#include "keypool/keypool.h"
#include "obs/log.h"
#include "rotation/rotation.h"

struct rotor_triggers;

/* All of it outlives the triggers. */
struct rotor_triggers_options {
    struct loop *loop;
    struct log *log;
    struct keypool *pool;
    struct rotation *rotation;
    /* The pool cannot be changed now: a reload is under way. */
    bool (*is_busy)(void *owner);
    /* Something is worth waking somebody for, but for provider and time; borrowed for the call. */
    void (*on_alert)(void *owner, struct alert *alert);
    void *owner;
};

/* Follows the provider's settings, which live until the next rotor_triggers_set_conf. 0 or
 * ERR_NOMEM. */
int rotor_triggers_new(const struct rotor_triggers_options *options,
                       const struct conf_provider *conf, struct rotor_triggers **ret_triggers);

/* Accepts a pointer to NULL. */
void rotor_triggers_free(struct rotor_triggers **place);

/* Other settings hold from now on. A schedule whose zone cannot be read any more is told to the
 * log, and not followed. */
void rotor_triggers_set_conf(struct rotor_triggers *triggers, const struct conf_provider *conf);

/* The secret of the key of that identity was changed where it is kept. */
void rotor_triggers_changed(struct rotor_triggers *triggers,
                            const uint8_t identity[LIFE_IDENTITY_BYTES]);

#endif

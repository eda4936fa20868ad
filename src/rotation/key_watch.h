/*
 * What the triggers look at: a provider's keys with their ages, dates, errors and refusals, put
 * together from its keypool, from the life of its keys and from the file, and what has to be
 * remembered of each key from one look to the next. Nothing of it outlives the process: what must
 * is written down with the life of the keys.
 *
 * Errors count as one key's only where the others do better: where a provider answers all its keys
 * badly, none of them is to blame, and another key would be no better.
 *
 * Owned by who drives the rotation; the control thread. No secret stands here.
 */
#ifndef ROTATION_KEY_WATCH_H
#define ROTATION_KEY_WATCH_H

#include "conf/config.h"
#include "keypool/keypool.h"
#include "rotation/trigger.h"

struct key_watch;

/* NULL without memory. */
struct key_watch *key_watch_new(void);

/* Accepts a pointer to NULL. */
void key_watch_free(struct key_watch **place);

/* One look; all of it is borrowed for the call. */
struct key_watch_look {
    struct keypool *pool;
    const struct conf_provider *conf; /* with a rotation: expiry dates, and the window of errors */
    const struct life *life;
    const struct trigger_rules *rules;
    const struct trigger_now *now;
};

/* Looks at all keys: 0, or ERR_NOMEM. The facts' keys, with their names, stay until the next look;
 * the rest of the facts but is_busy, ended_us and failures is the caller's to add. */
int key_watch_look(struct key_watch *watch, const struct key_watch_look *look,
                   struct trigger_facts *ret_facts);

/* Of a key of the last look: the identity of its secret, LIFE_IDENTITY_BYTES. */
const uint8_t *key_watch_identity(const struct key_watch *watch, size_t at);

/* It was warned of the date that stood there. */
void key_watch_warned(struct key_watch *watch, size_t at);

/* It cannot be pruned before that time: it is not spoken of until then. */
void key_watch_keep(struct key_watch *watch, size_t at, uint64_t until_us);

/* The secret of a key was changed where it is kept; told with the identity that it had, or has.
 * Until a rotation of it has begun; without memory it is not remembered. */
void key_watch_changed(struct key_watch *watch, const uint8_t identity[LIFE_IDENTITY_BYTES]);

/* A rotation of a key of the last look has begun. */
void key_watch_begun(struct key_watch *watch, size_t at);

#endif

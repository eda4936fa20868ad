/* Whether a provider knows a key that is to be the next: probes are asked, and looked at. */
#include "server/rotor_inner.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"

/* How often a key that is being validated is looked at. */
#define LOOK_US (20 * US_PER_MS)

/* For how long a key that is being validated may be missing from the pool. */
#define MISSING_US (30 * US_PER_SEC)

static void end_validation(struct rotor *rotor, int err, const char *why)
{
    char name[LIFE_NAME_BYTES];

    memcpy(name, rotor->validating, sizeof(name));
    rotor->validating[0] = '\0';
    rotation_validated(rotor->rotation, span_from_text(name), err, why);
}

static void look_later(struct rotor *rotor)
{
    /* Reserved: it cannot fail. */
    (void)loop_timer_set(&rotor->look, rotor_now_us(rotor) + LOOK_US);
}

/* The prober asks about every new key by itself. */
void rotor_look(struct loop_timer *timer)
{
    struct rotor *rotor = container_of(timer, struct rotor, look);
    struct key *key = keypool_find_key(rotor_pool(rotor), span_from_text(rotor->validating));
    uint64_t until_us;
    bool is_there = key != NULL;
    enum key_health health = key ? key_health(key, &until_us) : KEY_NEW;

    key_unref(&key);
    if (!rotor->validating[0])
        return;
    if (!is_there && rotor_now_us(rotor) >= rotor->missing_until_us) {
        end_validation(rotor, ERR_NOTFOUND, "the pool does not have it");
        return;
    }
    switch (health) {
    case KEY_NEW:
        look_later(rotor);
        return;
    case KEY_INVALID:
        end_validation(rotor, ERR_DENIED, "its provider does not know it (401)");
        return;
    case KEY_TRIAL:
        end_validation(rotor, ERR_TIMEOUT, "its provider does not answer");
        return;
    case KEY_HEALTHY:
    case KEY_COOLING:
    case KEY_LIMITED:
    case KEY_FORBIDDEN:
    case KEY_DEPLETED:
    case KEY_TESTING:
    case KEY_HEALTH_COUNT:
        break;
    }
    end_validation(rotor, 0, NULL);
}

/* One that was refused before is a new key again, so that it is asked about at once. */
static void renew(struct rotor *rotor, const char *name)
{
    const struct keypool_extras all = {rotor->extras, rotor->count};

    for (size_t i = 0; i < rotor->count; i++)
        rotor->extras[i].is_gone = !strcmp(rotor->stood[i].name, name);
    if (!keypool_apply(rotor_pool(rotor), rotor->conf, &all, rotor_now_us(rotor),
                       loop_wall_us(rotor->options.loop)))
        (void)rotor_follow(rotor);
}

void rotor_validate(void *owner, struct span name)
{
    struct rotor *rotor = owner;
    struct key *key = keypool_find_key(rotor_pool(rotor), name);
    uint64_t until_us;
    bool is_known = key && key_health(key, &until_us) != KEY_NEW;

    key_unref(&key);
    memcpy(rotor->validating, name.ptr, name.len);
    rotor->validating[name.len] = '\0';
    rotor->missing_until_us = rotor_now_us(rotor) + MISSING_US;
    if (is_known && !rotor->options.is_busy(rotor->options.owner))
        renew(rotor, rotor->validating);
    look_later(rotor);
}

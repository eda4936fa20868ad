/* Keys of the file whose secret is another one after a reload: the new one proves itself while the
 * old one serves on. Until the rotation knows of them, the reload is told so. */
#include "server/rotor_inner.h"

#include <string.h>

/* A key of the file as it was and as it is. */
struct change {
    const struct conf_key *was, *is;
};

static bool is_same(const struct conf_key *key, const struct conf_key *other)
{
    return !memcmp(key->identity, other->identity, CONF_IDENTITY_BYTES);
}

/* The next key whose name is the same, and whose secret is another: neither may stand elsewhere in
 * the list, for keys without a name of their own are counted. */
static bool find_change(const struct conf_provider *before, const struct conf_provider *after,
                        size_t *at, struct change *ret_change)
{
    while (*at < after->keys.count) {
        size_t i = (*at)++;
        const struct conf_key *is = &after->keys.items[i], *was;

        if (i < before->keys.count && is_same(&before->keys.items[i], is))
            continue;
        was = rotor_key_named(before, is->name);
        if (!was || rotor_key_like(after, was->identity) || rotor_key_like(before, is->identity))
            continue;
        *ret_change = (struct change){was, is};
        return true;
    }
    return false;
}

/* It serves, as far as the gateway can tell: a key that is off, refused or empty is no reason to
 * keep the next one waiting. */
static bool is_good(const struct key *key)
{
    uint64_t until_us;

    if (key_wish(key) != KEY_ENABLED)
        return false;
    switch (key_health(key, &until_us)) {
    case KEY_HEALTHY:
    case KEY_TRIAL:
    case KEY_COOLING:
    case KEY_LIMITED:
    case KEY_TESTING:
        return true;
    case KEY_NEW:
    case KEY_INVALID:
    case KEY_FORBIDDEN:
    case KEY_DEPLETED:
    case KEY_HEALTH_COUNT:
        break;
    }
    return false;
}

static bool serves(const struct rotor *rotor, const struct conf_key *was)
{
    struct span identity = span_of((const char *)was->identity, CONF_IDENTITY_BYTES);
    struct key *key = keypool_find_identity(rotor_pool(rotor), identity);
    bool does = key && is_good(key);

    key_unref(&key);
    return does || rotation_stand_in(rotor->rotation, was->name, was->identity);
}

/* Why the new secret is taken as it is; NULL: it is to prove itself. */
static const char *why_not(const struct rotor *rotor, const struct conf_provider *after,
                           const struct change *change)
{
    if (!(after->rotation->on & CONF_ROTATION_SECRET_CHANGED))
        return "rotation.on is without secret_changed";
    if (!change->was->secret || !change->is->secret)
        return "it is exchanged for tokens";
    if (!rotation_is_loaded(rotor->rotation))
        return "the state of the keys cannot be read";
    return serves(rotor, change->was) ? NULL : "the one before does not serve";
}

struct keypool_extras rotor_extras(struct rotor *rotor, const struct conf_provider *next)
{
    size_t count = rotor->count, at = 0;
    struct change change;

    while (next && count + 2 <= ROTOR_EXTRAS_MAX && find_change(rotor->conf, next, &at, &change)) {
        if (why_not(rotor, next, &change))
            continue;
        rotor->extras[count++] = (struct keypool_extra){
            .key = *change.is, .weight_milli = change.is->weight * 1000, .wish = KEY_DRAINED};
        rotor->extras[count++] = (struct keypool_extra){
            .key = *change.was, .weight_milli = change.was->weight * 1000, .wish = KEY_ENABLED};
    }
    return (struct keypool_extras){rotor->extras, count};
}

/* It serves at once, whatever the reload was told. */
static void take_as_is(struct rotor *rotor, const struct conf_key *is, const char *why)
{
    struct span identity = span_of((const char *)is->identity, CONF_IDENTITY_BYTES);
    struct key *key = keypool_find_identity(rotor_pool(rotor), identity);
    struct keypool_effect effect;

    rotor_tell_taken(rotor, is->name, why);
    if (key && key_wish(key) == KEY_DRAINED) {
        effect = keypool_wish(rotor_pool(rotor), key, KEY_ENABLED, rotor_now_us(rotor));
        rotor->options.on_effect(rotor->options.owner, rotor->provider, &effect);
    }
    key_unref(&key);
}

static const char *adopt(struct rotor *rotor, const struct change *change)
{
    const struct rotation_change made = {.name = change->is->name,
                                         .old_identity = change->was->identity,
                                         .identity = change->is->identity,
                                         .old_secret = change->was->secret};

    switch (rotation_adopt(rotor->rotation, &made)) {
    case ROTATION_BEGUN:
        return NULL;
    case ROTATION_GONE:
        return "it was known before, or the one before is off";
    case ROTATION_CROWDED:
        return "there are too many keys that have to do with rotation";
    case ROTATION_BUSY:
    case ROTATION_AWAY:
        break;
    }
    return "the state of the keys cannot be read";
}

void rotor_take_changes(struct rotor *rotor, const struct conf_provider *before)
{
    struct change change;
    size_t at = 0;

    while (find_change(before, rotor->conf, &at, &change)) {
        const char *why = why_not(rotor, rotor->conf, &change);

        if (!why)
            why = adopt(rotor, &change);
        if (why)
            take_as_is(rotor, change.is, why);
    }
}

/* The pool brought to what a rotation says: keys that come and go, what is wished of them, weights
 * and the canary's share. */
#include "server/rotor_inner.h"

#include <string.h>

#include "base/err.h"
#include "canary/weights.h"

/* ---- what a key is like ---- */

const struct conf_key *rotor_key_named(const struct conf_provider *conf, struct span name)
{
    for (size_t i = 0; i < conf->keys.count; i++) {
        if (span_is_equal(conf->keys.items[i].name, name))
            return &conf->keys.items[i];
    }
    return NULL;
}

const struct conf_key *rotor_key_like(const struct conf_provider *conf, const uint8_t *identity)
{
    for (size_t i = 0; i < conf->keys.count; i++) {
        if (!memcmp(conf->keys.items[i].identity, identity, CONF_IDENTITY_BYTES))
            return &conf->keys.items[i];
    }
    return NULL;
}

static const struct conf_key *file_key(const struct rotor *rotor, const char *name)
{
    return rotor_key_named(rotor->conf, span_from_text(name));
}

static const struct stood *find_stood(const struct rotor *rotor, const char *name)
{
    for (size_t i = 0; i < rotor->count; i++) {
        if (name[0] && !strcmp(rotor->stood[i].name, name))
            return &rotor->stood[i];
    }
    return NULL;
}

/* The pool's key of which the rotor speaks under that name, with a reference: where the name is
 * another key's by now, that one is none of its. NULL: the pool has it not. */
static struct key *find_key(const struct rotor *rotor, struct span name)
{
    static const uint8_t unknown[LIFE_IDENTITY_BYTES];

    for (size_t i = 0; i < rotor->count; i++) {
        const struct stood *stood = &rotor->stood[i];

        if (span_is_equal(span_from_text(stood->name), name) &&
            memcmp(stood->identity, unknown, LIFE_IDENTITY_BYTES) != 0)
            return keypool_find_identity(
                rotor_pool(rotor), span_of((const char *)stood->identity, LIFE_IDENTITY_BYTES));
    }
    return keypool_find_key(rotor_pool(rotor), name);
}

static const struct stood *find_successor(const struct rotor *rotor, const struct stood *stood)
{
    for (size_t i = 0; i < rotor->count; i++) {
        if (!strcmp(rotor->stood[i].replaces, stood->name))
            return &rotor->stood[i];
    }
    return NULL;
}

/* A key has the settings of the one whose place it takes, and so on back to one of the file, or of
 * the one that takes its place; where none is there, those of the file's first. */
static const struct conf_key *model_of(const struct rotor *rotor, const struct stood *stood)
{
    for (size_t i = 0; stood && i <= rotor->count; i++) {
        const struct conf_key *found = file_key(rotor, stood->name);

        if (!found && stood->replaces[0])
            found = file_key(rotor, stood->replaces);
        if (found)
            return found;
        stood =
            stood->replaces[0] ? find_stood(rotor, stood->replaces) : find_successor(rotor, stood);
    }
    return &rotor->conf->keys.items[0];
}

static uint32_t place_milli(const struct conf_key *model)
{
    return model->weight * 1000;
}

/* ---- telling the pool ---- */

void rotor_drop_stood(struct rotor *rotor)
{
    for (size_t i = 0; i < rotor->count; i++)
        secret_unref(&rotor->stood[i].secret);
    rotor->count = 0;
}

/* Who is proven is asked about by probes alone; who is off not even by those, as it may be revoked.
 */
static enum key_wish wish_of(enum life_standing standing)
{
    switch (standing) {
    case LIFE_STANDS_SHARE:
    case LIFE_STANDS_FULL:
        return KEY_ENABLED;
    case LIFE_STANDS_PROOF:
        return KEY_DRAINED;
    case LIFE_STANDS_NONE:
    case LIFE_STANDS_OFF:
        break;
    }
    return KEY_DISABLED;
}

/* What is said of it borrows from the rotor and from the configuration in force. */
static void make_extra(struct rotor *rotor, size_t at)
{
    const struct stood *stood = &rotor->stood[at];
    const struct conf_key *model = model_of(rotor, stood);
    struct keypool_extra *extra = &rotor->extras[at];

    *extra = (struct keypool_extra){
        .key = *model, .weight_milli = place_milli(model), .wish = wish_of(stood->standing)};
    extra->key.name = span_from_text(stood->name);
    extra->key.secret = stood->secret;
    extra->key.credential = NULL;
    extra->key.expires_wall_us = stood->expires_wall_us;
    memcpy(extra->key.identity, stood->identity, CONF_IDENTITY_BYTES);
}

static int apply(struct rotor *rotor)
{
    const struct keypool_extras all = {rotor->extras, rotor->count};

    for (size_t i = 0; i < rotor->count; i++)
        make_extra(rotor, i);
    return keypool_apply(rotor_pool(rotor), rotor->conf, &all, rotor_now_us(rotor),
                         loop_wall_us(rotor->options.loop));
}

/* Another one stands for the same key: the one that took nobody's place does, and of two such, the
 * one that is to end. */
static bool is_doubled(const struct rotor *rotor, size_t at)
{
    const struct stood *stood = &rotor->stood[at];

    for (size_t i = 0; i < rotor->count; i++) {
        const struct stood *other = &rotor->stood[i];

        if (i == at || memcmp(other->identity, stood->identity, LIFE_IDENTITY_BYTES) != 0)
            continue;
        if (!stood->replaces[0] != !other->replaces[0] ? stood->replaces[0] != 0 : i > at)
            return true;
    }
    return false;
}

static void wish(struct rotor *rotor, size_t at)
{
    const struct keypool_extra *extra = &rotor->extras[at];
    struct stood *stood = &rotor->stood[at];
    struct span identity = span_of((const char *)extra->key.identity, CONF_IDENTITY_BYTES);
    struct key *key = keypool_find_identity(rotor_pool(rotor), identity);
    struct keypool_effect effect;

    if (!key || is_doubled(rotor, at)) {
        key_unref(&key);
        return;
    }
    /* An operator who was there before it was to serve has the last word. */
    if (stood->wished != extra->wish &&
        !(extra->wish == KEY_ENABLED && key_wish(key) != stood->wished)) {
        effect = keypool_wish(rotor_pool(rotor), key, extra->wish, rotor_now_us(rotor));
        rotor->options.on_effect(rotor->options.owner, rotor->provider, &effect);
    }
    stood->wished = extra->wish;
    key_unref(&key);
}

static void weigh(struct rotor *rotor, size_t at, uint32_t weight_milli)
{
    struct stood *stood = &rotor->stood[at];
    struct key *key = find_key(rotor, rotor->extras[at].key.name);
    struct keypool_effect effect;
    uint32_t before = stood->is_weighed ? stood->weighed_milli : rotor->extras[at].weight_milli;

    if (!key || before == weight_milli) {
        key_unref(&key);
        return;
    }
    stood->is_weighed = true;
    stood->weighed_milli = weight_milli;
    effect = keypool_weigh(rotor_pool(rotor), key, weight_milli);
    rotor->options.on_effect(rotor->options.owner, rotor->provider, &effect);
    key_unref(&key);
}

/* The weights of all other keys of that priority that serve, but for these two. */
static uint64_t weigh_others(struct rotor *rotor, struct span canary, struct span replaced,
                             int32_t priority)
{
    struct keypool_row row;
    uint64_t sum = 0;
    size_t at = 0;

    while (keypool_describe(rotor_pool(rotor), &at, rotor_now_us(rotor), &row)) {
        bool is_either = span_is_equal(row.name, canary) || span_is_equal(row.name, replaced);

        if (!is_either && row.priority == priority && row.wish == KEY_ENABLED)
            sum += row.weight_milli;
        key_unref(&row.key);
    }
    return sum;
}

static bool has_predecessor(struct rotor *rotor, struct span name)
{
    struct key *key = name.len ? find_key(rotor, name) : NULL;
    bool is_there = key && key_wish(key) == KEY_ENABLED;

    key_unref(&key);
    return is_there;
}

/* The canary gets its share of its predecessor's place. */
static int try_canary(struct rotor *rotor, size_t at)
{
    const struct stood *canary = &rotor->stood[at];
    const struct conf_key *model = model_of(rotor, canary);
    struct span name = rotor->extras[at].key.name, replaced = span_from_text(canary->replaces);
    const struct canary_weights weights = canary_weigh(
        canary->share_ppm, place_milli(model), weigh_others(rotor, name, replaced, model->priority),
        has_predecessor(rotor, replaced));
    struct key *key;
    int err = 0;

    for (size_t i = 0; i < rotor->count; i++) {
        if (span_is_equal(rotor->extras[i].key.name, replaced))
            weigh(rotor, i, weights.predecessor_milli);
    }
    if (rotor->trial && !span_is_equal(key_name(keypool_trial_key(rotor->trial)), name))
        keypool_trial_end(&rotor->trial, NULL); /* of a canary before this one */
    if (rotor->trial) {
        keypool_trial_set_share(rotor->trial, weights.pool_ppm);
        return 0;
    }
    key = keypool_find_key(rotor_pool(rotor), name);
    err = key ? keypool_trial_begin(rotor_pool(rotor), key, weights.pool_ppm, &rotor->trial)
              : ERR_NOTFOUND;
    key_unref(&key);
    return err;
}

/* A key that has just come is asked about at once. */
static void look_for_new(struct rotor *rotor)
{
    const struct keypool_effect probe = {.wants_probe = true};

    rotor->options.on_effect(rotor->options.owner, rotor->provider, &probe);
}

int rotor_follow(struct rotor *rotor)
{
    int err = apply(rotor);

    if (!err)
        look_for_new(rotor);
    for (size_t i = 0; i < rotor->count && !err; i++)
        wish(rotor, i);
    for (size_t i = 0; i < rotor->count && !err; i++) {
        if (rotor->stood[i].standing == LIFE_STANDS_SHARE)
            return try_canary(rotor, i);
    }
    if (err)
        return err;
    if (rotor->trial)
        keypool_trial_end(&rotor->trial, NULL);
    for (size_t i = 0; i < rotor->count; i++)
        weigh(rotor, i, rotor->extras[i].weight_milli);
    return 0;
}

/* Of a key that is read anew its secret is not there for a moment: the one that stood there is. */
static struct secret *secret_of(const struct rotor *rotor, const struct rotation_stand *stand)
{
    for (size_t i = 0; i < rotor->count && !stand->secret; i++) {
        const struct stood *before = &rotor->stood[i];

        if (before->secret && span_is_equal(span_from_text(before->name), stand->name) &&
            !memcmp(before->identity, stand->identity, LIFE_IDENTITY_BYTES))
            return secret_ref(before->secret);
    }
    return stand->secret ? secret_ref(stand->secret) : NULL;
}

static void take_over(const struct rotor *rotor, struct stood *stood,
                      const struct rotation_stand *stand)
{
    *stood = (struct stood){
        .secret = secret_of(rotor, stand),
        .expires_wall_us = stand->expires_wall_us,
        .standing = stand->standing,
        .share_ppm = stand->share_ppm,
    };
    memcpy(stood->name, stand->name.ptr, stand->name.len);
    if (stand->replaces.len)
        memcpy(stood->replaces, stand->replaces.ptr, stand->replaces.len);
    memcpy(stood->identity, stand->identity, LIFE_IDENTITY_BYTES);
}

static void remember(struct stood *stood, const struct stood *before)
{
    stood->wished = before->wished;
    stood->weighed_milli = before->weighed_milli;
    stood->is_weighed = before->is_weighed;
}

static bool has_leaked(const struct rotor *rotor, const struct stood *stood)
{
    const struct life *life = rotation_life(rotor->rotation);

    for (uint32_t i = 0; i < life->count; i++) {
        if (life->keys[i].is_leaked &&
            !memcmp(life->keys[i].identity, stood->identity, LIFE_IDENTITY_BYTES))
            return true;
    }
    return false;
}

/* What an operator has said besides stays. */
static void give_back(struct rotor *rotor, size_t at, const struct conf_provider *conf)
{
    const struct stood *stood = &rotor->stood[at];
    const struct conf_key *model = rotor_key_like(conf, stood->identity);
    struct span identity = span_of((const char *)stood->identity, LIFE_IDENTITY_BYTES);
    struct key *key = model ? keypool_find_identity(rotor_pool(rotor), identity) : NULL;

    if (!key || has_leaked(rotor, stood)) {
        key_unref(&key);
        return;
    }
    if (stood->wished != KEY_ENABLED && key_wish(key) == stood->wished)
        (void)keypool_wish(rotor_pool(rotor), key, KEY_ENABLED, rotor_now_us(rotor));
    if (stood->is_weighed && stood->weighed_milli != place_milli(model))
        (void)keypool_weigh(rotor_pool(rotor), key, place_milli(model));
    key_unref(&key);
}

static bool is_among(const struct stood *stood, const struct stood *others, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!memcmp(others[i].identity, stood->identity, LIFE_IDENTITY_BYTES))
            return true;
    }
    return false;
}

/* It was off, and is not known to be that key any more: there is no other. */
static bool is_lost(const struct stood *stood, const struct stood *others, size_t count)
{
    static const uint8_t unknown[LIFE_IDENTITY_BYTES];

    for (size_t i = 0; i < count && stood->standing == LIFE_STANDS_OFF; i++) {
        if (!strcmp(others[i].name, stood->name))
            return !memcmp(others[i].identity, unknown, LIFE_IDENTITY_BYTES);
    }
    return false;
}

/* Keys that were to prove themselves, and of which nobody speaks any more, as somebody else has
 * written the state, or as the secret before is lost: those that the file has serve. */
static void give_back_forgotten(struct rotor *rotor, const struct stood *next, size_t count)
{
    for (size_t i = 0; i < rotor->count; i++) {
        enum life_standing standing = rotor->stood[i].standing;

        if (((standing == LIFE_STANDS_PROOF || standing == LIFE_STANDS_SHARE) &&
             !is_among(&rotor->stood[i], next, count)) ||
            is_lost(&rotor->stood[i], next, count))
            give_back(rotor, i, rotor->conf);
    }
}

int rotor_stand(void *owner, const struct rotation_stand *stands, size_t count)
{
    struct rotor *rotor = owner;
    struct stood next[LIFE_KEYS_MAX];

    if (!rotor->is_following && rotor->options.is_busy(rotor->options.owner))
        return ERR_AGAIN;
    for (size_t i = 0; i < count; i++) {
        const struct stood *before;

        take_over(rotor, &next[i], &stands[i]);
        before = find_stood(rotor, next[i].name);
        if (before && !memcmp(before->identity, next[i].identity, LIFE_IDENTITY_BYTES))
            remember(&next[i], before);
    }
    give_back_forgotten(rotor, next, count);
    rotor_drop_stood(rotor);
    memcpy(rotor->stood, next, count * sizeof(next[0]));
    rotor->count = count;
    /* The pool has what the reload was told until all changes are taken, and follows then. */
    return rotor->is_following ? ERR_AGAIN : rotor_follow(rotor);
}

bool rotor_is_drained(void *owner, struct span name)
{
    struct rotor *rotor = owner;
    struct key *key = find_key(rotor, name);
    bool is_idle = !key || keypool_is_drained(rotor_pool(rotor), key, rotor_now_us(rotor));

    key_unref(&key);
    return is_idle;
}

void rotor_take(void *owner, struct evidence_tick *ret_tick)
{
    struct rotor *rotor = owner;

    memset(ret_tick, 0, sizeof(*ret_tick));
    if (rotor->trial)
        keypool_trial_take(rotor->trial, ret_tick);
}
void rotor_let_go(struct rotor *rotor, const struct conf_provider *conf)
{
    const struct keypool_effect effect = {.wakes = UINT32_MAX, .wants_probe = true};

    for (size_t i = 0; i < rotor->count; i++)
        give_back(rotor, i, conf);
    rotor_drop_stood(rotor);
    rotor->options.on_effect(rotor->options.owner, rotor->provider, &effect);
}

bool rotor_says(const struct rotor *rotor, const uint8_t *identity, enum key_wish *ret_wish,
                uint32_t *ret_weight_milli)
{
    for (size_t i = 0; i < rotor->count; i++) {
        const struct stood *stood = &rotor->stood[i];

        if (memcmp(stood->identity, identity, LIFE_IDENTITY_BYTES) != 0)
            continue;
        *ret_wish = rotor->extras[i].wish;
        *ret_weight_milli =
            stood->is_weighed ? stood->weighed_milli : rotor->extras[i].weight_milli;
        return true;
    }
    return false;
}

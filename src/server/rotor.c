#include "server/rotor.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "canary/weights.h"
#include "conf/identity.h"
#include "server/issuer_of_conf.h"
#include "server/rotation_alerts.h"
#include "server/rotor_triggers.h"

/* How often a key that is being validated is looked at. */
#define LOOK_US (20 * US_PER_MS)

/* For how long a key that is being validated may be missing from the pool. */
#define MISSING_US (30 * US_PER_SEC)

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
    struct issuer *next_issuer; /* of a file that was read anew, until nothing of the other is under
                                   way; NULL: none */
    struct rotation *rotation;
    struct rotor_triggers *triggers;
    struct keypool_trial *trial; /* NULL: no canary */

    /* What the pool was told last. */
    struct stood stood[LIFE_KEYS_MAX];
    struct keypool_extra extras[LIFE_KEYS_MAX]; /* made of it, and of the configuration */
    size_t count;

    struct loop_timer look;           /* at the key that is being validated */
    char validating[LIFE_NAME_BYTES]; /* empty: none is */
    uint64_t missing_until_us;
};

static struct keypool *pool_of(const struct rotor *rotor)
{
    return provider_keys(rotor->provider);
}

static uint64_t now_us(const struct rotor *rotor)
{
    return loop_now_us(rotor->options.loop);
}

/* ---- what a key is like ---- */

static const struct conf_key *key_named(const struct conf_provider *conf, struct span name)
{
    for (size_t i = 0; i < conf->keys.count; i++) {
        if (span_is_equal(conf->keys.items[i].name, name))
            return &conf->keys.items[i];
    }
    return NULL;
}

static bool has_identity(const struct conf_provider *conf, const uint8_t *identity)
{
    for (size_t i = 0; i < conf->keys.count; i++) {
        if (!memcmp(conf->keys.items[i].identity, identity, CONF_IDENTITY_BYTES))
            return true;
    }
    return false;
}

static const struct conf_key *file_key(const struct rotor *rotor, const char *name)
{
    return key_named(rotor->conf, span_from_text(name));
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
                pool_of(rotor), span_of((const char *)stood->identity, LIFE_IDENTITY_BYTES));
    }
    return keypool_find_key(pool_of(rotor), name);
}

/* A key has the settings of the one whose place it takes, and so on back to one of the file; where
 * that is there no more, those of the file's first. */
static const struct conf_key *model_of(const struct rotor *rotor, const struct stood *stood)
{
    for (size_t i = 0; stood && i <= rotor->count; i++) {
        const struct conf_key *found = file_key(rotor, stood->name);

        if (!found && stood->replaces[0])
            found = file_key(rotor, stood->replaces);
        if (found)
            return found;
        stood = find_stood(rotor, stood->replaces);
    }
    return &rotor->conf->keys.items[0];
}

static uint32_t place_milli(const struct conf_key *model)
{
    return model->weight * 1000;
}

/* ---- telling the pool ---- */

static void drop(struct stood *stood, size_t count)
{
    for (size_t i = 0; i < count; i++)
        secret_unref(&stood[i].secret);
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
    return keypool_apply(pool_of(rotor), rotor->conf, &all, now_us(rotor),
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
    struct key *key = keypool_find_identity(pool_of(rotor), identity);
    struct keypool_effect effect;

    if (!key || is_doubled(rotor, at)) {
        key_unref(&key);
        return;
    }
    /* An operator who was there before it was to serve has the last word. */
    if (stood->wished != extra->wish &&
        !(extra->wish == KEY_ENABLED && key_wish(key) != stood->wished)) {
        effect = keypool_wish(pool_of(rotor), key, extra->wish, now_us(rotor));
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
    effect = keypool_weigh(pool_of(rotor), key, weight_milli);
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

    while (keypool_describe(pool_of(rotor), &at, now_us(rotor), &row)) {
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
    key = keypool_find_key(pool_of(rotor), name);
    err = key ? keypool_trial_begin(pool_of(rotor), key, weights.pool_ppm, &rotor->trial)
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

static int follow(struct rotor *rotor)
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

static int stand(void *owner, const struct rotation_stand *stands, size_t count)
{
    struct rotor *rotor = owner;
    struct stood next[LIFE_KEYS_MAX];

    if (rotor->options.is_busy(rotor->options.owner))
        return ERR_AGAIN;
    for (size_t i = 0; i < count; i++) {
        const struct stood *before;

        take_over(rotor, &next[i], &stands[i]);
        before = find_stood(rotor, next[i].name);
        if (before && !memcmp(before->identity, next[i].identity, LIFE_IDENTITY_BYTES))
            remember(&next[i], before);
    }
    drop(rotor->stood, rotor->count);
    memcpy(rotor->stood, next, count * sizeof(next[0]));
    rotor->count = count;
    return follow(rotor);
}

/* ---- validation ---- */

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
    (void)loop_timer_set(&rotor->look, now_us(rotor) + LOOK_US);
}

/* The prober asks about every new key by itself. */
static void on_look(struct loop_timer *timer)
{
    struct rotor *rotor = container_of(timer, struct rotor, look);
    struct key *key = keypool_find_key(pool_of(rotor), span_from_text(rotor->validating));
    uint64_t until_us;
    bool is_there = key != NULL;
    enum key_health health = key ? key_health(key, &until_us) : KEY_NEW;

    key_unref(&key);
    if (!rotor->validating[0])
        return;
    if (!is_there && now_us(rotor) >= rotor->missing_until_us) {
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
    if (!keypool_apply(pool_of(rotor), rotor->conf, &all, now_us(rotor),
                       loop_wall_us(rotor->options.loop)))
        (void)follow(rotor);
}

static void validate(void *owner, struct span name)
{
    struct rotor *rotor = owner;
    struct key *key = keypool_find_key(pool_of(rotor), name);
    uint64_t until_us;
    bool is_known = key && key_health(key, &until_us) != KEY_NEW;

    key_unref(&key);
    memcpy(rotor->validating, name.ptr, name.len);
    rotor->validating[name.len] = '\0';
    rotor->missing_until_us = now_us(rotor) + MISSING_US;
    if (is_known && !rotor->options.is_busy(rotor->options.owner))
        renew(rotor, rotor->validating);
    look_later(rotor);
}

/* ---- the rest of what a rotation asks ---- */

static bool is_drained(void *owner, struct span name)
{
    struct rotor *rotor = owner;
    struct key *key = find_key(rotor, name);
    bool is_idle = !key || keypool_is_drained(pool_of(rotor), key, now_us(rotor));

    key_unref(&key);
    return is_idle;
}

static void take(void *owner, struct evidence_tick *ret_tick)
{
    struct rotor *rotor = owner;

    memset(ret_tick, 0, sizeof(*ret_tick));
    if (rotor->trial)
        keypool_trial_take(rotor->trial, ret_tick);
}

static void identify(void *owner, const struct secret *secret,
                     uint8_t ret_identity[LIFE_IDENTITY_BYTES])
{
    struct rotor *rotor = owner;
    conf_key_identity(provider_name(rotor->provider), secret_reveal(secret), ret_identity);
}

static bool is_in_file(void *owner, const uint8_t *identity)
{
    const struct rotor *rotor = owner;

    return has_identity(rotor->conf, identity);
}

static void raise_alert(struct rotor *rotor, struct alert *alert)
{
    alert->provider = provider_name(rotor->provider);
    alert->wall_us = loop_wall_us(rotor->options.loop);
    rotor->options.on_alert(rotor->options.owner, alert);
}

static void on_news(void *owner, const struct rotation_news *news)
{
    struct rotor *rotor = owner;
    const struct life_key *key = news->key;
    struct alert alert;

    log_write(rotor->options.log,
              key->step == LIFE_ROLLED_BACK ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "key rotation",
              LOG_SPAN("provider", provider_name(rotor->provider)), LOG_TEXT("key", key->name),
              LOG_TEXT("step", life_step_text(key->step)), LOG_UINT("rotation", key->rotation),
              LOG_TEXT("trigger", life_trigger_text(key->trigger)),
              LOG_TEXT("replaces", key->replaces), LOG_TEXT("reason", key->reason));
    if (rotor->options.on_news)
        rotor->options.on_news(rotor->options.owner, provider_name(rotor->provider), news);
    if (rotation_alert_of_news(rotation_life(rotor->rotation), news, &alert))
        raise_alert(rotor, &alert);
}

static void on_trouble(void *owner, enum rotation_side side, const char *why)
{
    struct rotor *rotor = owner;
    const struct alert alert = {
        .kind = side == ROTATION_STORE ? ALERT_STORE_UNREACHABLE : ALERT_ISSUER_UNREACHABLE,
        .is_over = !why,
        .provider = provider_name(rotor->provider),
        .reason = span_from_text(why ? why : ""),
        .wall_us = loop_wall_us(rotor->options.loop),
    };

    if (why)
        log_write(rotor->options.log, LOG_LEVEL_WARNING, "key rotation cannot go on",
                  LOG_SPAN("provider", provider_name(rotor->provider)), LOG_TEXT("reason", why));
    else
        log_write(rotor->options.log, LOG_LEVEL_INFO, "key rotation goes on",
                  LOG_SPAN("provider", provider_name(rotor->provider)));
    rotor->options.on_alert(rotor->options.owner, &alert);
}

static void on_changed(void *owner, const uint8_t *identity)
{
    struct rotor *rotor = owner;

    if (rotor->triggers)
        rotor_triggers_changed(rotor->triggers, identity);
}

static const struct rotation_ops ops = {
    .on_changed = on_changed,
    .stand = stand,
    .validate = validate,
    .is_drained = is_drained,
    .take = take,
    .identify = identify,
    .is_in_file = is_in_file,
    .on_news = on_news,
    .on_trouble = on_trouble,
};

/* ---- settings ---- */

static struct rotation_settings settings_of(const struct rotor_options *options,
                                            const struct conf_rotation *conf)
{

    return (struct rotation_settings){
        .folder = options->folder,
        .name = conf->name,
        .created_by = options->created_by,
        .rules = {.overlap_us = conf->overlap_us,
                  .max_keys = conf->max_keys,
                  .attempts = conf->validate.attempts,
                  .base_delay_us = conf->validate.base_delay_us,
                  .has_ramp = conf->canary.steps > 0},
        .canary = {.ramp = ramp_in_steps(conf->canary.initial_ppm, conf->canary.steps,
                                         conf->canary.every_us),
                   .evidence = {.max_error_ppm = conf->canary.max_error_ppm,
                                .max_latency_milli = conf->canary.max_latency_milli,
                                .max_added_latency_ms = EVIDENCE_NO_LIMIT,
                                .max_divergence_ppm = CONF_PPM,
                                .has_control = true},
                   .min_requests = conf->canary.min_requests},
    };
}

/* ---- triggers ---- */

/* Another issuer takes over once nothing of the one before is under way. */
static void change_issuer(struct rotor *rotor)
{
    if (!rotor->next_issuer || !rotation_is_idle(rotor->rotation))
        return;
    rotation_set_issuer(rotor->rotation, rotor->next_issuer);
    issuer_free(&rotor->issuer);
    rotor->issuer = rotor->next_issuer;
    rotor->next_issuer = NULL;
}

static bool are_triggers_busy(void *owner)
{
    struct rotor *rotor = owner;

    change_issuer(rotor);
    return rotor->options.is_busy(rotor->options.owner);
}

static void on_trigger_alert(void *owner, struct alert *alert)
{
    raise_alert(owner, alert);
}

static int make_triggers(struct rotor *rotor)
{
    const struct rotor_triggers_options options = {.loop = rotor->options.loop,
                                                   .log = rotor->options.log,
                                                   .pool = pool_of(rotor),
                                                   .rotation = rotor->rotation,
                                                   .is_busy = are_triggers_busy,
                                                   .on_alert = on_trigger_alert,
                                                   .owner = rotor};

    return rotor_triggers_new(&options, rotor->conf, &rotor->triggers);
}

/* ---- life ---- */

int rotor_new(const struct rotor_options *options, char *why, struct rotor **ret_rotor)
{
    const struct issuer_options issuer = {options->loop, options->fetcher, options->secrets};
    const struct rotation_settings settings = settings_of(options, options->conf->rotation);
    struct rotor *rotor = mem_zalloc(1, sizeof(*rotor));
    struct rotation_options rotation = {.loop = options->loop,
                                        .secrets = options->secrets,
                                        .store = options->store,
                                        .settings = &settings,
                                        .ops = &ops,
                                        .owner = rotor};
    int err;

    why[0] = '\0';
    if (!rotor)
        return ERR_NOMEM;
    rotor->options = *options;
    rotor->conf = options->conf;
    rotor->provider = provider_ref(options->provider);
    loop_timer_init(&rotor->look, options->loop, on_look);
    err = issuer_of_conf(&issuer, options->conf->rotation->issuer, options->from, why,
                         &rotor->issuer);
    if (!err)
        err = loop_timer_reserve(&rotor->look);
    if (!err) {
        rotation.issuer = rotor->issuer;
        rotor->rotation = rotation_new(&rotation);
        err = rotor->rotation ? make_triggers(rotor) : ERR_NOMEM;
    }
    if (err) {
        rotor_free(&rotor);
        return err;
    }
    *ret_rotor = rotor;
    return 0;
}

void rotor_free(struct rotor **place)
{
    struct rotor *rotor = *place;

    *place = NULL;
    if (!rotor)
        return;
    rotor_triggers_free(&rotor->triggers);
    rotation_free(&rotor->rotation);
    issuer_free(&rotor->issuer);
    issuer_free(&rotor->next_issuer);
    if (rotor->trial)
        keypool_trial_end(&rotor->trial, NULL);
    drop(rotor->stood, rotor->count);
    loop_timer_fini(&rotor->look);
    provider_unref(&rotor->provider);
    mem_free(rotor);
}

static const struct conf_key *key_of_identity(const struct conf_provider *conf,
                                              const uint8_t *identity)
{
    for (size_t i = 0; i < conf->keys.count; i++) {
        if (!memcmp(conf->keys.items[i].identity, identity, CONF_IDENTITY_BYTES))
            return &conf->keys.items[i];
    }
    return NULL;
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
    const struct conf_key *model = key_of_identity(conf, stood->identity);
    struct span identity = span_of((const char *)stood->identity, LIFE_IDENTITY_BYTES);
    struct key *key = model ? keypool_find_identity(pool_of(rotor), identity) : NULL;

    if (!key || has_leaked(rotor, stood)) {
        key_unref(&key);
        return;
    }
    if (stood->wished != KEY_ENABLED && key_wish(key) == stood->wished)
        (void)keypool_wish(pool_of(rotor), key, KEY_ENABLED, now_us(rotor));
    if (stood->is_weighed && stood->weighed_milli != place_milli(model))
        (void)keypool_weigh(pool_of(rotor), key, place_milli(model));
    key_unref(&key);
}

void rotor_let_go(struct rotor *rotor, const struct conf_provider *conf)
{
    const struct keypool_effect effect = {.wakes = UINT32_MAX, .wants_probe = true};

    for (size_t i = 0; i < rotor->count; i++)
        give_back(rotor, i, conf);
    drop(rotor->stood, rotor->count);
    rotor->count = 0;
    rotor->options.on_effect(rotor->options.owner, rotor->provider, &effect);
}

struct span rotor_provider(const struct rotor *rotor)
{
    return provider_name(rotor->provider);
}

struct keypool *rotor_pool(const struct rotor *rotor)
{
    return pool_of(rotor);
}

struct rotation *rotor_rotation(struct rotor *rotor)
{
    return rotor->rotation;
}

/* What the file says of the issuer is made anew each time: whether it differs is not asked. */
static void read_issuer(struct rotor *rotor)
{
    const struct issuer_options options = {rotor->options.loop, rotor->options.fetcher,
                                           rotor->options.secrets};
    char why[ISSUER_WHY_BYTES] = "";
    struct issuer *issuer = NULL;
    int err =
        issuer_of_conf(&options, rotor->conf->rotation->issuer, rotor->options.from, why, &issuer);

    if (err) {
        log_write(rotor->options.log, LOG_LEVEL_ERROR,
                  "the issuer of keys stays as it was before the reload",
                  LOG_SPAN("provider", provider_name(rotor->provider)),
                  LOG_TEXT("reason", why[0] ? why : err_text(err)));
        return;
    }
    issuer_free(&rotor->next_issuer);
    rotor->next_issuer = issuer;
    change_issuer(rotor);
}

/* Keys whose name is the same, and whose secret is another: neither may stand elsewhere in the
 * list, for keys without a name of their own are counted. */
static void note_changes(struct rotor *rotor, const struct conf_provider *before)
{
    for (size_t i = 0; i < rotor->conf->keys.count; i++) {
        const struct conf_key *key = &rotor->conf->keys.items[i], *was;

        if (i < before->keys.count &&
            !memcmp(before->keys.items[i].identity, key->identity, CONF_IDENTITY_BYTES))
            continue;
        was = key_named(before, key->name);
        if (was && !has_identity(rotor->conf, was->identity) &&
            !has_identity(before, key->identity))
            rotor_triggers_changed(rotor->triggers, key->identity);
    }
}

void rotor_set_conf(struct rotor *rotor, const struct conf_provider *conf,
                    struct secret_store *from)
{
    const struct rotation_settings settings = settings_of(&rotor->options, conf->rotation);
    const struct conf_provider *before = rotor->conf;

    rotor->conf = conf;
    rotor->options.from = from;
    note_changes(rotor, before);
    (void)follow(rotor);
    read_issuer(rotor);
    /* A name that is too long was refused with the file. */
    (void)rotation_set_settings(rotor->rotation, &settings);
    rotation_follow_file(rotor->rotation);
    rotor_triggers_set_conf(rotor->triggers, conf);
}

struct keypool_extras rotor_extras(const struct rotor *rotor)
{
    return (struct keypool_extras){rotor->extras, rotor->count};
}

/* Told where the key is off, whether another one is on its way or not. */
static void tell_leak(struct rotor *rotor, struct span name)
{
    struct alert alerts[ROTATION_LEAK_ALERTS];
    size_t count = rotation_alerts_of_leak(rotation_life(rotor->rotation), name, alerts);

    for (size_t i = 0; i < count; i++)
        raise_alert(rotor, &alerts[i]);
}

enum rotation_begun rotor_rotate(struct rotor *rotor, struct span name, enum life_trigger trigger,
                                 uint64_t *ret_id)
{
    struct rotation_order order = {.replaces = name, .trigger = trigger};
    const struct conf_key *key = key_named(rotor->conf, name);
    enum rotation_begun begun;

    order.identity = key ? key->identity : NULL;
    begun = rotation_begin(rotor->rotation, &order, ret_id);
    if (trigger == LIFE_BY_LEAK)
        tell_leak(rotor, name);
    return begun;
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

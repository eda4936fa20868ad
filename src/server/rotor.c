#include "server/rotor_inner.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "conf/identity.h"
#include "server/issuer_of_conf.h"

/* How often an issuer or a store that is to be left is looked at. */
#define CHANGE_US (100 * US_PER_MS)

/* ---- what a rotation asks ---- */

static void identify(void *owner, const struct secret *secret,
                     uint8_t ret_identity[LIFE_IDENTITY_BYTES])
{
    struct rotor *rotor = owner;
    conf_key_identity(provider_name(rotor->provider), secret_reveal(secret), ret_identity);
}

static bool is_in_file(void *owner, const uint8_t *identity)
{
    const struct rotor *rotor = owner;

    return rotor_key_like(rotor->conf, identity) != NULL;
}
static void on_changed(void *owner, const uint8_t *identity)
{
    struct rotor *rotor = owner;

    if (rotor->triggers)
        rotor_triggers_changed(rotor->triggers, identity);
}

static void on_taken(void *owner, struct span name)
{
    rotor_tell_taken(owner, name, "it was changed while no gateway ran: the one before is gone");
}

static const struct rotation_ops ops = {
    .on_taken = on_taken,
    .on_changed = on_changed,
    .stand = rotor_stand,
    .validate = rotor_validate,
    .is_drained = rotor_is_drained,
    .take = rotor_take,
    .identify = identify,
    .is_in_file = is_in_file,
    .on_news = rotor_on_news,
    .on_trouble = rotor_on_trouble,
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

/* ---- another issuer, another way to a store ---- */

static void leave(struct rotor *rotor, struct secret_store **place)
{
    struct secret_store *store = *place;

    *place = NULL;
    if (store)
        rotor->options.on_left(rotor->options.owner, provider_name(rotor->provider), store);
}

static void change_issuer(struct rotor *rotor)
{
    struct rotor_stores *stores = &rotor->options.stores;

    if (!rotor->next_issuer || !rotation_set_issuer(rotor->rotation, rotor->next_issuer))
        return;
    issuer_free(&rotor->issuer);
    rotor->issuer = rotor->next_issuer;
    rotor->next_issuer = NULL;
    leave(rotor, &stores->from);
    stores->from = rotor->next.from;
    rotor->next.from = NULL;
}

static void change_store(struct rotor *rotor)
{
    struct rotor_stores *stores = &rotor->options.stores;

    if (!rotor->next.keep || !rotation_set_store(rotor->rotation, rotor->next.keep))
        return;
    leave(rotor, &stores->keep);
    stores->keep = rotor->next.keep;
    rotor->next.keep = NULL;
}

static void try_changes(struct rotor *rotor)
{
    change_issuer(rotor);
    change_store(rotor);
    /* Reserved: it cannot fail. */
    if (rotor->next_issuer || rotor->next.keep)
        (void)loop_timer_set(&rotor->changing, rotor_now_us(rotor) + CHANGE_US);
}

static void on_changing(struct loop_timer *timer)
{
    try_changes(container_of(timer, struct rotor, changing));
}

/* ---- triggers ---- */

static bool are_triggers_busy(void *owner)
{
    const struct rotor *rotor = owner;

    return rotor->options.is_busy(rotor->options.owner);
}

static void on_trigger_alert(void *owner, struct alert *alert)
{
    rotor_alert(owner, alert);
}

static int make_triggers(struct rotor *rotor)
{
    const struct rotor_triggers_options options = {.loop = rotor->options.loop,
                                                   .log = rotor->options.log,
                                                   .pool = rotor_pool(rotor),
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
                                        .store = options->stores.keep,
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
    loop_timer_init(&rotor->look, options->loop, rotor_look);
    loop_timer_init(&rotor->changing, options->loop, on_changing);
    err = issuer_of_conf(&issuer, options->conf->rotation->issuer, options->stores.from, why,
                         &rotor->issuer);
    if (!err)
        err = loop_timer_reserve(&rotor->look);
    if (!err)
        err = loop_timer_reserve(&rotor->changing);
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
    rotor_drop_stood(rotor);
    loop_timer_fini(&rotor->look);
    loop_timer_fini(&rotor->changing);
    provider_unref(&rotor->provider);
    mem_free(rotor);
}

struct span rotor_provider(const struct rotor *rotor)
{
    return provider_name(rotor->provider);
}

struct keypool *rotor_pool(const struct rotor *rotor)
{
    return provider_keys(rotor->provider);
}

struct rotation *rotor_rotation(struct rotor *rotor)
{
    return rotor->rotation;
}

/* Made anew each time: that is cheap, and what the one before knew besides is asked again. */
static void read_issuer(struct rotor *rotor, struct secret_store *from)
{
    const struct issuer_options options = {rotor->options.loop, rotor->options.fetcher,
                                           rotor->options.secrets};
    char why[ISSUER_WHY_BYTES] = "";
    struct issuer *issuer = NULL;
    int err = issuer_of_conf(&options, rotor->conf->rotation->issuer, from, why, &issuer);

    if (err) {
        log_write(rotor->options.log, LOG_LEVEL_ERROR,
                  "the issuer of keys stays as it was before the reload",
                  LOG_SPAN("provider", provider_name(rotor->provider)),
                  LOG_TEXT("reason", why[0] ? why : err_text(err)));
        leave(rotor, &from);
        return;
    }
    issuer_free(&rotor->next_issuer);
    leave(rotor, &rotor->next.from);
    rotor->next_issuer = issuer;
    rotor->next.from = from;
}

static void read_store(struct rotor *rotor, struct secret_store *keep)
{
    if (!keep)
        return;
    leave(rotor, &rotor->next.keep);
    if (keep == rotor->options.stores.keep)
        leave(rotor, &keep); /* told twice */
    else
        rotor->next.keep = keep;
}

void rotor_set_conf(struct rotor *rotor, const struct conf_provider *conf,
                    const struct rotor_stores *stores)
{
    const struct rotation_settings settings = settings_of(&rotor->options, conf->rotation);
    const struct conf_provider *before = rotor->conf;

    rotor->conf = conf;
    rotor->is_following = true;
    rotor_take_changes(rotor, before);
    rotor->is_following = false;
    (void)rotor_follow(rotor);
    read_issuer(rotor, stores->from);
    read_store(rotor, stores->keep);
    try_changes(rotor);
    /* A name that is too long was refused with the file. */
    (void)rotation_set_settings(rotor->rotation, &settings);
    rotation_follow_file(rotor->rotation);
    rotor_triggers_set_conf(rotor->triggers, conf);
}

enum rotation_begun rotor_rotate(struct rotor *rotor, struct span name, enum life_trigger trigger,
                                 uint64_t *ret_id)
{
    struct rotation_order order = {.replaces = name, .trigger = trigger};
    const struct conf_key *key = rotor_key_named(rotor->conf, name);
    enum rotation_begun begun;

    order.identity = key ? key->identity : NULL;
    begun = rotation_begin(rotor->rotation, &order, ret_id);
    if (trigger == LIFE_BY_LEAK)
        rotor_tell_leak(rotor, name);
    return begun;
}

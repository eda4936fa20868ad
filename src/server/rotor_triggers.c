#include "server/rotor_triggers.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "conf/schedule.h"
#include "rotation/key_watch.h"
#include "rotation/trigger.h"

#define LOOK_US         US_PER_SEC
#define LOOK_BY_KEY_US  500 /* longer between two looks, the more there is to look at */
#define LOOK_BUSY_US    (100 * US_PER_MS)
#define REFUSED_US      (60 * US_PER_SEC)
#define LEAK_REFUSED_US (10 * US_PER_SEC)

enum { ACTS_MAX = 64 };

struct rotor_triggers {
    struct rotor_triggers_options options;
    const struct conf_provider *conf;
    struct key_watch *watch;
    struct schedule schedule;
    bool has_schedule;
    struct trigger_rules rules;
    struct trigger_memory memory;
    uint64_t not_before_us, leak_not_before_us;
    bool is_refusal_told;
    struct loop_timer timer;
};

/* ---- rules ---- */

static uint64_t fold(uint64_t seed, struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        seed = (seed ^ (unsigned char)text.ptr[i]) * UINT64_C(0x100000001b3);
    return seed;
}

/* Of this machine and provider: the same after a restart. */
static uint64_t seed_of(struct span provider)
{
    char host[256] = "";

    if (gethostname(host, sizeof(host) - 1))
        host[0] = '\0';
    return fold(fold(UINT64_C(0xcbf29ce484222325), span_from_text(host)), provider);
}

static uint32_t causes_of(uint32_t on)
{
    static const struct {
        enum conf_rotation_cause cause;
        uint32_t triggers;
    } rows[] = {
        {CONF_ROTATION_EXPIRY, TRIGGER_ON(LIFE_BY_EXPIRY)},
        {CONF_ROTATION_LEAKED, TRIGGER_ON(LIFE_BY_LEAK)},
        /* Where a key is refused, all its requests fail. */
        {CONF_ROTATION_ERROR_RATE, TRIGGER_ON(LIFE_BY_ERROR_RATE) | TRIGGER_ON(LIFE_BY_REFUSAL)},
        {CONF_ROTATION_SECRET_CHANGED, TRIGGER_ON(LIFE_BY_STORE)},
        {CONF_ROTATION_REFUSED, TRIGGER_ON(LIFE_BY_REFUSAL)},
        {CONF_ROTATION_AGE, TRIGGER_ON(LIFE_BY_AGE)},
    };
    uint32_t triggers = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        triggers |= on & rows[i].cause ? rows[i].triggers : 0;
    return triggers;
}

static void read_schedule(struct rotor_triggers *triggers, struct span text)
{
    char why[SCHEDULE_WHY_BYTES];
    int err;

    if (triggers->has_schedule)
        schedule_fini(&triggers->schedule);
    triggers->has_schedule = false;
    if (!text.len)
        return;
    err = schedule_read(text, &triggers->schedule, why);
    if (!err)
        err = schedule_find_zone(&triggers->schedule, why);
    triggers->has_schedule = !err;
    if (!err)
        return;
    schedule_fini(&triggers->schedule);
    log_write(triggers->options.log, LOG_LEVEL_ERROR, "a schedule cannot be followed",
              LOG_SPAN("provider", triggers->conf->name), LOG_TEXT("reason", why));
}

void rotor_triggers_set_conf(struct rotor_triggers *triggers, const struct conf_provider *conf)
{
    const struct conf_rotation *rotation = conf->rotation;
    const struct conf_error_rate *errors = &rotation->error_rate;

    triggers->conf = conf;
    read_schedule(triggers, rotation->schedule);
    triggers->rules =
        (struct trigger_rules){.schedule = triggers->has_schedule ? &triggers->schedule : NULL,
                               .seed = seed_of(conf->name),
                               .on = causes_of(rotation->on),
                               .max_age_us = rotation->max_age_us,
                               .warn_before_us = rotation->warn_before_us,
                               .rotate_before_us = rotation->rotate_before_us,
                               .refused_for_us = rotation->refused_for_us,
                               .max_error_ppm = errors->max_ppm,
                               .min_requests = errors->min_requests,
                               .prune_after_us = errors->prune_after_us,
                               .calm_us = errors->calm_us};
    /* Reserved: it cannot fail. */
    (void)loop_timer_set(&triggers->timer, loop_now_us(triggers->options.loop));
}

/* ---- following ---- */

static const struct life *life_of(const struct rotor_triggers *triggers)
{
    return rotation_life(triggers->options.rotation);
}

static const char *refusal_text(enum rotation_begun begun)
{
    switch (begun) {
    case ROTATION_CROWDED:
        return "there are as many keys as rotation.max_keys allows";
    case ROTATION_AWAY:
        return "the state of the keys cannot be read";
    case ROTATION_GONE:
        return "the key serves no more";
    case ROTATION_BUSY:
    case ROTATION_BEGUN:
        break;
    }
    return "another one is under way";
}

/* It cannot begin now: told once until one can. */
static void note_refusal(struct rotor_triggers *triggers, const struct rotation_order *order,
                         enum rotation_begun begun)
{
    struct alert alert = {.kind = ALERT_ROTATION_FAILED,
                          .key = order->replaces,
                          .reason = span_from_text(refusal_text(begun))};
    uint64_t now_us = loop_now_us(triggers->options.loop);

    if (order->trigger == LIFE_BY_LEAK)
        triggers->leak_not_before_us = now_us + LEAK_REFUSED_US;
    else
        triggers->not_before_us = now_us + REFUSED_US;
    if (triggers->is_refusal_told || begun == ROTATION_BUSY)
        return;
    triggers->is_refusal_told = true;
    log_write(triggers->options.log, LOG_LEVEL_WARNING, "key rotation cannot begin",
              LOG_SPAN("provider", triggers->conf->name), LOG_SPAN("key", order->replaces),
              LOG_TEXT("trigger", life_trigger_text(order->trigger)),
              LOG_TEXT("reason", refusal_text(begun)));
    triggers->options.on_alert(triggers->options.owner, &alert);
}

static void begin(struct rotor_triggers *triggers, size_t at, const struct rotation_order *order)
{
    uint64_t id;
    enum rotation_begun begun = rotation_begin(triggers->options.rotation, order, &id);

    if (begun != ROTATION_BEGUN) {
        note_refusal(triggers, order, begun);
        return;
    }
    triggers->not_before_us = triggers->leak_not_before_us = 0;
    triggers->is_refusal_told = false;
    key_watch_begun(triggers->watch, at);
}

static void prune(struct rotor_triggers *triggers, size_t at, const struct rotation_order *order)
{
    struct alert alert = {
        .kind = ALERT_PRUNED, .key = order->replaces, .reason = span_from_text(order->why)};

    if (rotation_prune(triggers->options.rotation, order))
        triggers->options.on_alert(triggers->options.owner, &alert);
    else
        key_watch_keep(triggers->watch, at, loop_now_us(triggers->options.loop) + REFUSED_US);
}

static void warn(struct rotor_triggers *triggers, size_t at, const struct rotation_order *order)
{
    struct alert alert = {
        .kind = ALERT_EXPIRING, .key = order->replaces, .reason = span_from_text(order->why)};

    key_watch_warned(triggers->watch, at);
    log_write(triggers->options.log, LOG_LEVEL_WARNING, "a key ends soon",
              LOG_SPAN("provider", triggers->conf->name), LOG_SPAN("key", order->replaces),
              LOG_TEXT("reason", order->why));
    triggers->options.on_alert(triggers->options.owner, &alert);
}

/* False where nothing is to be done any more. */
static bool follow(struct rotor_triggers *triggers, const struct trigger_facts *facts,
                   const struct trigger_answer *answer)
{
    const struct rotation_order order = {
        .replaces = answer->act == TRIGGER_NOTHING ? SPAN("") : facts->keys[answer->key].name,
        .identity = answer->act == TRIGGER_NOTHING
                        ? NULL
                        : key_watch_identity(triggers->watch, answer->key),
        .trigger = answer->trigger,
        .why = answer->why};

    switch (answer->act) {
    case TRIGGER_NOTHING:
        return false;
    case TRIGGER_BEGIN:
        begin(triggers, answer->key, &order);
        break;
    case TRIGGER_PRUNE:
        prune(triggers, answer->key, &order);
        break;
    case TRIGGER_WARN:
        warn(triggers, answer->key, &order);
        break;
    }
    return true;
}

/* ---- looking ---- */

/* When ages begin to matter they count from now on for keys that nobody knows the age of; a time
 * that has not come yet is one of a clock that was wrong. */
static uint64_t first_of(const struct rotor_triggers *triggers, uint64_t wall_us)
{
    uint64_t first_us = life_of(triggers)->memory.first_wall_us;

    if (!(triggers->rules.on & TRIGGER_ON(LIFE_BY_AGE)))
        return 0;
    return first_us && first_us <= wall_us ? first_us : wall_us;
}

static void remember(struct rotor_triggers *triggers, uint64_t wall_us)
{
    const struct life_memory memory = {.last_wall_us = triggers->memory.last_wall_us,
                                       .round_wall_us = triggers->memory.round_wall_us,
                                       .first_wall_us = first_of(triggers, wall_us)};

    rotation_remember(triggers->options.rotation, &memory);
}

static int decide(struct rotor_triggers *triggers, struct trigger_facts *facts,
                  struct trigger_answer *ret_answer)
{
    struct loop *loop = triggers->options.loop;
    const struct trigger_now now = {loop_now_us(loop), loop_wall_us(loop)};
    const struct key_watch_look look = {triggers->options.pool, triggers->conf, life_of(triggers),
                                        &triggers->rules, &now};
    int err = key_watch_look(triggers->watch, &look, facts);

    if (err)
        return err;
    facts->not_before_us = triggers->not_before_us;
    facts->leak_not_before_us = triggers->leak_not_before_us;
    triggers->memory.last_wall_us = life_of(triggers)->memory.last_wall_us;
    triggers->memory.round_wall_us = life_of(triggers)->memory.round_wall_us;
    trigger_decide(&triggers->rules, facts, &now, &triggers->memory, ret_answer);
    remember(triggers, now.wall_us);
    return 0;
}

static uint64_t look_at_all(struct rotor_triggers *triggers)
{
    struct trigger_facts facts = {.count = 0};
    struct trigger_answer answer;
    uint64_t wait_us;

    for (int i = 0; i < ACTS_MAX; i++) {
        if (decide(triggers, &facts, &answer))
            return LOOK_US;
        if (!follow(triggers, &facts, &answer)) {
            wait_us = LOOK_US + facts.count * LOOK_BY_KEY_US;
            return answer.wait_us < wait_us ? answer.wait_us : wait_us;
        }
    }
    return LOOK_US;
}

static void on_timer(struct loop_timer *timer)
{
    struct rotor_triggers *triggers = container_of(timer, struct rotor_triggers, timer);
    uint64_t wait_us = LOOK_BUSY_US;

    if (rotation_is_loaded(triggers->options.rotation) &&
        !triggers->options.is_busy(triggers->options.owner))
        wait_us = look_at_all(triggers);
    /* Reserved: it cannot fail. */
    (void)loop_timer_set(&triggers->timer, loop_now_us(triggers->options.loop) + wait_us);
}

void rotor_triggers_changed(struct rotor_triggers *triggers,
                            const uint8_t identity[LIFE_IDENTITY_BYTES])
{
    key_watch_changed(triggers->watch, identity);
}

/* ---- life ---- */

int rotor_triggers_new(const struct rotor_triggers_options *options,
                       const struct conf_provider *conf, struct rotor_triggers **ret_triggers)
{
    struct rotor_triggers *triggers = mem_zalloc(1, sizeof(*triggers));

    if (!triggers)
        return ERR_NOMEM;
    triggers->options = *options;
    loop_timer_init(&triggers->timer, options->loop, on_timer);
    triggers->watch = key_watch_new();
    if (!triggers->watch || loop_timer_reserve(&triggers->timer)) {
        rotor_triggers_free(&triggers);
        return ERR_NOMEM;
    }
    rotor_triggers_set_conf(triggers, conf);
    *ret_triggers = triggers;
    return 0;
}

void rotor_triggers_free(struct rotor_triggers **place)
{
    struct rotor_triggers *triggers = *place;

    *place = NULL;
    if (!triggers)
        return;
    if (triggers->has_schedule)
        schedule_fini(&triggers->schedule);
    key_watch_free(&triggers->watch);
    loop_timer_fini(&triggers->timer);
    mem_free(triggers);
}

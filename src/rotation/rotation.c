#include "rotation/rotation.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "canary/state.h"
#include "rotation/life_text.h"
#include "rotation/rotation_inner.h"

#define TICK_US      (100 * US_PER_MS)
#define NOTE_US      (10 * US_PER_SEC)
#define AGAIN_MIN_US US_PER_SEC
#define AGAIN_MAX_US (60 * US_PER_SEC)

/* ---- trouble and news ---- */

void rotation_trouble(struct rotation *rotation, enum rotation_side side, const char *why)
{
    char *told = rotation->trouble[side];

    if (strcmp(told, why ? why : "") == 0)
        return;
    snprintf(told, ROTATION_WORDS_BYTES, "%s", why ? why : "");
    rotation->ops->on_trouble(rotation->owner, side, why ? told : NULL);
}

/* Another key stands there now. */
static void take_place(struct rotation *rotation, uint32_t place)
{
    memcpy(rotation->seen[place].name, rotation->life.keys[place].name, LIFE_NAME_BYTES);
    rotation->stands[place] = (struct rotation_standing){.standing = LIFE_STANDS_NONE};
    rotation->is_stand_due = true;
    secret_unref(&rotation->secrets_of[place]);
}

void rotation_tell_news(struct rotation *rotation)
{
    for (uint32_t i = 0; i < rotation->life.count; i++) {
        const struct life_key *key = &rotation->life.keys[i];
        struct rotation_seen *seen = &rotation->seen[i];
        struct rotation_news news = {.key = key, .from = LIFE_STEPS};

        if (!strcmp(seen->name, key->name)) {
            if (seen->step == key->step)
                continue;
            news.from = seen->step;
        } else {
            take_place(rotation, i);
        }
        seen->step = key->step;
        rotation->ops->on_news(rotation->owner, &news);
    }
}

/* ---- the pool ---- */

static struct rotation_stand stand_of(const struct rotation *rotation, uint32_t index)
{
    const struct life_key *key = &rotation->life.keys[index];

    return (struct rotation_stand){
        .name = span_from_text(key->name),
        .secret = life_has_identity(key) ? rotation->secrets_of[index] : NULL,
        .identity = key->identity,
        .replaces = span_from_text(key->replaces),
        .expires_wall_us = key->expires_wall_us,
        .standing = rotation->stands[index].standing,
        .share_ppm = rotation->stands[index].share_ppm,
    };
}

/* What is to be followed now: all of it once it was written down, before that what leads back. */
static bool settle_stands(struct rotation *rotation)
{
    bool is_recorded = life_is_recorded(&rotation->life), is_new = false;

    for (uint32_t i = 0; i < rotation->life.count; i++) {
        const struct life_key *key = &rotation->life.keys[i];
        struct rotation_standing next = {.standing = life_standing(key)};

        if (!is_recorded && !life_is_urgent(key))
            continue;
        if (next.standing == LIFE_STANDS_SHARE)
            next.share_ppm = canary_share_ppm(&rotation->canary, &rotation->settings.canary);
        is_new |= next.standing != rotation->stands[i].standing ||
                  next.share_ppm != rotation->stands[i].share_ppm;
        rotation->stands[i] = next;
    }
    return is_new;
}

/* Those that serve come before those that end. */
static void apply(struct rotation *rotation)
{
    struct rotation_stand stands[LIFE_KEYS_MAX];
    size_t count = 0;

    rotation->is_stand_due |= settle_stands(rotation);
    if (!rotation->is_stand_due)
        return;
    for (int is_off = 0; is_off < 2; is_off++) {
        for (uint32_t i = 0; i < rotation->life.count; i++) {
            enum life_standing standing = rotation->stands[i].standing;

            if (standing != LIFE_STANDS_NONE && (standing == LIFE_STANDS_OFF) == (is_off == 1))
                stands[count++] = stand_of(rotation, i);
        }
    }
    rotation->is_stand_due = rotation->ops->stand(rotation->owner, stands, count) != 0;
}

/* ---- the canary ---- */

/* A canary that has just begun, or that the state told of. */
static void begin_canary(struct rotation *rotation)
{
    if (rotation->has_canary || !life_canary(&rotation->life))
        return;
    rotation->has_canary = true;
    rotation->noted_us = rotation_now_us(rotation);
    if (!rotation->life.note[0] || canary_read(span_from_text(rotation->life.note),
                                               rotation_now_us(rotation), &rotation->canary))
        canary_init(&rotation->canary, &rotation->settings.canary, rotation_now_us(rotation));
}

static void note_canary(struct rotation *rotation)
{
    struct buf text;

    buf_init(&text, CANARY_STATE_BYTES);
    if (canary_write(&rotation->canary, &text) == 0)
        life_note(&rotation->life, buf_span(&text));
    buf_fini(&text);
    rotation->noted_us = rotation_now_us(rotation);
}

static void follow(struct rotation *rotation, enum canary_verdict verdict)
{
    char why[CANARY_EXPLAIN_BYTES];

    switch (verdict) {
    case CANARY_GOES_ON:
        if (rotation_now_us(rotation) - rotation->noted_us >= NOTE_US)
            note_canary(rotation);
        break;
    case CANARY_GROWS:
        note_canary(rotation);
        break;
    case CANARY_PROMOTE:
        life_promote(&rotation->life, rotation_now_us(rotation), rotation_wall_us(rotation));
        break;
    case CANARY_ROLL_BACK:
        canary_explain(&rotation->canary, &rotation->settings.canary, why);
        life_lose(&rotation->life, why, rotation_now_us(rotation), rotation_wall_us(rotation));
        break;
    }
}

static bool has_share(const struct rotation *rotation)
{
    for (uint32_t i = 0; i < rotation->life.count; i++) {
        if (rotation->stands[i].standing == LIFE_STANDS_SHARE)
            return !rotation->is_stand_due;
    }
    return false;
}

static void tick_canary(struct rotation *rotation)
{
    struct evidence_tick tick;

    begin_canary(rotation);
    if (!rotation->has_canary)
        return;
    if (!life_canary(&rotation->life)) {
        rotation->has_canary = false; /* the operator's word */
        return;
    }
    /* Before it had its first share there is nothing to be judged. */
    if (!has_share(rotation))
        return;
    if (rotation->canary.state == CANARY_PROMOTED) {
        follow(rotation, CANARY_PROMOTE); /* there is no ramp */
    } else {
        rotation->ops->take(rotation->owner, &tick);
        follow(rotation, canary_tick(&rotation->canary, &rotation->settings.canary, &tick,
                                     rotation_now_us(rotation)));
    }
    rotation->has_canary = life_canary(&rotation->life) != NULL;
}

/* ---- going on ---- */

static void set_timer(struct rotation *rotation, uint64_t at_us)
{
    bool is_watched = rotation->has_canary || rotation->drains || rotation->is_stand_due;

    if (is_watched && at_us > rotation_now_us(rotation) + TICK_US)
        at_us = rotation_now_us(rotation) + TICK_US;
    if (at_us == UINT64_MAX)
        loop_timer_clear(&rotation->timer);
    else /* reserved: it cannot fail */
        (void)loop_timer_set(&rotation->timer, at_us);
}

void rotation_go_on(struct rotation *rotation)
{
    struct life_task task;
    uint64_t next_us = UINT64_MAX;

    if (rotation->is_going)
        return; /* whoever is at it goes on */
    if (!rotation->is_loaded) {
        set_timer(rotation, rotation->load_us);
        return;
    }
    rotation->is_going = true;
    rotation_read_secrets(rotation);
    tick_canary(rotation);
    rotation_look_at_drains(rotation);
    do {
        rotation_tell_news(rotation);
        apply(rotation);
        if (!life_next(&rotation->life, &rotation->settings.rules, rotation_now_us(rotation),
                       rotation_wall_us(rotation), &task, &next_us))
            break;
        rotation_tell_news(rotation); /* of what happened of itself */
        rotation_do(rotation, &task);
    } while (rotation->is_loaded);
    rotation->is_going = false;
    rotation_watch_entries(rotation);
    if (next_us > rotation->unread_us)
        next_us = rotation->unread_us;
    set_timer(rotation, rotation->is_loaded ? next_us : rotation->load_us);
}

static void on_timer(struct loop_timer *timer)
{
    struct rotation *rotation = container_of(timer, struct rotation, timer);

    if (!rotation->is_loaded)
        rotation_load(rotation);
    rotation_go_on(rotation);
}

void rotation_load_again(struct rotation *rotation, const char *why)
{
    uint64_t delay_us = AGAIN_MIN_US << (rotation->loads < 6 ? rotation->loads : 6);

    rotation->loads++;
    rotation->load_us =
        rotation_now_us(rotation) + (delay_us < AGAIN_MAX_US ? delay_us : AGAIN_MAX_US);
    rotation_trouble(rotation, ROTATION_STORE, why);
    set_timer(rotation, rotation->load_us);
}

/* ---- life ---- */

static int copy_settings(struct rotation *rotation, const struct rotation_settings *settings)
{
    rotation->settings = *settings;
    rotation->settings.folder = span_of(rotation->folder, settings->folder.len);
    rotation->settings.name = span_of(rotation->name, settings->name.len);
    rotation->settings.created_by = span_of(rotation->created_by, settings->created_by.len);
    if (settings->folder.len >= sizeof(rotation->folder) ||
        settings->name.len >= sizeof(rotation->name) ||
        settings->created_by.len >= sizeof(rotation->created_by))
        return ERR_RANGE;
    memcpy(rotation->folder, settings->folder.ptr, settings->folder.len);
    memcpy(rotation->name, settings->name.ptr, settings->name.len);
    memcpy(rotation->created_by, settings->created_by.ptr, settings->created_by.len);
    return 0;
}

struct rotation *rotation_new(const struct rotation_options *options)
{
    struct rotation *rotation = mem_zalloc(1, sizeof(*rotation));

    if (!rotation)
        return NULL;
    rotation->loop = options->loop;
    rotation->secrets = options->secrets;
    rotation->store = options->store;
    rotation->issuer = options->issuer;
    rotation->ops = options->ops;
    rotation->owner = options->owner;
    list_init(&rotation->errands);
    life_init(&rotation->life);
    loop_timer_init(&rotation->timer, rotation->loop, on_timer);
    if (copy_settings(rotation, options->settings) || loop_timer_reserve(&rotation->timer)) {
        rotation_free(&rotation);
        return NULL;
    }
    rotation->settings.rules.can_find = issuer_traits(rotation->issuer).can_find;
    rotation_load(rotation);
    return rotation;
}

void rotation_free(struct rotation **place)
{
    struct rotation *rotation = *place;

    *place = NULL;
    if (!rotation)
        return;
    rotation_stop_watching(rotation);
    rotation_drop_errands(rotation);
    for (uint32_t i = 0; i < LIFE_KEYS_MAX; i++)
        secret_unref(&rotation->secrets_of[i]);
    loop_timer_fini(&rotation->timer);
    mem_free(rotation);
}

/* ---- the operator of a ramp ---- */

bool rotation_hold(struct rotation *rotation, bool is_held)
{
    if (!rotation->has_canary)
        return false;
    canary_hold(&rotation->canary, is_held);
    note_canary(rotation);
    rotation_go_on(rotation);
    return true;
}

bool rotation_advance(struct rotation *rotation)
{
    if (!rotation->has_canary)
        return false;
    follow(rotation, canary_advance(&rotation->canary, &rotation->settings.canary));
    rotation_go_on(rotation);
    return true;
}

/* ---- what the surroundings tell ---- */

void rotation_remember(struct rotation *rotation, const struct life_memory *memory)
{
    if (!rotation->is_loaded)
        return;
    life_remember(&rotation->life, memory);
    if (!life_is_recorded(&rotation->life))
        rotation_go_on(rotation);
}

void rotation_release_gone(struct rotation *rotation)
{
    uint32_t count = rotation->ops->is_in_file ? rotation->life.count : 0;

    for (uint32_t i = 0; i < 2 * count; i++) {
        struct life_key *key = &rotation->life.keys[i % count];

        if (life_has_identity(key) && !rotation->ops->is_in_file(rotation->owner, key->identity))
            life_release(&rotation->life, key, rotation_now_us(rotation),
                         rotation_wall_us(rotation));
    }
}

void rotation_follow_file(struct rotation *rotation)
{
    if (!rotation->is_loaded)
        return;
    rotation_release_gone(rotation);
    rotation_go_on(rotation);
}

int rotation_set_settings(struct rotation *rotation, const struct rotation_settings *settings)
{
    if (settings->name.len >= sizeof(rotation->name))
        return ERR_RANGE;
    memcpy(rotation->name, settings->name.ptr, settings->name.len);
    rotation->settings.name = span_of(rotation->name, settings->name.len);
    rotation->settings.rules = settings->rules;
    rotation->settings.rules.can_find = issuer_traits(rotation->issuer).can_find;
    rotation->settings.canary = settings->canary;
    rotation_go_on(rotation);
    return 0;
}

bool rotation_is_loaded(const struct rotation *rotation)
{
    return rotation->is_loaded;
}

void rotation_hurry(struct rotation *rotation)
{
    if (rotation->has_canary)
        rotation_go_on(rotation);
}

const struct life *rotation_life(const struct rotation *rotation)
{
    return &rotation->life;
}

bool rotation_stand_in(const struct rotation *rotation, struct span name, const uint8_t *identity)
{
    return life_stand_in((struct life *)(uintptr_t)&rotation->life, name, identity) != NULL;
}

const struct canary *rotation_canary(const struct rotation *rotation)
{
    return rotation->has_canary ? &rotation->canary : NULL;
}

void rotation_explain(const struct rotation *rotation, const struct life_key *key,
                      char ret_text[CANARY_EXPLAIN_BYTES])
{
    const char *why = rotation->trouble[ROTATION_STORE];

    ret_text[0] = '\0';
    if (key->step == LIFE_ISSUING && rotation->trouble[ROTATION_ISSUER][0])
        why = rotation->trouble[ROTATION_ISSUER];
    if (key->step == LIFE_CANARY && rotation->has_canary)
        canary_explain(&rotation->canary, &rotation->settings.canary, ret_text);
    else if (key->step <= LIFE_STORED && why[0])
        snprintf(ret_text, CANARY_EXPLAIN_BYTES, "waits: %.200s", why);
}

uint32_t rotation_share_ppm(const struct rotation *rotation)
{
    return rotation->has_canary ? canary_share_ppm(&rotation->canary, &rotation->settings.canary)
                                : 0;
}

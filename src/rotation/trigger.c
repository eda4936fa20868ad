#include "rotation/trigger.h"

#include <string.h>

#include "base/clock.h"
#include "rotation/trigger_inner.h"

enum { DOUBLINGS_MAX = 16, PPM = 1000000 };

#define MINUTE_US         (60 * US_PER_SEC)
#define HOUR_US           (60 * MINUTE_US)
#define DAY_US            (24 * HOUR_US)
#define WAIT_MAX_US       MINUTE_US
#define RETRY_MIN_US      (5 * MINUTE_US)
#define RETRY_MAX_US      (6 * HOUR_US)
#define LEAK_RETRY_MIN_US (30 * US_PER_SEC)
#define LEAK_RETRY_MAX_US (10 * MINUTE_US)
#define AGE_SLACK_MAX_US  HOUR_US
#define AGE_SLACK_PART    20
#define AHEAD_MAX_US      DAY_US
#define END_PART          3

/* One question. */
struct look {
    const struct trigger_rules *rules;
    const struct trigger_facts *facts;
    const struct trigger_now *now;
    struct trigger_memory *memory;
    uint64_t wait_us;
    bool has_changed; /* of the memory, what is written down */
};

/* ---- times ---- */

static uint64_t later(uint64_t time_us, uint64_t by_us)
{
    return time_us > UINT64_MAX - by_us ? UINT64_MAX : time_us + by_us;
}

static uint64_t earlier(uint64_t time_us, uint64_t by_us)
{
    return time_us > by_us ? time_us - by_us : 0;
}

/* Whether a time has come; where it has not, it is waited for. */
static bool has_come(struct look *look, uint64_t time_us, uint64_t now_us)
{
    if (time_us <= now_us)
        return true;
    if (time_us - now_us < look->wait_us)
        look->wait_us = time_us - now_us;
    return false;
}

static bool has_come_us(struct look *look, uint64_t time_us)
{
    return has_come(look, time_us, look->now->us);
}

static bool has_come_wall(struct look *look, uint64_t time_us)
{
    return has_come(look, time_us, look->now->wall_us);
}

/* ---- facts of one key ---- */

static bool is_active(const struct trigger_key *key)
{
    return key->step == LIFE_ACTIVE;
}

static bool is_on(const struct look *look, enum life_trigger trigger)
{
    return look->rules->on & TRIGGER_ON(trigger);
}

uint32_t trigger_error_ppm(const struct trigger_rules *rules, const struct trigger_key *key)
{
    uint64_t errors = key->errors < key->requests ? key->errors : key->requests;

    if (key->requests == 0 || key->requests < rules->min_requests)
        return 0;
    return (uint32_t)(errors * PPM / key->requests);
}

bool trigger_is_over(const struct trigger_rules *rules, const struct trigger_key *key)
{
    return rules->max_error_ppm && trigger_error_ppm(rules, key) > rules->max_error_ppm;
}

static bool is_expired(struct look *look, const struct trigger_key *key)
{
    return key->expires_wall_us && has_come_wall(look, key->expires_wall_us);
}

/* ---- rounds ---- */

static void set_time(struct look *look, uint64_t *time_us, uint64_t to_us)
{
    look->has_changed = look->has_changed || *time_us != to_us;
    *time_us = to_us;
}

static bool is_due(struct look *look)
{
    const struct trigger_rules *rules = look->rules;

    return has_come_wall(look,
                         schedule_due_us(rules->schedule, rules->seed, look->memory->last_wall_us));
}

static void follow_schedule(struct look *look)
{
    const struct trigger_rules *rules = look->rules;
    struct trigger_memory *memory = look->memory;
    uint64_t wall_us = look->now->wall_us;

    if (!rules->schedule) {
        set_time(look, &memory->last_wall_us, 0);
        set_time(look, &memory->round_wall_us, 0);
        return;
    }
    /* First seen; or seen by a clock that was wrong by more than it is believed to be. */
    if (memory->last_wall_us == 0 || memory->last_wall_us > later(wall_us, AHEAD_MAX_US))
        set_time(look, &memory->last_wall_us, wall_us ? wall_us : 1);
    /* The clock has gone back behind the beginning of a round: what was made since would look as
     * though it were older than that, and be replaced again. */
    if (memory->round_wall_us > wall_us)
        set_time(look, &memory->round_wall_us, 0);
    if (is_due(look)) {
        set_time(look, &memory->last_wall_us, wall_us);
        set_time(look, &memory->round_wall_us, wall_us);
        (void)is_due(look); /* the next time is waited for */
    }
}

static bool is_age_of_the_round(const struct trigger_rules *rules)
{
    return rules->max_age_us && !rules->schedule->interval_us;
}

/* Whether the round that goes on replaces the key. A rotation takes its time, and jitter is not the
 * same every day: the age is looked at with some slack, lest a key wait for the schedule to come
 * round once more for the sake of minutes. */
static bool is_of_the_round(const struct look *look, const struct trigger_key *key)
{
    const struct trigger_rules *rules = look->rules;
    uint64_t round_us = look->memory->round_wall_us, slack_us = rules->max_age_us / AGE_SLACK_PART;

    if (!round_us || key->created_wall_us >= round_us)
        return false;
    if (!key->created_wall_us || !is_age_of_the_round(rules))
        return true;
    slack_us = slack_us < AGE_SLACK_MAX_US ? slack_us : AGE_SLACK_MAX_US;
    return later(key->created_wall_us, rules->max_age_us) <= later(round_us, slack_us);
}

static void end_round(struct look *look)
{
    if (look->facts->is_busy)
        return;
    for (size_t i = 0; i < look->facts->count; i++) {
        if (is_active(&look->facts->keys[i]) && is_of_the_round(look, &look->facts->keys[i]))
            return;
    }
    set_time(look, &look->memory->round_wall_us, 0);
}

/* ---- error rates that stay ---- */

static const struct trigger_key *find_key(const struct trigger_facts *facts, const char *name)
{
    for (size_t i = 0; i < facts->count; i++) {
        if (span_is_equal(facts->keys[i].name, span_from_text(name)))
            return &facts->keys[i];
    }
    return NULL;
}

/* The key's place; a free one where it has none; -1. */
static int find_place(const struct trigger_memory *memory, struct span name)
{
    int place = -1;

    for (int i = 0; i < LIFE_KEYS_MAX; i++) {
        if (memory->over[i].name[0] == '\0')
            place = place < 0 ? i : place;
        else if (span_is_equal(span_from_text(memory->over[i].name), name))
            return i;
    }
    return place;
}

/* Of more keys at a time than there are places the others have to wait for one. */
static void remember_rates(struct look *look)
{
    struct trigger_memory *memory = look->memory;

    for (int i = 0; i < LIFE_KEYS_MAX; i++) {
        const struct trigger_key *key =
            memory->over[i].name[0] ? find_key(look->facts, memory->over[i].name) : NULL;

        if (!key || !trigger_is_over(look->rules, key))
            memory->over[i].name[0] = '\0';
    }
    for (size_t i = 0; i < look->facts->count; i++) {
        const struct trigger_key *key = &look->facts->keys[i];
        int place;

        if (!trigger_is_over(look->rules, key) || key->name.len == 0 ||
            key->name.len >= LIFE_NAME_BYTES)
            continue;
        place = find_place(memory, key->name);
        if (place < 0 || memory->over[place].name[0])
            continue;
        memcpy(memory->over[place].name, key->name.ptr, key->name.len);
        memory->over[place].name[key->name.len] = '\0';
        memory->over[place].since_us = look->now->us;
    }
}

static bool stays_over(struct look *look, const struct trigger_key *key)
{
    int place = find_place(look->memory, key->name);

    return look->rules->prune_after_us && trigger_is_over(look->rules, key) && place >= 0 &&
           look->memory->over[place].name[0] &&
           has_come_us(look,
                       later(look->memory->over[place].since_us, look->rules->prune_after_us));
}

/* ---- pruning ---- */

/* Whether others serve of whom nothing bad is known. */
static bool has_good_others(struct look *look, const struct trigger_key *key)
{
    for (size_t i = 0; i < look->facts->count; i++) {
        const struct trigger_key *other = &look->facts->keys[i];

        if (other != key && is_active(other) && !other->is_away && !other->is_pruned &&
            !other->is_leaked && !other->refused_since_us && !trigger_is_over(look->rules, other) &&
            !is_expired(look, other))
            return true;
    }
    return false;
}

static bool find_to_prune(struct look *look, struct trigger_answer *answer)
{
    for (size_t i = 0; i < look->facts->count; i++) {
        const struct trigger_key *key = &look->facts->keys[i];
        bool is_late;

        if (!is_active(key) || key->is_pruned || key->is_kept)
            continue;
        is_late = is_expired(look, key);
        if (!(is_late || stays_over(look, key)) || !has_good_others(look, key))
            continue;
        answer->act = TRIGGER_PRUNE;
        answer->key = i;
        answer->trigger = is_late ? LIFE_BY_EXPIRY : LIFE_BY_ERROR_RATE;
        return true;
    }
    return false;
}

/* ---- beginning ---- */

static bool is_rested(struct look *look, uint64_t min_us, uint64_t max_us)
{
    uint32_t failures = look->facts->failures, doublings = failures ? failures - 1 : 0;
    uint64_t rest_us = min_us << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX);

    if (!failures || !look->facts->ended_us)
        return true;
    return has_come_us(look, later(look->facts->ended_us, rest_us < max_us ? rest_us : max_us));
}

static bool is_refused(struct look *look, const struct trigger_key *key)
{
    return key->refused_since_us &&
           has_come_us(look, later(key->refused_since_us, look->rules->refused_for_us));
}

static uint64_t before_end_us(const struct trigger_key *key, uint64_t before_us)
{
    bool is_known = key->created_wall_us && key->created_wall_us < key->expires_wall_us;
    uint64_t most_us =
        is_known ? (key->expires_wall_us - key->created_wall_us) / END_PART : UINT64_MAX;

    return before_us < most_us ? before_us : most_us;
}

static bool is_expiring(struct look *look, const struct trigger_key *key)
{
    return key->expires_wall_us &&
           has_come_wall(look, earlier(key->expires_wall_us,
                                       before_end_us(key, look->rules->rotate_before_us)));
}

static bool is_bad(struct look *look, const struct trigger_key *key)
{
    /* No more requests come to one that was pruned for its errors, and no more errors. */
    if (!(key->is_pruned && !is_expired(look, key)) && !trigger_is_over(look->rules, key))
        return false;
    return !look->facts->ended_us ||
           has_come_us(look, later(look->facts->ended_us, look->rules->calm_us));
}

static bool is_old(struct look *look, const struct trigger_key *key)
{
    uint64_t since_us = key->created_wall_us ? key->created_wall_us : key->seen_wall_us;

    return look->rules->max_age_us && since_us &&
           has_come_wall(look, later(since_us, look->rules->max_age_us));
}

/* Why an active key is to be replaced, most urgent first; LIFE_TRIGGERS: it is not. */
static enum life_trigger reason_of(struct look *look, const struct trigger_key *key)
{
    if (is_on(look, LIFE_BY_REFUSAL) && is_refused(look, key))
        return LIFE_BY_REFUSAL;
    if (is_on(look, LIFE_BY_EXPIRY) && is_expiring(look, key))
        return LIFE_BY_EXPIRY;
    if (is_on(look, LIFE_BY_ERROR_RATE) && is_bad(look, key))
        return LIFE_BY_ERROR_RATE;
    if (is_on(look, LIFE_BY_STORE) && key->is_changed)
        return LIFE_BY_STORE;
    if (is_on(look, LIFE_BY_AGE) && is_old(look, key))
        return LIFE_BY_AGE;
    if (is_of_the_round(look, key))
        return is_age_of_the_round(look->rules) ? LIFE_BY_AGE : LIFE_BY_SCHEDULE;
    return LIFE_TRIGGERS;
}

/* The smaller the more urgent; among those of one reason. */
static uint64_t order_of(const struct look *look, const struct trigger_key *key,
                         enum life_trigger trigger)
{
    switch (trigger) {
    case LIFE_BY_REFUSAL:
        return key->refused_since_us;
    case LIFE_BY_EXPIRY:
        return key->expires_wall_us;
    case LIFE_BY_ERROR_RATE:
        return PPM - trigger_error_ppm(look->rules, key);
    case LIFE_BY_AGE:
    case LIFE_BY_SCHEDULE:
        return key->created_wall_us ? key->created_wall_us : key->seen_wall_us;
    case LIFE_BY_OPERATOR:
    case LIFE_BY_STORE:
    case LIFE_BY_LEAK:
    case LIFE_TRIGGERS:
        break;
    }
    return 0;
}

static int rank_of(enum life_trigger trigger)
{
    static const enum life_trigger ranks[] = {LIFE_BY_REFUSAL, LIFE_BY_EXPIRY, LIFE_BY_ERROR_RATE,
                                              LIFE_BY_STORE,   LIFE_BY_AGE,    LIFE_BY_SCHEDULE};
    int rank = 0;

    while (rank < (int)(sizeof(ranks) / sizeof(ranks[0])) && ranks[rank] != trigger)
        rank++;
    return rank;
}

/* A leaked key that may still be in use is put off without waiting for anything. */
static bool find_leaked(struct look *look, struct trigger_answer *answer)
{
    if (!is_on(look, LIFE_BY_LEAK) || !has_come_us(look, look->facts->leak_not_before_us))
        return false;
    for (size_t i = 0; i < look->facts->count; i++) {
        const struct trigger_key *key = &look->facts->keys[i];
        bool is_off = key->step >= LIFE_RETIRED;

        if (!key->is_leaked || (is_off && (look->facts->is_busy ||
                                           !is_rested(look, LEAK_RETRY_MIN_US, LEAK_RETRY_MAX_US))))
            continue;
        answer->act = TRIGGER_BEGIN;
        answer->key = i;
        answer->trigger = LIFE_BY_LEAK;
        return true;
    }
    return false;
}

static bool find_to_replace(struct look *look, struct trigger_answer *answer)
{
    bool is_found = false;

    if (look->facts->is_busy || !has_come_us(look, look->facts->not_before_us) ||
        !is_rested(look, RETRY_MIN_US, RETRY_MAX_US))
        return false;
    for (size_t i = 0; i < look->facts->count; i++) {
        const struct trigger_key *key = &look->facts->keys[i], *best;
        enum life_trigger trigger = is_active(key) ? reason_of(look, key) : LIFE_TRIGGERS;

        if (trigger == LIFE_TRIGGERS)
            continue;
        best = &look->facts->keys[answer->key];
        if (is_found && (rank_of(trigger) > rank_of(answer->trigger) ||
                         (trigger == answer->trigger &&
                          order_of(look, key, trigger) >= order_of(look, best, trigger))))
            continue;
        is_found = true;
        answer->act = TRIGGER_BEGIN;
        answer->key = i;
        answer->trigger = trigger;
    }
    return is_found;
}

/* ---- warning ---- */

static bool find_to_warn(struct look *look, struct trigger_answer *answer)
{
    for (size_t i = 0; i < look->facts->count && look->rules->warn_before_us; i++) {
        const struct trigger_key *key = &look->facts->keys[i];

        if (!is_active(key) || key->is_warned || !key->expires_wall_us ||
            !has_come_wall(look, earlier(key->expires_wall_us,
                                         before_end_us(key, look->rules->warn_before_us))))
            continue;
        answer->act = TRIGGER_WARN;
        answer->key = i;
        answer->trigger = LIFE_BY_EXPIRY;
        return true;
    }
    return false;
}

void trigger_decide(const struct trigger_rules *rules, const struct trigger_facts *facts,
                    const struct trigger_now *now, struct trigger_memory *memory,
                    struct trigger_answer *ret_answer)
{
    struct look look = {rules, facts, now, memory, WAIT_MAX_US, false};
    struct trigger_answer answer = {.act = TRIGGER_NOTHING, .trigger = LIFE_TRIGGERS};

    follow_schedule(&look);
    remember_rates(&look);
    if (find_leaked(&look, &answer) || find_to_prune(&look, &answer) ||
        find_to_replace(&look, &answer) || find_to_warn(&look, &answer))
        trigger_say(rules, &facts->keys[answer.key], now, &answer);
    else
        answer.wait_us = look.wait_us;
    if (memory->round_wall_us)
        end_round(&look);
    answer.has_to_record = look.has_changed;
    *ret_answer = answer;
}

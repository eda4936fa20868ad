/*
 * What is to be done about each key, and what follows from how it went. Nothing begins while
 * something waits to be written down, so that all that is done was written down before.
 */
#include <stdio.h>
#include <string.h>

#include "base/bug.h"
#include "base/clock.h"
#include "base/err.h"
#include "rotation/life_inner.h"

#define RETRY_MIN_US    US_PER_SEC
#define RETRY_MAX_US    (600 * US_PER_SEC)
#define RETRY_RECORD_US (60 * US_PER_SEC)
#define FIND_AGAIN_US   (60 * US_PER_SEC)
#define FIND_TIMES      2 /* what was asked for late may come about late */
#define DOUBLINGS_MAX   20

/* ---- trying again ---- */

static uint64_t delay_us(uint64_t base_us, uint32_t tries, uint64_t max_us)
{
    uint32_t doublings = tries > DOUBLINGS_MAX ? DOUBLINGS_MAX : tries;
    uint64_t delay = base_us << doublings;

    return delay > max_us ? max_us : delay;
}

static void try_again(struct life_key *key, uint64_t base_us, const struct life_result *result,
                      const struct life_now *now)
{
    uint64_t delay = delay_us(base_us, key->live.tries++, RETRY_MAX_US);

    if (delay < result->retry_after_us)
        delay = result->retry_after_us < RETRY_MAX_US ? result->retry_after_us : RETRY_MAX_US;
    key->live.not_before_us = now->us + delay;
}

/* ---- what happens of itself ---- */

/* Its end is ours to bring about: it was made here, or its secret is kept here alone. */
static bool is_held(const struct life_key *key)
{
    return key->is_ours || key->is_kept;
}

/* The time for which a retired key stays valid. In one process it is measured on the clock that
 * does not jump. */
static bool is_overlap_over(const struct life_key *key, const struct life_rules *rules,
                            const struct life_now *now)
{
    if (key->is_leaked)
        return true;
    if (key->live.since_us)
        return now->us - key->live.since_us >= rules->overlap_us;
    return now->wall_us >= key->until_wall_us;
}

static void give_up(struct life *life, const struct life_rules *rules, struct life_key *key,
                    const char *reason, const struct life_now *now)
{
    life_move(life, key, LIFE_ROLLED_BACK, reason, now);
    life_renew(life, rules, key, now);
    if (!life_successor(life))
        life_end_rotation(life, false, now);
}

/* What follows from a step alone; each change has to be written down before the next. */
static void settle(struct life *life, const struct life_rules *rules, struct life_key *key,
                   const struct life_now *now)
{
    switch (key->step) {
    case LIFE_ISSUING:
        if (key->is_asked && !key->live.is_asked_here)
            give_up(life, rules, key, "a restart: nobody knows whether it was made", now);
        else if (!key->is_asked)
            key->is_asked = key->live.is_asked_here = life->live.is_dirty = true;
        break;
    case LIFE_ISSUED:
        if (!key->live.has_secret) {
            /* It was nowhere yet: an issuer that tells of it again tells news. */
            memset(key->identity, 0, sizeof(key->identity));
            give_up(life, rules, key, "a restart: its secret was not kept yet", now);
        }
        break;
    case LIFE_STORED:
        if (!life_is_waiting(key) || !life_successor(life))
            life_move(life, key, LIFE_VALIDATING, NULL, now);
        break;
    case LIFE_ROLLED_BACK:
        if (key->is_ours && !key->is_gone && (!key->is_asked || !rules->can_find) && !key->id[0])
            key->is_gone = life->live.is_dirty = true;
        break;
    case LIFE_RETIRED:
        if (key->is_gone && !key->is_kept)
            life_move(life, key, LIFE_REVOKED, NULL, now);
        else if (is_held(key) && !key->is_ending && is_overlap_over(key, rules, now))
            key->is_ending = life->live.is_dirty = true;
        break;
    case LIFE_VALIDATING:
    case LIFE_CANARY:
    case LIFE_ACTIVE:
    case LIFE_DRAINING:
    case LIFE_REVOKED:
    case LIFE_STEPS:
        break;
    }
}

/* ---- what is to be done ---- */

/* The end of a key that gets no traffic any more: it is revoked, then forgotten. Exchanges that
 * hold it end first, but for a leaked one. False: nothing is to be done now. */
static bool find_end(const struct life_key *key, enum life_act *ret_act)
{
    if (key->live.has_traffic && !key->is_leaked)
        *ret_act = LIFE_DRAIN;
    else if (!key->is_gone && key->is_ours)
        *ret_act = key->id[0] ? LIFE_REVOKE : LIFE_FIND;
    else if (key->is_kept)
        *ret_act = LIFE_FORGET;
    else
        return false;
    return true;
}

static bool find_task(const struct life_key *key, const struct life_rules *rules,
                      const struct life_now *now, enum life_act *ret_act)
{
    switch (key->step) {
    case LIFE_ISSUING:
        *ret_act = LIFE_CREATE;
        return true;
    case LIFE_ISSUED:
    case LIFE_ACTIVE:
        *ret_act = LIFE_KEEP;
        return key->live.has_secret;
    case LIFE_VALIDATING:
        *ret_act = LIFE_VALIDATE;
        return true;
    case LIFE_DRAINING:
        *ret_act = LIFE_DRAIN;
        return true;
    case LIFE_RETIRED:
        return key->is_ending && find_end(key, ret_act);
    case LIFE_ROLLED_BACK:
        return find_end(key, ret_act);
    case LIFE_STORED:
    case LIFE_CANARY:
    case LIFE_REVOKED:
    case LIFE_STEPS:
        break;
    }
    return false;
}

static uint64_t next_time(const struct life_key *key, const struct life_rules *rules,
                          const struct life_now *now)
{
    if (key->live.is_busy)
        return UINT64_MAX;
    if (key->live.not_before_us > now->us)
        return key->live.not_before_us;
    if (key->step != LIFE_RETIRED || !is_held(key) || key->is_ending)
        return UINT64_MAX;
    if (key->live.since_us)
        return key->live.since_us + rules->overlap_us;
    return now->us + (key->until_wall_us - now->wall_us);
}

static bool next_record(struct life *life, const struct life_now *now, struct life_task *ret_task,
                        uint64_t *ret_next_us)
{
    *ret_next_us = UINT64_MAX;
    if (life->live.is_recording)
        return false;
    if (life->live.not_before_us > now->us) {
        *ret_next_us = life->live.not_before_us;
        return false;
    }
    life->live.is_dirty = false;
    life->live.is_recording = true;
    *ret_task = (struct life_task){.act = LIFE_RECORD};
    return true;
}

static bool next_of_keys(struct life *life, const struct life_rules *rules,
                         const struct life_now *now, struct life_task *ret_task,
                         uint64_t *ret_next_us)
{
    for (uint32_t i = 0; i < life->count; i++) {
        struct life_key *key = &life->keys[i];
        uint64_t next_us = next_time(key, rules, now);

        if (next_us < *ret_next_us)
            *ret_next_us = next_us;
        if (key->live.is_busy || key->live.not_before_us > now->us ||
            !find_task(key, rules, now, &ret_task->act))
            continue;
        key->live.is_busy = true;
        ret_task->key = key;
        return true;
    }
    return false;
}

bool life_next(struct life *life, const struct life_rules *rules, uint64_t now_us, uint64_t wall_us,
               struct life_task *ret_task, uint64_t *ret_next_us)
{
    const struct life_now now = {now_us, wall_us};

    *ret_next_us = UINT64_MAX;
    if (life->live.is_recording)
        return false;
    for (uint32_t i = 0; i < life->count && !life->live.is_dirty; i++) {
        if (!life->keys[i].live.is_busy)
            settle(life, rules, &life->keys[i], &now);
    }
    if (life->live.is_dirty)
        return next_record(life, &now, ret_task, ret_next_us);
    return next_of_keys(life, rules, &now, ret_task, ret_next_us);
}

/* ---- what came of it ---- */

static void end_record(struct life *life, const struct life_result *result,
                       const struct life_now *now)
{
    life->live.is_recording = false;
    life->live.not_before_us = 0;
    if (!result->err) {
        life->live.tries = 0;
        return;
    }
    life->live.is_dirty = true;
    life->live.not_before_us =
        now->us + delay_us(RETRY_MIN_US, life->live.tries++, RETRY_RECORD_US);
}

static bool keep_id(struct life *life, struct life_key *key, struct span id)
{
    if (id.len == 0 || id.len >= LIFE_ID_BYTES || memchr(id.ptr, '\0', id.len))
        return false;
    memcpy(key->id, id.ptr, id.len);
    key->id[id.len] = '\0';
    life_touch(life);
    return true;
}

static void created(struct life *life, struct life_key *key, const struct life_result *result,
                    const struct life_now *now)
{
    key->is_kept = true;
    key->created_wall_us = now->wall_us;
    key->expires_wall_us = result->expires_wall_us;
    if (result->identity)
        memcpy(key->identity, result->identity, LIFE_IDENTITY_BYTES);
    (void)keep_id(life, key, result->id);
    life_touch(life);
    if (key->step != LIFE_ISSUING)
        return; /* it was given up meanwhile, and will be revoked */
    key->live.has_secret = true;
    life_move(life, key, LIFE_ISSUED, NULL, now);
}

static void end_create(struct life *life, const struct life_rules *rules, struct life_key *key,
                       const struct life_result *result, const struct life_now *now)
{
    if (!result->err) {
        created(life, key, result, now);
        return;
    }
    if (key->step != LIFE_ISSUING) {
        /* Given up meanwhile: is there something to look for? */
        key->is_asked = result->may_exist;
        life_touch(life);
        return;
    }
    if (result->may_exist) {
        (void)keep_id(life, key, result->id);
        give_up(life, rules, key, result->why, now);
        return;
    }
    if (!result->is_final && key->live.tries + 1 < rules->attempts) {
        try_again(key, rules->base_delay_us, result, now);
        return;
    }
    key->is_asked = false;
    life_move(life, key, LIFE_ROLLED_BACK, result->why, now);
    life_end_rotation(life, false, now);
}

static void end_keep(struct life *life, struct life_key *key, const struct life_result *result,
                     const struct life_now *now)
{
    if (key->step != LIFE_ISSUED && key->step != LIFE_ACTIVE)
        return;
    if (result->err) {
        try_again(key, RETRY_MIN_US, result, now);
        return;
    }
    key->live.has_secret = false;
    if (key->step == LIFE_ISSUED)
        life_move(life, key, LIFE_STORED, NULL, now);
}

static void end_validate(struct life *life, const struct life_rules *rules, struct life_key *key,
                         const struct life_result *result, const struct life_now *now)
{
    if (key->step != LIFE_VALIDATING)
        return;
    if (!result->err) {
        life_move(life, key, LIFE_CANARY, NULL, now);
        if (!rules->has_ramp)
            life_promote(life, now->us, now->wall_us);
    } else if (key->live.tries + 1 < rules->attempts) {
        try_again(key, rules->base_delay_us, result, now);
    } else {
        life_move(life, key, LIFE_ROLLED_BACK, result->why, now);
        life_end_rotation(life, false, now);
    }
}

static void end_drain(struct life *life, const struct life_rules *rules, struct life_key *key,
                      const struct life_result *result, const struct life_now *now)
{
    if (key->step != LIFE_DRAINING && key->step != LIFE_ROLLED_BACK)
        return; /* it serves again */
    if (result->err) {
        try_again(key, RETRY_MIN_US, result, now);
        return;
    }
    if (key->step == LIFE_ROLLED_BACK) {
        key->live.has_traffic = false;
        return;
    }
    life_move(life, key, LIFE_RETIRED, NULL, now);
    key->until_wall_us = now->wall_us + rules->overlap_us;
}

static void end_find(struct life *life, struct life_key *key, const struct life_result *result,
                     const struct life_now *now)
{
    if (!result->err && keep_id(life, key, result->id))
        return;
    if (result->err == ERR_NOTFOUND && ++key->live.finds < FIND_TIMES) {
        key->live.not_before_us = now->us + FIND_AGAIN_US;
        return;
    }
    if (result->err && result->err != ERR_NOTFOUND && result->err != ERR_UNSUPPORTED) {
        try_again(key, RETRY_MIN_US, result, now);
        return;
    }
    key->is_gone = true;
    life_touch(life);
}

static void end_revoke(struct life *life, struct life_key *key, const struct life_result *result,
                       const struct life_now *now)
{
    if (result->err && result->err != ERR_NOTFOUND && result->err != ERR_UNSUPPORTED) {
        try_again(key, RETRY_MIN_US, result, now);
        return;
    }
    key->is_gone = true;
    life_touch(life);
}

static void end_forget(struct life *life, struct life_key *key, const struct life_result *result,
                       const struct life_now *now)
{
    if (result->err && result->err != ERR_NOTFOUND) {
        try_again(key, RETRY_MIN_US, result, now);
        return;
    }
    key->is_kept = false;
    life_touch(life);
}

void life_end(struct life *life, const struct life_rules *rules, const struct life_task *task,
              const struct life_result *result, uint64_t now_us, uint64_t wall_us)
{
    const struct life_now now = {now_us, wall_us};

    if (task->key)
        task->key->live.is_busy = false;
    switch (task->act) {
    case LIFE_RECORD:
        end_record(life, result, &now);
        break;
    case LIFE_CREATE:
        end_create(life, rules, task->key, result, &now);
        break;
    case LIFE_KEEP:
        end_keep(life, task->key, result, &now);
        break;
    case LIFE_VALIDATE:
        end_validate(life, rules, task->key, result, &now);
        break;
    case LIFE_DRAIN:
        end_drain(life, rules, task->key, result, &now);
        break;
    case LIFE_FIND:
        end_find(life, task->key, result, &now);
        break;
    case LIFE_REVOKE:
        end_revoke(life, task->key, result, &now);
        break;
    case LIFE_FORGET:
        end_forget(life, task->key, result, &now);
        break;
    }
}

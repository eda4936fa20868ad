#include "rotation/life.h"

#include <stdio.h>
#include <string.h>

#include "base/bug.h"
#include "rotation/life_inner.h"

/* ---- the table ---- */

struct row {
    const char *name;
    uint32_t may_go_to;
    enum life_standing standing;
};

#define TO(step) (1u << LIFE_##step)

static const struct row rows[LIFE_STEPS] = {
#define LIFE(id, name, to, standing, meaning) [LIFE_##id] = {name, to, LIFE_STANDS_##standing},
#include "rotation/life.def"
#undef LIFE
};

const char *life_step_text(enum life_step step)
{
    return rows[step].name;
}

const char *life_trigger_text(enum life_trigger trigger)
{
    static const char *const texts[LIFE_TRIGGERS] = {
        [LIFE_BY_OPERATOR] = "operator",
        [LIFE_BY_SCHEDULE] = "schedule",
        [LIFE_BY_AGE] = "age",
        [LIFE_BY_EXPIRY] = "expiry",
        [LIFE_BY_ERROR_RATE] = "error_rate",
        [LIFE_BY_REFUSAL] = "refusal",
        [LIFE_BY_STORE] = "secret_changed",
        [LIFE_BY_LEAK] = "leaked",
    };

    return texts[trigger];
}

enum life_standing life_standing(const struct life_key *key)
{
    return rows[key->step].standing;
}

bool life_is_urgent(const struct life_key *key)
{
    return key->step == LIFE_ROLLED_BACK || key->is_leaked || key->live.is_back ||
           life_is_waiting(key);
}

bool life_is_recorded(const struct life *life)
{
    return !life->live.is_dirty && !life->live.is_recording;
}

void life_touch(struct life *life)
{
    life->live.is_dirty = true;
}

void life_move(struct life *life, struct life_key *key, enum life_step to, const char *reason,
               const struct life_now *now)
{
    bug_fatal_unless((rows[key->step].may_go_to & (1u << to)) != 0);
    key->live.is_back = false;
    key->live.has_traffic = key->step == LIFE_CANARY || key->step == LIFE_ACTIVE;
    key->step = to;
    key->since_wall_us = now->wall_us;
    snprintf(key->reason, sizeof(key->reason), "%s", reason ? reason : "");
    key->live.not_before_us = 0;
    key->live.since_us = now->us;
    key->live.tries = 0;
    life_touch(life);
}

/* ---- finding ---- */

struct life_key *life_find(struct life *life, struct span name)
{
    for (uint32_t i = 0; i < life->count; i++) {
        if (span_is_equal(span_from_text(life->keys[i].name), name))
            return &life->keys[i];
    }
    return NULL;
}

/* A new secret of the file that waits for its turn. */
bool life_is_waiting(const struct life_key *key)
{
    return key->step == LIFE_STORED && !key->is_ours;
}

struct life_key *life_find_at(struct life *life, enum life_step from, enum life_step to)
{
    for (uint32_t i = 0; i < life->count; i++) {
        if (life->keys[i].step >= from && life->keys[i].step <= to)
            return &life->keys[i];
    }
    return NULL;
}

struct life_key *life_successor(struct life *life)
{
    for (uint32_t i = 0; i < life->count; i++) {
        if (life->keys[i].step <= LIFE_CANARY && !life_is_waiting(&life->keys[i]))
            return &life->keys[i];
    }
    return NULL;
}

struct life_key *life_canary(struct life *life)
{
    return life_find_at(life, LIFE_CANARY, LIFE_CANARY);
}

struct life_key *life_predecessor(struct life *life, const struct life_key *key)
{
    return key->replaces[0] ? life_find(life, span_from_text(key->replaces)) : NULL;
}

/* ---- room ---- */

bool life_lacks_successor(const struct life_key *key)
{
    return (key->is_leaked || key->is_pruned) && !key->is_replaced && key->step > LIFE_ACTIVE &&
           key->step != LIFE_ROLLED_BACK;
}

/* Nothing will ever be done about it again. */
static bool is_over(const struct life_key *key)
{
    return (key->step == LIFE_REVOKED || key->step == LIFE_ROLLED_BACK) && key->is_gone &&
           !key->is_kept && !key->live.is_busy && !key->live.has_traffic;
}

/* Which of two that are over is forgotten first: one that still lacks a successor is the last. */
static bool goes_before(const struct life_key *key, const struct life_key *other)
{
    if (life_lacks_successor(key) != life_lacks_successor(other))
        return life_lacks_successor(other);
    return key->since_wall_us < other->since_wall_us;
}

/* A place for a key; that of the oldest that is over where there are enough of them, for what it
 * was is history, which is kept elsewhere. NULL: none. */
static struct life_key *find_place(struct life *life)
{
    struct life_key *oldest = NULL;
    uint32_t over = 0;

    for (uint32_t i = 0; i < life->count; i++) {
        struct life_key *key = &life->keys[i];

        over += is_over(key);
        if (is_over(key) && (!oldest || goes_before(key, oldest)))
            oldest = key;
    }
    if (life->count == LIFE_KEYS_MAX)
        return oldest;
    return over >= LIFE_OVER_MAX && !life_lacks_successor(oldest) ? oldest
                                                                  : &life->keys[life->count];
}

bool life_has_room(struct life *life, uint32_t count)
{
    uint32_t free = LIFE_KEYS_MAX - life->count;

    for (uint32_t i = 0; i < life->count; i++)
        free += is_over(&life->keys[i]);
    return free >= count;
}

/* There is room. */
struct life_key *life_add(struct life *life, struct span name, enum life_step step,
                          const struct life_now *now)
{
    struct life_key *key = find_place(life);

    life->count += key == &life->keys[life->count];
    memset(key, 0, sizeof(*key));
    memcpy(key->name, name.ptr, name.len);
    key->step = step;
    key->since_wall_us = now->wall_us;
    key->live.since_us = now->us;
    life_touch(life);
    return key;
}

bool life_is_nameable(struct life *life, struct span name)
{
    return name.len > 0 && name.len < LIFE_NAME_BYTES && !memchr(name.ptr, '\0', name.len) &&
           !life_find(life, name);
}

/* ---- what is known of a key ---- */

void life_init(struct life *life)
{
    memset(life, 0, sizeof(*life));
}

static bool is_blank(const uint8_t *identity)
{
    static const uint8_t zeroes[LIFE_IDENTITY_BYTES];

    return !memcmp(identity, zeroes, LIFE_IDENTITY_BYTES);
}

bool life_has_identity(const struct life_key *key)
{
    return !is_blank(key->identity);
}

void life_identify(struct life *life, struct life_key *key, const uint8_t *identity)
{
    if (!memcmp(key->identity, identity, LIFE_IDENTITY_BYTES))
        return;
    memcpy(key->identity, identity, LIFE_IDENTITY_BYTES);
    life_touch(life);
}

bool life_is_of(const struct life_key *key, const uint8_t *identity)
{
    return is_blank(key->identity) || is_blank(identity) ||
           !memcmp(key->identity, identity, LIFE_IDENTITY_BYTES);
}

void life_begin_anew(struct life *life, struct life_key *key, enum life_step step,
                     const struct life_now *now)
{
    struct life_key fresh = {.step = step, .since_wall_us = now->wall_us};

    memcpy(fresh.name, key->name, sizeof(fresh.name));
    fresh.live.since_us = now->us;
    fresh.live.is_busy = key->live.is_busy;
    *key = fresh;
    life_touch(life);
}

/* ---- the canary ---- */

void life_end_rotation(struct life *life, bool is_good, const struct life_now *now)
{
    life->ended_wall_us = now->wall_us;
    life->live.ended_us = now->us;
    life->failures = is_good ? 0 : life->failures + (life->failures < UINT32_MAX);
    life->note[0] = '\0';
    life_touch(life);
}

void life_promote(struct life *life, uint64_t now_us, uint64_t wall_us)
{
    const struct life_now now = {now_us, wall_us};
    struct life_key *key = life_canary(life), *old;

    if (!key)
        return;
    old = life_predecessor(life, key);
    life_move(life, key, LIFE_ACTIVE, NULL, &now);
    if (old)
        old->is_replaced = true;
    if (old && old->step == LIFE_ACTIVE)
        life_move(life, old, LIFE_DRAINING, NULL, &now);
    life_end_rotation(life, true, &now);
}

void life_lose(struct life *life, const char *reason, uint64_t now_us, uint64_t wall_us)
{
    const struct life_now now = {now_us, wall_us};
    struct life_key *key = life_canary(life);

    if (!key)
        return;
    life_move(life, key, LIFE_ROLLED_BACK, reason, &now);
    life_end_rotation(life, false, &now);
}

void life_remember(struct life *life, const struct life_memory *memory)
{
    if (life->memory.last_wall_us == memory->last_wall_us &&
        life->memory.round_wall_us == memory->round_wall_us &&
        life->memory.first_wall_us == memory->first_wall_us)
        return;
    life->memory = *memory;
    life_touch(life);
}

void life_note(struct life *life, struct span note)
{
    if (note.len >= sizeof(life->note))
        return;
    memcpy(life->note, note.ptr, note.len);
    life->note[note.len] = '\0';
    life_touch(life);
}

/* It serves again. */
static void take_back(struct life *life, struct life_key *key, const char *reason,
                      const struct life_now *now)
{
    life_move(life, key, LIFE_ACTIVE, reason, now);
    key->live.is_back = true;
    key->is_pruned = key->is_replaced = false;
}

bool life_can_be_back(const struct life_key *key)
{
    return !key->is_leaked && !key->is_ending &&
           (key->step == LIFE_DRAINING || key->step == LIFE_RETIRED);
}

bool life_roll_back(struct life *life, struct life_key *key, const char *reason, uint64_t now_us,
                    uint64_t wall_us)
{
    const struct life_now now = {now_us, wall_us};
    struct life_key *old = life_predecessor(life, key);

    if (life_lacks_successor(key) && life_can_be_back(key)) {
        take_back(life, key, reason, &now);
        return true;
    }
    if (key->step > LIFE_ACTIVE || (key->step == LIFE_ACTIVE && !(old && life_can_be_back(old))))
        return false;
    if (key->step == LIFE_ACTIVE)
        take_back(life, old, "its successor was rolled back", &now);
    life_move(life, key, LIFE_ROLLED_BACK, reason, &now);
    life_end_rotation(life, false, &now);
    return true;
}

/*
 * What a change of the file means for the keys that are its own. One whose secret was changed
 * becomes two: the new secret has the file's name, and proves itself as a successor does; the old
 * one has a name of its own, and serves on meanwhile. As the file has that one no more, it is kept
 * in the store until its end.
 */
#include <string.h>

#include "rotation/life_inner.h"

/* It is to prove itself, does, or could not. */
static bool is_unproven(const struct life_key *key)
{
    return !key->is_ours && !key->is_gone &&
           ((key->step >= LIFE_STORED && key->step <= LIFE_CANARY) ||
            key->step == LIFE_ROLLED_BACK);
}

struct life_key *life_stand_in(struct life *life, struct span name, const uint8_t *identity)
{
    const struct life_key *key = life_find(life, name);
    struct life_key *old = key && is_unproven(key) ? life_predecessor(life, key) : NULL;

    if (!old || old->step != LIFE_ACTIVE || memcmp(key->identity, identity, LIFE_IDENTITY_BYTES))
        return NULL;
    return old;
}

static struct life_key *find_identity(struct life *life, const uint8_t *identity)
{
    for (uint32_t i = 0; i < life->count; i++) {
        if (!memcmp(life->keys[i].identity, identity, LIFE_IDENTITY_BYTES))
            return &life->keys[i];
    }
    return NULL;
}

/* Which key serves on in the place of the changed one, where that is known: the one that stands in
 * for it, or that did before the file was back at its secret. NULL: none. */
static struct life_key *find_old(struct life *life, const struct life_change *change)
{
    struct life_key *old = life_stand_in(life, change->name, change->old_identity);

    for (uint32_t i = 0; i < life->count && !old; i++) {
        struct life_key *key = &life->keys[i];

        if (!key->is_ours && key->is_kept && key->step == LIFE_ACTIVE &&
            !memcmp(key->identity, change->old_identity, LIFE_IDENTITY_BYTES))
            old = key;
    }
    return old;
}

/* The file is back at a secret of which is known what becomes of it. */
static bool is_back(struct life *life, struct life_key *key, const struct life_change *change,
                    const struct life_now *now)
{
    struct life_key *known = find_identity(life, change->identity);

    if (!known)
        return false;
    if (key && key->step == LIFE_ACTIVE && known == life_predecessor(life, key) &&
        life_can_be_back(known))
        return life_roll_back(life, key, "the file has the one before again", now->us,
                              now->wall_us);
    if (known->is_ours || known->is_leaked || known->step == LIFE_ACTIVE)
        return true;
    /* That one has ended: what comes now is to be known anew. */
    memset(known->identity, 0, LIFE_IDENTITY_BYTES);
    return false;
}

static struct life_key *keep_old(struct life *life, const struct life_change *change,
                                 const struct life_now *now)
{
    struct life_key *old = life_add(life, change->before, LIFE_ACTIVE, now);

    memcpy(old->identity, change->old_identity, LIFE_IDENTITY_BYTES);
    old->is_kept = true;
    old->is_gone = true; /* nobody knows its id at the provider */
    old->live.has_secret = true;
    old->live.is_back = true; /* as it served until now */
    return old;
}

static void take_new(struct life *life, struct life_key *key, const struct life_change *change,
                     const struct life_now *now)
{
    if (key && key->step > LIFE_STORED && key->step <= LIFE_CANARY)
        life_end_rotation(life, false, now); /* of the secret before this one */
    if (key)
        life_begin_anew(life, key, LIFE_STORED, now);
    else
        key = life_add(life, change->name, LIFE_STORED, now);
    memcpy(key->identity, change->identity, LIFE_IDENTITY_BYTES);
    key->trigger = LIFE_BY_STORE;
    key->rotation = ++life->rotations;
    key->attempt = 1;
}

enum life_begun life_adopt(struct life *life, const struct life_change *change, uint64_t now_us,
                           uint64_t wall_us, struct life_key **ret_old)
{
    const struct life_now now = {now_us, wall_us};
    struct life_key *key = life_find(life, change->name);
    struct life_key *old = find_old(life, change);

    if (change->name.len >= LIFE_NAME_BYTES || (key && key->is_ours) ||
        (!old && !life_is_nameable(life, change->before)))
        return LIFE_NAMELESS;
    if (is_back(life, key, change, &now) ||
        (key && !old && key->step != LIFE_ACTIVE && life_is_of(key, change->old_identity)))
        return LIFE_GONE;
    if (!life_has_room(life, !key + !old))
        return LIFE_CROWDED;
    take_new(life, key, change, &now);
    if (!old)
        old = keep_old(life, change, &now);
    key = life_find(life, change->name);
    memcpy(key->replaces, old->name, LIFE_NAME_BYTES);
    *ret_old = old;
    return LIFE_BEGUN;
}

/* Whose unproven successor it stands in for; NULL: nobody's. */
static struct life_key *find_unproven(struct life *life, const struct life_key *old)
{
    for (uint32_t i = 0; i < life->count; i++) {
        struct life_key *key = &life->keys[i];

        if (is_unproven(key) && !strcmp(key->replaces, old->name))
            return key;
    }
    return NULL;
}

void life_release(struct life *life, struct life_key *key, uint64_t now_us, uint64_t wall_us)
{
    static const char why[] = "the file has it no more";
    const struct life_now now = {now_us, wall_us};

    if (key->is_ours)
        return;
    if (key->is_kept && key->step == LIFE_ACTIVE && !find_unproven(life, key))
        life_move(life, key, LIFE_DRAINING, why, &now);
    if (key->is_gone || key->is_kept)
        return;
    if (key->step >= LIFE_STORED && key->step <= LIFE_CANARY)
        (void)life_roll_back(life, key, why, now_us, wall_us);
    if (key->step != LIFE_RETIRED && key->step != LIFE_ROLLED_BACK)
        return;
    key->is_gone = true;
    life_touch(life);
}

void life_lose_secret(struct life *life, struct life_key *old, uint64_t now_us, uint64_t wall_us)
{
    static const char why[] = "the secret before it is kept nowhere";
    const struct life_now now = {now_us, wall_us};
    struct life_key *key = find_unproven(life, old);

    old->is_kept = false;
    life_touch(life);
    if (old->step == LIFE_ACTIVE)
        life_move(life, old, LIFE_RETIRED, "its secret is kept nowhere", &now);
    if (!key)
        return;
    old->is_replaced = true;
    if (key->is_leaked)
        return;
    if (key->step == LIFE_ROLLED_BACK) {
        /* There is no other: it is as the file says. */
        memset(key->identity, 0, LIFE_IDENTITY_BYTES);
        key->is_gone = true;
        return;
    }
    if (key->step == LIFE_STORED)
        life_move(life, key, LIFE_VALIDATING, NULL, &now);
    life_move(life, key, LIFE_ACTIVE, why, &now);
    life_end_rotation(life, true, &now);
}

#include "server/mirror.h"

#include <stdio.h>
#include <string.h>

#include "store/audit.h"
#include "store/rotations.h"

static const struct life_key *find(const struct life *life, const char *name)
{
    for (uint32_t i = 0; i < life->count; i++) {
        if (name[0] && !strcmp(life->keys[i].name, name))
            return &life->keys[i];
    }
    return NULL;
}

/* The key that was last made to take the place of that one. */
static const struct life_key *successor_of(const struct life *life, const struct life_key *key)
{
    const struct life_key *found = NULL;

    for (uint32_t i = 0; i < life->count; i++) {
        const struct life_key *other = &life->keys[i];

        if (!strcmp(other->replaces, key->name) && (!found || other->rotation > found->rotation))
            found = other;
    }
    return found;
}

static bool is_on_its_way_out(const struct life_key *key)
{
    return key->step == LIFE_DRAINING || key->step == LIFE_RETIRED || key->step == LIFE_REVOKED;
}

/* Nothing more happens in it: the old key is gone, or nobody can revoke it; or the new one is. */
static bool is_over(const struct life_key *made, const struct life_key *mover)
{
    switch (mover->step) {
    case LIFE_REVOKED:
    case LIFE_ROLLED_BACK:
        return true;
    case LIFE_RETIRED:
        return !mover->is_ours;
    case LIFE_ACTIVE:
        return !made->replaces[0];
    case LIFE_ISSUING:
    case LIFE_ISSUED:
    case LIFE_STORED:
    case LIFE_VALIDATING:
    case LIFE_CANARY:
    case LIFE_DRAINING:
    case LIFE_STEPS:
        break;
    }
    return false;
}

/* The rotation that made a key stands where that key does, or the one that it replaces. */
static void write(struct store *store, struct span provider, const struct life_key *made,
                  const struct life_key *old, const struct life_key *mover)
{
    char id[ROTATION_ID_BYTES];
    struct rotation_row row = {
        .id = rotation_id(provider, made->rotation, id),
        .provider = provider,
        .predecessor = span_from_text(made->replaces),
        .successor = span_from_text(made->name),
        .predecessor_id = span_from_text(old ? old->id : ""),
        .successor_id = span_from_text(made->id),
        .cause = span_from_text(life_trigger_text(made->trigger)),
        .state = span_from_text(life_step_text(mover->step)),
        .reason = span_from_text(mover->reason),
        .started_wall_us = made->created_wall_us ? made->created_wall_us : made->since_wall_us,
        .until_wall_us = mover->step == LIFE_RETIRED ? mover->until_wall_us : 0,
        .ended_wall_us = is_over(made, mover) ? mover->since_wall_us : 0,
    };

    if (!row.started_wall_us)
        row.started_wall_us = 1;
    /* One that is there already stays as it is. Nobody waits for these: the health says how the
     * store is. */
    (void)rotations_add(store, NULL, &row);
    (void)rotations_update(store, NULL, &row, mover->since_wall_us);
}

static void audit(struct store *store, struct span provider, const struct life_key *key)
{
    const struct audit_line line = {
        .at_wall_us = key->since_wall_us,
        .actor = SPAN("rotation"),
        .action = span_from_text(life_step_text(key->step)),
        .provider = provider,
        .key = span_from_text(key->name),
        .result = SPAN("done"),
        .detail = span_from_text(key->reason),
    };

    (void)audit_add(store, NULL, &line);
}

/* It has served, and may have been replaced itself by now. */
static bool has_served(const struct life_key *key)
{
    return key->step == LIFE_ACTIVE || is_on_its_way_out(key);
}

/* A rotation goes on from one of its keys to the other as the new one begins to serve, which is one
 * moment for both, and news of each in any order: the old key's tell of both. A leaked one has been
 * off for long by then. */
static void follow(struct store *store, struct span provider, const struct life_key *made,
                   const struct life_key *old, const struct rotation_news *news)
{
    bool is_handed_over = has_served(made) && old && is_on_its_way_out(old);
    bool is_one_moment = is_handed_over && old->since_wall_us == made->since_wall_us;
    bool is_step = news->from != LIFE_STEPS;

    if (!is_handed_over) {
        write(store, provider, made, old, made);
        return;
    }
    if (is_step && is_one_moment && news->key == made)
        return;
    if (is_step && (is_one_moment || news->key == made))
        write(store, provider, made, old, made);
    write(store, provider, made, old, old);
}

void mirror_news(struct store *store, struct span provider, const struct life *life,
                 const struct rotation_news *news)
{
    const struct life_key *key = news->key, *made = key;

    /* What a process finds at its start has been told of by the one before. */
    if (news->from != LIFE_STEPS || key->step == LIFE_ISSUING)
        audit(store, provider, key);
    if (is_on_its_way_out(key) || (key->step == LIFE_ACTIVE && !key->rotation))
        made = successor_of(life, key);
    if (made && made->rotation)
        follow(store, provider, made, find(life, made->replaces), news);
}

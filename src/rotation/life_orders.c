/*
 * Orders: which key is replaced or taken out of service, and whether that can begin now.
 */
#include <stdio.h>
#include <string.h>

#include "rotation/life_inner.h"

/* Valid at the provider, as far as is known, by keys that rotation has made. */
static uint32_t count_valid(const struct life *life)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < life->count; i++)
        count += life->keys[i].step >= LIFE_ACTIVE && life->keys[i].step <= LIFE_RETIRED &&
                 life->keys[i].is_ours && !life->keys[i].is_gone;
    return count;
}

/* Of the retired ones the first goes before its time, where they would be too many. */
static bool is_crowded(struct life *life, const struct life_rules *rules,
                       const struct life_now *now)
{
    struct life_key *oldest = life_find_at(life, LIFE_RETIRED, LIFE_RETIRED);

    if (count_valid(life) < rules->max_keys)
        return false;
    for (uint32_t i = 0; i < life->count; i++) {
        struct life_key *key = &life->keys[i];

        if (key->step == LIFE_RETIRED && key->is_ours && !key->is_gone &&
            (!oldest->is_ours || oldest->is_gone || key->until_wall_us < oldest->until_wall_us))
            oldest = key;
    }
    if (!oldest || !oldest->is_ours || oldest->is_gone)
        return true;
    oldest->until_wall_us = now->wall_us;
    oldest->live.since_us = 0;
    life_touch(life);
    return false;
}

/* The key of the order, as far as it is known. One of the file that has another secret by now is
 * another key, which serves: what was known under its name is of the one before. */
static struct life_key *find_replaced(struct life *life, const struct life_order *order,
                                      const struct life_now *now)
{
    struct life_key *key = life_find(life, order->replaces);

    if (!key || key->is_ours || !order->identity || life_is_of(key, order->identity))
        return key;
    life_begin_anew(life, key, LIFE_ACTIVE, now);
    memcpy(key->identity, order->identity, LIFE_IDENTITY_BYTES);
    return key;
}

static struct life_key *take_in(struct life *life, const struct life_order *order,
                                const struct life_now *now)
{
    struct life_key *old = life_find(life, order->replaces);

    if (!old) {
        old = life_add(life, order->replaces, LIFE_ACTIVE, now);
        if (order->identity)
            memcpy(old->identity, order->identity, LIFE_IDENTITY_BYTES);
    }
    return old;
}

/* Off at once: it neither drains nor waits. */
static void put_out(struct life *life, struct life_key *key, const struct life_now *now)
{
    key->is_leaked = true;
    life_touch(life);
    if (key->step == LIFE_ACTIVE || key->step == LIFE_DRAINING)
        life_move(life, key, LIFE_RETIRED, "it leaked", now);
    else if (key->step < LIFE_ACTIVE)
        life_move(life, key, LIFE_ROLLED_BACK, "it leaked", now);
    key->until_wall_us = now->wall_us;
    key->live.since_us = 0;
}

static struct life_key *issue(struct life *life, const struct life_order *order,
                              const struct life_now *now)
{
    struct life_key *key = life_add(life, order->name, LIFE_ISSUING, now);

    key->trigger = order->trigger;
    key->is_ours = true;
    snprintf(key->reason, sizeof(key->reason), "%s", order->why ? order->why : "");
    if (order->replaces.len)
        memcpy(key->replaces, order->replaces.ptr, order->replaces.len);
    life->note[0] = '\0';
    return key;
}

enum life_begun life_begin(struct life *life, const struct life_rules *rules,
                           const struct life_order *order, uint64_t now_us, uint64_t wall_us)
{
    const struct life_now now = {now_us, wall_us};
    struct life_key *key, *old = find_replaced(life, order, &now);
    bool is_leak = order->replaces.len && order->trigger == LIFE_BY_LEAK;
    bool is_replaced = old && old->step > LIFE_ACTIVE && !life_lacks_successor(old);
    uint32_t needed = 2;

    if (order->replaces.len >= LIFE_NAME_BYTES)
        return LIFE_NAMELESS;
    /* It is off, whatever becomes of the rest. */
    if (is_leak && (old || life_has_room(life, 1))) {
        put_out(life, take_in(life, order, &now), &now);
        needed = old ? 2 : 1;
    }
    if (!life_is_nameable(life, order->name) || span_is_equal(order->name, order->replaces))
        return LIFE_NAMELESS;
    if (!life_has_room(life, needed))
        return LIFE_CROWDED;
    if (is_replaced && !is_leak)
        return LIFE_GONE;
    if (life_successor(life) || is_replaced)
        return LIFE_BUSY;
    if (is_crowded(life, rules, &now))
        return LIFE_CROWDED;
    if (order->replaces.len)
        take_in(life, order, &now);
    key = issue(life, order, &now);
    key->rotation = ++life->rotations;
    key->attempt = 1;
    return LIFE_BEGUN;
}

/* "NAME-2" behind "NAME", "NAME-3" behind that; empty where it does not fit. */
static struct span next_name(const struct life_key *failed, char ret_name[LIFE_NAME_BYTES])
{
    char suffix[16] = "";
    int len;

    if (failed->attempt > 1)
        snprintf(suffix, sizeof(suffix), "-%u", (unsigned)failed->attempt);
    len =
        snprintf(ret_name, LIFE_NAME_BYTES, "%.*s-%u", (int)(strlen(failed->name) - strlen(suffix)),
                 failed->name, (unsigned)failed->attempt + 1);
    return len > 0 && len < LIFE_NAME_BYTES ? span_of(ret_name, (size_t)len) : span_of(NULL, 0);
}

void life_renew(struct life *life, const struct life_rules *rules, const struct life_key *failed,
                const struct life_now *now)
{
    char name[LIFE_NAME_BYTES];
    const struct life_order order = {.name = next_name(failed, name),
                                     .replaces = span_from_text(failed->replaces),
                                     .trigger = failed->trigger,
                                     .why = failed->reason};
    struct life_key *key;

    if (failed->attempt >= rules->attempts || !life_has_room(life, 1) || life_successor(life) ||
        !life_is_nameable(life, order.name))
        return;
    key = issue(life, &order, now);
    key->rotation = failed->rotation;
    key->attempt = failed->attempt + 1;
}

bool life_prune(struct life *life, const struct life_order *order, uint64_t now_us,
                uint64_t wall_us)
{
    const struct life_now now = {now_us, wall_us};
    struct life_key *key = find_replaced(life, order, &now);

    if (key ? key->step != LIFE_ACTIVE
            : !order->replaces.len || order->replaces.len >= LIFE_NAME_BYTES ||
                  !life_has_room(life, 1))
        return false;
    key = take_in(life, order, &now);
    key->is_pruned = true;
    life_move(life, key, LIFE_DRAINING, order->why, &now);
    return true;
}

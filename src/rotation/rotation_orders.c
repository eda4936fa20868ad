/*
 * What a rotation is told to begin, or to take back; and the leaks among it, which hold whatever
 * becomes of the state in the store.
 */
#include <stdio.h>
#include <string.h>

#include "rotation/rotation_inner.h"

/* Of "auto-rotate-{time}" "auto-rotate-20261120-101500"; "-r2" behind it where that name is used
 * already. Empty where it does not fit. */
static struct span make_name(struct rotation *rotation, struct span before,
                             char ret_name[LIFE_NAME_BYTES])
{
    const struct span mark = SPAN("{time}");
    struct span behind = SPAN("");
    size_t at = span_find(before, mark);
    char time[ISSUER_TIME_BYTES];
    int len;

    if (at != SIZE_MAX) {
        behind = span_skip(before, at + mark.len);
        before.len = at;
    }
    issuer_write_time(rotation_wall_us(rotation), time);
    len = snprintf(ret_name, LIFE_NAME_BYTES, "%.*s%.*s%.*s", SPAN_ARG(before), ISSUER_TIME_BYTES,
                   time, SPAN_ARG(behind));
    if (len > 0 && len < LIFE_NAME_BYTES &&
        life_find(&rotation->life, span_of(ret_name, (size_t)len)))
        len += snprintf(ret_name + len, LIFE_NAME_BYTES - (size_t)len, "-r%llu",
                        (unsigned long long)rotation->life.rotations + 1);
    return span_of(ret_name, len > 0 && len < LIFE_NAME_BYTES ? (size_t)len : 0);
}

static struct life_order order_of(const struct rotation_order *order)
{
    return (struct life_order){.replaces = order->replaces,
                               .identity = order->identity,
                               .trigger = order->trigger,
                               .why = order->why};
}

static enum life_begun begin(struct rotation *rotation, const struct life_order *order)
{
    struct life_order made = *order;
    char name[LIFE_NAME_BYTES];

    made.name = make_name(rotation, rotation->settings.name, name);
    return life_begin(&rotation->life, &rotation->settings.rules, &made, rotation_now_us(rotation),
                      rotation_wall_us(rotation));
}

/* Until it was written down. */
static void keep_leak(struct rotation *rotation, struct span name)
{
    const struct life_key *key = life_find(&rotation->life, name);
    struct rotation_leak *leak = rotation->leaks;
    struct rotation_leak *end = leak + rotation->leak_count;

    if (!key || !key->is_leaked)
        return;
    while (leak < end && !span_is_equal(span_from_text(leak->name), name))
        leak++;
    if (leak == rotation->leaks + LIFE_KEYS_MAX)
        return;
    rotation->leak_count += leak == end;
    memcpy(leak->name, key->name, LIFE_NAME_BYTES);
    memcpy(leak->identity, key->identity, LIFE_IDENTITY_BYTES);
}

void rotation_repeat_leaks(struct rotation *rotation)
{
    for (uint32_t i = 0; i < rotation->leak_count; i++) {
        const struct life_order order = {.replaces = span_from_text(rotation->leaks[i].name),
                                         .identity = rotation->leaks[i].identity,
                                         .trigger = LIFE_BY_LEAK};

        (void)begin(rotation, &order);
    }
}

enum rotation_begun rotation_begin(struct rotation *rotation, const struct rotation_order *order,
                                   uint64_t *ret_id)
{
    struct life_order made = order_of(order);
    enum life_begun begun;

    *ret_id = 0;
    if (!rotation->is_loaded)
        return ROTATION_AWAY;
    begun = begin(rotation, &made);
    if (order->trigger == LIFE_BY_LEAK)
        keep_leak(rotation, order->replaces);
    if (life_successor(&rotation->life))
        *ret_id = life_successor(&rotation->life)->rotation;
    rotation_go_on(rotation);
    switch (begun) {
    case LIFE_BEGUN:
        return ROTATION_BEGUN;
    case LIFE_BUSY:
        return ROTATION_BUSY;
    case LIFE_GONE:
        return ROTATION_GONE;
    case LIFE_CROWDED:
    case LIFE_NAMELESS:
        break;
    }
    return ROTATION_CROWDED;
}

enum rotation_begun rotation_adopt(struct rotation *rotation, const struct rotation_change *change)
{
    char pattern[LIFE_NAME_BYTES], name[LIFE_NAME_BYTES];
    int len = snprintf(pattern, sizeof(pattern), "%.*s-before-{time}", SPAN_ARG(change->name));
    struct life_change made = {
        .name = change->name, .old_identity = change->old_identity, .identity = change->identity};
    struct life_key *old;
    uint32_t place;

    if (!rotation->is_loaded)
        return ROTATION_AWAY;
    if (len > 0 && len < (int)sizeof(pattern))
        made.before = make_name(rotation, span_of(pattern, (size_t)len), name);
    switch (life_adopt(&rotation->life, &made, rotation_now_us(rotation),
                       rotation_wall_us(rotation), &old)) {
    case LIFE_BEGUN:
        break;
    case LIFE_GONE:
    case LIFE_BUSY:
        return ROTATION_GONE;
    case LIFE_CROWDED:
    case LIFE_NAMELESS:
        return ROTATION_CROWDED;
    }
    rotation_tell_news(rotation); /* its place is its own from then on */
    place = rotation_place(rotation, old);
    rotation->is_stand_due = true; /* also where it is unproven as the one before was */
    if (!rotation->secrets_of[place])
        rotation->secrets_of[place] = secret_ref(change->old_secret);
    /* Whoever is asked about the secret before need not answer, and may not. */
    rotation_validated(rotation, change->name, 0, NULL);
    rotation_go_on(rotation);
    return ROTATION_BEGUN;
}

bool rotation_prune(struct rotation *rotation, const struct rotation_order *order)
{
    const struct life_order made = order_of(order);
    bool is_done =
        rotation->is_loaded &&
        life_prune(&rotation->life, &made, rotation_now_us(rotation), rotation_wall_us(rotation));

    if (is_done)
        rotation_go_on(rotation);
    return is_done;
}

struct span rotation_id(struct span provider, uint64_t number, char to[ROTATION_ID_BYTES])
{
    int len = snprintf(to, ROTATION_ID_BYTES, "%.*s-%llu", SPAN_ARG(provider),
                       (unsigned long long)number);

    return span_of(to, number && len > 0 && len < ROTATION_ID_BYTES ? (size_t)len : 0);
}

bool rotation_roll_back(struct rotation *rotation, struct span name, const char *reason)
{
    struct life_key *key = rotation->is_loaded ? life_find(&rotation->life, name) : NULL;
    bool is_done = key && life_roll_back(&rotation->life, key, reason, rotation_now_us(rotation),
                                         rotation_wall_us(rotation));

    if (is_done)
        rotation_go_on(rotation);
    return is_done;
}

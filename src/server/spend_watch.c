#include "server/spend_watch.h"

#include <stdio.h>

#include "alerts/usual.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/roll.h"

#define LOOK_US (60 * US_PER_SEC)

enum { SPENDERS_MAX = 1 << 16, NAME_BYTES = 2 * ALERT_NAME_BYTES };

static const struct usual_rules rules = {.times = SPEND_TIMES, .at_least = SPEND_AT_LEAST};

/* A key, by its provider and name with a newline between them, which neither holds. */
struct spender {
    struct roll_record record;
    struct usual usual;
    uint64_t tokens; /* of all its life, at the last look */
};

struct spend_watch {
    struct loop *loop;
    void (*on_alert)(void *owner, const struct alert *alert);
    void *owner;
    const struct snapshot *snapshot; /* NULL: none yet */
    struct loop_timer timer;
    struct roll spenders;
};

/* NULL: without memory or room it is not watched, until the next look. */
static struct spender *find_or_add(struct spend_watch *watch, struct span provider, struct span key)
{
    char text[NAME_BYTES];
    int len = snprintf(text, sizeof(text), "%.*s\n%.*s", SPAN_ARG(provider), SPAN_ARG(key));

    if (len < 0 || (size_t)len >= sizeof(text))
        return NULL;
    return roll_find_or_add(&watch->spenders, span_of(text, (size_t)len));
}

static void look_at_key(struct spend_watch *watch, struct span provider,
                        const struct keypool_row *row)
{
    struct spender *spender = find_or_add(watch, provider, row->name);
    char reason[ALERT_REASON_BYTES];
    uint64_t tokens;
    struct alert alert;

    if (!spender)
        return;
    /* A key that left and came back counts anew. */
    tokens = row->tokens >= spender->tokens ? row->tokens - spender->tokens : row->tokens;
    spender->tokens = row->tokens;
    spender->record.is_there = true;
    if (!usual_add(&spender->usual, &rules, (double)tokens, loop_now_us(watch->loop)))
        return;
    snprintf(reason, sizeof(reason), "%.0f tokens in this hour, usually %.0f", spender->usual.spent,
             usual_of(&spender->usual));
    alert = (struct alert){.kind = ALERT_SPEND_UNUSUAL,
                           .provider = provider,
                           .key = row->name,
                           .reason = span_from_text(reason),
                           .wall_us = loop_wall_us(watch->loop)};
    watch->on_alert(watch->owner, &alert);
}

static void look_at_provider(struct spend_watch *watch, struct provider *provider)
{
    struct keypool_row row;
    size_t at = 0;

    while (keypool_describe(provider_keys(provider), &at, loop_now_us(watch->loop), &row)) {
        look_at_key(watch, provider_name(provider), &row);
        key_unref(&row.key);
    }
}

static void on_timer(struct loop_timer *timer)
{
    struct spend_watch *watch = container_of(timer, struct spend_watch, timer);

    for (size_t i = 0; i < watch->snapshot->provider_count; i++)
        look_at_provider(watch, watch->snapshot->providers[i].provider);
    roll_sweep(&watch->spenders);
    /* Reserved: it cannot fail. */
    (void)loop_timer_set(timer, loop_now_us(watch->loop) + LOOK_US);
}

void spend_watch_set(struct spend_watch *watch, const struct snapshot *snapshot)
{
    bool is_first = !watch->snapshot;

    watch->snapshot = snapshot;
    if (is_first)
        (void)loop_timer_set(&watch->timer, loop_now_us(watch->loop) + LOOK_US);
}

struct spend_watch *spend_watch_new(struct loop *loop,
                                    void (*on_alert)(void *owner, const struct alert *alert),
                                    void *owner)
{
    struct spend_watch *watch = mem_zalloc(1, sizeof(*watch));

    if (!watch)
        return NULL;
    watch->loop = loop;
    watch->on_alert = on_alert;
    watch->owner = owner;
    roll_init(&watch->spenders, sizeof(struct spender), SPENDERS_MAX, NULL);
    loop_timer_init(&watch->timer, loop, on_timer);
    if (loop_timer_reserve(&watch->timer))
        spend_watch_free(&watch);
    return watch;
}

void spend_watch_free(struct spend_watch **place)
{
    struct spend_watch *watch = *place;

    *place = NULL;
    if (!watch)
        return;
    roll_fini(&watch->spenders);
    loop_timer_fini(&watch->timer);
    mem_free(watch);
}

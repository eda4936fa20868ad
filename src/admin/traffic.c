#include "admin/traffic.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/roll.h"
#include "obs/stats.h"

#define TICK_US (60 * US_PER_SEC)

/* Keys, and models with their targets; what finds no place is told since the process began. */
enum { COUNTED_MAX = 1 << 17, NAME_BYTES = 320 };

/* A counter as it stood. */
struct counted {
    struct roll_record record;
    uint64_t older, newer; /* at the tick before the last one, and at that */
};

struct traffic {
    struct loop *loop;
    bool (*view)(void *owner, struct page_view *ret_view);
    void *owner;
    struct loop_timer timer;
    uint64_t older_us, newer_us; /* when these ticks were */
    struct roll counted;         /* struct counted, by name_of */
};

/* ---- names ---- */

/* "key", a provider and a key; or "model", a model and a provider: none of them holds a newline.
 * Empty where it does not fit. */
static struct span name_of(const char *what, struct span first, struct span second,
                           char text[NAME_BYTES])
{
    size_t head = strlen(what) + 1, len = head + first.len + 1 + second.len;

    if (len > NAME_BYTES)
        return span_of(NULL, 0);
    memcpy(text, what, head - 1);
    text[head - 1] = '\n';
    memcpy(text + head, first.ptr, first.len);
    text[head + first.len] = '\n';
    memcpy(text + head + first.len + 1, second.ptr, second.len);
    return span_of(text, len);
}

static uint64_t added_since(const struct traffic *traffic, struct span name, uint64_t count)
{
    const struct counted *counted = name.len ? roll_find(&traffic->counted, name) : NULL;
    uint64_t before = counted ? counted->older : 0;

    /* A key that left and came back begins anew. */
    return count >= before ? count - before : count;
}

/* ---- ticks ---- */

static void note(struct traffic *traffic, struct span name, uint64_t count)
{
    struct counted *counted = name.len ? roll_find_or_add(&traffic->counted, name) : NULL;

    if (!counted)
        return;
    counted->older = counted->newer;
    counted->newer = count;
    counted->record.is_there = true;
}

static void note_keys(struct traffic *traffic, const struct page_view *view)
{
    char text[NAME_BYTES];

    for (size_t i = 0; i < view->snapshot->provider_count; i++) {
        struct provider *provider = view->snapshot->providers[i].provider;
        struct keypool_row row;
        size_t at = 0;

        while (keypool_describe(provider_keys(provider), &at, view->now_us, &row)) {
            note(traffic, name_of("key", provider_name(provider), row.name, text), row.requests);
            key_unref(&row.key);
        }
    }
}

static uint64_t count_model(const struct page_view *view, struct span model, struct span provider)
{
    const struct span values[] = {provider, model};

    return stats_requests(view->registry->metrics, values);
}

static void note_targets(struct traffic *traffic, const struct page_view *view, struct span model,
                         const struct conf_targets *targets)
{
    char text[NAME_BYTES];

    for (size_t i = 0; i < targets->count; i++) {
        struct span provider = targets->items[i].provider->name;
        struct span name = name_of("model", model, provider, text);
        const struct counted *counted = name.len ? roll_find(&traffic->counted, name) : NULL;

        /* A provider may stand there twice. */
        if (!counted || !counted->record.is_there)
            note(traffic, name, count_model(view, model, provider));
    }
}

static void on_timer(struct loop_timer *timer)
{
    struct traffic *traffic = container_of(timer, struct traffic, timer);
    struct page_view view;

    traffic->older_us = traffic->newer_us;
    traffic->newer_us = loop_now_us(traffic->loop);
    if (traffic->view(traffic->owner, &view)) {
        const struct conf_models *models = &view.snapshot->config->models;

        note_keys(traffic, &view);
        for (size_t i = 0; i < models->count; i++) {
            note_targets(traffic, &view, models->items[i].name, &models->items[i].targets);
            note_targets(traffic, &view, models->items[i].name, &models->items[i].fallback);
        }
    }
    roll_sweep(&traffic->counted);
    /* Reserved: it cannot fail. */
    (void)loop_timer_set(timer, traffic->newer_us + TICK_US);
}

/* ---- what is told ---- */

uint64_t traffic_since_us(const struct traffic *traffic)
{
    return traffic->older_us;
}

uint64_t traffic_of_key(const struct traffic *traffic, struct span provider, struct span key,
                        uint64_t count)
{
    char text[NAME_BYTES];

    return added_since(traffic, name_of("key", provider, key, text), count);
}

uint64_t traffic_of_model(const struct traffic *traffic, const struct page_view *view,
                          struct span model, struct span provider)
{
    char text[NAME_BYTES];

    return added_since(traffic, name_of("model", model, provider, text),
                       count_model(view, model, provider));
}

/* ---- life ---- */

struct traffic *traffic_new(struct loop *loop,
                            bool (*view)(void *owner, struct page_view *ret_view), void *owner)
{
    struct traffic *traffic = mem_zalloc(1, sizeof(*traffic));

    if (!traffic)
        return NULL;
    traffic->loop = loop;
    traffic->view = view;
    traffic->owner = owner;
    traffic->older_us = traffic->newer_us = loop_now_us(loop);
    roll_init(&traffic->counted, sizeof(struct counted), COUNTED_MAX, NULL);
    loop_timer_init(&traffic->timer, loop, on_timer);
    if (loop_timer_reserve(&traffic->timer)) {
        traffic_free(&traffic);
        return NULL;
    }
    (void)loop_timer_set(&traffic->timer, traffic->newer_us + TICK_US);
    return traffic;
}

void traffic_free(struct traffic **place)
{
    struct traffic *traffic = *place;

    *place = NULL;
    if (!traffic)
        return;
    roll_fini(&traffic->counted);
    loop_timer_fini(&traffic->timer);
    mem_free(traffic);
}

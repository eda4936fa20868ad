#include "sim/window.h"

#include "base/alloc.h"
#include "base/err.h"

enum { FIRST_CAP = 64 };

void sim_window_init(struct sim_window *window, enum sim_window_kind kind, uint64_t limit,
                     uint64_t period_us)
{
    *window = (struct sim_window){.kind = kind, .limit = limit, .period_us = period_us};
}

void sim_window_fini(struct sim_window *window)
{
    MEM_CLEAR(window->passes);
    window->first = window->count = window->cap = 0;
}

static struct sim_pass *pass_at(const struct sim_window *window, size_t i)
{
    return &window->passes[(window->first + i) & (window->cap - 1)];
}

static uint64_t divide_up(uint64_t value, uint64_t by)
{
    return value / by + (value % by != 0);
}

/* The bucket counts in units times period, so that whole numbers hold the refill exactly: each
 * microsecond gives `limit` back. At most twice 1e8 * 8.64e10, which fits. */
static void drain(struct sim_window *window, uint64_t elapsed_us)
{
    uint64_t back;

    if (elapsed_us >= window->period_us) {
        window->used = 0;
        return;
    }
    back = elapsed_us * window->limit;
    window->used = window->used > back ? window->used - back : 0;
}

static void forget_old(struct sim_window *window)
{
    while (window->count && pass_at(window, 0)->at_us + window->period_us <= window->now_us) {
        window->used -= pass_at(window, 0)->units;
        window->first = (window->first + 1) & (window->cap - 1);
        window->count--;
    }
}

static void advance(struct sim_window *window, uint64_t now_us)
{
    uint64_t elapsed_us = now_us > window->now_us ? now_us - window->now_us : 0;

    window->now_us += elapsed_us;
    switch (window->kind) {
    case SIM_WINDOW_BUCKET:
        drain(window, elapsed_us);
        break;
    case SIM_WINDOW_SLIDING:
        forget_old(window);
        break;
    }
}

/* When the oldest passes that make room have left the period. */
static uint64_t sliding_wait_us(const struct sim_window *window, uint64_t units)
{
    uint64_t used = window->used;
    size_t i = 0;

    if (used + units <= window->limit && window->count < SIM_WINDOW_MAX_PASSES)
        return 0;
    do
        used -= pass_at(window, i++)->units;
    while (used + units > window->limit);
    return pass_at(window, i - 1)->at_us + window->period_us - window->now_us;
}

uint64_t sim_window_wait_us(struct sim_window *window, uint64_t units, uint64_t now_us)
{
    uint64_t wanted;

    if (!window->limit)
        return 0;
    if (units > window->limit)
        return UINT64_MAX;
    advance(window, now_us);
    if (window->kind == SIM_WINDOW_SLIDING)
        return sliding_wait_us(window, units);
    wanted = window->used + units * window->period_us;
    if (wanted <= window->limit * window->period_us)
        return 0;
    return divide_up(wanted - window->limit * window->period_us, window->limit);
}

static int grow(struct sim_window *window)
{
    size_t cap = window->cap ? window->cap * 2 : FIRST_CAP;
    struct sim_pass *passes = mem_zalloc(cap, sizeof(*passes));

    if (!passes)
        return ERR_NOMEM;
    for (size_t i = 0; i < window->count; i++)
        passes[i] = *pass_at(window, i);
    mem_free(window->passes);
    window->passes = passes;
    window->cap = cap;
    window->first = 0;
    return 0;
}

int sim_window_take(struct sim_window *window, uint64_t units, uint64_t now_us)
{
    int err;

    if (!window->limit)
        return 0;
    advance(window, now_us);
    if (window->kind == SIM_WINDOW_BUCKET) {
        window->used += units * window->period_us;
        return 0;
    }
    if (window->count == window->cap && (err = grow(window)) != 0)
        return err;
    *pass_at(window, window->count++) = (struct sim_pass){window->now_us, units};
    window->used += units;
    return 0;
}

uint64_t sim_window_remaining(struct sim_window *window, uint64_t now_us)
{
    uint64_t used;

    if (!window->limit)
        return UINT64_MAX;
    advance(window, now_us);
    used = window->kind == SIM_WINDOW_SLIDING ? window->used
                                              : divide_up(window->used, window->period_us);
    return used < window->limit ? window->limit - used : 0;
}

uint64_t sim_window_reset_us(struct sim_window *window, uint64_t now_us)
{
    if (!window->limit)
        return 0;
    advance(window, now_us);
    if (window->kind == SIM_WINDOW_BUCKET)
        return divide_up(window->used, window->limit);
    if (!window->count)
        return 0;
    return pass_at(window, window->count - 1)->at_us + window->period_us - window->now_us;
}

#include "cli/demo_load.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "cli/asker.h"

/* SAMPLES: of a round, more than are ever asked in one. */
enum { CALLERS = 256, SAMPLES = 8192 };

struct caller {
    struct asker asker;
    struct demo_load *load;
    uint64_t begin_us;
};

struct tally {
    struct demo_count count;
    uint32_t samples;
    uint32_t latencies_us[SAMPLES];
};

struct demo_load {
    struct loop *loop;
    const char *ask;
    uint64_t gap_us, next_us;
    struct loop_timer timer;
    struct tally tallies[DEMO_SPANS];
    struct caller *idle[CALLERS]; /* those that ask nothing now */
    uint32_t idle_count;
    struct caller callers[CALLERS];
};

static void count_answer(struct tally *tally, int status, uint64_t latency_us)
{
    if (status == 429)
        tally->count.refused++;
    else if (status != 200)
        tally->count.failed++;
    else
        tally->count.answered++;
    if (status == 200 && tally->samples < SAMPLES)
        tally->latencies_us[tally->samples++] = (uint32_t)latency_us;
}

static void on_answer(struct asker *asker, const struct asker_answer *answer)
{
    struct caller *caller = container_of(asker, struct caller, asker);
    struct demo_load *load = caller->load;

    for (int i = 0; i < DEMO_SPANS; i++)
        count_answer(&load->tallies[i], answer->status, loop_now_us(load->loop) - caller->begin_us);
    load->idle[load->idle_count++] = caller;
}

static void ask_once(struct demo_load *load)
{
    struct caller *caller;

    if (!load->idle_count) {
        for (int i = 0; i < DEMO_SPANS; i++)
            load->tallies[i].count.failed++;
        return;
    }
    caller = load->idle[--load->idle_count];
    caller->begin_us = loop_now_us(load->loop);
    asker_ask(&caller->asker, "POST", "/v1/chat/completions", load->ask);
}

static void on_timer(struct loop_timer *timer)
{
    struct demo_load *load = container_of(timer, struct demo_load, timer);
    uint64_t now_us = loop_now_us(load->loop);

    for (; load->next_us <= now_us; load->next_us += load->gap_us)
        ask_once(load);
    /* Its place is there since the first time: it cannot fail. */
    (void)loop_timer_set(&load->timer, load->next_us);
}

struct demo_load *demo_load_new(struct loop *loop, const struct addr *addr, const char *ask,
                                uint32_t per_second)
{
    struct demo_load *load = mem_zalloc(1, sizeof(*load));

    if (!load)
        return NULL;
    load->loop = loop;
    load->ask = ask;
    load->gap_us = US_PER_SEC / per_second;
    loop_timer_init(&load->timer, loop, on_timer);
    for (size_t i = 0; i < CALLERS; i++) {
        load->callers[i].load = load;
        asker_init(&load->callers[i].asker, loop, addr, on_answer);
        load->idle[load->idle_count++] = &load->callers[i];
    }
    return load;
}

void demo_load_free(struct demo_load **place)
{
    struct demo_load *load = *place;

    if (!load)
        return;
    loop_timer_fini(&load->timer);
    for (size_t i = 0; i < CALLERS; i++)
        asker_fini(&load->callers[i].asker);
    mem_free(load);
    *place = NULL;
}

int demo_load_start(struct demo_load *load)
{
    load->next_us = loop_now_us(load->loop);
    return loop_timer_set(&load->timer, load->next_us);
}

void demo_load_stop(struct demo_load *load)
{
    loop_timer_clear(&load->timer);
}

uint32_t demo_load_under_way(const struct demo_load *load)
{
    return CALLERS - load->idle_count;
}

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

struct demo_count demo_load_take(struct demo_load *load, enum demo_span span)
{
    struct tally *tally = &load->tallies[span];
    struct demo_count count = tally->count;

    if (tally->samples) {
        qsort(tally->latencies_us, tally->samples, sizeof(tally->latencies_us[0]), compare);
        count.p50_us = tally->latencies_us[tally->samples / 2];
        count.p90_us = tally->latencies_us[(uint64_t)tally->samples * 9 / 10];
    }
    memset(&tally->count, 0, sizeof(tally->count));
    tally->samples = 0;
    return count;
}

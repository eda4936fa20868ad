#include "cli/demo_strategies.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "cli/demo_load.h"
#include "json/tree.h"

enum {
    ROUND_S = 6,
    SLOW_AT_S = 3,
    PER_SECOND = 28, /* the limits allow 10 + 20 + 30 */
    HALVES = 2,
    STATS_MAX_BYTES = 1 << 20,
};

#define SETTLE_US (500 * US_PER_MS) /* after a switch: the file is read, new keys are validated */
#define LOOK_US   (50 * US_PER_MS)

static const char *const selections[] = {"round_robin", "weighted", "least_used", "headroom"};

enum { ROUNDS = sizeof(selections) / sizeof(selections[0]) };

/* A minute passes in two seconds: limits of 20, 40 and 60 are 10, 20 and 30 requests a second. */
const char demo_strategies_scenario[] =
    "seed: 5\n"
    "time_scale: 30\n"
    "defaults: {latency: 1.2s, limits: {retry_after: both}}\n"
    "accounts: {org-a: {limits: {rpm: 20, retry_after: both}}}\n"
    "keys:\n"
    "  \"sk-*-a1\": {account: org-a}\n"
    "  \"sk-*-a2\": {account: org-a}\n"
    "  \"sk-*-b\": {limits: {rpm: 40, retry_after: both}}\n"
    "  \"sk-*-c\": {limits: {rpm: 60, retry_after: both}}\n";

/* The simulator's address, then the selection, then four times the round: keys of another round
 * are others, so that none begins with what an earlier one has left. */
static const char file[] =
    "server: {listen: 127.0.0.1:0, workers: 1, max_connections: 1000, shutdown_grace: 1s}\n"
    "admin: {listen: 127.0.0.1:0}\n"
    "clients: {open: true}\n"
    "providers:\n"
    "  sim:\n"
    "    kind: compatible\n"
    "    base_url: http://%s/v1\n"
    "    selection: %s\n"
    "    keys:\n"
    "      - {name: a1, secret: sk-%u-a1}    # of one account with a2: ten requests a second for "
    "both\n"
    "      - {name: a2, secret: sk-%u-a2}\n"
    "      - {name: b, secret: sk-%u-b}      # twenty a second\n"
    "      - {name: c, secret: sk-%u-c}      # thirty; this one becomes slow\n"
    "models: {gpt-4.1: sim/gpt-4.1}\n"
    "retry: {wait: 1s}\n"
    "store: none\n"
    "log: {level: error, access: false}\n";

enum phase {
    PHASE_DRAIN,  /* what is under way ends */
    PHASE_SETTLE, /* the gateway takes the file into use */
    PHASE_RUN,
};

struct half {
    struct demo_count count;
    uint64_t limited; /* 429s of the provider */
};

struct demo_strategies {
    struct demo_strategies_options options;
    struct demo_load *load;
    struct loop_timer timer;
    struct loop_task over;
    enum phase phase;
    unsigned round, second;
    uint64_t due_us;
    uint64_t limited_before[DEMO_SPANS];
    struct half results[ROUNDS][HALVES];
    const char *why;
};

int demo_strategies_write(const char *path, const struct sim *sim, unsigned round)
{
    char address[ADDR_TEXT_BYTES];
    FILE *out = fopen(path, "w");

    if (!out)
        return -1;
    addr_write(sim_addr(sim), address);
    fprintf(out, file, address, selections[round], round, round, round, round);
    return fclose(out) ? -1 : 0;
}

static void finish(struct demo_strategies *show, const char *why)
{
    loop_timer_clear(&show->timer);
    demo_load_stop(show->load);
    show->why = why;
    loop_defer(show->options.loop, &show->over);
}

static void on_over(struct loop_task *task)
{
    struct demo_strategies *show = container_of(task, struct demo_strategies, over);

    show->options.on_end(show->options.owner, show->why);
}

static void wait_until(struct demo_strategies *show, uint64_t due_us)
{
    show->due_us = due_us;
    if (loop_timer_set(&show->timer, due_us))
        finish(show, "out of memory");
}

static void wait_for(struct demo_strategies *show, uint64_t us)
{
    wait_until(show, loop_now_us(show->options.loop) + us);
}

/* Requests that the provider refused for their key's limit, in all. */
static uint64_t limited(const struct demo_strategies *show)
{
    struct json_tree tree;
    struct buf text;
    int64_t count = 0;

    buf_init(&text, STATS_MAX_BYTES);
    if (sim_write_stats(show->options.sim, &text) == 0 &&
        json_tree_read(&tree, buf_span(&text), STATS_MAX_BYTES) == 0) {
        (void)json_tree_int(
            json_tree_member(yyjson_obj_get(yyjson_doc_get_root(tree.doc), "total"), "limited"),
            &count);
        json_tree_fini(&tree);
    }
    buf_fini(&text);
    return (uint64_t)count;
}

static uint64_t limited_since(struct demo_strategies *show, enum demo_span span)
{
    uint64_t all = limited(show), before = show->limited_before[span];

    show->limited_before[span] = all;
    return all - before;
}

static void set_slow(struct demo_strategies *show, bool is_slow)
{
    char key[32];
    struct span wish = is_slow ? SPAN("{latency: 24s}") : SPAN("{latency: 1.2s}");
    struct buf complaints;

    snprintf(key, sizeof(key), "sk-%u-c", show->round);
    buf_init(&complaints, 4096);
    if (sim_set_key(show->options.sim, span_from_text(key), wish, &complaints))
        finish(show, "the simulated key cannot be changed");
    buf_fini(&complaints);
}

static void say_head(const char *first)
{
    printf("\n%-14s %9s %12s %9s %16s %8s %8s\n", first, "answered", "429 to them", "failed",
           "429 by provider", "p50", "p90");
}

static void say_row(const char *first, const struct half *half)
{
    const struct demo_count *count = &half->count;

    printf("%-14s %9llu %12llu %9llu %16llu %5.0f ms %5.0f ms\n", first,
           (unsigned long long)count->answered, (unsigned long long)count->refused,
           (unsigned long long)count->failed, (unsigned long long)half->limited,
           (double)count->p50_us / US_PER_MS, (double)count->p90_us / US_PER_MS);
    fflush(stdout);
}

static void say_results(const struct demo_strategies *show)
{
    static const char *const halves[HALVES] = {"all keys well", "a key slow"};

    for (int half = 0; half < HALVES; half++) {
        say_head(halves[half]);
        for (unsigned round = 0; round < ROUNDS; round++)
            say_row(selections[round], &show->results[round][half]);
    }
}

static void say_what_to_try(const struct demo_strategies *show)
{
    printf("\nThe load goes on. Change the selection and see:\n\n"
           "  sed -i 's/selection: .*/selection: round_robin/' %s && kill -HUP %ld\n",
           show->options.path, (long)getpid());
}

/* ---- the play ---- */

static void begin_round(struct demo_strategies *show)
{
    if (demo_strategies_write(show->options.path, show->options.sim, show->round)) {
        finish(show, "its file cannot be written");
        return;
    }
    show->options.reload(show->options.owner);
    show->phase = PHASE_SETTLE;
    wait_for(show, SETTLE_US);
}

static void run(struct demo_strategies *show)
{
    show->phase = PHASE_RUN;
    show->second = 0;
    for (int i = 0; i < DEMO_SPANS; i++) {
        (void)demo_load_take(show->load, i);
        (void)limited_since(show, i);
    }
    say_head(selections[show->round]);
    if (demo_load_start(show->load))
        finish(show, "out of memory");
    else
        wait_for(show, US_PER_SEC);
}

static void end_round(struct demo_strategies *show)
{
    if (show->round + 1 < ROUNDS) {
        demo_load_stop(show->load);
        show->round++;
        show->phase = PHASE_DRAIN;
        wait_for(show, LOOK_US);
        return;
    }
    say_results(show);
    if (show->options.is_once) {
        finish(show, NULL);
        return;
    }
    set_slow(show, false);
    say_what_to_try(show);
    say_head("");
    wait_until(show, show->due_us + US_PER_SEC);
}

static void on_second(struct demo_strategies *show)
{
    struct half half = {.count = demo_load_take(show->load, DEMO_SECOND),
                        .limited = limited_since(show, DEMO_SECOND)};
    char when[32];

    snprintf(when, sizeof(when), "%6u s", ++show->second);
    say_row(when, &half);
    if (show->second == SLOW_AT_S || show->second == ROUND_S) {
        half.count = demo_load_take(show->load, DEMO_ROUND);
        half.limited = limited_since(show, DEMO_ROUND);
        show->results[show->round][show->second == ROUND_S] = half;
    }
    if (show->second == ROUND_S) {
        end_round(show);
        return;
    }
    if (show->second == SLOW_AT_S) {
        printf("%-14s one of the keys becomes twenty times as slow\n", "");
        set_slow(show, true);
    }
    wait_until(show, show->due_us + US_PER_SEC);
}

static void on_timer(struct loop_timer *timer)
{
    struct demo_strategies *show = container_of(timer, struct demo_strategies, timer);

    switch (show->phase) {
    case PHASE_DRAIN:
        if (demo_load_under_way(show->load))
            wait_for(show, LOOK_US);
        else
            begin_round(show);
        return;
    case PHASE_SETTLE:
        run(show);
        return;
    case PHASE_RUN:
        on_second(show);
        return;
    }
}

struct demo_strategies *demo_strategies_new(const struct demo_strategies_options *options)
{
    struct demo_strategies *show = mem_zalloc(1, sizeof(*show));

    if (!show)
        return NULL;
    show->options = *options;
    loop_task_init(&show->over, on_over);
    loop_timer_init(&show->timer, options->loop, on_timer);
    show->load = demo_load_new(options->loop, options->gateway, options->ask, PER_SECOND);
    if (!show->load) {
        demo_strategies_free(&show);
        return NULL;
    }
    printf("\n%d requests a second, half of what the keys' limits allow, under each "
           "selection for %d s\n",
           PER_SECOND, ROUND_S);
    show->phase = PHASE_SETTLE;
    wait_for(show, SETTLE_US);
    return show;
}

void demo_strategies_free(struct demo_strategies **place)
{
    struct demo_strategies *show = *place;

    if (!show)
        return;
    loop_task_cancel(&show->over);
    loop_timer_fini(&show->timer);
    demo_load_free(&show->load);
    mem_free(show);
    *place = NULL;
}

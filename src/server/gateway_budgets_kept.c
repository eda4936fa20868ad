/* What was spent of budgets, as it outlives the process: read for whoever is new, and written with
 * the looks. Nothing is written of anybody before it was read, nor of a new period: a
 * clock that was stepped may come to one of which the store knows. */
#include "base/clock.h"
#include "server/budgets_inner.h"
#include "server/gateway_store.h"

/* How long the store is left alone after trouble. */
#define AGAIN_US (5 * US_PER_SEC)

static const struct span kinds[SEAT_KINDS] = {
    [SEAT_KEY] = SPAN_INIT(TOTAL_KEY_SPEND),
    [SEAT_CLIENT] = SPAN_INIT(TOTAL_CLIENT_SPEND),
    [SEAT_POOL] = SPAN_INIT(TOTAL_POOL_SPEND),
};

static void wait_a_while(struct budgets *budgets)
{
    budgets->quiet_until_us = loop_now_us(budgets->gateway->loop) + AGAIN_US;
}

/* ---- writing ---- */

/* What was asked of the store is not known to be done: it is asked again, in a while. */
static void doubt(struct budgets *budgets)
{
    struct seat *seat;
    size_t at = 0;

    wait_a_while(budgets);
    while ((seat = map_next(&budgets->seats, &at, NULL)))
        seat->kept = (struct total){.sum = 0};
}

/* The row of what was spent in the period at hand. */
static struct total total_of(const struct seat *seat)
{
    return (struct total){.kind = kinds[seat->kind],
                          .name = seat->name,
                          .period = span_from_text(budget_period_word(seat->period)),
                          .start_wall_us =
                              budget_period_start(seat->period, seat->budget.start_wall_us),
                          .sum = seat->budget.spent};
}

static bool is_kept(const struct seat *seat, const struct total *total)
{
    bool is_same = seat->kept.start_wall_us == total->start_wall_us &&
                   span_is_equal(seat->kept.period, total->period);

    return total->sum == (is_same ? seat->kept.sum : 0);
}

/* Up to TOTALS_MAX of them: how many; the others' turn is next. */
static size_t save(struct budgets *budgets, struct store_ask *ask)
{
    struct total totals[TOTALS_MAX];
    size_t count = 0, at = 0;
    struct seat *seat;

    while (count < TOTALS_MAX && (seat = map_next(&budgets->seats, &at, NULL))) {
        totals[count] = total_of(seat);
        if (!seat->is_told || is_kept(seat, &totals[count]))
            continue;
        seat->kept = totals[count++];
    }
    if (count && totals_put(gateway_store(budgets->gateway), ask, totals, count)) {
        doubt(budgets);
        count = 0;
    }
    return count;
}

static void on_put(struct store_ask *ask, const struct store_answer *answer)
{
    if (answer->err)
        doubt(container_of(ask, struct budgets, put));
}

/* ---- reading ---- */

static void take(struct budgets *budgets, enum seat_kind kind, const struct total *total)
{
    char text[SEAT_NAME_BYTES];
    struct span id = seat_id(kind, total->name, text);
    struct seat *seat = id.len ? map_find(&budgets->seats, id) : NULL;

    if (!seat || !seat->is_asked ||
        !span_is_equal(total->period, span_from_text(budget_period_word(seat->period))))
        return;
    budget_add_earlier(&seat->budget, total->start_wall_us, total->sum);
    /* It was told then. */
    if (budget_is_near(&seat->budget, seat->limit_nanousd))
        seat->near_wall_us = seat->budget.start_wall_us;
    if (seat->limit_nanousd && total->sum >= seat->limit_nanousd)
        seat->passed_wall_us = total->start_wall_us;
}

static void on_loaded(struct budgets *budgets, enum seat_kind kind,
                      const struct store_answer *answer)
{
    struct seat *seat;
    size_t at = 0;

    for (size_t i = 0; !answer->err && i < answer->count; i++)
        take(budgets, kind, &totals_told(answer)[i]);
    while ((seat = map_next(&budgets->seats, &at, NULL))) {
        if (seat->kind != kind)
            continue;
        seat->is_told = seat->is_told || (seat->is_asked && !answer->err);
        seat->is_asked = false;
    }
    if (answer->err)
        wait_a_while(budgets);
    else
        budgets_look_at_all(budgets);
}

static void on_keys(struct store_ask *ask, const struct store_answer *answer)
{
    on_loaded(container_of(ask, struct budgets, loads[SEAT_KEY]), SEAT_KEY, answer);
}

static void on_clients(struct store_ask *ask, const struct store_answer *answer)
{
    on_loaded(container_of(ask, struct budgets, loads[SEAT_CLIENT]), SEAT_CLIENT, answer);
}

static void on_pools(struct store_ask *ask, const struct store_answer *answer)
{
    on_loaded(container_of(ask, struct budgets, loads[SEAT_POOL]), SEAT_POOL, answer);
}

/* One whose period is ahead of a clock that was set back waits until that comes there. */
static bool is_new(const struct seat *seat, enum seat_kind kind, uint64_t wall_us)
{
    return seat->kind == kind && !seat->is_told &&
           budget_period_start(seat->period, wall_us) == seat->budget.start_wall_us;
}

static bool is_anybody_new(const struct budgets *budgets, enum seat_kind kind)
{
    uint64_t wall_us = loop_wall_us(budgets->gateway->loop);
    struct seat *seat;
    size_t at = 0;

    while ((seat = map_next(&budgets->seats, &at, NULL))) {
        if (is_new(seat, kind, wall_us))
            return true;
    }
    return false;
}

static void load(struct budgets *budgets, enum seat_kind kind)
{
    uint64_t wall_us = loop_wall_us(budgets->gateway->loop);
    const uint64_t starts[TOTALS_STARTS] = {
        budget_period_start(BUDGET_HOUR, wall_us), budget_period_start(BUDGET_DAY, wall_us),
        budget_period_start(BUDGET_WEEK, wall_us), budget_period_start(BUDGET_MONTH, wall_us)};
    struct seat *seat;
    size_t at = 0;

    if (totals_load(gateway_store(budgets->gateway), &budgets->loads[kind], kinds[kind], starts)) {
        wait_a_while(budgets);
        return;
    }
    while ((seat = map_next(&budgets->seats, &at, NULL)))
        seat->is_asked = seat->is_asked || is_new(seat, kind, wall_us);
}

void budgets_keep(struct budgets *budgets)
{
    if (!gateway_store(budgets->gateway) ||
        loop_now_us(budgets->gateway->loop) < budgets->quiet_until_us)
        return;
    for (enum seat_kind kind = 0; kind < SEAT_KINDS; kind++) {
        if (!budgets->loads[kind].op && is_anybody_new(budgets, kind))
            load(budgets, kind);
    }
    if (!budgets->put.op)
        (void)save(budgets, &budgets->put);
}

/* ---- life ---- */

void budgets_init_kept(struct budgets *budgets)
{
    budgets->loads[SEAT_KEY].on_done = on_keys;
    budgets->loads[SEAT_CLIENT].on_done = on_clients;
    budgets->loads[SEAT_POOL].on_done = on_pools;
    budgets->put.on_done = on_put;
}

void budgets_fini_kept(struct budgets *budgets)
{
    uint64_t until_wall_us;
    struct seat *seat;
    size_t at = 0;

    for (enum seat_kind kind = 0; kind < SEAT_KINDS; kind++)
        store_cancel(&budgets->loads[kind]);
    store_cancel(&budgets->put);
    while ((seat = map_next(&budgets->seats, &at, NULL)))
        (void)budget_look(&seat->budget, seat->period, 0, seat_sum(seat),
                          loop_wall_us(budgets->gateway->loop), &until_wall_us);
    while (gateway_store(budgets->gateway) && save(budgets, NULL) == TOTALS_MAX)
        continue;
}

/* Budgets of keys. Workers count what is spent on a key, each for itself; once a second the sums
 * are looked at here, and a key that has spent its budget rests until the period ends. So the road
 * pays nothing for it, and a budget is passed by what a second costs, and by what was under way.
 * What was spent in the period stands in the store: read at the start, and written with the looks.
 * Nothing is written before all was read. */
#include "server/gateway_inner.h"

#include <sodium.h>
#include <stdio.h>

#include "alerts/alert.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/datetime.h"
#include "base/decimal.h"
#include "ledger/budget.h"
#include "server/gateway_store.h"
#include "store/totals.h"

enum { LOOK_US = 1000000, NANO_PER_MILLIONTH = 1000, MAX_SEATS = 1 << 20 };

/* How long the store is left alone after trouble; and how long a period lasts at most. */
#define AGAIN_US   (5 * US_PER_SEC)
#define LONGEST_US (31 * 86400 * US_PER_SEC)

/* A key with a budget: found again by its identity, so that a reload keeps what was counted. */
struct seat {
    uint8_t identity[CONF_IDENTITY_BYTES];
    struct provider *provider;
    struct key *key;
    struct budget budget;
    enum budget_period period;
    struct total kept;                      /* as the store has it, or is about to */
    char name[2 * CONF_IDENTITY_BYTES + 1]; /* there */
    bool is_resting;
    uint64_t round; /* in which it was looked at last */
};

struct budgets {
    struct gateway *gateway;
    struct loop_timer timer;
    struct map seats; /* by identity */
    uint64_t round;
    struct store_ask load, put;
    bool is_read;
    uint64_t quiet_until_us; /* after trouble with the store */
};

static void seat_free(struct seat *seat)
{
    key_unref(&seat->key);
    provider_unref(&seat->provider);
    mem_free(seat);
}

static void rest(struct budgets *budgets, const struct seat *seat, uint64_t until_us)
{
    struct keypool_effect effect = keypool_rest(provider_keys(seat->provider), seat->key, until_us);

    gateway_follow(budgets->gateway, seat->provider, &effect);
}

static void wake(const struct budgets *budgets, const struct seat *seat, const char *until)
{
    char reason[ALERT_REASON_BYTES], spent[DECIMAL_NANO_BYTES];
    struct span usd = decimal_nano_text(seat->budget.spent, spent);
    struct alert alert = {
        .kind = ALERT_BUDGET_PASSED,
        .provider = provider_name(seat->provider),
        .key = key_name(seat->key),
        .wall_us = loop_wall_us(budgets->gateway->loop),
    };

    snprintf(reason, sizeof(reason), "%.*s USD are spent, and it rests until %.*s", SPAN_ARG(usd),
             RFC3339_BYTES, until);
    alert.reason = span_from_text(reason);
    gateway_alert(budgets->gateway, &alert);
}

static void tell(const struct budgets *budgets, const struct seat *seat, const char *what,
                 uint64_t until_wall_us)
{
    char until[RFC3339_BYTES];

    datetime_write_rfc3339(until_wall_us, until);
    log_write(budgets->gateway->log, LOG_LEVEL_WARNING, what,
              LOG_SPAN("provider", provider_name(seat->provider)),
              LOG_SPAN("key", key_name(seat->key)), LOG_UINT("spent_nanousd", seat->budget.spent),
              LOG_SPAN("until", span_of(until, sizeof(until))));
    if (seat->is_resting)
        wake(budgets, seat, until);
}

static void look(struct budgets *budgets, struct seat *seat, const struct conf_key_budget *conf)
{
    const struct loop *loop = budgets->gateway->loop;
    uint64_t wall_us = loop_wall_us(loop), until_wall_us;
    uint64_t sum = keypool_spent(provider_keys(seat->provider), seat->key);
    bool was_resting = seat->is_resting;

    seat->period = (enum budget_period)conf->per;
    seat->is_resting =
        budget_look(&seat->budget, seat->period, conf->millionth_usd * NANO_PER_MILLIONTH, sum,
                    wall_us, &until_wall_us);
    if (seat->is_resting == was_resting)
        return;
    rest(budgets, seat, seat->is_resting ? loop_now_us(loop) + (until_wall_us - wall_us) : 0);
    tell(budgets, seat, seat->is_resting ? "key has spent its budget" : "key has a budget again",
         until_wall_us);
}

/* The seat of that key, made where there is none; NULL without memory, or where the key has gone.
 */
static struct seat *seat_of(struct budgets *budgets, struct provider *provider,
                            const struct conf_key *conf)
{
    struct span identity = span_of((const char *)conf->identity, sizeof(conf->identity));
    struct seat *seat = map_find(&budgets->seats, identity);

    if (seat)
        return seat;
    seat = mem_zalloc(1, sizeof(*seat));
    if (!seat)
        return NULL;
    memcpy(seat->identity, conf->identity, sizeof(seat->identity));
    sodium_bin2hex(seat->name, sizeof(seat->name), seat->identity, sizeof(seat->identity));
    seat->provider = provider_ref(provider);
    seat->key = keypool_find_identity(provider_keys(provider), identity);
    identity = span_of((const char *)seat->identity, sizeof(seat->identity));
    if (seat->key && map_add(&budgets->seats, identity, seat) == 0)
        return seat;
    seat_free(seat);
    return NULL;
}

/* Those that the file has no budget for any more may go on. */
static void drop_unseen(struct budgets *budgets)
{
    struct seat *seat;
    size_t at = 0;

    while ((seat = map_next(&budgets->seats, &at, NULL))) {
        if (seat->round == budgets->round)
            continue;
        map_remove(&budgets->seats, span_of((const char *)seat->identity, sizeof(seat->identity)));
        if (seat->is_resting)
            rest(budgets, seat, 0);
        seat_free(seat);
        at = 0; /* the map has moved its entries */
    }
}

static size_t look_at_all(struct budgets *budgets)
{
    const struct snapshot *snapshot = budgets->gateway->snapshot;
    size_t count = 0;

    budgets->round++;
    for (size_t i = 0; i < snapshot->provider_count; i++) {
        const struct snapshot_provider *row = &snapshot->providers[i];

        for (size_t k = 0; k < row->conf->keys.count; k++) {
            const struct conf_key *conf = &row->conf->keys.items[k];
            struct seat *seat = conf->budget ? seat_of(budgets, row->provider, conf) : NULL;

            if (!seat)
                continue;
            seat->round = budgets->round;
            look(budgets, seat, conf->budget);
            count++;
        }
    }
    return count;
}

/* ---- what outlives the process ---- */

/* What was asked of the store is not known to be done: it is asked again, in a while. */
static void doubt(struct budgets *budgets)
{
    struct seat *seat;
    size_t at = 0;

    budgets->quiet_until_us = loop_now_us(budgets->gateway->loop) + AGAIN_US;
    while ((seat = map_next(&budgets->seats, &at, NULL)))
        seat->kept = (struct total){.sum = 0};
}

/* The row of what was spent in the period at hand. */
static struct total total_of(const struct seat *seat)
{
    return (struct total){.kind = SPAN(TOTAL_KEY_SPEND),
                          .name = span_from_text(seat->name),
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
        if (is_kept(seat, &totals[count]))
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

static void take(struct budgets *budgets, const struct total *total)
{
    struct seat *seat;
    size_t at = 0;

    while ((seat = map_next(&budgets->seats, &at, NULL))) {
        if (!span_is_equal(total->name, span_from_text(seat->name)) ||
            !span_is_equal(total->period, span_from_text(budget_period_word(seat->period))))
            continue;
        budget_add_earlier(&seat->budget, total->start_wall_us, total->sum);
    }
}

static void on_loaded(struct store_ask *ask, const struct store_answer *answer)
{
    struct budgets *budgets = container_of(ask, struct budgets, load);

    if (answer->err) {
        doubt(budgets);
        return;
    }
    budgets->is_read = true;
    for (size_t i = 0; i < answer->count; i++)
        take(budgets, &totals_told(answer)[i]);
    look_at_all(budgets);
}

/* At the end: with what was spent since the last look, of which nothing else follows. */
static void save_last(struct budgets *budgets)
{
    uint64_t until_wall_us;
    struct seat *seat;
    size_t at = 0;

    while ((seat = map_next(&budgets->seats, &at, NULL)))
        (void)budget_look(&seat->budget, seat->period, 0,
                          keypool_spent(provider_keys(seat->provider), seat->key),
                          loop_wall_us(budgets->gateway->loop), &until_wall_us);
    while (save(budgets, NULL) == TOTALS_MAX)
        continue;
}

static void keep(struct budgets *budgets)
{
    const struct loop *loop = budgets->gateway->loop;
    struct store *store = gateway_store(budgets->gateway);
    uint64_t wall_us = loop_wall_us(loop);

    if (!store || loop_now_us(loop) < budgets->quiet_until_us)
        return;
    if (budgets->is_read && !budgets->put.op)
        (void)save(budgets, &budgets->put);
    else if (!budgets->is_read && !budgets->load.op &&
             totals_load(store, &budgets->load, SPAN(TOTAL_KEY_SPEND),
                         wall_us > LONGEST_US ? wall_us - LONGEST_US : 0))
        doubt(budgets);
}

/* ---- looking ---- */

static void on_look(struct loop_timer *timer)
{
    struct budgets *budgets = container_of(timer, struct budgets, timer);

    if (look_at_all(budgets))
        /* Reserved: it cannot fail. */
        (void)loop_timer_set(timer, loop_now_us(budgets->gateway->loop) + LOOK_US);
    keep(budgets);
}

static bool has_budgets(const struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->provider_count; i++) {
        const struct conf_key_list *keys = &snapshot->providers[i].conf->keys;

        for (size_t k = 0; k < keys->count; k++) {
            if (keys->items[k].budget)
                return true;
        }
    }
    return false;
}

static struct budgets *make(struct gateway *gateway)
{
    struct budgets *budgets = mem_zalloc(1, sizeof(*budgets));

    if (!budgets)
        return NULL;
    budgets->gateway = gateway;
    budgets->load.on_done = on_loaded;
    budgets->put.on_done = on_put;
    map_init(&budgets->seats, MAX_SEATS);
    loop_timer_init(&budgets->timer, gateway->loop, on_look);
    if (loop_timer_reserve(&budgets->timer) == 0)
        return budgets;
    loop_timer_fini(&budgets->timer);
    map_fini(&budgets->seats);
    mem_free(budgets);
    return NULL;
}

void gateway_follow_budgets(struct gateway *gateway)
{
    if (!gateway->budgets && !has_budgets(gateway->snapshot))
        return;
    if (!gateway->budgets)
        gateway->budgets = make(gateway);
    if (!gateway->budgets) {
        log_write(gateway->log, LOG_LEVEL_ERROR,
                  "without memory: the budgets of keys are not watched until the next reload");
        return;
    }
    on_look(&gateway->budgets->timer);
    drop_unseen(gateway->budgets);
}

void gateway_drop_budgets(struct gateway *gateway)
{
    struct budgets *budgets = gateway->budgets;
    struct seat *seat;
    size_t at = 0;

    gateway->budgets = NULL;
    if (!budgets)
        return;
    store_cancel(&budgets->load);
    store_cancel(&budgets->put);
    if (budgets->is_read)
        save_last(budgets);
    while ((seat = map_next(&budgets->seats, &at, NULL)))
        seat_free(seat);
    map_fini(&budgets->seats);
    loop_timer_fini(&budgets->timer);
    mem_free(budgets);
}

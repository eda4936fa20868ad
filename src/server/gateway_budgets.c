/* Budgets of keys, clients and pools. Workers count what is spent; once a second the sums are
 * looked at here. A key that has spent its budget rests until the period ends, so that the road
 * pays nothing for it, and its budget is passed by what a second costs. Of clients and pools the
 * workers are told up to which sum they may spend (access/purse), and ask before each exchange:
 * that is passed only by what is under way. */
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/datetime.h"
#include "base/decimal.h"
#include "server/budgets_inner.h"

enum { LOOK_US = 1000000, NANO_PER_MILLIONTH = 1000, MAX_SEATS = 1 << 20 };

/* ---- seats ---- */

struct span seat_id(enum seat_kind kind, struct span name, char out[SEAT_NAME_BYTES])
{
    if (name.len >= SEAT_NAME_BYTES)
        return span_of(NULL, 0);
    out[0] = "kcp"[kind];
    memcpy(out + 1, name.ptr, name.len);
    return span_of(out, name.len + 1);
}

uint64_t seat_sum(const struct seat *seat)
{
    if (seat->kind == SEAT_KEY)
        return keypool_spent(provider_keys(seat->provider), seat->key);
    return purse_spent(seat->purse);
}

static void seat_free(struct seat *seat)
{
    purse_unref(&seat->purse);
    key_unref(&seat->key);
    provider_unref(&seat->provider);
    mem_free(seat);
}

static struct seat *seat_new(enum seat_kind kind, struct span id)
{
    struct seat *seat = mem_zalloc(1, sizeof(*seat) + id.len);

    if (!seat)
        return NULL;
    seat->kind = kind;
    seat->len = id.len;
    memcpy(seat->id, id.ptr, id.len);
    seat->name = span_of(seat->id + 1, id.len - 1);
    return seat;
}

/* Takes the seat, which is freed where it finds no place, or nobody sits on it. */
static struct seat *add(struct budgets *budgets, struct seat *seat)
{
    if ((seat->key || seat->purse) &&
        map_add(&budgets->seats, span_of(seat->id, seat->len), seat) == 0)
        return seat;
    seat_free(seat);
    return NULL;
}

/* The seat of that key, made where there is none; NULL without memory, or where the key has gone.
 */
static struct seat *seat_of_key(struct budgets *budgets, struct provider *provider,
                                const struct conf_key *conf)
{
    char hex[2 * CONF_IDENTITY_BYTES + 1], text[SEAT_NAME_BYTES];
    struct seat *seat;
    struct span id;

    sodium_bin2hex(hex, sizeof(hex), conf->identity, sizeof(conf->identity));
    id = seat_id(SEAT_KEY, span_from_text(hex), text);
    seat = map_find(&budgets->seats, id);
    if (seat)
        return seat;
    seat = seat_new(SEAT_KEY, id);
    if (!seat)
        return NULL;
    seat->provider = provider_ref(provider);
    seat->key = keypool_find_identity(
        provider_keys(provider), span_of((const char *)conf->identity, sizeof(conf->identity)));
    return add(budgets, seat);
}

/* The same of a client or a pool. */
static struct seat *seat_of_purse(struct budgets *budgets, enum seat_kind kind, struct span name)
{
    char text[SEAT_NAME_BYTES];
    struct span id = seat_id(kind, name, text);
    struct seat *seat = id.len ? map_find(&budgets->seats, id) : NULL;

    if (seat || !id.len)
        return seat;
    seat = seat_new(kind, id);
    if (!seat)
        return NULL;
    if (purse_book_get(budgets->gateway->registry.purses,
                       kind == SEAT_CLIENT ? PURSE_CLIENT : PURSE_POOL, name, &seat->purse))
        seat->purse = NULL;
    return add(budgets, seat);
}

/* ---- who is told ---- */

static const char *what_of(const struct seat *seat)
{
    switch (seat->kind) {
    case SEAT_KEY:
        return "key";
    case SEAT_CLIENT:
        return "client";
    case SEAT_POOL:
    case SEAT_KINDS:
        break;
    }
    return "pool";
}

static struct span shown_name(const struct seat *seat)
{
    return seat->kind == SEAT_KEY ? key_name(seat->key) : seat->name;
}

/* Of a key the alert says whose it is by itself; of others the reason does. */
static void wake(const struct budgets *budgets, const struct seat *seat, enum alert_kind kind,
                 const char *until)
{
    char reason[ALERT_REASON_BYTES], spent[DECIMAL_NANO_BYTES], limit[DECIMAL_NANO_BYTES];
    struct span spent_usd = decimal_nano_text(seat->budget.spent, spent);
    struct span limit_usd = decimal_nano_text(seat->limit_nanousd, limit);
    struct alert alert = {.kind = kind, .wall_us = loop_wall_us(budgets->gateway->loop)};

    if (seat->kind == SEAT_KEY) {
        alert.provider = provider_name(seat->provider);
        alert.key = key_name(seat->key);
    }
    snprintf(reason, sizeof(reason),
             "%s %.*s: %.*s of %.*s USD for the %s are spent; the next one begins at %.*s",
             what_of(seat), SPAN_ARG(shown_name(seat)), SPAN_ARG(spent_usd), SPAN_ARG(limit_usd),
             budget_period_word(seat->period), RFC3339_BYTES, until);
    alert.reason = span_from_text(reason);
    gateway_alert(budgets->gateway, &alert);
}

static void note(const struct budgets *budgets, const struct seat *seat, const char *message,
                 const char *until)
{
    struct log *log = budgets->gateway->log;
    const char *per = budget_period_word(seat->period);
    struct span end = span_of(until, RFC3339_BYTES);
    uint64_t spent = seat->budget.spent;

    if (seat->kind == SEAT_KEY)
        log_write(log, LOG_LEVEL_WARNING, message,
                  LOG_SPAN("provider", provider_name(seat->provider)),
                  LOG_SPAN("key", key_name(seat->key)), LOG_UINT("spent_nanousd", spent),
                  LOG_TEXT("per", per), LOG_SPAN("until", end));
    else
        log_write(log, LOG_LEVEL_WARNING, message, LOG_SPAN(what_of(seat), seat->name),
                  LOG_UINT("spent_nanousd", spent), LOG_TEXT("per", per), LOG_SPAN("until", end));
}

/* What is new, once a period; a budget that was raised may be told of again. */
static void tell(const struct budgets *budgets, struct seat *seat, bool was_resting,
                 uint64_t until_wall_us)
{
    static const char *const spent[SEAT_KINDS] = {
        "key has spent its budget", "client has spent its budget", "pool has spent its budget"};
    static const char *const again[SEAT_KINDS] = {
        "key has a budget again", "client has a budget again", "pool has a budget again"};
    bool is_near = budget_is_near(&seat->budget, seat->limit_nanousd);
    char until[RFC3339_BYTES];

    datetime_write_rfc3339(until_wall_us, until);
    if (seat->is_resting != was_resting)
        note(budgets, seat, seat->is_resting ? spent[seat->kind] : again[seat->kind], until);
    if (seat->is_resting && seat->passed_wall_us != seat->budget.start_wall_us)
        wake(budgets, seat, ALERT_BUDGET_PASSED, until);
    else if (is_near && seat->near_wall_us != seat->budget.start_wall_us)
        wake(budgets, seat, ALERT_BUDGET_NEAR, until);
    seat->near_wall_us = is_near ? seat->budget.start_wall_us : 0;
    seat->passed_wall_us = seat->is_resting ? seat->budget.start_wall_us : 0;
}

/* ---- looking ---- */

static void rest_key(struct budgets *budgets, struct seat *seat, uint64_t until_us)
{
    struct keypool_effect effect = keypool_rest(provider_keys(seat->provider), seat->key, until_us);

    seat->until_us = until_us;
    gateway_follow(budgets->gateway, seat->provider, &effect);
}

/* The end comes elsewhere where the clock of the calendar was set. */
static bool has_moved(uint64_t until_us, uint64_t told_us)
{
    return (until_us > told_us ? until_us - told_us : told_us - until_us) > US_PER_SEC;
}

/* Another period than before: it begins anew, but for what the store knows of this one. */
static void follow_conf(struct seat *seat, const struct conf_budget *conf)
{
    enum budget_period period = (enum budget_period)conf->per;

    seat->limit_nanousd = conf->millionth_usd * NANO_PER_MILLIONTH;
    if (period == seat->period)
        return;
    seat->period = period;
    seat->budget = (struct budget){.start_wall_us = 0};
    seat->kept = (struct total){.sum = 0};
    seat->is_told = seat->is_asked = false;
}

static void look(struct budgets *budgets, struct seat *seat, const struct conf_budget *conf)
{
    const struct loop *loop = budgets->gateway->loop;
    uint64_t wall_us = loop_wall_us(loop), until_wall_us, until_us;
    bool was_resting = seat->is_resting;
    uint64_t start_wall_us;

    follow_conf(seat, conf);
    start_wall_us = seat->budget.start_wall_us;
    seat->is_resting = budget_look(&seat->budget, seat->period, seat->limit_nanousd, seat_sum(seat),
                                   wall_us, &until_wall_us);
    if (start_wall_us && start_wall_us != seat->budget.start_wall_us)
        seat->is_told = seat->is_asked = false;
    until_us = loop_now_us(loop) + (until_wall_us - wall_us);
    if (seat->kind != SEAT_KEY)
        purse_set(seat->purse, seat->budget.spent_before + seat->limit_nanousd, until_us);
    else if (seat->is_resting != was_resting ||
             (seat->is_resting && has_moved(until_us, seat->until_us)))
        rest_key(budgets, seat, seat->is_resting ? until_us : 0);
    tell(budgets, seat, was_resting, until_wall_us);
}

static void look_at(struct budgets *budgets, struct seat *seat, const struct conf_budget *conf)
{
    if (!seat)
        return;
    seat->round = budgets->round;
    look(budgets, seat, conf);
}

static void look_at_keys(struct budgets *budgets, const struct snapshot_provider *row)
{
    for (size_t i = 0; i < row->conf->keys.count; i++) {
        const struct conf_key *conf = &row->conf->keys.items[i];

        if (conf->budget)
            look_at(budgets, seat_of_key(budgets, row->provider, conf), conf->budget);
    }
}

void budgets_look_at_all(struct budgets *budgets)
{
    const struct snapshot *snapshot = budgets->gateway->snapshot;
    const struct conf_client_list *clients = &snapshot->config->clients.keys;
    const struct conf_pools *pools = &snapshot->config->pools;

    budgets->round++;
    for (size_t i = 0; i < snapshot->provider_count; i++)
        look_at_keys(budgets, &snapshot->providers[i]);
    for (size_t i = 0; i < clients->count; i++) {
        const struct conf_client *conf = &clients->items[i];

        if (conf->budget)
            look_at(budgets, seat_of_purse(budgets, SEAT_CLIENT, conf->name), conf->budget);
    }
    for (size_t i = 0; i < pools->count; i++) {
        const struct conf_pool *conf = &pools->items[i];

        if (conf->budget)
            look_at(budgets, seat_of_purse(budgets, SEAT_POOL, conf->name), conf->budget);
    }
}

/* Those that the file has no budget for any more may go on. */
static void drop_unseen(struct budgets *budgets)
{
    struct seat *seat;
    size_t at = 0;

    while ((seat = map_next(&budgets->seats, &at, NULL))) {
        if (seat->round == budgets->round)
            continue;
        map_remove(&budgets->seats, span_of(seat->id, seat->len));
        if (seat->is_resting && seat->kind == SEAT_KEY)
            rest_key(budgets, seat, 0);
        seat_free(seat);
        at = 0; /* the map has moved its entries */
    }
}

static void on_look(struct loop_timer *timer)
{
    struct budgets *budgets = container_of(timer, struct budgets, timer);

    budgets_look_at_all(budgets);
    if (budgets->seats.count)
        /* Reserved: it cannot fail. */
        (void)loop_timer_set(timer, loop_now_us(budgets->gateway->loop) + LOOK_US);
    budgets_keep(budgets);
}

static bool has_budgets(const struct snapshot *snapshot)
{
    const struct conf_client_list *clients = &snapshot->config->clients.keys;
    const struct conf_pools *pools = &snapshot->config->pools;

    for (size_t i = 0; i < snapshot->provider_count; i++) {
        const struct conf_key_list *keys = &snapshot->providers[i].conf->keys;

        for (size_t k = 0; k < keys->count; k++) {
            if (keys->items[k].budget)
                return true;
        }
    }
    for (size_t i = 0; i < clients->count; i++) {
        if (clients->items[i].budget)
            return true;
    }
    for (size_t i = 0; i < pools->count; i++) {
        if (pools->items[i].budget)
            return true;
    }
    return false;
}

bool gateway_budget(void *owner, size_t *at, struct admin_budget *ret_budget)
{
    const struct gateway *gateway = owner;
    const struct seat *seat =
        gateway->budgets ? map_next(&gateway->budgets->seats, at, NULL) : NULL;
    uint64_t wall_us = loop_wall_us(gateway->loop);

    if (!seat)
        return false;
    if (wall_us < seat->budget.start_wall_us)
        wall_us = seat->budget.start_wall_us; /* the clock was set back */
    *ret_budget = (struct admin_budget){
        .of = what_of(seat),
        .provider = seat->kind == SEAT_KEY ? provider_name(seat->provider) : span_of(NULL, 0),
        .name = shown_name(seat),
        .limit_nanousd = seat->limit_nanousd,
        .spent_nanousd = seat->budget.spent,
        .per = budget_period_word(seat->period),
        .resets_wall_us = budget_period_end(seat->period, wall_us),
        .is_spent = seat->is_resting,
    };
    return true;
}

/* ---- life ---- */

static struct budgets *make(struct gateway *gateway)
{
    struct budgets *budgets = mem_zalloc(1, sizeof(*budgets));

    if (!budgets)
        return NULL;
    budgets->gateway = gateway;
    budgets_init_kept(budgets);
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
                  "without memory: budgets are not watched until the next reload");
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
    budgets_fini_kept(budgets);
    while ((seat = map_next(&budgets->seats, &at, NULL)))
        seat_free(seat);
    map_fini(&budgets->seats);
    loop_timer_fini(&budgets->timer);
    mem_free(budgets);
}

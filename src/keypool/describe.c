#include <stdio.h>

#include "keypool/key_body.h"
#include "keypool/pool_body.h"

/* ---- what the workers counted ---- */

static void sum_locals(const struct key *key, struct keypool_row *row)
{
    for (uint32_t i = 0; i < key->pool->workers; i++) {
        const struct key_local *local = &key->locals[i];
        uint64_t used_us = atomic_load_explicit(&local->last_used_us, memory_order_relaxed);
        uint64_t good_us = atomic_load_explicit(&local->last_success_us, memory_order_relaxed);

        row->requests += atomic_load_explicit(&local->requests, memory_order_relaxed);
        row->errors += atomic_load_explicit(&local->errors, memory_order_relaxed);
        row->faults += atomic_load_explicit(&local->faults, memory_order_relaxed);
        row->tokens += atomic_load_explicit(&local->tokens, memory_order_relaxed);
        if (used_us > row->last_used_us)
            row->last_used_us = used_us;
        if (good_us > row->last_success_us)
            row->last_success_us = good_us;
    }
}

/* ---- limits ---- */

/* `model`: empty where it is for all together. */
static void add_limit(struct keypool_row *row, const char *scope, const char *model, uint64_t limit,
                      uint64_t used, uint64_t reset_us)
{
    struct keypool_row_limit *at = &row->limits[row->limit_count];

    if (row->limit_count == KEYPOOL_ROW_LIMITS)
        return;
    row->limit_count++;
    snprintf(at->scope, sizeof(at->scope), "%s%s%s", scope, *model ? ":" : "", model);
    at->limit = limit;
    at->remaining = used < limit ? limit - used : 0;
    at->reset_us = reset_us;
}

static void add_window(struct keypool_row *row, const char *scope, const char *model,
                       const struct window *window, uint64_t limit, uint64_t now_us)
{
    if (limit == 0)
        return;
    /* The whole limit is there again once all that counts has left the window. */
    add_limit(row, scope, model, limit, window_used(window, now_us),
              window_wait_us(window, limit, limit, now_us));
}

/* What is found by trying; the share of it that would pass at once is small: what is left is that.
 */
static void add_found(struct keypool_row *row, const struct quota *quota, uint64_t now_us)
{
    struct adaptive_reading reading = adaptive_read(&quota->adaptive, now_us);
    uint64_t used = reading.rpm > reading.remaining ? reading.rpm - reading.remaining : 0;

    row->adaptive_concurrency = quota_found(quota);
    row->adaptive_rpm = reading.rpm;
    if (reading.rpm)
        add_limit(row, "adaptive_rpm", "", reading.rpm, used, reading.reset_us);
}

static void add_quota(struct keypool_row *row, const struct quota *quota, const char *model,
                      uint64_t now_us)
{
    uint32_t concurrent = quota_places(quota);

    add_window(row, "rpm", model, &quota->requests, atomic_load(&quota->rpm), now_us);
    add_window(row, "tpm", model, &quota->tokens, atomic_load(&quota->tpm), now_us);
    if (concurrent)
        add_limit(row, "concurrent", model, concurrent, concurrency_used(&quota->places), 0);
}

/* What is declared of single models. */
static void add_model_quotas(struct keypool_row *row, const struct key *key, uint64_t now_us)
{
    const struct model_quotas *table = key_model_quotas(key);

    for (uint32_t i = 0; table && i < table->count; i++) {
        const struct model_quota *item = table->rows[i].item;

        add_quota(row, &item->quota, item->model, now_us);
    }
}

/* What its provider tells of, model by model. */
static void add_heard(struct keypool_row *row, struct key *key, uint64_t now_us)
{
    static const char *const scopes[LIMITS_KINDS] = {
        [LIMITS_REQUESTS] = "requests",
        [LIMITS_TOKENS] = "tokens",
        [LIMITS_INPUT] = "input_tokens",
        [LIMITS_OUTPUT] = "output_tokens",
    };
    struct heard_table *table = atomic_load_explicit(key_heard_place(key), memory_order_acquire);
    struct heard_row heard;
    uint32_t at = 0;

    while (heard_next(table, &at, now_us, &heard))
        add_limit(row, scopes[heard.kind], heard.model, heard.limit, heard.limit - heard.remaining,
                  heard.reset_us);
}

/* Models set aside stand among the limits: nothing remains of them until then. */
static void add_asides(struct keypool_row *row, _Atomic(struct aside_table *) *place,
                       uint64_t now_us)
{
    struct aside_table *table = atomic_load_explicit(place, memory_order_acquire);
    char name[ASIDE_NAME_BYTES];
    struct aside_view view;
    uint32_t at = 0;

    while (aside_next(table, &at, now_us, &view, name)) {
        add_limit(row, "model", name, 0, 0, view.until_us - now_us);
        if (view.state == ASIDE_MISSING)
            continue;
        row->has_model_aside = true;
        if (view.until_us > row->cooldown_until_us)
            row->cooldown_until_us = view.until_us;
    }
}

/* ---- rows ---- */

static bool is_usable(enum key_health health)
{
    return health == KEY_HEALTHY || health == KEY_TRIAL;
}

/* Without a token the rest does not count. */
static struct health_view judge_token(const struct key *key, struct health_view own,
                                      uint64_t now_us)
{
    switch (key_token(key, now_us)) {
    case KEY_TOKEN_UNNEEDED:
    case KEY_TOKEN_HELD:
        break;
    case KEY_TOKEN_AWAITED:
        return (struct health_view){.state = KEY_NEW, .failures = own.failures};
    case KEY_TOKEN_MISSING:
        return (struct health_view){.state = KEY_INVALID, .failures = own.failures};
    }
    return own;
}

static void judge(struct keypool_row *row, const struct key *key, uint64_t now_us)
{
    struct health_view own = health_read(&key->shared.health);
    const struct account *account = key_account_of(key);
    uint64_t expires_us = atomic_load_explicit(&key->shared.expires_us, memory_order_relaxed);

    /* What stands against the account stands against each of its keys. */
    if (account && is_usable(own.state)) {
        struct health_view shared = health_read(&account->health);

        if (!is_usable(shared.state))
            own = (struct health_view){shared.state, own.failures, shared.until_us};
    }
    if (expires_us && expires_us <= now_us)
        own = (struct health_view){.state = KEY_INVALID, .failures = own.failures};
    else
        own = judge_token(key, own, now_us);
    row->health = own.state;
    row->failures = own.failures;
    if (is_usable(own.state) && own.until_us <= now_us)
        row->failures = 0;
    if (health_is_benched(own.state) && own.until_us > row->cooldown_until_us)
        row->cooldown_until_us = own.until_us;
    row->breaker = breaker_state(&key->shared.breaker, now_us);
    row->health_text = key_health_text(own.state);
    if (is_usable(own.state) && row->has_model_aside)
        row->health_text = key_health_text(KEY_LIMITED);
    row->is_healthy = row->wish == KEY_ENABLED && is_usable(own.state) && !row->has_model_aside &&
                      row->breaker != BREAKER_OPEN;
}

/* A spent budget is as good as a depleted key, but for its name. */
static void judge_budget(struct keypool_row *row, const struct key *key, uint64_t now_us)
{
    uint64_t rest_us = atomic_load_explicit(&key->shared.rest_until_us, memory_order_relaxed);

    if (rest_us <= now_us || !is_usable(row->health))
        return;
    row->health = KEY_DEPLETED;
    row->health_text = "budget_spent";
    row->is_healthy = false;
    if (rest_us > row->cooldown_until_us)
        row->cooldown_until_us = rest_us;
}

static void add_all_asides(struct keypool_row *row, struct key *key, uint64_t now_us)
{
    struct account *account = key_account_of(key);

    add_asides(row, &key->shared.asides, now_us);
    if (account)
        add_asides(row, &account->asides, now_us);
}

static void start(struct keypool_row *row, struct key *key)
{
    const struct key_label *label = key_label_of(key);

    *row = (struct keypool_row){
        .key = key_ref(key),
        .name = label->name,
        .account = label->account,
        .identity = key->identity,
        .wish = key_wish(key),
        .weight_milli = key_weight_of(key),
        .priority = label->priority,
        .models = label->models,
    };
}

/* How well it is, and no more: of many keys, limits cost the most. */
static void fill_health(struct keypool_row *row, struct key *key, uint64_t now_us)
{
    start(row, key);
    add_all_asides(row, key, now_us);
    judge(row, key, now_us);
    judge_budget(row, key, now_us);
}

/* Of many limits those of single models are left out first, since the file has them. */
static void fill(struct keypool_row *row, struct key *key, uint64_t now_us)
{
    const struct quota *quota = key_quota_of(key);

    start(row, key);
    sum_locals(key, row);
    row->has_worked =
        row->last_success_us || atomic_load_explicit(&key->shared.was_known, memory_order_relaxed);
    row->in_flight = key_in_flight(key);
    if (quota) {
        add_found(row, quota, now_us);
        add_quota(row, quota, "", now_us);
    }
    add_all_asides(row, key, now_us);
    add_heard(row, key, now_us);
    add_model_quotas(row, key, now_us);
    judge(row, key, now_us);
    judge_budget(row, key, now_us);
    row->spent_nanousd = keypool_spent(key->pool, key);
}

bool keypool_describe(struct keypool *pool, size_t *at, uint64_t now_us,
                      struct keypool_row *ret_row)
{
    struct roster *roster = keypool_roster(pool);
    bool is_there = roster && *at < roster->count;

    if (is_there)
        fill(ret_row, roster->entries[(*at)++].key, now_us);
    roster_unref(&roster);
    return is_there;
}

static void count(struct keypool_totals *totals, const struct keypool_row *row)
{
    totals->keys++;
    totals->healthy += row->is_healthy;
    switch (row->health) {
    case KEY_NEW:
    case KEY_TRIAL:
        totals->fresh++;
        break;
    case KEY_COOLING:
    case KEY_LIMITED:
    case KEY_FORBIDDEN:
    case KEY_TESTING:
        totals->cooling++;
        break;
    case KEY_DEPLETED:
        totals->depleted++;
        break;
    case KEY_INVALID:
        totals->invalid++;
        break;
    case KEY_HEALTHY:
        totals->cooling += row->has_model_aside;
        break;
    case KEY_HEALTH_COUNT:
        break;
    }
}

struct keypool_totals keypool_totals(struct keypool *pool, uint64_t now_us)
{
    struct keypool_totals totals = {.keys = 0};
    struct roster *roster = keypool_roster(pool);

    for (uint32_t i = 0; roster && i < roster->count; i++) {
        struct keypool_row row;

        fill_health(&row, roster->entries[i].key, now_us);
        count(&totals, &row);
        key_unref(&row.key);
    }
    roster_unref(&roster);
    for (int i = 0; i < KEY_HEALTH_COUNT; i++)
        totals.moves[i] =
            atomic_load_explicit(&pool->shared.moves.entered[i], memory_order_relaxed);
    for (uint32_t i = 0; i < pool->workers; i++)
        totals.shared_writes +=
            atomic_load_explicit(&pool->locals[i].shared_writes, memory_order_relaxed);
    return totals;
}

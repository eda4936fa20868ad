#include "base/bug.h"
#include "base/clock.h"
#include "keypool/view_body.h"

/* One report under way. */
struct report {
    struct keypool_view *view;
    struct keypool_grant *grant;
    struct key *key;
    const struct outcome_row *row; /* NULL: it goes on, or nothing is known */
    uint64_t until_us;             /* where something is benched without another time */
    uint64_t now_us;
    bool is_elsewhere_tried; /* of struct keypool_end */
    bool says_nothing;       /* of the key: its token is replaced first */
    struct keypool_effect effect;
};

static struct health_moves *moves_of(const struct report *report)
{
    return &report->view->pool->shared.moves;
}

static const struct roster *rules_of(const struct report *report)
{
    return report->view->roster;
}

static void wake(struct report *report, uint32_t count)
{
    if (count > report->effect.wakes)
        report->effect.wakes = count;
    report->view->shared_writes++;
    keypool_tell(report->view->pool, report->key->place);
}

static uint64_t bump(_Atomic uint64_t *counter)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed) + 1;

    atomic_store_explicit(counter, value, memory_order_relaxed);
    return value;
}

static struct key_local *local_of(const struct report *report)
{
    return report->view->slots[report->key->place].local;
}

/* ---- tests ---- */

void view_drop_tests(struct keypool_view *view, struct keypool_grant *grant, uint64_t now_us)
{
    struct key *key = grant->key;
    struct health_moves *moves = &view->pool->shared.moves;

    if (grant->tests_key)
        health_drop(&key->shared.health, now_us, moves);
    if (grant->tests_account)
        health_drop(&grant->account->health, now_us, moves);
    if (grant->tests_model)
        aside_drop(atomic_load(&key->shared.asides), grant->model_hash, now_us);
    if (grant->tests_account_model)
        aside_drop(atomic_load(&grant->account->asides), grant->model_hash, now_us);
    view->shared_writes += (uint64_t)grant->tests_key + grant->tests_account + grant->tests_model +
                           grant->tests_account_model;
    grant->tests_key = grant->tests_account = false;
    grant->tests_model = grant->tests_account_model = false;
}

static bool holds_test(const struct keypool_grant *grant)
{
    return grant->tests_key || grant->tests_account || grant->tests_model ||
           grant->tests_account_model;
}

/* What it tested went well; each may be passed alone, where the rest was answered otherwise. */
static void pass_key(struct report *report)
{
    if (!report->grant->tests_key)
        return;
    report->grant->tests_key = false;
    if (health_pass(&report->key->shared.health, moves_of(report)))
        report->effect.key_moved = true;
    wake(report, UINT32_MAX);
}

static void pass_account(struct report *report)
{
    if (!report->grant->tests_account)
        return;
    report->grant->tests_account = false;
    if (health_pass(&report->grant->account->health, moves_of(report)))
        report->effect.account_moved = true;
    wake(report, UINT32_MAX);
}

static void pass_models(struct report *report)
{
    struct keypool_grant *grant = report->grant;

    if (!grant->tests_model && !grant->tests_account_model)
        return;
    if (grant->tests_model)
        aside_pass(atomic_load(&report->key->shared.asides), grant->model_hash);
    if (grant->tests_account_model)
        aside_pass(atomic_load(&grant->account->asides), grant->model_hash);
    grant->tests_model = grant->tests_account_model = false;
    wake(report, UINT32_MAX);
}

static void drop_tests(struct report *report)
{
    if (!holds_test(report->grant))
        return;
    view_drop_tests(report->view, report->grant, report->now_us);
    wake(report, 1);
}

/* ---- what an answer says ---- */

/* The token works: if it is refused one day, the next may help again. */
static void trust_token(struct report *report)
{
    struct key *key = report->key;

    if (key->has_tokens &&
        atomic_load_explicit(&key->shared.is_token_doubted, memory_order_relaxed))
        atomic_store_explicit(&key->shared.is_token_doubted, false, memory_order_release);
}

/* How long it took says how many may be under way, where that is found. */
static void tell_latency(struct report *report)
{
    struct keypool_grant *grant = report->grant;
    struct gradient_sample sample;
    uint32_t grown;

    if (!grant->alike)
        return;
    sample = gradient_sample_of(grant->alike, grant->sent_us, report->now_us);
    grown = quota_note(grant->quota, &grant->hold, &sample, report->now_us,
                       &report->view->shared_writes);
    if (grown)
        wake(report, grown);
}

static void note_good(struct report *report)
{
    struct key *key = report->key;
    struct key_local *local = local_of(report);

    report->grant->is_good = true;
    if (report->grant->trial)
        report->effect.canary_failed =
            trial_note_good(report->view, report->grant, !report->row, report->now_us);
    pass_key(report);
    pass_account(report);
    pass_models(report);
    if (health_good(&key->shared.health, moves_of(report)))
        report->effect.key_moved = true;
    if (atomic_load_explicit(&key->shared.contradictions, memory_order_relaxed) != 0)
        atomic_store_explicit(&key->shared.contradictions, 0, memory_order_relaxed);
    trust_token(report);
    if (!report->row && report->grant->sent_us && report->now_us > report->grant->sent_us) {
        view_note_latency(report->view, &report->view->slots[key->place],
                          report->now_us - report->grant->sent_us, report->now_us);
        tell_latency(report);
    }
    atomic_store_explicit(&local->last_success_us, report->now_us, memory_order_relaxed);
    tally_add(&local->good, rules_of(report)->breaker.window_us, report->now_us);
}

static void bench(struct report *report, struct health *health, enum key_health state,
                  uint64_t until_us)
{
    bool is_key = health == &report->key->shared.health;

    report->view->shared_writes++;
    if (health_bench(health, state, until_us, moves_of(report))) {
        report->effect.key_moved |= is_key;
        report->effect.account_moved |= !is_key;
        report->effect.until_us = until_us;
    }
    /* Its own test is decided by this. */
    if (is_key)
        report->grant->tests_key = false;
    else
        report->grant->tests_account = false;
}

/* The health that a scope means: the account's, where the key shares one. */
static struct health *health_of_scope(struct report *report)
{
    if (report->row->scope == SCOPE_ACCOUNT && report->grant->account)
        return &report->grant->account->health;
    return &report->key->shared.health;
}

static enum aside_state aside_of_class(enum outcome_class class)
{
    if (class == CLASS_MODEL_MISSING)
        return ASIDE_MISSING;
    return class == CLASS_BAD_KEY ? ASIDE_FORBIDDEN : ASIDE_LIMITED;
}

/* Sets the model aside for the key or its account. Without memory for the table the whole key is
 * benched instead: that is safe, and ends. */
static void set_model_aside(struct report *report, bool is_account)
{
    struct keypool_grant *grant = report->grant;
    bool is_shared = is_account && grant->account;
    struct aside_table *table =
        aside_ensure(is_shared ? &grant->account->asides : &report->key->shared.asides);

    if (!table) {
        bench(report, &report->key->shared.health, KEY_LIMITED, report->until_us);
        return;
    }
    if (aside_find(table, grant->model_hash).state == ASIDE_NONE) {
        report->effect.model_moved = true;
        report->effect.until_us = report->until_us;
    }
    aside_set(table, grant->model_hash, grant->model, aside_of_class(report->row->class),
              report->until_us);
    report->view->shared_writes++;
    /* Its own test is decided by this. */
    if (is_shared)
        grant->tests_account_model = false;
    else
        grant->tests_model = false;
}

static void cool(struct report *report)
{
    const struct outcome_row *row = report->row;

    if (row->scope == SCOPE_KEY_MODEL || (row->scope == SCOPE_ACCOUNT && row->is_per_model)) {
        set_model_aside(report, row->scope == SCOPE_ACCOUNT);
        /* The key as such was accepted. */
        pass_key(report);
        pass_account(report);
        return;
    }
    bench(report, health_of_scope(report),
          row->class == CLASS_BAD_KEY ? KEY_FORBIDDEN : KEY_LIMITED, report->until_us);
}

static void deplete(struct report *report)
{
    bench(report, health_of_scope(report), KEY_DEPLETED,
          report->now_us + rules_of(report)->health.depleted_us + 1);
}

/* A token that was refused is replaced once before its key is given up: whoever issues them may
 * have taken it back. True where that is all there is to do. */
static bool doubt_token(struct report *report)
{
    struct key *key = report->key;
    bool is_wanted = false;

    if (!key->has_tokens || !key_doubt_token(key, report->grant->line, &is_wanted))
        return false;
    report->view->shared_writes += 2;
    report->says_nothing = true;
    report->effect.wants_probe |= is_wanted;
    return true;
}

static void invalidate(struct report *report)
{
    struct key *key = report->key;

    if (doubt_token(report))
        return;
    bench(report, &key->shared.health, KEY_INVALID, 0);
    if (!report->effect.key_moved)
        return;
    atomic_fetch_add_explicit(&key->shared.contradictions, 1, memory_order_relaxed);
    pthread_mutex_lock(&key->pool->probe_lock);
    key->control.invalid_us = report->now_us;
    pthread_mutex_unlock(&key->pool->probe_lock);
    keypool_plan_probe(key->pool, key, report->view->roster, report->now_us);
    report->effect.wants_probe = true;
}

/* A failure blames the key only while its endpoint is not known to fail whoever asks: else one bad
 * minute would take out all keys for the next one. */
static bool is_endpoint_at_fault(const struct report *report)
{
    const struct endpoint_health *endpoint = report->grant->endpoint;

    return report->row->blames_endpoint && endpoint &&
           (report->is_elsewhere_tried ||
            endpoint_health_state(endpoint, report->now_us) != BREAKER_CLOSED);
}

static void fail(struct report *report)
{
    if (is_endpoint_at_fault(report))
        return;
    report->view->shared_writes++;
    if (health_fail(&report->key->shared.health, &rules_of(report)->rules, report->grant->tests_key,
                    report->now_us, moves_of(report)))
        report->effect.key_moved = true;
    report->grant->tests_key = false;
}

/* ---- whom it concerns beside the key ---- */

static uint64_t successes(const struct report *report)
{
    const struct keypool *pool = report->view->pool;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < pool->workers; i++)
        sum += tally_sum(&report->key->locals[i].good, rules_of(report)->breaker.window_us,
                         report->now_us);
    return sum;
}

static enum breaker_result result_for(const struct outcome_row *row, bool is_blamed)
{
    if (!row)
        return BREAKER_NEUTRAL;
    if (row->health == HEALTH_GOOD)
        return BREAKER_GOOD;
    return is_blamed ? BREAKER_BAD : BREAKER_NEUTRAL;
}

static void tell_breaker(struct report *report)
{
    struct keypool_grant *grant = report->grant;
    bool is_blamed = report->row && report->row->blames_key && !is_endpoint_at_fault(report);
    enum breaker_result result = result_for(report->row, is_blamed);
    uint64_t good = result == BREAKER_BAD ? successes(report) : 0;

    report->view->shared_writes += grant->breaker_pass.is_trial || result == BREAKER_BAD;
    if (breaker_leave(&report->key->shared.breaker, &rules_of(report)->breaker, grant->breaker_pass,
                      result, good, report->now_us)) {
        report->effect.breaker_moved = true;
        wake(report, result == BREAKER_GOOD ? UINT32_MAX : 1);
    } else if (grant->breaker_pass.is_trial) {
        wake(report, 1);
    }
}

static void tell_endpoint(struct report *report)
{
    struct keypool_grant *grant = report->grant;
    const struct outcome_row *row = report->row;
    enum breaker_result result = result_for(row, row && row->blames_endpoint);

    if (!grant->endpoint)
        return;
    report->view->shared_writes += grant->endpoint_pass.breaker.is_trial || result == BREAKER_BAD;
    report->effect.endpoint_moved =
        endpoint_health_leave(grant->endpoint, &rules_of(report)->breaker, grant->endpoint_tally,
                              &grant->endpoint_pass, result, report->now_us);
    if (report->effect.endpoint_moved && result == BREAKER_GOOD)
        report->effect.wakes = UINT32_MAX;
    if (row && row->class == CLASS_CONNECT)
        endpoint_health_refused(grant->endpoint, report->now_us);
    else if (row && row->scope == SCOPE_ENDPOINT && row->class == CLASS_RATE_LIMIT)
        endpoint_health_rest(grant->endpoint, report->until_us);
}

static void tell_pool(struct report *report)
{
    if (report->row->scope != SCOPE_MODEL || report->row->class != CLASS_OVERLOADED ||
        report->is_elsewhere_tried)
        return;
    aside_set(report->view->pool->shared.asides, report->grant->model_hash, report->grant->model,
              ASIDE_CROWDED, report->until_us);
    report->view->shared_writes++;
}

static void tell_key(struct report *report)
{
    switch (report->row->health) {
    case HEALTH_GOOD:
        if (!report->grant->is_good)
            note_good(report);
        break;
    case HEALTH_FAILED:
        fail(report);
        break;
    case HEALTH_COOLING:
        cool(report);
        break;
    case HEALTH_DEPLETED:
        deplete(report);
        break;
    case HEALTH_INVALID:
        invalidate(report);
        break;
    case HEALTH_UNCHANGED:
        break;
    }
}

static bool is_fault(const struct outcome_row *row)
{
    return (row->trial == TRIAL_FAILED || row->trial == TRIAL_REFUSED) &&
           row->class != CLASS_RATE_LIMIT && row->class != CLASS_DEPLETED;
}

static void count_error(struct report *report)
{
    enum outcome_class class = report->row->class;

    if (is_fault(report->row) && !report->says_nothing)
        bump(&local_of(report)->faults);
    if (class != CLASS_NONE && class != CLASS_BAD_REQUEST)
        bump(&local_of(report)->errors);
}

/* One writer: a load and a store do. */
static void count_spent(struct report *report, uint64_t nanousd)
{
    _Atomic uint64_t *spent = &local_of(report)->spent_nanousd;

    atomic_store_explicit(spent, atomic_load_explicit(spent, memory_order_relaxed) + nanousd,
                          memory_order_relaxed);
}

/* How long a key rests after a 429 that does not say, where its limits are found: with what is left
 * of them, a second is enough to hear of the next. */
#define REST_ADAPTED_US US_PER_SEC

/* There were too many for it at once: it says so, or never came to it. */
static bool is_overload(const struct outcome_row *row)
{
    return row->class == CLASS_OVERLOADED || (row->class == CLASS_TIMEOUT && row->blames_endpoint);
}

/* Limits that are found go down at once, whatever else the answer says. */
static void tell_adaptive(struct report *report, const struct keypool_end *end)
{
    struct keypool_grant *grant = report->grant;

    if (!grant->quota)
        return;
    if (is_overload(report->row) && grant->sent_us)
        quota_overload(grant->quota, grant->sent_us, report->now_us, &report->view->shared_writes);
    if (report->row->class != CLASS_RATE_LIMIT || report->row->scope == SCOPE_ENDPOINT ||
        !quota_refuse(grant->quota, grant->sent_us, report->now_us, &report->view->shared_writes))
        return;
    if (!end->hint_us)
        report->until_us = report->now_us + REST_ADAPTED_US + 1;
}

/* ---- the public calls ---- */

static uint64_t bench_until(const struct report *report, const struct keypool_end *end)
{
    uint64_t wait_us = end->hint_us;

    if (wait_us == 0)
        wait_us = end->outcome->cooldown_ms * US_PER_MS;
    if (wait_us == 0)
        wait_us = rules_of(report)->health.cooldown_us;
    if (wait_us > KEYPOOL_MAX_REST_US)
        wait_us = KEYPOOL_MAX_REST_US;
    return report->now_us + wait_us + 1;
}

static struct report start(struct keypool_view *view, struct keypool_grant *grant, uint64_t now_us)
{
    bug_fatal_unless(grant->key != NULL);
    return (struct report){.view = view, .grant = grant, .key = grant->key, .now_us = now_us};
}

static void finish(struct report *report)
{
    struct keypool_grant *grant = report->grant;

    drop_tests(report);
    report->view->shared_writes += grant->line != NULL;
    secret_unref(&grant->line);
    view_count_end(report->view, report->key->place);
    view_tell_writes(report->view);
    *grant = (struct keypool_grant){.key = NULL};
}

static void count_tokens(const struct report *report, uint64_t tokens)
{
    _Atomic uint64_t *count = &local_of(report)->tokens;

    if (tokens)
        atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + tokens,
                              memory_order_relaxed);
}

static void wake_for_limits(struct report *report, uint32_t by_quota, bool by_heard)
{
    if (by_quota || by_heard)
        wake(report, by_quota ? by_quota : 1);
}

static uint32_t settle(struct report *report, struct quota *quota, struct quota_hold *hold,
                       uint64_t tokens)
{
    return quota ? quota_settle(quota, hold, tokens, report->now_us, &report->view->shared_writes)
                 : 0;
}

static uint32_t give_back(struct report *report, struct quota *quota, struct quota_hold *hold)
{
    return quota ? quota_give_back(quota, hold, report->now_us, &report->view->shared_writes) : 0;
}

/* It was sent, and used so many tokens (0: unknown). */
static void settle_limits(struct report *report, uint64_t tokens)
{
    struct keypool_grant *grant = report->grant;
    uint32_t by_all = settle(report, grant->quota, &grant->hold, tokens);
    uint32_t by_model = settle(report, grant->model_quota, &grant->model_hold, tokens);
    bool by_heard = heard_settle(&grant->heard, tokens, grant->sent_us, report->now_us,
                                 &report->view->shared_writes);

    wake_for_limits(report, by_all + by_model, by_heard);
}

/* No byte of it left (the connection was refused, or nobody waited for it any more): no provider
 * has counted it. */
static void give_limits_back(struct report *report)
{
    struct keypool_grant *grant = report->grant;
    uint32_t by_all = give_back(report, grant->quota, &grant->hold);
    uint32_t by_model = give_back(report, grant->model_quota, &grant->model_hold);
    bool by_heard = heard_give_back(&grant->heard, report->now_us, &report->view->shared_writes);

    wake_for_limits(report, by_all + by_model, by_heard);
}

struct keypool_effect keypool_end(struct keypool_view *view, struct keypool_grant *grant,
                                  const struct keypool_end *end, uint64_t now_us)
{
    struct report report = start(view, grant, now_us);

    report.row = end->outcome;
    report.is_elsewhere_tried = end->is_elsewhere_tried;
    if (report.row)
        report.until_us = bench_until(&report, end);
    count_tokens(&report, end->tokens);
    tell_endpoint(&report);
    tell_breaker(&report);
    if (report.row) {
        tell_adaptive(&report, end);
        tell_key(&report);
        tell_pool(&report);
        count_error(&report);
        if (grant->trial && !grant->is_good && !report.says_nothing)
            report.effect.canary_failed = trial_note_end(view, grant, report.row->trial);
    }
    if (grant->sent_us)
        settle_limits(&report, end->tokens);
    else
        give_limits_back(&report);
    if (end->cost_nanousd)
        count_spent(&report, end->cost_nanousd);
    finish(&report);
    return report.effect;
}

struct keypool_effect keypool_cancel(struct keypool_view *view, struct keypool_grant *grant,
                                     uint64_t now_us)
{
    struct report report = start(view, grant, now_us);
    struct key_local *local = local_of(&report);
    uint64_t requests = atomic_load_explicit(&local->requests, memory_order_relaxed);

    tell_endpoint(&report);
    tell_breaker(&report);
    if (grant->is_counted)
        atomic_store_explicit(&local->requests, requests - 1, memory_order_relaxed);
    if (view->trial)
        trial_note_cancel(view, grant);
    give_limits_back(&report);
    finish(&report);
    return report.effect;
}

void keypool_sent(struct keypool_view *view, struct keypool_grant *grant, uint64_t now_us)
{
    grant->sent_us = now_us;
    if (grant->quota)
        quota_move(grant->quota, &grant->hold, now_us, &view->shared_writes);
    if (grant->model_quota)
        quota_move(grant->model_quota, &grant->model_hold, now_us, &view->shared_writes);
}

struct keypool_effect keypool_good(struct keypool_view *view, struct keypool_grant *grant,
                                   uint64_t now_us)
{
    struct report report = start(view, grant, now_us);

    if (!grant->is_good)
        note_good(&report);
    return report.effect;
}

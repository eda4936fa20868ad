#include "keypool/endpoint_health.h"

struct breaker_settings breaker_settings_from(const struct conf_breaker *conf)
{
    return (struct breaker_settings){
        .failures = conf->failures ? conf->failures : 1,
        .ratio_ppm = conf->ratio_ppm,
        .window_us = conf->window_us,
        .open_us = conf->open_us,
        .half_open_calls = conf->half_open_calls,
    };
}

void endpoint_health_init(struct endpoint_health *endpoint)
{
    breaker_init(&endpoint->breaker);
    atomic_init(&endpoint->next_connect_us, 0);
    atomic_init(&endpoint->rest_until_us, 0);
    atomic_init(&endpoint->tallies, NULL);
}

void endpoint_health_join(struct endpoint_health *endpoint, struct endpoint_tally *tally)
{
    tally_init(&tally->good);
    tally->next = atomic_load(&endpoint->tallies);
    while (!atomic_compare_exchange_weak(&endpoint->tallies, &tally->next, tally))
        continue;
}

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

bool endpoint_health_is_refusing(const struct endpoint_health *endpoint)
{
    return load(&endpoint->next_connect_us) != 0;
}

/* The gate: 0 where a call may go to connect. */
static uint64_t gate_until(const struct endpoint_health *endpoint, uint64_t now_us)
{
    uint64_t next_us = load(&endpoint->next_connect_us);

    return next_us > now_us ? next_us : 0;
}

enum endpoint_verdict endpoint_health_look(const struct endpoint_health *endpoint,
                                           const struct breaker_settings *settings,
                                           bool is_last_way, uint64_t now_us,
                                           uint64_t *ret_free_at_us)
{
    uint64_t rest_us = load(&endpoint->rest_until_us), until_us;
    bool is_refusing = endpoint_health_is_refusing(endpoint);

    if (rest_us > now_us) {
        *ret_free_at_us = rest_us;
        return ENDPOINT_RESTING;
    }
    until_us = gate_until(endpoint, now_us);
    if (!until_us && !(is_refusing && is_last_way)) {
        until_us = breaker_shut_until(&endpoint->breaker, settings, now_us);
        if (until_us && is_last_way && breaker_state(&endpoint->breaker, now_us) == BREAKER_OPEN)
            until_us = 0;
        else if (until_us && is_last_way && until_us > now_us + ENDPOINT_CONNECT_EVERY_US)
            /* Its trials are under way: how they end is told by an event, or this look. */
            until_us = now_us + ENDPOINT_CONNECT_EVERY_US;
    }
    if (!until_us)
        return ENDPOINT_PASS;
    *ret_free_at_us = until_us;
    return ENDPOINT_OPEN;
}

/* Whoever moves the gate's time is the one that connects; true also where the gate is open. */
static bool pass_gate(struct endpoint_health *endpoint, uint64_t now_us, bool *ret_was_refusing)
{
    uint64_t next_us = load(&endpoint->next_connect_us);

    *ret_was_refusing = next_us != 0;
    if (next_us == 0)
        return true;
    return next_us <= now_us &&
           atomic_compare_exchange_strong_explicit(&endpoint->next_connect_us, &next_us,
                                                   now_us + ENDPOINT_CONNECT_EVERY_US,
                                                   memory_order_acq_rel, memory_order_acquire);
}

enum endpoint_verdict endpoint_health_enter(struct endpoint_health *endpoint,
                                            const struct breaker_settings *settings,
                                            bool is_last_way, uint64_t now_us,
                                            struct endpoint_pass *ret_pass,
                                            uint64_t *ret_free_at_us)
{
    struct endpoint_pass pass = {.is_held = true};
    enum endpoint_verdict verdict =
        endpoint_health_look(endpoint, settings, is_last_way, now_us, ret_free_at_us);
    bool was_refusing;

    if (verdict != ENDPOINT_PASS)
        return verdict;
    *ret_free_at_us = now_us + ENDPOINT_CONNECT_EVERY_US;
    if (!pass_gate(endpoint, now_us, &was_refusing))
        return ENDPOINT_OPEN;
    /* The one that tries to connect to the only endpoint goes whatever the breaker says, and holds
     * no trial of it: should the connection come about, that closes the breaker. */
    if (!(was_refusing && is_last_way) &&
        !breaker_enter(&endpoint->breaker, settings, is_last_way, now_us, &pass.breaker))
        return ENDPOINT_OPEN;
    *ret_pass = pass;
    return ENDPOINT_PASS;
}

static uint64_t successes(const struct endpoint_health *endpoint, uint64_t window_us,
                          uint64_t now_us)
{
    const struct endpoint_tally *tally =
        atomic_load_explicit(&endpoint->tallies, memory_order_acquire);
    uint64_t sum = 0;

    for (; tally; tally = tally->next)
        sum += tally_sum(&tally->good, window_us, now_us);
    return sum;
}

bool endpoint_health_leave(struct endpoint_health *endpoint,
                           const struct breaker_settings *settings, struct endpoint_tally *tally,
                           struct endpoint_pass *pass, enum breaker_result result, uint64_t now_us)
{
    struct breaker_pass breaker = pass->breaker;
    uint64_t good = 0;

    if (!pass->is_held)
        return false;
    *pass = (struct endpoint_pass){.is_held = false};
    if (result == BREAKER_GOOD && tally)
        tally_add(&tally->good, settings->window_us, now_us);
    if (result == BREAKER_BAD)
        good = successes(endpoint, settings->window_us, now_us);
    return breaker_leave(&endpoint->breaker, settings, breaker, result, good, now_us);
}

bool endpoint_health_connected(struct endpoint_health *endpoint)
{
    if (load(&endpoint->next_connect_us) == 0)
        return false;
    atomic_store_explicit(&endpoint->next_connect_us, 0, memory_order_release);
    breaker_close(&endpoint->breaker);
    return true;
}

static void raise(_Atomic uint64_t *word, uint64_t until_us)
{
    uint64_t old = load(word);

    while (old < until_us && !atomic_compare_exchange_weak_explicit(
                                 word, &old, until_us, memory_order_acq_rel, memory_order_acquire))
        continue;
}

void endpoint_health_refused(struct endpoint_health *endpoint, uint64_t now_us)
{
    raise(&endpoint->next_connect_us, now_us + ENDPOINT_CONNECT_EVERY_US);
}

void endpoint_health_rest(struct endpoint_health *endpoint, uint64_t until_us)
{
    raise(&endpoint->rest_until_us, until_us);
}

uint64_t endpoint_health_rests_until(const struct endpoint_health *endpoint)
{
    return load(&endpoint->rest_until_us);
}

bool endpoint_health_probed(struct endpoint_health *endpoint)
{
    bool was_refusing = endpoint_health_connected(endpoint);

    return breaker_close(&endpoint->breaker) || was_refusing;
}

enum breaker_state endpoint_health_state(const struct endpoint_health *endpoint, uint64_t now_us)
{
    enum breaker_state state = breaker_state(&endpoint->breaker, now_us);

    /* One that refuses connections is open for all who ask. */
    if (state == BREAKER_CLOSED && gate_until(endpoint, now_us))
        return BREAKER_OPEN;
    return state;
}

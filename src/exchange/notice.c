#include "exchange/notice.h"

#include "base/datetime.h"
#include "exchange/exchange.h"

/* A time of the loop's clock as text. */
static struct span spell_until(const struct notice *notice, uint64_t until_us,
                               char text[RFC3339_BYTES])
{
    if (until_us <= notice->now_us)
        return span_of(NULL, 0);
    datetime_write_rfc3339(notice->wall_us + (until_us - notice->now_us), text);
    return span_of(text, RFC3339_BYTES);
}

/* To the journal: an empty endpoint or key is none. */
static void note(const struct notice *notice, struct happening happening, uint64_t until_us)
{
    happening.provider = notice->provider;
    if (!happening.reason.len)
        happening.reason = span_from_text(notice->cause);
    happening.wall_us = notice->wall_us;
    if (until_us > notice->now_us)
        happening.until_wall_us = notice->wall_us + (until_us - notice->now_us);
    happening.was_used = notice->was_used;
    journal_note(notice->journal, &happening);
}

/* Out of service until somebody pays, renews or repairs something. */
static enum log_level level_of(enum key_health health)
{
    switch (health) {
    case KEY_FORBIDDEN:
    case KEY_DEPLETED:
    case KEY_INVALID:
    case KEY_COOLING:
        return LOG_LEVEL_WARNING;
    case KEY_NEW:
    case KEY_TRIAL:
    case KEY_HEALTHY:
    case KEY_LIMITED:
    case KEY_TESTING:
    case KEY_HEALTH_COUNT:
        break;
    }
    return LOG_LEVEL_INFO;
}

static void tell_key(const struct notice *notice, const struct key *key)
{
    uint64_t until_us;
    enum key_health health = key_health(key, &until_us);
    char text[RFC3339_BYTES];
    struct span until = spell_until(notice, until_us, text);

    /* Between the change and this line a test may have begun: its end is told. */
    if (health == KEY_TESTING)
        return;
    log_write(notice->log, level_of(health), "key changed its state",
              LOG_SPAN("provider", notice->provider), LOG_SPAN("key", key_name(key)),
              LOG_TEXT("state", key_health_text(health)), LOG_TEXT("cause", notice->cause),
              until.len ? LOG_SPAN("until", until) : NULL);
    note(notice,
         (struct happening){.kind = EVENT_KEY_STATE,
                            .key = key_name(key),
                            .state = span_from_text(key_health_text(health))},
         until_us);
}

static void tell_breaker(const struct notice *notice, const struct key *key)
{
    enum breaker_state state = key_breaker(key, notice->now_us);

    if (state == BREAKER_HALF_OPEN)
        return;
    log_write(notice->log, state == BREAKER_OPEN ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
              "circuit breaker of a key changed", LOG_SPAN("provider", notice->provider),
              LOG_SPAN("key", key_name(key)), LOG_TEXT("state", breaker_state_text(state)),
              LOG_TEXT("cause", notice->cause));
    note(notice,
         (struct happening){.kind = EVENT_BREAKER,
                            .key = key_name(key),
                            .state = span_from_text(breaker_state_text(state))},
         0);
}

static void tell_account(const struct notice *notice, const struct key *key, uint64_t until_us)
{
    char text[RFC3339_BYTES];

    note(notice,
         (struct happening){.kind = EVENT_ACCOUNT,
                            .key = key_name(key),
                            .state = until_us ? SPAN("aside") : SPAN("used")},
         until_us);
    if (!until_us) {
        log_write(notice->log, LOG_LEVEL_INFO, "account is in use again",
                  LOG_SPAN("provider", notice->provider), LOG_SPAN("account", key_account(key)),
                  LOG_SPAN("key", key_name(key)), LOG_TEXT("cause", notice->cause));
        return;
    }
    log_write(notice->log, LOG_LEVEL_WARNING, "account set aside",
              LOG_SPAN("provider", notice->provider), LOG_SPAN("account", key_account(key)),
              LOG_SPAN("key", key_name(key)), LOG_TEXT("cause", notice->cause),
              LOG_SPAN("until", spell_until(notice, until_us, text)));
}

static void tell_model(const struct notice *notice, const struct key *key, struct span model,
                       uint64_t until_us)
{
    char text[RFC3339_BYTES];

    log_write(notice->log, LOG_LEVEL_INFO, "model set aside for a key",
              LOG_SPAN("provider", notice->provider), LOG_SPAN("key", key_name(key)),
              LOG_SPAN("model", model), LOG_TEXT("cause", notice->cause),
              LOG_SPAN("until", spell_until(notice, until_us, text)));
}

void notice_key(const struct notice *notice, const struct key *key, struct span model,
                const struct keypool_effect *effect)
{
    if (effect->key_moved)
        tell_key(notice, key);
    if (effect->breaker_moved)
        tell_breaker(notice, key);
    if (effect->account_moved)
        tell_account(notice, key, effect->until_us);
    if (effect->model_moved)
        tell_model(notice, key, model, effect->until_us);
}

void notice_new_key(const struct notice *notice, const struct key *key)
{
    uint64_t until_us;

    log_write(notice->log, LOG_LEVEL_DEBUG, "key was validated",
              LOG_SPAN("provider", notice->provider), LOG_SPAN("key", key_name(key)),
              LOG_TEXT("state", key_health_text(key_health(key, &until_us))));
}

static void tell_endpoint_breaker(const struct notice *notice, struct endpoint *endpoint)
{
    enum breaker_state state = endpoint_health_state(endpoint_health_of(endpoint), notice->now_us);

    if (state == BREAKER_HALF_OPEN ||
        !endpoint_news_take_breaker(endpoint_news_of(endpoint), state))
        return;
    log_write(notice->log, state == BREAKER_OPEN ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
              "circuit breaker of an endpoint changed", LOG_SPAN("provider", notice->provider),
              LOG_SPAN("endpoint", endpoint_url(endpoint)),
              LOG_TEXT("state", breaker_state_text(state)), LOG_TEXT("cause", notice->cause));
    note(notice,
         (struct happening){.kind = EVENT_BREAKER,
                            .endpoint = endpoint_url(endpoint),
                            .state = span_from_text(breaker_state_text(state))},
         0);
}

static void tell_rest(const struct notice *notice, struct endpoint *endpoint)
{
    uint64_t until_us = endpoint_health_rests_until(endpoint_health_of(endpoint));
    bool is_resting = until_us > notice->now_us;
    char text[RFC3339_BYTES];

    if (!endpoint_news_take_rest(endpoint_news_of(endpoint), is_resting))
        return;
    note(notice,
         (struct happening){.kind = EVENT_ENDPOINT,
                            .endpoint = endpoint_url(endpoint),
                            .state = is_resting ? SPAN("rests") : SPAN("used")},
         until_us);
    if (is_resting)
        log_write(notice->log, LOG_LEVEL_WARNING, "endpoint limits our address: it rests",
                  LOG_SPAN("provider", notice->provider),
                  LOG_SPAN("endpoint", endpoint_url(endpoint)), LOG_TEXT("cause", notice->cause),
                  LOG_SPAN("until", spell_until(notice, until_us, text)));
    else
        log_write(notice->log, LOG_LEVEL_INFO, "endpoint rests no longer",
                  LOG_SPAN("provider", notice->provider),
                  LOG_SPAN("endpoint", endpoint_url(endpoint)), LOG_TEXT("cause", notice->cause));
}

static void tell_tls(const struct notice *notice, struct endpoint *endpoint)
{
    const char *reason;

    if (!endpoint_news_take_tls(endpoint_news_of(endpoint), notice->now_us, &reason))
        return;
    note(notice,
         (struct happening){.kind = EVENT_ENDPOINT,
                            .endpoint = endpoint_url(endpoint),
                            .state = reason ? SPAN("tls_fails") : SPAN("tls_works"),
                            .reason = span_from_text(reason)},
         0);
    if (reason)
        log_write(notice->log, LOG_LEVEL_WARNING, "TLS with an endpoint fails",
                  LOG_SPAN("provider", notice->provider),
                  LOG_SPAN("endpoint", endpoint_url(endpoint)), LOG_TEXT("reason", reason));
    else
        log_write(notice->log, LOG_LEVEL_INFO, "TLS with an endpoint works again",
                  LOG_SPAN("provider", notice->provider),
                  LOG_SPAN("endpoint", endpoint_url(endpoint)));
}

void notice_endpoint(const struct notice *notice, struct endpoint *endpoint)
{
    tell_tls(notice, endpoint);
    tell_endpoint_breaker(notice, endpoint);
    tell_rest(notice, endpoint);
}

void notice_no_key(const struct notice *notice, struct provider *provider,
                   const struct plan_target *target, uint64_t until_us)
{
    char text[RFC3339_BYTES];
    struct span until = spell_until(notice, until_us, text);

    if (!shortage_note_refused(provider_shortage(provider), target->model_hash, notice->now_us))
        return;
    log_write(notice->log, LOG_LEVEL_WARNING, "no key is free: a request was refused",
              LOG_SPAN("provider", notice->provider), LOG_SPAN("model", target->model),
              LOG_TEXT("cause", notice->cause), until.len ? LOG_SPAN("until", until) : NULL);
}

void notice_key_found(const struct notice *notice, struct provider *provider,
                      const struct plan_target *target)
{
    if (!shortage_note_found(provider_shortage(provider), target->model_hash, notice->now_us))
        return;
    log_write(notice->log, LOG_LEVEL_INFO, "a key is free again",
              LOG_SPAN("provider", notice->provider), LOG_SPAN("model", target->model));
}

struct notice notice_of(const struct exchange *x, const struct snapshot_provider *provider,
                        const char *cause)
{
    return (struct notice){
        .log = x->host->registry->log,
        .journal = x->host->registry->journal,
        .provider = provider->conf->name,
        .cause = cause,
        .now_us = loop_now_us(exchange_loop(x)),
        .wall_us = loop_wall_us(exchange_loop(x)),
        .was_used = true, /* a key that exchanges hold had been let in */
    };
}

/* What is told of a rotation: to the log, to the stream of events, and as alerts. */
#include "server/rotor_inner.h"

#include "server/rotation_alerts.h"

void rotor_alert(struct rotor *rotor, struct alert *alert)
{
    alert->provider = provider_name(rotor->provider);
    alert->wall_us = loop_wall_us(rotor->options.loop);
    rotor->options.on_alert(rotor->options.owner, alert);
}

void rotor_on_news(void *owner, const struct rotation_news *news)
{
    struct rotor *rotor = owner;
    const struct life_key *key = news->key;
    struct alert alert;

    log_write(rotor->options.log,
              key->step == LIFE_ROLLED_BACK ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "key rotation",
              LOG_SPAN("provider", provider_name(rotor->provider)), LOG_TEXT("key", key->name),
              LOG_TEXT("step", life_step_text(key->step)), LOG_UINT("rotation", key->rotation),
              LOG_TEXT("trigger", life_trigger_text(key->trigger)),
              LOG_TEXT("replaces", key->replaces), LOG_TEXT("reason", key->reason));
    if (rotor->options.on_news)
        rotor->options.on_news(rotor->options.owner, provider_name(rotor->provider), news);
    if (rotation_alert_of_news(rotation_life(rotor->rotation), news, &alert))
        rotor_alert(rotor, &alert);
}

void rotor_on_trouble(void *owner, enum rotation_side side, const char *why)
{
    struct rotor *rotor = owner;
    struct alert alert = {
        .kind = side == ROTATION_STORE ? ALERT_STORE_UNREACHABLE : ALERT_ISSUER_UNREACHABLE,
        .is_over = !why,
        .reason = span_from_text(why ? why : ""),
    };

    if (why)
        log_write(rotor->options.log, LOG_LEVEL_WARNING, "key rotation cannot go on",
                  LOG_SPAN("provider", provider_name(rotor->provider)), LOG_TEXT("reason", why));
    else
        log_write(rotor->options.log, LOG_LEVEL_INFO, "key rotation goes on",
                  LOG_SPAN("provider", provider_name(rotor->provider)));
    rotor_alert(rotor, &alert);
}

void rotor_tell_taken(struct rotor *rotor, struct span name, const char *why)
{
    log_write(rotor->options.log, LOG_LEVEL_INFO, "a changed secret is taken without a proof",
              LOG_SPAN("provider", provider_name(rotor->provider)), LOG_SPAN("key", name),
              LOG_TEXT("reason", why));
}

void rotor_tell_leak(struct rotor *rotor, struct span name)
{
    struct alert alerts[ROTATION_LEAK_ALERTS];
    size_t count = rotation_alerts_of_leak(rotation_life(rotor->rotation), name, alerts);

    for (size_t i = 0; i < count; i++)
        rotor_alert(rotor, &alerts[i]);
}

#include "server/usage_watch.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/datetime.h"
#include "base/err.h"
#include "rotation/usage_ask.h"
#include "server/used_keys.h"

enum { HOUR_S = 3600, MINUTE_S = 60, LOOKS_A_SPAN = 60, DOUBLINGS_MAX = 8 };

#define LAG_US (15 * 60 * US_PER_SEC) /* as src/tables/settings.def has it */

static const struct unexplained_rules rules = {
    .at_least = {.requests = USAGE_REQUESTS_AT_LEAST, .tokens = USAGE_TOKENS_AT_LEAST},
    .requests_above = USAGE_REQUESTS_ABOVE,
    .tokens_above = USAGE_TOKENS_ABOVE,
};

/* A provider that is asked. */
struct asked {
    struct list link;
    struct usage_watch *watch;
    const struct snapshot_provider *row; /* NULL: it is asked no more */
    struct used_keys keys;
    struct usage_ask ask;
    struct loop_timer timer;
    uint64_t asking_end, asked_end; /* spans before it: are being asked for; were told */
    uint64_t not_before_us;
    uint32_t failures;
    char trouble[FETCH_WORDS_BYTES]; /* as the log has it; empty: none */
    size_t len;
    char name[];
};

struct usage_watch {
    struct usage_watch_options options;
    struct list all;
};

static const struct conf_issuer *issuer_of(const struct snapshot_provider *row)
{
    return row->conf->rotation ? row->conf->rotation->issuer : NULL;
}

/* 0: it is not asked. */
static uint32_t span_of_provider(const struct snapshot_provider *row)
{
    const struct conf_issuer *issuer = issuer_of(row);

    if (!issuer || issuer->kind != CONF_ISSUER_OPENAI)
        return 0;
    switch (issuer->usage ? (enum conf_usage_span)issuer->usage->per : CONF_USAGE_HOUR) {
    case CONF_USAGE_HOUR:
        return HOUR_S;
    case CONF_USAGE_MINUTE:
        return MINUTE_S;
    case CONF_USAGE_NEVER:
        break;
    }
    return 0;
}

static uint64_t lag_us(const struct snapshot_provider *row)
{
    const struct conf_issuer *issuer = issuer_of(row);

    return issuer->usage ? issuer->usage->lag_us : LAG_US;
}

static uint64_t look_us(const struct asked *asked)
{
    return asked->keys.span_s / LOOKS_A_SPAN * US_PER_SEC;
}

/* ---- what came of it ---- */

static void on_gap(void *owner, struct span name, const struct use_gap *gap)
{
    struct asked *asked = owner;
    const struct usage_watch_options *options = &asked->watch->options;
    char since[RFC3339_BYTES], reason[ALERT_REASON_BYTES];
    struct alert alert;

    datetime_write_rfc3339(gap->span * asked->keys.span_s * US_PER_SEC, since);
    snprintf(reason, sizeof(reason),
             "%llu tokens in %llu requests at the provider, %llu in %llu here, in the %s from "
             "%.19sZ on",
             (unsigned long long)gap->theirs.tokens, (unsigned long long)gap->theirs.requests,
             (unsigned long long)gap->ours.tokens, (unsigned long long)gap->ours.requests,
             asked->keys.span_s == HOUR_S ? "hour" : "minute", since);
    alert = (struct alert){.kind = ALERT_USAGE_UNEXPLAINED,
                           .provider = asked->row->conf->name,
                           .key = name,
                           .reason = span_from_text(reason),
                           .wall_us = loop_wall_us(options->loop)};
    options->on_alert(options->owner, &alert);
}

static void fail(struct asked *asked, const char *why, uint64_t retry_after_us)
{
    const struct usage_watch_options *options = &asked->watch->options;
    uint64_t delay_us = look_us(asked) << asked->failures;

    if (asked->failures < DOUBLINGS_MAX)
        asked->failures++;
    if (delay_us < retry_after_us)
        delay_us = retry_after_us;
    asked->not_before_us = loop_now_us(options->loop) + delay_us;
    if (!strcmp(asked->trouble, why))
        return;
    snprintf(asked->trouble, sizeof(asked->trouble), "%s", why);
    log_write(options->log, LOG_LEVEL_WARNING, "the provider does not tell how its keys are used",
              LOG_SPAN("provider", asked->row->conf->name), LOG_TEXT("reason", why));
}

static void on_done(struct usage_ask *ask, int err, const char *why, uint64_t retry_after_us)
{
    struct asked *asked = container_of(ask, struct asked, ask);

    if (err) {
        fail(asked, why, retry_after_us);
        return;
    }
    asked->failures = 0;
    asked->trouble[0] = '\0';
    asked->asked_end = asked->asking_end;
    used_keys_compare(&asked->keys, &rules, asked->asked_end, on_gap, asked);
}

/* ---- asking ---- */

static void ask(struct asked *asked, uint64_t span, uint64_t end)
{
    uint64_t first = span < UNEXPLAINED_SPANS ? 0 : span - (UNEXPLAINED_SPANS - 1);
    const struct usage_watch_options *options = &asked->watch->options;
    const struct conf_issuer *issuer = issuer_of(asked->row);
    const struct usage_question question = {
        .fetcher = options->fetcher,
        .secrets = options->secrets,
        .openai = {issuer->url, issuer->project, issuer->admin_key},
        .timeout_us = issuer->timeout_us,
        .start_s = first * asked->keys.span_s,
        .span_s = asked->keys.span_s,
        .ops = &used_keys_ops,
    };
    int err;

    asked->asking_end = end;
    used_keys_forget(&asked->keys);
    err = usage_ask_begin(&asked->ask, &question);
    if (err)
        fail(asked, err_text(err), 0);
}

static void on_timer(struct loop_timer *timer)
{
    struct asked *asked = container_of(timer, struct asked, timer);
    const struct usage_watch_options *options = &asked->watch->options;
    struct rotation *rotation = options->rotation(options->owner, asked->row->conf->name);
    uint64_t now_us = loop_now_us(options->loop), wall_us = loop_wall_us(options->loop);
    uint64_t span_us = asked->keys.span_s * US_PER_SEC;
    uint64_t lag = lag_us(asked->row), end = wall_us > lag ? (wall_us - lag) / span_us : 0;

    used_keys_look(&asked->keys, asked->row->conf, rotation ? rotation_life(rotation) : NULL,
                   provider_keys(asked->row->provider), now_us, wall_us);
    if (!asked->ask.work && !used_keys_is_empty(&asked->keys) && end > asked->asked_end &&
        now_us >= asked->not_before_us)
        ask(asked, wall_us / span_us, end);
    /* Reserved: it cannot fail. */
    (void)loop_timer_set(timer, now_us + look_us(asked));
}

/* ---- who is asked ---- */

static void drop(struct asked *asked)
{
    usage_ask_cancel(&asked->ask);
    used_keys_fini(&asked->keys);
    loop_timer_fini(&asked->timer);
    list_remove(&asked->link);
    mem_free(asked);
}

static struct asked *find(struct usage_watch *watch, struct span name, uint32_t span_s)
{
    for (struct list *at = watch->all.next; at != &watch->all; at = at->next) {
        struct asked *asked = container_of(at, struct asked, link);

        if (asked->keys.span_s == span_s && span_is_equal(span_of(asked->name, asked->len), name))
            return asked;
    }
    return NULL;
}

static struct asked *add(struct usage_watch *watch, struct span name, uint32_t span_s)
{
    struct loop *loop = watch->options.loop;
    struct asked *asked = mem_zalloc(1, sizeof(*asked) + name.len);

    if (!asked)
        return NULL;
    asked->watch = watch;
    asked->len = name.len;
    memcpy(asked->name, name.ptr, name.len);
    used_keys_init(&asked->keys, span_s);
    asked->ask.owner = &asked->keys;
    asked->ask.on_done = on_done;
    list_push_back(&watch->all, &asked->link);
    loop_timer_init(&asked->timer, loop, on_timer);
    if (loop_timer_reserve(&asked->timer)) {
        drop(asked);
        return NULL;
    }
    (void)loop_timer_set(&asked->timer, loop_now_us(loop) + look_us(asked));
    return asked;
}

/* What is asked no more is left without a row. */
static void follow(struct usage_watch *watch, const struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->provider_count; i++) {
        const struct snapshot_provider *row = &snapshot->providers[i];
        uint32_t span_s = span_of_provider(row);
        struct asked *asked = span_s ? find(watch, row->conf->name, span_s) : NULL;

        if (!asked && span_s)
            asked = add(watch, row->conf->name, span_s);
        if (asked)
            asked->row = row;
    }
}

void usage_watch_set(struct usage_watch *watch, const struct snapshot *snapshot)
{
    struct list *at;

    for (at = watch->all.next; at != &watch->all; at = at->next)
        container_of(at, struct asked, link)->row = NULL;
    follow(watch, snapshot);
    at = watch->all.next;
    while (at != &watch->all) {
        struct asked *asked = container_of(at, struct asked, link);

        at = at->next;
        if (!asked->row)
            drop(asked);
    }
}

/* ---- its life ---- */

struct usage_watch *usage_watch_new(const struct usage_watch_options *options)
{
    struct usage_watch *watch = mem_zalloc(1, sizeof(*watch));

    if (!watch)
        return NULL;
    watch->options = *options;
    list_init(&watch->all);
    return watch;
}

void usage_watch_free(struct usage_watch **place)
{
    struct usage_watch *watch = *place;

    *place = NULL;
    if (!watch)
        return;
    while (!list_is_empty(&watch->all))
        drop(container_of(watch->all.next, struct asked, link));
    mem_free(watch);
}

#include "alerts/webhook.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"

enum {
    URL_MAX_BYTES = SECRET_MAX_BYTES + 1,
    WORD_BYTES = 64, /* of an answer, kept: Slack's own words are shorter */
    WHY_BYTES = 128,
    LONGEST_DOUBLING = 9,
};

#define SPACING_US   US_PER_SEC
#define PAUSE_US     US_PER_SEC
#define MAX_PAUSE_US (300 * US_PER_SEC)
#define PATIENCE_US  (3600 * US_PER_SEC)
#define CONNECT_US   (5 * US_PER_SEC)
#define TOTAL_US     (15 * US_PER_SEC)

struct waiting_message {
    struct alert_message *message;
    uint64_t since_us;
};

struct webhook {
    const struct webhook_surroundings *surroundings;
    struct secret *url;
    enum alert_format format;
    char *ca_file;
    unsigned number;
    uint32_t series;

    struct waiting_message queue[WEBHOOK_QUEUE_MAX]; /* the oldest first */
    size_t count;
    uint64_t missed; /* alerts that it was not told of, which the next message tells */

    /* The first of the queue. */
    struct fetch fetch; /* while it is under way: */
    struct buf body;
    uint64_t told_missed; /* in it */
    char word[WORD_BYTES];
    size_t word_len;

    struct loop_timer timer;
    uint64_t not_before_us;
    uint32_t tries; /* that failed, since one went well */
    struct rand rand;
    char why[WHY_BYTES]; /* of the last one; empty: it went well */
};

static uint64_t now_of(const struct webhook *webhook)
{
    return loop_now_us(webhook->surroundings->loop);
}

static bool is_under_way(const struct webhook *webhook)
{
    return webhook->fetch.fetcher != NULL;
}

/* ---- the line ---- */

static void count(struct webhook *webhook, enum metric_delivery result, uint64_t alerts)
{
    const struct webhook_surroundings *surroundings = webhook->surroundings;

    if (surroundings->schema)
        metrics_add(surroundings->metrics, webhook->series + result, alerts);
}

/* Takes one out, with what came of it. */
static void settle(struct webhook *webhook, size_t at, enum metric_delivery result)
{
    struct waiting_message *place = &webhook->queue[at];
    uint64_t alerts = place->message->total;

    if (result != METRIC_DELIVERY_SENT)
        webhook->missed += alerts;
    count(webhook, result, alerts);
    alert_message_unref(&place->message);
    webhook->count--;
    memmove(place, place + 1, (webhook->count - at) * sizeof(*place));
}

/* ---- what is said of it ---- */

/* Slack answers with one word, such as no_service. Others may say anything, our own URL too: what
 * is no such word, or stands in the URL, is not repeated. */
static void tell_refusal(const struct webhook *webhook, int status, char *why)
{
    struct span word = span_trim(span_of(webhook->word, webhook->word_len));
    bool is_word = word.len > 0 && word.len < WORD_BYTES;

    for (size_t i = 0; i < word.len && is_word; i++)
        is_word = (word.ptr[i] >= 'a' && word.ptr[i] <= 'z') || word.ptr[i] == '_';
    if (is_word && span_find(secret_reveal(webhook->url), word) == SIZE_MAX)
        snprintf(why, WHY_BYTES, "HTTP %d: %.*s", status, SPAN_ARG(word));
    else
        snprintf(why, WHY_BYTES, "HTTP %d", status);
}

static void log_failure(const struct webhook *webhook, const char *what, const char *why)
{
    log_write(webhook->surroundings->log, LOG_LEVEL_WARNING, what,
              LOG_UINT("webhook", webhook->number), LOG_TEXT("why", why));
}

static void give_up(struct webhook *webhook, const char *why)
{
    log_write(webhook->surroundings->log, LOG_LEVEL_ERROR, "alerts given up: a webhook failed",
              LOG_UINT("webhook", webhook->number), LOG_TEXT("why", why),
              LOG_UINT("alerts", webhook->queue[0].message->total));
    settle(webhook, 0, METRIC_DELIVERY_FAILED);
}

/* ---- what came of it ---- */

static void pump(struct webhook *webhook);

static void succeed(struct webhook *webhook)
{
    if (webhook->why[0])
        log_write(webhook->surroundings->log, LOG_LEVEL_INFO, "a webhook takes alerts again",
                  LOG_UINT("webhook", webhook->number));
    webhook->why[0] = '\0';
    webhook->tries = 0;
    webhook->missed -= webhook->told_missed;
    webhook->not_before_us = now_of(webhook) + SPACING_US;
    settle(webhook, 0, METRIC_DELIVERY_SENT);
}

/* It is tried again; only a reason that is new is worth a line. */
static void postpone(struct webhook *webhook, const char *why, uint64_t retry_after_us)
{
    uint64_t doublings = webhook->tries < LONGEST_DOUBLING ? webhook->tries : LONGEST_DOUBLING;
    uint64_t pause_us = PAUSE_US << doublings;

    pause_us = pause_us < MAX_PAUSE_US ? pause_us : MAX_PAUSE_US;
    pause_us = pause_us / 2 + rand_below(&webhook->rand, pause_us / 2 + 1);
    pause_us = pause_us > SPACING_US ? pause_us : SPACING_US;
    retry_after_us = retry_after_us < PATIENCE_US ? retry_after_us : PATIENCE_US;
    webhook->not_before_us =
        now_of(webhook) + (pause_us > retry_after_us ? pause_us : retry_after_us);
    if (webhook->tries < UINT32_MAX)
        webhook->tries++;
    if (strcmp(webhook->why, why) != 0)
        log_failure(webhook, "a webhook does not take alerts; they are tried again", why);
    snprintf(webhook->why, sizeof(webhook->why), "%s", why);
}

static bool may_pass(int status)
{
    return status == 408 || status == 429 || status >= 500;
}

static void on_fetched(struct fetch *fetch, const struct fetch_answer *answer)
{
    struct webhook *webhook = container_of(fetch, struct webhook, fetch);
    char why[WHY_BYTES];

    buf_fini(&webhook->body);
    if (answer->err) {
        /* Not libcurl's words, which may name the host. */
        postpone(webhook, err_text(answer->err), 0);
    } else if (answer->status >= 200 && answer->status <= 299) {
        succeed(webhook);
    } else {
        tell_refusal(webhook, answer->status, why);
        if (may_pass(answer->status)) {
            postpone(webhook, why, answer->retry_after_us);
        } else {
            /* Nothing tells that it would not take another message. */
            webhook->not_before_us = now_of(webhook) + SPACING_US;
            webhook->tries = 0;
            snprintf(webhook->why, sizeof(webhook->why), "%s", why);
            give_up(webhook, why);
        }
    }
    pump(webhook);
}

/* The beginning is enough; the rest of a page that somebody answers with is read and dropped. */
static int on_bytes(struct fetch *fetch, struct span bytes)
{
    struct webhook *webhook = container_of(fetch, struct webhook, fetch);
    size_t room = sizeof(webhook->word) - webhook->word_len;
    size_t len = bytes.len < room ? bytes.len : room;

    memcpy(webhook->word + webhook->word_len, bytes.ptr, len);
    webhook->word_len += len;
    return 0;
}

/* ---- sending ---- */

static int write_body(struct webhook *webhook)
{
    const struct webhook_surroundings *surroundings = webhook->surroundings;
    const struct alert_sender sender = {.instance = span_from_text(surroundings->instance),
                                        .wall_us = loop_wall_us(surroundings->loop),
                                        .missed = webhook->missed};

    buf_init(&webhook->body, ALERT_PAYLOAD_MAX_BYTES);
    webhook->told_missed = webhook->missed;
    switch (webhook->format) {
    case ALERT_FORMAT_SLACK:
        return alert_write_slack(&webhook->body, webhook->queue[0].message, &sender);
    case ALERT_FORMAT_JSON:
        return alert_write_json(&webhook->body, webhook->queue[0].message, &sender);
    }
    return ERR_UNSUPPORTED;
}

static int send(struct webhook *webhook)
{
    static const char *const fields[] = {"Content-Type: application/json", NULL};
    struct buf url;
    int err = write_body(webhook);

    buf_init(&url, URL_MAX_BYTES);
    url.is_secret = true;
    if (!err)
        err = buf_append_span(&url, secret_reveal(webhook->url));
    if (!err)
        err = buf_append_byte(&url, '\0');
    if (!err) {
        const struct fetch_ask ask = {.url = url.data,
                                      .fields = fields,
                                      .method = "POST",
                                      .body = buf_span(&webhook->body),
                                      .ca_file = webhook->ca_file,
                                      .connect_us = CONNECT_US,
                                      .total_us = TOTAL_US};

        webhook->word_len = 0;
        err = fetch_begin(&webhook->fetch, webhook->surroundings->fetcher, &ask);
    }
    buf_fini(&url);
    if (err)
        buf_fini(&webhook->body);
    return err;
}

/* Does what is to be done now. Ends: each round sends, waits, or shortens the line. */
static void pump(struct webhook *webhook)
{
    uint64_t now_us = now_of(webhook);
    int err;

    while (webhook->count && now_us >= webhook->queue[0].since_us + PATIENCE_US &&
           !is_under_way(webhook))
        give_up(webhook, webhook->why[0] ? webhook->why : "it took nothing for an hour");
    if (!webhook->count || is_under_way(webhook))
        return;
    if (now_us >= webhook->not_before_us) {
        err = send(webhook);
        if (!err)
            return;
        postpone(webhook, err_text(err), 0);
    }
    /* Reserved: it cannot fail. */
    (void)loop_timer_set(&webhook->timer, webhook->not_before_us);
}

static void on_timer(struct loop_timer *timer)
{
    pump(container_of(timer, struct webhook, timer));
}

/* ---- the public calls ---- */

int webhook_new(const struct webhook_surroundings *surroundings,
                const struct webhook_settings *settings, unsigned number,
                struct webhook **ret_webhook)
{
    struct webhook *webhook = mem_zalloc(1, sizeof(*webhook));
    int err = 0;

    if (!webhook)
        return ERR_NOMEM;
    webhook->surroundings = surroundings;
    webhook->url = secret_ref(settings->url);
    webhook->format = settings->format;
    webhook->fetch.on_done = on_fetched;
    webhook->fetch.on_bytes = on_bytes;
    rand_init_from_system(&webhook->rand);
    loop_timer_init(&webhook->timer, surroundings->loop, on_timer);
    if (settings->ca_file) {
        webhook->ca_file = mem_strdup(settings->ca_file, strlen(settings->ca_file));
        err = webhook->ca_file ? 0 : ERR_NOMEM;
    }
    if (!err)
        err = loop_timer_reserve(&webhook->timer);
    if (err) {
        webhook_free(&webhook);
        return err;
    }
    webhook_set_number(webhook, number);
    *ret_webhook = webhook;
    return 0;
}

void webhook_free(struct webhook **webhook)
{
    struct webhook *w = *webhook;

    *webhook = NULL;
    if (!w)
        return;
    fetch_cancel(&w->fetch);
    buf_fini(&w->body);
    loop_timer_fini(&w->timer);
    for (size_t i = 0; i < w->count; i++)
        alert_message_unref(&w->queue[i].message);
    secret_unref(&w->url);
    mem_free(w->ca_file);
    mem_free(w);
}

bool webhook_is_of(const struct webhook *webhook, const struct webhook_settings *settings)
{
    return webhook->format == settings->format &&
           secret_is_equal(webhook->url, secret_reveal(settings->url)) &&
           span_is_equal(span_from_text(webhook->ca_file), span_from_text(settings->ca_file));
}

void webhook_set_number(struct webhook *webhook, unsigned number)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%u", number);
    struct span value = span_of(text, (size_t)len);

    webhook->number = number;
    if (webhook->surroundings->schema)
        webhook->series = metrics_series(webhook->surroundings->schema, METRIC_ALERTS, &value);
}

void webhook_push(struct webhook *webhook, struct alert_message *message)
{
    /* The oldest goes; never the one that is under way, which may have been told already. */
    if (webhook->count == WEBHOOK_QUEUE_MAX)
        settle(webhook, is_under_way(webhook) ? 1 : 0, METRIC_DELIVERY_DROPPED);
    webhook->queue[webhook->count++] =
        (struct waiting_message){alert_message_ref(message), now_of(webhook)};
    pump(webhook);
}

bool webhook_is_idle(const struct webhook *webhook)
{
    return webhook->count == 0;
}

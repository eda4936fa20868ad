#include "server/gateway_store.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/gateway_inner.h"
#include "server/keeper.h"
#include "server/mirror.h"
#include "server/rotor.h"
#include "store/audit.h"
#include "store/rotations.h"
#include "store/totals.h"
#include "store/uses.h"

#define START_WAIT_US  (2 * US_PER_SEC)
#define FIRST_PRUNE_US (600 * US_PER_SEC)
#define DAY_US         (86400 * US_PER_SEC)

/* How long what is over is told of. */
enum { KEPT_DAYS = 90, KEPT_DAYS_OF_MONTHS = 800 };

struct archive {
    struct gateway *gateway;
    struct store *store;
    struct keeper *keeper;
    struct loop_timer prune;
    struct store_ask pruned;
    bool is_starting, is_read;
};

/* ---- how it is ---- */

/* Whoever is to be woken because of the store is told here. */
static void on_health(void *owner, const struct store_health *health)
{
    struct archive *archive = owner;
    struct log *log = archive->gateway->log;
    const struct alert alert = {.kind = ALERT_STATE_UNWRITABLE,
                                .is_over = !health->err,
                                .reason = span_from_text(health->err ? health->why : NULL),
                                .wall_us = loop_wall_us(archive->gateway->loop)};

    if (archive->is_starting)
        return; /* it is told at the end of the start, in other words */
    gateway_alert(archive->gateway, &alert);
    if (!health->err)
        log_write(log, LOG_LEVEL_INFO, "store works again");
    else if (health->is_keeping)
        log_write(log, LOG_LEVEL_ERROR, "store cannot be written: what is new is kept in memory",
                  LOG_TEXT("reason", health->why));
    else
        log_write(log, LOG_LEVEL_ERROR, "store cannot be used: what is new is lost at a restart",
                  LOG_TEXT("reason", health->why));
}

static void on_read(void *owner, int err, size_t count)
{
    struct archive *archive = owner;

    if (err)
        return; /* as the health says */
    archive->is_read = true;
    log_write(archive->gateway->log, LOG_LEVEL_INFO, "store opened",
              LOG_SPAN("file", archive->gateway->snapshot->config->store.path),
              LOG_UINT("keys", count));
}

/* ---- what the keeper asks ---- */

static struct keypool *pool_at(void *owner, size_t at)
{
    const struct archive *archive = owner;
    const struct snapshot *snapshot = archive->gateway->snapshot;

    return at < snapshot->provider_count ? provider_keys(snapshot->providers[at].provider) : NULL;
}

static bool rotation_says(void *owner, struct keypool *pool, const uint8_t *identity,
                          struct keeper_word *ret_word)
{
    const struct archive *archive = owner;
    const struct rotor *rotor = gateway_find_rotor(archive->gateway, keypool_provider(pool));

    return rotor && rotor_says(rotor, identity, &ret_word->wish, &ret_word->weight_milli);
}

static void on_effect(void *owner, struct keypool *pool, const struct keypool_effect *effect)
{
    const struct archive *archive = owner;
    const struct snapshot *snapshot = archive->gateway->snapshot;

    /* At the start nobody waits, and all keys are about to be looked at. */
    for (size_t i = 0; archive->gateway->prober && i < snapshot->provider_count; i++) {
        struct provider *provider = snapshot->providers[i].provider;

        if (provider_keys(provider) == pool)
            gateway_follow(archive->gateway, provider, effect);
    }
}

/* ---- what is over goes ---- */

/* Reserved: it cannot fail. */
static void prune_in(struct archive *archive, uint64_t us)
{
    (void)loop_timer_set(&archive->prune, loop_now_us(archive->gateway->loop) + us);
}

static void tell_pruned(const struct archive *archive, size_t lines)
{
    char detail[96];
    struct audit_line line = {
        .at_wall_us = loop_wall_us(archive->gateway->loop),
        .actor = SPAN("bellwether"),
        .action = SPAN("prune"),
        .result = SPAN("done"),
    };

    snprintf(detail, sizeof(detail), "%zu lines of the audit trail were older than %d days", lines,
             KEPT_DAYS);
    line.detail = span_from_text(detail);
    (void)audit_add(archive->store, NULL, &line);
}

static void on_pruned(struct store_ask *ask, const struct store_answer *answer)
{
    struct archive *archive = container_of(ask, struct archive, pruned);

    if (!answer->err && answer->count)
        tell_pruned(archive, answer->count);
}

static void on_prune(struct loop_timer *timer)
{
    struct archive *archive = container_of(timer, struct archive, prune);
    uint64_t wall_us = loop_wall_us(archive->gateway->loop);
    uint64_t before_us = wall_us > KEPT_DAYS * DAY_US ? wall_us - KEPT_DAYS * DAY_US : 0;

    prune_in(archive, DAY_US);
    if (!archive->pruned.op)
        (void)audit_prune(archive->store, &archive->pruned, before_us);
    (void)rotations_prune(archive->store, NULL, before_us);
    (void)totals_prune(archive->store, NULL, before_us);
    (void)uses_prune(archive->store, NULL, SPAN("day"), before_us);
    (void)uses_prune(archive->store, NULL, SPAN("month"),
                     wall_us > KEPT_DAYS_OF_MONTHS * DAY_US ? wall_us - KEPT_DAYS_OF_MONTHS * DAY_US
                                                            : 0);
    (void)keeper_prune(archive->keeper, before_us);
}

/* ---- opening ---- */

/* Nothing starts on a file that would have to be overwritten, nor beside one that was asked for. */
static bool is_fatal(const struct conf_store *conf, int err)
{
    if (err == ERR_EXISTS || err == ERR_UNSUPPORTED || err == ERR_SYNTAX)
        return true;
    /* These pass: a disk that is full, a predecessor that has not ended yet. */
    if (err == ERR_FULL || err == ERR_AGAIN || err == ERR_NOMEM)
        return false;
    return conf->is_given;
}

static int judge(struct archive *archive, bool is_answered, char *ret_error)
{
    const struct conf_store *conf = &archive->gateway->snapshot->config->store;
    const struct store_health *health = store_health(archive->store);
    struct log *log = archive->gateway->log;

    if (archive->is_read)
        return 0;
    if (health->err && is_fatal(conf, health->err)) {
        snprintf(ret_error, GATEWAY_ERROR_BYTES, "the store: %s", health->why);
        return health->err;
    }
    if (health->err == ERR_AGAIN)
        log_write(log, LOG_LEVEL_ERROR,
                  "store is in use by another process: until that one ends, what is known of keys "
                  "is not read, and nothing outlives a restart",
                  LOG_SPAN("file", conf->path), LOG_TEXT("reason", health->why));
    else if (health->err)
        log_write(log, LOG_LEVEL_WARNING,
                  "nothing outlives a restart: states of keys, orders, past rotations and the "
                  "audit trail are kept in memory alone",
                  LOG_SPAN("file", conf->path), LOG_TEXT("reason", health->why));
    else if (!is_answered)
        log_write(log, LOG_LEVEL_WARNING,
                  "store does not answer: the start goes on, and what is known of keys is given "
                  "back to them as soon as it is read",
                  LOG_SPAN("file", conf->path));
    return 0;
}

static int make(struct archive *archive)
{
    struct gateway *gateway = archive->gateway;
    const struct store_options options = {.loop = gateway->loop,
                                          .path = gateway->snapshot->config->store.path.ptr,
                                          .on_health = on_health,
                                          .owner = archive};
    struct keeper_options keeper = {.loop = gateway->loop,
                                    .pool = pool_at,
                                    .rotation_says = rotation_says,
                                    .on_effect = on_effect,
                                    .on_read = on_read,
                                    .owner = archive};

    archive->pruned.on_done = on_pruned;
    loop_timer_init(&archive->prune, gateway->loop, on_prune);
    archive->store = store_new(&options);
    keeper.store = archive->store;
    if (!archive->store || loop_timer_reserve(&archive->prune))
        return ERR_NOMEM;
    archive->keeper = keeper_new(&keeper);
    return archive->keeper ? 0 : ERR_NOMEM;
}

int gateway_open_store(struct gateway *gateway, char *ret_error)
{
    struct archive *archive;
    bool is_answered;
    int err;

    if (!gateway->snapshot->config->store.path.len) {
        log_write(gateway->log, LOG_LEVEL_INFO, "store: none: nothing outlives a restart");
        return 0;
    }
    archive = mem_zalloc(1, sizeof(*archive));
    if (!archive)
        return ERR_NOMEM;
    gateway->archive = archive;
    archive->gateway = gateway;
    archive->is_starting = true;
    err = make(archive);
    if (err)
        return err; /* gateway_close_store follows */
    is_answered = store_await(archive->store, START_WAIT_US);
    archive->is_starting = false;
    prune_in(archive, FIRST_PRUNE_US);
    return judge(archive, is_answered, ret_error);
}

void gateway_end_store(struct gateway *gateway)
{
    if (gateway->archive && gateway->archive->keeper)
        keeper_end(gateway->archive->keeper);
}

void gateway_close_store(struct gateway *gateway)
{
    struct archive *archive = gateway->archive;

    gateway->archive = NULL;
    if (!archive)
        return;
    loop_timer_fini(&archive->prune);
    keeper_free(&archive->keeper);
    store_cancel(&archive->pruned);
    store_free(&archive->store);
    mem_free(archive);
}

/* ---- what happens ---- */

void gateway_look_at_kept_keys(struct gateway *gateway)
{
    if (gateway->archive)
        keeper_look(gateway->archive->keeper);
}

void gateway_mirror_rotation(struct gateway *gateway, struct span provider,
                             const struct rotation_news *news)
{
    const struct rotation *rotation = gateway_rotation(gateway, provider);

    if (gateway->archive && rotation)
        mirror_news(gateway->archive->store, provider, rotation_life(rotation), news);
}

struct store *gateway_store(void *owner)
{
    const struct gateway *gateway = owner;

    return gateway->archive ? gateway->archive->store : NULL;
}

void gateway_note_order(void *owner, const struct admin_order_note *note)
{
    struct gateway *gateway = owner;
    const struct audit_line line = {
        .at_wall_us = loop_wall_us(gateway->loop),
        .actor = SPAN("admin"),
        .origin = note->from,
        .action = note->action,
        .provider = note->provider,
        .key = note->provider.len ? note->key : span_of(NULL, 0),
        .result = note->is_done ? SPAN("done") : SPAN("refused"),
        .detail = note->detail,
    };

    if (!gateway->archive)
        return;
    (void)audit_add(gateway->archive->store, NULL, &line);
    if (note->is_done)
        keeper_hurry(gateway->archive->keeper);
}

#include "server/gateway_inner.h"

#include "base/alloc.h"
#include "base/err.h"
#include "exchange/notice.h"
#include "server/gateway_store.h"

/* --- messages from workers --- */

/* A provider that wants to be probed. */
struct note {
    struct loop_mail mail;
    struct gateway *gateway;
    struct provider *provider;
};

static void on_note(struct loop_mail *mail)
{
    struct note *note = container_of(mail, struct note, mail);

    if (note->gateway->prober)
        prober_kick(note->gateway->prober, note->provider);
    gateway_look_at_tokens(note->gateway, note->provider);
    gateway_hurry_rotation(note->gateway, note->provider);
    provider_unref(&note->provider);
    mem_free(note);
}

static void worker_wants_probe(void *owner, struct provider *provider)
{
    struct gateway *gateway = owner;
    struct note *note = mem_zalloc(1, sizeof(*note));

    if (!note)
        return; /* the next probe's time comes all the same */
    note->mail.on_arrival = on_note;
    note->gateway = gateway;
    note->provider = provider_ref(provider);
    loop_post(gateway->loop, &note->mail);
}

static void worker_calls(void *owner, uint32_t worker)
{
    struct gateway *gateway = owner;

    worker_look(gateway->workers[worker]);
}

static void on_drained(struct loop_mail *mail)
{
    struct gateway *gateway = container_of(mail, struct worker_news, drained)->gateway;

    if (++gateway->drained == gateway->worker_count)
        gateway_end(gateway);
}

static void worker_is_drained(void *owner, uint32_t index)
{
    struct gateway *gateway = owner;

    loop_post(gateway->loop, &gateway->news[index].drained);
}

static void on_prepared(struct loop_mail *mail)
{
    struct worker_news *news = container_of(mail, struct worker_news, prepared);

    gateway_note_prepared(news->gateway, news->prepare_err);
}

static void worker_is_prepared(void *owner, uint32_t index, int err)
{
    struct gateway *gateway = owner;

    gateway->news[index].prepare_err = err;
    loop_post(gateway->loop, &gateway->news[index].prepared);
}

static void on_committed(struct loop_mail *mail)
{
    gateway_note_committed(container_of(mail, struct worker_news, committed)->gateway);
}

static void worker_has_committed(void *owner, uint32_t index)
{
    struct gateway *gateway = owner;

    loop_post(gateway->loop, &gateway->news[index].committed);
}

static void on_issued(struct loop_mail *mail)
{
    gateway_note_issued(container_of(mail, struct worker_news, issued)->gateway);
}

static void worker_has_issued(void *owner, uint32_t index)
{
    struct gateway *gateway = owner;

    loop_post(gateway->loop, &gateway->news[index].issued);
}

int gateway_make_news(struct gateway *gateway)
{
    gateway->news = mem_zalloc(gateway->worker_count, sizeof(*gateway->news));
    if (!gateway->news)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < gateway->worker_count; i++) {
        gateway->news[i].gateway = gateway;
        gateway->news[i].prepared.on_arrival = on_prepared;
        gateway->news[i].committed.on_arrival = on_committed;
        gateway->news[i].issued.on_arrival = on_issued;
        gateway->news[i].drained.on_arrival = on_drained;
    }
    return 0;
}

const struct worker_ops gateway_worker_ops = {
    .call = worker_calls,
    .want_probe = worker_wants_probe,
    .fetch_media = gateway_fetch_media,
    .prepared = worker_is_prepared,
    .committed = worker_has_committed,
    .issued = worker_has_issued,
    .drained = worker_is_drained,
};

/* --- probes --- */

static void on_probe_result(void *owner, struct provider *provider, enum probe_result result)
{
    struct gateway *gateway = owner;
    struct span name = provider_name(provider);
    uint32_t series = metrics_series(gateway->registry.metrics, METRIC_PROBES, &name);
    static const uint32_t offset[] = {
        [PROBE_SILENT] = METRIC_PROBE_SILENT,
        [PROBE_KNOWN] = METRIC_PROBE_VALID,
        [PROBE_REFUSED] = METRIC_PROBE_INVALID,
    };

    metrics_add(gateway->metrics, series + offset[result], 1);
}

static void notice_probe(struct gateway *gateway, const struct probe_report *report)
{
    uint64_t until_us;
    enum key_health health = report->key ? key_health(report->key, &until_us) : KEY_NEW;
    bool is_welcome = report->was == KEY_NEW && report->effect.key_moved && health == KEY_HEALTHY;
    const struct notice notice = {
        .log = gateway->log,
        .journal = gateway->registry.journal,
        .was_used = report->was != KEY_NEW && report->was != KEY_TRIAL,
        .provider = provider_name(report->provider),
        /* It goes on trial because no probe was answered: none has told anything of it. */
        .cause = health == KEY_TRIAL ? "trial" : "probe",
        .now_us = loop_now_us(gateway->loop),
        .wall_us = loop_wall_us(gateway->loop),
    };

    if (is_welcome)
        notice_new_key(&notice, report->key);
    else if (report->key)
        notice_key(&notice, report->key, span_of(NULL, 0), &report->effect);
    if (report->effect.endpoint_moved || !endpoint_news_is_calm(endpoint_news_of(report->endpoint)))
        notice_endpoint(&notice, report->endpoint);
}

void gateway_follow(void *owner, struct provider *provider, const struct keypool_effect *effect)
{
    struct gateway *gateway = owner;

    gateway_look_at_kept_keys(gateway);
    waiting_grant(provider_waiting(provider), effect->wakes, worker_calls, gateway);
    if (effect->wants_probe)
        prober_kick(gateway->prober, provider);
}

static void on_probe_effect(void *owner, const struct probe_report *report)
{
    struct gateway *gateway = owner;

    notice_probe(gateway, report);
    if (report->effect.wants_probe)
        gateway_look_at_tokens(gateway, report->provider);
    waiting_grant(provider_waiting(report->provider), report->effect.wakes, worker_calls, gateway);
}

static void on_models(void *owner, struct provider *provider)
{
    struct gateway *gateway = owner;

    registry_learn(&gateway->registry, provider);
}

const struct prober_ops gateway_prober_ops = {
    .on_result = on_probe_result,
    .on_effect = on_probe_effect,
    .on_models = on_models,
};

static size_t count_sites(const struct snapshot *snapshot)
{
    size_t count = 0;

    for (size_t i = 0; i < snapshot->provider_count; i++)
        count += snapshot->providers[i].site_count;
    return count;
}

int gateway_prepare_probes(struct gateway *gateway, struct snapshot *snapshot,
                           struct prober_plan **ret_plan)
{
    struct prober_target *targets = mem_zalloc(snapshot->provider_count, sizeof(*targets));
    struct endpoint **endpoints = mem_zalloc(count_sites(snapshot), sizeof(struct endpoint *));
    int err = targets && endpoints ? 0 : ERR_NOMEM;
    size_t at = 0;

    for (size_t i = 0; i < snapshot->provider_count && !err; i++) {
        struct snapshot_provider *row = &snapshot->providers[i];

        targets[i] = (struct prober_target){
            .conf = row->conf,
            .provider = row->provider,
            .endpoint = row->endpoint,
            .endpoints = endpoints + at,
            .endpoint_count = row->site_count,
            .fields = row->fields,
            /* Where the file names none, the providers' own are listed. */
            .wants_models = snapshot->config->models.count == 0,
        };
        for (size_t k = 0; k < row->site_count; k++)
            endpoints[at++] = row->sites[k].endpoint;
    }
    if (!err)
        err = prober_prepare(gateway->prober, targets, snapshot->provider_count, ret_plan);
    mem_free(endpoints);
    mem_free(targets);
    return err;
}

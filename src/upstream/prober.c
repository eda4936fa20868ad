#include "upstream/prober.h"

#include "base/alloc.h"
#include "dialect/traits.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "regions/regions.h"
#include "upstream/attempt.h"

/* With those of the endpoint and of the models beside them, none waits for a connection. */
enum { PROBES_AT_ONCE = 32, MAX_PROBES = PROBES_AT_ONCE + 2, HEAD_BYTES = 8192 };

/* After memory or descriptors were short: that says nothing about a key. */
#define REST_US US_PER_SEC

/* What a provider serves changes rarely. */
#define LEARN_INTERVAL_US (600 * US_PER_SEC)

/* One endpoint of a provider under probe. */
struct site {
    struct subject *subject;
    struct endpoint *endpoint;
    struct endpoint_pool *pool;
    struct buf head;        /* the request, the same for every key */
    struct buf models_head; /* GET /models; empty where the probes ask for it anyway, or nobody */
    uint64_t probed_us;
    bool is_under_probe;
};

/* One provider under probe. */
struct subject {
    struct prober *prober;
    const struct conf_provider *conf;
    struct provider *provider;
    const struct secret *fields;
    struct loop_timer timer;
    struct list probes; /* under way */
    size_t probe_count;
    uint64_t rest_until_us; /* no key is probed before */
    uint64_t learn_us;      /* when its models are to be learned (again); PROBE_NEVER: not wanted */
    bool is_learning;       /* one probe under way listens for them */
    size_t site_count;
    struct site *sites;      /* one at least */
    struct region **regions; /* of the sites, where there are several; NULL else */
};

struct prober {
    struct loop *loop;
    struct resolver *resolver;
    const struct prober_ops *ops;
    void *owner;
    struct http_head head_scratch;
    struct prober_plan *plan; /* in force; NULL: none yet */
};

enum purpose { PURPOSE_KEY, PURPOSE_ENDPOINT, PURPOSE_MODELS };

/* One probe under way. */
struct probe {
    struct list link;
    struct subject *subject;
    struct site *site;
    enum purpose purpose;
    struct key *key;     /* PURPOSE_KEY */
    struct secret *line; /* the key's; a reference of the probe's */
    struct attempt attempt;
    struct loop_task end;
    struct buf body; /* kept only where it is_learning */
    uint64_t begun_us, answered_us;
    int status; /* 0: no answer */
    bool is_learning;
};

static void look(struct subject *subject);

static void on_end_task(struct loop_task *task)
{
    mem_free(container_of(task, struct probe, end));
}

static void close_probe(struct probe *probe)
{
    attempt_end(&probe->attempt);
    if (probe->is_learning)
        probe->subject->is_learning = false;
    secret_unref(&probe->line);
    buf_fini(&probe->body);
    list_remove(&probe->link);
    probe->subject->probe_count--;
    loop_defer(probe->subject->prober->loop, &probe->end);
}

static void tell(struct site *site, const struct key *key, enum key_health was,
                 struct keypool_effect effect)
{
    struct subject *subject = site->subject;
    const struct probe_report report = {subject->provider, site->endpoint, key, was, effect};

    subject->prober->ops->on_effect(subject->prober->owner, &report);
}

/* The key's probe ended so; its reference goes. */
static void end_key(struct site *site, struct key **place, enum probe_result result)
{
    struct subject *subject = site->subject;
    uint64_t until_us;
    struct key *key = key_ref(*place);
    enum key_health was = key_health(key, &until_us);

    tell(site, key, was,
         keypool_probe_end(provider_keys(subject->provider), place, result,
                           loop_now_us(subject->prober->loop)));
    key_unref(&key);
}

/* Its probe could not be sent, by no fault of anybody else: asked again after a rest. */
static void give_up(struct subject *subject, struct key **place)
{
    uint64_t now_us = loop_now_us(subject->prober->loop);

    subject->rest_until_us = now_us + REST_US;
    keypool_probe_cancel(provider_keys(subject->provider), place, now_us);
}

/* What is no list, or no whole one, is no news. */
static void learn(struct probe *probe)
{
    struct subject *subject = probe->subject;
    struct model_list *models;

    if (!probe->is_learning || probe->status != 200 || probe->body.err)
        return;
    if (model_list_read(buf_span(&probe->body), &models))
        return;
    provider_set_models(subject->provider, models);
    subject->prober->ops->on_models(subject->prober->owner, subject->provider);
    subject->learn_us = loop_now_us(subject->prober->loop) + LEARN_INTERVAL_US;
}

/* Google says 400 where a key is wrong; nothing else can be wrong with the usual question. */
static enum probe_result result_of(const struct probe *probe)
{
    const struct conf_provider *conf = probe->subject->conf;
    bool is_bad_key = probe->status == 400 && traits_of(conf).dialect == DIALECT_GEMINI &&
                      span_is_equal(conf->probe.path, provider_row(conf->kind)->probe_path);

    return probe_result_of_status(is_bad_key ? 401 : probe->status);
}

/* What a probe says of the region: how long its answer took, or that it failed. */
static void note_region(const struct probe *probe)
{
    struct region *region = endpoint_region(probe->site->endpoint);
    uint64_t took_us = probe->answered_us - probe->begun_us;

    if (!probe->subject->regions)
        return;
    if (!probe_shows_endpoint(probe->status))
        took_us = 0;
    else if (took_us == 0)
        took_us = 1;
    region_note_probe(region, took_us, loop_now_us(probe->subject->prober->loop));
}

static void finish(struct probe *probe)
{
    struct subject *subject = probe->subject;
    struct site *site = probe->site;
    struct prober *prober = subject->prober;
    enum probe_result result = result_of(probe);

    learn(probe);
    close_probe(probe);
    if (probe->purpose == PURPOSE_MODELS) {
        look(subject);
        return;
    }
    if (probe_shows_endpoint(probe->status) &&
        endpoint_health_probed(endpoint_health_of(site->endpoint)))
        tell(site, NULL, KEY_NEW,
             (struct keypool_effect){.wakes = UINT32_MAX, .endpoint_moved = true});
    if (probe->key) {
        end_key(site, &probe->key, result);
    } else {
        note_region(probe);
        site->is_under_probe = false;
    }
    prober->ops->on_result(prober->owner, subject->provider, result);
    look(subject);
}

/* Nothing was asked, so that nothing is known. */
static void abandon(struct probe *probe)
{
    struct subject *subject = probe->subject;

    close_probe(probe);
    if (probe->key)
        give_up(subject, &probe->key);
    else if (probe->purpose == PURPOSE_ENDPOINT)
        probe->site->is_under_probe = false;
    look(subject);
}

static struct probe *probe_of(struct attempt *attempt)
{
    return container_of(attempt, struct probe, attempt);
}

static void on_sent(struct attempt *attempt)
{
    (void)attempt;
}

static void on_head(struct attempt *attempt, const struct http_head *head)
{
    struct probe *probe = probe_of(attempt);

    attempt_note_first_byte(attempt);
    probe->status = head->status;
    probe->answered_us = loop_now_us(probe->subject->prober->loop);
}

static void on_data(struct attempt *attempt, char *data, size_t len, bool is_last)
{
    struct probe *probe = probe_of(attempt);

    if (probe->is_learning)
        buf_append(&probe->body, data, len);
    if (is_last)
        finish(probe);
}

static void on_fail(struct attempt *attempt, enum outcome outcome)
{
    struct probe *probe = probe_of(attempt);

    /* A status whose body was cut has been told all the same. */
    if (outcome == OUTCOME_NO_CONNECTION && !probe->status)
        abandon(probe);
    else
        finish(probe);
}

static const struct attempt_ops ops = {
    .on_sent = on_sent,
    .on_head = on_head,
    .on_data = on_data,
    .on_fail = on_fail,
};

/* Whether the answer of such a probe is listened to for the names of models. */
static bool is_to_learn(const struct subject *subject, enum purpose purpose)
{
    bool is_answer_a_list =
        (purpose == PURPOSE_KEY && !subject->sites->models_head.len) || purpose == PURPOSE_MODELS;

    return is_answer_a_list && !subject->is_learning &&
           subject->learn_us <= loop_now_us(subject->prober->loop);
}

/* Sends a probe; the reference to the key is taken over. 0 or ERR_NOMEM. */
static int send_probe(struct site *site, enum purpose purpose, struct key *key)
{
    struct subject *subject = site->subject;
    struct probe *probe = mem_zalloc(1, sizeof(*probe));
    uint64_t timeout_us = subject->conf->probe.timeout_us;
    bool is_own_path = purpose != PURPOSE_MODELS;
    struct attempt_request request = {
        .head = buf_span(is_own_path ? &site->head : &site->models_head),
        .lines = {NULL, subject->fields},
        .is_head_method = is_own_path && span_is_equal(subject->conf->probe.method, SPAN("HEAD")),
        .send_us = timeout_us,
        .first_byte_us = timeout_us,
        .idle_us = timeout_us,
    };

    if (!probe)
        return ERR_NOMEM;
    probe->subject = subject;
    probe->site = site;
    probe->begun_us = loop_now_us(subject->prober->loop);
    probe->purpose = purpose;
    probe->key = key;
    probe->line = key ? key_take_line(key) : NULL;
    request.lines[0] = probe->line;
    probe->is_learning = is_to_learn(subject, purpose);
    subject->is_learning |= probe->is_learning;
    buf_init(&probe->body, MODEL_LIST_BODY_MAX);
    loop_task_init(&probe->end, on_end_task);
    attempt_init(&probe->attempt, &ops);
    list_push_back(&subject->probes, &probe->link);
    subject->probe_count++;
    request.deadline_us = loop_now_us(subject->prober->loop) + timeout_us;
    request.wait_until_us = request.deadline_us;
    attempt_begin(&probe->attempt, site->pool, subject->prober->loop, &request);
    return 0;
}

/* Of several regions each is measured, whether or not it is in use; else an endpoint is probed only
 * while it is open. */
static uint64_t plan_site(const struct site *site, uint64_t now_us)
{
    const struct subject *subject = site->subject;
    uint64_t interval_us = subject->conf->health.probe_interval_us;
    struct endpoint_health *health = endpoint_health_of(site->endpoint);

    if (!subject->regions)
        return probe_plan_endpoint(endpoint_health_state(health, now_us) == BREAKER_OPEN,
                                   site->probed_us, interval_us);
    return site->probed_us ? site->probed_us + interval_us : now_us;
}

static uint64_t look_at_site(struct site *site, uint64_t now_us)
{
    uint64_t next_us;

    if (site->is_under_probe)
        return PROBE_NEVER;
    next_us = plan_site(site, now_us);
    if (next_us > now_us)
        return next_us;
    site->probed_us = now_us;
    site->is_under_probe = send_probe(site, PURPOSE_ENDPOINT, NULL) == 0;
    return site->is_under_probe ? PROBE_NEVER : plan_site(site, now_us);
}

/* Where keys are probed: where the traffic is, unless that is known to be out. */
static struct site *site_for_keys(const struct subject *subject, uint64_t now_us)
{
    uint64_t without = 0;
    size_t at = 0;

    if (!subject->regions)
        return subject->sites;
    while ((at = regions_first(subject->regions, subject->site_count, without)) <
           subject->site_count) {
        struct endpoint_health *health = endpoint_health_of(subject->sites[at].endpoint);

        if (endpoint_health_state(health, now_us) != BREAKER_OPEN)
            return &subject->sites[at];
        without |= UINT64_C(1) << at;
    }
    return subject->sites;
}

/* Of a provider whose probes tell no models; asked again after an interval also where it told none.
 */
static uint64_t look_for_models(struct subject *subject, uint64_t now_us)
{
    if (!subject->sites->models_head.len)
        return PROBE_NEVER;
    if (subject->learn_us <= now_us && !subject->is_learning) {
        send_probe(site_for_keys(subject, now_us), PURPOSE_MODELS, NULL);
        subject->learn_us = now_us + LEARN_INTERVAL_US;
    }
    return subject->learn_us;
}

static uint64_t earlier(uint64_t a_us, uint64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

/* Sends what is due, and sets the timer for what comes next. */
static void look(struct subject *subject)
{
    uint64_t now_us = loop_now_us(subject->prober->loop), next_us = PROBE_NEVER;

    if (now_us < subject->rest_until_us)
        next_us = subject->rest_until_us;
    while (now_us >= subject->rest_until_us && subject->probe_count < PROBES_AT_ONCE) {
        struct key *key = keypool_probe_take(provider_keys(subject->provider), now_us, &next_us);

        if (!key)
            break;
        if (send_probe(site_for_keys(subject, now_us), PURPOSE_KEY, key)) {
            give_up(subject, &key);
            next_us = subject->rest_until_us;
            break;
        }
    }
    for (size_t i = 0; i < subject->site_count; i++)
        next_us = earlier(next_us, look_at_site(&subject->sites[i], now_us));
    next_us = earlier(next_us, look_for_models(subject, now_us));
    if (next_us != PROBE_NEVER)
        (void)loop_timer_set(&subject->timer, next_us); /* reserved: it cannot fail */
}

static void on_timer(struct loop_timer *timer)
{
    look(container_of(timer, struct subject, timer));
}

/* --- the subjects --- */

static void site_fini(struct site *site)
{
    endpoint_pool_free(&site->pool);
    endpoint_unref(&site->endpoint);
    buf_fini(&site->head);
    buf_fini(&site->models_head);
}

static void subject_free(struct subject **subject)
{
    struct subject *s = *subject;

    if (!s)
        return;
    while (!list_is_empty(&s->probes)) {
        struct probe *probe = container_of(s->probes.next, struct probe, link);
        struct key *key = probe->key;

        close_probe(probe);
        if (key)
            keypool_probe_cancel(provider_keys(s->provider), &key, loop_now_us(s->prober->loop));
    }
    loop_timer_fini(&s->timer);
    for (size_t i = 0; s->sites && i < s->site_count; i++)
        site_fini(&s->sites[i]);
    mem_free(s->sites);
    mem_free(s->regions);
    provider_unref(&s->provider);
    mem_free(s);
    *subject = NULL;
}

/* A probe's connection came about where there was none to be had: whoever waits is told now, not
 * when the probe is answered. */
static void on_back(void *owner)
{
    struct site *site = owner;

    tell(site, NULL, KEY_NEW, (struct keypool_effect){.wakes = UINT32_MAX, .endpoint_moved = true});
}

static int write_head(const struct site *site, struct span method, struct span path,
                      struct buf *head)
{
    bool is_anthropic = traits_of(site->subject->conf).dialect == DIALECT_ANTHROPIC;

    return buf_printf(head,
                      "%.*s %.*s%.*s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: bellwether/" BW_VERSION
                      "\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n%s",
                      SPAN_ARG(method), SPAN_ARG(endpoint_path(site->endpoint)), SPAN_ARG(path),
                      SPAN_ARG(endpoint_authority(site->endpoint)),
                      is_anthropic ? "anthropic-version: 2023-06-01\r\n" : "");
}

/* Where the provider lists its models: what probes ask for, but for OpenRouter, whose list needs no
 * key.
 */
static struct span models_path(const struct conf_provider *conf)
{
    return conf->kind == PROVIDER_OPENROUTER ? SPAN("/models")
                                             : provider_row(conf->kind)->probe_path;
}

static int write_heads(struct site *site, bool wants_models)
{
    const struct conf_provider *conf = site->subject->conf;
    struct span list_path = models_path(conf);
    bool is_list = span_is_equal(conf->probe.path, list_path) &&
                   span_is_equal(conf->probe.method, SPAN("GET"));
    int err = write_head(site, conf->probe.method, conf->probe.path, &site->head);

    if (!err && wants_models && !is_list)
        err = write_head(site, SPAN("GET"), list_path, &site->models_head);
    return err;
}

static int site_init(struct site *site, struct subject *subject, struct endpoint *endpoint,
                     bool wants_models)
{
    const struct conf_connections bounds = {.max = MAX_PROBES, .idle = 2, .keepalive_us = 5000000};
    struct prober *prober = subject->prober;

    site->subject = subject;
    site->endpoint = endpoint_ref(endpoint);
    buf_init(&site->head, HEAD_BYTES);
    buf_init(&site->models_head, HEAD_BYTES);
    site->pool = endpoint_pool_new(endpoint, prober->loop, prober->resolver, &prober->head_scratch);
    if (!site->pool || write_heads(site, wants_models))
        return ERR_NOMEM;
    endpoint_pool_set_bounds(site->pool, &bounds, subject->conf->timeouts.connect_us);
    endpoint_pool_set_back(site->pool, on_back, site);
    return 0;
}

static int add_sites(struct subject *subject, const struct prober_target *target)
{
    size_t count = target->endpoint_count ? target->endpoint_count : 1;
    int err = 0;

    subject->sites = mem_zalloc(count, sizeof(*subject->sites));
    if (!subject->sites)
        return ERR_NOMEM;
    for (size_t i = 0; i < count && !err; i++) {
        struct endpoint *endpoint =
            target->endpoint_count ? target->endpoints[i] : target->endpoint;

        subject->site_count++;
        err = site_init(&subject->sites[i], subject, endpoint, target->wants_models);
    }
    if (err || count < 2)
        return err;
    subject->regions = mem_zalloc(count, sizeof(*subject->regions));
    for (size_t i = 0; subject->regions && i < count; i++)
        subject->regions[i] = endpoint_region(subject->sites[i].endpoint);
    return subject->regions ? 0 : ERR_NOMEM;
}

static struct subject *subject_new(struct prober *prober, const struct prober_target *target)
{
    struct subject *subject = mem_zalloc(1, sizeof(*subject));

    if (!subject)
        return NULL;
    subject->prober = prober;
    subject->conf = target->conf;
    subject->provider = provider_ref(target->provider);
    subject->fields = target->fields;
    subject->learn_us = target->wants_models ? 0 : PROBE_NEVER;
    list_init(&subject->probes);
    loop_timer_init(&subject->timer, prober->loop, on_timer);
    if (loop_timer_reserve(&subject->timer) || add_sites(subject, target)) {
        subject_free(&subject);
        return NULL;
    }
    return subject;
}

struct prober_plan {
    struct prober *prober;
    size_t count;
    struct subject *subjects[];
};

void prober_discard(struct prober_plan **plan)
{
    struct prober_plan *p = *plan;

    *plan = NULL;
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        subject_free(&p->subjects[i]);
    mem_free(p);
}

struct prober *prober_new(struct loop *loop, struct resolver *resolver,
                          const struct prober_ops *prober_ops, void *owner)
{
    struct prober *prober = mem_zalloc(1, sizeof(*prober));

    if (!prober)
        return NULL;
    prober->loop = loop;
    prober->resolver = resolver;
    prober->ops = prober_ops;
    prober->owner = owner;
    return prober;
}

void prober_free(struct prober **prober)
{
    struct prober *p = *prober;

    if (!p)
        return;
    prober_discard(&p->plan);
    mem_free(p);
    *prober = NULL;
}

int prober_prepare(struct prober *prober, const struct prober_target *targets, size_t count,
                   struct prober_plan **ret_plan)
{
    struct prober_plan *plan = mem_zalloc(1, sizeof(*plan) + count * sizeof(plan->subjects[0]));

    if (!plan)
        return ERR_NOMEM;
    plan->prober = prober;
    for (; plan->count < count; plan->count++) {
        plan->subjects[plan->count] = subject_new(prober, &targets[plan->count]);
        if (!plan->subjects[plan->count]) {
            prober_discard(&plan);
            return ERR_NOMEM;
        }
    }
    *ret_plan = plan;
    return 0;
}

void prober_commit(struct prober_plan **plan)
{
    struct prober_plan *fresh = *plan;
    struct prober *prober = fresh->prober;

    *plan = NULL;
    prober_discard(&prober->plan);
    prober->plan = fresh;
    for (size_t i = 0; i < fresh->count; i++)
        look(fresh->subjects[i]);
}

void prober_kick(struct prober *prober, const struct provider *provider)
{
    for (size_t i = 0; prober->plan && i < prober->plan->count; i++) {
        if (prober->plan->subjects[i]->provider == provider)
            look(prober->plan->subjects[i]);
    }
}

#include "upstream/prober.h"

#include "base/alloc.h"
#include "dialect/traits.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "upstream/attempt.h"

/* With those of the endpoint and of the models beside them, none waits for a connection. */
enum { PROBES_AT_ONCE = 32, MAX_PROBES = PROBES_AT_ONCE + 2, HEAD_BYTES = 8192 };

/* After memory or descriptors were short: that says nothing about a key. */
#define REST_US US_PER_SEC

/* What a provider serves changes rarely. */
#define LEARN_INTERVAL_US (600 * US_PER_SEC)

/* One provider under probe. */
struct subject {
    struct prober *prober;
    const struct conf_provider *conf;
    struct provider *provider;
    struct endpoint *endpoint;
    const struct secret *fields;
    struct endpoint_pool *pool;
    struct buf head;        /* the request, the same for every key */
    struct buf models_head; /* GET /models; empty where the probes ask for it anyway, or nobody */
    struct loop_timer timer;
    struct list probes; /* under way */
    size_t probe_count;
    uint64_t endpoint_probed_us;
    uint64_t rest_until_us; /* no key is probed before */
    uint64_t learn_us;      /* when its models are to be learned (again); PROBE_NEVER: not wanted */
    bool is_endpoint_under_probe;
    bool is_learning; /* one probe under way listens for them */
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
    enum purpose purpose;
    struct key *key;     /* PURPOSE_KEY */
    struct secret *line; /* the key's; a reference of the probe's */
    struct attempt attempt;
    struct loop_task end;
    struct buf body; /* kept only where it is_learning */
    int status;      /* 0: no answer */
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

static void tell(struct subject *subject, const struct key *key, enum key_health was,
                 struct keypool_effect effect)
{
    const struct probe_report report = {subject->provider, subject->endpoint, key, was, effect};

    subject->prober->ops->on_effect(subject->prober->owner, &report);
}

/* The key's probe ended so; its reference goes. */
static void end_key(struct subject *subject, struct key **place, enum probe_result result)
{
    uint64_t until_us;
    struct key *key = key_ref(*place);
    enum key_health was = key_health(key, &until_us);

    tell(subject, key, was,
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

static void finish(struct probe *probe)
{
    struct subject *subject = probe->subject;
    struct prober *prober = subject->prober;
    enum probe_result result = result_of(probe);

    learn(probe);
    close_probe(probe);
    if (probe->purpose == PURPOSE_MODELS) {
        look(subject);
        return;
    }
    if (probe_shows_endpoint(probe->status) &&
        endpoint_health_probed(endpoint_health_of(subject->endpoint)))
        tell(subject, NULL, KEY_NEW,
             (struct keypool_effect){.wakes = UINT32_MAX, .endpoint_moved = true});
    if (probe->key)
        end_key(subject, &probe->key, result);
    else
        subject->is_endpoint_under_probe = false;
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
        subject->is_endpoint_under_probe = false;
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
    attempt_note_first_byte(attempt);
    probe_of(attempt)->status = head->status;
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
        (purpose == PURPOSE_KEY && !subject->models_head.len) || purpose == PURPOSE_MODELS;

    return is_answer_a_list && !subject->is_learning &&
           subject->learn_us <= loop_now_us(subject->prober->loop);
}

/* Sends a probe; the reference to the key is taken over. 0 or ERR_NOMEM. */
static int send_probe(struct subject *subject, enum purpose purpose, struct key *key)
{
    struct probe *probe = mem_zalloc(1, sizeof(*probe));
    uint64_t timeout_us = subject->conf->probe.timeout_us;
    bool is_own_path = purpose != PURPOSE_MODELS;
    struct attempt_request request = {
        .head = buf_span(is_own_path ? &subject->head : &subject->models_head),
        .lines = {NULL, subject->fields},
        .is_head_method = is_own_path && span_is_equal(subject->conf->probe.method, SPAN("HEAD")),
        .send_us = timeout_us,
        .first_byte_us = timeout_us,
        .idle_us = timeout_us,
    };

    if (!probe)
        return ERR_NOMEM;
    probe->subject = subject;
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
    attempt_begin(&probe->attempt, subject->pool, subject->prober->loop, &request);
    return 0;
}

static uint64_t look_at_endpoint(struct subject *subject, uint64_t now_us)
{
    struct endpoint_health *health = endpoint_health_of(subject->endpoint);
    bool is_open = endpoint_health_state(health, now_us) == BREAKER_OPEN;
    uint64_t next_us;

    if (subject->is_endpoint_under_probe)
        return PROBE_NEVER;
    next_us = probe_plan_endpoint(is_open, subject->endpoint_probed_us,
                                  subject->conf->health.probe_interval_us);
    if (next_us > now_us)
        return next_us;
    subject->endpoint_probed_us = now_us;
    subject->is_endpoint_under_probe = send_probe(subject, PURPOSE_ENDPOINT, NULL) == 0;
    if (subject->is_endpoint_under_probe)
        return PROBE_NEVER;
    return probe_plan_endpoint(is_open, now_us, subject->conf->health.probe_interval_us);
}

/* Of a provider whose probes tell no models; asked again after an interval also where it told none.
 */
static uint64_t look_for_models(struct subject *subject, uint64_t now_us)
{
    if (!subject->models_head.len)
        return PROBE_NEVER;
    if (subject->learn_us <= now_us && !subject->is_learning) {
        send_probe(subject, PURPOSE_MODELS, NULL);
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
        if (send_probe(subject, PURPOSE_KEY, key)) {
            give_up(subject, &key);
            next_us = subject->rest_until_us;
            break;
        }
    }
    next_us = earlier(next_us, look_at_endpoint(subject, now_us));
    next_us = earlier(next_us, look_for_models(subject, now_us));
    if (next_us != PROBE_NEVER)
        (void)loop_timer_set(&subject->timer, next_us); /* reserved: it cannot fail */
}

static void on_timer(struct loop_timer *timer)
{
    look(container_of(timer, struct subject, timer));
}

/* --- the subjects --- */

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
    endpoint_pool_free(&s->pool);
    endpoint_unref(&s->endpoint);
    provider_unref(&s->provider);
    buf_fini(&s->head);
    buf_fini(&s->models_head);
    mem_free(s);
    *subject = NULL;
}

/* A probe's connection came about where there was none to be had: whoever waits is told now, not
 * when the probe is answered. */
static void on_back(void *owner)
{
    struct subject *subject = owner;

    tell(subject, NULL, KEY_NEW,
         (struct keypool_effect){.wakes = UINT32_MAX, .endpoint_moved = true});
}

static int write_head(const struct subject *subject, struct span method, struct span path,
                      struct buf *head)
{
    bool is_anthropic = traits_of(subject->conf).dialect == DIALECT_ANTHROPIC;

    return buf_printf(head,
                      "%.*s %.*s%.*s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: bellwether/" BW_VERSION
                      "\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n%s",
                      SPAN_ARG(method), SPAN_ARG(endpoint_path(subject->endpoint)), SPAN_ARG(path),
                      SPAN_ARG(endpoint_authority(subject->endpoint)),
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

static int write_heads(struct subject *subject, bool wants_models)
{
    const struct conf_probe *probe = &subject->conf->probe;
    struct span list_path = models_path(subject->conf);
    bool is_list =
        span_is_equal(probe->path, list_path) && span_is_equal(probe->method, SPAN("GET"));
    int err = write_head(subject, probe->method, probe->path, &subject->head);

    if (!err && wants_models && !is_list)
        err = write_head(subject, SPAN("GET"), list_path, &subject->models_head);
    subject->learn_us = wants_models ? 0 : PROBE_NEVER;
    return err;
}

static struct subject *subject_new(struct prober *prober, const struct prober_target *target)
{
    struct conf_connections bounds = {.max = MAX_PROBES, .idle = 2, .keepalive_us = 5000000};
    struct subject *subject = mem_zalloc(1, sizeof(*subject));

    if (!subject)
        return NULL;
    subject->prober = prober;
    subject->conf = target->conf;
    subject->provider = provider_ref(target->provider);
    subject->endpoint = endpoint_ref(target->endpoint);
    subject->fields = target->fields;
    buf_init(&subject->head, HEAD_BYTES);
    buf_init(&subject->models_head, HEAD_BYTES);
    list_init(&subject->probes);
    loop_timer_init(&subject->timer, prober->loop, on_timer);
    subject->pool =
        endpoint_pool_new(subject->endpoint, prober->loop, prober->resolver, &prober->head_scratch);
    if (!subject->pool || loop_timer_reserve(&subject->timer) ||
        write_heads(subject, target->wants_models)) {
        subject_free(&subject);
        return NULL;
    }
    endpoint_pool_set_bounds(subject->pool, &bounds, target->conf->timeouts.connect_us);
    endpoint_pool_set_back(subject->pool, on_back, subject);
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

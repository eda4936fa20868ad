/*
 * Probes: small requests in the background that tell whether a key is known and an endpoint works.
 * When they are due and what their answers mean is decided by keypool/probe_plan; here they are
 * sent, through the data plane's own client. Where the names of models are wanted they are learned
 * on the way: most probes ask for /models; of a provider whose probes do not, /models is asked for
 * once in a while without a key. Of several regions each is probed in its turn, without a key, for
 * how long its answer takes; keys are probed where the traffic is. Belongs to the control thread.
 */
#ifndef UPSTREAM_PROBER_H
#define UPSTREAM_PROBER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/secret.h"
#include "conf/config.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "keypool/keypool.h"
#include "upstream/endpoint.h"
#include "upstream/provider.h"

struct prober;
struct prober_plan;

/* What is probed. Borrowed; the prober takes references of its own, and the configuration must live
 * until the next prober_commit. */
struct prober_target {
    const struct conf_provider *conf;
    struct provider *provider;
    struct endpoint *endpoint;
    /* Where there are regions, the endpoints of all of them, that one first; count 0: it alone. */
    struct endpoint *const *endpoints;
    size_t endpoint_count;
    const struct secret *fields; /* lines of `headers:`; NULL: none */
    bool wants_models;           /* the provider's models are learned: see provider_models */
};

/* What a probe changed. All borrowed for the call. */
struct probe_report {
    struct provider *provider;
    struct endpoint *endpoint;
    const struct key *key; /* NULL: the endpoint alone */
    enum key_health was;   /* the key's before */
    struct keypool_effect effect;
};

struct prober_ops {
    /* A probe ended so. */
    void (*on_result)(void *owner, struct provider *provider, enum probe_result result);
    /* It changed something: who waits may go on. */
    void (*on_effect)(void *owner, const struct probe_report *report);
    /* The provider has listed its models: provider_models has them. */
    void (*on_models)(void *owner, struct provider *provider);
};

/* NULL without memory. */
struct prober *prober_new(struct loop *loop, struct resolver *resolver,
                          const struct prober_ops *ops, void *owner);
void prober_free(struct prober **prober);

/* What would be probed, all made and nothing begun: 0 with *ret_plan, or ERR_NOMEM. */
int prober_prepare(struct prober *prober, const struct prober_target *targets, size_t count,
                   struct prober_plan **ret_plan);

/* Probes these from now on; probes under way of others are given up, as if they had never been
 * sent. Takes the plan. */
void prober_commit(struct prober_plan **plan);

/* Frees a plan that is not wanted after all. Accepts NULL. */
void prober_discard(struct prober_plan **plan);

/* Something changed: looks at once whether a probe of that provider is due. */
void prober_kick(struct prober *prober, const struct provider *provider);

#endif

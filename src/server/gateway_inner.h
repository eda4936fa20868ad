/*
 * What the files of the gateway share: gateway.c begins and ends it, gateway_phases.c knows when it
 * is ready and how it shuts down, gateway_news.c hears workers and probes, gateway_reload.c takes a
 * new configuration over. Included by these alone; control thread.
 */
#ifndef SERVER_GATEWAY_INNER_H
#define SERVER_GATEWAY_INNER_H

#include "admin/admin.h"
#include "exchange/registry.h"
#include "obs/log.h"
#include "server/gateway.h"
#include "server/sockets.h"
#include "server/worker.h"
#include "upstream/prober.h"

/* How far the process has come. */
enum phase { PHASE_STARTING, PHASE_READY, PHASE_DELAYING, PHASE_DRAINING, PHASE_CUT };

struct gateway {
    struct gateway_options options;
    struct loop *loop;
    struct log *log;
    struct registry registry;
    bool has_registry;
    struct snapshot *snapshot;
    struct tls_context *tls;
    struct sockets sockets;
    struct worker **workers;
    uint32_t worker_count;
    struct admin *admin;
    struct prober *prober;
    struct metrics *metrics;
    uint32_t reloads;
    enum phase phase;
    struct loop_timer timer; /* readiness, then the steps of shutting down */
    uint32_t started;        /* workers whose thread took its sockets over */
    uint32_t drained;
    uint64_t started_wall_us, loaded_wall_us;
};

/* What workers say; called on their threads. */
extern const struct worker_ops gateway_worker_ops;

/* How probes end. */
extern const struct prober_ops gateway_prober_ops;

/* Probes the snapshot's providers from now on: 0 or ERR_NOMEM, and then the others stay. */
int gateway_set_probes(struct gateway *gateway, struct snapshot *snapshot);

/* Begins to look whether it is ready, until it is. */
void gateway_check_ready(struct gateway *gateway);

/* The timer of the phases. */
void gateway_on_timer(struct loop_timer *timer);

/* What the admin address tells of the process. */
struct admin_state gateway_state(void *owner);

/* The listeners' certificate as its files are now; NULL where there is none. 0, ERR_TLS with a text
 * in ret_error (GATEWAY_ERROR_BYTES), or ERR_NOMEM. */
int gateway_make_tls(const struct config *config, char *ret_error, struct tls_context **ret_tls);

/* The log that the configuration asks for. */
struct log_options gateway_log_options(const struct config *config);

#endif

/*
 * A worker: one thread with its event loop, its listeners and its exchanges. The control thread
 * makes it, speaks to it by mail alone, and joins it.
 */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "exchange/registry.h"
#include "exchange/snapshot.h"
#include "io/loop.h"
#include "io/tls.h"
#include "keypool/waiting.h"

struct issued_hold;
struct media_errand;
struct worker;

/* A listening socket that the worker takes over, or shares (unix sockets). */
struct worker_socket {
    int fd;
    bool is_shared;
};

struct worker_options {
    struct registry *registry;
    struct snapshot *snapshot; /* the first one */
    uint32_t index;
    const struct worker_socket *sockets; /* copied */
    size_t socket_count;
    struct tls_context *tls; /* NULL: plain */
    size_t max_connections;  /* of this worker */
};

/* What a worker tells the process; called on the worker's thread. */
struct worker_ops {
    /* Exchanges of that other worker were granted something: worker_look. */
    waiting_call *call;
    void (*want_probe)(void *owner, struct provider *provider);
    /* As in exchange_host_ops. */
    void (*fetch_media)(void *owner, struct media_errand *errand);
    /* After worker_prepare: whether it can (0), or lacks the memory (ERR_NOMEM). */
    void (*prepared)(void *owner, uint32_t index, int err);
    /* After worker_commit: from now on it goes by the new configuration. */
    void (*committed)(void *owner, uint32_t index);
    /* After worker_set_issued: it goes by them. */
    void (*issued)(void *owner, uint32_t index);
    /* After worker_drain: its last connection is gone. */
    void (*drained)(void *owner, uint32_t index);
};

/* Makes it, without its thread. 0 or ERR_NOMEM, ERR_FULL. On failure the sockets stay the caller's.
 */
int worker_new(const struct worker_options *options, const struct worker_ops *ops, void *owner,
               struct worker **ret_worker);

/* Listens and starts the thread: 0, ERR_NOMEM or ERR_FULL. The sockets are the worker's from now
 * on, also on failure. */
int worker_start(struct worker *worker);

/* Ends what still runs (streams with an error event) and joins the thread. Workers speak to each
 * other: all are stopped before the first is freed. Accepts NULL and one that was never started. */
void worker_stop(struct worker *worker);

/* Stops it, and frees. Accepts NULL. */
void worker_free(struct worker **worker);

/* --- orders, from any thread: they go by a message of the worker's own, and cannot fail --- */

/* What /ready says. */
void worker_set_ready(struct worker *worker, bool is_ready);

/* Listens no more; connections close behind their next answer; `drained` is told. */
void worker_drain(struct worker *worker);

/* Closes idle connections and cuts what still runs. */
void worker_cut(struct worker *worker);

/* Exchanges of this worker were granted something: they look for a key again. */
void worker_look(struct worker *worker);

/* These are the issued client keys from now on; takes the hold. `issued` is told, before which no
 * others may be set. Before it is started, at once. */
void worker_set_issued(struct worker *worker, struct issued_hold *issued);

/* What its exchanges have used may be collected: uses_hand_over on its thread. */
void worker_hand_over(struct worker *worker);

/* --- a new configuration, in two steps; the control thread, one at a time --- */

/* Makes what it takes to run this snapshot, and changes nothing; `prepared` is told, and then one
 * of the two below must follow, unless the worker is stopped. */
void worker_prepare(struct worker *worker, struct snapshot *snapshot);

/* New exchanges use the snapshot, new connections this certificate (NULL: plain); `committed` is
 * told. */
void worker_commit(struct worker *worker, struct tls_context *tls);

/* All stays as it is. */
void worker_discard(struct worker *worker);

#endif

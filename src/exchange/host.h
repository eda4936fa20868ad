/*
 * What one worker offers to its exchanges: its loop, the binding in force, memory, randomness,
 * numbers and the log; and the exchanges under way. The data plane's HTTP server ends here:
 * exchange_server_ops turns its calls into events of exchanges. One thread, but for the mail
 * functions.
 */
#ifndef EXCHANGE_HOST_H
#define EXCHANGE_HOST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "access/clients.h"
#include "base/arena.h"
#include "base/list.h"
#include "base/rand.h"
#include "dialect/failure.h"
#include "exchange/binding.h"
#include "exchange/parking.h"
#include "exchange/registry.h"
#include "exchange/shadow.h"
#include "exchange/window_watch.h"
#include "http/server.h"
#include "obs/access.h"

struct exchange;
struct exchange_host;
struct helper_job;
struct issued_hold;
struct hedge_times;
struct media_errand;
struct uses;

/* A hundred thousand that wait for one key must not stand in the way of all others. */
enum { HOST_WAKES_A_TURN = 256 };

/* Calls into the process around the host. */
struct exchange_host_ops {
    /* Somebody who waits at another worker was granted a key: have it look (exchange_host_look on
     * its thread). */
    waiting_call *call;
    /* A probe may be due, or a canary has failed: the control thread should look. */
    void (*want_probe)(void *owner, struct provider *provider);
    /* Media are to be fetched; the errand is the callee's until media_errand_return. */
    void (*fetch_media)(void *owner, struct media_errand *errand);
    /* Work for a helper thread, which comes back to the host's loop: as helpers_ask. */
    void (*help)(void *owner, struct helper_job *job);
    /* A client's connection is gone. */
    void (*conn_closed)(void *owner);
};

/* Indexes of the series that have no labels. */
struct exchange_series {
    uint32_t active, waiting, overhead, cancelled, bytes, writes, connections, connections_total;
    uint32_t large_bodies, large_bodies_total;
    uint32_t class_running[PRIORITIES], class_waiting[PRIORITIES];
    uint32_t class_wait[PRIORITIES], class_refused[PRIORITIES];
};

struct exchange_host {
    struct loop *loop;
    struct registry *registry;
    const struct exchange_host_ops *ops;
    void *owner;
    uint32_t worker;
    struct http_head *head_scratch;
    struct binding_home home;
    struct binding *binding;  /* in force */
    struct binding *prepared; /* for exchange_host_commit */
    struct arena_pool arenas;
    struct arena_pool scanners; /* apart, so that the block used last is the next one used */
    struct arena_pool loose;    /* keeps no block: for arenas that helper threads fill */
    struct body_lease lease;
    struct rand rand;
    struct clients_memo memo;   /* of the binding in force, and of: */
    struct issued_hold *issued; /* client keys beside the file; NULL: none */
    struct metrics *metrics;
    struct exchange_series series;
    struct uses *uses; /* what was used, until it is collected; the registry's */
    struct log_ring *log;
    struct parking parking;      /* those that wait for a key */
    struct loop_task waking;     /* of those that were granted one, or a turn in their class */
    struct loop_timer looking;   /* when something that others wait for may be free */
    struct loop_timer granting;  /* of turns, when a limit of a class has room again */
    struct window_watch windows; /* over those that wait for a turn in a class with windows */
    struct buf told;       /* what is being told anew, request or answer; empty between events */
    struct list exchanges; /* all under way */
    struct list spare;     /* freed ones, for the next */
    struct shadows shadows;
    struct hedge_times *hedge_times; /* NULL: nothing was watched */
    size_t exchange_count, spare_count;
    uint64_t next_id;
    bool is_ready;       /* /ready says 200 */
    bool is_terminating; /* the grace is over: what ran was cut, and nothing new begins */
};

/* What is told anew is bounded; of its memory a worker keeps so much for what comes next. */
enum { HOST_TOLD_MAX_BYTES = 256 << 20, HOST_TOLD_KEPT_BYTES = 64 << 10 };

/* registry and what it points to outlive the host. 0 or ERR_NOMEM. */
int exchange_host_init(struct exchange_host *host, struct loop *loop, struct registry *registry,
                       uint32_t worker, const struct exchange_host_ops *ops, void *owner);
/* Every exchange must have ended (exchange_host_cut). */
void exchange_host_fini(struct exchange_host *host);

/* New exchanges use this snapshot from now on. 0 or ERR_NOMEM, and the old one stays. */
int exchange_host_bind(struct exchange_host *host, struct snapshot *snapshot);

/* The same in two steps, for where others must be able to as well: makes what it takes, changing
 * nothing (0 or ERR_NOMEM), and then takes it over, or throws it away. */
int exchange_host_prepare(struct exchange_host *host, struct snapshot *snapshot);
void exchange_host_commit(struct exchange_host *host);
void exchange_host_discard(struct exchange_host *host);

/* These are the issued client keys from now on. Takes the hold. */
void exchange_host_set_issued(struct exchange_host *host, struct issued_hold *issued);

/* Those of this worker that wait and were granted a key, or a turn in their class, go on:
 * HOST_WAKES_A_TURN in this turn of the loop, as many in each that follows, in the order in which
 * they came. */
void exchange_host_look(struct exchange_host *host);

/* Has that worker look (exchange_host_look on its thread). owner: the host that asks. */
void exchange_host_call(void *owner, uint32_t worker);

/* Grants something to the first `count` that wait in the room, of whichever worker (UINT32_MAX: to
 * all). */
void exchange_host_grant(struct exchange_host *host, struct waiting_room *room, uint32_t count);

/* Something that an exchange of this worker waits for may be free then: those whose turn it is are
 * granted (waiting_look). */
void exchange_host_look_at(struct exchange_host *host, uint64_t look_us);

/* Turns are granted then, to those for whom a limit of their class has room (turn_grant). */
void exchange_host_grant_turns_at(struct exchange_host *host, uint64_t at_us);

/* The exchange that was granted the ticket has asked in vain, and waits on. */
void exchange_host_miss(struct exchange_host *host, struct waiting_ticket *ticket,
                        uint64_t look_us);

/* It has found a key. */
void exchange_host_use(struct exchange_host *host, struct waiting_ticket *ticket);

/* The ticket's grant is of no use to whom it was given: the next has it. */
void exchange_host_pass(struct exchange_host *host, struct waiting_ticket *ticket);

/* What follows from a change in a keypool: wakes who waits, asks for probes. */
void exchange_host_follow(struct exchange_host *host, struct provider *provider,
                          struct keypool_effect effect);

/* Ends every exchange under way: streams with an error event, the others with 503; those to come
 * are refused. */
void exchange_host_cut(struct exchange_host *host);

/* Empties `told`, so that nothing is allocated for each event; memory beyond what is kept goes
 * back.
 */
void exchange_host_clear_told(struct exchange_host *host);

/* Keeps a freed exchange's memory for the next one, or frees it. */
void exchange_host_spare(struct exchange_host *host, struct exchange *x);

/* What a request that cannot be read comes to. */
enum failure exchange_failure_of_bad(enum http_bad bad, enum http_problem problem);

/* For http_server_init, with the host as its owner. */
extern const struct http_server_ops exchange_server_ops;

#endif

/*
 * One request to a simulated provider, from its head to the last byte of its answer: reading,
 * waiting out its latency, perhaps queueing, stalling or hanging, and writing. What the answer is
 * other modules decide (fate, answer, a dialect); this one lives through it. Calls are kept for
 * reuse. One thread, the loop's.
 */
#ifndef SIM_CALL_H
#define SIM_CALL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/sm.h"
#include "http/server.h"
#include "sim/dialect.h"
#include "sim/fate.h"
#include "sim/world.h"

/* What stands behind a request on a connection: http_server_request gives it. */
struct sim_handler {
    void (*on_body)(struct sim_handler *handler, struct span data);
    void (*on_end)(struct sim_handler *handler);
    void (*on_room)(struct sim_handler *handler);
    /* The client left, or cannot be understood any more; the handler is gone then. */
    void (*on_gone)(struct sim_handler *handler);
};

/* What all calls of a simulator share; embedded in it. */
struct sim_calls {
    struct loop *loop;
    struct sim_world *world; /* in which the next call begins */
    struct arena_pool pool;
    struct list spare; /* calls to be used again */
    size_t spare_count;
    uint64_t body_bytes; /* of requests, held by all calls */
    struct buf fields;   /* scratch for one answer's head and body */
    struct buf body;
};

enum sim_call_state {
    SIM_CALL_READING,
    SIM_CALL_WAITING,
    SIM_CALL_HANGING,
    SIM_CALL_QUEUEING,
    SIM_CALL_STALLING,
    SIM_CALL_WRITING,
    SIM_CALL_OVER
};

struct sim_call {
    struct sim_handler handler;
    struct list link; /* spare */
    struct sim_calls *calls;
    struct http_server_conn *conn; /* NULL once the answer's last byte was given */
    const struct sim_dialect *dialect;
    struct sim_world *world;
    struct sim_key *key;
    struct sim_behaviour *behaviour;
    struct sm sm;
    struct loop_timer timer;
    struct arena arena;
    struct buf body; /* the request's */
    struct buf out;  /* of the answer: made and not yet given */
    size_t given;    /* bytes at out's front that were given already */
    struct sim_route route;
    struct sim_ask ask;
    struct sim_answer answer;
    struct sim_stamp stamp;
    struct sim_fate fate;
    struct sim_failure failure; /* why it is refused, once known */
    struct rand rand;
    uint64_t whole_us;   /* when the request was whole */
    uint64_t due_us;     /* writing: of the next event; queueing: of its end */
    uint64_t told;       /* events made */
    uint64_t frames;     /* of a dialect that numbers them */
    int64_t length;      /* of the answer's body, as http_answer has it */
    size_t cut_at;       /* bytes of a plain answer before it is cut; SIZE_MAX: never */
    int status;          /* answered */
    enum sim_end end;    /* how it will have ended */
    bool is_key_refused; /* `failure` says why */
    bool is_head_given;
    bool is_made; /* all of the answer is in `out` */
    bool is_cut;  /* after `out` the connection is cut */
};

void sim_calls_init(struct sim_calls *calls, struct loop *loop);

/* All calls must be over. */
void sim_calls_fini(struct sim_calls *calls);

/* A request begins whose head the dialect has matched; it answers by itself, and is the
 * connection's request until then. */
void sim_call_begin(struct sim_calls *calls, struct http_server_conn *conn,
                    const struct http_head *head, const struct sim_dialect *dialect,
                    const struct sim_route *route);

/* Answers a failure where there is no call: a path or a request that nobody understands. */
void sim_calls_refuse(struct sim_calls *calls, struct http_server_conn *conn,
                      const struct sim_dialect *dialect, const struct sim_failure *failure);

/* --- between call.c and call_answer.c --- */

/* Moves the call; the table in call.c says where from and to. */
void sim_call_go(struct sim_call *call, enum sim_call_state next);

/* Its timer fires after so long. */
void sim_call_wait(struct sim_call *call, uint64_t wait_us);

/* Takes the call off its connection, counts how it ended and gives it back; the connection is
 * returned for what is to happen to it last. */
struct http_server_conn *sim_call_conclude(struct sim_call *call, enum sim_end end);

/* Answers the failure in call->failure and ends. */
void sim_call_fail(struct sim_call *call, enum sim_end end);

/* Ends the connection without (more of) an answer. */
void sim_call_cut(struct sim_call *call, enum sim_cut how);

/* Begins the answer that fate left: head, queueing, stalling, body. */
void sim_call_answer(struct sim_call *call);

/* Goes on where a timer or room in the connection allows it. */
void sim_call_resume(struct sim_call *call);

#endif

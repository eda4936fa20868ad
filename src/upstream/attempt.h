/*
 * An attempt: one try of an exchange on one upstream key. It gets a connection, sends the request
 * with backpressure, keeps the time-outs, and shows the answer; whether the answer is good, and
 * what follows from it, its owner decides. A kept connection that dies before any answer byte is
 * replaced by a fresh one, once; the owner does not hear of it. Embedded in the exchange (or the
 * probe); the thread of its loop. The states are tables/attempt.def.
 *
 * After on_fail, and after on_data with is_last, the owner calls attempt_end; it may do so at any
 * time.
 */
#ifndef UPSTREAM_ATTEMPT_H
#define UPSTREAM_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/secret.h"
#include "base/sm.h"
#include "dialect/outcome.h"
#include "upstream/body.h"
#include "upstream/endpoint.h"

enum attempt_state {
#define ATTEMPT(state, name, moves, meaning) ATTEMPT_##state,
#include "tables/attempt.def"
#undef ATTEMPT
    ATTEMPT_STATES,
};

struct attempt;

struct attempt_ops {
    /* The request's first byte leaves now. */
    void (*on_sent)(struct attempt *attempt);
    void (*on_head)(struct attempt *attempt, const struct http_head *head);
    /* As struct http_client_ops. */
    void (*on_data)(struct attempt *attempt, char *data, size_t len, bool is_last);
    /* It ended without a whole answer. */
    void (*on_fail)(struct attempt *attempt, enum outcome outcome);
};

/* What is sent; all of it borrowed until the attempt has ended. */
struct attempt_request {
    struct span head;   /* request line and fields, without the key's and without the empty line */
    struct span fields; /* further whole lines; may be empty */
    const struct secret *lines[2]; /* further whole lines: the key's, the provider's; NULL: none */
    const struct body *body;       /* NULL: none */
    const struct dialect_edit *edits;
    size_t edit_count;
    bool is_head_method;
    bool is_spare;          /* stands behind all others that wait for a connection */
    struct span ahead;      /* memory that the owner will use when the answer comes */
    uint64_t send_us;       /* without progress */
    uint64_t first_byte_us; /* from the request's last byte sent to attempt_note_first_byte */
    uint64_t idle_us;       /* between bytes of the answer */
    uint64_t wait_until_us; /* how long to wait for a connection where all are taken */
    uint64_t deadline_us;   /* of all of it, until attempt_commit; 0: none */
};

struct attempt {
    struct sm sm;
    const struct attempt_ops *ops;
    struct endpoint_pool *pool;
    struct attempt_request request;
    struct uplink *uplink; /* held from SENDING to the end */
    struct uplink_asker asker;
    struct loop_timer wait_timer; /* while there is no connection */
    struct loop_task unwatched;   /* ends it where a timer cannot be set */
    struct body_reader reader;
    uint64_t first_byte_by_us; /* 0: it has come, or the request is not sent yet */
    size_t stuck_bytes;
    bool is_head_sent;
    bool is_request_sent;
    bool is_answered; /* the answer is complete */
    bool was_redone;
};

void attempt_init(struct attempt *attempt, const struct attempt_ops *ops);

/* Begins; the attempt must be new or ended. Nothing is called before this returns but on_sent. */
void attempt_begin(struct attempt *attempt, struct endpoint_pool *pool, struct loop *loop,
                   const struct attempt_request *request);

/* The first byte of the answer that counts (no comment, no blank line) has come. */
void attempt_note_first_byte(struct attempt *attempt);

/* The answer goes to the client now: deadline_us no longer counts. */
void attempt_commit(struct attempt *attempt);

/* Changes the time between bytes from now on. */
void attempt_set_idle(struct attempt *attempt, uint64_t idle_us);

/* Backpressure from the client. */
void attempt_pause(struct attempt *attempt);
void attempt_resume(struct attempt *attempt);

/* Gives the connection back, or closes it where the answer is not complete. Harmless on an ended
 * one. */
void attempt_end(struct attempt *attempt);

static inline bool attempt_is_live(const struct attempt *attempt)
{
    return attempt->sm.rows && attempt->sm.state != ATTEMPT_ENDED;
}

/* Stands in line for a connection. */
static inline bool attempt_is_waiting(const struct attempt *attempt)
{
    return attempt->sm.state == ATTEMPT_WAITING;
}

#endif

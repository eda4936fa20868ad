/*
 * One provider's wire format as a table of functions: a further dialect is one more file with such
 * a table, and its row in sim_dialects. The functions are pure and write JSON or field lines into a
 * buffer that remembers its own failure. One thread.
 */
#ifndef SIM_DIALECT_H
#define SIM_DIALECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "http/head.h"
#include "sim/answer.h"
#include "sim/ask.h"
#include "sim/behaviour.h"
#include "sim/failure.h"

struct sim_route {
    enum sim_op op;
    struct span model; /* where the path names one */
    bool is_streaming; /* where the path says so */
    unsigned form;     /* the dialect's own: what else path and head say */
};

/* What is the same in all parts of one answer. */
struct sim_stamp {
    uint64_t id;
    uint64_t created_s; /* Unix seconds */
    bool is_padded;     /* events carry random padding */
    bool is_crlf;       /* their lines end with CR LF */
    bool has_usage;     /* it is told at all */
    bool is_begun;      /* a stream: an event was written before */
    uint64_t *frames;   /* of a stream: written so far, for a dialect that numbers them */
    unsigned form;      /* of the route */
};

/* Where one of an account's limits stands. */
struct sim_meter {
    uint64_t limit; /* 0: there is none */
    uint64_t remaining;
    uint64_t reset_us; /* from now */
};

struct sim_head_facts {
    uint64_t id;
    int status;    /* of the answer */
    unsigned form; /* of the route */
    uint64_t processing_us;
    struct span account;
    struct sim_meter requests, tokens;
    enum sim_reset_form reset_form;
    enum sim_retry_form retry_form;
    uint64_t retry_after_us; /* 0: none */
    uint64_t wall_us;
    bool is_stream;
};

struct sim_dialect {
    const char *name;
    struct span comment; /* a piece of a stream that means nothing */
    struct span prefix;  /* of paths that are the dialect's though it knows none; ptr NULL: none */

    /* Whether this method and path are the dialect's; the route's model borrows from the head. */
    bool (*match)(const struct http_head *head, struct sim_route *ret_route);

    /* The key the request shows; ptr NULL: none. */
    struct span (*credential)(const struct http_head *head);

    /* Reads a generation's body: 0; ERR_SYNTAX with the failure to answer; ERR_FULL or ERR_NOMEM.
     * `refused`: names of top-level fields that this provider does not know, answered with
     * `refused_status`. */
    int (*parse)(const struct sim_route *route, struct span body, const struct sim_names *refused,
                 int refused_status, struct arena *arena, struct sim_ask *ret_ask,
                 struct sim_failure *ret_failure);

    /* Returns the status. */
    int (*write_failure)(const struct sim_failure *failure, struct buf *body);

    /* As an event of a stream that began well. */
    void (*write_failure_event)(const struct sim_failure *failure, const struct sim_stamp *stamp,
                                struct buf *body);

    /* Field lines, Content-Type included. */
    void (*write_fields)(const struct sim_head_facts *facts, struct buf *fields);

    /* The whole answer. */
    void (*write_answer)(const struct sim_answer *answer, const struct sim_stamp *stamp,
                         struct buf *body);

    /* One event of a stream, with its blank line. */
    void (*write_event)(const struct sim_answer *answer, const struct sim_event *event,
                        const struct sim_stamp *stamp, struct buf *body);

    void (*write_embeddings)(const struct sim_ask *ask, const struct sim_stamp *stamp,
                             struct buf *body);
    void (*write_models)(const struct span *models, size_t count, struct buf *body);
    void (*write_model)(struct span model, struct buf *body);

    /* NULL where no route asks for it: what the ask's prompt would cost; the account's money. */
    void (*write_tokens)(const struct sim_ask *ask, struct buf *body);
    void (*write_balance)(bool has_money, struct buf *body);
};

/* All dialects, NULL behind the last. */
extern const struct sim_dialect *const sim_dialects[];

extern const struct sim_dialect sim_anthropic;
extern const struct sim_dialect sim_azure;
extern const struct sim_dialect sim_azure_responses;
extern const struct sim_dialect sim_deepseek;
extern const struct sim_dialect sim_gemini;
extern const struct sim_dialect sim_responses; /* OpenAI's, of another shape than its chats */
extern const struct sim_dialect sim_openai;

/* What stands behind "Authorization: Bearer"; ptr NULL: nothing. */
struct span sim_credential_bearer(const struct http_head *head);

#endif

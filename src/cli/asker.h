/*
 * Asks one server again and again, one request at a time, over a connection that is kept: the
 * demo's clients, and its view of the admin API. Embedded in its owner, who says when to ask next.
 * The thread of the loop.
 */
#ifndef CLI_ASKER_H
#define CLI_ASKER_H

#include "base/buf.h"
#include "http/client.h"

struct asker;

/* What was answered, borrowed for the call. */
struct asker_answer {
    int status;      /* 0: none came, for the reason `err` */
    int err;         /* enum err */
    struct span key; /* over which the gateway answered; empty: it did not say */
    struct span body;
};

struct asker {
    struct http_client client;
    struct http_head head;
    struct loop *loop;
    struct addr addr;
    /* Called once for each request, never before asker_ask has returned; it may ask again. */
    void (*on_answer)(struct asker *asker, const struct asker_answer *answer);
    struct loop_task told;
    struct buf request, body;
    char key[64];
    int status, err;
    bool is_asking; /* until the answer is complete */
    bool is_kept; /* the connection was used before: where it turns out to be dead, another is made
                   */
};

/* addr is copied. */
void asker_init(struct asker *asker, struct loop *loop, const struct addr *addr,
                void (*on_answer)(struct asker *asker, const struct asker_answer *answer));

/* What is under way ends untold. Harmless on a zeroed one. */
void asker_fini(struct asker *asker);

/* body: JSON, or "" for none. Not while one is under way. */
void asker_ask(struct asker *asker, const char *method, const char *path, const char *body);

#endif

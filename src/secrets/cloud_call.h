/*
 * One request to a cloud's API, with its answer: asked again, a few times within seconds, where the
 * server is busy, and where it failed and asking twice does no harm. No redirect is followed, so
 * that no token is taken elsewhere. Embedded in its owner; control thread.
 */
#ifndef SECRETS_CLOUD_CALL_H
#define SECRETS_CLOUD_CALL_H

#include "secrets/fetch.h"

enum { CLOUD_LINES_MAX = 12 };

/* What all requests to one place have in common; borrowed from its owner, who outlives them. */
struct cloud_server {
    struct loop *loop;
    struct fetcher *fetcher;
    const char *ca_file; /* NULL: the system's certificates */
    uint64_t connect_us, total_us;
    /* An answer says "later", and nothing was done; NULL: that is 429 and 503. */
    bool (*is_busy)(int status, struct span body);
};

/* A request as it is written: cloud_question_init, and what follows. */
struct cloud_question {
    const char *method;
    struct buf url;     /* whole */
    struct buf lines;   /* header lines, each with a NUL behind it; secret */
    struct buf body;    /* secret */
    bool is_repeatable; /* it may be asked again where nobody knows whether it was done */
};

/* What came of it; borrowed for the call. */
struct cloud_reply {
    int err;         /* 0: there is an answer, of whatever status */
    const char *why; /* with err */
    int status;
    struct span body;
};

struct cloud_call {
    const struct cloud_server *server; /* NULL: not under way */
    void (*on_done)(struct cloud_call *call, const struct cloud_reply *reply);
    struct fetch fetch;
    struct loop_timer timer;
    struct cloud_question question;
    const char *fields[CLOUD_LINES_MAX + 1];
    unsigned tries;
};

void cloud_question_init(struct cloud_question *question, const char *method);
void cloud_question_fini(struct cloud_question *question);

/* Adds a header line "NAME: VALUE"; a failure is remembered by the buffer. */
void cloud_question_line(struct cloud_question *question, const char *name, struct span value);

/* The first failure of all its buffers: 0, ERR_FULL or ERR_NOMEM. */
int cloud_question_err(const struct cloud_question *question);

/* Begins; set on_done before. Takes the question over, and leaves an empty one, in any case. 0 or
 * ERR_NOMEM, in which nothing is under way. */
int cloud_call_begin(struct cloud_call *call, const struct cloud_server *server,
                     struct cloud_question *question);

/* Harmless where nothing is under way. */
void cloud_call_cancel(struct cloud_call *call);

#endif

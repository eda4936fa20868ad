/*
 * HTTP requests of the control thread to the outside: to token servers, one small answer each, and
 * to wherever clients say that an image is.
 * libcurl does the work, driven by our loop: its sockets stand in an epoll set of its own, which is
 * one descriptor of the loop, as libcurl leaves bytes behind that an edge would not tell of again.
 * libcurl is set up by the first request and put away after the last, so that between two renewals
 * it holds neither memory nor connections. The thread of the loop; nothing waits.
 *
 * TLS is verified against the system's certificates; no redirect is followed unless that is asked
 * for, no proxy and no .netrc asked; time and size of an answer are bounded.
 */
#ifndef SECRETS_FETCH_H
#define SECRETS_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/span.h"
#include "io/loop.h"

struct fetcher;

enum {
    FETCH_ANSWER_MAX_BYTES = 64 << 10,
    FETCH_WORDS_BYTES = 256,
    FETCH_TYPE_BYTES = 128,
};

struct fetch_ask {
    const char *url;           /* http or https */
    const char *const *fields; /* whole lines without their end; ends with NULL */
    const char *method;        /* "GET", "DELETE", ...; a GET has no body */
    struct span body;          /* of any other; borrowed until the end */
    /* Connections go to public addresses only (addr_is_public), checked at the socket, so that no
     * name and no redirect leads elsewhere. */
    bool is_public;
    unsigned redirects;  /* that are followed, over http and https; 0: none */
    const char *ca_file; /* trusted in place of the system's certificates; borrowed until the end;
                            NULL: the system's */
    uint64_t max_bytes;  /* of the answer; 0: FETCH_ANSWER_MAX_BYTES */
    uint64_t connect_us; /* name, TCP, TLS */
    uint64_t total_us;
};

/* What came of it; borrowed for the call. */
struct fetch_answer {
    /* 0: there is an answer; else ERR_TIMEOUT, ERR_RESOLVE, ERR_TLS, ... ERR_FULL: it is too large;
     * ERR_DENIED: is_public, and the address is not; ERR_RANGE: too many redirects. */
    int err;
    const char *why; /* with err, libcurl's words, which may name addresses; no durations */
    int status;
    struct span type;     /* its Content-Type; empty: none, or a very long one */
    struct span body;     /* empty where on_bytes took it */
    const char *redirect; /* the whole URL that it leads to, where it was not followed; or NULL */
    uint64_t retry_after_us; /* as the server said; 0: it did not */
};

/* One request. Embedded in its owner; zeroed before its first use, and between two. */
struct fetch {
    struct fetcher *fetcher; /* NULL: not under way */
    /* Called once, never before fetch_begin has returned; the fetch may then begin anew. */
    void (*on_done)(struct fetch *fetch, const struct fetch_answer *answer);
    /* Where it is not NULL it takes the answer's body as it comes: 0, or an error that ends the
     * fetch with ERR_FULL. It may end no fetch itself. */
    int (*on_bytes)(struct fetch *fetch, struct span bytes);
    struct list link;
    void *easy;   /* CURL */
    void *fields; /* struct curl_slist */
    struct buf answer;
    const char *ca_file;
    size_t head_bytes;
    bool is_too_large;
    bool is_denied; /* an address was, that is not public */
    char type[FETCH_TYPE_BYTES];
    char why[FETCH_WORDS_BYTES];
};

/* NULL without memory or descriptors. */
struct fetcher *fetcher_new(struct loop *loop);

/* Requests under way end untold. Accepts NULL. */
void fetcher_free(struct fetcher **fetcher);

/* Nothing is under way. While something is, the world's time counts, on a virtual clock too. */
bool fetcher_is_idle(const struct fetcher *fetcher);

/* Begins; set on_done before. 0 or ERR_NOMEM, in which nothing is under way. */
int fetch_begin(struct fetch *fetch, struct fetcher *fetcher, const struct fetch_ask *ask);

/* Ends it untold. Harmless on one that is not under way. */
void fetch_cancel(struct fetch *fetch);

#endif

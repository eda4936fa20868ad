/*
 * HTTP requests of the control thread to the outside: to token servers, one small answer each.
 * libcurl does the work, driven by our loop: its sockets stand in an epoll set of its own, which is
 * one descriptor of the loop, as libcurl leaves bytes behind that an edge would not tell of again.
 * libcurl is set up by the first request and put away after the last, so that between two renewals
 * it holds neither memory nor connections. The thread of the loop; nothing waits.
 *
 * TLS is verified against the system's certificates; no redirect is followed, no proxy and no
 * .netrc asked; time and size of an answer are bounded.
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

enum { FETCH_ANSWER_MAX_BYTES = 64 << 10, FETCH_WORDS_BYTES = 256 };

/* A POST. */
struct fetch_ask {
    const char *url;           /* http or https */
    const char *const *fields; /* whole lines without their end; ends with NULL */
    struct span body;          /* borrowed until the end */
    uint64_t connect_us;       /* name, TCP, TLS */
    uint64_t total_us;
};

/* What came of it; borrowed for the call. */
struct fetch_answer {
    int err;         /* 0: there is an answer; else ERR_TIMEOUT, ERR_RESOLVE, ERR_TLS, ... */
    const char *why; /* with err, libcurl's own words */
    int status;
    struct span body;
    uint64_t retry_after_us; /* as the server said; 0: it did not */
};

/* One request. Embedded in its owner; zeroed before its first use, and between two. */
struct fetch {
    struct fetcher *fetcher; /* NULL: not under way */
    /* Called once, never before fetch_begin has returned; the fetch may then begin anew. */
    void (*on_done)(struct fetch *fetch, const struct fetch_answer *answer);
    struct list link;
    void *easy;   /* CURL */
    void *fields; /* struct curl_slist */
    struct buf answer;
    size_t head_bytes;
    bool is_too_large;
    char why[FETCH_WORDS_BYTES];
};

/* NULL without memory or descriptors. */
struct fetcher *fetcher_new(struct loop *loop);

/* Requests under way end untold. Accepts NULL. */
void fetcher_free(struct fetcher **fetcher);

/* Begins; set on_done before. 0 or ERR_NOMEM, in which nothing is under way. */
int fetch_begin(struct fetch *fetch, struct fetcher *fetcher, const struct fetch_ask *ask);

/* Ends it untold. Harmless on one that is not under way. */
void fetch_cancel(struct fetch *fetch);

#endif

/*
 * Names to addresses by getaddrinfo on helper threads of its own (io/helpers), so that no loop ever
 * waits for DNS. Literal addresses are answered at once. One resolver serves all loops of the
 * process.
 */
#ifndef IO_RESOLVE_H
#define IO_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "io/addr.h"
#include "io/helpers.h"

struct resolver;

enum { RESOLVE_MAX_ADDRS = 16 };

/* Made by the asker, answered in its own loop (job.loop); must live until on_done. */
struct resolve_query {
    struct helper_job job;
    char host[256];
    uint16_t port;
    void (*on_done)(struct resolve_query *query);
    int err;                              /* 0, ERR_RESOLVE, ERR_FULL (queue), ERR_NOMEM */
    struct addr addrs[RESOLVE_MAX_ADDRS]; /* families interleaved, as RFC 8305 section 4 */
    size_t count;
};

/* NULL without memory or thread. */
struct resolver *resolver_new(size_t max_queued);

/* Waits for the queries under way; the others are answered with ERR_CANCELLED. Accepts NULL. */
void resolver_free(struct resolver **resolver);

/* host: name or literal. on_done is always called, by mail in job.loop, never before this
 * returns. */
void resolver_ask(struct resolver *resolver, struct resolve_query *query);

#endif

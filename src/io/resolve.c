#include "io/resolve.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"

/* Names whose servers do not answer hold up the others only when there are as many of them. */
enum { THREADS = 4 };

struct resolver {
    struct helpers *helpers;
};

static void on_done(struct helper_job *job, int err)
{
    struct resolve_query *query = container_of(job, struct resolve_query, job);

    if (err)
        query->err = err;
    query->on_done(query);
}

/* Takes the next address of the family from *list. */
static bool take(struct resolve_query *query, const struct addrinfo **list, int family)
{
    const struct addrinfo *info = *list;

    while (info && info->ai_family != family)
        info = info->ai_next;
    *list = info ? info->ai_next : NULL;
    if (!info || info->ai_addrlen > sizeof(struct sockaddr_storage) ||
        query->count >= RESOLVE_MAX_ADDRS)
        return false;
    memcpy(&query->addrs[query->count].storage, info->ai_addr, info->ai_addrlen);
    query->addrs[query->count++].len = info->ai_addrlen;
    return true;
}

/* RFC 8305 section 4: the families take turns, beginning with the one the system prefers. */
static void interleave(struct resolve_query *query, const struct addrinfo *found)
{
    const struct addrinfo *a = found, *b = found;
    int first = found->ai_family;
    int second = first == AF_INET6 ? AF_INET : AF_INET6;
    bool has_more = true;

    while (has_more) {
        has_more = take(query, &a, first);
        has_more |= take(query, &b, second);
    }
}

static void look_up(struct helper_job *job)
{
    struct resolve_query *query = container_of(job, struct resolve_query, job);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char port[8];

    snprintf(port, sizeof(port), "%u", query->port);
    if (getaddrinfo(query->host, port, &hints, &found) == 0 && found)
        interleave(query, found);
    if (found)
        freeaddrinfo(found);
    query->err = query->count ? 0 : ERR_RESOLVE;
}

struct resolver *resolver_new(size_t max_queued)
{
    struct resolver *resolver = mem_zalloc(1, sizeof(*resolver));

    if (!resolver)
        return NULL;
    resolver->helpers = helpers_new(THREADS, max_queued);
    if (!resolver->helpers)
        resolver_free(&resolver);
    return resolver;
}

void resolver_free(struct resolver **resolver)
{
    struct resolver *r = *resolver;

    if (!r)
        return;
    helpers_free(&r->helpers);
    mem_free(r);
    *resolver = NULL;
}

void resolver_ask(struct resolver *resolver, struct resolve_query *query)
{
    query->job.is_spare = false;
    query->job.work = look_up;
    query->job.on_done = on_done;
    query->err = 0;
    query->count = 0;
    if (addr_from_ip(span_from_text(query->host), query->port, &query->addrs[0]) == 0) {
        query->count = 1;
        helper_job_return(&query->job, 0);
        return;
    }
    helpers_ask(resolver->helpers, &query->job);
}

#include "io/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"

/* Names whose servers do not answer hold up the others only when there are as many of them. */
enum { THREADS = 4 };

struct resolver {
    pthread_t threads[THREADS];
    size_t thread_count;
    pthread_mutex_t lock; /* guards what follows; taken alone */
    pthread_cond_t news;
    struct resolve_query *first, **last;
    size_t queued, max_queued;
    bool is_ending;
};

static void on_arrival(struct loop_mail *mail)
{
    struct resolve_query *query = container_of(mail, struct resolve_query, mail);

    query->on_done(query);
}

static void answer(struct resolve_query *query, int err)
{
    query->err = err;
    query->mail.on_arrival = on_arrival;
    loop_post(query->loop, &query->mail);
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

static void look_up(struct resolve_query *query)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char port[8];

    query->count = 0;
    snprintf(port, sizeof(port), "%u", query->port);
    if (getaddrinfo(query->host, port, &hints, &found) == 0 && found)
        interleave(query, found);
    if (found)
        freeaddrinfo(found);
    answer(query, query->count ? 0 : ERR_RESOLVE);
}

static struct resolve_query *next_query(struct resolver *resolver)
{
    struct resolve_query *query = NULL;

    pthread_mutex_lock(&resolver->lock);
    while (!resolver->first && !resolver->is_ending)
        pthread_cond_wait(&resolver->news, &resolver->lock);
    if (!resolver->is_ending) {
        query = resolver->first;
        resolver->first = query->next;
        if (!resolver->first)
            resolver->last = &resolver->first;
        resolver->queued--;
    }
    pthread_mutex_unlock(&resolver->lock);
    return query;
}

static void *run(void *arg)
{
    struct resolver *resolver = arg;
    struct resolve_query *query;

    while ((query = next_query(resolver)))
        look_up(query);
    return NULL;
}

struct resolver *resolver_new(size_t max_queued)
{
    struct resolver *resolver = mem_zalloc(1, sizeof(*resolver));

    if (!resolver)
        return NULL;
    pthread_mutex_init(&resolver->lock, NULL);
    pthread_cond_init(&resolver->news, NULL);
    resolver->last = &resolver->first;
    resolver->max_queued = max_queued;
    while (resolver->thread_count < THREADS &&
           pthread_create(&resolver->threads[resolver->thread_count], NULL, run, resolver) == 0)
        resolver->thread_count++;
    /* Fewer than wished for do as well. */
    if (resolver->thread_count == 0)
        resolver_free(&resolver);
    return resolver;
}

void resolver_free(struct resolver **resolver)
{
    struct resolver *r = *resolver;

    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->is_ending = true;
    pthread_cond_broadcast(&r->news);
    pthread_mutex_unlock(&r->lock);
    for (size_t i = 0; i < r->thread_count; i++)
        pthread_join(r->threads[i], NULL);
    while (r->first) {
        struct resolve_query *query = r->first;

        r->first = query->next;
        answer(query, ERR_CANCELLED);
    }
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->news);
    mem_free(r);
    *resolver = NULL;
}

void resolver_ask(struct resolver *resolver, struct resolve_query *query)
{
    bool is_full;

    query->next = NULL;
    query->count = 0;
    if (addr_from_ip(span_from_text(query->host), query->port, &query->addrs[0]) == 0) {
        query->count = 1;
        answer(query, 0);
        return;
    }
    pthread_mutex_lock(&resolver->lock);
    is_full = resolver->queued >= resolver->max_queued || resolver->is_ending;
    if (!is_full) {
        *resolver->last = query;
        resolver->last = &query->next;
        resolver->queued++;
        pthread_cond_signal(&resolver->news);
    }
    pthread_mutex_unlock(&resolver->lock);
    if (is_full)
        answer(query, ERR_FULL);
}

/*
 * What operators were told of an endpoint, and whether there is news: its breaker, the rest that it
 * asked for, its TLS. Whoever finds a change asks here whether to tell it, so that one line says it
 * however many workers see it. Embedded in the endpoint; any thread.
 */
#ifndef UPSTREAM_ENDPOINT_NEWS_H
#define UPSTREAM_ENDPOINT_NEWS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "limits/breaker.h"

/* How long after one TLS failure was told the next one is: where each of a name's addresses fails
 * in a way of its own, or only some do, each connection would be news. */
#define ENDPOINT_NEWS_TLS_US UINT64_C(10000000)

/* Relaxed all of it, for it guards nothing: who reads late tells late. */
struct endpoint_news {
    atomic_uint breaker;            /* enum breaker_state, as told */
    atomic_bool is_resting;         /* as told */
    _Atomic(const char *) tls;      /* why TLS failed last, a static text; NULL: it works */
    _Atomic(const char *) tls_told; /* likewise, as told */
    _Atomic uint64_t tls_told_us;   /* when a failure was; 0: never */
};

void endpoint_news_init(struct endpoint_news *news);

/* TLS with it failed for this reason, a static text; NULL: it works. */
void endpoint_news_note_tls(struct endpoint_news *news, const char *reason);

/* True where all is well and was told so. One line of a cache is read, none is written. */
static inline bool endpoint_news_is_calm(const struct endpoint_news *news)
{
    return atomic_load_explicit(&news->breaker, memory_order_relaxed) == BREAKER_CLOSED &&
           !atomic_load_explicit(&news->is_resting, memory_order_relaxed) &&
           !atomic_load_explicit(&news->tls, memory_order_relaxed) &&
           !atomic_load_explicit(&news->tls_told, memory_order_relaxed);
}

/* Each: true where this is to be told, and then it counts as told. Of several callers one is told
 * so. */
bool endpoint_news_take_breaker(struct endpoint_news *news, enum breaker_state state);
bool endpoint_news_take_rest(struct endpoint_news *news, bool is_resting);
/* *ret_reason: why it fails; NULL: it works again. */
bool endpoint_news_take_tls(struct endpoint_news *news, uint64_t now_us, const char **ret_reason);

#endif

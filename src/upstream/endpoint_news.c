#include "upstream/endpoint_news.h"

#include <stddef.h>

void endpoint_news_init(struct endpoint_news *news)
{
    atomic_init(&news->breaker, BREAKER_CLOSED);
    atomic_init(&news->is_resting, false);
    atomic_init(&news->tls, NULL);
    atomic_init(&news->tls_told, NULL);
    atomic_init(&news->tls_told_us, 0);
}

void endpoint_news_note_tls(struct endpoint_news *news, const char *reason)
{
    if (atomic_load_explicit(&news->tls, memory_order_relaxed) != reason)
        atomic_store_explicit(&news->tls, reason, memory_order_relaxed);
}

bool endpoint_news_take_breaker(struct endpoint_news *news, enum breaker_state state)
{
    return atomic_load_explicit(&news->breaker, memory_order_relaxed) != state &&
           atomic_exchange_explicit(&news->breaker, state, memory_order_relaxed) != state;
}

bool endpoint_news_take_rest(struct endpoint_news *news, bool is_resting)
{
    return atomic_load_explicit(&news->is_resting, memory_order_relaxed) != is_resting &&
           atomic_exchange_explicit(&news->is_resting, is_resting, memory_order_relaxed) !=
               is_resting;
}

bool endpoint_news_take_tls(struct endpoint_news *news, uint64_t now_us, const char **ret_reason)
{
    const char *reason = atomic_load_explicit(&news->tls, memory_order_relaxed);
    const char *told = atomic_load_explicit(&news->tls_told, memory_order_relaxed);
    uint64_t told_us = atomic_load_explicit(&news->tls_told_us, memory_order_relaxed);

    if (reason == told || (reason && told_us && now_us < told_us + ENDPOINT_NEWS_TLS_US))
        return false;
    if (!atomic_compare_exchange_strong_explicit(&news->tls_told, &told, reason,
                                                 memory_order_relaxed, memory_order_relaxed))
        return false;
    if (reason)
        atomic_store_explicit(&news->tls_told_us, now_us, memory_order_relaxed);
    *ret_reason = reason;
    return true;
}

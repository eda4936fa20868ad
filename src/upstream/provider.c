#include "upstream/provider.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"

struct provider {
    char *name;
    struct keypool *keys;
    struct waiting_room *waiting;
    struct shortage shortage;
    pthread_mutex_t models_lock; /* held to take or give one reference, never longer */
    struct model_list *models;
    atomic_uint refs; /* acquire-release on the last drop */
};

struct provider *provider_new(struct span name, uint32_t workers, struct secret_arena *secrets)
{
    struct provider *provider = mem_zalloc(1, sizeof(*provider));

    if (!provider)
        return NULL;
    atomic_init(&provider->refs, 1);
    pthread_mutex_init(&provider->models_lock, NULL);
    provider->name = mem_strdup(name.ptr, name.len);
    provider->waiting = waiting_room_new(PROVIDER_MAX_WAITING, workers);
    provider->keys = keypool_new(name, workers, secrets);
    if (!provider->name || !provider->waiting || !provider->keys)
        provider_unref(&provider);
    return provider;
}

struct provider *provider_ref(struct provider *provider)
{
    atomic_fetch_add_explicit(&provider->refs, 1, memory_order_relaxed);
    return provider;
}

void provider_unref(struct provider **provider)
{
    struct provider *p = *provider;

    *provider = NULL;
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    keypool_free(&p->keys);
    waiting_room_free(&p->waiting);
    model_list_unref(&p->models);
    pthread_mutex_destroy(&p->models_lock);
    mem_free(p->name);
    mem_free(p);
}

struct span provider_name(const struct provider *provider)
{
    return span_from_text(provider->name);
}

struct keypool *provider_keys(struct provider *provider)
{
    return provider->keys;
}

struct waiting_room *provider_waiting(struct provider *provider)
{
    return provider->waiting;
}

struct shortage *provider_shortage(struct provider *provider)
{
    return &provider->shortage;
}

struct model_list *provider_models(struct provider *provider)
{
    struct model_list *models;

    pthread_mutex_lock(&provider->models_lock);
    models = provider->models ? model_list_ref(provider->models) : NULL;
    pthread_mutex_unlock(&provider->models_lock);
    return models;
}

void provider_set_models(struct provider *provider, struct model_list *models)
{
    struct model_list *old;

    pthread_mutex_lock(&provider->models_lock);
    old = provider->models;
    provider->models = models;
    pthread_mutex_unlock(&provider->models_lock);
    model_list_unref(&old);
}

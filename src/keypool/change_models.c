#include "base/err.h"
#include "base/map.h"
#include "keypool/change.h"
#include "keypool/key_body.h"

/* What the key may use up of models, of itself or as all keys of its provider. */
struct declared {
    const struct conf_limits_by_model *own, *common;
    size_t at;
};

static bool names(const struct conf_limits_by_model *list, struct span model)
{
    for (size_t i = 0; i < list->count; i++) {
        if (span_is_equal(list->items[i].model, model))
            return true;
    }
    return false;
}

static struct declared declared_of(const struct keypool_change *change, const struct conf_key *conf)
{
    return (struct declared){&conf->model_limits, &change->provider->model_limits, 0};
}

/* The next; NULL at the end. Its own word on a model counts alone. */
static const struct conf_limits_of *next_declared(struct declared *declared)
{
    while (declared->at < declared->own->count + declared->common->count) {
        size_t at = declared->at++;
        const struct conf_limits_of *common;

        if (at < declared->own->count)
            return &declared->own->items[at];
        common = &declared->common->items[at - declared->own->count];
        if (!names(declared->own, common->model))
            return common;
    }
    return NULL;
}

/* Where the quotas of single models stand: with the account, where keys share them. */
static _Atomic(struct model_quota *) *model_quotas_of(struct key *key, struct account *account)
{
    return account ? &account->model_quotas : &key->control.own_model_quotas;
}

/* Makes those that there are not yet. */
int change_prepare_models(struct keypool_change *change, const struct conf_key *conf,
                          struct key *key, uint32_t at)
{
    struct model_quota *list = atomic_load(model_quotas_of(key, change->accounts[at]));
    struct declared declared = declared_of(change, conf);
    const struct conf_limits_of *one;

    while ((one = next_declared(&declared))) {
        struct model_quota *made;

        if (model_quota_find(list, map_hash(one->model)))
            continue;
        made = model_quota_new(one->model);
        if (!made)
            return ERR_NOMEM;
        made->next = change->model_quotas[at];
        change->model_quotas[at] = made;
    }
    return 0;
}

/* ---- taking effect ---- */

/* Those that are declared no longer limit nothing. */
static void set_numbers(struct keypool_change *change, struct model_quota *first)
{
    struct keypool *pool = change->pool;

    for (; first; first = first->next) {
        quota_set(&first->quota, &first->merging, change->provider->limits.margin_ppm);
        if (quota_is_declared(&first->merging))
            atomic_store_explicit(&pool->shared.has_model_limits, true, memory_order_relaxed);
        if (first->merging.tpm)
            atomic_store_explicit(&pool->shared.has_tpm, true, memory_order_relaxed);
    }
}

/* What is used up of the list that the key had counts in that which it has now. */
static void inherit(const struct keypool_change *change, struct model_quota *first,
                    struct model_quota *old, bool is_whole)
{
    for (; first; first = first->next) {
        struct model_quota *before = model_quota_find(old, first->model_hash);

        if (before && before != first)
            quota_inherit(&first->quota, &before->quota, is_whole, change->now_us);
    }
}

void change_set_models(struct keypool_change *change, uint32_t at)
{
    struct key *key = change->roster->entries[at].key;
    struct model_quota *first = atomic_load(model_quotas_of(key, change->accounts[at]));
    struct model_quota *old = key_model_quotas(key);

    set_numbers(change, first);
    atomic_store_explicit(&key->shared.model_quotas, first, memory_order_release);
    /* After the new ones are known to all, as in set_limits. */
    inherit(change, first, old, old == atomic_load(&key->control.own_model_quotas));
}

static void begin_merge(struct model_quota *first)
{
    for (; first; first = first->next)
        first->merging = (struct conf_limits){.rpm = 0};
}

static struct model_quota *list_of(const struct keypool_change *change, uint32_t at)
{
    return atomic_load(model_quotas_of(change->roster->entries[at].key, change->accounts[at]));
}

/* Keys of one account share the least of what they declare of a model, too. */
static void merge_key(struct keypool_change *change, uint32_t at)
{
    struct declared declared = declared_of(change, change->inputs[at].conf);
    const struct conf_limits_of *one;

    while ((one = next_declared(&declared))) {
        struct model_quota *quota = model_quota_find(list_of(change, at), map_hash(one->model));

        quota->merging = quota_merge(&quota->merging, &one->limits);
    }
}

void change_merge_models(struct keypool_change *change)
{
    uint32_t count = change->roster->count;

    for (uint32_t i = 0; i < count; i++)
        model_quota_adopt(model_quotas_of(change->roster->entries[i].key, change->accounts[i]),
                          &change->model_quotas[i]);
    for (uint32_t i = 0; i < count; i++)
        begin_merge(list_of(change, i));
    for (uint32_t i = 0; i < count; i++)
        merge_key(change, i);
}

#include "base/err.h"
#include "base/map.h"
#include "keypool/change.h"
#include "keypool/key_body.h"

/* What the key may use up of models, of itself or as all keys of its provider. */
struct declared {
    const struct conf_limits_by_model *own, *common;
    const struct conf_strings *served; /* what is said of all keys of others is left out */
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
    return (struct declared){&conf->model_limits, &change->provider->model_limits, &conf->models,
                             0};
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
        if (!names(declared->own, common->model) &&
            conf_strings_match(declared->served, common->model))
            return common;
    }
    return NULL;
}

/* Where the quotas of single models stand: with the account, where keys share them. */
struct owner {
    _Atomic(struct model_quotas *) *place;
    struct model_quotas **fresh;
};

static struct owner owner_of(struct keypool_change *change, uint32_t at)
{
    struct account *account = change->accounts[at];

    if (account)
        return (struct owner){&account->model_quotas, &account->fresh_models};
    return (struct owner){&change->roster->entries[at].key->control.own_model_quotas,
                          &change->model_quotas[at]};
}

static struct model_quotas *table_of(struct keypool_change *change, uint32_t at)
{
    return atomic_load(owner_of(change, at).place);
}

/* Makes those that there are not yet. */
int change_prepare_models(struct keypool_change *change, const struct conf_key *conf, uint32_t at)
{
    struct owner owner = owner_of(change, at);
    struct declared declared = declared_of(change, conf);
    const struct conf_limits_of *one;
    int err = 0;

    while (!err && (one = next_declared(&declared)))
        err = model_quotas_add(owner.fresh, atomic_load(owner.place), one->model);
    return err;
}

void change_drop_models(struct keypool_change *change)
{
    if (!change->roster || !change->model_quotas || !change->accounts)
        return;
    for (uint32_t i = 0; i < change->roster->count; i++)
        model_quotas_drop(owner_of(change, i).fresh, table_of(change, i));
}

/* ---- taking effect ---- */

/* Those that are declared no longer limit nothing. */
static void set_numbers(struct keypool_change *change, const struct model_quotas *table)
{
    struct keypool *pool = change->pool;

    for (uint32_t i = 0; table && i < table->count; i++) {
        struct model_quota *item = table->rows[i].item;

        quota_set(&item->quota, &item->merging, change->provider->limits.margin_ppm);
        if (quota_is_declared(&item->merging))
            keypool_note_limited(pool, table->rows[i].model_hash);
        if (item->merging.tpm)
            atomic_store_explicit(&pool->shared.has_tpm, true, memory_order_relaxed);
    }
}

/* What is used up of the table that the key had counts in that which it has now. */
static void inherit(const struct keypool_change *change, const struct model_quotas *table,
                    const struct model_quotas *old, bool is_whole)
{
    for (uint32_t i = 0; old && table && i < table->count; i++) {
        struct model_quota *item = table->rows[i].item;
        struct model_quota *before = model_quotas_find(old, table->rows[i].model_hash);

        if (before && before != item)
            quota_inherit(&item->quota, &before->quota, is_whole, change->now_us);
    }
}

void change_set_models(struct keypool_change *change, uint32_t at)
{
    struct key *key = change->roster->entries[at].key;
    struct model_quotas *table = table_of(change, at), *old = key_model_quotas(key);

    set_numbers(change, table);
    atomic_store_explicit(&key->shared.model_quotas, table, memory_order_release);
    /* After the new ones are known to all, as in set_limits. */
    inherit(change, table, old, old == atomic_load(&key->control.own_model_quotas));
}

static void begin_merge(const struct model_quotas *table)
{
    for (uint32_t i = 0; table && i < table->count; i++)
        table->rows[i].item->merging = (struct conf_limits){.rpm = 0};
}

/* Keys of one account share the least of what they declare of a model, too. */
static void merge_key(struct keypool_change *change, uint32_t at)
{
    const struct model_quotas *table = table_of(change, at);
    struct declared declared = declared_of(change, change->inputs[at].conf);
    const struct conf_limits_of *one;

    while ((one = next_declared(&declared))) {
        struct model_quota *item = model_quotas_find(table, map_hash(one->model));

        item->merging = quota_merge(&item->merging, &one->limits);
    }
}

void change_merge_models(struct keypool_change *change)
{
    uint32_t count = change->roster->count;

    for (uint32_t i = 0; i < count; i++) {
        struct owner owner = owner_of(change, i);

        model_quotas_publish(owner.place, owner.fresh);
    }
    for (uint32_t i = 0; i < count; i++)
        begin_merge(table_of(change, i));
    for (uint32_t i = 0; i < count; i++)
        merge_key(change, i);
}

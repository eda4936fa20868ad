#include "base/alloc.h"
#include "base/err.h"
#include "keypool/change.h"
#include "keypool/key_body.h"

static const struct conf_key nameless = {
    .name = {"none", 4},
    .weight = 1,
};

static enum key_health first_health(const struct keypool_change *change,
                                    const struct conf_key *conf, const struct keypool_extra *extra)
{
    if (conf->credential)
        return KEY_NEW; /* until there is a token */
    if (!conf->secret)
        return KEY_HEALTHY;
    if (extra && extra->wish == KEY_DRAINED)
        return KEY_NEW; /* it has no requests that could prove it: a probe is to */
    return change->provider->health.validate_new ? KEY_NEW : KEY_TRIAL;
}

static struct account *add_account(struct keypool *pool, struct span name)
{
    struct account *account = account_new(name);

    if (!account || map_add(&pool->account_by_name, account->name, account) != 0) {
        account_free(&account);
        return NULL;
    }
    account->next = pool->accounts;
    pool->accounts = account;
    return account;
}

/* The account of that name, made at need; it stays until the pool goes. NULL without memory. */
static struct account *find_account(struct keypool *pool, struct span name)
{
    struct account *account;

    pthread_mutex_lock(&pool->lock);
    account = map_find(&pool->account_by_name, name);
    if (!account)
        account = add_account(pool, name);
    pthread_mutex_unlock(&pool->lock);
    return account;
}

/* Whether it needs a quota of its own, which it has not yet. */
static bool lacks_quota(const struct keypool_change *change, const struct key *key,
                        const struct conf_key *conf)
{
    return (quota_is_declared(&conf->limits) || change->provider->adaptive) && !conf->account.len &&
           !key->control.own_quota;
}

/* Makes all that one key needs, without changing what is in force. The roster owns the key at once,
 * so that it goes where anything fails. */
static int prepare_key(struct keypool_change *change, const struct conf_key *conf,
                       const struct keypool_extra *extra, struct key *key)
{
    uint32_t at = change->roster->count++;
    int err;

    change->roster->entries[at].key = key;
    change->inputs[at] =
        (struct roster_input){.conf = conf, .extra = extra, .label = key_label_prepare(key, conf)};
    if (!change->inputs[at].label)
        return ERR_NOMEM;
    if (conf->account.len) {
        change->accounts[at] = find_account(change->pool, conf->account);
        if (!change->accounts[at])
            return ERR_NOMEM;
    }
    if (lacks_quota(change, key, conf)) {
        change->quotas[at] = quota_new();
        if (!change->quotas[at])
            return ERR_NOMEM;
    }
    err = change_prepare_models(change, conf, at);
    return err ? err : map_add(&change->by_identity, key_identity(key), key);
}

static struct span identity_of(const struct conf_key *conf)
{
    return span_of((const char *)conf->identity, CONF_IDENTITY_BYTES);
}

/* The key that the pool has already, or a new one. A secret that the file says twice is one key. */
static int find_or_make_key(struct keypool_change *change, const struct conf_key *conf)
{
    struct span identity = identity_of(conf);
    const struct keypool_extra *extra = map_find(&change->extra_by_identity, identity);
    struct key *key = map_find(&change->pool->by_identity, identity);
    int err = 0;

    if ((extra && extra->is_gone) || map_find(&change->by_identity, identity))
        return 0;
    if (key)
        key_ref(key);
    else
        err = key_new(change->pool, change->provider, conf, first_health(change, conf, extra),
                      change->now_us, &key);
    return err ? err : prepare_key(change, conf, extra, key);
}

static int index_extras(struct keypool_change *change)
{
    int err = 0;

    for (size_t i = 0; i < change->extras.count && !err; i++) {
        const struct keypool_extra *extra = &change->extras.items[i];

        if (!map_find(&change->extra_by_identity, identity_of(&extra->key)))
            err = map_add(&change->extra_by_identity, identity_of(&extra->key), (void *)extra);
    }
    return err;
}

/* The file's keys, and then those that it lacks. */
static int collect_keys(struct keypool_change *change)
{
    const struct conf_key_list *keys = &change->provider->keys;
    int err = index_extras(change);

    for (size_t i = 0; i < keys->count && !err; i++)
        err = find_or_make_key(change, &keys->items[i]);
    for (size_t i = 0; i < change->extras.count && !err; i++) {
        const struct conf_key *key = &change->extras.items[i].key;

        if (key->secret || key->credential)
            err = find_or_make_key(change, key);
    }
    if (!err && keys->count == 0 && change->extras.count == 0)
        err = find_or_make_key(change, &nameless);
    return err;
}

static int prepare(struct keypool_change *change)
{
    uint32_t count = change->count;
    int err = 0;

    change->inputs = mem_zalloc(count, sizeof(*change->inputs));
    change->quotas = mem_zalloc(count, sizeof(struct quota *));
    change->model_quotas = mem_zalloc(count, sizeof(struct model_quotas *));
    change->accounts = mem_zalloc(count, sizeof(struct account *));
    change->roster = roster_new(change->provider, count);
    if (!change->inputs || !change->quotas || !change->model_quotas || !change->accounts ||
        !change->roster)
        return ERR_NOMEM;
    err = collect_keys(change);
    if (!err)
        err = roster_arrange(change->roster, change->inputs);
    /* Room first, so that nothing can fail once the change has begun to show. */
    pthread_mutex_lock(&change->pool->probe_lock);
    if (!err)
        err = heap_reserve(&change->pool->probes, change->roster->count);
    pthread_mutex_unlock(&change->pool->probe_lock);
    return err;
}

/* ---- taking effect ---- */

static void set_expiry(struct key *key, const struct conf_key *conf,
                       const struct keypool_change *change)
{
    uint64_t expires_us = 0;

    if (conf->expires_wall_us > change->wall_us)
        expires_us = change->now_us + (conf->expires_wall_us - change->wall_us);
    else if (conf->expires_wall_us)
        expires_us = change->now_us ? change->now_us : 1;
    atomic_store_explicit(&key->shared.expires_us, expires_us, memory_order_relaxed);
}

/* What an operator has weighed since stays, unless something else is said now. */
static void set_weight(struct key *key, const struct roster_input *input)
{
    uint32_t most = UINT32_MAX / 1000;
    uint32_t weight = input->conf->weight < most ? input->conf->weight : most;
    uint32_t said_milli = input->extra ? input->extra->weight_milli : weight * 1000;

    if (key->control.is_listed && key->control.said_milli == said_milli)
        return;
    key->control.said_milli = said_milli;
    atomic_store_explicit(&key->shared.weight_milli, said_milli, memory_order_relaxed);
}

/* What an operator has wished since stays. */
static void set_wish(struct key *key, const struct roster_input *input, uint64_t now_us)
{
    if (!input->extra || key->control.is_listed)
        return;
    atomic_store_explicit(&key->shared.wish, input->extra->wish, memory_order_relaxed);
    /* What was kept of it from before does not bring it back. */
    if (input->extra->wish != KEY_ENABLED)
        key->control.wish_us = now_us ? now_us : 1;
}

static void change_quota(const struct keypool_change *change, struct quota *quota,
                         const struct conf_limits *limits)
{
    quota_set(quota, limits, change->provider->limits.margin_ppm);
    quota_adapt(quota, change->provider->adaptive, change->now_us);
}

static void set_limits(struct keypool_change *change, uint32_t at)
{
    struct key *key = change->roster->entries[at].key;
    const struct conf_limits *limits = &change->inputs[at].conf->limits;
    struct account *account = change->accounts[at];
    bool is_limited =
        account && (quota_is_declared(&account->merging) || change->provider->adaptive);
    struct quota *quota = is_limited ? &account->quota : NULL, *old = key_quota_of(key);

    if (limits->tpm)
        atomic_store_explicit(&key->pool->shared.has_tpm, true, memory_order_relaxed);
    if (!account) {
        if (change->quotas[at]) {
            key->control.own_quota = change->quotas[at];
            change->quotas[at] = NULL;
        }
        /* One that has a quota keeps it without limits, as grants may still hold of it. */
        quota = key->control.own_quota;
    }
    if (quota)
        change_quota(change, quota, account ? &account->merging : limits);
    atomic_store_explicit(&key->shared.account, account, memory_order_release);
    atomic_store_explicit(&key->shared.quota, quota, memory_order_release);
    /* After the new one is known to all: what a worker takes of the old one in this very moment is
     * all that it could miss. */
    if (old && quota && old != quota)
        quota_inherit(quota, old, old == key->control.own_quota, change->now_us);
}

/* Keys of one account share the least of what they declare. */
static void merge_limits(struct keypool_change *change)
{
    for (uint32_t i = 0; i < change->roster->count; i++) {
        if (change->accounts[i])
            change->accounts[i]->merging = (struct conf_limits){.rpm = 0};
    }
    for (uint32_t i = 0; i < change->roster->count; i++) {
        struct account *account = change->accounts[i];

        if (account)
            account->merging = quota_merge(&account->merging, &change->inputs[i].conf->limits);
    }
}

static void commit_key(struct keypool_change *change, uint32_t at)
{
    struct key *key = change->roster->entries[at].key;
    const struct roster_input *input = &change->inputs[at];

    atomic_store_explicit(&key->shared.label, input->label, memory_order_release);
    set_expiry(key, input->conf, change);
    set_weight(key, input);
    set_wish(key, input, change->now_us);
    set_limits(change, at);
    change_set_models(change, at);
    if (key->place >= change->roster->places)
        change->roster->places = key->place + 1;
}

/* Keys that the new roster lacks are found no more; who runs on them ends in peace. */
static void relist(struct keypool_change *change, const struct roster *old)
{
    struct keypool *pool = change->pool;

    for (uint32_t i = 0; old && i < old->count; i++) {
        struct key *key = old->entries[i].key;

        if (!map_find(&change->by_identity, key_identity(key)))
            keypool_unlist(pool, key);
    }
    pthread_mutex_lock(&pool->probe_lock);
    for (uint32_t i = 0; i < change->roster->count; i++)
        change->roster->entries[i].key->control.is_listed = true;
    pthread_mutex_unlock(&pool->probe_lock);
    map_fini(&pool->by_identity);
    pool->by_identity = change->by_identity;
    map_init(&change->by_identity, KEYPOOL_MAX_KEYS);
}

void keypool_commit(struct keypool_change **place)
{
    struct keypool_change *change = *place;
    struct keypool *pool = change->pool;
    struct roster *roster = change->roster, *old;
    uint64_t generation = atomic_load(&pool->shared.generation) + 1;

    merge_limits(change);
    change_merge_models(change);
    for (uint32_t i = 0; i < roster->count; i++)
        commit_key(change, i);
    pthread_mutex_lock(&pool->lock);
    old = pool->roster;
    relist(change, old);
    roster->generation = generation;
    pool->roster = roster_ref(roster);
    pthread_mutex_unlock(&pool->lock);
    atomic_store_explicit(&pool->shared.generation, generation, memory_order_release);
    for (uint32_t i = 0; i < roster->count; i++)
        keypool_plan_probe(pool, roster->entries[i].key, roster, change->now_us);
    roster_unref(&old);
    keypool_discard(place);
}

void keypool_discard(struct keypool_change **place)
{
    struct keypool_change *change = *place;

    *place = NULL;
    if (!change)
        return;
    for (uint32_t i = 0; change->quotas && i < change->count; i++)
        quota_free(&change->quotas[i]);
    change_drop_models(change);
    map_fini(&change->by_identity);
    map_fini(&change->extra_by_identity);
    mem_free(change->inputs);
    mem_free(change->quotas);
    mem_free(change->model_quotas);
    mem_free(change->accounts);
    roster_unref(&change->roster);
    keypool_unref(&change->pool);
    mem_free(change);
}

int keypool_prepare(struct keypool *pool, const struct conf_provider *provider,
                    const struct keypool_extras *extras, uint64_t now_us, uint64_t wall_us,
                    struct keypool_change **ret_change)
{
    size_t extra_count = extras ? extras->count : 0;
    size_t count = provider->keys.count + extra_count;
    struct keypool_change *change;
    int err;

    if (provider->keys.count > KEYPOOL_MAX_KEYS || extra_count > KEYPOOL_MAX_KEYS)
        return ERR_FULL;
    change = mem_zalloc(1, sizeof(*change));
    if (!change)
        return ERR_NOMEM;
    change->pool = keypool_ref(pool);
    change->provider = provider;
    change->now_us = now_us;
    change->wall_us = wall_us;
    change->count = count ? (uint32_t)count : 1;
    if (extras)
        change->extras = *extras;
    map_init(&change->by_identity, KEYPOOL_MAX_KEYS);
    map_init(&change->extra_by_identity, KEYPOOL_MAX_KEYS);
    err = prepare(change);
    if (err)
        keypool_discard(&change);
    else
        *ret_change = change;
    return err;
}

int keypool_apply(struct keypool *pool, const struct conf_provider *provider,
                  const struct keypool_extras *extras, uint64_t now_us, uint64_t wall_us)
{
    struct keypool_change *change;
    int err = keypool_prepare(pool, provider, extras, now_us, wall_us, &change);

    if (!err)
        keypool_commit(&change);
    return err;
}

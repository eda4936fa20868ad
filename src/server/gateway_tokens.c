/* Keys whose credential is exchanged for tokens: a source for each, whose tokens go to the keypool.
 * Sources outlive reloads as their keys do, found by the same identity. */
#include "server/gateway_inner.h"

#include "base/alloc.h"
#include "base/datetime.h"
#include "base/err.h"
#include "secrets/token_source.h"

/* One key and where its tokens come from. */
struct token_user {
    struct gateway *gateway;
    struct provider *provider;   /* holds a reference */
    struct key *key;             /* the same; NULL until it is in force */
    struct token_source *source; /* NULL: that of the plan in force, until it is taken over */
    uint8_t identity[CONF_IDENTITY_BYTES];
    bool is_missing_told;
};

struct tokens_plan {
    struct gateway *gateway;
    struct map by_identity; /* struct token_user */
    size_t count;
    struct token_user users[];
};

/* ---- what came of an exchange ---- */

static void count(const struct token_user *user, uint32_t offset)
{
    struct gateway *gateway = user->gateway;
    struct span name = provider_name(user->provider);
    uint32_t series = metrics_series(gateway->registry.metrics, METRIC_RENEWALS, &name);

    metrics_add(gateway->metrics, series + offset, 1);
}

static void tell_token(const struct token_user *user, uint64_t until_us, bool is_news)
{
    struct gateway *gateway = user->gateway;
    uint64_t now_us = loop_now_us(gateway->loop);
    char until[RFC3339_BYTES];

    datetime_write_rfc3339(
        loop_wall_us(gateway->loop) + (until_us > now_us ? until_us - now_us : 0), until);
    log_write(gateway->log, is_news ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "token of a key obtained",
              LOG_SPAN("provider", provider_name(user->provider)),
              LOG_SPAN("key", key_name(user->key)),
              LOG_SPAN("until", span_of(until, sizeof(until))));
}

static void tell_failure(const struct token_user *user, const char *why)
{
    log_write(user->gateway->log, LOG_LEVEL_WARNING, "token of a key cannot be obtained",
              LOG_SPAN("provider", provider_name(user->provider)),
              LOG_SPAN("key", key_name(user->key)), LOG_TEXT("reason", why));
}

static void on_failure(void *owner, const char *why, bool is_news)
{
    struct token_user *user = owner;
    struct gateway *gateway = user->gateway;

    count(user, METRIC_RENEWAL_FAILED);
    if (is_news)
        tell_failure(user, why);
    keypool_miss_token(provider_keys(user->provider), user->key);
    if (user->is_missing_told ||
        key_token(user->key, loop_now_us(gateway->loop)) != KEY_TOKEN_MISSING)
        return;
    user->is_missing_told = true;
    log_write(gateway->log, LOG_LEVEL_WARNING, "key is set aside: it has no token",
              LOG_SPAN("provider", provider_name(user->provider)),
              LOG_SPAN("key", key_name(user->key)));
}

static void on_token(void *owner, const struct secret *token, uint64_t until_us, bool is_news)
{
    struct token_user *user = owner;
    struct keypool_effect effect;
    int err = keypool_set_token(provider_keys(user->provider), user->key, secret_reveal(token),
                                until_us, loop_now_us(user->gateway->loop), &effect);

    /* The next comes in time, or as late as this one would have gone. */
    if (err) {
        on_failure(user, err_text(err), true);
        return;
    }
    count(user, METRIC_RENEWAL_OBTAINED);
    tell_token(user, until_us, is_news || user->is_missing_told);
    user->is_missing_told = false;
    gateway_follow(user->gateway, user->provider, &effect);
}

static const struct token_source_ops ops = {.on_token = on_token, .on_failure = on_failure};

/* ---- plans ---- */

static struct span identity_of(const uint8_t *identity)
{
    return span_of((const char *)identity, CONF_IDENTITY_BYTES);
}

static struct token_user *find_user(const struct tokens_plan *plan, const uint8_t *identity)
{
    return plan ? map_find(&plan->by_identity, identity_of(identity)) : NULL;
}

static struct token_source *new_source(struct gateway *gateway, const struct credential *credential)
{
    struct token_source_options options = {
        .loop = gateway->loop,
        .secrets = gateway->options.secrets,
        .credential = credential,
        .ops = &ops,
    };

    if (!gateway->fetcher)
        gateway->fetcher = fetcher_new(gateway->loop);
    options.fetcher = gateway->fetcher;
    return options.fetcher ? token_source_new(&options) : NULL;
}

static int add_user(struct tokens_plan *plan, struct provider *provider, const struct conf_key *key)
{
    struct token_user *user = &plan->users[plan->count++];

    *user = (struct token_user){
        .gateway = plan->gateway,
        .provider = provider_ref(provider),
    };
    memcpy(user->identity, key->identity, sizeof(user->identity));
    if (!find_user(plan->gateway->tokens, key->identity)) {
        user->source = new_source(plan->gateway, key->credential);
        if (!user->source)
            return ERR_NOMEM;
    }
    return map_add(&plan->by_identity, identity_of(user->identity), user);
}

static size_t count_credentials(const struct snapshot *snapshot)
{
    size_t credentials = 0;

    for (size_t i = 0; i < snapshot->provider_count; i++) {
        const struct conf_key_list *keys = &snapshot->providers[i].conf->keys;

        for (size_t k = 0; k < keys->count; k++)
            credentials += keys->items[k].credential != NULL;
    }
    return credentials;
}

static int add_users(struct tokens_plan *plan, const struct snapshot *snapshot)
{
    int err = 0;

    for (size_t i = 0; i < snapshot->provider_count && !err; i++) {
        const struct snapshot_provider *row = &snapshot->providers[i];

        for (size_t k = 0; k < row->conf->keys.count && !err; k++) {
            if (row->conf->keys.items[k].credential)
                err = add_user(plan, row->provider, &row->conf->keys.items[k]);
        }
    }
    return err;
}

int gateway_prepare_tokens(struct gateway *gateway, const struct snapshot *snapshot,
                           struct tokens_plan **ret_plan)
{
    size_t most = count_credentials(snapshot);
    struct tokens_plan *plan = mem_zalloc(1, sizeof(*plan) + most * sizeof(plan->users[0]));
    int err;

    if (!plan)
        return ERR_NOMEM;
    plan->gateway = gateway;
    map_init(&plan->by_identity, most + 1);
    err = add_users(plan, snapshot);
    if (err)
        gateway_discard_tokens(&plan);
    else
        *ret_plan = plan;
    return err;
}

void gateway_discard_tokens(struct tokens_plan **plan)
{
    struct tokens_plan *p = *plan;

    *plan = NULL;
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++) {
        token_source_free(&p->users[i].source);
        key_unref(&p->users[i].key);
        provider_unref(&p->users[i].provider);
    }
    map_fini(&p->by_identity);
    mem_free(p);
}

/* From the plan in force, with what it has told. */
static void take_source_over(struct token_user *user, struct token_user *old)
{
    user->source = old->source;
    user->is_missing_told = old->is_missing_told;
    old->source = NULL;
}

void gateway_commit_tokens(struct tokens_plan **plan)
{
    struct tokens_plan *fresh = *plan;
    struct gateway *gateway = fresh->gateway;

    *plan = NULL;
    for (size_t i = 0; i < fresh->count; i++) {
        struct token_user *user = &fresh->users[i];
        bool is_new = user->source != NULL;

        user->key =
            keypool_find_identity(provider_keys(user->provider), identity_of(user->identity));
        if (!is_new)
            take_source_over(user, find_user(gateway->tokens, user->identity));
        token_source_start(user->source, user);
        /* A key that left and came back begins without. */
        if (!is_new && key_token(user->key, loop_now_us(gateway->loop)) == KEY_TOKEN_AWAITED)
            token_source_want(user->source);
    }
    gateway_discard_tokens(&gateway->tokens);
    gateway->tokens = fresh;
}

void gateway_look_at_tokens(struct gateway *gateway, const struct provider *provider)
{
    for (size_t i = 0; gateway->tokens && i < gateway->tokens->count; i++) {
        const struct token_user *user = &gateway->tokens->users[i];

        if (user->provider == provider &&
            key_token(user->key, loop_now_us(gateway->loop)) == KEY_TOKEN_AWAITED)
            token_source_want(user->source);
    }
}

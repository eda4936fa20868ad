#include "keypool/key.h"

#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"
#include "conf/provider_kind.h"
#include "keypool/key_body.h"
#include "keypool/pool_body.h"

const char *key_wish_text(enum key_wish wish)
{
    switch (wish) {
    case KEY_ENABLED:
        return "enabled";
    case KEY_DRAINED:
        return "drained";
    case KEY_DISABLED:
        return "disabled";
    }
    return "";
}

/* ---- labels ---- */

static bool strings_are_equal(const struct conf_strings *a, const struct conf_strings *b)
{
    bool is_equal = a->count == b->count;

    for (size_t i = 0; i < a->count && is_equal; i++)
        is_equal = span_is_equal(a->items[i], b->items[i]);
    return is_equal;
}

static bool label_says(const struct key_label *label, const struct conf_key *conf)
{
    return span_is_equal(label->name, conf->name) && span_is_equal(label->account, conf->account) &&
           label->priority == conf->priority && strings_are_equal(&label->models, &conf->models);
}

static struct span put_text(char **at, struct span text)
{
    struct span copy = span_of(*at, text.len);

    if (text.len)
        memcpy(*at, text.ptr, text.len);
    (*at)[text.len] = '\0';
    *at += text.len + 1;
    return copy;
}

/* One block: the label, the spans of its patterns, the texts. */
static struct key_label *label_new(const struct conf_key *conf)
{
    size_t spans = conf->models.count * sizeof(struct span);
    size_t texts = conf->name.len + conf->account.len + 2;
    struct key_label *label;
    char *at;

    for (size_t i = 0; i < conf->models.count; i++)
        texts += conf->models.items[i].len + 1;
    label = mem_zalloc(1, sizeof(*label) + spans + texts);
    if (!label)
        return NULL;
    label->models = (struct conf_strings){(struct span *)(void *)(label + 1), conf->models.count};
    at = (char *)(label + 1) + spans;
    label->name = put_text(&at, conf->name);
    label->account = put_text(&at, conf->account);
    label->priority = conf->priority;
    for (size_t i = 0; i < conf->models.count; i++)
        label->models.items[i] = put_text(&at, conf->models.items[i]);
    return label;
}

struct key_label *key_label_prepare(struct key *key, const struct conf_key *conf)
{
    struct key_label *label = key->labels;

    while (label && !label_says(label, conf))
        label = label->next;
    if (label)
        return label;
    label = label_new(conf);
    if (!label)
        return NULL;
    label->next = key->labels;
    key->labels = label;
    return label;
}

/* ---- life ---- */

static int build_header_line(struct key *key, struct secret_arena *arena,
                             const struct conf_provider *provider, const struct secret *secret)
{
    const struct provider_row *row = provider_row(provider->kind);
    const struct span pieces[] = {row->key_header, SPAN(": "), row->key_prefix,
                                  secret_reveal(secret), SPAN("\r\n")};

    return secret_join(arena, pieces, sizeof(pieces) / sizeof(pieces[0]), &key->header_line);
}

static int allocate_locals(struct key *key, uint32_t workers)
{
    uintptr_t block;

    key->locals_block = mem_zalloc((size_t)workers + 1, sizeof(*key->locals));
    if (!key->locals_block)
        return ERR_NOMEM;
    block = (uintptr_t)key->locals_block;
    key->locals = (void *)((block + KEY_LINE_BYTES - 1) & ~(uintptr_t)(KEY_LINE_BYTES - 1));
    return 0;
}

static void init_shared(struct key *key, enum key_health first)
{
    health_init(&key->shared.health, first);
    atomic_init(&key->shared.asides, NULL);
    atomic_init(&key->shared.heard, NULL);
    atomic_init(&key->shared.organisation, NULL);
    atomic_init(&key->shared.account, NULL);
    atomic_init(&key->shared.quota, NULL);
    atomic_init(&key->shared.model_quotas, NULL);
    atomic_init(&key->control.own_model_quotas, NULL);
    atomic_init(&key->shared.expires_us, 0);
    atomic_init(&key->shared.rest_until_us, 0);
    atomic_init(&key->shared.wish, KEY_ENABLED);
    atomic_init(&key->shared.weight_milli, 0);
    atomic_init(&key->shared.contradictions, 0);
    breaker_init(&key->shared.breaker);
    atomic_init(&key->shared.label, NULL);
    atomic_init(&key->shared.refs, 1);
    latch_init(&key->shared.line_latch);
    atomic_init(&key->shared.token, KEY_TOKEN_UNNEEDED);
    atomic_init(&key->shared.token_until_us, 0);
    atomic_init(&key->shared.is_token_doubted, false);
}

static void expect_tokens(struct key *key, const struct credential *credential)
{
    key->has_tokens = true;
    key->credential = credential->kind;
    atomic_init(&key->shared.token, KEY_TOKEN_AWAITED);
}

int key_new(struct keypool *pool, const struct conf_provider *provider, const struct conf_key *conf,
            enum key_health first, uint64_t now_us, struct key **ret_key)
{
    struct key *key = mem_zalloc(1, sizeof(*key));
    struct key_label *label;
    int err;

    if (!key)
        return ERR_NOMEM;
    init_shared(key, first);
    key->pool = keypool_ref(pool);
    key->place = UINT32_MAX;
    key->control.born_us = now_us;
    key->is_nameless = !conf->secret && !conf->credential;
    if (conf->credential)
        expect_tokens(key, conf->credential);
    memcpy(key->identity, conf->identity, sizeof(key->identity));
    err = allocate_locals(key, pool->workers);
    if (!err && conf->secret)
        err = build_header_line(key, pool->secrets, provider, conf->secret);
    if (!err)
        err = keypool_claim_place(pool, &key->place);
    label = err ? NULL : key_label_prepare(key, conf);
    if (!err && !label)
        err = ERR_NOMEM;
    if (err) {
        key_unref(&key);
        return err;
    }
    atomic_store_explicit(&key->shared.label, label, memory_order_release);
    *ret_key = key;
    return 0;
}

struct key *key_ref(struct key *key)
{
    atomic_fetch_add_explicit(&key->shared.refs, 1, memory_order_relaxed);
    return key;
}

void key_unref(struct key **place)
{
    struct key *key = *place;
    struct aside_table *asides;
    struct heard_table *heard;

    *place = NULL;
    if (!key || atomic_fetch_sub_explicit(&key->shared.refs, 1, memory_order_acq_rel) != 1)
        return;
    bug_fatal_unless(!key->control.is_listed);
    if (key->place != UINT32_MAX)
        keypool_release_place(key->pool, key->place);
    while (key->labels) {
        struct key_label *label = key->labels;

        key->labels = label->next;
        mem_free(label);
    }
    asides = atomic_load(&key->shared.asides);
    aside_free(&asides);
    heard = atomic_load(&key->shared.heard);
    heard_table_free(&heard);
    quota_free(&key->control.own_quota);
    model_quotas_free(&key->control.own_model_quotas);
    secret_unref(&key->header_line);
    secret_unref(&key->shared.line);
    mem_free(key->locals_block);
    keypool_unref(&key->pool);
    mem_free(key);
}

/* ---- tokens ---- */

/* What must stand beside the token. */
static struct span beside_token(enum credential_kind kind)
{
    switch (kind) {
    case CREDENTIAL_ANTHROPIC_FEDERATION:
        return SPAN("anthropic-beta: oauth-2025-04-20\r\n");
    case CREDENTIAL_AZURE_ENTRA:
    case CREDENTIAL_GOOGLE_SERVICE_ACCOUNT:
    case CREDENTIAL_KINDS:
        break;
    }
    return SPAN("");
}

int key_set_token(struct key *key, struct span token, uint64_t until_us)
{
    const struct span pieces[] = {SPAN("Authorization: Bearer "), token, SPAN("\r\n"),
                                  beside_token(key->credential)};
    struct secret *line, *old;
    int err = secret_join(key->pool->secrets, pieces, sizeof(pieces) / sizeof(pieces[0]), &line);

    if (err)
        return err;
    latch_take(&key->shared.line_latch);
    old = key->shared.line;
    key->shared.line = line;
    latch_give(&key->shared.line_latch);
    secret_unref(&old);
    atomic_store_explicit(&key->shared.token_until_us, until_us, memory_order_relaxed);
    atomic_store_explicit(&key->shared.token, KEY_TOKEN_HELD, memory_order_release);
    return 0;
}

struct secret *key_hold_token(struct key *key)
{
    struct secret *line;

    latch_take(&key->shared.line_latch);
    line = key->shared.line ? secret_ref(key->shared.line) : NULL;
    latch_give(&key->shared.line_latch);
    return line;
}

bool key_doubt_token(struct key *key, const struct secret *line, bool *ret_is_wanted)
{
    struct secret *now = key_hold_token(key);
    bool is_stale = now != line;
    uint32_t held = KEY_TOKEN_HELD;

    *ret_is_wanted = false;
    secret_unref(&now);
    if (is_stale || atomic_load_explicit(&key->shared.token, memory_order_acquire) != held)
        return true;
    if (atomic_exchange_explicit(&key->shared.is_token_doubted, true, memory_order_acq_rel))
        return false;
    *ret_is_wanted = atomic_compare_exchange_strong_explicit(
        &key->shared.token, &held, KEY_TOKEN_AWAITED, memory_order_acq_rel, memory_order_acquire);
    return true;
}

/* ---- reading ---- */

const uint8_t *key_digest(const struct key *key)
{
    return key->identity;
}

struct span key_name(const struct key *key)
{
    return key_label_of(key)->name;
}

struct span key_account(const struct key *key)
{
    return key_label_of(key)->account;
}

struct secret *key_take_line(struct key *key)
{
    if (key->has_tokens)
        return key_hold_token(key);
    return key->header_line ? secret_ref(key->header_line) : NULL;
}

enum key_token key_token(const struct key *key, uint64_t now_us)
{
    enum key_token token =
        (enum key_token)atomic_load_explicit(&key->shared.token, memory_order_acquire);

    if (token != KEY_TOKEN_HELD)
        return token;
    return atomic_load_explicit(&key->shared.token_until_us, memory_order_relaxed) > now_us
               ? KEY_TOKEN_HELD
               : KEY_TOKEN_MISSING;
}

enum key_health key_health(const struct key *key, uint64_t *ret_until_us)
{
    struct health_view view = health_read(&key->shared.health);

    *ret_until_us = health_is_benched(view.state) || view.state == KEY_TESTING ? view.until_us : 0;
    return view.state;
}

uint32_t key_in_flight(const struct key *key)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < key->pool->workers; i++)
        sum += atomic_load_explicit(&key->locals[i].in_flight, memory_order_acquire);
    return sum;
}

enum key_wish key_wish(const struct key *key)
{
    return (enum key_wish)atomic_load_explicit(&key->shared.wish, memory_order_relaxed);
}

enum breaker_state key_breaker(const struct key *key, uint64_t now_us)
{
    return breaker_state(&key->shared.breaker, now_us);
}
